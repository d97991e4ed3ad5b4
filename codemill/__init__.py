"""codemill in Python: run jobs, and write filter stages and tasks of your own.

    import codemill

    summary = codemill.run("filter", input="corpus/data", output="clean", workers=4)
    print(summary["rows"], summary.exit_code)

Importing it is light: what a name needs is imported when it is used. `docs/python.md` has examples.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from codemill.running import Summary, run
from model.errors import ConfigError, RecordError

if TYPE_CHECKING:
    from model.checkpoint import load as load_model
    from transforms.filters.stage import Stage as FilterStage
    from transforms.filters.stage import StageResult
    from transforms.generation.beam_handler import JaxModelHandler
    from transforms.rows.row import Row
    from transforms.tasks.own import OwnTask as Task
    from transforms.tasks.own import Prompt

__all__ = [
    "ConfigError",
    "FilterStage",
    "JaxModelHandler",
    "Prompt",
    "RecordError",
    "Row",
    "StageResult",
    "Summary",
    "Task",
    "load_model",
    "run",
]

_LATER = {
    "FilterStage": ("transforms.filters.stage", "Stage"),
    "JaxModelHandler": ("transforms.generation.beam_handler", "JaxModelHandler"),
    "Prompt": ("transforms.tasks.own", "Prompt"),
    "Row": ("transforms.rows.row", "Row"),
    "StageResult": ("transforms.filters.stage", "StageResult"),
    "Task": ("transforms.tasks.own", "OwnTask"),
    "load_model": ("model.checkpoint", "load"),
}


def __getattr__(name: str) -> Any:
    if name not in _LATER:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _LATER[name]
    return getattr(importlib.import_module(module), attribute)
