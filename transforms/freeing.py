"""Gives back memory that was freed: allocators keep it for what comes next, and what comes next may be small.

    Arrow     keeps pages of its pool
    malloc    keeps what lies below the highest block in use: of numpy's arrays, tens of megabytes

Cost: some milliseconds, and the time to fault pages in again; for the end of a stage, not of a unit.
"""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable

import pyarrow as pa


def give_back_memory() -> None:
    """Gives freed memory back to the system, as far as the platform can."""
    pa.default_memory_pool().release_unused()
    _trim()(0)


@functools.cache
def _trim() -> Callable[[int], object]:
    """glibc's `malloc_trim`, or what does nothing; looked for once, since each handle is a cycle of objects."""
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (AttributeError, OSError):
        return lambda kept: None
    return found
