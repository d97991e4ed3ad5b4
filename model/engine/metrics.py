"""The engine's statistics: sums, which add up over engines and worker sessions, and ratios derived from them.

    slot_occupancy       busy_slot_steps / slot_steps: slots that decoded, over all steps
    tokens_per_slot_step tokens_decoded / busy_slot_steps: above 1 if drafts are accepted
    padding_waste        prefill_positions / prefill_tokens: positions computed per token needed
    tokens_in_per_s      tokens_in / work_s, where work_s is the time in which there was work, excluding compilation
    tokens_out_per_s     tokens_out / work_s
    score_tokens_per_s   score_tokens / (score_busy_s - score_compile_s): tokens computed to score others
    floor_share          floor_s / work_s: how close the work came to the device's limits (`model.roofline`)

The floor is computed for the same tokens: prompts prefilled without padding, every slot busy in every step, at the
device's published peaks, or at peaks measured at the start if there are none (a CPU).
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from functools import cache

import numpy as np

from model.roofline import DEVICES, Device, Shape, decode_step_s, prefill_s

# Counts of the scheduler, counts of the device, and the floor that the engine adds.
SCHEDULER_SUMS = (
    "requests_done",
    "requests_failed",
    "tokens_in",
    "tokens_out",
    "tokens_decoded",
    "steps",
    "steps_drafted",
    "slot_steps",
    "busy_slot_steps",
    "bursts",
    "shrinks",
)
SUMS = (
    *SCHEDULER_SUMS,
    "busy_s",
    "compiles",
    "compile_s",
    "prefill_tokens",
    "prefill_positions",
    "prefill_tokens_shared",
    "floor_s",
    # Of scoring, where the engine has scored (`model.engine.scoring`):
    "score_tokens",
    "score_positions",
    "score_tokens_shared",
    "tokens_scored",
    "score_busy_s",
    "score_compile_s",
)

# JAX's name of a device, in lower case, and its name in `model.roofline.DEVICES`; the first match counts.
_KINDS = (
    ("v5 lite", "v5e"),
    ("v5e", "v5e"),
    ("v6 lite", "v6e"),
    ("v6e", "v6e"),
    ("v5p", "v5p"),
    ("tpu v5", "v5p"),
    ("h200", "h200"),
    ("h100", "h100"),
)
_MATRIX, _COPY_BYTES, _TRIALS = 1024, 32 << 20, 3


def ratios(sums: Mapping[str, float]) -> dict[str, float]:
    """The ratios of the sums; a ratio whose sums are missing or zero is omitted.

    >>> ratios({"slot_steps": 8, "busy_slot_steps": 6, "tokens_out": 10, "busy_s": 3.0, "compile_s": 1.0})
    {'slot_occupancy': 0.75, 'tokens_out_per_s': 5.0}
    """
    work_s = sums.get("busy_s", 0.0) - sums.get("compile_s", 0.0)
    parts = {
        "slot_occupancy": ("busy_slot_steps", sums.get("slot_steps", 0.0)),
        "tokens_per_slot_step": ("tokens_decoded", sums.get("busy_slot_steps", 0.0)),
        "padding_waste": ("prefill_positions", sums.get("prefill_tokens", 0.0)),
        "tokens_in_per_s": ("tokens_in", work_s),
        "tokens_out_per_s": ("tokens_out", work_s),
        "score_tokens_per_s": ("score_tokens", sums.get("score_busy_s", 0.0) - sums.get("score_compile_s", 0.0)),
        "floor_share": ("floor_s", work_s),
    }
    return {name: sums[top] / bottom for name, (top, bottom) in parts.items() if top in sums and bottom > 0}


def floor_s(sums: Mapping[str, float], shape: Shape, device: Device, slots: int, chips: int = 1) -> float:
    """Minimum seconds in which `chips` chips could have done the work that the sums count."""
    done = sums["requests_done"]
    if not done:
        return 0.0
    prompt_tokens, new_tokens = sums["tokens_in"] / done, sums["tokens_out"] / done
    prefill = prefill_s(shape, device, tokens=sums["prefill_tokens"], prompt_tokens=prompt_tokens, chips=chips)
    step = decode_step_s(shape, device, slots=slots, context=prompt_tokens + (new_tokens + 1) / 2, chips=chips)
    return prefill + sums["tokens_decoded"] / slots * step


def peaks_of(kind: str, platform: str) -> Device | None:
    """The peaks of a device, by JAX's name for it; None if they are unknown."""
    if platform == "cpu":
        return _measured_cpu()
    return next((DEVICES[name] for word, name in _KINDS if word in kind.lower()), None)


@cache
def _measured_cpu() -> Device:
    """This process's processors: the fastest of several matrix products, and of copies by all of its threads."""
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    matrix = np.ones((_MATRIX, _MATRIX), np.float32)
    out = np.empty_like(matrix)
    product_s = _fastest(lambda: np.matmul(matrix, matrix, out=out))
    sources = [np.ones(_COPY_BYTES // 4, np.float32) for _ in range(cores)]
    targets = [np.ones_like(source) for source in sources]
    with ThreadPoolExecutor(cores) as pool:
        copy_s = _fastest(lambda: list(pool.map(np.copyto, targets, sources)))
    return Device(
        name="cpu",
        title="this machine's CPU",
        peak_flops=2 * _MATRIX**3 / product_s,
        bandwidth=2 * _COPY_BYTES * cores / copy_s,  # read and written
        memory_bytes=0,
        compute="float32",
        source="measured by this process",
    )


def _fastest(run: Callable[[], object]) -> float:
    times = []
    for _ in range(_TRIALS):
        began = time.perf_counter()
        run()
        times.append(time.perf_counter() - began)
    return min(times)
