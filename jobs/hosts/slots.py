"""Runs the units that this harness claims, where a runner's elements are slots instead of units.

    slot 0, 1, 2, ... -> Reshuffle -> the first one that reaches a harness claims and runs units until none is left;
                                      the others that reach it end at once

Flink, Spark and Prism spread elements once, round robin: a worker that is done early gets nothing from one that is not.
So hosts take their units by themselves (`jobs.sharing.claimed`), and the runner only places the hosts. A slot that runs
again after a failure finds what is committed; what a dead host had claimed is claimed again.
"""

from __future__ import annotations

import threading

from jobs.hosts.machine import HostSpec, crew_of, leave_reason
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
        with crew_of(told) as (crew, workers):
            return run_claimed(told.spec, told.orders, crew, new_claimant(None), workers=workers)
    except Exception as error:
        raise leave_reason(told, error) from None
    finally:
        _working.release()
