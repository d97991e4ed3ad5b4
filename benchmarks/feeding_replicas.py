"""How many devices one process keeps busy: the engine's scheduling and transfers, with devices of fixed latency.

    python -m benchmarks.feeding_replicas --devices 1 8 --write

The devices are those of `benchmarks.feeding`: everything on the host is the engine's own, while programs take the time
that `model.roofline` gives for the device, divided by the share of it that programs are assumed to reach, and compute
nothing. JAX's time to pass a program its arguments is not included, nor is row work, which other processes do.

    requests/s    over the complete run, its start and end included
    device busy   share of the run in which the devices had work: the least and the most busy one
    host ms       processor time of this process per request, without the fake's own
    limit         requests/s of devices that are always busy
"""

from __future__ import annotations

import argparse
import random
import time
from typing import Any

import jax

from benchmarks.engine import write_section
from benchmarks.feeding import ROOT, FixedLatencyDevice
from model.config import PRESETS
from model.engine.jax_device import prefix_group_window
from model.engine.options import EngineOptions, ResolvedOptions, prompt_buckets
from model.engine.replicas import Replicas
from model.engine.requests import Request
from model.gemma import weight_shapes
from model.roofline import DEVICES, ROW_TOKENS, Shape, decode_step_s, prefill_s

# The infill job's means over the standard library (`benchmarks.feeding`).
PROMPT_TOKENS, NEW_TOKENS = 745, 31
IN_FLIGHT = 4096  # requests submitted and not done: those of some units


def requests_of(count: int, seed: int = 0) -> tuple[list[Request], dict[tuple[int, ...], tuple[int, ...]]]:
    """Requests of log-normal lengths, and their answers."""
    rng = random.Random(seed)
    stop_ids = frozenset(range(60_000, 60_020))
    made, answers = [], {}
    for _ in range(count):
        length = min(896, max(64, int(rng.lognormvariate(6.6, 0.25))))
        prompt = tuple(rng.choices(range(50_000), k=length))
        answers[prompt] = prompt[: min(127, max(2, int(rng.lognormvariate(3.2, 0.7))))]
        made.append(Request(prompt=prompt, max_new_tokens=128, stop_ids=stop_ids))
    return made, answers


def device_times(name: str, slots: int, decode_share: float, prefill_share: float) -> tuple[float, float]:
    """Seconds of a decode step of 2B and of a prefill row."""
    shape, device = Shape(config=PRESETS["codegemma-2b"]), DEVICES[name]
    step_s = decode_step_s(shape, device, slots=slots, context=PROMPT_TOKENS + NEW_TOKENS / 2)
    row_s = prefill_s(shape, device, tokens=ROW_TOKENS, prompt_tokens=PROMPT_TOKENS)
    return step_s / decode_share, row_s / prefill_share


def measure(
    options: ResolvedOptions, num_devices: int, num_requests: int, step_s: float, row_s: float, slow: float
) -> dict[str, Any]:
    config = PRESETS["codegemma-2b"]
    weights = weight_shapes(config, jax.numpy.bfloat16)
    requests, answers = requests_of(num_requests)
    waiting = prefix_group_window(options)
    devices = []
    for index in range(num_devices):
        factor = slow if index == 0 else 1.0
        device = FixedLatencyDevice(
            weights, config, options, answers, step_s=factor * step_s, row_s=factor * row_s, waiting=waiting
        )
        devices.append(device)
    replicas = Replicas(devices, pipeline=True)
    replicas.start()
    began, cpu = time.perf_counter(), time.process_time()
    futures, ended_before = [], 0
    for start in range(0, len(requests), 256):
        futures += replicas.submit(requests[start : start + 256])
        if len(futures) - ended_before >= IN_FLIGHT:
            for future in futures[ended_before : ended_before + 256]:
                future.result()
            ended_before += 256
    for future in futures:
        future.result()
    wall, cpu = time.perf_counter() - began, time.process_time() - cpu
    stats = replicas.stats()
    replicas.close()
    fake = sum(device.fake_cpu_s for device in devices)
    busy = sorted(device.device_s / wall for device in devices)
    return {
        "devices": num_devices,
        "step ms": 1e3 * step_s,
        "row ms": 1e3 * row_s,
        "requests/s": num_requests / wall,
        "limit": num_requests / sum(device.device_s for device in devices) * num_devices,
        "device busy": f"{busy[0]:.3f} to {busy[-1]:.3f}",
        "host ms": 1e3 * (cpu - fake) / num_requests,
        "slots used": stats["slot_occupancy"],
        "padding": stats["padding_waste"],
        "wall s": wall,
    }


def _shown(value: Any) -> str:
    if isinstance(value, str | int):
        return str(value)
    return f"{value:,.0f}" if value >= 100 else f"{value:.2f}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--devices", type=int, nargs="+", default=[1, 8], help="how many, a run each")
    parser.add_argument("--requests", type=int, default=1500, help="per device")
    parser.add_argument("--device", default="h100", choices=DEVICES)
    parser.add_argument("--slots", type=int, default=128)
    parser.add_argument("--decode_share", type=float, default=0.6, help="of the roofline that a decode step reaches")
    parser.add_argument("--prefill_share", type=float, default=0.5, help="of the roofline that prefill reaches")
    parser.add_argument("--slow", type=float, default=1.0, help="the first device takes so many times as long")
    parser.add_argument("--write", action="store_true", help="put the table into docs/benchmarks.md")
    options = parser.parse_args()
    shapes = EngineOptions(
        slots=options.slots, prompt_buckets=prompt_buckets(896), max_new_tokens=128, prompt_lookup="off"
    ).resolve("gpu")
    step_s, row_s = device_times(options.device, options.slots, options.decode_share, options.prefill_share)
    runs = [measure(shapes, count, count * options.requests, step_s, row_s, options.slow) for count in options.devices]
    lines = [
        f"{options.device}, {options.slots} slots; {options.decode_share:.0%} and {options.prefill_share:.0%} of the "
        "roofline for decode and prefill.",
        "",
        "| " + " | ".join(runs[0]) + " |",
        "|" + "---|" * len(runs[0]),
        *("| " + " | ".join(map(_shown, figures.values())) + " |" for figures in runs),
    ]
    print("\n".join(lines))
    if options.write:
        write_section(ROOT / "docs" / "benchmarks.md", "feeding replicas", lines)


if __name__ == "__main__":
    main()
