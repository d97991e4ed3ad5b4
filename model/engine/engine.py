"""The engine: a thread-safe generator with continuous batching over one model on this process's devices.

If the weights are spread over a mesh (`model.sharding`), each row of its `data` axis is one replica, split over the
devices of its `model` axis. Replicas take requests from one backlog as their slots become free, and the unfinished
requests of one that fails go to the others (`model.engine.backlog`).
"""

from __future__ import annotations

import atexit
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from typing import Any

import jax
import jax.numpy as jnp

from model.engine import metrics
from model.engine.jax_device import JaxDevice, prefix_group_window
from model.engine.options import EngineOptions, ResolvedOptions
from model.engine.placement import mesh_of, replicas
from model.engine.replicas import Replicas
from model.engine.requests import Completion, EngineStopped, Request, ScoreRequest, Scores
from model.engine.scoring.device import ScoringDevice, score_group_window
from model.engine.scoring.scorer import Scorer
from model.gemma import Gemma
from model.roofline import Device, Shape


def use_compile_cache(folder: str | None) -> None:
    """Keeps compiled programs of this process in a folder, from now on; None changes nothing."""
    if folder is not None:
        jax.config.update("jax_compilation_cache_dir", folder)
        # Else the folder's path is an option of the compiler, and so a part of each entry's key: entries would be found
        # under the same path only.
        jax.config.update("jax_persistent_cache_enable_xla_caches", "none")
        jax.config.update("jax_persistent_cache_min_compile_time_secs", 0.0)  # small ones add up at each start


class Engine:
    """Generates completions; implements `model.engine.requests.Generator`.

    >>> engine = Engine(model, options=EngineOptions(slots=16))      # doctest: +SKIP
    >>> futures = engine.submit(requests)                            # doctest: +SKIP
    >>> completions = [future.result() for future in futures]        # doctest: +SKIP

    Args:
        model: The model; its weights are cast to the options' dtype at the start.
        options: Shapes and mode. Values left open are chosen for the platform.
        scores_sha256: What `model.fixed_prompt` found for the model, for the fingerprint; "" if it wasn't scored.
    """

    def __init__(self, model: Gemma, *, options: EngineOptions | None = None, scores_sha256: str = ""):
        self._model: Gemma | None = model
        self._config = model.config
        self._scores = {"fixed_prompt_scores": scores_sha256} if scores_sha256 else {}
        self._num_weights = sum(leaf.size for leaf in jax.tree.leaves(model.weights))
        self._is_int8 = any(leaf.dtype == jnp.int8 for leaf in jax.tree.leaves(model.weights))
        self._options = EngineOptions() if options is None else options
        self._peaks: Device | None = None
        self._lock = threading.Lock()
        mesh = mesh_of(model.arrays())
        self._first_device = jax.devices()[0] if mesh is None else mesh.devices.flat[0]
        self._chips: int = 1 if mesh is None else mesh.shape["model"]  # of one replica
        self._num_replicas: int = 1 if mesh is None else mesh.shape["data"]
        self._replicas: Replicas | None = None
        self._devices: list[JaxDevice] = []
        self._scorer: Scorer | None = None
        self._is_closed = False

    def start(self, *, warm_up: bool = False) -> None:
        """Allocates the caches and starts the scheduler's thread; a second call does nothing.

        Args:
            warm_up: Compile every program now instead of each on first use.

        Raises:
            EngineStopped: The engine has been closed.
        """
        with self._lock:
            if self._is_closed:
                raise EngineStopped("the engine has been closed")
            if self._replicas is not None:
                return
            assert self._model is not None
            options = self.resolved_options()
            self._shape = Shape(
                config=self._config,
                weights="int8" if self._is_int8 else options.dtype,
                cache="int8" if options.prompt_cache == "int8" else options.dtype,
            )
            use_compile_cache(options.compile_cache)
            waiting = prefix_group_window(options)
            devices = [
                JaxDevice(weights, self._config, options, waiting=waiting) for weights in replicas(self._model.arrays())
            ]
            for each in devices:
                each.start()
                if warm_up:
                    each.warm_up()
            prompt_lookup = options.prompt_lookup if options.may_draft() else "off"
            self._devices = devices
            self._replicas = Replicas(devices, pipeline=options.pipeline_bursts, prompt_lookup=prompt_lookup)
            device = self._first_device
            if device.platform != "cpu" or mesh_of(self._model.arrays()) is None:  # virtual devices share one CPU
                self._peaks = metrics.peaks_of(device.device_kind, device.platform)  # before there is other work
            self._replicas.start()
            self._model = None  # the device has its own copy if the dtype differs
            atexit.register(self.close, cancel_futures=True)

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        """Queues requests from any thread; returns one future per request, in order.

        A future fails with RecordError if its request can't be run, and with EngineStopped if the engine stopped first.

        Raises:
            EngineStopped: The engine has been closed or has crashed (the `__cause__`).
        """
        self.start()
        assert self._replicas is not None
        return self._replicas.submit(requests)

    def score(self, requests: Sequence[ScoreRequest]) -> list[Future[Scores]]:
        """Queues requests to score, from any thread and beside those to generate; returns one future per request.

        Log-probabilities equal those of `model.gemma.forward` within rounding: 1e-4 for a token in float32, 0.1 in
        bfloat16. In `exact` mode they are bit-identical for the same request, in any order.

        A future fails with RecordError if its request can't be scored (`prompt_too_long`: prompt and continuation have
        more tokens than the longest prompt and completion together), and with EngineStopped as in `submit`.

        Raises:
            EngineStopped: The engine has been closed, or scoring has failed on its last replica (the `__cause__`).
        """
        return self._scoring().score(requests)

    def warm_up_scoring(self) -> None:
        """Before the first `score`: compiles every program that it may need now, instead of each on first use."""
        self._scoring(warm_up=True)

    def _scoring(self, *, warm_up: bool = False) -> Scorer:
        """The scorer, started on the first call."""
        self.start()
        with self._lock:
            if self._is_closed:
                raise EngineStopped("the engine has been closed")
            if self._scorer is None:
                options = self.resolved_options()
                waiting = score_group_window(options)
                devices = [ScoringDevice(each.weights, each.programs, options, waiting) for each in self._devices]
                for device in devices if warm_up else ():
                    device.warm_up()
                self._scorer = Scorer(devices, self._config, options)
                self._scorer.start()
            return self._scorer

    def stats(self) -> dict[str, float]:
        """Metrics since the start; empty before it.

        Sums and their ratios as in `model.engine.metrics` (`slot_occupancy`, `padding_waste`, `tokens_out_per_s`,
        `floor_share`, `compiles`, ...), plus `slots`, `programs` (the most that it may compile), `requests_queued`,
        and `drafting_gain` if drafts were tried. `floor_share` is omitted if the device's peaks are unknown.
        """
        if self._replicas is None:
            return {}
        found = self._replicas.stats()
        if self._peaks is not None:
            count = self._num_replicas  # they run concurrently, each with its share of the work
            slots = int(found["slots"]) // count
            found["floor_s"] = metrics.floor_s(found, self._shape, self._peaks, slots, chips=self._chips) / count
        if self._scorer is not None:
            scored = self._scorer.stats()
            both = {name: found[name] + scored[name] for name in ("compiles", "programs")}
            found = {**found, **scored, **both}
        return {**found, **metrics.ratios(found)}

    def fingerprint(self) -> dict[str, Any]:
        """What the tokens depend on besides request and weights: versions, device, shapes. JSON-serializable."""
        options = self.resolved_options()
        weights = "int8" if self._is_int8 else options.dtype
        return {**options.fingerprint(), "weights": weights, "tensor_parallel": self._chips, **self._scores}

    def resolved_options(self) -> ResolvedOptions:
        """The options with all values chosen for this process's platform; `slots` is the number per replica."""
        device, config = self._first_device, self._config
        limit = (device.memory_stats() or {}).get("bytes_limit")
        options = self._options.resolve(device.platform)
        if limit is None:
            return options
        weight_bytes = self._num_weights * (1 if self._is_int8 else jnp.dtype(options.dtype).itemsize)
        left = limit - weight_bytes // self._chips
        if config.num_kv_heads % self._chips == 0:
            left *= self._chips  # caches are split, as the weights are
        return self._options.resolve(device.platform, config=config, memory_bytes=max(left, 0))

    def close(self, *, cancel_futures: bool = False) -> None:
        """Finishes all submitted requests and stops the thread; may be called twice.

        Args:
            cancel_futures: Fail unfinished requests with EngineStopped instead of finishing them.
        """
        with self._lock:
            self._is_closed = True
        atexit.unregister(self.close)
        if self._scorer is not None:
            self._scorer.close(cancel_futures=cancel_futures)
        if self._replicas is not None:
            self._replicas.close(cancel_futures=cancel_futures)

    def __enter__(self) -> Engine:
        return self

    def __exit__(self, error_type: Any, error: Any, traceback: Any) -> None:
        self.close(cancel_futures=error_type is not None)
