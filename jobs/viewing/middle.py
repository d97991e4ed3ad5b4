"""Shows a middle as a diff in its place, between the end of its prefix and the start of its suffix.

      def area(a, b):
    -     return a * b  # meters
    +     return a + b  # meters

Only lines that a middle touches are compared, so an equal line elsewhere can't be taken for its counterpart.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from jobs.terminal.escapes import shown_lines
from jobs.viewing.blocks import CONTEXT, GENERATED, Block, Lines, note
from jobs.viewing.diffs import diff_lines


def middle_in_place(row: Mapping[str, Any], context_lines: int) -> Iterator[Block]:
    """Yields the blocks that show one row of `codemill infill`, except its facts and checks."""
    before = row["prefix"].splitlines(keepends=True)[-context_lines:]
    after = row["suffix"].splitlines(keepends=True)[:context_lines]
    head = before.pop() if before and not before[-1].endswith("\n") else ""
    tail = after.pop(0) if after else ""
    original, generated = row.get("original_middle"), row["generated_middle"]
    new = shown_lines(head + generated + tail)
    if original is None or original == generated:
        touched = len(shown_lines(head + generated)) if generated else 0
        changed = [(GENERATED if number < touched else CONTEXT, line) for number, line in enumerate(new)]
    else:
        changed = list(diff_lines(shown_lines(head + original + tail), new))
    yield Lines([*_context(before), *changed, *_context(after)])
    if original == generated:
        yield note("  identical to the original")


def _context(lines: list[str]) -> list[tuple[str, str]]:
    return [(CONTEXT, line) for line in shown_lines("".join(lines))]
