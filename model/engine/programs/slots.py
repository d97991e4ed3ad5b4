"""State of the engine's slots: one array per field, with one line per slot, and pure functions on it."""

from __future__ import annotations

from dataclasses import dataclass, replace

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from model.engine.programs.sampling import SlotSampling


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Slots:
    """State of the slots. `insert` overwrites all of a slot's lines for a new request.

    Args:
        ticket: The scheduler's number of the request.
        is_active: Whether it decodes.
        token: The next decode input: the prompt's last token, then each generated one.
        prompt_length: Cached positions of the prompt: all its tokens except the last.
        generated: Tokens generated so far.
        limit: Maximum tokens to generate.
        stop_ids: Ids that end it; padded with -1.
        stopped_by: The stop id that ended it, or -1.
        tokens: The generated ids, including the stop id.
        logprobs: Their log probabilities.
        history: Prompt and generated ids, for drafts; no columns if there are none.
        sampling: Sampling parameters.
        column: Steps taken by all slots: the ring's next column, before wrapping around.
    """

    ticket: Int[Array, " slots"]
    is_active: Bool[Array, " slots"]
    token: Int[Array, " slots"]
    prompt_length: Int[Array, " slots"]
    generated: Int[Array, " slots"]
    limit: Int[Array, " slots"]
    stop_ids: Int[Array, "slots max_stop_ids"]
    stopped_by: Int[Array, " slots"]
    tokens: Int[Array, "slots max_new_tokens"]
    logprobs: Float[Array, "slots max_new_tokens"]
    history: Int[Array, "slots history"]
    sampling: SlotSampling
    column: Int[Array, ""]

    def first(self, width: int) -> Slots:
        """The first `width` slots."""
        return jax.tree.map(lambda a: a[:width] if a.ndim and a.shape[0] != width else a, self)

    def with_first(self, part: Slots) -> Slots:
        """The inverse of `first`: all slots, of which the first are replaced."""

        def put(whole: Array, new: Array) -> Array:
            return new if whole.shape == new.shape else jax.lax.dynamic_update_slice_in_dim(whole, new, 0, axis=0)

        return jax.tree.map(put, self, part)


def empty_slots(slots: int, max_new_tokens: int, max_stop_ids: int, history: int = 0) -> Slots:
    """Idle slots."""

    def zeros() -> Array:
        return jnp.zeros(slots, jnp.int32)

    return Slots(
        ticket=zeros(),
        is_active=jnp.zeros(slots, bool),
        token=zeros(),
        prompt_length=zeros(),
        generated=zeros(),
        limit=zeros(),
        stop_ids=jnp.full((slots, max_stop_ids), -1, jnp.int32),
        stopped_by=jnp.full(slots, -1, jnp.int32),
        tokens=jnp.zeros((slots, max_new_tokens), jnp.int32),
        logprobs=jnp.zeros((slots, max_new_tokens), jnp.float32),
        history=jnp.zeros((slots, history), jnp.int32),
        sampling=SlotSampling(
            seed=jnp.zeros(slots, jnp.uint32),
            temperature=jnp.zeros(slots, jnp.float32),
            top_k=zeros(),
            top_p=jnp.ones(slots, jnp.float32),
        ),
        column=jnp.zeros((), jnp.int32),
    )


def insert_request(slots: Slots, line: Slots, slot: Int[Array, ""]) -> Slots:
    """Writes a request's line (arrays with a slots axis of 1) into a slot; the shared column is unchanged."""
    written = jax.tree.map(
        lambda whole, part: jax.lax.dynamic_update_slice_in_dim(whole, part, slot, axis=0) if whole.ndim else whole,
        slots,
        line,
    )
    return replace(written, column=slots.column)


def move_request(slots: Slots, source: Int[Array, ""], target: Int[Array, ""]) -> Slots:
    """Moves a request to another slot. The one that it leaves is idle and reports nothing."""
    line = jax.tree.map(
        lambda whole: jax.lax.dynamic_slice_in_dim(whole, source, 1, axis=0) if whole.ndim else whole, slots
    )
    return release_slot(insert_request(slots, line, target), source)


def release_slot(slots: Slots, slot: Int[Array, ""]) -> Slots:
    """Ends what a slot decodes. It is idle from then on and reports nothing."""
    return replace(
        slots,
        is_active=slots.is_active.at[slot].set(False),
        generated=slots.generated.at[slot].set(0),
    )
