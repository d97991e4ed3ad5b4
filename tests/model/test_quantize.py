"""8-bit weights: their error is bounded by their row's scale, and both ways of making them agree."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

import model
from model import Gemma, GemmaConfig
from model.checkpoint import stored
from model.errors import ConfigError
from model.gemma import weight_shapes
from model.layers import Int8Matrix
from model.quantize import quantize, quantize_rows

TINY = GemmaConfig(num_layers=2, d_model=32, d_ff=64, num_heads=4, num_kv_heads=2, head_dim=8, vocab_size=80)
FLOATS = st.floats(-1e4, 1e4, width=32).filter(lambda value: value == 0 or abs(value) > 1e-20)


def plain(weights):
    """The float weights that 8-bit ones represent."""
    expand = lambda leaf: leaf.values * leaf.scale[..., None] if isinstance(leaf, Int8Matrix) else leaf
    return jax.tree.map(expand, weights, is_leaf=lambda leaf: isinstance(leaf, Int8Matrix))


@pytest.fixture(scope="module")
def gemma() -> Gemma:
    rng = np.random.default_rng(0)
    draw = lambda leaf: jnp.asarray(rng.standard_normal(leaf.shape) * leaf.shape[-1] ** -0.5, jnp.float32)
    return Gemma(TINY, weights=jax.tree.map(draw, weight_shapes(TINY)))


@settings(max_examples=100, deadline=None)
@given(rows=arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=FLOATS))
def test_no_weight_is_off_by_more_than_half_its_rows_scale(rows):
    values, scale = quantize_rows(rows)
    assert values.dtype == np.int8 and np.abs(values.astype(int)).max() <= 127
    error = np.abs(values * scale[:, None] - rows)
    assert (error <= scale[:, None] * 0.5001).all()
    np.testing.assert_array_equal(values[np.abs(rows).max(axis=-1) == 0], 0)


@settings(max_examples=50, deadline=None)
@given(rows=arrays(np.float32, array_shapes(min_dims=2, max_dims=2, max_side=8), elements=FLOATS))
def test_quantizing_what_was_quantized_changes_nothing(rows):
    values, scale = quantize_rows(rows)
    again, scale_again = quantize_rows(values * scale[:, None])
    np.testing.assert_array_equal(again, values)
    np.testing.assert_allclose(scale_again, scale, rtol=1e-6)


@pytest.mark.parametrize("layout", ["unrolled", "scanned"])
def test_weights_made_on_load_are_those_made_on_the_device(gemma, tmp_path, monkeypatch, layout):
    monkeypatch.setattr(stored, "BLOCK_BYTES", 1024)
    model.save(gemma, tmp_path)
    loaded = model.load(tmp_path, dtype=jnp.float32, layout=layout, quantize="int8").arrays()
    made = quantize(model.load(tmp_path, dtype=jnp.float32, layout=layout).arrays())
    assert loaded.embedding.values.dtype == jnp.int8
    for one, other in zip(jax.tree.leaves(loaded), jax.tree.leaves(made), strict=True):
        np.testing.assert_allclose(one.astype(np.float32), other.astype(np.float32), atol=1)  # ties may round apart
        assert np.mean(np.asarray(one) != np.asarray(other)) < 0.01 or one.dtype != jnp.int8


def test_logits_are_those_of_the_weights_that_the_8_bits_represent(gemma):
    tokens = jnp.asarray(np.random.default_rng(1).integers(0, TINY.vocab_size, (2, 12)))
    small = quantize(gemma.arrays())
    with jax.default_matmul_precision("highest"):
        logits = Gemma(TINY, weights=small)(tokens)
        np.testing.assert_allclose(logits, Gemma(TINY, weights=plain(small))(tokens), atol=1e-4)
        exact = gemma(tokens)
    error = np.sqrt(np.mean((logits - exact) ** 2))
    assert 0 < error < 0.05 * np.std(exact)


def test_weights_take_a_quarter_of_the_memory(gemma):
    nbytes = lambda weights: sum(leaf.nbytes for leaf in jax.tree.leaves(weights))
    assert nbytes(quantize(gemma.arrays())) < 0.32 * nbytes(gemma.arrays())  # rows are short here: scales show


def test_a_model_in_8_bits_isnt_saved(gemma, tmp_path):
    with pytest.raises(ConfigError, match="a model in 8 bits can't be saved; load it without quantize"):
        model.save(Gemma(TINY, weights=quantize(gemma.arrays())), tmp_path)
