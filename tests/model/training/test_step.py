from __future__ import annotations

from dataclasses import replace
from functools import cache, partial

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest

from model.config import GemmaConfig
from model.gemma import forward
from model.training import step as steps
from model.training.step import Rows, TrainingConfig, TrainState, learning_rate_share, new_state, weighted_loss

CONFIG = GemmaConfig(num_layers=1, d_model=16, d_ff=32, num_heads=2, num_kv_heads=1, head_dim=8, vocab_size=24)
TRAINING = TrainingConfig(num_steps=60, warmup_steps=2, learning_rate=0.02, embedding_learning_rate=0.02)


def train_step(
    state: TrainState, rows: Rows, training: TrainingConfig = TRAINING, config: GemmaConfig = CONFIG, **options: object
):
    return _compiled(training, config, tuple(options.items()))(state, rows)


@cache
def _compiled(training: TrainingConfig, config: GemmaConfig, options: tuple):
    return jax.jit(partial(steps.train_step, model=config, training=training, **dict(options)))


def make_rows(batch: int = 4, length: int = 12, seed: int = 0) -> Rows:
    rng = np.random.default_rng(seed)
    return Rows(
        tokens=jnp.asarray(rng.integers(4, CONFIG.vocab_size, (batch, length))),
        segment_ids=jnp.ones((batch, length), jnp.int32),
        loss_weights=jnp.asarray(rng.uniform(0.5, 2.0, (batch, length)), jnp.float32),
    )


def assert_close(one: object, other: object, tolerance: float = 2e-5) -> None:
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=tolerance, atol=tolerance), one, other)


WINDOWS = {"query_scalar": 8, "window": 3, "window_pattern": (True, False), "has_post_norms": True, "num_layers": 2}
GEMMA_2 = replace(CONFIG, **WINDOWS, num_kv_heads=2, attention_cap=5.0, final_cap=3.0)
GEMMA_3 = replace(
    CONFIG, **WINDOWS, rope_base=1_000_000.0, local_rope_base=10_000.0, rope_scale=8.0, has_qk_norms=True
)  # fmt: skip


@pytest.mark.parametrize("config", [CONFIG, replace(CONFIG, num_kv_heads=2), GEMMA_2, GEMMA_3], ids=range(4))
def test_the_loss_is_the_weighted_cross_entropy_of_the_reference_forward(config: GemmaConfig):
    weights, rows = new_state(jax.random.key(0), config, TRAINING).weights, make_rows()
    rows = rows._replace(segment_ids=rows.segment_ids.at[:, 7:].set(2))
    total, weight = weighted_loss(weights, rows, config)
    logits = np.asarray(forward(weights, rows.tokens, config, segment_ids=rows.segment_ids), np.float64)
    log_probabilities = logits - np.log(np.exp(logits).sum(-1, keepdims=True))
    expected = 0.0
    for row in range(4):
        for place in range(11):
            token = rows.tokens[row, place + 1]
            expected -= log_probabilities[row, place, token] * float(rows.loss_weights[row, place + 1])
    assert float(total) == pytest.approx(expected, rel=1e-4)
    assert float(weight) == pytest.approx(float(rows.loss_weights[:, 1:].sum()), rel=1e-5)


def test_two_examples_in_one_row_cost_what_they_cost_in_separate_rows():
    weights, alone = new_state(jax.random.key(0), CONFIG, TRAINING).weights, make_rows(2, 6)
    starts = alone.loss_weights.at[:, 0].set(0.0)
    packed = Rows(
        tokens=alone.tokens.reshape(1, 12),
        segment_ids=jnp.repeat(jnp.asarray([[1, 2]]), 6, axis=1),
        loss_weights=starts.reshape(1, 12),
    )
    assert_close(
        weighted_loss(weights, packed, CONFIG), weighted_loss(weights, alone._replace(loss_weights=starts), CONFIG)
    )


def test_padding_changes_neither_loss_nor_weights():
    state, rows = new_state(jax.random.key(0), CONFIG, TRAINING), make_rows()

    def padded(leaf: jax.Array) -> jax.Array:
        return jnp.pad(leaf, ((0, 0), (0, 5)))

    one, metrics = train_step(state, rows)
    other, padded_metrics = train_step(state, Rows(*map(padded, rows)))
    assert_close(metrics["loss"], padded_metrics["loss"])
    assert_close(one.weights, other.weights, 1e-3)


def test_micro_batches_yield_the_gradient_of_the_complete_batch():
    state, rows = new_state(jax.random.key(0), CONFIG, TRAINING), make_rows()
    _, whole = train_step(state, rows)
    _, parts = train_step(state, rows, micro_batches=2)
    assert_close(whole, parts)


def test_recomputed_blocks_give_the_same_step():
    state, rows = new_state(jax.random.key(0), CONFIG, TRAINING), make_rows()
    assert_close(train_step(state, rows)[1], train_step(state, rows, remat=True)[1])


def test_every_weight_moves_in_a_step():
    state = new_state(jax.random.key(0), CONFIG, TRAINING)
    moved, _ = train_step(state, make_rows())
    after = jax.tree.leaves(moved.weights)
    assert all(bool((old != new).any()) for old, new in zip(jax.tree.leaves(state.weights), after, strict=True))
    assert int(moved.step) == 1


def test_muon_moves_matrices_by_nearly_orthogonal_steps():
    training = replace(TRAINING, warmup_steps=0, weight_decay=0.0, decay_fraction=0.0)
    state = new_state(jax.random.key(0), CONFIG, training)
    moved, _ = train_step(state, make_rows(), training)
    step = np.asarray(moved.weights.blocks[0].gate_proj - state.weights.blocks[0].gate_proj)  # [32 16]
    singular = np.linalg.svd(step / (training.learning_rate * 0.2 * 32**0.5), compute_uv=False)
    assert singular.min() > 0.4 and singular.max() < 1.4  # Newton-Schulz with these coefficients lands in 0.7..1.2


def test_a_model_learns_a_rule_that_it_can_only_solve_by_looking_back():
    """The second half of each row repeats the first: the loss there falls far below chance."""
    config = replace(CONFIG, num_layers=2)  # one layer can't find what came after the same token
    rng = np.random.default_rng(0)
    training = TrainingConfig(num_steps=150, warmup_steps=5, learning_rate=0.03, embedding_learning_rate=0.02)
    state = new_state(jax.random.key(1), config, training)
    for _ in range(training.num_steps):
        half = rng.integers(4, CONFIG.vocab_size, (32, 6))
        weights = np.concatenate([np.zeros((32, 7)), np.ones((32, 5))], axis=1)
        rows = Rows(
            tokens=jnp.asarray(np.concatenate([half, half], axis=1)),
            segment_ids=jnp.ones((32, 12), jnp.int32),
            loss_weights=jnp.asarray(weights, jnp.float32),
        )
        state, metrics = train_step(state, rows, training, config)
    assert float(metrics["loss"]) < 0.5 * np.log(20)


def test_the_learning_rate_warms_up_stays_and_falls_to_zero():
    training = TrainingConfig(num_steps=100, warmup_steps=10, decay_fraction=0.2)
    shares = [float(learning_rate_share(training, step)) for step in range(101)]
    assert shares[0] == pytest.approx(0.1) and shares[9] == pytest.approx(1.0)
    assert all(share == 1.0 for share in shares[9:80])
    assert shares[90] == pytest.approx(0.5) and shares[100] == 0.0


def test_without_decay_the_plateau_goes_to_the_end():
    training = TrainingConfig(num_steps=10, warmup_steps=0, decay_fraction=0.0)
    assert [float(learning_rate_share(training, step)) for step in (0, 9)] == [1.0, 1.0]


def test_gradients_are_clipped_by_their_global_norm():
    training = replace(TRAINING, max_grad_norm=1e-3)
    _, metrics = train_step(new_state(jax.random.key(0), CONFIG, training), make_rows(), training)
    assert float(metrics["grad_norm"]) > 1e-3  # the log shows the norm before clipping
    clipped, _ = optax.clip_by_global_norm(1e-3).update({"w": jnp.ones(4)}, optax.EmptyState())
    assert float(optax.tree.norm(clipped)) == pytest.approx(1e-3)
