r"""Middles as an editor asks for them: from where a cursor may stand to where what is typed there ends.

    partial_name    total = sum(va⟦lues)⟧       amid a name; to its end, its call's, or its line's
    after_dot       self.⟦scale(area)⟧          after `.`, `->`, `::`; likewise
    in_arguments    area(width, ⟦height⟧)       after `(` or `,`; to the argument's end, or the list's
    line_end        for name in names:⟦⏎        at a line's end; the rest of the block
                        print(name)⟧
    empty_line      ⟦total = 0⟧                 on a line with nothing but its indentation; one to three statements

Brackets are balanced in all of them: editors close what one opens, so a middle ends before a bracket that closes what
the prefix opened. Only `line_end` starts with blanks, those of the line's end. Positions are read from the masked file
(`transforms.fim.line_runs`), so no cursor stands in a string or a comment, except on an empty line before one.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable, Iterator
from typing import Final

from transforms.fim.line_runs import Lines

# Of a line with more characters, as generated ones have, only so many are looked at.
_MAX_LINE_CHARS: Final = 1000
_MAX_STATEMENTS: Final = 3

_NAME: Final = re.compile(r"[^\W\d]\w{2,}")
_NAME_END: Final = re.compile(r"\w*")
_MEMBER: Final = re.compile(r"(?:\.|->|::)(?=[^\W\d])")
_CALL: Final = re.compile(r"\w[!?]?\((?![ \t]*\))")
_BRACKET: Final = re.compile(r"[][(){},]")


def draw_cursor(
    lines: Lines, kind: str, rng: random.Random, *, max_lines: int, max_chars: int
) -> tuple[int, int] | None:
    """Draws a middle of one of `CURSOR_KINDS`, in characters of the file; None if the line that is drawn has none.

    Args:
        lines: The file.
        kind: The kind.
        rng: Draws line, cursor and end.
        max_lines: Most lines of a middle that takes complete lines.
        max_chars: Most characters of a middle.
    """
    index = rng.randrange(len(lines))
    if kind == "line_end":
        return _line_end(lines, index, max_lines, max_chars)
    if kind == "empty_line":
        ends = list(_first(lines.run_ends(index, max_lines, max_chars), _MAX_STATEMENTS))
        return (lines[index].start, lines[rng.choice(ends)].end) if ends else None
    return _WITHIN_LINE[kind](lines, index, rng, max_chars)


def _first(ends: Iterator[int], count: int) -> Iterator[int]:
    for _, end in zip(range(count), ends, strict=False):
        yield end


def _line_end(lines: Lines, index: int, max_lines: int, max_chars: int) -> tuple[int, int] | None:
    """The rest of the block: all of one that the line opens, else up to a blank line."""
    line, following = lines[index], lines.beside(index, 1)
    if line.start == line.end or following is None or lines[following].indentation < line.indentation:
        return None
    opens = lines[following].indentation > line.indentation
    if following > index + 1 and not opens:
        return None
    ends = []
    for end in lines.run_ends(following, max_lines, max_chars):
        if not opens and any(lines[between].start == lines[between].end for between in range(following, end)):
            break
        ends.append(end)
    return (line.end, lines[ends[-1]].end) if ends else None


def _partial_name(lines: Lines, index: int, rng: random.Random, max_chars: int) -> tuple[int, int] | None:
    names = list(_NAME.finditer(lines.masked, *_searched(lines, index)))
    if not names:
        return None
    name = rng.choice(names)
    cursor = rng.randrange(name.start() + 1, name.end())
    return cursor, rng.choice(_ends(lines, index, cursor, max_chars))


def _after_dot(lines: Lines, index: int, rng: random.Random, max_chars: int) -> tuple[int, int] | None:
    cursors = [match.end() for match in _MEMBER.finditer(lines.masked, *_searched(lines, index))]
    if not cursors:
        return None
    cursor = rng.choice(cursors)
    return cursor, rng.choice(_ends(lines, index, cursor, max_chars))


def _in_arguments(lines: Lines, index: int, rng: random.Random, max_chars: int) -> tuple[int, int] | None:
    masked = lines.masked
    calls = [match.end() for match in _CALL.finditer(masked, *_searched(lines, index))]
    if not calls:
        return None
    opened = rng.choice(calls)
    closed, commas = _reach(masked, opened, opened + 2 * max_chars)
    if not masked.startswith(")", closed):
        return None
    starts = [opened, *(comma + 1 for comma in commas)]
    place = rng.randrange(len(starts))
    cursor, end = starts[place], rng.choice([[*commas, closed][place], closed])
    text = lines.text[cursor:end]
    start, end = cursor + len(text) - len(text.lstrip()), cursor + len(text.rstrip())
    return (start, end) if start < end else None


_WITHIN_LINE: Final[dict[str, Callable[[Lines, int, random.Random, int], tuple[int, int] | None]]] = {
    "partial_name": _partial_name,
    "after_dot": _after_dot,
    "in_arguments": _in_arguments,
}
CURSOR_KINDS: Final = (*_WITHIN_LINE, "line_end", "empty_line")


def _searched(lines: Lines, index: int) -> tuple[int, int]:
    line = lines[index]
    return line.start, min(line.start + len(line.code), line.start + _MAX_LINE_CHARS)


def _ends(lines: Lines, index: int, cursor: int, max_chars: int) -> list[int]:
    """Where a middle that starts amid or before a name may end: with the name, with its call, with its line."""
    masked, line = lines.masked, lines[index]
    match = _NAME_END.match(masked, cursor)
    assert match is not None
    ends = [match.end()]
    if masked.startswith("(", ends[0]):
        closed, _ = _reach(masked, ends[0] + 1, ends[0] + max_chars)
        if masked.startswith(")", closed):
            ends.append(closed + 1)
    reached, _ = _reach(masked, cursor, line.start + len(line.code))
    ends.append(cursor + len(lines.text[cursor:reached].rstrip()))
    return [end for end in dict.fromkeys(ends) if end > cursor]


def _reach(masked: str, start: int, stop: int) -> tuple[int, list[int]]:
    """How far the text from `start` is balanced, at most to `stop`, and the commas on the way outside of brackets.

    It ends before a bracket that closes what it didn't open, or before one that is not closed by `stop`.
    """
    opened: list[int] = []
    commas: list[int] = []
    for match in _BRACKET.finditer(masked, start, min(stop, len(masked))):
        char = match[0]
        if char == ",":
            if not opened:
                commas.append(match.start())
        elif char in "([{":
            opened.append(match.start())
        elif not opened or masked[opened[-1]] + char not in ("()", "[]", "{}"):
            stop = match.start()
            break
        else:
            opened.pop()
    reached = opened[0] if opened else min(stop, len(masked))
    return reached, [comma for comma in commas if comma < reached]
