"""Floors are compared with numbers worked out independently of this code, and checked for invariants of any floor."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from model.config import PRESETS, GemmaConfig
from model.engine.options import EngineOptions
from model.errors import ConfigError
from model.roofline import (
    DEVICES,
    GIB,
    Shape,
    Workload,
    decode_step_s,
    fewest_chips,
    floor_of,
    largest_slots,
    prefill_s,
)

SMALL, LARGE = PRESETS["codegemma-2b"], PRESETS["codegemma-7b"]
WORK = Workload(requests=100_000, prompt_tokens=1200, new_tokens=80, max_prompt_tokens=2048, max_new_tokens=256)


@pytest.mark.parametrize(
    ("config", "storage", "weights_gib", "cache_kib"),
    [
        (SMALL, "bfloat16", 4.67, 18),
        (SMALL, "int8", 2.33, 9),
        (LARGE, "bfloat16", 15.9, 448),
        (LARGE, "int8", 7.95, 224),
    ],
)
def test_weights_and_caches_take_the_published_shapes_bytes(
    config: GemmaConfig, storage: str, weights_gib: float, cache_kib: int
) -> None:
    shape = Shape(config=config, weights=storage, cache=storage)
    assert shape.weight_bytes / GIB == pytest.approx(weights_gib, rel=0.003)
    assert shape.cache_bytes_per_token == cache_kib * 1024


@pytest.mark.parametrize(
    ("config", "storage", "device", "chips", "slots", "tokens_per_s_and_chip"),
    [
        (SMALL, "bfloat16", "v5e", 1, 64, 8_000),
        (SMALL, "bfloat16", "v5e", 1, 256, 19_000),
        (SMALL, "bfloat16", "h100", 1, 256, 78_000),
        (LARGE, "bfloat16", "v5e", 4, 76, 1_000),
        (LARGE, "int8", "v5e", 4, 182, 2_400),
        (LARGE, "bfloat16", "h100", 1, 102, 4_400),
    ],
)
def test_decode_ceilings_are_those_worked_out_by_hand(
    config: GemmaConfig, storage: str, device: str, chips: int, slots: int, tokens_per_s_and_chip: float
) -> None:
    shape = Shape(config=config, weights=storage, cache=storage)
    step_s = decode_step_s(shape, DEVICES[device], slots=slots, context=1280, chips=chips)
    assert slots / step_s / chips == pytest.approx(tokens_per_s_and_chip, rel=0.02)


@pytest.mark.parametrize(("device", "tokens_per_s"), [("v5e", 48_600), ("h100", 244_000)])
def test_prefill_ceilings_are_those_worked_out_by_hand(device: str, tokens_per_s: float) -> None:
    seconds = prefill_s(Shape(config=SMALL), DEVICES[device], tokens=1e6, prompt_tokens=1200)
    assert 1e6 / seconds == pytest.approx(tokens_per_s, rel=0.02)


def test_parameters_of_blocks_and_embedding_and_norms_are_all_parameters() -> None:
    for config in (SMALL, LARGE):
        norms = config.d_model * (2 * config.num_layers + 1)
        embedding = config.vocab_size * config.d_model
        assert Shape(config=config).block_parameters + embedding + norms == config.num_parameters


def test_slots_equal_the_engines_choice_if_memory_limits_it() -> None:
    shape = Shape(config=LARGE)
    device = DEVICES["v6e"]
    options = EngineOptions(prompt_buckets=(1024, 2048), max_new_tokens=256, prompt_lookup="off")
    left = device.memory_bytes - shape.weight_bytes
    chosen = options.resolve("tpu", config=LARGE, memory_bytes=left).slots
    most = largest_slots(shape, device, positions=2048 + 256)
    assert chosen == most - most % 8 == 8


def test_a_multi_query_model_takes_one_chip_and_7b_takes_as_many_as_it_needs() -> None:
    for name, chips in (("v5e", 4), ("v6e", 2), ("h100", 1)):
        assert fewest_chips(Shape(config=SMALL), DEVICES[name], positions=2304) == 1
        assert fewest_chips(Shape(config=LARGE), DEVICES[name], positions=2304, min_slots=16) == chips


def test_a_model_that_fits_nowhere_names_required_and_available_memory() -> None:
    tiny = replace(DEVICES["v5e"], memory_bytes=GIB)
    with pytest.raises(ConfigError, match=r"4\.7 GiB of bfloat16 weights .* 1 x TPU v5e \(1\.0 GiB\)"):
        floor_of(WORK, Shape(config=SMALL), tiny)


def test_slots_that_do_not_fit_are_refused_with_the_number_that_does() -> None:
    with pytest.raises(ConfigError, match=r"10000 slots of 2304 positions don't fit on 1 x TPU v5e, \d+ do"):
        floor_of(WORK, Shape(config=SMALL), DEVICES["v5e"], slots=10_000)


def test_means_above_the_maximums_are_refused() -> None:
    with pytest.raises(ConfigError, match="exceed the maximums, 2,048 and 256"):
        replace(WORK, prompt_tokens=4096)


devices = st.sampled_from(list(DEVICES.values()))
shapes = st.builds(
    Shape,
    config=st.sampled_from([SMALL, LARGE]),
    weights=st.sampled_from(["bfloat16", "int8"]),
    cache=st.sampled_from(["bfloat16", "int8"]),
)


@given(shapes, devices, st.integers(1, 512), st.floats(1, 8192))
def test_no_step_is_shorter_than_reading_all_weights_and_more_slots_never_lose_throughput(
    shape: Shape, device, slots: int, context: float
) -> None:
    step = decode_step_s(shape, device, slots=slots, context=context)
    assert step >= shape.weight_bytes / device.bandwidth
    doubled = decode_step_s(shape, device, slots=2 * slots, context=context)
    assert 2 * slots / doubled >= slots / step * (1 - 1e-9)


@given(shapes, devices, st.integers(1, 10**7))
def test_more_requests_never_take_less_and_slots_never_outnumber_requests(shape: Shape, device, requests: int) -> None:
    one = floor_of(replace(WORK, requests=requests), shape, device)
    more = floor_of(replace(WORK, requests=2 * requests), shape, device)
    assert one.slots <= requests
    assert more.wall_s >= one.wall_s * (1 - 1e-9)
    assert one.steps * one.slots >= requests * WORK.new_tokens - 1


def test_every_device_names_its_source() -> None:
    assert all(device.source for device in DEVICES.values())
    assert set(DEVICES) == {"v5e", "v6e", "v5p", "h100", "h200", "cpu"}
