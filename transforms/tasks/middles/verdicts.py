"""All verdicts on an infilled middle: their columns, the reasons of those that reject, and their order."""

from __future__ import annotations

import string
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa

from transforms import checks
from transforms.fim.spans import Span
from transforms.languages.parsing import parses_as_before
from transforms.rows.row import Row
from transforms.tasks.middles.judges import is_comment_instead, is_nothing_instead, line_at, repeats_prefix
from transforms.tasks.middles.talk import is_talk
from transforms.tasks.middles.unknown_names import count_unknown_names

# The checks that can reject a middle, each with its rejection reason, in the order in which they run.
# A verdict of None (undecidable) rejects as `not_verifiable` if the check is required.
REJECTION_REASONS: Final[Mapping[str, str]] = {
    "not_empty": "empty_middle",
    "no_control_token": "control_token_in_output",
    "not_cut_off": "cut_off",
    "no_suffix_echo": "suffix_echo",
    "no_prefix_echo": "prefix_echo",
    "no_talk": "talk_in_middle",
    "not_comment": "comment_only",
    "not_trivial": "trivial_middle",
    "parses": "does_not_parse",
    "exact_match": "not_exact_match",
}

_NAME_CHARS: Final = f"{string.ascii_letters}{string.digits}_."

# Their middles are words, or begin inside of one.
_WORDY_KINDS: Final = ("docstring", "comment", "random_chars")

CHECKS_TYPE: Final = pa.struct(
    [
        pa.field("parses", pa.bool_()),  # null: no parser, or the original doesn't parse either
        pa.field("exact_match", pa.bool_(), nullable=False),
        pa.field("edit_similarity", pa.float32(), nullable=False),
        pa.field("not_empty", pa.bool_(), nullable=False),
        pa.field("no_control_token", pa.bool_(), nullable=False),
        pa.field("no_suffix_echo", pa.bool_(), nullable=False),
        pa.field("no_prefix_echo", pa.bool_(), nullable=False),
        pa.field("no_talk", pa.bool_(), nullable=False),
        pa.field("not_comment", pa.bool_(), nullable=False),
        pa.field("not_trivial", pa.bool_(), nullable=False),
        pa.field("not_cut_off", pa.bool_(), nullable=False),
        pa.field("unknown_names", pa.int32()),  # null: no code, or no list of its language's own names
        pa.field("mean_logprob", pa.float32(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class Answer:
    """A middle in its file.

    Args:
        row: The file.
        span: The original middle.
        middle: The generated one.
        context: The texts of other files in its prompt.
        is_cut_off: Whether it ended at its maximum length.
    """

    row: Row
    span: Span
    middle: str
    context: Sequence[str]
    is_cut_off: bool


def verdicts_on(answer: Answer, has_control_token: Callable[[], bool]) -> Mapping[str, Callable[[], Any]]:
    """The checks in the order in which they run: parsing, by far the most expensive, after the cheap ones."""
    row, span, middle = answer.row, answer.span, answer.middle
    start, end, content = span.start, span.end, row.content
    before, original, after = content[:start], content[start:end], content[end:]
    head, tail = line_at(content, start)[0], line_at(content, end)[1]

    def parses() -> bool | None:
        return parses_as_before(before + middle + after, content, row.language, row.path, hole=(start, end))

    def unknown_names() -> int | None:
        if span.kind in _WORDY_KINDS:
            return None
        # From the beginning of the name in which it may stand.
        begun = head[len(head.rstrip(_NAME_CHARS)) :]
        return count_unknown_names(begun + middle, (before, after, *answer.context), row.language, row.path)

    return {
        "not_empty": lambda: bool(middle.strip()),
        "no_control_token": lambda: not has_control_token(),
        "not_cut_off": lambda: not answer.is_cut_off,
        "no_suffix_echo": lambda: not checks.echoes_suffix(middle, original, after),
        "no_prefix_echo": lambda: not repeats_prefix(middle, original, before),
        "no_talk": lambda: not is_talk(middle, original, head),
        "not_comment": lambda: not is_comment_instead(middle, original, head, row.language, row.path),
        "not_trivial": lambda: not is_nothing_instead(middle, original, span.kind, (head, tail), row.language),
        "parses": parses,
        "unknown_names": unknown_names,
        "exact_match": lambda: checks.is_exact_match(middle, original),
        "edit_similarity": lambda: checks.edit_similarity(middle, original),
    }
