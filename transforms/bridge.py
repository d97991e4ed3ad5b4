"""The one place where a Beam worker meets the engine: one engine per process, made on first use.

A worker process may be asked for the engine by many threads, and Beam may pickle the description many times; the
engine itself is a module global, because a device admits one owner per process (libtpu admits one process per host).
"""

from __future__ import annotations

import functools
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from model.engine.api import Generator

if TYPE_CHECKING:
    from collections.abc import Callable

_lock = threading.Lock()
_engines: dict[EngineSpec, Generator] = {}


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """Which engine a job wants, as plain data: equal specs share one engine in a process.

    Args:
        model: A preset's name or a checkpoint's path.
        determinism: `exact` or `fast`.
        max_prompt_tokens: The longest prompt, in tokens: the largest prefill bucket.
        max_new_tokens: The longest completion, in tokens: the size of the generation cache.
        slots: Decode rows; 0 lets the engine choose.
        dtype: `float32`, `bfloat16`, or `auto` (float32 on CPU, bfloat16 elsewhere).
        compilation_cache_dir: Where JAX keeps compiled programs between processes; empty for nowhere.
    """

    model: str
    determinism: str
    max_prompt_tokens: int
    max_new_tokens: int
    slots: int = 0
    dtype: str = "auto"
    compilation_cache_dir: str = ""


def acquire_engine(spec: EngineSpec, make: Callable[[EngineSpec], Generator] | None = None) -> Generator:
    """Returns this process's engine for `spec`, made once and warmed up.

    Raises:
        ConfigError: the model can't be loaded or doesn't fit.
    """
    with _lock:
        if spec not in _engines:
            _engines[spec] = (make or _make_engine)(spec)
        return _engines[spec]


def release_engines() -> None:
    """Closes all engines of this process; requests in flight fail."""
    with _lock:
        for engine in _engines.values():
            engine.close()
        _engines.clear()
