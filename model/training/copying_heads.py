"""Initial weights that copy from their context before any training.

A small model soon learns what its data repeat, but *looking back* ("these tokens occurred before: what came after
them?") takes two attention layers that are useless without each other, and tens of millions of tokens until both
appear at once (Olsson et al. 2022, arXiv 2209.11895, "induction heads"). This module sets them by hand in the first
three layers, and training continues from there:

    layer 0, head h   looks h tokens back and notes the token there:         x[note] += T^h code(j - h)      h = 1, 2, 3
    layer 1, head 0   at <fim_middle>, takes the note of <fim_suffix>: the end of the prefix, which the middle
                      continues. All other tokens attend to the first token, which has no note
    layer 2, head 0   looks for positions whose note is T (code(i) + x[note]), that is, which follow the same last
                      three tokens, and adds the token at that position
    layer 2, head 1   looks for other positions with the same note as its own, and adds the token there: for
                      <fim_middle>, what elsewhere followed the tokens at the prefix's end

    ... a b c  d  ...  a b c  ?       the note of d is T c + T² b + T³ a; the last c looks for the same: `d` is added

Each power of one random rotation T turns the same code into an unrelated one, so that a note encodes order in a space
no larger than one code. Looking back uses rotary angles alone: a constant query, rotated by h positions, against a
constant key, in the features that rotate fast. Codes are matched in those that rotate slowly; a longer match outweighs
a shorter one. The slowest rotating pair is a gate: the heads use it to find or exclude control tokens, which have a
flag in place of a code. Anything that would interfere, the outputs of other heads and feed-forward layers, starts at
zero. All of it is trained like any other weight.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from model.config import GemmaConfig
from model.errors import ConfigError
from model.layers import BlockWeights, GemmaWeights

_CONSTANT = 4.0  # feature 0 of every embedding, in units of the others' standard deviation
_FAST, _SLOW = 0.08, 0.003  # radians per position: enough to distinguish neighbors; hardly any rotation in a window
# Chosen so that a head looking back puts above 0.9 on its token, and a match of two tokens outweighs 256 positions.
_LOOK_BACK_SCORE = 6.0
_MATCH_SCALE = 1.6
_OWN_PLACE_SCORE = -12.0  # of layer 2's head 1 for its own position, which necessarily has the same note
_NEXT_SCALE, _SAME_SCALE = 3.0, 2.0  # magnitudes of what the two heads of layer 2 add
_BEGIN_SCORE, _SUFFIX_SCORE = 12.0, 24.0  # of layer 1's head 0: its default target, and its target at <fim_middle>
_LEFT_OUT_SCORE = -30.0  # of layer 2's heads for <fim_suffix>; four times that for <fim_middle>, whose note is large
_SILENT_SCORE = 200.0  # of layer 2's head 0 at <fim_middle> for the first token: it adds nothing there
_NOTE_SCALE = 3.0  # magnitude of the note that <fim_middle> takes, relative to its own
_MOST_NOTES = 3
_BEGIN, _SUFFIX, _MIDDLE = 1, 2, 3  # features that flag <bos> and <fim_prefix> (the first), <fim_suffix>, <fim_middle>
_TOLD_FROM = 4  # the features from here up to the note identify tokens


class FimIds(NamedTuple):
    """The control tokens of a FIM prompt."""

    bos: int
    prefix: int
    suffix: int
    middle: int


@dataclass(frozen=True)
class _Room:
    """The features that the heads use: of the residual stream (`width`), and of one head.

    Args:
        width: Features of the residual stream. Feature 0 is a constant, 1 to 3 are flags; then come the features that
            identify tokens, and finally the note.
        head: Features of a head; feature `i` rotates together with `i + head // 2`.
        turn: Radians per position, of each rotating pair.
        fast: The pairs that distinguish neighbors.
        matched: The features in which codes are matched: both of each slow pair.
    """

    width: int
    head: int
    turn: np.ndarray
    fast: np.ndarray
    matched: np.ndarray

    @classmethod
    def of(cls, config: GemmaConfig) -> _Room:
        """The room in a model's shapes. Raises ConfigError if it is too small."""
        width, head = config.d_model, config.head_dim
        half = head // 2
        turn = config.rope_base ** -(np.arange(half) / half)
        slow = np.flatnonzero(turn[:-1] < _SLOW)
        matched = np.concatenate([slow, slow + half])
        size = len(matched)
        if config.num_layers < 3 or config.num_heads < 2 or config.num_kv_heads != 1 or not 16 <= size <= width // 3:
            raise ConfigError(
                "copying heads need 3+ layers, 2+ query heads on 1 key head, and 16 to d_model / 3 features that "
                f"turn slowly; got {config.num_layers} layers, {config.num_heads} heads on {config.num_kv_heads}, "
                f"{size} such features of head_dim {head} at RoPE base {config.rope_base:,.0f}, and d_model {width}"
            )
        return cls(width, head, turn, np.flatnonzero(turn > _FAST), matched)

    @property
    def half(self) -> int:
        """Distance between the two features of a rotating pair."""
        return self.head // 2

    @property
    def gate(self) -> int:
        """The slowest rotating pair, used to find or exclude control tokens."""
        return self.half - 1

    @property
    def size(self) -> int:
        """Features of a code, and of a note."""
        return len(self.matched)

    @property
    def note(self) -> slice:
        """The note's features in the residual stream."""
        return slice(self.width - self.size, self.width)

    @property
    def told_by(self) -> int:
        """Number of features that identify tokens."""
        return self.width - self.size - _TOLD_FROM

    @property
    def flag(self) -> float:
        """Magnitude of a flag, equal to that of the code that it replaces."""
        return self.told_by**0.5

    def axis(self, feature: int) -> Float[Array, " d_model"]:
        """The direction of one feature of the residual stream."""
        return jnp.eye(self.width)[feature]


@dataclass(frozen=True)
class _Codes:
    """How a token becomes a code, and codes become a note.

    Args:
        reader: Extracts a head's worth of a token's features, the code first: [head_dim, d_model].
        noted: Extracts the note from the residual stream: [size, d_model].
        rotate: T of the module's drawing: [size, size].
    """

    reader: Array
    noted: Array
    rotate: Array

    @classmethod
    def draw(cls, key: jax.Array, room: _Room) -> _Codes:
        """Random codes."""
        code_key, turn_key = jax.random.split(key)
        basis = _orthonormal(code_key, room.told_by)[: room.head]
        reader = jnp.zeros((room.head, room.width))
        reader = reader.at[: len(basis), _TOLD_FROM : _TOLD_FROM + room.told_by].set(basis)
        noted = jnp.zeros((room.size, room.width)).at[:, room.note].set(jnp.eye(room.size))
        return cls(reader, noted, _orthonormal(turn_key, room.size))


def with_copying_heads(weights: GemmaWeights, config: GemmaConfig, fim: FimIds, key: jax.Array) -> GemmaWeights:
    """Sets the heads in random, unrolled weights.

    Raises:
        ConfigError: The shapes have too little room: three layers of two heads that share a key are needed, enough
            features that rotate slowly, and a width of three times those.
    """
    room = _Room.of(config)
    if not isinstance(weights.blocks, tuple):
        raise ConfigError("copying heads need unrolled layers; got stacked (scanned) ones")
    codes = _Codes.draw(key, room)
    first, second, third, *others = map(_silent, weights.blocks)
    blocks = (
        _noting_what_came_before(first, room, codes, config.num_heads),
        _recalling_the_prefix(second, room, codes),
        _finding_repeats(third, room, codes),
        *others,
    )
    return replace(weights, embedding=_flagged(weights.embedding, room, fim), blocks=blocks)


def _silent(block: Any) -> BlockWeights:
    """A block that adds nothing to the residual stream."""
    return replace(block, o_proj=jnp.zeros_like(block.o_proj), down_proj=jnp.zeros_like(block.down_proj))


def _noting_what_came_before(block: Any, room: _Room, codes: _Codes, num_heads: int) -> BlockWeights:
    """Layer 0: head h looks h tokens back and notes T^h of the code there."""
    constant, fast = room.axis(0), room.fast
    strength = (_LOOK_BACK_SCORE * room.head**0.5) ** 0.5 / _CONSTANT
    queries, outputs, power = block.q_proj, block.o_proj, codes.rotate
    for index in range(min(_MOST_NOTES, num_heads)):
        # The constant key, seen from index + 1 positions later, points in the direction of this query.
        angle = room.turn[fast] * (index + 1)
        query = jnp.zeros(room.head).at[fast].set(jnp.cos(angle)).at[fast + room.half].set(-jnp.sin(angle))
        begin = index * room.head
        queries = queries.at[begin : begin + room.head].set(strength * jnp.outer(query, constant))
        outputs = outputs.at[room.note, begin : begin + room.size].set(power)
        power = codes.rotate @ power
    keys = 0.1 * block.k_proj  # only the constant must count in the fast features, and little in the others
    keys = keys.at[fast].set(strength * constant).at[fast + room.half].set(0.0)
    return replace(block, q_proj=queries, k_proj=keys, v_proj=codes.reader, o_proj=outputs)


def _recalling_the_prefix(block: Any, room: _Room, codes: _Codes) -> BlockWeights:
    """Layer 1, head 0: <fim_middle> takes the note of <fim_suffix>; all others attend to the first token."""
    gate, opposite, flag = room.gate, room.half + room.gate, room.flag
    ask_begin = _BEGIN_SCORE * room.head**0.5 / _CONSTANT / flag * room.axis(0)
    ask_suffix = _SUFFIX_SCORE * room.head**0.5 / flag / flag * room.axis(_MIDDLE)
    return replace(
        block,
        q_proj=block.q_proj.at[: room.head].set(0.0).at[gate].set(ask_begin).at[opposite].set(ask_suffix),
        k_proj=block.k_proj.at[gate].set(room.axis(_BEGIN)).at[opposite].set(room.axis(_SUFFIX)),
        v_proj=block.v_proj.at[: room.size].set(codes.noted),
        o_proj=block.o_proj.at[room.note, : room.size].set(_NOTE_SCALE * jnp.eye(room.size)),
    )


def _finding_repeats(block: Any, room: _Room, codes: _Codes) -> BlockWeights:
    """Layer 2: head 0 adds what followed the same tokens before, head 1 the token at positions with the same note."""
    head, gate, opposite, fast = room.head, room.gate, room.half + room.gate, room.fast
    is_begin, is_suffix, is_middle = map(room.axis, (_BEGIN, _SUFFIX, _MIDDLE))
    leave_out = _LEFT_OUT_SCORE * head**0.5 / _CONSTANT / room.flag * room.axis(0)
    look_away = _SILENT_SCORE * head**0.5 / room.flag / room.flag * is_middle
    # The note that a position would have if it came after this one.
    after = _MATCH_SCALE * codes.rotate @ (codes.reader[: room.size] + codes.noted)
    after = jnp.zeros((head, room.width)).at[room.matched].set(after)
    after = after.at[gate].set(leave_out).at[opposite].set(look_away)
    # The note itself; in the fast features, a constant against its opposite keeps a position from matching itself.
    same = jnp.zeros((head, room.width)).at[room.matched].set(_MATCH_SCALE * codes.noted)
    aside = (-_OWN_PLACE_SCORE * head**0.5 / len(fast)) ** 0.5 / _CONSTANT
    elsewhere = same.at[fast, 0].set(-aside).at[gate].set(leave_out)
    keys = same.at[fast, 0].set(aside).at[gate].set(is_suffix + 4 * is_middle).at[opposite].set(is_begin)
    reader = codes.reader
    return replace(
        block,
        q_proj=block.q_proj.at[:head].set(after).at[head : 2 * head].set(elsewhere),
        k_proj=keys,
        v_proj=jnp.copy(reader),  # a separate buffer, because the training step donates each one
        o_proj=block.o_proj.at[:, :head].set(_NEXT_SCALE * reader.T).at[:, head : 2 * head].set(_SAME_SCALE * reader.T),
    )


def _flagged(embedding: Any, room: _Room, fim: FimIds) -> Array:
    """The embedding with the constant in every row, flags in place of the control tokens' codes, and empty notes."""
    unit = room.width**-0.5  # an embedding's standard deviation
    control = jnp.array(fim)
    embedding = embedding.at[:, 1:_TOLD_FROM].set(0.0).at[control, _TOLD_FROM : room.note.start].set(0.0)
    embedding = embedding.at[:, room.note].multiply(0.1).at[control, room.note].set(0.0)
    embedding = embedding.at[:, 0].set(_CONSTANT * unit)
    for id_, feature in zip(fim, (_BEGIN, _BEGIN, _SUFFIX, _MIDDLE), strict=True):
        embedding = embedding.at[id_, feature].set(room.flag * unit)
    return embedding


def _orthonormal(key: jax.Array, size: int) -> Float[Array, "size size"]:
    """A random rotation."""
    return jnp.linalg.qr(jax.random.normal(key, (size, size)))[0]
