"""Prompt lookup on real infills and documentation: the same engine without it, with it, and in `auto` mode.

    python -m benchmarks.prompt_lookup --corpus held_out.parquet --write

The embedded model infills single lines and generates docstrings, with the jobs' own prompts, for each number of slots.
All modes compile beforehand and run the same requests in interleaved rounds; the best round counts. `tokens a step` is
per busy slot: 1 without drafts.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import model as models
from benchmarks.embedded.evaluate import draw_files
from benchmarks.engine import write_section
from jobs.training.data import read_files
from model.engine import Engine, EngineOptions, Request
from model.engine.options import prompt_buckets
from model.errors import RecordError
from transforms.rows.row import Row
from transforms.tasks.base import Task, TaskRequest
from transforms.tasks.docstring import DocstringTask
from transforms.tasks.infill import InfillTask

ROOT = Path(__file__).resolve().parents[1]
MODES = ("off", "always", "auto")


def requests_of(task: Task, files: Sequence[Row], count: int) -> list[Request]:
    """The first requests that the task makes of the files."""
    found: list[Request] = []
    for file in files:
        try:
            found += [one.request for one in task.requests(file) if isinstance(one, TaskRequest)]
        except RecordError:
            continue  # no targets in it
        if len(found) >= count:
            break
    return found[:count]


def race(model: Any, requests: Sequence[Request], slots: int, prompt_tokens: int, rounds: int) -> dict[str, Any]:
    """For each mode the minimum seconds, and the engine's statistics at the end."""
    engines = {
        mode: Engine(
            model,
            options=EngineOptions(
                slots=slots,
                prompt_buckets=prompt_buckets(prompt_tokens),
                max_new_tokens=max(request.max_new_tokens for request in requests),
                prompt_lookup=mode,  # type: ignore[arg-type]
            ),
        )
        for mode in MODES
    }
    for engine in engines.values():
        engine.start(warm_up=True)
    seconds = dict.fromkeys(MODES, float("inf"))
    for _ in range(rounds):
        for mode, engine in engines.items():
            began = time.perf_counter()
            for future in engine.submit(requests):
                future.result()
            seconds[mode] = min(seconds[mode], time.perf_counter() - began)
    stats = {mode: engine.stats() for mode, engine in engines.items()}
    for engine in engines.values():
        engine.close()
    return {"seconds": seconds, "stats": stats}


def measure(options: argparse.Namespace) -> list[str]:
    files = draw_files(read_files([options.corpus]), 4 * options.requests, seed=0)
    shared: dict[str, Any] = {
        "tokenizer": options.model,
        "job_seed": 0,
        "max_prompt_tokens": options.prompt_tokens,
        "max_new_tokens": 96,
    }
    tasks: dict[str, Task] = {
        "infill": InfillTask(span_kinds=("single_line",), max_middle_tokens=96, require=(), **shared),
        "docstring": DocstringTask(**shared),
    }
    gemma = models.load(options.model)
    lines = [
        "| task | slots | tokens/s without | always | by itself | tokens a step, always | steps drafted, by itself |",
        "|---|---|---|---|---|---|---|",
    ]
    for name, task in tasks.items():
        requests = requests_of(task, files, options.requests)
        for slots in options.slots:
            result = race(gemma, requests, slots, options.prompt_tokens, options.rounds)
            stats, seconds = result["stats"], result["seconds"]
            rates = {mode: stats[mode]["tokens_out"] / options.rounds / seconds[mode] for mode in MODES}
            drafted = stats["auto"]["steps_drafted"] / stats["auto"]["steps"]
            always, auto = (rates[mode] / rates["off"] for mode in ("always", "auto"))
            each_step = stats["always"]["tokens_per_slot_step"]
            lines.append(
                f"| {name} | {slots} | {rates['off']:,.0f} | {always:.2f}x | {auto:.2f}x "
                f"| {each_step:.2f} | {drafted:.0%} |"
            )
            print(lines[-1], flush=True)
    return [f"{options.requests} requests each, prompts up to {options.prompt_tokens} tokens.", "", *lines]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", required=True, help="Parquet files or globs that the model was not trained on")
    parser.add_argument("--model", default="embedded")
    parser.add_argument("--requests", type=int, default=128)
    parser.add_argument("--slots", type=int, nargs="+", default=[1, 8, 32])
    parser.add_argument("--prompt_tokens", type=int, default=384)
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    lines = measure(options)
    print("\n".join(lines))
    if options.write:
        write_section(ROOT / "docs" / "benchmarks.md", "prompt lookup", lines)


if __name__ == "__main__":
    main()
