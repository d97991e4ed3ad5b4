"""The chat form of Gemma's instruction models, and reading their answers.

    <bos><start_of_turn>user⏎{text}<end_of_turn>⏎<start_of_turn>model⏎{answer}<end_of_turn>⏎ ...

There is no system role: a system text is put in front of the first user turn, with a blank line between. Text never
parses as control (`model.tokenizer`). Source: Gemma's formatting guide, ai.google.dev/gemma/docs/formatting.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from model.errors import RecordError
from model.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn of a conversation."""

    role: Literal["system", "user", "model"]
    text: str


def chat_prompt(tokenizer: Tokenizer, turns: Sequence[Turn]) -> list[int]:
    """The token ids that ask the model for its next turn.

    Args:
        tokenizer: A vocabulary with the turn tokens.
        turns: A system text (optional, first), then user and model in turn; the last is the user's.

    Raises:
        RecordError: `bad_turns`: the turns don't alternate, or the last isn't the user's.
    """
    folded = _fold_system(turns)
    roles = [turn.role for turn in folded]
    if roles != ["user", "model"] * (len(roles) // 2) + ["user"]:
        raise RecordError("bad_turns", f"turns must go user, model, ... user; these go {', '.join(roles) or 'nowhere'}")
    ids = [tokenizer.bos]
    for turn in folded:
        ids += [tokenizer.start_of_turn, *tokenizer.encode(f"{turn.role}\n{turn.text.strip()}")]
        ids += [tokenizer.end_of_turn, *tokenizer.encode("\n")]
    return [*ids, tokenizer.start_of_turn, *tokenizer.encode("model\n")]


def _fold_system(turns: Sequence[Turn]) -> list[Turn]:
    if not turns or turns[0].role != "system":
        return list(turns)
    if len(turns) < 2 or turns[1].role != "user":
        raise RecordError("bad_turns", "a system text needs a user turn after it")
    return [Turn("user", f"{turns[0].text.strip()}\n\n{turns[1].text.strip()}"), *turns[2:]]


def chat_stop_ids(tokenizer: Tokenizer) -> frozenset[int]:
    """What ends a model's turn."""
    return frozenset({tokenizer.end_of_turn, tokenizer.start_of_turn, tokenizer.eos})


_FENCE = re.compile(r"^[ \t]*(`{3,}|~{3,})[ \t]*([^\n`]*)\n(.*?)^[ \t]*\1[ \t]*$", re.M | re.S)


def fenced_code(answer: str, language: str = "") -> str | None:
    """The code in an answer's fences: of the wanted language if a fence says so, else the first; None without any.

    >>> fenced_code("Here:\\n```python\\nx = 1\\n```\\nDone.")
    'x = 1\\n'
    """
    found = [(match[2].strip().lower(), match[3]) for match in _FENCE.finditer(answer)]
    if not found:
        return None
    return next((code for name, code in found if language and name.split()[:1] == [language]), found[0][1])
