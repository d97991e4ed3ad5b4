"""What a row is shown as, whatever shows it: lines with a mark, facts and verdicts.

`jobs.terminal.show` draws blocks in a terminal and `jobs.viewing.markup` in HTML. A mark tells what a line is, so that
no color is needed:

    +  generated      -  original      @  a place in a diff      *  a heading      ~  unimportant      (blank)  context

Texts are as they are in the row: whoever draws a block escapes them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

GENERATED, ORIGINAL, PLACE, HEADING, FAINT, CONTEXT = "+", "-", "@", "*", "~", " "

MarkedLine: TypeAlias = tuple[str, str]  # the mark, and the line without its end


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines, each with its mark."""

    lines: Sequence[MarkedLine]


@dataclass(frozen=True, slots=True)
class Verdicts:
    """What was checked: names, each with a truth value or with the text of another value."""

    items: Sequence[tuple[str, bool | str]]
    title: str = ""


@dataclass(frozen=True, slots=True)
class Value:
    """A column's value under the column's name."""

    name: str
    lines: Sequence[MarkedLine]


Block: TypeAlias = Lines | Verdicts | Value


def note(text: str) -> Lines:
    """One unimportant line."""
    return Lines([(FAINT, text)])


def texts_in(block: Block) -> Iterator[str]:
    """All text that a block shows."""
    if isinstance(block, Verdicts):
        yield block.title
        yield from (f"{name} {value}" for name, value in block.items)
        return
    if isinstance(block, Value):
        yield block.name
    yield from (line for _, line in block.lines)
