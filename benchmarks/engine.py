"""The engine against static batches of the same functions, on the same random weights and ragged requests.

    python -m benchmarks.engine --size 8m --rounds 3

Rounds are interleaved, so that a busy machine is busy for all alike; each is measured in wall time and in
processor time, and the best round counts. Static batches: requests in arrival order, prompts padded to the longest
of the batch, decoding until the last of the batch has ended, at the best of several batch sizes. Both
compile beforehand.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from model.config import GemmaConfig
from model.engine import Engine, EngineOptions, Request, decode
from model.engine.device import _line
from model.engine.options import ResolvedOptions
from model.gemma import Gemma, init_weights
from model.layers import KeyValues, attention, block, causal_mask, embed, over_blocks, rotation

SIZES = {
    "8m": GemmaConfig(num_layers=6, d_model=320, d_ff=1024, num_heads=5, num_kv_heads=1, head_dim=64, vocab_size=4096),
    "100m": GemmaConfig(
        num_layers=10, d_model=768, d_ff=3072, num_heads=8, num_kv_heads=1, head_dim=96, vocab_size=16_384
    ),
}
_BUCKETS = (128, 256, 512)
_MAX_NEW = 200


def ragged_requests(count: int, vocab_size: int, seed: int = 0) -> list[Request]:
    """Log-normal lengths, 128 to 512 tokens in and 10 to 200 out, without stop ids."""
    rng = np.random.default_rng(seed)
    prompt_lengths = np.clip(rng.lognormal(np.log(260), 0.45, count), 128, 512).astype(int)
    new_lengths = np.clip(rng.lognormal(np.log(50), 0.8, count), 10, _MAX_NEW).astype(int)
    return [
        Request(
            prompt=tuple(rng.integers(0, vocab_size, length).tolist()),
            max_new_tokens=int(count),
            stop_ids=frozenset(),
        )
        for length, count in zip(prompt_lengths, new_lengths, strict=True)
    ]


@dataclass
class StaticBatches:
    """The baseline: pads, prefills a batch, decodes until its last request has ended."""

    model: Gemma
    batch: int

    def __post_init__(self) -> None:
        weights, config = self.model.arrays(), self.model.config

        def prefill(tokens: jax.Array) -> decode.Caches:
            positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
            turn, mask = rotation(positions, config.head_dim, config.rope_base), causal_mask(tokens.shape[1])

            def attend(q: jax.Array, k: jax.Array, v: jax.Array) -> tuple[jax.Array, decode.Cache]:
                return attention(q, KeyValues(key=k, value=v, mask=mask)), decode.Cache(key=k, value=v)

            step = lambda x, w, _: block(w, x, turn, attend, config)
            return over_blocks(step, embed(weights.embedding, tokens), weights.blocks)[1]

        def generate(prompts: decode.Caches, slots: decode.Slots) -> jax.Array:
            empty = decode.empty_caches(config, self.batch, _MAX_NEW, jnp.float32, stacked=False)
            never = jnp.int32(self.batch)
            return decode.burst(
                weights, (prompts,), empty, slots, never, config, jnp.float32, max_steps=_MAX_NEW, is_ring=True
            )[2]

        self._prefill, self._generate = jax.jit(prefill), jax.jit(generate)

    def run(self, requests: list[Request]) -> int:
        return sum(self._run_batch(requests[i : i + self.batch]) for i in range(0, len(requests), self.batch))

    def _run_batch(self, requests: list[Request]) -> int:
        options = replace(_options(self.model, "fast"), slots=self.batch)
        length = next(b for b in _BUCKETS if b >= max(len(request.prompt) for request in requests) - 1)
        tokens = np.zeros((self.batch, length), np.int32)
        slots = decode.empty_slots(self.batch, _MAX_NEW, options.max_stop_ids)
        lines = [_line(request, 1, options) for request in requests]
        for row, request in zip(tokens, requests, strict=False):
            row[: len(request.prompt) - 1] = request.prompt[:-1]
        filled = jax.tree.map(lambda *parts: np.concatenate(parts) if parts[0].ndim else parts[0], *lines)
        slots = jax.tree.map(
            lambda whole, part: whole.at[: part.shape[0]].set(part) if part.ndim else whole, slots, filled
        )
        report = np.asarray(self._generate(self._prefill(tokens), slots))
        return int(report[:-1, 2].sum())


def _options(model: Gemma, determinism: Any) -> ResolvedOptions:
    options = EngineOptions(determinism=determinism, prompt_buckets=_BUCKETS, max_new_tokens=_MAX_NEW)
    return options.resolve(jax.default_backend())


def measure(contenders: dict[str, Callable[[], int]], rounds: int) -> dict[str, dict[str, float]]:
    """Best wall and processor time of each over interleaved rounds, and the generated tokens a second of the best."""
    figures: dict[str, dict[str, float]] = {}
    for run in contenders.values():
        run()  # compiles
    for _ in range(rounds):
        for name, run in contenders.items():
            wall, cpu = time.perf_counter(), time.process_time()
            tokens = run()
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            best = figures.setdefault(name, {"wall_s": float("inf"), "cpu_s": float("inf"), "tokens_out": tokens})
            best["wall_s"], best["cpu_s"] = min(best["wall_s"], wall), min(best["cpu_s"], cpu)
    for best in figures.values():
        best["tokens_out_per_s"] = best["tokens_out"] / best["wall_s"]
    return figures


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, default="8m")
    parser.add_argument("--requests", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batches", type=int, nargs="+", default=[8, 16, 32])
    args = parser.parse_args()
    config = SIZES[args.size]
    model = Gemma(config, weights=init_weights(jax.random.key(0), config))
    requests = ragged_requests(args.requests, config.vocab_size)
    engines = {name: Engine(model, options=_options(model, name)) for name in ("fast", "exact")}

    def with_engine(engine: Engine) -> Callable[[], int]:
        return lambda: sum(len(future.result().tokens) for future in engine.submit(requests))

    def with_batches(batch: int) -> Callable[[], int]:
        static = StaticBatches(model, batch)
        return lambda: static.run(requests)

    contenders = {f"engine {name}": with_engine(engine) for name, engine in engines.items()}
    contenders |= {f"static {batch}": with_batches(batch) for batch in args.batches}
    figures = measure(contenders, args.rounds)
    for name, best in figures.items():
        rate, wall, cpu = best["tokens_out_per_s"], best["wall_s"], best["cpu_s"]
        print(f"{name:14} {rate:8.1f} tokens/s {wall:7.2f} s wall {cpu:7.2f} s cpu")
    for name, engine in engines.items():
        print(name, json.dumps({key: round(value, 3) for key, value in engine.stats().items()}))
        engine.close()


if __name__ == "__main__":
    main()
