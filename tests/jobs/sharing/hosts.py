"""Hosts of the toy job for tests that stop and kill them: `python -m tests.jobs.sharing.hosts JOB NAME SETTINGS`.

Settings, as JSON: `options` of the toy, `workers`, `stale_s`, `clock_s` (by how much the host's clock is wrong), and
`dies_with_worker` (it is the machine that dies, and a worker is only the first of its processes).
"""

from __future__ import annotations

import json
import logging
import os
import signal
import subprocess
import sys
import time
from typing import Any

from jobs.execution.orders import Orders
from jobs.execution.supervisor import Crew
from jobs.execution.worker import RunSpec
from jobs.ledger.claimants import Claimant, list_claimants, new_claimant, read_claimant
from jobs.sharing.claimed import run_claimed
from jobs.storage.folders import JobFolder
from jobs.system.signals import signals_raised
from tests.jobs import toy
from tests.jobs.uppercase import ROOT


def run_host(
    job_dir: JobFolder, name: str, *, options: dict | None = None, workers: int = 1, stale_s: float = 60.0
) -> None:
    """Runs units of the toy job as one of several hosts."""
    orders = Orders(job_name="tests.jobs.toy", options=options or {})
    spec = RunSpec(job_dir=job_dir, schema=toy.SCHEMA, config_hash=toy.CONFIG_HASH, max_units_in_flight=1)
    crew = Crew(workers)
    try:
        run_claimed(spec, orders, crew, new_claimant(name), stale_s=stale_s)
    finally:
        crew.close()


class Hosts:
    """Hosts in processes of their own; what is left of them ends with the block."""

    def __init__(self, job_dir: JobFolder):
        self.job_dir = job_dir
        self.processes: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, *, environment: dict[str, str] | None = None, **settings: Any) -> None:
        words = [sys.executable, "-m", "tests.jobs.sharing.hosts", str(self.job_dir), name, json.dumps(settings)]
        self.processes[name] = subprocess.Popen(
            words, cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT), **(environment or {})}
        )

    def signal(self, name: str, number: int) -> None:
        """Sends a signal to the host's own process, not to its workers."""
        self.processes[name].send_signal(number)

    def wait(self, *names: str) -> list[int]:
        return [self.processes[name].wait(timeout=240) for name in names]

    def seen(self, name: str) -> Claimant | None:
        """The last heartbeat of a host."""
        for claimant_id in list_claimants(self.job_dir):
            found = read_claimant(self.job_dir, claimant_id)
            if found is not None and found[1].name == name:
                return found[1]
        return None

    def wait_until_busy(self, name: str) -> None:
        wait_until(lambda: (seen := self.seen(name)) is not None and bool(seen.in_flight), f"{name} to be busy")

    def __enter__(self) -> Hosts:
        return self

    def __exit__(self, *error: object) -> None:
        for process in self.processes.values():
            if process.poll() is None:
                process.send_signal(signal.SIGCONT)
                process.kill()
                process.wait()


def wait_until(condition: Any, what: str) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, f"waited too long: {what}"
        time.sleep(0.05)


def main(folder: str, name: str, given: str) -> None:
    settings = json.loads(given)
    logging.basicConfig(level=logging.INFO)
    if (clock_s := settings.pop("clock_s", 0.0)) != 0.0:
        right = time.time
        time.time = lambda: right() + clock_s
    if settings.pop("dies_with_worker", False):
        Crew.bury = lambda self, number: os.kill(os.getpid(), signal.SIGKILL)
    with signals_raised():
        run_host(JobFolder(folder), name, **settings)


if __name__ == "__main__":
    main(*sys.argv[1:])
