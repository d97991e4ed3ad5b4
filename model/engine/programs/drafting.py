"""Prompt lookup: drafts the next tokens by copying what followed an earlier occurrence of the last few.

Code repeats itself: names, calls, entire lines. The device looks up the most recent position in prompt and output at
which the last three tokens (or else the last two) occurred before, and drafts what followed there:

    ... x = foo ( a , b ) \\n y = foo ( a        last three: foo ( a
            ^^^^^^^ , b ) \\n                      drafted: , b ) \\n

Verifying a draft is cheap (one decode step over all of it) and changes no distribution; see `decode.settle`.
Cost: two comparisons of each slot's history. Source: prompt lookup decoding (Saxena, 2023), as
`prompt_lookup_num_tokens` in transformers.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
from jaxtyping import Array, Int

from model.engine.programs.slots import Slots

_LONGEST_MATCH = 3


def draft(slots: Slots, count: int) -> Int[Array, "slots count"]:
    """Drafts `count` tokens for each slot; if nothing matches, they are arbitrary, since a draft is only a guess."""
    if count == 0:
        return jnp.zeros((slots.token.shape[0], 0), jnp.int32)
    length = slots.prompt_length + 1 + slots.generated
    return jax.vmap(lambda history, length: lookup(history, length, count))(slots.history, length)


def lookup(history: Int[Array, " history"], length: Int[Array, ""], count: int) -> Int[Array, " count"]:
    """Tokens after the most recent earlier occurrence of the last three (or else two) tokens of `history[:length]`.

    >>> lookup(jnp.array([5, 6, 7, 8, 9, 5, 6, 7, 0, 0]), jnp.array(8), 2).tolist()
    [8, 9]
    """
    places = jnp.arange(history.shape[0])  # where a match ends: the token before the draft
    run = jnp.zeros(history.shape[0], jnp.int32)  # how many tokens up to each place match the last ones
    matches = jnp.ones(history.shape[0], bool)
    for back in range(_LONGEST_MATCH):
        behind = jnp.where(places >= back, jnp.roll(history, back), -1)
        matches = matches & (behind == history[jnp.maximum(length - 1 - back, 0)]) & (length > back)
        run = run + matches
    is_earlier = places < length - 1
    score = jnp.where(is_earlier & (run >= _LONGEST_MATCH - 1), run * history.shape[0] + places, -1)
    end = jnp.argmax(score)
    return jax.lax.dynamic_slice_in_dim(jnp.pad(history, (0, count)), end + 1, count)
