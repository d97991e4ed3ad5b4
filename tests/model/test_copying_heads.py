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
    num_layers=2, d_model=192, d_ff=64, num_heads=3, num_kv_heads=1, head_dim=64, vocab_size=512, context_length=256,
    rope_base=1e6,
)  # fmt: skip


@pytest.fixture(scope="module")
def plain():
    return init_weights(jax.random.key(0), CONFIG)


@pytest.fixture(scope="module")
def copying(plain):
    return with_copying_heads(plain, CONFIG, jax.random.key(1))


compiled = jax.jit(forward, static_argnums=2)


def likeliest(weights, tokens: np.ndarray) -> np.ndarray:
    """The likeliest next token at each place, the present token aside: [length]."""
    padded = np.zeros((1, 200), np.int32)  # one length, one program; what comes after is not seen
    padded[0, : len(tokens)] = tokens
    logits = np.array(compiled(weights, jnp.asarray(padded), CONFIG))[0, : len(tokens)]
    logits[np.arange(len(tokens)), tokens] = -np.inf
    return logits.argmax(-1)


def share_copied(weights, distance: int) -> float:
    """How often the token that followed last time is the likeliest, from the third token of the repetition on."""
    first = np.random.default_rng(0).permutation(CONFIG.vocab_size)[:distance]
    answers = likeliest(weights, np.concatenate([first, first]))[distance:-1]
    return float((answers[2:] == first[3:]).mean())


def test_untrained_weights_copy_what_followed_the_same_tokens_before_and_random_ones_do_not(plain, copying):
    assert share_copied(copying, 40) > 0.9
    assert share_copied(copying, 100) > 0.9
    assert share_copied(plain, 40) < 0.1


def test_the_longest_match_decides_what_follows_an_ambiguous_token(copying):
    rng = np.random.default_rng(1)
    right = 0
    for _ in range(20):
        names = rng.permutation(CONFIG.vocab_size)
        shared, after = names[0], names[1:5]
        contexts = names[10:18].reshape(4, 2)  # four places where the shared token stands, each after two others
        places = [np.concatenate([names[20 + 8 * i : 26 + 8 * i], contexts[i], [shared, after[i]]]) for i in range(4)]
        asked = int(rng.integers(4))
        tokens = np.concatenate([*places, names[60:70], contexts[asked], [shared]])
        right += int(likeliest(copying, tokens)[-1] == after[asked])
    assert right >= 15  # the last token alone would decide one in four


def test_behind_a_control_token_goes_on_what_stood_before_it(copying):
    rng = np.random.default_rng(2)
    right = 0
    for _ in range(20):
        names = rng.permutation(CONFIG.vocab_size)
        tokens = np.concatenate([names[:60], names[100:110], names[30:40], [names[200]]])
        right += int(likeliest(copying, tokens)[-1] == names[40])
    assert right >= 3  # a beginning that training builds on; by chance it would be none


def test_what_is_not_set_by_hand_starts_silent(plain, copying):
    config = replace(CONFIG, num_layers=3)
    more = with_copying_heads(init_weights(jax.random.key(0), config), config, jax.random.key(1))
    assert jax.tree.map(jnp.shape, copying) == jax.tree.map(jnp.shape, plain)
    assert not more.blocks[2].o_proj.any() and not any(block.down_proj.any() for block in more.blocks)
    assert bool((more.blocks[2].q_proj == init_weights(jax.random.key(0), config).blocks[2].q_proj).all())


def test_no_two_weights_share_a_buffer_that_a_training_step_would_give_away_twice(copying):
    leaves = jax.tree.leaves(copying)
    assert len({leaf.unsafe_buffer_pointer() for leaf in leaves}) == len(leaves)


@pytest.mark.parametrize(
    ("change", "got"),
    [({"num_layers": 1}, "got 1 layers"), ({"num_kv_heads": 3}, "3 heads on 3"), ({"d_model": 96}, "d_model 96")],
)
def test_shapes_without_room_are_refused(change, got):
    config = replace(CONFIG, **change)
    with pytest.raises(ConfigError, match=got):
        with_copying_heads(init_weights(jax.random.key(0), config), config, jax.random.key(1))
