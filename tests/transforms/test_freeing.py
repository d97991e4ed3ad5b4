from __future__ import annotations

import ctypes
import sys
from pathlib import Path

import pytest

from transforms.freeing import give_back_memory


def resident_mb() -> float:
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 1e6


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc and needs glibc")
def test_memory_that_was_freed_below_a_block_in_use_goes_back_to_the_system():
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("this C library has no malloc_trim")
    blocks = [bytearray(b"x" * 100_000) for _ in range(1000)]
    last = blocks[-1]
    full = resident_mb()
    blocks.clear()
    give_back_memory()
    assert full - resident_mb() > 80
    assert len(last) == 100_000
