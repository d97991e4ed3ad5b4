"""Runs the units that this harness claims, where a runner's elements are slots instead of units.

    slot 0, 1, 2, ... -> Reshuffle -> the first one that reaches a harness claims and runs units until none is left;
                                      the others that reach it end at once

Flink, Spark and Prism spread elements once, round robin: a worker that is done early gets nothing from one that is not.
So hosts take their units by themselves (`jobs.sharing.claimed`), and the runner only places the hosts. A slot that runs
again after a failure finds what is committed; what a dead host had claimed is claimed again.
"""

from __future__ import annotations

import os
import threading

from jobs.execution.crew import Crew
from jobs.execution.orders import failure_of
from jobs.hosts.host import HostSpec
from jobs.hosts.neighbors import Neighbors
from jobs.hosts.stopping import write_reason
from jobs.ledger.claimants import new_claimant
from jobs.sharing.claimed import run_claimed

_working = threading.Lock()


def work_in_slot(told: HostSpec) -> int:
    """Runs units until none is left, unless another slot of this process does; returns how many this host committed.

    Raises:
        ConfigError, StorageFull, WorkerFailed: The job can't go on; the reason is left for the driver.
    """
    if not _working.acquire(blocking=False):
        return 0
    try:
        return _work(told)
    except Exception as error:
        write_reason(told.spec.job_dir, failure_of(error))
        raise
    finally:
        _working.release()


def _work(told: HostSpec) -> int:
    neighbors = Neighbors(told.spec.job_dir)
    # Options may name files relative to the driver's folder: a policy, a model.
    folder = told.driver_folder if os.path.isdir(told.driver_folder) else None
    crew = Crew(told.per_host.workers(max(told.sharers, neighbors.count())), folder=folder)
    try:
        return run_claimed(told.spec, told.orders, crew, new_claimant(None))
    finally:
        crew.close()
        neighbors.leave()
