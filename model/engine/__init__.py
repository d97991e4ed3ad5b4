"""The engine: continuous batching of requests over one model. `Engine` loads JAX when it is first asked for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from model.engine.options import EngineOptions
from model.engine.requests import Completion, EngineStopped, Generator, Request, Sampling

if TYPE_CHECKING:
    from model.engine.engine import Engine

__all__ = ["Completion", "Engine", "EngineOptions", "EngineStopped", "Generator", "Request", "Sampling"]


def __getattr__(name: str) -> Any:
    if name == "Engine":
        from model.engine.engine import Engine

        return Engine
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
