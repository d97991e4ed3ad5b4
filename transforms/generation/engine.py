"""The bridge between a Beam worker and the engine: one engine per process, created on first use.

Many threads of a worker process may request the engine, and Beam may pickle its spec many times. The engine itself is
a module global, because a device admits one owner per process (libtpu admits one process per host). On a host with
several accelerators, the one engine runs on all of them (`model.sharding.host_mesh`).
"""

from __future__ import annotations

import dataclasses
import threading

from model.engine.requests import Generator
from model.engine.settings import NO_COMPILE_CACHE, EngineSpec
from transforms.compile_cache import CompileCache

_lock = threading.Lock()
_engines: dict[EngineSpec, Generator] = {}
_cache: CompileCache | None = None  # this process's, from its first engine on


def acquire_engine(spec: EngineSpec) -> Generator:
    """Returns this process's engine for `spec`, created on the first call.

    Raises:
        ConfigError: The model can't be loaded, or its logits for a fixed prompt aren't finite.
    """
    with _lock:
        if spec not in _engines:
            _engines[spec] = _make_engine(spec)
        return _engines[spec]


def use_engine(spec: EngineSpec, engine: Generator) -> None:
    """Registers an existing engine for `spec` in this process, for programs and tests that already have one."""
    with _lock:
        _engines[spec] = engine


def release_engines() -> None:
    """Closes all engines of this process after their requests in flight have finished."""
    with _lock:
        for engine in _engines.values():
            engine.close()
        _engines.clear()
        if _cache is not None:
            _cache.publish()


def engine_figures(spec: EngineSpec) -> dict[str, float]:
    """The statistics of this process's engine for a worker's heartbeat; empty if there is none yet.

    `keeps_programs` is 1 if what it compiles is kept for other processes, and 0 if not: `--compile_cache none`, or no
    folder of this user's could be made.
    """
    engine = _engines.get(spec)
    if engine is None:
        return {}
    keeps = _cache is not None if spec.compile_cache is None else spec.compile_cache != NO_COMPILE_CACHE
    return {**engine.stats(), "keeps_programs": float(keeps)}


def keep_compiled() -> None:
    """Keeps what this process has compiled for later ones, in the user's cache; before it ends."""
    if _cache is not None:
        _cache.publish()


def _cache_folder(chosen: str | None) -> str | None:
    """The folder of compiled programs: the chosen one, or this process's; None if there is to be none."""
    global _cache
    if chosen is not None:
        return None if chosen == NO_COMPILE_CACHE else chosen
    if _cache is None:
        _cache = CompileCache.open()
    return None if _cache is None else _cache.folder


def _make_engine(spec: EngineSpec) -> Generator:
    import model  # JAX is first imported here, in the worker, and not with this module
    from model.checkpoint import read_config
    from model.engine import EngineOptions
    from model.engine.engine import Engine, use_compile_cache
    from model.fixed_prompt import score_fixed_prompt
    from model.sharding import host_mesh

    spec = dataclasses.replace(spec, compile_cache=_cache_folder(spec.compile_cache))
    use_compile_cache(spec.compile_cache)  # before the model is scored
    config = read_config(spec.model)
    quantize = None if spec.weights == "auto" else spec.weights
    mesh = host_mesh(config, config.num_parameters * (1 if quantize == "int8" else 2))
    loaded = model.load(spec.model, mesh=mesh, quantize=quantize)
    engine = Engine(loaded, options=EngineOptions.of(spec), scores_sha256=score_fixed_prompt(loaded))
    engine.start()  # now, while other processes prepare the first rows, and not with their first request
    return engine
