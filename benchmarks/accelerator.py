"""The engine's programs on the available device, compared with what the device itself achieves, in one run.

    python -m benchmarks.accelerator --preset codegemma-2b --slots 32 64 128 256 --write

Ceilings are measured first: bandwidth by scaling a large array in place, and matrix products of two large squares. Then
the engine's own programs run on random bfloat16 weights (float32 on a CPU): decode with all slots busy, for each number
of slots, and prefill of full rows. A share is the minimum time according to the measured ceilings (`model.roofline`)
divided by the measured time:

    decode     a step with every slot in use, all with about the same context
    prefill    a row of `--row_tokens` tokens, prompts of `--prompt_tokens` each

Every time is the median of `--repeats` runs after a first one that compiles. Numbers of slots that don't fit are
listed. The comparison with another library on the same card is `benchmarks.engine --platform gpu --size 2b`.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from benchmarks.engine import SIZES, write_section
from model.config import PRESETS, GemmaConfig
from model.engine.abstract_device import OutOfMemory
from model.engine.jax_device import JaxDevice
from model.engine.options import EngineOptions
from model.engine.requests import Request
from model.gemma import init_weights
from model.roofline import Device, Shape, decode_step_s, prefill_s

ROOT = Path(__file__).resolve().parents[1]
LARGE = {"cpu": (1 << 26, 1024)}  # numbers in the array that is scaled, side of the squares
LARGE_ELSEWHERE = (1 << 30, 8192)


def median_s(run: Callable[[], Any], repeats: int) -> float:
    """Median seconds of a run, after one that compiles; `run` returns the arrays to wait for."""
    jax.block_until_ready(run())
    times = []
    for _ in range(repeats):
        began = time.perf_counter()
        jax.block_until_ready(run())
        times.append(time.perf_counter() - began)
    return statistics.median(times)


def measured_ceilings(dtype: Any, repeats: int) -> Device:
    """This device's bandwidth and matrix products, as measured now."""
    numbers, side = LARGE.get(jax.default_backend(), LARGE_ELSEWHERE)
    held = [jnp.ones(numbers, dtype)]
    scale = jax.jit(lambda x: x * 0.999, donate_argnums=0)

    def scaled() -> Any:
        held[0] = scale(held[0])
        return held[0]

    bandwidth = 2 * held[0].nbytes / median_s(scaled, repeats)
    held.clear()
    first, second = (jax.random.normal(jax.random.key(seed), (side, side), dtype) for seed in (0, 1))
    product = jax.jit(jnp.matmul)
    flops = 2 * side**3 / median_s(lambda: product(first, second), repeats)
    return Device(
        name="here",
        title=jax.devices()[0].device_kind,
        peak_flops=flops,
        bandwidth=bandwidth,
        memory_bytes=0,
        compute="float32" if dtype == jnp.float32 else "bfloat16",
        source="measured in this run",
    )


class Bench:
    """The engine's device, with requests for the same number of tokens in all slots.

    Args:
        config: The model's shapes.
        weights: Random weights.
        slots: Requests decoded concurrently.
        row_tokens: Tokens of a prefill row.
        prompt_tokens: Tokens of each prompt.
        new_tokens: Maximum tokens generated per prompt.
    """

    def __init__(
        self, config: GemmaConfig, weights: Any, *, slots: int, row_tokens: int, prompt_tokens: int, new_tokens: int
    ):
        options = EngineOptions(
            slots=slots,
            prompt_buckets=(prompt_tokens,),
            max_new_tokens=new_tokens,
            prompt_lookup="off",
            prefill_row_tokens=row_tokens,
            min_shared_prefix=0,
        )
        resolved = options.resolve(jax.default_backend())
        self._device = JaxDevice(weights, config, resolved)
        self._device.start()
        if self._device.slots < slots:
            raise OutOfMemory(f"{slots} slots don't fit, {self._device.slots} would")
        rng = np.random.default_rng(0)
        prompts = rng.integers(3, config.vocab_size, (slots, prompt_tokens)).tolist()
        self._requests = [
            Request(prompt=tuple(prompt), max_new_tokens=new_tokens, stop_ids=frozenset()) for prompt in prompts
        ]
        # A prompt's last token is the input of the first decode step.
        self._row = self._requests[: max(1, row_tokens // (prompt_tokens - 1))]
        self.row_tokens = len(self._row) * (prompt_tokens - 1)

    def prefill_s(self, repeats: int) -> float:
        """Median seconds of a row."""
        return median_s(lambda: self._device.prefill(self._row)[0].row, repeats)

    def step_s(self, repeats: int) -> tuple[float, float]:
        """Median seconds of a decode step with all slots busy, and the mean context in the measured bursts."""
        for slot, request in enumerate(self._requests):
            (staged,) = self._device.prefill([request])
            self._device.insert(slot, staged, request, slot)
        times, contexts, done = [], [], 0
        for burst in range(repeats + 1):
            began = time.perf_counter()
            report = self._device.read(
                self._device.dispatch(len(self._requests), drafts=False, width=self._device.slots, is_watched=False)
            )
            seconds = time.perf_counter() - began
            if report.ended or not report.steps:
                break
            if burst:  # the first one compiles
                times.append(seconds / report.steps)
                contexts.append(len(self._requests[0].prompt) + done + report.steps / 2)
            done += report.steps
        if not times:
            raise ValueError("all requests ended in the first burst: give more --new_tokens")
        return statistics.median(times), statistics.mean(contexts)


def table(args: argparse.Namespace, config: GemmaConfig, name: str) -> list[str]:
    """Markdown: the ceilings, one line per number of slots, one line for prefill, and what didn't fit."""
    storage = "float32" if jax.default_backend() == "cpu" else "bfloat16"
    dtype = jnp.dtype(storage)
    here = measured_ceilings(dtype, args.repeats)
    shape = Shape(config=config, weights=storage, cache=storage)
    weights = jax.jit(lambda: init_weights(jax.random.key(0), config, dtype))()
    lines = [
        f"{name}, {config.num_parameters / 1e6:,.0f} M parameters, {storage}, on {here.title}, jax {jax.__version__}. "
        f"Measured here: {here.bandwidth / 1e9:,.0f} GB/s, {here.peak_flops / 1e12:.2f} TFLOP/s.",
        "",
        "| | ms | tokens/s | share of the ceiling |",
        "|---|---|---|---|",
    ]
    left_out, prefill = [], ""
    for slots in args.slots:
        sizes = {"row_tokens": args.row_tokens, "prompt_tokens": args.prompt_tokens, "new_tokens": args.new_tokens}
        bench = None  # otherwise its caches and the next one's would be in memory together
        try:
            bench = Bench(config, weights, slots=slots, **sizes)
            step, context = bench.step_s(args.repeats)
            row = bench.prefill_s(args.repeats)
        except OutOfMemory as error:
            left_out += ["", f"Not measured: {slots} slots: {str(error).splitlines()[0]}"]
            continue
        floor = decode_step_s(shape, here, slots=slots, context=context)
        lines.append(f"| decode, {slots} slots | {1e3 * step:.2f} | {slots / step:,.0f} | {floor / step:.0%} |")
        floor = prefill_s(shape, here, tokens=bench.row_tokens, prompt_tokens=args.prompt_tokens)
        rate = bench.row_tokens / row
        prefill = f"| prefill, a row of {bench.row_tokens:,} | {1e3 * row:.2f} | {rate:,.0f} | {floor / row:.0%} |"
    return [*lines, *([prefill] if prefill else []), *left_out]


def main(argv: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--preset", choices=[*PRESETS, *SIZES], default="codegemma-2b")
    parser.add_argument("--slots", type=int, nargs="+", default=[32, 64, 128, 256])
    parser.add_argument("--row_tokens", type=int, default=4096)
    parser.add_argument("--prompt_tokens", type=int, default=1024)
    parser.add_argument("--new_tokens", type=int, default=256)
    parser.add_argument("--repeats", type=int, default=10)
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    args = parser.parse_args(argv)
    config = SIZES[args.preset] if args.preset in SIZES else PRESETS[args.preset]
    lines = table(args, config, args.preset)
    print("\n".join(lines))
    if args.write:
        write_section(ROOT / "docs" / "benchmarks.md", "accelerator", lines)


if __name__ == "__main__":
    main()
