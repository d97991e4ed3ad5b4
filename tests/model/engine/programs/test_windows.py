"""Layers with a window: caches that hold it, masks that hide the rest, and figures that count it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model.config import PRESETS, GemmaConfig
from model.engine.options import EngineOptions
from model.engine.prefill_rows import lay_out
from model.engine.programs.attention import row_attention
from model.engine.programs.caches import Cache, empty_prompt_caches, insert_prompt, prompt_masks
from model.engine.programs.rows import first_seen, visible
from model.engine.transfer import prompt_row
from model.roofline import DEVICES, Shape, largest_slots

TINY = GemmaConfig(
    num_layers=3, d_model=16, d_ff=16, num_heads=2, num_kv_heads=1, head_dim=4, vocab_size=80, window=6,
    window_pattern=(True, False),
)  # fmt: skip


@pytest.fixture(scope="module")
def row():
    rng = np.random.default_rng(0)
    file = rng.integers(0, 9, 140).tolist()
    prompts = [file, [*file[:80], 1, 2, 3], [*file[:80], 4], rng.integers(0, 9, 90).tolist(), [3]]
    return prompt_row(lay_out(prompts, min_shared=32)[0], 384)


@pytest.mark.parametrize("window", [1, 20, 200])
def test_a_window_counts_positions_of_the_prompt_also_across_a_shared_prefix(row, window):
    seen, everything = np.asarray(visible(row, window)), np.asarray(visible(row))
    distance = np.asarray(row.positions)[:, None] - np.asarray(row.positions)[None]
    np.testing.assert_array_equal(seen, everything & (distance < window))
    used = int(row.used)
    first = seen[:used].argmax(axis=1)
    assert (np.asarray(first_seen(row, window))[:used] <= first).all()


@pytest.mark.parametrize("cap", [None, 2.0])
def test_tiles_behind_the_window_are_skipped_and_change_nothing(row, cap):
    keys = jax.random.split(jax.random.key(0), 3)
    query = jax.random.normal(keys[0], (1, 384, 4, 16))
    key, value = (jax.random.normal(one, (1, 2, 384, 16)) for one in keys[1:])
    read = [
        jax.jit(partial(row_attention(path), window=20, cap=cap))(query, key, value, row)
        for path in ("einsum", "blocked")
    ]
    used = int(row.used)
    np.testing.assert_allclose(read[0][:, :used], read[1][:, :used], atol=2e-5)


def test_chunks_of_the_prompt_cache_end_with_the_window():
    def lengths(begin: int, end: int) -> list[int | None]:
        chunk = empty_prompt_caches(TINY, 2, end - begin, jnp.float32, stacked=False, int8=True, begin=begin)
        return [None if cache is None else cache.key.shape[2] for cache in chunk]

    assert [lengths(0, 4), lengths(4, 8), lengths(8, 16)] == [[4, 4, 4], [2, 4, 2], [None, 8, None]]


@pytest.mark.parametrize("length", [1, 6, 7, 11])
def test_a_windowed_layer_holds_the_prompts_last_positions_and_shows_those_in_reach(length):
    numbered = jnp.broadcast_to(jnp.arange(32.0)[None, None, :, None], (1, 1, 32, 4))
    staged = (Cache(key=numbered, value=numbered),) * 3
    chunks = tuple(
        empty_prompt_caches(TINY, 1, end - begin, jnp.float32, stacked=False, int8=False, begin=begin)
        for begin, end in ((0, 4), (4, 16))
    )
    zero, place = jnp.int32(0), jnp.array([3, 2, 8], jnp.int32)  # positions 0 and 1 are at 3 and 4, the rest from 8 on
    written = insert_prompt(chunks, staged, zero, place, jnp.int32(length), TINY.windows)
    at = [3 + position if position < 2 else 6 + position for position in range(length)]
    held = np.concatenate([chunk[0].key[0, 0, :, 0] for chunk in written])
    whole = np.concatenate([chunk[1].key[0, 0, :, 0] for chunk in written])
    np.testing.assert_array_equal(held[: min(length, 6)], at[-6:])
    np.testing.assert_array_equal(whole[:length], at)
    index = jnp.array([[0, 2]])  # what is generated first sees 5 positions of the prompt, the third token 3
    masks = prompt_masks(written, jnp.array([length]), index, TINY.window)
    seen = np.concatenate(masks, axis=-1)[0]
    assert [held[line].tolist() for line in seen] == [at[-5:], at[-3:]]


def test_slots_and_floors_count_what_windowed_layers_hold():
    small = PRESETS["gemma-3-1b"]
    options = EngineOptions(prompt_buckets=(512, 8192), max_new_tokens=256, prompt_lookup="off")
    full = replace(small, window=None, window_pattern=(), local_rope_base=None)
    assert options._slot_bytes(full, "bfloat16") == 26 * (8192 + 256) * 1024
    assert options._slot_bytes(small, "bfloat16") == (4 * 8192 + 22 * 512 + 26 * 256) * 1024
    room = {"positions": 8192 + 256, "new_positions": 256}
    most = [largest_slots(Shape(config=config), DEVICES["v5e"], **room) for config in (small, full)]
    assert most[0] / most[1] == pytest.approx(26 * 8448 / (4 * 8192 + 22 * 512 + 26 * 256), rel=0.05)
    assert Shape(config=small).cache_bytes(100) == Shape(config=full).cache_bytes(100)
