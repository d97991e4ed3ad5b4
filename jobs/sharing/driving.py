"""The driver's part in a job whose units run on several hosts (`--run_units shared` or `elsewhere`).

here         the driver runs all units on this machine; nobody else can help
shared       it claims units like every host that joins with `codemill work OUTPUT`
elsewhere    it only plans, waits for the hosts, and finalizes
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from jobs import storage
from jobs.execution.dispatch import Dispatcher
from jobs.execution.orders import Orders
from jobs.execution.supervisor import Crew, check_all_committed, run_source, uncommitted
from jobs.execution.worker import RunSpec
from jobs.ledger.claimants import new_claimant
from jobs.options import OptionSet
from jobs.plan.ranges import PlannedUnits
from jobs.sharing.claimed import run_claimed
from jobs.sharing.invitation import invitation_of, write_invitation
from jobs.sharing.watching import follow_hosts, wait_for_hosts
from transforms.work import Unit

Where = Literal["here", "shared", "elsewhere"]
Say = Callable[[str], None]


class UntilOpened(Dispatcher):
    """No units; done when the first worker has opened its work and asks for one."""

    def __init__(self) -> None:
        super().__init__([], {})
        self._is_opened = False

    @property
    def is_done(self) -> bool:
        return self._is_opened

    def next_for(self, worker: int) -> Unit | None:
        self._is_opened = True
        return None


def invite(spec: RunSpec, orders: Orders, options: OptionSet, where: Where, stale_s: float, crew: Crew) -> None:
    """Tells other hosts what they need to join, or that they can't.

    What the first worker makes for all others (`Work.opens_first`) is made before.
    """
    invitation = invitation_of(
        orders, options, spec.job_dir, is_shared=where != "here", stale_s=stale_s, run_id=spec.run_id
    )
    if invitation.is_shared and orders.opens_first and uncommitted(spec):
        run_source(spec, orders, crew, UntilOpened(), workers=1)
    write_invitation(spec.job_dir, invitation)


def run_shared(spec: RunSpec, orders: Orders, crew: Crew, where: Where, stale_s: float, say: Say) -> None:
    """Has every unit of the plan committed, on this machine and on others. Raises as `run_units` does."""
    if uncommitted(spec):
        if where == "shared":
            with follow_hosts(spec.job_dir, stale_s, say):
                run_claimed(spec, orders, crew, new_claimant(), stale_s=stale_s)
        else:
            say(f"waiting for hosts: start codemill work {spec.job_dir.path.removesuffix('/_job')} on each of them")
            wait_for_hosts(spec.job_dir, len(PlannedUnits(spec.job_dir)), stale_s, say)
    check_all_committed(spec)
    for folder in spec.job_dir.only_while_units_run:  # units that are voided later are claimed anew
        storage.remove_tree(folder)
