"""A host joins a job that a driver has planned, and runs units until none is left (`codemill work OUT`).

    wait for the invitation -> check versions and what it sees -> claim and run units -> leave

Any number of hosts may join and leave at any time. A host that is told to stop drops what is in flight and gives its
claims up with its last heartbeat, so others need not wait until they are stale.
"""

from __future__ import annotations

import contextlib
import dataclasses
import socket
import sys
import time
from collections.abc import Callable, Mapping
from typing import Any

from jobs import storage
from jobs.catalog import module_of, options_of
from jobs.execution.orders import Orders
from jobs.execution.processes import Processes, processes_of
from jobs.execution.supervisor import Crew, uncommitted
from jobs.execution.worker import RunSpec
from jobs.growth.editions import is_of_edition, newest
from jobs.growth.rows import identity_map
from jobs.ledger.claimants import new_claimant
from jobs.ledger.completed import read_completed
from jobs.options import GrowOptions, from_all_options
from jobs.plan.job_file import read_job
from jobs.plan.needs import check_needs
from jobs.sharing.claimed import run_claimed
from jobs.sharing.invitation import Invitation, other_versions, read_invitation
from jobs.sharing.last_lines import LastLines
from jobs.storage.folders import OutputFolder
from jobs.terminal.wording import counted
from model.errors import ConfigError
from transforms.work import Work

_POLL_S = 2.0
_STAY_POLL_S = 10.0  # a look costs a listing of all commits

Say = Callable[[str], None]


def run_claimed_units(
    output: OutputFolder,
    *,
    name: str | None = None,
    changes: Mapping[str, Any] | None = None,
    wait_s: float = 0.0,
    stay: bool = False,
    say: Say = lambda line: None,
) -> int:
    """Joins a job and runs the units that this host claims, until every unit of the job is committed.

    It may be called in any thread that lives as long as the process (a slot of a Beam runner, for example), since the
    worker processes die with that thread.

    Args:
        output: The job's output folder, as this host sees it.
        name: What this host is called; None for the host's name and the task's in an array.
        changes: Options of the job that are others here (`workers`, ...), by name.
        wait_s: How long to wait for a driver that has not planned the job yet.
        stay: Whether to stay until the driver has finished the output, in case units must run again.
        say: Tells the user.

    Returns:
        The number of units that this host has committed.

    Raises:
        ConfigError, StorageFull: This host can't join or can't go on; the one-line message says why.
        WorkerFailed: A bug.
    """
    invitation = _wait_for_invitation(output, wait_s, say)
    if invitation is None:
        return 0
    output = newest(output)
    for line in other_versions(invitation):
        say(f"note: {line}; rows may differ")
    check_needs(invitation.needs, invitation.driver)
    orders = _orders_here(invitation, output, changes or {})
    work = orders.make_work()
    processes = _processes(orders, work)
    spec = _spec_of(output, processes, invitation.run_id)
    me = new_claimant(name)
    say(f"{me.name} joins {output}: {counted(processes.workers, 'worker')}, driver on {invitation.driver}")
    crew = Crew(processes.workers)
    done = 0
    try:
        with _last_lines() as lines:
            done += run_claimed(spec, orders, crew, me, stale_s=invitation.stale_s, last_lines=lines)
            while stay and not is_of_edition(read_completed(output), output):
                time.sleep(_STAY_POLL_S)
                if uncommitted(spec):
                    me = new_claimant(name)
                    done += run_claimed(spec, orders, crew, me, stale_s=invitation.stale_s, last_lines=lines)
    finally:
        crew.close()
    return done


@contextlib.contextmanager
def _last_lines() -> Any:
    """Remembers the last lines on standard error while the block runs."""
    kept = LastLines(sys.stderr)
    with contextlib.redirect_stderr(kept):
        yield kept


def _wait_for_invitation(output: OutputFolder, wait_s: float, say: Say) -> Invitation | None:
    """Returns the invitation once there is one; None if the output is complete."""
    deadline = time.monotonic() + wait_s
    is_told = False
    while True:
        output = newest(output)
        if is_of_edition(read_completed(output), output):
            say(f"{output} is complete; nothing to do")
            return None
        if (found := read_invitation(output.job)) is not None:
            if not found.is_shared:
                raise ConfigError(
                    f"the driver of {output} on {found.driver} runs all units itself; run its command with "
                    "--run_units shared or elsewhere, so that others can help"
                )
            return found
        if time.monotonic() >= deadline:
            here = socket.gethostname()
            unshared = f", and that {here} sees the same folder as the driver" if storage.is_local(output.path) else ""
            raise ConfigError(
                f"no job was planned in {output} within {wait_s:,.0f} s; check that its driver runs with --run_units "
                f"shared or elsewhere{unshared}"
            )
        if not is_told:
            say(f"waiting for a driver to plan {output}")
            is_told = True
        time.sleep(min(_POLL_S, max(0.0, deadline - time.monotonic())))


def _orders_here(invitation: Invitation, output: OutputFolder, changes: Mapping[str, Any]) -> Orders:
    orders = invitation.orders
    options = {**orders.options, "output": output.path}
    for option, value in changes.items():
        if value is not None and option in options:
            options[option] = value
    return dataclasses.replace(
        orders, options=options, row_timeout_s=options.get("row_timeout_s", orders.row_timeout_s)
    )


def _processes(orders: Orders, work: Work) -> Processes:
    options = from_all_options(module_of(orders.job_name).Options, orders.options)
    return processes_of(options, work)


def _spec_of(output: OutputFolder, processes: Processes, run_id: str) -> RunSpec:
    job = read_job(output)
    if job is None:
        raise ConfigError(f"{output.job.job_file} is missing, although a driver has planned the job; restore it")
    return RunSpec(
        job_dir=output.job,
        config_hash=job.config_hash,
        schema=job.read_schema,
        identified_by=identity_map(job, job.column_map) if issubclass(options_of(job.job), GrowOptions) else None,
        max_units_in_flight=processes.max_units_in_flight,
        max_bytes_in_flight=processes.max_bytes_in_flight,
        run_id=run_id,
    )
