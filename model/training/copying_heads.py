"""Initial weights that copy from their context before they have learned anything.

A small model learns what its data repeat soon, but *looking back* ("these tokens stood here before: what came after
them?") takes two attention layers that are of no use without each other, and tens of millions of tokens until both
appear at once (Olsson et al. 2022, arXiv 2209.11895, "induction heads"). Here they are set by hand in the first
three layers, and training goes on from there:

    layer 0, head h   looks h tokens back and notes what stands there:       x[note] += T^h code(j - h)      h = 1, 2, 3
    layer 1, head 0   at <fim_middle> takes the note of <fim_suffix>: where the prefix ended, which the middle goes on
                      from. All other tokens look at the beginning, which has no note
    layer 2, head 0   looks for places whose note is T (code(i) + x[note]), that is, which were reached over the same
                      last three tokens, and adds the token that stands there
    layer 2, head 1   looks for other places with the same note as its own, and adds what stands there: for
                      <fim_middle>, what followed elsewhere on what the prefix ends with

    ... a b c  d  ...  a b c  ?       the note of d is T c + T² b + T³ a; the last c asks for the same, so `d` is added

Each power of one random rotation T turns the same code into an unrelated one, so that a note tells order in a space
no larger than one code. Looking back is done with rotary angles alone: a constant query turned by h positions against
a constant key, in the features that turn fast. Codes are matched in those that turn slowly; a longer match outweighs
a shorter one. The slowest turning pair is a gate: by it the heads find or leave out control tokens, which have a flag
in place of a code. What would disturb this, other heads' and feed-forward outputs, starts at zero. All of it is
trained like any weight.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from model.config import GemmaConfig
from model.errors import ConfigError
from model.layers import GemmaWeights

_CONSTANT = 4.0  # feature 0 of every embedding, in units of the others' deviation
_FAST, _SLOW = 0.08, 0.003  # radians a position: what tells neighbours apart, and what hardly turns within a window
# Chosen so that a head looking back puts above 0.9 on its token, and a match of two tokens outweighs 256 places.
_LOOK_BACK_SCORE = 6.0
_MATCH_SCALE = 1.6
_OWN_PLACE_SCORE = -12.0  # of layer 2's head 1 for its own place, which has of course the same note
_NEXT_SCALE, _SAME_SCALE = 3.0, 2.0  # how loudly the two heads of layer 2 say what they found
_BEGIN_SCORE, _SUFFIX_SCORE = 12.0, 24.0  # of layer 1's head 0 for where it looks by default and at <fim_middle>
_LEFT_OUT_SCORE = -30.0  # of layer 2's heads for <fim_suffix>, and four times that for <fim_middle>, whose note is loud
_SILENT_SCORE = 200.0  # of layer 2's head 0 at <fim_middle> for the beginning: it says nothing there
_NOTE_SCALE = 3.0  # how much louder than its own note the one is that <fim_middle> takes
_MOST_NOTES = 3
_BEGIN, _SUFFIX, _MIDDLE = 1, 2, 3  # features that flag <bos> and <fim_prefix>, and the other two
_TOLD_FROM = 4  # the features from here up to the note are what tokens are told by


class FimIds(NamedTuple):
    """The control tokens that a FIM prompt is made with."""

    bos: int
    prefix: int
    suffix: int
    middle: int


def with_copying_heads(weights: GemmaWeights, config: GemmaConfig, fim: FimIds, key: jax.Array) -> GemmaWeights:
    """Sets the heads in random, unrolled weights.

    Raises:
        ConfigError: The shapes have no room: it takes three layers of two heads that share a key, enough features that
            turn slowly, and a width of three times those.
    """
    width, head = config.d_model, config.head_dim
    half = head // 2
    turn = config.rope_base ** -(np.arange(half) / half)  # radians a position, of each pair of features
    fast, slow = np.flatnonzero(turn > _FAST), np.flatnonzero(turn[:-1] < _SLOW)
    matched = np.concatenate([slow, slow + half])  # the features that codes are matched in
    size, gate = len(matched), half - 1
    if config.num_layers < 3 or config.num_heads < 2 or config.num_kv_heads != 1 or not 16 <= size <= width // 3:
        raise ConfigError(
            "copying heads need 3 layers, 2 or more heads on 1 key head and 16 to d_model / 3 features that "
            f"turn slowly; got {config.num_layers} layers, {config.num_heads} heads on {config.num_kv_heads}, {size} "
            f"such features of head_dim {head} at RoPE base {config.rope_base:,.0f}, and d_model {width}"
        )
    if not isinstance(weights.blocks, tuple):
        raise ConfigError("copying heads are set in unrolled layers; got stacked ones")
    note = slice(width - size, width)
    told_by = width - size - _TOLD_FROM
    flag = told_by**0.5  # as loud as the code that it stands for
    code_key, turn_key = jax.random.split(key)
    basis = _orthonormal(code_key, told_by)[:head]
    reader = jnp.zeros((head, width)).at[: len(basis), _TOLD_FROM : _TOLD_FROM + told_by].set(basis)
    code = reader[:size]
    noted = jnp.zeros((size, width)).at[:, note].set(jnp.eye(size))
    rotate = _orthonormal(turn_key, size)
    constant, is_begin, is_suffix, is_middle = jnp.eye(width)[jnp.array([0, _BEGIN, _SUFFIX, _MIDDLE])]

    def silent(block: Any) -> Any:
        return replace(block, o_proj=jnp.zeros_like(block.o_proj), down_proj=jnp.zeros_like(block.down_proj))

    first, second, third, *others = map(silent, weights.blocks)

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

    ask_begin, ask_suffix = (
        score * head**0.5 / loud / flag for score, loud in ((_BEGIN_SCORE, _CONSTANT), (_SUFFIX_SCORE, flag))
    )
    second = replace(
        second,
        q_proj=second.q_proj.at[:head].set(0.0)
        .at[gate].set(ask_begin * constant).at[half + gate].set(ask_suffix * is_middle),
        k_proj=second.k_proj.at[gate].set(is_begin).at[half + gate].set(is_suffix),
        v_proj=second.v_proj.at[:size].set(noted),
        o_proj=second.o_proj.at[note, :size].set(_NOTE_SCALE * jnp.eye(size)),
    )  # fmt: skip

    aside = (-_OWN_PLACE_SCORE * head**0.5 / len(fast)) ** 0.5 / _CONSTANT
    leave_out = _LEFT_OUT_SCORE * head**0.5 / _CONSTANT / flag * constant
    look_away = _SILENT_SCORE * head**0.5 / flag / flag * is_middle
    after = jnp.zeros((head, width)).at[matched].set(_MATCH_SCALE * rotate @ (code + noted))
    after = after.at[gate].set(leave_out).at[half + gate].set(look_away)
    same = jnp.zeros((head, width)).at[matched].set(_MATCH_SCALE * noted)
    third = replace(
        third,
        q_proj=third.q_proj.at[:head].set(after)
        .at[head : 2 * head].set(same.at[fast, 0].set(-aside).at[gate].set(leave_out)),
        k_proj=same.at[fast, 0].set(aside).at[gate].set(is_suffix + 4 * is_middle)
        .at[half + gate].set(is_begin),
        v_proj=jnp.copy(reader),  # a buffer of its own: the training step takes each one over
        o_proj=third.o_proj.at[:, :head].set(_NEXT_SCALE * reader.T)
        .at[:, head : 2 * head].set(_SAME_SCALE * reader.T),
    )  # fmt: skip
    embedding: Any = weights.embedding
    unit = width**-0.5  # an embedding's deviation
    embedding = embedding.at[:, 1:_TOLD_FROM].set(0.0).at[jnp.array(fim), _TOLD_FROM : note.start].set(0.0)
    embedding = embedding.at[:, note].multiply(0.1).at[jnp.array(fim), note].set(0.0)
    embedding = embedding.at[:, 0].set(_CONSTANT * unit)
    for id_, feature in zip(fim, (_BEGIN, _BEGIN, _SUFFIX, _MIDDLE), strict=True):
        embedding = embedding.at[id_, feature].set(flag * unit)
    return replace(weights, embedding=embedding, blocks=(first, second, third, *others))


def _orthonormal(key: jax.Array, size: int) -> Float[Array, "size size"]:
    """A random rotation."""
    return jnp.linalg.qr(jax.random.normal(key, (size, size)))[0]
