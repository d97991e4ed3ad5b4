"""Initial weights that copy from their context before they have learned anything.

A small model learns what its data repeat soon, but *looking back* ("these tokens stood here before: what came after
them?") takes two attention layers that are of no use without each other, and tens of millions of tokens until both
appear at once (Olsson et al. 2022, arXiv 2209.11895, "induction heads"). Here they are set by hand in the first
two layers, and training goes on from there:

    layer 0, head h   looks h tokens back and notes what stands there:       x[note] += T^h code(j - h)      h = 1, 2, 3
    layer 1, head 0   looks for places whose note is T (code(i) + x[note]), that is, which were reached over the same
                      last three tokens, and adds the token that stands there
    layer 1, head 1   looks for other places with the same note as its own, and adds what stands there: behind a
                      control token, where nothing matches but what stood before it, that is what comes next

    ... a b c  d  ...  a b c  ?       the note of d is T c + T² b + T³ a; the last c asks for the same, so `d` is added

Each power of one random rotation T turns the same code into an unrelated one, so that a note tells order in a space
no larger than one code. Looking back is done with rotary angles alone: a constant query turned by h positions against
a constant key, in the features that turn fast. Codes are matched in those that turn slowly; a longer match outweighs
a shorter one. What would disturb this, other heads' and feed-forward outputs, starts at zero. All of it is trained
like any weight.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from model.config import GemmaConfig
from model.errors import ConfigError
from model.layers import GemmaWeights

_CONSTANT = 4.0  # feature 0 of every embedding, in units of the others' deviation
_FAST, _SLOW = 0.04, 0.003  # radians a position: what tells neighbours apart, and what hardly turns within a window
# Chosen so that a head looking back puts above 0.9 on its token, and a match of two tokens outweighs 256 places.
_LOOK_BACK_SCORE = 6.0
_MATCH_SCALE = 1.6
_OWN_PLACE_SCORE = -12.0  # of head 1 for its own place, which has of course the same note
_NEXT_SCALE, _SAME_SCALE = 3.0, 2.0  # how loudly the two heads say what they found
_MOST_NOTES = 3


def with_copying_heads(weights: GemmaWeights, config: GemmaConfig, key: jax.Array) -> GemmaWeights:
    """Sets the heads in random, unrolled weights.

    Raises:
        ConfigError: The shapes have no room: it takes two layers of two heads that share a key, enough features that
            turn slowly, and a width of three times those.
    """
    width, head = config.d_model, config.head_dim
    half = head // 2
    turn = config.rope_base ** -(np.arange(half) / half)  # radians a position, of each pair of features
    fast, slow = np.flatnonzero(turn > _FAST), np.flatnonzero(turn < _SLOW)
    matched = np.concatenate([slow, slow + half])  # the features that codes are matched in
    size = len(matched)
    if config.num_layers < 2 or config.num_heads < 2 or config.num_kv_heads != 1 or not 16 <= size <= width // 3:
        raise ConfigError(
            "copying heads need 2 layers, 2 or more heads on 1 key head and 16 to d_model / 3 features that "
            f"turn slowly; got {config.num_layers} layers, {config.num_heads} heads on {config.num_kv_heads}, {size} "
            f"such features of head_dim {head} at RoPE base {config.rope_base:,.0f}, and d_model {width}"
        )
    if not isinstance(weights.blocks, tuple):
        raise ConfigError("copying heads are set in unrolled layers; got stacked ones")
    note = slice(width - size, width)  # features 1 .. width - size - 1 are what tokens are told by
    told_by = width - size - 1
    code_key, turn_key = jax.random.split(key)
    basis = _orthonormal(code_key, told_by)[:head]
    reader = jnp.zeros((head, width)).at[: len(basis), 1 : 1 + told_by].set(basis)  # its first `size` rows are the code
    noted = jnp.zeros((size, width)).at[:, note].set(jnp.eye(size))
    rotate = _orthonormal(turn_key, size)
    constant = jnp.zeros(width).at[0].set(1.0)

    def silent(block: Any) -> Any:
        return replace(block, o_proj=jnp.zeros_like(block.o_proj), down_proj=jnp.zeros_like(block.down_proj))

    first, second, *others = map(silent, weights.blocks)

    strength = (_LOOK_BACK_SCORE * head**0.5) ** 0.5 / _CONSTANT
    queries, outputs, power = first.q_proj, first.o_proj, rotate
    for index in range(min(_MOST_NOTES, config.num_heads)):
        angle = turn[fast] * (index + 1)
        query = jnp.zeros(head).at[fast].set(jnp.cos(angle)).at[fast + half].set(-jnp.sin(angle))
        begin = index * head
        queries = queries.at[begin : begin + head].set(strength * jnp.outer(query, constant))
        outputs = outputs.at[note, begin : begin + size].set(power)
        power = rotate @ power
    keys = 0.1 * first.k_proj  # nothing but the constant is to count in the fast features, and little in the others
    keys = keys.at[fast].set(strength * constant).at[fast + half].set(0.0)
    first = replace(first, q_proj=queries, k_proj=keys, v_proj=reader, o_proj=outputs)

    aside = (-_OWN_PLACE_SCORE * head**0.5 / len(fast)) ** 0.5 / _CONSTANT
    after = jnp.zeros((head, width)).at[matched].set(_MATCH_SCALE * rotate @ (reader[:size] + noted))
    same = jnp.zeros((head, width)).at[matched].set(_MATCH_SCALE * noted)
    second = replace(
        second,
        q_proj=second.q_proj.at[:head].set(after).at[head : 2 * head].set(same.at[fast, 0].set(-aside)),
        k_proj=same.at[fast, 0].set(aside),
        v_proj=jnp.copy(reader),  # a buffer of its own: the training step takes each one over
        o_proj=second.o_proj.at[:, :head].set(_NEXT_SCALE * reader.T)
        .at[:, head : 2 * head].set(_SAME_SCALE * reader.T),
    )  # fmt: skip
    embedding: Any = weights.embedding
    embedding = embedding.at[:, 0].set(_CONSTANT * width**-0.5).at[:, note].multiply(0.1)
    return replace(weights, embedding=embedding, blocks=(first, second, *others))


def _orthonormal(key: jax.Array, size: int) -> Float[Array, "size size"]:
    """A random rotation."""
    return jnp.linalg.qr(jax.random.normal(key, (size, size)))[0]
