"""Layouts of a job's rows: the columns that identify such a row, and its parts, shown from top to bottom.

    def layouts() -> list[Layout]:  # in the job's module
        return [Layout(("code_documented",), facts("symbol_name"), diff("code", "code_documented"), checks)]

A part is a function that yields blocks (`jobs.viewing.blocks`) for a row and a number of context lines. The functions
here create the usual parts, and a job may provide a custom one (`jobs.viewing.middle`, `jobs.viewing.packed`).
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, Final, Literal

from jobs.terminal.escapes import shown_lines
from jobs.terminal.wording import counted
from jobs.viewing.blocks import CONTEXT, FAINT, GENERATED, ORIGINAL, Block, Lines, MarkedLine, Value, Verdicts, note
from jobs.viewing.diffs import diff_lines
from transforms.rows.columns import CANDIDATES, PRESETS

Row = Mapping[str, Any]
Part = Callable[[Row, int], Iterator[Block]]

# What a layout raises where a file by someone else has columns of a job's names with values of other types.
_NOT_OF_THE_KIND: Final = (AttributeError, IndexError, KeyError, TypeError, ValueError)
_MAX_VALUE_CHARS: Final = 100_000  # per value, before it is split into lines
_CONTENT: Final = (*(preset.content for preset in PRESETS), *CANDIDATES["content"])


class Layout:
    """The layout of one kind of row.

    Args:
        columns: A row is of this kind if none of these columns is null.
        parts: The parts to show, from top to bottom.
    """

    def __init__(self, columns: tuple[str, ...], *parts: Part):
        self.columns = columns
        self._parts = parts

    def fits(self, row: Row) -> bool:
        """Whether the row is of this kind."""
        return all(row.get(name) is not None for name in self.columns)

    def show(self, row: Row, context_lines: int) -> Iterator[Block]:
        """Yields the row's parts.

        Args:
            row: The row's values.
            context_lines: Lines shown around generated text, and of any other long text.
        """
        for part in self._parts:
            yield from part(row, context_lines)


def blocks_of(row: Row, context_lines: int, layouts: Iterable[Layout]) -> list[Block]:
    """Shows one row in the first layout that fits its columns, else column by column.

    Args:
        row: The row's values.
        context_lines: Lines shown around generated text, and of any other long text.
        layouts: The layouts of all jobs.
    """
    layout = next((one for one in layouts if one.fits(row)), None)
    if layout is not None:
        with contextlib.suppress(*_NOT_OF_THE_KIND):
            return list(layout.show(row, context_lines))
    return list(_any_row(row, context_lines))


def title_of(row: Row) -> str:
    """A row's repository and path."""
    return " ".join(str(row[name]) for name in ("repo_name", "path") if row.get(name))


def _any_row(row: Row, max_lines: int) -> Iterator[Block]:
    for name, value in _flat(row):
        shown = "null" if value is None else str(value)
        lines = shown_lines(shown[:_MAX_VALUE_CHARS]) or [""]
        mark = FAINT if value is None else CONTEXT
        yield Value(name, [*((mark, line) for line in lines[:max_lines]), *_left_out(shown, max_lines)])


def _left_out(text: str, max_lines: int) -> Iterator[MarkedLine]:
    num_lines = text.count("\n") + (not text.endswith("\n"))
    if num_lines > max_lines:
        yield FAINT, f"({counted(num_lines - max_lines, 'more line')})"
    elif len(text) > _MAX_VALUE_CHARS:
        yield FAINT, f"({counted(len(text) - _MAX_VALUE_CHARS, 'more character')})"


def _flat(row: Row, prefix: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in row.items():
        if isinstance(value, Mapping):
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value


# --- parts -------------------------------------------------------------------------------------------


def facts(*names: str) -> Part:
    """A part that shows the values of some columns in one line."""

    def part(row: Row, context_lines: int) -> Iterator[Block]:
        yield note("  ".join(str(row[name]) for name in names if row.get(name)))

    return part


def diff(before: str, after: str) -> Part:
    """A part that shows the lines that differ between two columns, with context lines."""

    def part(row: Row, context_lines: int) -> Iterator[Block]:
        yield Lines(list(diff_lines(shown_lines(row.get(before) or ""), shown_lines(row[after]), context_lines)))

    return part


def file_diff(after: str) -> Part:
    """A part that shows the lines that differ between a file's content and another column."""

    def part(row: Row, context_lines: int) -> Iterator[Block]:
        before = next((name for name in _CONTENT if isinstance(row.get(name), str)), "")
        yield from diff(before, after)(row, context_lines)

    return part


def text(name: str, kind: Literal["generated", "original", "beginning", "end"]) -> Part:
    """A part that shows a column's text: a generated or original text, or the beginning or end of a prompt."""
    mark = {"generated": GENERATED, "original": ORIGINAL, "beginning": FAINT, "end": CONTEXT}[kind]

    def part(row: Row, context_lines: int) -> Iterator[Block]:
        if not isinstance(row.get(name), str):
            return
        lines = shown_lines(row[name].rstrip() if kind == "beginning" else row[name])
        bounds = {"beginning": slice(2 * context_lines), "end": slice(-2 * context_lines, None)}
        yield Lines([(mark, line) for line in lines[bounds.get(kind, slice(None))]])

    return part


def checks(row: Row, context_lines: int) -> Iterator[Block]:
    """`ok parses  NO exact_match  edit_similarity 0.83`; undecided checks (null) are omitted."""
    yield from verdicts(row.get("checks"))


def each(name: str, *titles: str) -> Part:
    """A part that shows the checks of each element of a column, in one line under the element's own facts."""

    def part(row: Row, context_lines: int) -> Iterator[Block]:
        for element in row[name]:
            yield from verdicts(element["checks"], "  ".join(str(element[title]) for title in titles))

    return part


def verdicts(found: Any, title: str = "") -> Iterator[Verdicts]:
    """The verdicts of a struct `checks`; nothing if it is none."""
    if not isinstance(found, Mapping):
        return
    items: list[tuple[str, bool | str]] = []
    for name, value in found.items():
        if value is not None:
            shown = f"{value:.2f}" if isinstance(value, float) else str(value)
            items.append((name, value if isinstance(value, bool) else shown))
    yield Verdicts(items, title)
