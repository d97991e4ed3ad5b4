"""Commands of codemill as the cluster tests run them, their processes on this machine, and what they wrote."""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.processes import with_environment
from jobs.ledger.claimants import list_claimants, read_claimant
from jobs.storage.folders import OutputFolder
from tests.cluster.machines import ROOT

END_S = 400.0  # in which a command must end, on a machine that does other work
MARK = "CODEMILL_CLUSTER_TEST"  # in the environment of every worker that the boot command starts
HARNESS, BOOT, CHILD = "jobs.beam.harness", "beam-worker", "jobs.execution.child"


class Program:
    """A command of codemill in a process group of its own, with its output in a file.

    Args:
        words: The job with its flags; a module's name where it has a dot.
        log: The file.
        environment: Variables beside those of this process.
    """

    def __init__(self, words: Sequence[str], log: Path, environment: Mapping[str, str] | None = None):
        job, *flags = words
        program = ["-m", job] if "." in job else ["-m", "jobs", job]
        self._log = log
        self._began = time.monotonic()
        with self._log.open("ab") as said:
            self._process = subprocess.Popen(
                [sys.executable, "-P", *program, *flags],
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})},
                process_group=0,
            )

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def said(self) -> str:
        """What the command printed, that of earlier runs on this output included."""
        return self._log.read_text(errors="replace")

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    @property
    def is_running(self) -> bool:
        return self._process.poll() is None

    def wait(self) -> int:
        """Waits for the command's end; returns its exit code."""
        try:
            return self._process.wait(END_S)
        finally:
            self.kill()

    def kill(self) -> None:
        """SIGKILL to the command and its group."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()


class Command(Program):
    """A job, with its output folder.

    Args:
        words: The job with its flags.
        output: The output folder.
        beam_flags: Beam's flags; none for this machine.
    """

    def __init__(self, words: Sequence[str], output: Path, beam_flags: Sequence[str] = ()):
        self.output = output
        beam = ["--", *beam_flags] if beam_flags else []
        super().__init__([*words, "--output", str(output), *beam], output.with_name(f"{output.name}.log"))

    def wait_for_commits(self, number: int) -> None:
        """Waits until so many units are committed. Raises AssertionError if the command ends before."""
        until(lambda: commits_in(self.output) >= number or not self.is_running)
        assert self.is_running, self.said


class Host(Program):
    """`codemill work`: one worker of a job that a driver plans, under the name `name`.

    Args:
        output: The job's output folder.
        name: The host's name.
        mark: What `workers` finds its processes by.
    """

    def __init__(self, output: Path, name: str, mark: str):
        self.name = name
        words = ["work", str(output), "--name", name, "--workers", "1"]
        super().__init__(words, output.with_name(f"{output.name}-{name}.log"), {MARK: mark, "JAX_PLATFORMS": "cpu"})


def units_by_host(output: Path) -> dict[str, int]:
    """How many units each `codemill work` has committed, by the host's name."""
    job_dir = OutputFolder(str(output)).job
    found = [read_claimant(job_dir, one) for one in list_claimants(job_dir)]
    return {claimant.name: claimant.units_done for _, claimant in filter(None, found)}


def commits_in(output: Path) -> int:
    """The number of committed units."""
    return sum(1 for _ in (output / "_job" / "commits").glob("*.json"))


def until(holds: Callable[[], bool]) -> None:
    """Waits until a condition holds. Raises TimeoutError."""
    deadline = time.monotonic() + END_S
    while not holds():
        if time.monotonic() > deadline:
            raise TimeoutError(f"not within {END_S:g} s")
        time.sleep(0.05)


def workers(mark: str, part: str) -> list[int]:
    """The processes of workers whose command has a part, such as `HARNESS`."""
    return sorted(pid for pid, command in with_environment(f"{MARK}={mark}").items() if part in command)


def are_gone(pids: Sequence[int]) -> bool:
    """Whether none of the processes is alive."""
    return not any(Path("/proc", str(pid)).exists() for pid in pids)


def rows_sha256(output: Path) -> dict[str, str]:
    """A hash of the sorted rows of `data` and of `rejected`."""
    return {part: _sha256_of(output / part) for part in ("data", "rejected")}


def _sha256_of(folder: Path) -> str:
    tables = [pq.read_table(path) for path in sorted(folder.glob("*.parquet"))]
    rows = sorted(json.dumps(row, sort_keys=True, default=str) for table in tables for row in table.to_pylist())
    return hashlib.sha256("\n".join(rows).encode()).hexdigest()
