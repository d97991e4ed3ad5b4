"""The engine: continuous batching of requests over one model.

Names are imported on first use: a command line needs only the settings, while `Engine` imports JAX.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from model.engine.engine import Engine
    from model.engine.options import EngineOptions
    from model.engine.requests import Completion, EngineStopped, Generator, Request, Sampling, ScoreRequest

__all__ = ["Completion", "Engine", "EngineOptions", "EngineStopped", "Generator", "Request", "Sampling", "ScoreRequest"]

_HOMES = {
    "Engine": "model.engine.engine",
    "EngineOptions": "model.engine.options",
    **dict.fromkeys(
        ("Completion", "EngineStopped", "Generator", "Request", "Sampling", "ScoreRequest"), "model.engine.requests"
    ),
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(importlib.import_module(_HOMES[name]), name)
