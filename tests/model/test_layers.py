"""Invariants of each layer function, whatever the numbers."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.layers import (
    Int8Matrix,
    KeyValues,
    Rotation,
    attention,
    causal_mask,
    embed,
    linear,
    rms_norm,
    rope,
    rotation,
    segment_positions,
    unembed,
)


def normal(seed: int, *shape: int) -> jax.Array:
    return jnp.asarray(np.random.default_rng(seed).standard_normal(shape), jnp.float32)


@jax.jit
def rotated_product(first: jax.Array, second: jax.Array) -> jax.Array:
    query, key = normal(0, 1, 1, 1, 16), normal(1, 1, 1, 1, 16)
    turns = rotation(first[None, None], 16, 10_000.0), rotation(second[None, None], 16, 10_000.0)
    return jnp.sum(rope(query, turns[0]) * rope(key, turns[1]))


@settings(max_examples=25, deadline=None)
@given(shift=st.integers(0, 8000), distance=st.integers(0, 100))
def test_rotated_products_depend_on_the_distance_alone(shift, distance):
    far = rotated_product(jnp.int32(shift + distance), jnp.int32(shift))
    near = rotated_product(jnp.int32(distance), jnp.int32(0))
    np.testing.assert_allclose(far, near, atol=5e-3)  # float32 angles near 8,000


def test_position_zero_is_not_rotated():
    x = normal(0, 1, 1, 2, 8)
    np.testing.assert_array_equal(rope(x, rotation(jnp.zeros((1, 1), int), 8, 10_000.0)), x)


def test_rotation_pairs_the_two_halves_of_a_head():
    quarter = Rotation(sin=jnp.ones((1, 1, 2)), cos=jnp.zeros((1, 1, 2)))
    x = jnp.array([1.0, 2.0, 3.0, 4.0]).reshape(1, 1, 1, 4)
    assert rope(x, quarter).ravel().tolist() == [-3.0, -4.0, 1.0, 2.0]


def test_rms_norm_multiplies_by_one_plus_scale_in_float32():
    x = jnp.array([[3.0, -4.0]], jnp.bfloat16)
    out = rms_norm(x, jnp.array([1.0, 0.0]), eps=0.0)
    assert out.dtype == jnp.bfloat16
    np.testing.assert_allclose(out.astype(jnp.float32), np.array([[6, -4]]) / 12.5**0.5, rtol=4e-3)


def test_the_embedding_factor_is_rounded_to_the_compute_dtype():
    table = jnp.ones((4, 3072))
    assert float(embed(table, jnp.array([[1]]), jnp.bfloat16)[0, 0, 0]) == 55.5
    assert float(embed(table, jnp.array([[1]]), jnp.float32)[0, 0, 0]) == pytest.approx(3072**0.5)


attend = jax.jit(attention)


@pytest.mark.parametrize("kv_heads", [1, 2, 4])
@settings(max_examples=10, deadline=None)
@given(seed=st.integers(0, 1000))
def test_attention_over_parts_is_attention_over_their_union(kv_heads, seed):
    query, key, value = normal(0, 2, 3, 4, 8), normal(1, 2, kv_heads, 9, 8), normal(2, 2, kv_heads, 9, 8)
    draw = np.random.default_rng(seed)
    seen = draw.random((2, 3, 9)) < 0.7
    seen[:, :, 0] = True
    is_first = draw.random((1, 1, 9)) < 0.5
    whole, first, second = (KeyValues(key=key, value=value, mask=m) for m in (seen, seen & is_first, seen & ~is_first))
    np.testing.assert_allclose(attend(query, first, second), attend(query, whole), atol=1e-5)
    np.testing.assert_allclose(attend(query, second, first), attend(query, whole), atol=1e-5)


def test_grouped_heads_read_the_kv_head_of_their_group():
    query = jnp.zeros((1, 1, 4, 2))
    value = jnp.arange(2.0)[None, :, None, None] * jnp.ones((1, 2, 3, 2))
    out = attention(query, KeyValues(key=jnp.zeros((1, 2, 3, 2)), value=value, mask=jnp.ones((1, 1, 3), bool)))
    assert out[0, 0, :, 0].tolist() == [0, 0, 1, 1]


def test_a_query_that_attends_to_nothing_stays_finite():
    part = KeyValues(key=normal(0, 1, 1, 3, 4), value=normal(1, 1, 1, 3, 4), mask=jnp.zeros((1, 1, 3), bool))
    assert np.isfinite(attention(normal(2, 1, 2, 2, 4), part, part)).all()


def test_segments_hide_each_other():
    mask = causal_mask(4, jnp.array([[1, 1, 2, 2]]))[0].astype(int).tolist()
    assert mask == [[1, 0, 0, 0], [1, 1, 0, 0], [0, 0, 1, 0], [0, 0, 1, 1]]


@settings(max_examples=30, deadline=None)
@given(lengths=st.lists(st.integers(1, 5), min_size=1, max_size=5))
def test_positions_count_from_zero_in_each_segment(lengths):
    padded = [*lengths, 26 - sum(lengths)]
    ids = jnp.array([[number for number, length in enumerate(padded) for _ in range(length)]])
    assert jax.jit(segment_positions)(ids)[0].tolist() == [place for length in padded for place in range(length)]


def test_an_8_bit_matrix_is_used_as_the_matrix_that_it_represents():
    values = jnp.asarray(np.random.default_rng(0).integers(-127, 128, (6, 8)), jnp.int8)
    small, scale = Int8Matrix(values=values, scale=jnp.linspace(0.1, 0.6, 6)), jnp.linspace(0.1, 0.6, 6)
    plain, x, tokens = values * scale[:, None], normal(1, 2, 3, 8), jnp.array([[0, 5]])
    np.testing.assert_allclose(linear(x, small), linear(x, plain), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(unembed(x, small), unembed(x, plain), rtol=1e-5, atol=1e-4)
    np.testing.assert_allclose(embed(small, tokens), embed(plain, tokens), rtol=1e-6)
