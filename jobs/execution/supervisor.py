"""The supervisor: keeps a worker process running until all units are committed, however often a row crashes it.

On the local runner, the pipeline runs in a child process. When the child dies (from a signal or `os._exit`), the
supervisor records its death with the units that were in flight and starts a new child. The new child applies the
crash attribution of `jobs.ledger.journal`: suspects run alone, a unit that crashes its worker while running alone is
bisected, and the failing row is rejected. Each death thus narrows down the cause. Deaths that do not narrow it down
end the job with a one-line error:

- `MAX_DEATHS_IN_VAIN` in a row with no unit in flight and none committed (the worker can't even start);
- `MAX_DEATHS_WITHOUT_COMMIT` in a row without any unit finished (the rows are not the cause; memory may be short).

A child that makes no progress for `row_timeout_s` (`jobs.execution.watchdog`) is killed, which counts as a death.

The child dies with the driver (PR_SET_PDEATHSIG). Its death is then not recorded, so a user who kills the job creates
no suspects.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Mapping
from typing import IO

from jobs.errors import StorageFull, WorkerFailed
from jobs.execution.watchdog import Watchdog
from jobs.execution.worker import Orders, RunSpec, spec_to_json
from jobs.ledger import commits, journal
from jobs.plan.units import read_plan
from jobs.storage import is_unanswered
from jobs.storage.failpoints import VARIABLE as FAILPOINT_VARIABLE
from model.errors import ConfigError

MAX_DEATHS_IN_VAIN = 2
MAX_DEATHS_WITHOUT_COMMIT = 100

_log = logging.getLogger(__name__)


def run_units(spec: RunSpec, orders: Orders) -> None:
    """Runs every unit of the frozen plan that has no commit yet; returns when all have one.

    Raises:
        ConfigError, StorageFull: The job can't continue; the one-line message says why. Committed work is kept.
        WorkerFailed: A bug.
    """
    if not uncommitted(spec):
        return
    _supervise(spec, orders)
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


def _supervise(spec: RunSpec, orders: Orders) -> None:
    # The worker must import the driver's code, whatever is in the current folder (hence also -P below).
    here = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
    path = [here, *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(path)}
    in_vain = without_commit = 0
    committed = len(commits.list_commits(spec.job_dir))
    while True:
        session = journal.new_session(supervised=True)
        watchdog = Watchdog(spec.job_dir, session, orders.row_timeout_s)
        end = _run_child(dataclasses.replace(spec, session=session), orders, environment, watchdog)
        if end.outcome is not None:
            return _conclude(end.outcome)
        # A failpoint simulates one failure, so the next worker must not trigger it again.
        environment.pop(FAILPOINT_VARIABLE, None)
        how = end.how
        death = journal.record_death(spec.job_dir, session, how, hung=end.hung)
        before, committed = committed, len(commits.list_commits(spec.job_dir))
        without_commit = 0 if committed > before else without_commit + 1
        in_vain = 0 if committed > before or death.open else in_vain + 1
        in_flight = ", ".join(sorted({start.unit_id for start in death.open})) or "none"
        _log.warning("the worker died (%s); units in flight: %s; restarting", how, in_flight)
        if in_vain >= MAX_DEATHS_IN_VAIN:
            raise ConfigError(
                f"the worker died {in_vain} times in a row ({how}) before starting any unit; see its output on "
                "standard error; committed work is kept; run the same command again when the cause is fixed"
            )
        if without_commit >= MAX_DEATHS_WITHOUT_COMMIT:
            raise ConfigError(
                f"the worker died {without_commit} times in a row ({how}) without finishing a unit; probably not "
                "because of single rows (out of memory? check dmesg); committed work is kept"
            )


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


def _run_child(spec: RunSpec, orders: Orders, environment: Mapping[str, str], watchdog: Watchdog) -> _End:
    """Runs one worker to its end."""
    outcome_read, outcome_write = os.pipe()
    with open(outcome_read, "rb") as outcome_file:
        child = subprocess.Popen(
            [sys.executable, "-P", "-m", "jobs.execution.child", str(outcome_write), str(os.getpid())],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=[outcome_write],
            env=dict(environment),
            process_group=0,  # so that only the driver receives Ctrl-C; it ends the group
        )
        os.close(outcome_write)
        try:
            assert child.stdin is not None and child.stdout is not None
            # The worker's output goes through our standard error, so that it does not break the progress line.
            echo = threading.Thread(target=_echo, args=(child.stdout,), name="worker-output", daemon=True)
            echo.start()
            with contextlib.suppress(BrokenPipeError):  # a child that died immediately
                child.stdin.write(json.dumps({**dataclasses.asdict(orders), "spec": spec_to_json(spec)}).encode())
                child.stdin.close()
            code = _wait(child, watchdog)
        finally:
            # Also kills the processes that a dead worker leaves behind.
            with contextlib.suppress(ProcessLookupError, PermissionError):
                os.killpg(child.pid, signal.SIGKILL)
            child.wait()
        echo.join(timeout=5)
        said = outcome_file.read()
    if code is None:
        how = f"no progress for {watchdog.timeout_s:,.0f} s, --row_timeout_s"
    else:
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
    return _End(json.loads(said) if said else None, how, hung=code is None)


def _wait(child: subprocess.Popen[bytes], watchdog: Watchdog) -> int | None:
    """Waits for the child and returns its exit code; None if it hangs."""
    while True:
        try:
            return child.wait(watchdog.period_s)
        except subprocess.TimeoutExpired:
            pass
        try:
            if watchdog.is_hung():
                return None
        except Exception as error:
            if not (isinstance(error, OSError) or is_unanswered(error)):
                raise
            _log.warning("can't check the worker's progress: %s", error)


def _echo(output: IO[bytes]) -> None:
    for line in output:
        sys.stderr.write(line.decode("utf-8", "replace"))
