"""The supervised worker process: `python -m jobs.execution.child OUTCOME_FD PARENT_PID`, orders on standard input.

It writes its outcome to the given file descriptor; a process that ends without an outcome has died. Beam is imported
only after the kernel has been told to kill this process when its parent dies.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import logging
import os
import signal
import sys
import traceback
from collections.abc import Sequence
from typing import Any

_PR_SET_PDEATHSIG = 1


def _die_with(parent_pid: int) -> None:
    """Has the kernel kill this process when its parent dies, in whatever way."""
    if sys.platform == "linux":
        ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent_pid:  # the parent died before the call above
        os._exit(1)


if __name__ == "__main__":
    _die_with(int(sys.argv[2]))

# ruff: noqa: E402 - Beam takes a second to import, in which the parent may die already.
from jobs.beam.log import quiet_beam
from jobs.execution.pipeline import build_work, run_pipeline
from jobs.execution.worker import spec_from_json
from jobs.storage import is_unanswered, unanswered_line
from model.errors import ConfigError

_MAX_MESSAGE = 2000  # well below the size of an atomic write to a pipe


def main(argv: Sequence[str]) -> None:
    """Runs the pipeline as ordered and reports the outcome."""
    outcome_fd = int(argv[0])
    faulthandler.enable()
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    quiet_beam()
    outcome = _outcome(json.load(sys.stdin))
    sys.stdout.flush()
    sys.stderr.flush()
    os.write(outcome_fd, json.dumps(outcome).encode())
    os._exit(0)  # Beam's threads would delay a normal exit


def _outcome(orders: dict[str, Any]) -> dict[str, str]:
    try:
        work = build_work(orders["job_name"], orders["options"])
        if (found := work.checkpoint_sha256) != orders["checkpoint_sha256"]:
            raise ConfigError(
                f"the model's weights changed during the job (SHA-256 was {orders['checkpoint_sha256'][:12]}, "
                f"is now {found[:12]}); restore the old weights and run the same command again"
            )
        run_pipeline(spec_from_json(orders["spec"]), work, orders["beam_args"])
    except ConfigError as error:
        return {"kind": type(error).__name__, "message": str(error)[:_MAX_MESSAGE]}
    except Exception as error:
        if is_unanswered(error):
            return {"kind": ConfigError.__name__, "message": unanswered_line(error)[:_MAX_MESSAGE]}
        traceback.print_exc()
        return {"kind": "bug", "message": f"{type(error).__name__}: {error}"[:_MAX_MESSAGE]}
    return {"kind": "done", "message": ""}


if __name__ == "__main__":
    main(sys.argv[1:])
