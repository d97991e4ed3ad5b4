"""Statistics that add up, and the ratios derived from them."""

from __future__ import annotations

import pytest

from model.config import PRESETS
from model.engine.metrics import floor_s, peaks_of, ratios
from model.roofline import DEVICES, Shape, decode_step_s, prefill_s

SUMS = {
    "requests_done": 10.0,
    "tokens_in": 12_000.0,
    "tokens_out": 800.0,
    "tokens_decoded": 800.0,
    "slot_steps": 1000.0,
    "busy_slot_steps": 640.0,
    "prefill_tokens": 11_000.0,
    "prefill_positions": 11_550.0,
    "busy_s": 12.0,
    "compile_s": 4.0,
    "floor_s": 2.0,
}


def test_ratios_are_of_sums_and_rates_exclude_the_time_of_compiling():
    assert ratios(SUMS) == {
        "slot_occupancy": 0.64,
        "tokens_per_slot_step": 1.25,
        "padding_waste": 1.05,
        "tokens_in_per_s": 1500.0,
        "tokens_out_per_s": 100.0,
        "floor_share": 0.25,
    }


def test_a_ratio_whose_sums_are_missing_or_zero_is_omitted():
    assert ratios({}) == {}
    assert ratios({**SUMS, "slot_steps": 0.0, "busy_s": 4.0}).keys() == {"padding_waste", "tokens_per_slot_step"}


def test_the_floor_is_prompts_without_padding_and_every_slot_busy():
    shape, device = Shape(config=PRESETS["codegemma-2b"]), DEVICES["v5e"]
    prompts = prefill_s(shape, device, tokens=11_000, prompt_tokens=1200)
    steps = 800 / 64 * decode_step_s(shape, device, slots=64, context=1200 + 40.5)
    assert floor_s(SUMS, shape, device, 64) == pytest.approx(prompts + steps)
    assert floor_s({**SUMS, "requests_done": 0.0}, shape, device, 64) == 0.0


@pytest.mark.parametrize(
    ("kind", "platform", "name"),
    [
        ("TPU v5 lite", "tpu", "v5e"),
        ("TPU v6 lite", "tpu", "v6e"),
        ("TPU v5p", "tpu", "v5p"),
        ("TPU v5", "tpu", "v5p"),
        ("NVIDIA H100 80GB HBM3", "gpu", "h100"),
        ("NVIDIA H200", "gpu", "h200"),
    ],
)
def test_a_device_is_recognized_by_its_name_in_jax(kind, platform, name):
    found = peaks_of(kind, platform)
    assert found is not None and found.name == name


def test_a_device_without_published_peaks_has_none_and_a_cpu_measures_its_own():
    assert peaks_of("NVIDIA T4", "gpu") is None
    cpu = peaks_of("cpu", "cpu")
    assert cpu is not None
    assert 1e8 < cpu.peak_flops < 1e15
    assert 1e7 < cpu.bandwidth < 1e13
