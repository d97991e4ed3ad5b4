"""Why a host of a Beam runner stopped the job, on its way to the driver.

    _job/stop_reason   {"kind": "StorageFull", "message": ...}   (`jobs.execution.orders.failure_of`)

A runner wraps the text of an error in exceptions of its own, so the host leaves the reason here before it raises. The
first host's reason stays. The driver removes it before each run and reads it after the runner has failed. Where nothing
could be written, as on a worker that doesn't see the folder, the driver finds the reason in the runner's text.
"""

from __future__ import annotations

import json
import logging
import re
from collections.abc import Mapping

from jobs import storage
from jobs.storage.folders import JobFolder
from model.errors import ConfigError

# The last line of a traceback, with what Beam adds to it: `model.errors.ConfigError: ... [while running 'RunUnits']`.
_RAISED = re.compile(r"^(?:jobs|model)\.errors\.(\w+): (.+?)(?: \[while running .*)?$", re.MULTILINE)
_NOT_INSTALLED = re.compile(r"ModuleNotFoundError: No module named '(jobs|transforms|model)\b")
_log = logging.getLogger(__name__)


def write_reason(job_dir: JobFolder, failure: Mapping[str, str]) -> None:
    """Leaves a reason, unless another host has. If the storage takes nothing, the reason is logged alone."""
    try:
        storage.create_if_absent(job_dir.stop_reason, json.dumps(dict(failure)).encode())
    except Exception as error:
        _log.warning("can't write why the job stops (%s): %s", failure["message"], error)


def read_reason(job_dir: JobFolder) -> dict[str, str] | None:
    """Returns the reason that a host left; None if there is none."""
    try:
        reason: dict[str, str] = json.loads(storage.read_bytes(job_dir.stop_reason))
    except FileNotFoundError:
        return None
    return reason


def reason_in(text: str) -> dict[str, str] | None:
    """Finds the reason in the text of a runner's error; None if it quotes no error of ours.

    >>> reason_in("Job failed: Traceback ...\\nmodel.errors.ConfigError: no model [while running 'RunUnits']\\n")
    {'kind': 'ConfigError', 'message': 'no model'}
    """
    if raised := _RAISED.search(text):
        return {"kind": raised[1], "message": raised[2]}
    if _NOT_INSTALLED.search(text):
        message = "a worker of the runner can't import codemill; install the driver's version of it on all workers"
        return {"kind": ConfigError.__name__, "message": message}
    return None


def remove_reason(job_dir: JobFolder) -> None:
    """Removes the reason of an earlier run."""
    storage.remove(job_dir.stop_reason)
