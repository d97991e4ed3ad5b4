# ruff: noqa: E501 - patterns, word lists and printed lines read best unbroken
"""Quality filter: measures a file's signals once, then applies one pure predicate per fault.

    text -> signals (one pass over bytes and lines) -> first fault that exceeds its limit, or None

Every limit names its source. No signal divides by a count that can be zero, so files with no line, one line or five
lines are checked like any other file.

Cost: about 100 MB/s per core. Comment share and long runs are measured on lines only; parsing (`languages.parsing`) is
separate because it is slow.

Sources: The Stack (Kocetkov et al. 2022, arXiv:2211.15533), StarCoder (Li et al. 2023, arXiv:2305.06161, section 3.1),
The Stack v2 (Lozhkov et al. 2024, arXiv:2402.19173, section 3.2), Gopher (Rae et al. 2021, arXiv:2112.11446, table A1).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Final, NamedTuple

import numpy as np
import pyarrow as pa

from transforms.filters.line_signals import LineSignals, line_signals
from transforms.filters.stage import Stage, StageResult, struct_reader
from transforms.languages.faults import first_fault
from transforms.languages.lookup import find_language
from transforms.languages.parsing import parses
from transforms.languages.table import COMMENT_MARKS, Kind
from transforms.row_pool import beat
from transforms.rows.row import Row

_OTHER, _SPACE = 1, 2
_CLASSES = bytes(_SPACE if b in b" \t\r\n" else _OTHER if b < 128 and not chr(b).isalnum() else 0 for b in range(256))
"""The class of each byte: 0 for ASCII letters and digits, and all that isn't ASCII. Counting classes takes half of the
time of deleting bytes, which branches at each."""
_ENCODED = re.compile(
    rb"(?:[A-Za-z0-9+/]{64,}={0,2}|(?:\\x[0-9A-Fa-f]{2}){16,}|(?:0x[0-9A-Fa-f]{1,8},[ ]?){16,}|(?:\\u[0-9A-Fa-f]{4}){8,})"
)
_ENCODED_LINE_BYTES = 64
_BASE64_FOLD = bytes.maketrans(b"BCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/", b"A" * 63)
_BASE64_RUN = b"A" * 64
_LONG_LINES: Final[tuple[Kind, ...]] = ("markup", "prose", "plain")
_LONG_DATA: Final = frozenset(("JSON", "XML", "Roff", "SMT"))
"""The other languages whose long lines The Stack v2 keeps (section 3.2)."""
_LONG_LINE_SHARE: Final = 0.1
"""One long line below this share of a file, a table or a message, makes it neither minified nor data."""
_DATA: Final[tuple[Kind, ...]] = ("data", "plain")


class Signals(NamedTuple):
    """Measurements of a file. Lengths are in bytes; shares are from 0 to 1, and 0 for an empty file.

    Args:
        num_bytes, num_lines: Size; an empty file has no lines.
        longest_line, mean_line: Line lengths.
        alphanumeric_share: ASCII letters and digits and all non-ASCII bytes, divided by all bytes but white space.
        encoded_share: Bytes in runs of base64, hex escapes and byte lists, divided by all bytes.
        longest_encoded: Length of the longest such run.
        repeated_line_share: Among the lines longer than two bytes, the share that repeats an earlier line.
        comment_line_share: Lines that start with a comment marker, divided by nonblank lines.
    """

    num_bytes: int
    num_lines: int
    longest_line: int
    mean_line: float
    alphanumeric_share: float
    encoded_share: float
    longest_encoded: int
    repeated_line_share: float
    comment_line_share: float


_EMPTY: Final = Signals(0, 0, 0, 0.0, 0.0, 0.0, 0, 0.0, 0.0)


@dataclass(frozen=True, kw_only=True, slots=True)
class Limits:
    """Thresholds, each with its source. None disables a check."""

    max_longest_line: int | None = 1000  # The Stack, StarCoder 3.1; see also `line_too_long`
    max_mean_line: float | None = 100.0  # The Stack, StarCoder 3.1
    min_alphanumeric_share: float | None = 0.25  # The Stack, StarCoder 3.1
    max_encoded_share: float | None = 0.5  # The Stack v2 3.2
    max_encoded_run: int | None = 1024  # The Stack v2 3.2
    max_repeated_line_share: float | None = 0.6  # Gopher uses 0.3 for prose; code repeats closing brackets and imports
    min_repeat_lines: int = 20  # in shorter files the share is not meaningful
    min_comment_share: float | None = (
        None  # StarCoder 3.1 used 0.01 for some languages; off because short files have no comments
    )
    max_comment_share: float | None = 0.8  # StarCoder 3.1
    max_data_bytes: int | None = (
        50_000  # StarCoder 3.1: JSON and YAML of 50 to 5000 characters; larger data files teach little
    )
    min_lines: int | None = None


def measure(text: str, language: str = "") -> Signals:
    """Measures a text's signals.

    >>> measure("").num_lines, measure("a = 1\\n").longest_line
    (0, 5)
    """
    return measure_all([text], [language])[0]


def measure_all(texts: Sequence[str], languages: Sequence[str]) -> list[Signals]:
    """Measures the signals of many texts, given the language of each; much faster than one after another."""
    datas = [text.encode("utf-8", "surrogatepass") for text in texts]
    marks = list(map(_comment_marks, languages))
    measured = zip(datas, line_signals(datas, marks, _ENCODED_LINE_BYTES), strict=True)
    return [_signals(data, lines) if data else _EMPTY for data, lines in measured]


def _signals(data: bytes, lines: LineSignals) -> Signals:
    size, num_breaks = len(data), lines.num_lines - (not data.endswith(b"\n"))
    encoded = _encoded_lengths(lines) if lines.long_lengths else []
    return Signals(
        num_bytes=size,
        num_lines=lines.num_lines,
        longest_line=lines.longest,
        mean_line=(size - num_breaks) / lines.num_lines,
        alphanumeric_share=_alphanumeric_share(data),
        encoded_share=sum(encoded) / size,
        longest_encoded=max(encoded, default=0),
        repeated_line_share=1 - lines.distinct / lines.telling if lines.telling else 0.0,
        comment_line_share=lines.comments / lines.filled if lines.filled else 0.0,
    )


def _alphanumeric_share(data: bytes) -> float:
    classes = np.frombuffer(data.translate(_CLASSES), np.uint8)
    num_others, num_spaces = int(np.count_nonzero(classes)), int(np.count_nonzero(classes == _SPACE))
    return (len(data) - num_others) / max(1, len(data) - num_spaces)


def _encoded_lengths(lines: LineSignals) -> list[int]:
    """Lengths of the runs of encoded data, none of which spans lines. A byte translation and counts first check where
    any is possible; most files have none."""
    if not _may_be_encoded(lines.long_lines):
        return []
    ends = list(itertools.accumulate(lines.long_lengths, initial=0))
    long_lines = [lines.long_lines[start:end] for start, end in itertools.pairwise(ends)]
    return [len(run) for line in long_lines if _may_be_encoded(line) for run in _ENCODED.findall(line)]


def _may_be_encoded(data: bytes) -> bool:
    if _BASE64_RUN in data.translate(_BASE64_FOLD):
        return True
    if data.count(b"x") >= 16 and (data.count(b"0x") >= 16 or data.count(b"\\x") >= 16):  # as `_ENCODED` requires
        return True
    return b"\\" in data and data.count(b"\\u") >= 8  # single bytes are found several times as fast as pairs


def _comment_marks(language: str) -> list[bytes]:
    """Comment markers. An unknown language is treated as one with `//` comments, but a star is a bullet there."""
    found = find_language(language)
    marks = COMMENT_MARKS[found.comments if found is not None else "slash"]
    return [mark for mark in marks if found is not None or mark != b"* "]


def _is_of_kind(language: str, kinds: tuple[Kind, ...]) -> bool:
    found = find_language(language)
    return found is not None and found.kind in kinds


def _has_long_lines(language: str) -> bool:
    """Whether long lines are normal in a language: prose, markup, JSON."""
    found = find_language(language)
    return found is not None and (found.kind in _LONG_LINES or found.name in _LONG_DATA)


def line_too_long(s: Signals, limits: Limits, language: str) -> bool:
    """A line is longer than `max_longest_line` and more than a tenth of the file: it is minified or data. Languages
    whose lines are long are exempt."""
    limit = limits.max_longest_line
    is_long = limit is not None and s.longest_line > limit and s.longest_line > _LONG_LINE_SHARE * s.num_bytes
    return is_long and not _has_long_lines(language)


def lines_too_long_on_average(s: Signals, limits: Limits, language: str) -> bool:
    """The mean line length exceeds `max_mean_line`. Languages whose lines are long are exempt."""
    return limits.max_mean_line is not None and s.mean_line > limits.max_mean_line and not _has_long_lines(language)


def too_few_alphanumeric(s: Signals, limits: Limits, language: str) -> bool:
    """The share of letters and digits is below `min_alphanumeric_share`. Files under 20 bytes are not checked."""
    share = limits.min_alphanumeric_share
    return share is not None and s.num_bytes >= 20 and s.alphanumeric_share < share


def mostly_encoded(s: Signals, limits: Limits, language: str) -> bool:
    """The share of encoded data exceeds `max_encoded_share`, or one run is longer than `max_encoded_run`."""
    too_much = limits.max_encoded_share is not None and s.encoded_share > limits.max_encoded_share
    return too_much or (limits.max_encoded_run is not None and s.longest_encoded > limits.max_encoded_run)


def lines_repeat(s: Signals, limits: Limits, language: str) -> bool:
    """The share of lines that repeat an earlier line exceeds `max_repeated_line_share`."""
    share = limits.max_repeated_line_share
    return share is not None and s.num_lines >= limits.min_repeat_lines and s.repeated_line_share > share


def too_many_comments(s: Signals, limits: Limits, language: str) -> bool:
    """The share of comment lines exceeds `max_comment_share`, in files of at least five lines."""
    return limits.max_comment_share is not None and s.num_lines >= 5 and s.comment_line_share > limits.max_comment_share


def too_few_comments(s: Signals, limits: Limits, language: str) -> bool:
    """The share of comment lines is below `min_comment_share`, if set, in files of at least five lines."""
    return limits.min_comment_share is not None and s.num_lines >= 5 and s.comment_line_share < limits.min_comment_share


def data_like(s: Signals, limits: Limits, language: str) -> bool:
    """A file in a data format is larger than `max_data_bytes`."""
    return limits.max_data_bytes is not None and s.num_bytes > limits.max_data_bytes and _is_of_kind(language, _DATA)


def too_short(s: Signals, limits: Limits, language: str) -> bool:
    """The file has fewer lines than `min_lines`, if that limit is set."""
    return limits.min_lines is not None and s.num_lines < limits.min_lines


FAULTS: tuple[Callable[[Signals, Limits, str], bool], ...] = (
    line_too_long, lines_too_long_on_average, too_few_alphanumeric, mostly_encoded, lines_repeat,
    too_many_comments, too_few_comments, data_like, too_short,
)  # fmt: skip
"""In the order in which they are checked; the name of a fault is the reason of the rejection."""


def fault(signals: Signals, limits: Limits, language: str = "") -> str | None:
    """The name of the first fault, or None."""
    return next((check.__name__ for check in FAULTS if check(signals, limits, language)), None)


CHECKS_TYPE = pa.struct(
    [
        pa.field("longest_line", pa.int64(), nullable=False),
        pa.field("mean_line", pa.float32(), nullable=False),
        pa.field("alphanumeric_share", pa.float32(), nullable=False),
        pa.field("encoded_share", pa.float32(), nullable=False),
        pa.field("repeated_line_share", pa.float32(), nullable=False),
        pa.field("comment_line_share", pa.float32(), nullable=False),
    ]
)
"""The signals in a row's column `checks`."""
_checks: Final = struct_reader(CHECKS_TYPE)


@dataclass(frozen=True, kw_only=True)
class QualityStage(Stage):
    """Measures each file, and rejects files with a fault.

    Args:
        limits: Thresholds; None disables all checks.
        require_syntax: Whether files must parse, if that can be determined.
    """

    name: ClassVar[str] = "quality"
    fields: ClassVar[tuple[pa.Field, ...]] = (pa.field("checks", CHECKS_TYPE, nullable=False),)

    limits: Limits | None = None
    require_syntax: bool = False

    def examine(self, row: Row) -> StageResult:
        """Reasons: the names of `FAULTS`, and `does_not_parse`."""
        return self.examine_all([row])[0]

    def examine_all(self, rows: Sequence[Row]) -> list[StageResult]:
        """Measures all rows at once."""
        signals = measure_all([row.content for row in rows], [row.language for row in rows])
        results = []
        for row, measured in zip(rows, signals, strict=True):
            results.append(self._judged(row, measured))
            beat()
        return results

    def _judged(self, row: Row, signals: Signals) -> StageResult:
        reason = fault(signals, self.limits, row.language) if self.limits is not None else None
        if reason is None and self.require_syntax and parses(row.content, row.language, row.path) is False:
            reason = "does_not_parse"
            if where := first_fault(row.content, row.language, row.path):
                return self.result({}, reason, where)
        detail = f"{signals.num_lines} lines, {signals.num_bytes} bytes"
        return self.result({"checks": _checks(signals)}, reason, detail)
