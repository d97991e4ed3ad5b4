from __future__ import annotations

import dataclasses
from functools import partial

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model.config import GemmaConfig
from model.errors import ConfigError
from model.gemma import forward, init_weights
from model.layers import BlockWeights, GemmaWeights
from model.training.adapters import TARGETS, adapted, merged, new_adapters
from model.training.step import Rows, TrainingConfig, state_of, train_step, weighted_loss

GEMMA_1 = GemmaConfig(num_layers=2, d_model=16, d_ff=32, num_heads=2, num_kv_heads=1, head_dim=8, vocab_size=24)
GEMMA_2 = dataclasses.replace(
    GEMMA_1, num_kv_heads=2, query_scalar=8, attention_cap=50.0, final_cap=30.0, window=4, window_pattern=(True, False),
    has_post_norms=True,
)  # fmt: skip
GEMMA_3 = dataclasses.replace(
    GEMMA_1, query_scalar=8, window=4, window_pattern=(True, False), rope_base=1_000_000.0, local_rope_base=10_000.0,
    rope_scale=8.0, has_qk_norms=True, has_post_norms=True,
)  # fmt: skip
TRAINING = TrainingConfig(num_steps=40, warmup_steps=2, learning_rate=0.02, optimizer="adamw", adapter_scale=2.0)


def rows() -> Rows:
    rng = np.random.default_rng(0)
    return Rows(
        tokens=jnp.asarray(rng.integers(4, 24, (4, 12))),
        segment_ids=jnp.ones((4, 12), jnp.int32),
        loss_weights=jnp.ones((4, 12), jnp.float32),
    )


def stacked(weights: GemmaWeights) -> GemmaWeights:
    return dataclasses.replace(weights, blocks=jax.tree.map(lambda *own: jnp.stack(own), *weights.blocks))


def trained(config: GemmaConfig, base: GemmaWeights, steps: int = 12, **options: object):
    adapters = new_adapters(jax.random.key(1), config, 2, TARGETS, is_stacked=isinstance(base.blocks, BlockWeights))
    step = jax.jit(partial(train_step, model=config, training=TRAINING, **options))  # type: ignore[arg-type]
    state, losses = state_of(adapters, TRAINING), []
    for _ in range(steps):
        state, metrics = step(state, rows(), base=base)
        losses.append(float(metrics["loss"]))
    return state.weights, losses


def test_new_adapters_change_nothing():
    weights = init_weights(jax.random.key(0), GEMMA_1)
    with_adapters = adapted(weights, new_adapters(jax.random.key(1), GEMMA_1, 3, TARGETS), 2.0)
    np.testing.assert_array_equal(
        weighted_loss(with_adapters, rows(), GEMMA_1), weighted_loss(weights, rows(), GEMMA_1)
    )


@pytest.mark.parametrize("config", [GEMMA_1, GEMMA_2, GEMMA_3], ids=["gemma 1", "gemma 2", "gemma 3"])
def test_adapters_learn_and_merged_into_the_weights_compute_the_same(config: GemmaConfig):
    base = init_weights(jax.random.key(0), config)
    adapters, losses = trained(config, base)
    assert losses[-1] < losses[0] - 0.1
    together = merged(base, adapters, TRAINING.adapter_scale)
    beside = weighted_loss(adapted(base, adapters, TRAINING.adapter_scale), rows(), config)
    np.testing.assert_allclose(weighted_loss(together, rows(), config), beside, rtol=1e-5)
    logits = forward(together, rows().tokens, config)
    assert np.abs(logits - forward(base, rows().tokens, config)).max() > 0.01
    for name in ("embedding", "final_norm"):
        np.testing.assert_array_equal(getattr(together, name), getattr(base, name))


def test_stacked_blocks_learn_as_unrolled_ones_do():
    base = init_weights(jax.random.key(0), GEMMA_1)
    one = new_adapters(jax.random.key(1), GEMMA_1, 2, ("q_proj", "down_proj"))
    together = jax.tree.map(lambda *own: jnp.stack(own), *one)
    step = jax.jit(partial(train_step, model=GEMMA_1, training=TRAINING))
    apart, _ = step(state_of(one, TRAINING), rows(), base=base)
    at_once, _ = step(state_of(together, TRAINING), rows(), base=stacked(base))
    found = jax.tree.map(lambda *own: jnp.stack(own), *apart.weights)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-4, atol=2e-6), found, at_once.weights)


def test_only_the_named_matrices_get_adapters():
    (first, *_) = new_adapters(jax.random.key(0), GEMMA_1, 2, ("q_proj", "down_proj"))
    assert {name: (each.a.shape, each.b.shape) for name, each in first.items()} == {
        "q_proj": ((2, 16), (16, 2)),
        "down_proj": ((2, 32), (16, 2)),
    }


def test_recomputed_blocks_and_parts_of_a_batch_give_the_same_adapters():
    base = init_weights(jax.random.key(0), GEMMA_1)
    plain, _ = trained(GEMMA_1, base, steps=2)
    other, _ = trained(GEMMA_1, base, steps=2, remat=True, micro_batches=2)
    jax.tree.map(lambda a, b: np.testing.assert_allclose(a, b, rtol=2e-3, atol=2e-5), plain, other)


@pytest.mark.parametrize(
    ("targets", "rank", "told"),
    [
        (("q_proj", "lm_head"), 2, "adapters of lm_head: name some of q_proj, "),
        (("q_proj", "q_proj"), 2, "adapters of q_proj, q_proj: name some of"),
        ((), 2, "adapters of none"),
        (("k_proj",), 9, "adapters of rank 9 are larger than k_proj, which is 8 x 16"),
    ],
)
def test_adapters_that_there_cannot_be_are_refused(targets: tuple[str, ...], rank: int, told: str):
    with pytest.raises(ConfigError, match=told):
        new_adapters(jax.random.key(0), GEMMA_1, rank, targets)
