"""Holes for models that know no infilling tokens: what they are asked, and where the middle is in their answer.

    prefix   <bos> prefix                     a base model goes on; the middle ends where it begins to write the suffix
    chat     a turn with prefix, a mark, suffix   an instruction model answers with the missing text in a code block

In `prefix` form the model doesn't see the suffix: it ends the text, and the checks of `transforms.tasks.infill` judge
the middle in the whole file. In `chat` form the model may repeat the line around the mark, or leave out its
indentation, so both are taken into account. Which form a job uses follows from vocabulary and config
(`form_without_tokens`), and is in each row's lineage. Other tasks with a hole ask base models in `prefix` form too
(`hole_prompt`), as long as what they describe stands before the hole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, Literal

from model.errors import RecordError
from model.tokenizer import Tokenizer
from transforms.fim.formats import FimMode, fim_prompt, has_fim_tokens
from transforms.tasks.chat import Turn, chat_prompt, fences
from transforms.tasks.shared import FIM_CONTROL_TOKENS, fit_hole

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


def form_of_hole(tokenizer: Tokenizer) -> PromptForm:
    """The form in which a base model is asked for what stands in a hole."""
    return "psm" if has_fim_tokens(tokenizer) else "prefix"


def hole_prompt(
    tokenizer: Tokenizer, text: str, hole: tuple[int, int], needed: tuple[int, int], max_prompt_tokens: int
) -> tuple[list[int], PromptForm, bool]:
    """The ids of a base model's prompt for a hole, its form, and whether it shows less than the text.

    Args:
        tokenizer: The model's vocabulary, which decides the form (`form_of_hole`).
        text: The file.
        hole: Its start and end, in characters.
        needed: The required part of the context, in characters; it touches the hole.
        max_prompt_tokens: The most ids.

    Raises:
        RecordError: `prompt_too_long`, if the required part doesn't fit; `hidden_context`, if it stands behind the hole
            and the form doesn't show that.
    """
    start, end = hole
    room = max_prompt_tokens - FIM_CONTROL_TOKENS
    if form_of_hole(tokenizer) == "psm":
        window = fit_hole(tokenizer, text, start, end, needed, room)
        return fim_prompt(tokenizer, "psm", window.prefix_ids, window.suffix_ids), "psm", window.is_windowed
    if needed[1] > start or needed[0] == start:
        raise RecordError("hidden_context", "a model without infilling tokens isn't shown what stands behind the hole")
    window = fit_hole(tokenizer, text[:start], start, start, needed, room)
    return prefix_prompt(tokenizer, window.prefix_ids), "prefix", window.is_windowed


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


def body_by_margin(written: str, margin: str) -> tuple[str, bool]:
    r"""The body of a function that a model goes on with, and whether other code follows it.

    A body ends before the first line that is indented no more than the function itself; lines of `#` may stand at the
    margin anywhere.

    Args:
        written: What the model wrote, from the body's first line.
        margin: The function's indentation.

    >>> body_by_margin("\n    return 1\n\ndef g():\n", "")
    ('\n    return 1\n\n', True)
    >>> body_by_margin("\n    return 1\n", "")
    ('\n    return 1\n', False)
    """
    first, *lines = written.splitlines(keepends=True) or [""]
    for number, line in enumerate(lines):
        indent = line[: len(line) - len(line.lstrip())]
        if line.strip() and not line.startswith("#") and len(indent) <= len(margin):
            return first + "".join(lines[:number]), True
    return written, False


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
