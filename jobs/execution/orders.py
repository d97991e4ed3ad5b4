"""What a worker process is asked to do, and how it says that it could not.

orders     the job and its options, from which a worker rebuilds the work
failure    the class and the line of an error on its way back: {"kind": "StorageFull", "message": ...}
"""

from __future__ import annotations

import base64
import pickle
import sys
import traceback
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from jobs.catalog import module_of
from jobs.errors import DamagedAttempt, LedgerBroken, StorageFull, WorkerFailed
from jobs.fusing.works import with_fused_steps
from jobs.plan.opt_out import without_opted_out
from jobs.storage import is_unanswered, unanswered_line
from jobs.terminal.escapes import print_text
from model.errors import ConfigError
from transforms.work import Work

ROW_TIMEOUT_S = 1800.0

_MAX_MESSAGE = 2000
_BUG = "bug"
# Errors that mean the same in the driver as in a worker; a subclass before its base.
_CARRIED: tuple[type[Exception], ...] = (StorageFull, ConfigError, DamagedAttempt, LedgerBroken)


@dataclass(frozen=True, kw_only=True, slots=True)
class Orders:
    """How a worker rebuilds a job's work, and further settings for the runner; JSON values.

    Args:
        job_name: The job's module under `jobs`, which has `build_work(options) -> Work`; with a dot, any module.
        options: All options; `build_work` gets them in the worker.
        checkpoint_sha256: Hash of the weights that the job was started with; a worker that finds others stops the job.
        row_timeout_s: How long a worker with units in flight may make no progress, in seconds.
        opens_first: Whether the other workers wait until the first one has opened its work.
    """

    job_name: str
    options: Mapping[str, Any]
    checkpoint_sha256: str = ""
    row_timeout_s: float = ROW_TIMEOUT_S
    opens_first: bool = False

    def make_work(self) -> Work:
        """Builds the job's work. Raises ConfigError, also if the model's weights are no longer those of the plan."""
        work = build_work(self.job_name, self.options)
        if (found := work.checkpoint_sha256) != self.checkpoint_sha256:
            raise ConfigError(
                f"the model's weights changed during the job (SHA-256 was {self.checkpoint_sha256[:12]}, "
                f"is now {found[:12]}); restore the old weights and run the same command again"
            )
        return work


def build_work(job_name: str, options: Mapping[str, Any]) -> Work:
    """Builds the job's work with `build_work(options)` of the module `jobs.<job_name>`, for rows that may be used."""
    return around(job_name, module_of(job_name).build_work(dict(options)), options)


def around(job_name: str, work: Work, options: Mapping[str, Any]) -> Work:
    """The work with all that is done to rows before a job's own work sees them; `options` are all of the job's."""
    return without_opted_out(with_fused_steps(job_name, work, options), options)


def to_text(value: Any) -> str:
    """A value for a line of JSON to or from a child process of our own."""
    return base64.b64encode(pickle.dumps(value)).decode("ascii")


def from_text(text: str) -> Any:
    """Reads what `to_text` wrote. Only for what our own processes say."""
    return pickle.loads(base64.b64decode(text))  # noqa: S301 - it comes through a pipe of our own


def failure_of(error: BaseException) -> dict[str, str]:
    """What a worker says of an error; the traceback of a bug is printed here."""
    for kind in _CARRIED:
        if isinstance(error, kind):
            return {"kind": kind.__name__, "message": str(error)[:_MAX_MESSAGE]}
    if isinstance(error, WorkerFailed):  # its traceback was printed where it happened
        return {"kind": _BUG, "message": str(error)[:_MAX_MESSAGE]}
    if isinstance(error, Exception) and is_unanswered(error):
        return {"kind": ConfigError.__name__, "message": unanswered_line(error)[:_MAX_MESSAGE]}
    print_text("".join(traceback.format_exception(error)), sys.stderr)
    return {"kind": _BUG, "message": f"{type(error).__name__}: {error}"[:_MAX_MESSAGE]}


def raise_failure(said: Mapping[str, str]) -> None:
    """Raises what `failure_of` described, in the driver. Raises WorkerFailed for a bug."""
    kinds = {kind.__name__: kind for kind in _CARRIED}
    raise kinds.get(said["kind"], WorkerFailed)(said["message"])
