"""The one place where a Beam worker meets the engine: one engine per process, made on first use.

A worker process may be asked for the engine by many threads, and Beam may pickle the description many times; the
engine itself is a module global, because a device admits one owner per process (libtpu admits one process per host).
On a host with several accelerators that engine runs on all of them (`model.sharding.host_mesh`).
"""

from __future__ import annotations

import threading
from dataclasses import dataclass
from typing import Literal

from model.engine.requests import Generator

_SHORTEST_BUCKET = 64

_lock = threading.Lock()
_engines: dict[EngineSpec, Generator] = {}


@dataclass(frozen=True, kw_only=True)
class EngineSpec:
    """Which engine a job wants, as plain data: equal specs share one engine in a process.

    Args:
        model: A preset's name or a checkpoint's path.
        max_prompt_tokens: The longest prompt, in tokens: the largest prefill bucket.
        max_new_tokens: The longest completion, in tokens: the length of the generation cache.
        determinism: `exact` or `fast`.
        slots: Requests decoded at once; None lets the engine choose.
        dtype: Of weights, activations and caches; None lets the engine choose.
        weights: `int8` holds weights in 8 bits; None as `dtype`.
        prompt_cache: `int8` holds prompts' keys and values in 8 bits; `compute` as `dtype`.
        prompt_lookup: Whether to draft by prompt lookup: `off`, `always`, or `auto` where measured to be faster.
        compile_cache: Folder of JAX's persistent compilation cache; None leaves JAX's setting alone.
    """

    model: str
    max_prompt_tokens: int
    max_new_tokens: int
    determinism: Literal["exact", "fast"] = "fast"
    slots: int | None = None
    dtype: Literal["float32", "bfloat16"] | None = None
    weights: Literal["int8"] | None = None
    prompt_cache: Literal["compute", "int8"] = "compute"
    prompt_lookup: Literal["off", "auto", "always"] = "off"
    compile_cache: str | None = None


def acquire_engine(spec: EngineSpec) -> Generator:
    """Returns this process's engine for `spec`, made on the first call.

    Raises:
        ConfigError: The model can't be loaded.
    """
    with _lock:
        if spec not in _engines:
            _engines[spec] = _make_engine(spec)
        return _engines[spec]


def use_engine(spec: EngineSpec, engine: Generator) -> None:
    """Gives this process a ready engine for `spec`, for programs and tests that hold one already."""
    with _lock:
        _engines[spec] = engine


def release_engines() -> None:
    """Closes all engines of this process, once their requests in flight have ended."""
    with _lock:
        for engine in _engines.values():
            engine.close()
        _engines.clear()


def prompt_buckets(max_prompt_tokens: int) -> tuple[int, ...]:
    """The prompt lengths that are compiled for: powers of two from 64 up to, and exactly, the longest prompt.

    >>> prompt_buckets(768)
    (64, 128, 256, 512, 768)
    """
    buckets = []
    length = _SHORTEST_BUCKET
    while length < max_prompt_tokens:
        buckets.append(length)
        length *= 2
    return (*buckets, max_prompt_tokens)


def _make_engine(spec: EngineSpec) -> Generator:
    import model  # JAX starts here, in the worker, and nowhere above
    from model.checkpoint import read_config
    from model.engine import Engine, EngineOptions
    from model.sharding import host_mesh

    options = EngineOptions(
        determinism=spec.determinism,
        slots=spec.slots,
        prompt_buckets=prompt_buckets(spec.max_prompt_tokens),
        max_new_tokens=spec.max_new_tokens,
        dtype=spec.dtype,
        prompt_cache=spec.prompt_cache,
        prompt_lookup=spec.prompt_lookup,
        compilation_cache_dir=spec.compile_cache,
    )
    config = read_config(spec.model)
    mesh = host_mesh(config, config.num_parameters * (1 if spec.weights == "int8" else 2))
    return Engine(model.load(spec.model, mesh=mesh, quantize=spec.weights), options=options)
