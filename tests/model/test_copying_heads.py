from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model.config import GemmaConfig
from model.copying_heads import with_copying_heads
from model.errors import ConfigError
from model.gemma import forward, init_weights

CONFIG = GemmaConfig(
    num_layers=2, d_model=192, d_ff=64, num_heads=3, num_kv_heads=1, head_dim=64, vocab_size=512, context_length=256
)


def share_copied(weights, distance: int) -> float:
    """How often the token that followed last time is the likeliest, the present token aside."""
    first = np.random.default_rng(0).permutation(CONFIG.vocab_size)[:distance]
    tokens = np.concatenate([first, first])[None]
    logits = np.array(jax.jit(lambda tokens: forward(weights, tokens, CONFIG))(jnp.asarray(tokens)))[0]
    logits[np.arange(2 * distance), tokens[0]] = -np.inf
    return float((logits[distance:-1].argmax(-1) == first[1:]).mean())


def test_untrained_weights_copy_what_followed_a_token_before_and_random_ones_do_not():
    plain = init_weights(jax.random.key(0), CONFIG)
    weights = with_copying_heads(plain, CONFIG, jax.random.key(1))
    assert share_copied(weights, 40) > 0.6
    assert share_copied(weights, 100) > 0.5
    assert share_copied(plain, 40) < 0.1


def test_only_the_first_two_layers_and_the_embedding_are_touched():
    config = replace(CONFIG, num_layers=3)
    plain = init_weights(jax.random.key(0), config)
    weights = with_copying_heads(plain, config, jax.random.key(1))
    assert jax.tree.map(jnp.shape, weights) == jax.tree.map(jnp.shape, plain)
    assert bool((weights.blocks[2].q_proj == plain.blocks[2].q_proj).all())
    assert bool((weights.blocks[0].q_proj[64:] == plain.blocks[0].q_proj[64:]).all())


def test_shapes_without_room_are_refused():
    config = replace(CONFIG, num_layers=1)
    with pytest.raises(ConfigError, match="need 2 layers"):
        with_copying_heads(init_weights(jax.random.key(0), config), config, jax.random.key(1))
