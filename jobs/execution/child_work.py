"""What a child does as a worker: the pipeline as ordered, and how it ended. Imports Beam, which takes a second."""

from __future__ import annotations

import traceback
from collections.abc import Mapping
from typing import Any

from jobs.execution.pipeline import build_work, run_pipeline
from jobs.execution.worker import spec_from_json
from jobs.storage import is_unanswered, unanswered_line
from model.errors import ConfigError

_MAX_MESSAGE = 2000  # well below what a pipe takes in one piece


def outcome_of(orders: Mapping[str, Any]) -> dict[str, str]:
    """Runs the pipeline; returns `kind` (done, bug, or an error's class) and `message`."""
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
