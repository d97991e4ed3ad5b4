"""Shows a middle in place, between the end of its prefix and the start of its suffix, and the original middle."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import RenderableType
from rich.text import Text

from jobs.terminal.escapes import visible
from jobs.terminal.text import CONTEXT, FAINT, GENERATED, ORIGINAL, two_columns


def middle_in_place(row: Mapping[str, Any], context_lines: int) -> Iterator[RenderableType]:
    """Yields the lines that show one row of `codemill infill`, except its facts and checks."""
    before = "".join(row["prefix"].splitlines(keepends=True)[-context_lines:])
    after = "".join(row["suffix"].splitlines(keepends=True)[:context_lines])
    original, generated = row.get("original_middle"), row["generated_middle"]
    yield _code(before, generated, after, mark="+", style=GENERATED)
    if original == generated:
        yield Text("  identical to the original", style=FAINT)
    elif original is not None:
        # Only the lines that the original touches; the others are shown above.
        line_before = before.rsplit("\n", 1)[-1]
        line_after = after.split("\n", 1)[0] if not original.endswith("\n") else ""
        yield _code(line_before, original, line_after, mark="-", style=ORIGINAL)


def _code(before: str, middle: str, after: str, *, mark: str, style: str) -> RenderableType:
    """The three parts in sequence, with `mark` at each line that contains a part of the middle."""
    grid = two_columns()
    text = Text()
    for part, part_style in ((before, CONTEXT), (middle, style), (after, CONTEXT)):
        text.append(visible(part.replace("\r\n", "\n")), style=part_style)
    text.expand_tabs(4)
    for line in text.split("\n", allow_blank=not text.plain.endswith("\n")):
        is_middle = any(span.style == style for span in line.spans)
        grid.add_row(Text(mark, style=style) if is_middle else Text(), line)
    return grid
