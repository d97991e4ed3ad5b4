"""Sampling: the kept set compared with a plain sort, the frequencies with the probabilities."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from model.engine.programs.sampling import SlotSampling, _kept, _least_kept, sample

VOCAB = 300


def sampling(
    slots: int, *, temperature: float = 1.0, top_k: int = 0, top_p: float = 1.0, seed: int = 0
) -> SlotSampling:
    return SlotSampling(
        seed=jnp.arange(seed, seed + slots, dtype=jnp.uint32),
        temperature=jnp.full(slots, temperature, jnp.float32),
        top_k=jnp.full(slots, top_k, jnp.int32),
        top_p=jnp.full(slots, top_p, jnp.float32),
    )


def kept_by_sorting(probs: np.ndarray, top_k: int, top_p: float) -> set[int]:
    """Top-k, then the smallest set of the most likely tokens that reaches p of the remaining probability."""
    order = np.argsort(-probs, kind="stable")[: top_k or None]
    running = np.cumsum(probs[order].astype(np.float64))
    count = int(np.searchsorted(running, top_p * running[-1])) + 1
    return set(order[:count].tolist())


least_jit = jax.jit(_least_kept)


def filter_jit(probs, how):
    return np.asarray(_kept(probs, least_jit(probs, how)[:, None]))


sample_jit = jax.jit(lambda *args: sample(*args)[0])


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**31), top_k=st.integers(0, VOCAB), top_p=st.floats(0.01, 0.99), spread=st.floats(0.1, 8))
def test_what_is_kept_is_what_a_sort_keeps(seed, top_k, top_p, spread):
    logits = np.random.default_rng(seed).normal(0, spread, VOCAB).astype(np.float32)
    probs = jax.nn.softmax(jnp.asarray(logits))
    kept = set(np.flatnonzero(filter_jit(probs[None], sampling(1, top_k=top_k, top_p=top_p))[0]).tolist())
    expected = kept_by_sorting(np.asarray(probs), top_k, top_p)
    # Sums in float32 may put the last token on the other side of p.
    assert len(kept ^ expected) <= 1


def test_top_k_keeps_k_and_top_p_1_keeps_all():
    probs = jax.nn.softmax(jax.random.normal(jax.random.key(0), (1, VOCAB)))
    assert int((filter_jit(probs, sampling(1, top_k=7)) > 0).sum()) == 7
    assert int((filter_jit(probs, sampling(1)) > 0).sum()) == VOCAB


def test_temperature_0_takes_the_largest_next_to_slots_that_sample():
    logits = jax.random.normal(jax.random.key(1), (4, VOCAB))
    mixed = SlotSampling(
        seed=jnp.arange(4, dtype=jnp.uint32),
        temperature=jnp.array([0.0, 1.0, 0.0, 1.0]),
        top_k=jnp.zeros(4, jnp.int32),
        top_p=jnp.ones(4),
    )
    drawn = sample_jit(logits, mixed, jnp.zeros(4, jnp.int32))
    best = jnp.argmax(logits, axis=-1)
    assert drawn[0] == best[0]
    assert drawn[2] == best[2]


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"), [(1.0, 0, 1.0), (0.7, 5, 1.0), (1.3, 0, 0.8), (1.0, 9, 0.7)]
)
def test_token_frequencies_match_their_probabilities(temperature, top_k, top_p):
    slots = 20_000
    logits = jax.random.normal(jax.random.key(2), (VOCAB,)) * 2.0
    how = sampling(slots, temperature=temperature, top_k=top_k, top_p=top_p)
    drawn = sample_jit(jnp.broadcast_to(logits, (slots, VOCAB)), how, jnp.zeros(slots, jnp.int32))
    probs = np.asarray(jax.nn.softmax(logits / temperature), np.float64)
    kept = sorted(kept_by_sorting(probs, top_k, top_p))
    expected = np.zeros(VOCAB)
    expected[kept] = probs[kept] / probs[kept].sum()
    counts = np.bincount(np.asarray(drawn), minlength=VOCAB)
    assert set(np.flatnonzero(counts)) <= set(kept)
    deviation = np.abs(counts - slots * expected)
    assert np.all(deviation <= 5 * np.sqrt(slots * expected * (1 - expected)) + 1)


def test_a_sample_depends_on_seed_and_index_and_not_on_the_slot():
    logits = jnp.broadcast_to(jax.random.normal(jax.random.key(3), (VOCAB,)), (6, VOCAB))
    index = jnp.arange(6, dtype=jnp.int32)
    how = sampling(6)
    forwards = sample_jit(logits, how, index)
    backwards = sample_jit(logits, jax.tree.map(lambda a: a[::-1], how), index[::-1])
    assert forwards.tolist() == backwards[::-1].tolist()
    assert sample_jit(logits, how, index + 1).tolist() != forwards.tolist()


def test_one_certain_token_is_always_sampled():
    logits = jnp.full((64, VOCAB), -1e9).at[:, VOCAB - 1].set(10.0)
    assert set(sample_jit(logits, sampling(64), jnp.zeros(64, jnp.int32)).tolist()) == {VOCAB - 1}


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_logprob_is_the_models_own(temperature):
    logits = jax.random.normal(jax.random.key(4), (3, VOCAB)) * 3
    tokens, logprobs = sample(logits, sampling(3, temperature=temperature, top_k=9), jnp.zeros(3, jnp.int32))
    np.testing.assert_allclose(logprobs, jax.nn.log_softmax(logits)[jnp.arange(3), tokens], atol=1e-5)
