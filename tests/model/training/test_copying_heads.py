from __future__ import annotations

from dataclasses import replace

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model.config import GemmaConfig
from model.errors import ConfigError
from model.gemma import forward, init_weights
from model.training.copying_heads import FimIds, with_copying_heads

CONFIG = GemmaConfig(
    num_layers=3, d_model=192, d_ff=64, num_heads=3, num_kv_heads=1, head_dim=64, vocab_size=516, context_length=256,
    rope_base=1e6,
)  # fmt: skip
NAMES = 512  # tokens that represent text
FIM = FimIds(bos=512, prefix=513, suffix=514, middle=515)


@pytest.fixture(scope="module")
def plain():
    return init_weights(jax.random.key(0), CONFIG)


@pytest.fixture(scope="module")
def copying(plain):
    return with_copying_heads(plain, CONFIG, FIM, jax.random.key(1))


compiled = jax.jit(forward, static_argnums=2)


def likeliest(weights, tokens: np.ndarray) -> np.ndarray:
    """The most likely next token at each position, excluding the current token: [length]."""
    padded = np.zeros((1, 208), np.int32)  # one length, one program; later tokens are not attended to
    padded[0, : len(tokens)] = tokens
    logits = np.array(compiled(weights, jnp.asarray(padded), CONFIG))[0, : len(tokens)]
    logits[np.arange(len(tokens)), tokens] = -np.inf
    return logits.argmax(-1)


def share_copied(weights, distance: int) -> float:
    """How often the token that followed last time is the most likely one, from the repetition's third token on."""
    first = np.random.default_rng(0).permutation(NAMES)[:distance]
    answers = likeliest(weights, np.concatenate([[FIM.bos], first, first]))[1 + distance : -1]
    return float((answers[2:] == first[3:]).mean())


def test_untrained_weights_copy_what_followed_the_same_tokens_before_and_random_ones_do_not(plain, copying):
    assert share_copied(copying, 40) > 0.9
    assert share_copied(copying, 100) > 0.9
    assert share_copied(plain, 40) < 0.1


def test_the_longest_match_decides_what_follows_an_ambiguous_token(copying):
    rng = np.random.default_rng(1)
    right = 0
    for _ in range(20):
        names = rng.permutation(NAMES)
        shared, after = names[0], names[1:5]
        contexts = names[10:18].reshape(4, 2)  # four positions of the shared token, each after two others
        places = [np.concatenate([names[20 + 8 * i : 26 + 8 * i], contexts[i], [shared, after[i]]]) for i in range(4)]
        asked = int(rng.integers(4))
        tokens = np.concatenate([[FIM.bos], *places, names[60:70], contexts[asked], [shared]])
        right += int(likeliest(copying, tokens)[-1] == after[asked])
    assert right >= 15  # the last token alone would decide one in four


@pytest.mark.parametrize("seed", [2, 3])
def test_a_middle_continues_as_the_end_of_the_prefix_did_elsewhere(copying, seed):
    rng = np.random.default_rng(seed)
    right = 0
    for _ in range(20):
        names = rng.permutation(NAMES)
        prefix = [*names[:60], *names[100:110], *names[30:40]]  # what followed on names[30:40] before: names[40]
        tokens = np.array([FIM.bos, FIM.prefix, *prefix, FIM.suffix, *names[200:240], FIM.middle])
        right += int(likeliest(copying, tokens)[-1] == names[40])
    assert right >= 18


def test_the_rest_of_a_middle_is_copied_past_the_control_token(copying):
    rng = np.random.default_rng(4)
    right = 0
    for _ in range(20):
        names = rng.permutation(NAMES)
        begin = [FIM.bos, FIM.prefix, *names[:60], FIM.suffix, *names[200:240], FIM.middle]
        right += int(likeliest(copying, np.array([*begin, names[20], names[21]]))[-1] == names[22])
    assert right >= 14  # two tokens match, and others by chance


def test_weights_not_set_by_hand_start_without_effect(plain, copying):
    config = replace(CONFIG, num_layers=4)
    more = with_copying_heads(init_weights(jax.random.key(0), config), config, FIM, jax.random.key(1))
    assert jax.tree.map(jnp.shape, copying) == jax.tree.map(jnp.shape, plain)
    assert not more.blocks[3].o_proj.any() and not any(block.down_proj.any() for block in more.blocks)
    assert bool((more.blocks[3].q_proj == init_weights(jax.random.key(0), config).blocks[3].q_proj).all())


def test_no_two_weights_share_a_buffer_that_a_training_step_would_donate_twice(copying):
    leaves = jax.tree.leaves(copying)
    assert len({leaf.unsafe_buffer_pointer() for leaf in leaves}) == len(leaves)


@pytest.mark.parametrize(
    ("change", "got"),
    [({"num_layers": 2}, "got 2 layers"), ({"num_kv_heads": 3}, "3 heads on 3"), ({"d_model": 96}, "d_model 96")],
)
def test_shapes_without_room_are_refused(change, got):
    config = replace(CONFIG, **change)
    with pytest.raises(ConfigError, match=got):
        with_copying_heads(init_weights(jax.random.key(0), config), config, FIM, jax.random.key(1))
