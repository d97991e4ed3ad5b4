"""Tokens per second of scoring, against generation's prefill of the same sequences, in one run.

    python -m benchmarks.scoring --size 8m 100m --write

Prompts and continuations have random ids and log-normal lengths. Prefill computes the keys and values of each prompt
with its continuation, on the engine's device and with its choice of rows, and nothing else: no slot, no decoding.
Scoring goes through the whole engine (`Engine.score`). Both compute the same tokens, the last one of each sequence
excluded, and share the same prefixes; tokens per second are sequences' tokens, also those saved by sharing. All
programs are compiled before; rounds are interleaved, and the median counts. `choices` are four continuations of each
prompt, `letters` four of one token.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

import jax
import numpy as np

from benchmarks.engine import SIZES, write_section
from model.config import GemmaConfig
from model.engine import Engine, EngineOptions, Request, ScoreRequest
from model.engine.engine import use_compile_cache
from model.engine.jax_device import JaxDevice
from model.engine.options import prompt_buckets
from model.engine.scoring.device import least_shared
from model.gemma import Gemma, init_weights

ROOT = Path(__file__).resolve().parents[1]
WINDOW = 256  # waiting requests from which rows are chosen, as in the engine
PROMPT_TOKENS, NEW_TOKENS = 512, 64
# Continuations of each prompt, and their tokens.
WORK = {"one continuation": (1, (16, 64)), "choices": (4, (8, 32)), "letters": (4, (1, 2))}


def asks_of(config: GemmaConfig, kind: str, count: int) -> list[ScoreRequest]:
    rng = np.random.default_rng(1)
    number, (shortest, longest) = WORK[kind]

    def ids(length: int) -> tuple[int, ...]:
        return tuple(rng.integers(3, config.vocab_size, length).tolist())

    lengths = np.clip(rng.lognormal(np.log(220), 0.5, count // number), 64, PROMPT_TOKENS - longest).astype(int)
    return [
        ScoreRequest(
            prompt=ids(length), continuations=tuple(ids(int(rng.integers(shortest, longest))) for _ in range(number))
        )
        for length in lengths
    ]


def sequences_of(asks: Sequence[ScoreRequest]) -> list[Request]:
    """The prompts that prefill computes: its last token, too, isn't."""
    return [
        Request(prompt=(*ask.prompt, *continuation), max_new_tokens=1, stop_ids=frozenset())
        for ask in asks
        for continuation in ask.continuations
    ]


def prefill(device: JaxDevice, requests: Sequence[Request]) -> None:
    waiting, staged = list(requests), []
    while waiting:
        chosen = device.choose(waiting[:WINDOW])
        staged = device.prefill([waiting[i] for i in chosen])
        for i in sorted(chosen, reverse=True):
            del waiting[i]
    jax.block_until_ready(staged[-1].row)  # rows are computed one after the other


def score(engine: Engine, asks: Sequence[ScoreRequest]) -> None:
    for future in engine.score(asks):
        future.result()


def seconds_of(ways: dict[str, Callable[[], None]], rounds: int) -> dict[str, tuple[float, float]]:
    """Median seconds of each way: on the wall, and of processor time."""
    for run in ways.values():
        run()  # compiles
    times: dict[str, list[tuple[float, float]]] = {name: [] for name in ways}
    for _ in range(rounds):
        for name, run in ways.items():
            wall, cpu = time.perf_counter(), time.process_time()
            run()
            times[name].append((time.perf_counter() - wall, time.process_time() - cpu))
    return {
        name: (statistics.median(t[0] for t in each), statistics.median(t[1] for t in each))
        for name, each in times.items()
    }


def measure(size: str, modes: Sequence[str], count: int, rounds: int) -> list[str]:
    config = replace(SIZES[size], context_length=PROMPT_TOKENS + NEW_TOKENS)
    gemma = Gemma(config, weights=init_weights(jax.random.key(0), config))
    lines = []
    for mode in modes:
        shared = EngineOptions(determinism=mode, slots=1, prompt_buckets=prompt_buckets(PROMPT_TOKENS))  # type: ignore[arg-type]
        options = replace(shared, max_new_tokens=NEW_TOKENS, prompt_lookup="off")
        same = replace(options, min_shared_prefix=least_shared(options.resolve("cpu")))
        device = JaxDevice(gemma.arrays(), config, same.resolve(jax.default_backend()))
        device.start()
        with Engine(gemma, options=options) as engine:
            for kind in WORK:
                asks = asks_of(config, kind, count)
                sequences = sequences_of(asks)
                tokens = sum(len(one.prompt) - 1 for one in sequences)

                def run_prefill(device: JaxDevice = device, sequences: list[Request] = sequences) -> None:
                    prefill(device, sequences)

                def run_score(engine: Engine = engine, asks: list[ScoreRequest] = asks) -> None:
                    score(engine, asks)

                took = seconds_of({"prefill": run_prefill, "scoring": run_score}, rounds)
                (before, _), (after, cpu) = took["prefill"], took["scoring"]
                lines.append(
                    f"| {size} | {mode} | {kind} | {tokens:,} | {tokens / before:,.0f} | {tokens / after:,.0f} "
                    f"| {before / after:.2f} | {took['prefill'][1]:.1f}, {cpu:.1f} |"
                )
                print(lines[-1], flush=True)
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--size", choices=SIZES, nargs="+", default=["8m"])
    parser.add_argument("--modes", choices=("fast", "exact"), nargs="+", default=["fast", "exact"])
    parser.add_argument("--compile_cache", help="folder of compiled programs, to compile in a run before")
    parser.add_argument("--sequences", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    use_compile_cache(options.compile_cache)
    lines = [
        f"{options.sequences} sequences, prompts of 64 to 512 tokens, random weights; `python -m benchmarks.scoring`.",
        "",
        "| size | mode | work | tokens | prefill, tokens/s | scoring, tokens/s | scoring / prefill | processor s |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for size in options.size:
        lines += measure(size, options.modes, options.sequences, options.rounds)
    if options.write:
        write_section(ROOT / "docs" / "benchmarks.md", "scoring", lines)


if __name__ == "__main__":
    main()
