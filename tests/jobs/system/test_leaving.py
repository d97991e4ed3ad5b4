"""A command ends with its own exit code, whatever threads of libraries do meanwhile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
# A thread reads Parquet, and Arrow's own threads read ahead, from a file that answers after the command has ended.
READING = """
import atexit, io, sys, threading, time
import jobs.__main__
import pyarrow as pa, pyarrow.parquet as pq

data, is_slow = io.BytesIO(), threading.Event()
pq.write_table(pa.table({"a": range(9000)}), data, row_group_size=1000)

class Slow(io.BytesIO):
    def read(self, *size):
        if is_slow.is_set():
            reached.set()
            time.sleep(0.7)
        return super().read(*size)

reached = threading.Event()
parquet = pq.ParquetFile(Slow(data.getvalue()), pre_buffer=True)
is_slow.set()
threading.Thread(target=lambda: list(parquet.iter_batches(100)), daemon=True).start()
reached.wait()
atexit.register(print, "and what runs at exit", flush=False)
"""


def run(end: str) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-c", READING + end]
    return subprocess.run(words, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)


@pytest.mark.parametrize("code", [0, 3])
def test_a_thread_that_reads_while_a_command_ends_does_not_change_its_exit_code(code: int) -> None:
    end = f"jobs.__main__.cli.main = lambda: print('done') or {code}\nsys.exit(jobs.__main__.main())"
    ended = run(end)
    assert (ended.returncode, ended.stdout) == (code, "done\nand what runs at exit\n"), ended.stderr


def test_an_output_that_can_not_be_flushed_is_still_an_error() -> None:
    end = "sys.stdout = open('/dev/full', 'w')\njobs.__main__.cli.main = lambda: 0\nsys.exit(jobs.__main__.main())"
    assert run(end).returncode != 0
