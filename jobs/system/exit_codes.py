"""Exit codes, and which of them an exception means.

    0  done            2  a mistake in the command, its options or its input: one line
    1  a bug           3  finished, but some of the input could not be read, or more than 1% of it met a bug
    4  finished, but the input is another one since it was planned      5  finished with fewer rows than asked for
    128 + n  stopped by signal n

Of several, the first in `ORDER` is the command's.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from jobs.system.signals import how_it_ended
from model.errors import ConfigError

DONE, BUG, USER_ERROR, FAILED_UNITS, INPUT_CHANGED, LOW_YIELD = 0, 1, 2, 3, 4, 5
READER_GONE: Final = 141  # 128 + SIGPIPE, as in shells
ORDER: Final = (BUG, USER_ERROR, FAILED_UNITS, LOW_YIELD, INPUT_CHANGED)


def in_order(codes: Collection[int]) -> list[int]:
    """The exit codes that apply, without repetition, the one of the command first; none if all is well.

    >>> in_order([4, 0, 2, 4])
    [2, 4]
    """
    return [code for code in ORDER if code in codes]


def first_of(codes: Collection[int]) -> int:
    """The exit code of a command of which all these hold.

    >>> first_of([4, 5]), first_of([])
    (5, 0)
    """
    return next(iter(in_order(codes)), DONE)


def code_of(error: BaseException) -> int:
    """The exit code of a command that this exception has ended."""
    if isinstance(error, ConfigError):
        return USER_ERROR
    return how_it_ended(error)[1] if isinstance(error, KeyboardInterrupt) else BUG
