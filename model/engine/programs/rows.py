"""A prefill row: several prompts in one sequence, and which token attends to which.

Prompts with the same prefix share it. Each token has a segment and a parent: the segment of its shared prefix, or its
own segment if it has none.

    tokens    a b c | d e | f g | x y z        three prompts: abcde, abcfg, xyz
    segment   0 0 0   1 1   2 2   3 3 3
    parent    0 0 0   0 0   0 0   3 3 3        attends to: its segment and its parent, up to itself

`model.engine.prefill_rows.lay_out` decides the contents of a row; `model.engine.programs.attention` reads it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Int


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class PromptRow:
    """The arrays of one prefill row.

    Args:
        tokens: Token ids, 0 in the padding at the end.
        positions: Positions for the rotary embedding, within each prompt.
        segment: See the module's drawing; padding has segments of its own.
        parent: See the module's drawing.
        begin: First index that each token may attend to; never decreases along the row within a tile's reach.
        used: Length of the row without padding.
    """

    tokens: Int[Array, " length"]
    positions: Int[Array, " length"]
    segment: Int[Array, " length"]
    parent: Int[Array, " length"]
    begin: Int[Array, " length"]
    used: Int[Array, ""]


# (query, key, value, row, window=, cap=) -> attention output
RowAttention = Callable[..., Array]


def visible(row: PromptRow, window: int | None = None) -> Bool[Array, "length length"]:
    """The mask of a row: which token (first axis) attends to which."""
    order = jnp.arange(row.tokens.shape[0])
    return sees(row, order, order, window)


def sees(
    row: PromptRow, queries: Int[Array, " q"], keys: Int[Array, " k"], window: int | None = None
) -> Bool[Array, "q k"]:
    """Which of the tokens at `queries` (first axis) attend to which at `keys`, both as indices into the row.

    A window counts positions in the prompt: a shared prefix may lie far ahead in the row.
    """
    segment = row.segment[keys]
    own = row.segment[queries][:, None] == segment
    shared = row.parent[queries][:, None] == segment
    seen = (queries[:, None] >= keys) & (own | shared)
    return seen if window is None else seen & (row.positions[queries][:, None] - row.positions[keys] < window)


def first_seen(row: PromptRow, window: int | None = None) -> Int[Array, " length"]:
    """An index before which each token attends to nothing."""
    # No position of a prompt lies further ahead in the row than it would if all of the prompt followed its prefix.
    return row.begin if window is None else row.begin + jnp.maximum(row.positions - window + 1, 0)
