"""A host's part of its machine: its worker processes, how many, and how its end is told.

Hosts that are pushed units (`jobs.hosts.host`) and hosts that claim them (`jobs.hosts.slots`) share it. Of hosts that
share a machine each takes its part of the cores, also of those that come and go while it works
(`jobs.hosts.neighbors`).
"""

from __future__ import annotations

import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

from jobs.errors import WorkerFailed
from jobs.execution.crew import Crew
from jobs.execution.orders import Orders, failure_of
from jobs.execution.processes import PerHost
from jobs.execution.worker import RunSpec
from jobs.hosts.neighbors import Neighbors
from jobs.hosts.stopping import write_reason


@dataclass(frozen=True, kw_only=True, slots=True)
class HostSpec:
    """What a host needs; small and picklable.

    Args:
        run: Unique to one run of the pipeline: a harness that outlives it starts a new host for the next.
        spec: The workers' settings.
        orders: How the work is made.
        per_host: How many workers a host has.
        sharers: Number of harnesses on a machine, as far as the runner's flags say (`Neighbors` counts them).
        driver_host: The driver's machine: errors of others are told with their names.
        driver_folder: The driver's current folder, which is the workers' as well where they see it.
    """

    run: str
    spec: RunSpec
    orders: Orders
    per_host: PerHost = field(default_factory=PerHost)
    sharers: int = 1
    driver_host: str = field(default_factory=socket.gethostname)
    driver_folder: str = field(default_factory=os.getcwd)


@contextlib.contextmanager
def crew_of(told: HostSpec) -> Iterator[tuple[Crew, Callable[[], int]]]:
    """Yields the host's worker processes, of which none has started, and how many it should have as of now.

    Raises:
        ConfigError: The machine's memory doesn't hold as many as are asked for.
    """
    neighbors = Neighbors(told.spec.job_dir)
    neighbors.join()

    def workers() -> int:
        return told.per_host.workers(max(told.sharers, neighbors.count()))

    # Options may name files relative to the driver's folder: a policy, a model.
    folder = told.driver_folder if os.path.isdir(told.driver_folder) else None
    try:
        with contextlib.closing(Crew(workers(), folder=folder)) as crew:
            yield crew, workers
    finally:
        neighbors.leave()


def leave_reason(told: HostSpec, error: BaseException) -> Exception:
    """Leaves for the driver why this host stops the job; returns what to raise here."""
    failure = failure_of(error)
    if (here := socket.gethostname()) != told.driver_host:
        failure["message"] += f" (on the worker {here})"
    write_reason(told.spec.job_dir, failure)
    return error if isinstance(error, Exception) else WorkerFailed(failure["message"])
