from __future__ import annotations

from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from model.layers import unembed
from model.training.loss import chunk_length, linear_cross_entropy

VOCAB, WIDTH, BATCH, LENGTH = 24, 8, 3, 11


def arrays() -> tuple[jax.Array, jax.Array, jax.Array, jax.Array]:
    rng = np.random.default_rng(0)
    hidden = jnp.asarray(rng.standard_normal((BATCH, LENGTH, WIDTH)), jnp.float32)
    embedding = jnp.asarray(rng.standard_normal((VOCAB, WIDTH)), jnp.float32)
    targets = jnp.asarray(rng.integers(0, VOCAB, (BATCH, LENGTH)))
    return hidden, embedding, targets, jnp.asarray(rng.uniform(0, 2, (BATCH, LENGTH)), jnp.float32)


def whole(hidden, embedding, targets, weights, cap):
    logits = unembed(hidden, embedding, cap)
    return jnp.sum(optax.softmax_cross_entropy_with_integer_labels(logits, targets) * weights)


@pytest.mark.parametrize("cap", [None, 5.0])
@pytest.mark.parametrize("chunk", [1, 4, 11])
def test_chunks_give_the_loss_and_the_gradients_of_all_logits_at_once(chunk: int, cap: float | None):
    hidden, embedding, targets, weights = arrays()
    chunked = jax.value_and_grad(partial(linear_cross_entropy, cap=cap, chunk=chunk), argnums=(0, 1))
    reference = jax.value_and_grad(whole, argnums=(0, 1))
    found, expected = chunked(hidden, embedding, targets, weights), reference(hidden, embedding, targets, weights, cap)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-4, atol=1e-5), found, expected)
    alone = linear_cross_entropy(hidden, embedding, targets, weights, cap=cap, chunk=chunk)
    assert float(alone) == pytest.approx(float(expected[0]), rel=1e-5)


def test_gradients_are_scaled_by_what_the_loss_is_multiplied_by():
    hidden, embedding, targets, weights = arrays()
    of = partial(linear_cross_entropy, chunk=4)
    one = jax.grad(lambda h: of(h, embedding, targets, weights))(hidden)
    half = jax.grad(lambda h: 0.5 * of(h, embedding, targets, weights))(hidden)
    np.testing.assert_allclose(half, 0.5 * one, rtol=1e-6)


def test_a_frozen_embedding_gets_no_gradient_and_hidden_states_the_same():
    hidden, embedding, targets, weights = arrays()
    frozen = partial(linear_cross_entropy, chunk=4, is_embedding_trained=False)
    trained = partial(linear_cross_entropy, chunk=4)
    of_hidden, of_embedding = jax.grad(frozen, argnums=(0, 1))(hidden, embedding, targets, weights)
    assert not of_embedding.any()
    np.testing.assert_array_equal(of_hidden, jax.grad(trained)(hidden, embedding, targets, weights))


def test_logits_of_a_whole_batch_are_never_in_memory():
    hidden, embedding, targets, weights = (
        jax.ShapeDtypeStruct(shape, dtype)
        for shape, dtype in (
            ((4, 512, 8), jnp.float32), ((4096, 8), jnp.float32), ((4, 512), jnp.int32), ((4, 512), jnp.float32),
        )
    )  # fmt: skip
    step = jax.jit(jax.value_and_grad(partial(linear_cross_entropy, chunk=16), argnums=(0, 1)))
    used = step.lower(hidden, embedding, targets, weights).compile().memory_analysis()
    assert used is not None and used.temp_size_in_bytes < 4 * 512 * 4096 * 4 / 4


def test_a_chunk_is_a_part_of_a_row_and_at_least_one_position():
    assert all(1 <= chunk_length(rows, 300, 256_000) <= 300 for rows in (1, 7, 10_000))
