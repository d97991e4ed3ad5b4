"""The supervisor: keeps a worker process running until all units are committed, however often a row crashes it.

On the local runner, the pipeline runs in a child process. When the child dies (from a signal or `os._exit`), the
supervisor records its death with the units that were in flight and starts a new child. The new child applies the
crash attribution of `jobs.ledger.journal`: suspects run alone, a unit that crashes its worker while running alone is
bisected, and the failing row is rejected. Each death thus narrows down the cause. Deaths that do not narrow it down
end the job with a one-line error:

- `MAX_DEATHS_IN_VAIN` in a row with no unit in flight and none committed (the worker can't even start);
- `MAX_DEATHS_WITHOUT_COMMIT` in a row without any unit finished (the rows are not the cause; memory may be short).

A child that got SIGKILL while its control group counted an out-of-memory kill probably ran out of memory: the death
says so, with what was in flight and which options to lower.

A child that makes no progress for `row_timeout_s` (`jobs.execution.watchdog`) is killed, which counts as a death.

The child dies with the driver (PR_SET_PDEATHSIG). Its death is then not recorded, so a user who kills the job creates
no suspects.
"""

from __future__ import annotations

import dataclasses
import logging
import subprocess
from collections.abc import Mapping

from jobs.child_process import ChildProcess, own_environment
from jobs.errors import StorageFull, WorkerFailed
from jobs.execution.watchdog import Watchdog
from jobs.execution.worker import Orders, RunSpec, spec_to_json
from jobs.ledger import commits, journal
from jobs.plan.units import read_plan
from jobs.storage import is_unanswered
from jobs.storage.failpoints import VARIABLE as FAILPOINT_VARIABLE
from model.errors import ConfigError
from transforms.out_of_memory import count_oom_kills

MAX_DEATHS_IN_VAIN = 2
MAX_DEATHS_WITHOUT_COMMIT = 100
_MEMORY_OPTIONS = ("max_units_in_flight", "max_mb_in_flight", "row_workers", "slots")

_log = logging.getLogger(__name__)


def run_units(spec: RunSpec, orders: Orders, child: ChildProcess | None = None) -> None:
    """Runs every unit of the frozen plan that has no commit yet; returns when all have one.

    Args:
        spec: What to run.
        orders: How the work is made.
        child: The process to use as the first worker; None starts a new one.

    Raises:
        ConfigError, StorageFull: The job can't continue; the one-line message says why. Committed work is kept.
        WorkerFailed: A bug.
    """
    if not uncommitted(spec):
        return
    _supervise(spec, orders, child)
    check_all_committed(spec)


def check_all_committed(spec: RunSpec) -> None:
    """Raises WorkerFailed if a unit has no commit although the pipeline has ended."""
    if left := uncommitted(spec):
        raise WorkerFailed(f"{len(left)} units have no commit although the pipeline has finished, first {min(left)}")


def uncommitted(spec: RunSpec) -> set[str]:
    """Returns the ids of the requested units that have no commit."""
    wanted = spec.only_units
    planned = {unit.unit_id for unit in read_plan(spec.job_dir) if wanted is None or unit.unit_id in wanted}
    return planned - commits.list_commits(spec.job_dir)


def _supervise(spec: RunSpec, orders: Orders, child: ChildProcess | None) -> None:
    environment = own_environment()
    in_vain = without_commit = 0
    committed = len(commits.list_commits(spec.job_dir))
    while True:
        session = journal.new_session(supervised=True)
        watchdog = Watchdog(spec.job_dir, session, orders.row_timeout_s)
        child = child or ChildProcess(environment)
        kills = count_oom_kills()
        end = _run_child(child, dataclasses.replace(spec, session=session), orders, watchdog)
        child = None
        if end.outcome is not None:
            return _conclude(end.outcome)
        # A failpoint simulates one failure, so the next worker must not trigger it again.
        environment.pop(FAILPOINT_VARIABLE, None)
        short = count_oom_kills().explain_since(kills) if end.how == "SIGKILL" else ""
        how = f"{end.how}, {short}" if short else end.how
        death = journal.record_death(spec.job_dir, session, how, hung=end.hung)
        before, committed = committed, len(commits.list_commits(spec.job_dir))
        without_commit = 0 if committed > before else without_commit + 1
        in_vain = 0 if committed > before or death.open else in_vain + 1
        in_flight = ", ".join(sorted(map(_describe, death.open))) or "none"
        advice = f"; {_to_lower(orders)}" if short else ""
        _log.warning("the worker died (%s); units in flight: %s; restarting%s", how, in_flight, advice)
        if in_vain >= MAX_DEATHS_IN_VAIN:
            raise ConfigError(
                f"the worker died {in_vain} times in a row ({how}) before starting any unit; see its output on "
                "standard error; committed work is kept; run the same command again when the cause is fixed"
            )
        if without_commit >= MAX_DEATHS_WITHOUT_COMMIT:
            raise ConfigError(
                f"the worker died {without_commit} times in a row ({how}) without finishing a unit; probably not "
                f"because of single rows; if memory is short, {_to_lower(orders)}; committed work is kept"
            )


def _describe(start: journal.Start) -> str:
    """A unit in flight, and what of it: `000001-ab (being read)`, `000001-ab (rows 0 to 7)`."""
    doing = "being read" if start.phase == "read" else f"rows {start.begin} to {start.end - 1}"
    return f"{start.unit_id} ({doing})"


def _to_lower(orders: Orders) -> str:
    """What to lower to need less memory, of the options that the job has."""
    flags = [f"--{name}" for name in _MEMORY_OPTIONS if name in orders.options]
    return f"lower {', '.join(flags)}" if flags else "give the job more memory"


def _conclude(outcome: Mapping[str, str]) -> None:
    kind, message = outcome["kind"], outcome["message"]
    if kind == "bug":
        raise WorkerFailed(message)
    if kind == StorageFull.__name__:
        raise StorageFull(message)
    if kind != "done":
        raise ConfigError(message)


@dataclasses.dataclass(frozen=True)
class _End:
    """How a worker ended: the outcome that it reported (None: it died), how it died, and whether it hung."""

    outcome: dict[str, str] | None
    how: str
    hung: bool


def _run_child(child: ChildProcess, spec: RunSpec, orders: Orders, watchdog: Watchdog) -> _End:
    """Runs one worker to its end."""
    child.speak()
    try:
        child.send({"orders": {**dataclasses.asdict(orders), "spec": spec_to_json(spec)}})
        child.end_input()
        hung = _wait(child, watchdog)
        # The outcome is written before the process ends: a child that crashed has written none.
        outcome = None if hung else child.hear(timeout_s=5)
        how = child.end()
    finally:
        child.close()  # also kills the processes that a dead worker leaves behind
    if hung:
        how = f"no progress for {watchdog.timeout_s:,.0f} s, --row_timeout_s"
    return _End(outcome, how, hung=hung)


def _wait(child: ChildProcess, watchdog: Watchdog) -> bool:
    """Waits until the child ends or hangs; returns whether it hangs."""
    while True:
        try:
            child.wait(watchdog.period_s)
            return False
        except subprocess.TimeoutExpired:
            pass
        try:
            if watchdog.is_hung():
                return True
        except Exception as error:
            if not (isinstance(error, OSError) or is_unanswered(error)):
                raise
            _log.warning("can't check the worker's progress: %s", error)
