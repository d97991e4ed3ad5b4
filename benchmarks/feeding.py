"""How well one host feeds a device: the work of `codemill infill` on a real corpus, with a device of fixed latency.

    python -m benchmarks.feeding --corpus 'corpus/data/*.parquet' --rows 10000 2500 --spans_per_file 1 4 --write

Everything is the job's own (filters, spans, prompts, scheduler, prompt batching, transfers between host and device,
validation) except the device's programs, which only take time: a fixed one per decode step and per prefill row, queued
one after another as on an accelerator. The answer to a prompt is the original middle; these are found beforehand. So
outputs have realistic lengths and are fully validated. The cost of the fake itself is measured and subtracted.

Not included, and therefore additional in a real run: JAX's time to pass a program its arguments, for each request and
each burst (it depends on the device); reading units, committing them and writing shards.

    slots used    tokens / (slots x steps) over the complete run, including its start and end
    padding       positions prefilled per token
    host ms       processor time of this process and its row workers per request
    device busy   share of the run in which the device had work; below 1, the host delayed it
"""

from __future__ import annotations

import argparse
import glob
import multiprocessing
import os
import time
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

import model as models
from benchmarks.engine import write_section
from jobs.infill import Options, build_work
from jobs.options import all_options
from model.engine.jax_device import JaxDevice, StagedPrompt
from model.engine.options import EngineOptions, ResolvedOptions, prompt_buckets
from model.engine.placement import Placement
from model.engine.prefill_rows import PrefixGroupWindow
from model.engine.programs.attention import path_for
from model.engine.programs.compiled import EnginePrograms
from model.engine.programs.decode import REPORT_COLUMNS
from model.engine.replicas import Replicas
from model.engine.requests import Completion, Request
from transforms.generation.engine import use_engine
from transforms.generation.stages import RowStages
from transforms.generation.work import GenerationWork
from transforms.rows.columns import resolve_columns, table_to_rows
from transforms.rows.rejections import RejectedRow
from transforms.work import Unit

ROOT = Path(__file__).resolve().parents[1]
UNIT_ROWS, UNITS_IN_FLIGHT = 256, 4  # the job's defaults
_IDS_AT = len(REPORT_COLUMNS)  # in a report's line

Answers = Mapping[tuple[int, ...], tuple[int, ...]]


class _Pending:
    """An array in transfer from the device: reading it waits until it has arrived."""

    def __init__(self, array: np.ndarray, ready_at: float):
        self._array = array
        self._ready_at = ready_at

    def copy_to_host_async(self) -> None:
        """Does nothing: the copy needs no request here."""

    def __array__(self, dtype: Any = None, copy: Any = None) -> np.ndarray:
        time.sleep(max(0.0, self._ready_at - time.perf_counter()))
        return self._array


class FixedLatencyDevice(JaxDevice):
    """The engine's device with programs that compute nothing and take a known time, one after another."""

    def __init__(
        self,
        weights: Any,
        config: Any,
        options: ResolvedOptions,
        answers: Answers,
        *,
        step_s: float,
        row_s: float,
        waiting: PrefixGroupWindow | None = None,
    ):
        super().__init__(weights, config, options, waiting=waiting)
        self._answers = answers
        self._step_s, self._row_s = step_s, row_s
        self._free_at = 0.0
        self.device_s = self.fake_cpu_s = self.thread_cpu_s = 0.0
        self._programs = EnginePrograms(
            weights=weights,
            config=config,
            options=options,
            slots=self.slots,
            platform="cpu",
            path=path_for("cpu", jnp.dtype(options.dtype)),
            placement=Placement.of(weights, config),
        )
        self._prompts = self._programs.shapes().prompts  # nothing computes, so shapes will do
        self._generations = self._state = None  # type: ignore[assignment]
        self._tickets, self._reach = [-1] * self.slots, [0] * self.slots
        self._left = np.zeros(self.slots, np.int64)
        self._lengths = np.zeros(self.slots, np.int64)
        width = _IDS_AT + 2 * options.max_new_tokens
        self._lines = np.zeros((self.slots + 1, width), np.int32)

    def insert(self, slot: int, staged: StagedPrompt, request: Request, ticket: int) -> None:
        super().insert(slot, staged, request, ticket)
        answer = self._answers.get(request.prompt, request.prompt[1:40])
        tokens = (*answer[: request.max_new_tokens - 1], min(request.stop_ids))
        self._left[slot] = self._lengths[slot] = len(tokens)
        line = self._lines[slot]
        line[:_IDS_AT] = ticket, 1, 0, -1
        line[_IDS_AT : _IDS_AT + len(tokens)] = tokens  # its cost isn't measured: some clocks take longer to read

    def width_for(self, active: int, steps_left: int, *, drafts: bool) -> int:
        return self.slots

    def _run_for(self, seconds: float) -> float:
        self._free_at = max(self._free_at, time.perf_counter()) + seconds
        self.device_s += seconds
        return self._free_at

    def _program(self, *key: Any) -> Callable[..., Any]:
        """A stand-in for the program of a key: takes its time, computes nothing."""
        kind = key[0]
        if kind == "prefill":
            seconds = self._row_s * key[1] / self._options.prefill_row_tokens
            return lambda weights, row: self._run_for(seconds) and None
        if kind == "insert":
            return lambda chunks, *_: (chunks, None)
        if kind == "burst":
            return lambda weights, chunks, generations, state, *steps: (None, None, self._burst(*map(int, steps)))
        return lambda generations, state: generations

    def _burst(self, leave_after: int, max_steps: int) -> _Pending:
        began = time.thread_time()
        active = self._left > 0
        ends = np.sort(self._left[active])
        steps = int(min(max_steps, ends[min(leave_after, len(ends)) - 1])) if len(ends) else 0
        made = np.minimum(self._left, steps)
        self._left -= made
        lines = self._lines.copy()
        lines[:-1, 2] = self._lengths - self._left
        lines[:-1, 1] = self._left > 0
        ended = (self._left == 0) & (self._lengths > 0)
        lines[:-1, 3] = np.where(ended, lines[np.arange(self.slots), _IDS_AT - 1 + self._lengths], -1)
        lines[-1, :3] = steps, made.sum(), made.sum()
        self.thread_cpu_s = time.thread_time()
        self.fake_cpu_s += self.thread_cpu_s - began
        return _Pending(lines, self._run_for(steps * self._step_s))


class FixedLatencyEngine:
    """`model.engine.requests.Generator` over the scheduler and that device."""

    def __init__(self, device: FixedLatencyDevice, options: ResolvedOptions):
        self._scheduler = Replicas([device], pipeline=options.pipeline_bursts)

    def submit(self, requests: Sequence[Request]) -> list[Future[Completion]]:
        return self._scheduler.submit(requests)

    def stats(self) -> dict[str, float]:
        return self._scheduler.stats()

    def fingerprint(self) -> dict[str, Any]:
        return {"device": "fixed latency"}

    def close(self) -> None:
        self._scheduler.close()


def read_units(patterns: Sequence[str], rows: int) -> list[pa.Table]:
    """The corpus's first rows, split into units as the job does."""
    paths = sorted(path for pattern in patterns for path in glob.glob(pattern))
    table = pa.concat_tables([pq.read_table(path) for path in paths]).slice(0, rows)
    return [table.slice(start, UNIT_ROWS) for start in range(0, table.num_rows, UNIT_ROWS)]


def unit_of(index: int, table: pa.Table) -> Unit:
    return Unit(
        unit_id=f"{index:06}-a",
        uri="corpus.parquet",
        version="",
        row_group=index,
        row_start=0,
        row_count=table.num_rows,
        num_bytes=table.nbytes,
    )


def original_middles(work: GenerationWork, tables: Sequence[pa.Table], model: str) -> dict[tuple[int, ...], Any]:
    """For each prompt of the work, the original middle of its hole as token ids."""
    from model.tokenizer import Tokenizer

    stages = RowStages(task=work.task, content_filter=work.content_filter)
    stages.open()
    tokenizer = Tokenizer.load(model)
    middles = {}
    for index, table in enumerate(tables):
        unit = unit_of(index, table)
        column_map = resolve_columns(table.schema, work.columns)
        for row in table_to_rows(table, unit, list(range(table.num_rows)), column_map, work.limits):
            if isinstance(row, RejectedRow):
                continue
            prepared = stages.prepare(row)
            for one in prepared.requests:
                span = one.payload.span
                middles[one.request.prompt] = tuple(tokenizer.encode(prepared.row.content[span.start : span.end]))
    return middles


def children_cpu_seconds() -> float:
    """Processor time of this process's living children."""
    ticks = os.sysconf("SC_CLK_TCK")
    total = 0.0
    for child in multiprocessing.active_children():
        fields = Path(f"/proc/{child.pid}/stat").read_text().rpartition(")")[2].split()
        total += (int(fields[11]) + int(fields[12])) / ticks
    return total


def measure(options: argparse.Namespace, rows: int, spans_per_file: int) -> dict[str, float]:
    infill = Options(
        input=tuple(options.corpus),
        output="unused",
        policy=options.policy,
        workers=options.workers,
        spans_per_file=spans_per_file,
    )
    work = build_work(all_options(infill))
    tables = read_units(options.corpus, rows)
    answers = original_middles(work, tables, infill.model)
    shapes = EngineOptions(
        slots=options.slots,
        prompt_buckets=prompt_buckets(work.engine.max_prompt_tokens),
        max_new_tokens=work.engine.max_new_tokens,
        prompt_lookup="off",
        prefill_row_tokens=4096,
        burst_steps=32,
        pipeline_bursts=True,
    ).resolve("tpu")
    gemma = models.load(infill.model)  # only its shapes matter
    device = FixedLatencyDevice(
        gemma.arrays(), gemma.config, shapes, answers, step_s=options.step_ms / 1e3, row_s=options.row_ms / 1e3
    )
    engine = FixedLatencyEngine(device, shapes)
    use_engine(work.engine, engine)
    work.open()
    try:
        work.run(
            unit_of(0, tables[0].slice(0, 16)), tables[0].slice(0, 16), list(range(16))
        )  # row workers have started
        before, device_before, fake_before = engine.stats(), device.device_s, device.fake_cpu_s
        thread_before, began = device.thread_cpu_s, time.perf_counter()
        rows_cpu, cpu = children_cpu_seconds(), time.process_time()
        with ThreadPoolExecutor(UNITS_IN_FLIGHT) as pool:
            units = [unit_of(index, table) for index, table in enumerate(tables)]
            list(pool.map(lambda unit, table: work.run(unit, table, list(range(table.num_rows))), units, tables))
        wall, cpu = time.perf_counter() - began, time.process_time() - cpu
        rows_cpu = children_cpu_seconds() - rows_cpu
    finally:
        work.close()
    stats = {name: value - before.get(name, 0.0) for name, value in engine.stats().items()}
    engine.close()
    fake = device.fake_cpu_s - fake_before
    scheduler = device.thread_cpu_s - thread_before - fake
    done = stats["requests_done"]
    return {
        "rows": sum(table.num_rows for table in tables),
        "holes a file, at most": spans_per_file,
        "requests": done,
        "prompt tokens each": stats["tokens_in"] / done,
        "new tokens each": stats["tokens_out"] / done,
        "slots used": stats["tokens_decoded"] / stats["slot_steps"],
        "padding": stats["prefill_positions"] / stats["prefill_tokens"],
        "host ms": 1e3 * (rows_cpu + cpu - fake) / done,
        "row work": 1e3 * rows_cpu / done,
        "scheduler": 1e3 * scheduler / done,
        "units": 1e3 * (cpu - fake - scheduler) / done,
        "device busy": (device.device_s - device_before) / wall,
        "wall s": wall,
    }


def _shown(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 or isinstance(value, int) else f"{value:.3f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", nargs="+", required=True, help="Parquet files or globs")
    parser.add_argument("--rows", type=int, nargs="+", default=[2000], help="the corpus's first so many, a run each")
    parser.add_argument("--spans_per_file", type=int, nargs="+", default=[1], help="holes a file at most, for each run")
    parser.add_argument("--slots", type=int, default=64)
    parser.add_argument(
        "--step_ms", type=float, default=14.0, help="2B on a v5e with 64 slots, by the compiler's estimate"
    )
    parser.add_argument("--row_ms", type=float, default=85.0, help="4,096 tokens at 2B's ceiling on a v5e")
    parser.add_argument("--workers", type=int, default=1, help="row workers")
    parser.add_argument("--policy", default="default")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    if len(options.rows) != len(options.spans_per_file):
        parser.error(
            f"{len(options.rows)} --rows and {len(options.spans_per_file)} --spans_per_file: one of each a run"
        )
    runs = [measure(options, *run) for run in zip(options.rows, options.spans_per_file, strict=True)]
    lines = [
        f"{options.slots} slots, {options.step_ms:g} ms a step, {options.row_ms:g} ms a row of 4,096, "
        f"{options.workers} row worker(s), policy {options.policy}.",
        "",
        "| " + " | ".join(runs[0]) + " |",
        "|" + "---|" * len(runs[0]),
        *("| " + " | ".join(map(_shown, figures.values())) + " |" for figures in runs),
    ]
    print("\n".join(lines))
    if options.write:
        write_section(ROOT / "docs" / "benchmarks.md", "feeding", lines)


if __name__ == "__main__":
    main()
