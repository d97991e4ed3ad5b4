"""Options refuse impossible values and choose those left open."""

from __future__ import annotations

import dataclasses

import pytest

from model.config import PRESETS
from model.engine.options import EngineOptions, prompt_buckets
from model.errors import ConfigError

GIB = 2**30


# 2,304 positions per slot, none of them for drafts.
LONG = EngineOptions(prompt_buckets=(1024, 2048), max_new_tokens=256, prompt_lookup="off")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"determinism": "fastest"}, "determinism is 'fastest'"),
        ({"prompt_buckets": ()}, "ascending"),
        ({"prompt_buckets": (256, 128)}, "ascending"),
        ({"slots": 0}, "slots is 0"),
        ({"dtype": "float16"}, "dtype is 'float16'"),
        ({"min_shared_prefix": -1}, "min_shared_prefix is -1"),
        ({"draft_tokens": 0}, "draft_tokens is 0"),
        ({"prompt_lookup": "sometimes"}, "prompt_lookup is 'sometimes', expected one of auto, off, always"),
        ({"prompt_cache": "int4"}, "prompt_cache is 'int4'"),
        (
            {"determinism": "exact", "prompt_lookup": "always"},
            "prompt_lookup is always, but determinism exact drafts nothing",
        ),
    ],
)
def test_impossible_options_are_refused_in_one_line(change, said):
    with pytest.raises(ConfigError, match=said) as caught:
        EngineOptions(**change)
    assert "\n" not in str(caught.value)


def test_nothing_is_left_open_once_resolved():
    for platform in ("cpu", "gpu", "tpu", "cuda"):
        resolved = EngineOptions().resolve(platform)
        open_fields = {f.name for f in dataclasses.fields(resolved) if getattr(resolved, f.name) is None}
        assert open_fields == {"compile_cache"}
    assert EngineOptions(slots=3).resolve("tpu").slots == 3


def test_slots_fit_the_memory_that_weights_leave():
    """7B in bfloat16 takes 448 KiB per position: 2,304 positions are 0.98 GiB per slot."""
    large = PRESETS["codegemma-7b"]
    assert LONG.resolve("gpu", config=large, memory_bytes=60 * GIB).slots == 42
    assert LONG.resolve("gpu", config=PRESETS["codegemma-2b"], memory_bytes=60 * GIB).slots == 128


@pytest.mark.parametrize(
    ("preset", "gib", "slots"), [("codegemma-2b", 11.08, 192), ("codegemma-7b", 47.1, 32), ("codegemma-2b", 90.0, 512)]
)
def test_a_tpu_takes_slots_in_eights_until_memory_ends(preset, gib, slots):
    """Memory left by the weights: of one v5e with 2B, of four with 7B, and of a chip with more than can be used."""
    chosen = LONG.resolve("tpu", config=PRESETS[preset], memory_bytes=int(gib * GIB))
    assert chosen.slots == slots
    assert LONG.resolve("tpu", config=PRESETS[preset], memory_bytes=5 * GIB).slots <= 88
    assert LONG.resolve("tpu").slots == 64


def test_exact_mode_takes_its_slots_from_the_options_alone():
    large = PRESETS["codegemma-7b"]
    options = EngineOptions(determinism="exact")
    assert options.resolve("gpu", config=large, memory_bytes=GIB) == options.resolve("gpu")


def test_every_bucket_is_a_row_length_and_the_staged_row_has_room_for_a_slice_at_its_end():
    resolved = EngineOptions().resolve("cpu")
    assert set(resolved.prompt_buckets) <= set(resolved.row_lengths())
    assert resolved.staged_length() >= resolved.row_lengths()[-1] + resolved.prompt_buckets[-1]


def test_a_prompt_cache_of_8_bits_lets_nearly_twice_the_slots_in():
    large = PRESETS["codegemma-7b"]
    options = dataclasses.replace(LONG, prompt_cache="int8", max_new_tokens=16)
    full = dataclasses.replace(LONG, max_new_tokens=16).resolve("gpu", config=large, memory_bytes=60 * GIB).slots
    assert 1.9 * full < options.resolve("gpu", config=large, memory_bytes=60 * GIB).slots < 2 * full


def test_prompt_buckets_end_exactly_at_the_longest_prompt():
    assert prompt_buckets(768)[-1] == 768
    assert prompt_buckets(16) == (16,)
