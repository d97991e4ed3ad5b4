"""Gives back memory that was freed: allocators keep it for what comes next, and what comes next may be small.

    Arrow     keeps pages of its pool
    malloc    keeps what lies below the highest block in use: of numpy's arrays, tens of megabytes

Cost: some milliseconds, and the time to fault pages in again; for the end of a stage, not of a unit.
"""

from __future__ import annotations

import contextlib
import ctypes

import pyarrow as pa


def give_back_memory() -> None:
    """Gives freed memory back to the system, as far as the platform can."""
    pa.default_memory_pool().release_unused()
    with contextlib.suppress(AttributeError, OSError):  # glibc has it
        ctypes.CDLL(None).malloc_trim(0)
