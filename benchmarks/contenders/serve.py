"""Shared part of the contenders of `benchmarks.engine`: each is a process that answers orders on its standard input.

    <- {"requests": 64, "new_tokens": null, "settings": {"batch": 16}}
    -> {"wall_s": 41.2, "cpu_s": 80.1, "peak_mb": 1210.0, "tokens": [[5, 17, ...], ...], "notes": {...}}

The process keeps its weights from start to end, so rounds of several contenders can be interleaved, and no round
includes loading or compiling. A library's own output goes to standard error. Standard library only: each contender
runs in its own environment.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any


@dataclass(frozen=True)
class Ask:
    """A prompt, and the exact number of tokens to generate; there are no stop ids."""

    prompt: list[int]
    new_tokens: int


@dataclass
class Answer:
    """The generated tokens per request, and further notes."""

    tokens: list[list[int]]
    notes: dict[str, Any] = field(default_factory=dict)


# Loads the model, given the work's folder and the number of threads; returns a function that runs requests.
Run = Callable[[Sequence[Ask], dict[str, Any]], Answer]
Load = Callable[[Path, int], Run]


def serve(load: Load) -> None:
    """Loads the model, then answers orders until standard input ends."""
    parser = argparse.ArgumentParser()
    parser.add_argument("folder", type=Path)
    parser.add_argument("--threads", type=int, required=True)
    options = parser.parse_args()
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)

    def reply(message: dict[str, Any]) -> None:
        print(json.dumps(message), file=replies, flush=True)

    run = load(options.folder, options.threads)
    asks = [Ask(**one) for one in json.loads((options.folder / "requests.json").read_text())]
    reply({"ready": True})
    for line in sys.stdin:
        order = json.loads(line)
        wanted = asks[: order["requests"]]
        if order.get("new_tokens"):  # warm-up: the same prompts, few tokens
            wanted = [Ask(ask.prompt, min(ask.new_tokens, order["new_tokens"])) for ask in wanted]
        wall, cpu = time.perf_counter(), time.process_time()
        answer = run(wanted, order["settings"])
        wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
        lengths = [len(tokens) for tokens in answer.tokens]
        assert lengths == [ask.new_tokens for ask in wanted], f"lengths are {lengths}"
        peak_mb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000
        reply({"wall_s": wall, "cpu_s": cpu, "peak_mb": peak_mb, "tokens": answer.tokens, "notes": answer.notes})


def batches(asks: Sequence[Ask], size: int) -> list[Sequence[Ask]]:
    """Consecutive batches of `size` requests, in their given order."""
    return [asks[start : start + size] for start in range(0, len(asks), size)]
