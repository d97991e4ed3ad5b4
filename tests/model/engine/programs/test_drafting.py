"""Drafts are the tokens that followed an earlier occurrence of the last tokens."""

from __future__ import annotations

import jax
import jax.numpy as jnp
from hypothesis import given, settings
from hypothesis import strategies as st

from model.engine.programs.drafting import lookup

WIDTH, COUNT = 24, 3
lookup_jit = jax.jit(lookup, static_argnums=2)


def looked_up(tokens: list[int]) -> list[int] | None:
    """The same by plain search; None if nothing matches, in which case the draft is arbitrary."""
    for size in (3, 2):
        if len(tokens) > size:
            for end in range(len(tokens) - 1, size - 1, -1):
                if tokens[end - size : end] == tokens[-size:]:
                    return tokens[end : end + COUNT]
    return None


@settings(deadline=None)
@given(st.lists(st.integers(0, 2), min_size=1, max_size=WIDTH))
def test_a_draft_is_what_a_plain_search_finds(tokens):
    history = jnp.array(tokens + [9] * (WIDTH - len(tokens)), jnp.int32)
    drafted = lookup_jit(history, jnp.int32(len(tokens)), COUNT).tolist()
    expected = looked_up(tokens)
    assert len(drafted) == COUNT
    if expected is not None:
        assert drafted[: len(expected)] == expected
