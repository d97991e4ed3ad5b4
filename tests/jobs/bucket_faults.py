"""A job in a bucket behind a proxy that injects faults, killed and run again until it is complete."""

from __future__ import annotations

import base64
import os
import random
import subprocess
import sys
from dataclasses import dataclass, field
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from tests.fault_proxy import FaultProxy
from tests.jobs import uppercase

MAX_RUNS = 40
_DONE, _USER_ERROR = 0, 2


@dataclass
class Outcome:
    """Of all runs together: how many were killed and how many the storage stopped; what went wrong otherwise."""

    killed: int = 0
    stopped: int = 0
    faulty: list[str] = field(default_factory=list)


def write_inputs(root: str, folder: Path, *, files: int, rows: int, large_rows: int = 0) -> None:
    """Puts a corpus into the bucket, with rows so large that the files of their units need upload sessions."""
    for number in range(files):
        path = uppercase.write_corpus(folder / f"{number:03d}.parquet", rows, seed=number)
        storage.write_bytes(f"{root}/in/{path.name}", path.read_bytes())
    if large_rows:
        draw = random.Random(0)
        contents = [base64.b64encode(draw.randbytes(3 << 20)).decode() for _ in range(large_rows)]
        names = [f"src/large{number}.py" for number in range(large_rows)]
        table = pa.table({"content": contents, "path": names, "stars": list(range(large_rows))})
        pq.write_table(table, folder / "large.parquet", row_group_size=2)
        storage.write_bytes(f"{root}/in/large.parquet", (folder / "large.parquet").read_bytes())


def command(root: str, output: str, *flags: str, module: str = uppercase.NAME) -> list[str]:
    words = [sys.executable, "-W", "ignore", "-m", module, "--progress", "none"]
    return [*words, "--input", f"{root}/in/*.parquet", "--output", f"{root}/{output}", *flags]


def start(words: list[str], **environment: str) -> subprocess.Popen[str]:
    paths = {"PYTHONPATH": str(uppercase.ROOT)}
    return subprocess.Popen(
        words, env={**os.environ, **paths, **environment}, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
    )


def finish(words: list[str], **environment: str) -> None:
    """Runs a job that nothing disturbs."""
    process = start(words, **environment)
    _, said = process.communicate()
    assert process.returncode == _DONE, said


def run_until_done(words: list[str], proxy: FaultProxy, kill_after: list[int]) -> Outcome:
    """Runs the command until it succeeds; `kill_after` gives the requests after which each of the first runs is killed.

    A storage that fails too often in a row stops the job with one line, after which a user runs it again.
    """
    outcome = Outcome()
    kills = list(kill_after)
    for _ in range(MAX_RUNS):
        process = start(words, STORAGE_EMULATOR_HOST=proxy.url)
        if kills:
            proxy.wait_for(proxy.requests + kills.pop(0), unless=lambda: process.poll() is not None)  # noqa: B023
            process.kill()
        _, said = process.communicate()
        if process.returncode == _DONE:
            return outcome
        if process.returncode < 0:
            outcome.killed += 1
        elif process.returncode == _USER_ERROR and "Traceback" not in said:
            outcome.stopped += 1
        else:
            outcome.faulty.append(said)
            return outcome
    outcome.faulty.append(f"not complete after {MAX_RUNS} runs")
    return outcome


def rows_of(output: str) -> dict[str, list[dict]]:
    """All rows of an output in a bucket, by folder, in the order of the shards."""
    found: dict[str, list[dict]] = {"data": [], "rejected": []}
    for folder, rows in found.items():
        for path in storage.glob(f"{output}/{folder}/*.parquet"):
            with storage.open_input(path) as file:
                rows += pq.read_table(file).to_pylist()
    return found
