"""Infilling by models that know no infilling tokens: what they are asked, and where the middle is in their answer.

    prefix   <bos> prefix                     a base model goes on; the middle ends where it begins to write the suffix
    chat     a turn with prefix, a mark, suffix   an instruction model answers with the missing text in a code block

In `prefix` form the model doesn't see the suffix: it ends the text, and the checks of `transforms.tasks.infill` judge
the middle in the whole file. In `chat` form the model may repeat the line around the mark, or leave out its
indentation, so both are taken into account. Which form a job uses follows from vocabulary and config
(`form_without_tokens`), and is in each row's lineage.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from model.tokenizer import Tokenizer
from transforms.fim.formats import FimMode
from transforms.tasks.chat import Turn, chat_prompt, fences

PromptForm = FimMode | Literal["prefix", "chat"]

MARK: Final = "<<<MISSING>>>"
_INSTRUCTIONS: Final = """\
A part of this {language}file is missing, where {mark} stands:

```
{before}{mark}{after}
```

Answer with the missing text alone, in one code block: exactly what replaces {mark}, without the text around it."""

# The words around the code, and what texts that are encoded together can have more than apart.
CHAT_OVERHEAD_TOKENS: Final = 96

_FEWEST_STOP_CHARS: Final = 8  # without spaces: shorter starts of a suffix, such as a bracket, occur inside middles


def form_without_tokens(*, is_instruction_tuned: bool) -> PromptForm:
    """The form for a model whose vocabulary has no infilling tokens."""
    return "chat" if is_instruction_tuned else "prefix"


def prefix_prompt(tokenizer: Tokenizer, prefix: Sequence[int], path_line: Sequence[int] = ()) -> list[int]:
    """The ids of a prompt without a suffix."""
    return [tokenizer.bos, *path_line, *prefix]


def chat_infill_prompt(tokenizer: Tokenizer, before: str, after: str, language: str = "") -> list[int]:
    """The ids of a chat prompt for the text between `before` and `after`."""
    named = f"{language} " if language else ""
    words = _INSTRUCTIONS.format(language=named, mark=MARK, before=before, after=after)
    return chat_prompt(tokenizer, [Turn("user", words)])


def suffix_stop(suffix: str) -> str | None:
    r"""The text with which the suffix begins and a middle ends: lines with enough characters to tell them from it.

    >>> suffix_stop(")\n    return total\n\nx = 1\n")
    ')\n    return total\n'
    >>> suffix_stop("\n") is None
    True
    """
    end = 0
    while end < len(suffix) and len("".join(suffix[:end].split())) < _FEWEST_STOP_CHARS:
        end = suffix.find("\n", end) + 1 or len(suffix)
    return suffix[:end] if suffix[:end].strip() else None


def middle_of_turn(answer: str, before: str, after: str, *, ends_line: bool = False) -> str:
    r"""The middle in an instruction model's answer.

    Args:
        answer: The model's turn.
        before: The file's text before the hole.
        after: The text after it.
        ends_line: Whether the hole ends behind a line break, so that the middle must, too.

    >>> middle_of_turn("```python\n    total = a + b\n```", "def f(a, b):\n    total = ", "\n    return total\n")
    'a + b'
    """
    blocks = fences(answer)
    text = blocks[0][1] if blocks else answer
    if head := before.rpartition("\n")[2]:
        text = _without_head(text, head)
    text = text.rstrip("\r\n")
    if ends_line:
        return f"{text}\n" if text else text
    tail = after.partition("\n")[0].strip()
    return text.rstrip().removesuffix(tail) if tail and text.rstrip().endswith(tail) else text


def _without_head(text: str, head: str) -> str:
    """The text without the line's beginning, which the model may have written again."""
    line, start = text.lstrip(), head.lstrip()
    if start and line.startswith(start):
        return line.removeprefix(start)
    if start.rstrip() and line.startswith(start.rstrip()):
        return line.removeprefix(start.rstrip()).lstrip(" \t")
    return text.lstrip(" \t") if not start else text
