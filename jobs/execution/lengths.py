"""Chooses how long prompts and answers may be, by the model's context and the task, where the user doesn't say."""

from __future__ import annotations

from dataclasses import replace
from typing import Final, TypeVar

from jobs.options import ModelJobOptions
from model.checkpoint import read_config
from model.config import GemmaConfig
from model.errors import ConfigError

T = TypeVar("T", bound=ModelJobOptions)

# The most that an answer takes of the context by default, so that a small model's prompts keep most of it.
_ANSWER_SHARE: Final = 4
_SHORTEST_PROMPT: Final = 16


def with_lengths(options: T, *, answer_tokens: int, prompt_tokens: int) -> T:
    """Returns the options with both lengths; those that the user gave stay.

    Args:
        options: The job's options; None is a length that isn't given.
        answer_tokens: Tokens that the task's answers need.
        prompt_tokens: Tokens of a prompt beyond which the task gains little.

    Raises:
        ConfigError: There is no such model.
    """
    if options.max_prompt_tokens is not None and options.max_new_tokens is not None:
        return options
    context = read_config(options.model).context_length
    new, prompt = choose_lengths(
        context, answer_tokens, prompt_tokens, new=options.max_new_tokens, prompt=options.max_prompt_tokens
    )
    return replace(options, max_new_tokens=new, max_prompt_tokens=prompt)


def check_lengths(options: ModelJobOptions, config: GemmaConfig) -> None:
    """Raises ConfigError if a request could be longer than the model's context."""
    longest, context = options.max_prompt_tokens + options.max_new_tokens, config.context_length
    if longest > context:
        raise ConfigError(
            f"--max_prompt_tokens {options.max_prompt_tokens} and --max_new_tokens {options.max_new_tokens} make "
            f"{longest} tokens, but the model's context length is {context}; lower one of them"
        )


def choose_lengths(
    context: int, answer_tokens: int, prompt_tokens: int, *, new: int | None = None, prompt: int | None = None
) -> tuple[int, int]:
    """Returns the lengths of answers and prompts; their sum exceeds the context only if a given one leaves no room.

    >>> choose_lengths(8192, 768, 4096), choose_lengths(1024, 768, 4096), choose_lengths(1024, 128, 2048)
    ((768, 4096), (256, 768), (128, 896))
    """
    if new is None:
        left = context - (prompt or 0)
        new = max(1, min(answer_tokens, context // _ANSWER_SHARE, left))
    if prompt is None:
        prompt = max(_SHORTEST_PROMPT, min(prompt_tokens, context - new))
    return new, prompt
