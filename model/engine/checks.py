"""What any request's tokens must be, whatever is asked of them."""

from __future__ import annotations

from collections.abc import Sequence

from model.errors import RecordError


def check_not_empty(prompt: Sequence[int]) -> None:
    """Raises RecordError if a prompt has no token."""
    if not prompt:
        raise RecordError("prompt_empty", "the prompt is empty; it needs at least the beginning-of-sequence token")


def check_vocabulary(name: str, tokens: Sequence[int], vocab_size: int) -> None:
    """Raises RecordError if a token isn't in the vocabulary.

    Args:
        name: What the tokens are: `prompt`, `continuation`.
        tokens: At least one id.
        vocab_size: Number of ids.
    """
    top, bottom = max(tokens), min(tokens)
    if bottom < 0 or top >= vocab_size:
        raise RecordError(
            "token_out_of_vocabulary",
            f"{name} has token id {bottom if bottom < 0 else top}, valid ids are 0 to {vocab_size - 1}; check that "
            "the tokenizer matches the model",
        )
