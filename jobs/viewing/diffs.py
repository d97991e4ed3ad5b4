"""Lines that differ between two texts."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Sequence
from typing import Final

from jobs.viewing.blocks import CONTEXT, GENERATED, ORIGINAL, PLACE, MarkedLine

_MAX_LINES: Final = 20_000  # of both texts; comparing takes seconds beyond
_MAX_PAIRS: Final = 250_000  # of lines; beyond, lines that recur often aren't compared: it may take half a minute


def diff_lines(old: Sequence[str], new: Sequence[str], context_lines: int | None = None) -> Iterator[MarkedLine]:
    """Yields old and new lines together, each removed one before what replaces it.

    Args:
        old, new: The lines.
        context_lines: Equal lines shown around each difference, with a line that tells the place before each group;
            None shows all.

    >>> list(diff_lines(["a", "b"], ["a", "c"]))
    [(' ', 'a'), ('-', 'b'), ('+', 'c')]
    """
    if len(old) + len(new) > _MAX_LINES:
        yield from ((ORIGINAL, line) for line in old)
        yield from ((GENERATED, line) for line in new)
        return
    matcher = difflib.SequenceMatcher(None, old, new, autojunk=len(old) * len(new) > _MAX_PAIRS)
    if context_lines is None:
        yield from _lines(matcher.get_opcodes(), old, new)
        return
    for group in matcher.get_grouped_opcodes(context_lines):
        first, last = group[0], group[-1]
        yield PLACE, f"@@ -{_span(first[1], last[2])} +{_span(first[3], last[4])} @@"
        yield from _lines(group, old, new)


def _lines(
    opcodes: Sequence[tuple[str, int, int, int, int]], old: Sequence[str], new: Sequence[str]
) -> Iterator[MarkedLine]:
    for kind, old_start, old_end, new_start, new_end in opcodes:
        if kind == "equal":
            yield from ((CONTEXT, line) for line in old[old_start:old_end])
            continue
        yield from ((ORIGINAL, line) for line in old[old_start:old_end])
        yield from ((GENERATED, line) for line in new[new_start:new_end])


def _span(start: int, end: int) -> str:
    """A range of lines as unified diffs write it."""
    length = end - start
    first = start + 1 if length else start
    return str(first) if length == 1 else f"{first},{length}"
