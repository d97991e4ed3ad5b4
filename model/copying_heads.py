"""Initial weights that copy from their context before they have learned anything.

A small model learns what its data repeat soon, but *looking back* ("this token stood here before: what came after it?")
takes two attention layers that are of no use without each other, and tens of millions of tokens until both appear
at once (Olsson et al. 2022, arXiv 2209.11895, "induction heads"). Here they are set by hand in the first
two layers, and training goes on from there:

    layer 0, head 0   looks at the token before and notes it:  x[note] += token(j - 1)
    layer 1, head 0   looks for places whose note is the present token, and adds the token that stands there

    ... a  b  ...  a  ?        note of b is a; at the second a, the place of b matches, so b is added: `b` is likely

Looking one back is done with rotary angles alone: a constant query turned by one position against a constant key, in
the features that turn fast. Matching tokens uses those that turn slowly. What stands in other features, heads and
layers stays random. All of it is trained like any weight.
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

# Chosen so that the head's weight on the token before is above 0.9 and a matching token outweighs 256 others.
_CONSTANT = 4.0  # feature 0 of every embedding, in units of the others' deviation
_LOOK_BACK_SCORE = 6.0
_MATCH_SCALE = 2.0
_WRITE_SCALE = 3.0


def with_copying_heads(weights: GemmaWeights, config: GemmaConfig, key: jax.Array) -> GemmaWeights:
    """Sets the two heads in random, unrolled weights.

    Raises:
        ConfigError: The shapes have no room: it takes two layers and a width of at least three heads.
    """
    width, head = config.d_model, config.head_dim
    if config.num_layers < 2 or width < 3 * head or not isinstance(weights.blocks, tuple):
        raise ConfigError(
            f"copying heads need 2 layers and a width of 3 heads; got {config.num_layers} layers, width {width} and "
            f"heads of {head}"
        )
    note = slice(width - head, width)  # where the token before is noted; 1 .. width - head is what tokens are told by
    basis = _basis(key, head, width - head - 1)
    reader = jnp.zeros((head, width)).at[:, 1 : width - head].set(basis)  # reads `head` directions of a token
    table: Any = weights.embedding
    embedding = table.at[:, 0].set(_CONSTANT * width**-0.5).at[:, note].multiply(0.1)
    first: Any
    second: Any
    first, second, *others = weights.blocks
    half = head // 2
    turn = config.rope_base ** -(np.arange(half) / half)  # radians a position, of each pair of features
    fast, slow = np.flatnonzero(turn > 0.04), np.flatnonzero(turn < 0.006)

    constant = jnp.zeros(width).at[0].set(1.0)
    strength = (_LOOK_BACK_SCORE * head**0.5) ** 0.5 / _CONSTANT
    query = jnp.zeros(head).at[fast].set(jnp.cos(turn[fast])).at[fast + half].set(-jnp.sin(turn[fast]))
    key_features = jnp.zeros(head).at[fast].set(1.0)
    is_fast = jnp.zeros(head, bool).at[fast].set(True).at[fast + half].set(True)[:, None]
    first = replace(
        first,
        q_proj=first.q_proj.at[:head].set(strength * jnp.outer(query, constant)),
        k_proj=first.k_proj.at[:head].set(
            jnp.where(is_fast, strength * jnp.outer(key_features, constant), first.k_proj[:head])
        ),
        v_proj=first.v_proj.at[:head].set(reader),
        o_proj=first.o_proj.at[:, :head].set(0.0).at[note, :head].set(jnp.eye(head)),
    )
    features = np.concatenate([slow, slow + half])
    asked, noted = reader[: len(features)], jnp.eye(head, width, width - head)[: len(features)]
    second = replace(
        second,
        q_proj=second.q_proj.at[:head].set(jnp.zeros((head, width)).at[features].set(_MATCH_SCALE * asked)),
        k_proj=second.k_proj.at[:head].set(second.k_proj[:head].at[features].set(_MATCH_SCALE * noted)),
        v_proj=second.v_proj.at[:head].set(reader),
        o_proj=second.o_proj.at[:, :head].set(_WRITE_SCALE * reader.T),
    )
    return replace(weights, embedding=embedding, blocks=(first, second, *others))


def _basis(key: jax.Array, rows: int, columns: int) -> Float[Array, "rows columns"]:
    """Random orthonormal rows."""
    return jnp.linalg.qr(jax.random.normal(key, (columns, rows)))[0].T
