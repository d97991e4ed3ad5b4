"""Counts in messages."""

from __future__ import annotations


def counted(number: int, noun: str, plural: str = "") -> str:
    """A number with its noun, in the plural unless the number is 1.

    >>> counted(1, "row"), counted(1204, "row"), counted(0, "file"), counted(2, "entry", "entries")
    ('1 row', '1,204 rows', '0 files', '2 entries')
    """
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
