"""The engine's computations as pure functions: prefill, and bursts of decode steps.

A slot attends to two caches under one softmax: a prompt cache that is only read, and a small generation cache, of
which one column is written per step (`model.engine.programs.caches`).

Prefill omits the prompt's last token, and with it the LM head: that token is the first decode
input. Cost of a step: one read of all weights and of the slots' prompt and generation caches.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int

from model.config import GemmaConfig
from model.engine.programs.attention import SlotAttention
from model.engine.programs.caches import Cache, Caches, PromptCaches, length_of, prompt_masks, readable
from model.engine.programs.drafting import draft
from model.engine.programs.rows import PromptRow, RowAttention
from model.engine.programs.sampling import sample
from model.engine.programs.slots import Slots
from model.layers import (
    BlockWeights,
    GemmaWeights,
    KeyValues,
    Multiply,
    Rotation,
    attention,
    block,
    by_window,
    embed,
    linear,
    over_blocks,
    rms_norm,
    rotation_of,
    soft_cap,
    unembed,
)


def prefill(
    weights: GemmaWeights,
    row: PromptRow,
    config: GemmaConfig,
    dtype: Any,
    *,
    attend_row: RowAttention,
    staged_length: int,
) -> Caches:
    """Keys and values of one row of prompts, padded to `staged_length` positions."""

    def pad(array: Array) -> Array:
        return jnp.pad(array, ((0, 0), (0, 0), (0, staged_length - array.shape[2]), (0, 0)))

    def keep(key: Array, value: Array) -> Cache:
        return Cache(key=pad(key), value=pad(value))

    _, caches = over_row(weights, row, config, dtype, attend_row=attend_row, keep=keep)
    return caches


def over_row(
    weights: GemmaWeights,
    row: PromptRow,
    config: GemmaConfig,
    dtype: Any,
    *,
    attend_row: RowAttention,
    keep: Callable[[Array, Array], Any],
) -> tuple[Float[Array, "1 length d_model"], Any]:
    """One row of prompts through all blocks: the residual stream before the final norm, and what `keep` makes of each
    block's keys and values.
    """

    def view(window: int | None) -> tuple[Rotation, Callable[..., Array]]:
        attend = partial(attend_row, row=row, window=window, cap=config.attention_cap)
        return rotation_of(row.positions[None], config, window), attend

    views = by_window(config, view)

    def step(x: Array, block_weights: BlockWeights, own: Any) -> tuple[Array, Any]:
        turn, attend = own or views[0]
        carried = lambda query, key, value: (attend(query, key, value), keep(key, value))
        return block(block_weights, x, turn, carried, config)

    per_block = None if config.window is None else views
    return over_blocks(step, embed(weights.embedding, row.tokens[None], dtype), weights.blocks, per_block)


def decode_step(
    weights: GemmaWeights,
    prompts: tuple[PromptCaches, ...],
    generations: Caches,
    slots: Slots,
    drafts: Int[Array, "slots drafts"],
    config: GemmaConfig,
    dtype: Any,
    *,
    attend_slots: SlotAttention = attention,
    multiply: Multiply = linear,
    is_ring: bool,
) -> tuple[Float[Array, "slots drafts_and_one vocab"], Caches]:
    """Logits after each slot's next input and each of its drafts, and the generation caches with their new columns.

    The next step overwrites the columns of rejected drafts before any token attends to them.
    """
    tokens = jnp.concatenate([slots.token[:, None], drafts], axis=1)
    count = tokens.shape[1]
    assert count == 1 or not is_ring, "slots accept different numbers of drafts, so they can't share a cache column"
    index = slots.generated[:, None] + jnp.arange(count)  # [slots count]: tokens generated before each input
    seen, write = _generation_columns(slots, index, length_of(generations), is_ring=is_ring)
    is_stacked = isinstance(generations, Cache)

    def view(window: int | None) -> tuple[Rotation, list[Array], Array]:
        turn = rotation_of(slots.prompt_length[:, None] + index, config, window)
        return turn, prompt_masks(prompts, slots.prompt_length, index, window), seen(window)

    views = by_window(config, view)

    def step(x: Array, block_weights: BlockWeights, own: tuple[Any, ...]) -> tuple[Array, Cache]:
        (turn, masks, generation_mask), *chunks, generation = (views[0], *own) if is_stacked else own

        def attend(query: Array, key: Array, value: Array) -> tuple[Array, Cache]:
            new = Cache(key=write(generation.key, key), value=write(generation.value, value))
            cached = [readable(chunk, mask) for chunk, mask in zip(chunks, masks, strict=True) if chunk is not None]
            recent = KeyValues(key=new.key, value=new.value, mask=generation_mask)
            return attend_slots(query, *cached, recent, cap=config.attention_cap), new

        return block(block_weights, x, turn, attend, config, multiply)

    per_block: Any = (*prompts, generations)
    if not is_stacked:
        per_block = tuple(zip(views, *per_block, strict=True))
    x, generations = over_blocks(step, embed(weights.embedding, tokens, dtype), weights.blocks, per_block)
    x = rms_norm(x, weights.final_norm, config.norm_eps)
    if multiply is linear:
        return unembed(x, weights.embedding, config.final_cap), generations
    return soft_cap(multiply(x, weights.embedding).astype(jnp.float32), config.final_cap), generations


def _generation_columns(
    slots: Slots, index: Int[Array, "slots count"], length: int, *, is_ring: bool
) -> tuple[Callable[[int | None], Bool[Array, "slots count columns"]], Callable[[Array, Array], Array]]:
    """Which columns of the generation cache each input sees in layers of a window, and what writes new ones into a
    layer's cache.

    Args:
        slots: What each slot is doing.
        index: Tokens generated before each input.
        length: Columns of the cache.
        is_ring: The order of the columns (`model.engine.programs.caches`).
    """
    columns = jnp.arange(length)
    column = slots.column % length

    def write_shared(cache: Array, new: Array) -> Array:
        return jax.lax.dynamic_update_slice_in_dim(cache, new, column, axis=2)

    def write_own(cache: Array, new: Array) -> Array:
        own_column = jnp.minimum(slots.generated, length - index.shape[1])
        return jax.vmap(lambda c, n, at: jax.lax.dynamic_update_slice_in_dim(c, n, at, axis=1))(cache, new, own_column)

    def seen(window: int | None) -> Array:
        # The age of a column: 0 for the one that is written now.
        age = (column - columns) % length if is_ring else index[..., None] - columns
        is_written = age <= index[..., None] if is_ring else columns <= index[..., None]
        return is_written if window is None or window >= length else is_written & (age < window)

    return seen, write_shared if is_ring else write_own


def advance(slots: Slots, logits: Float[Array, "slots vocab"], moves: Bool[Array, " slots"]) -> Slots:
    """Samples the next token of each slot in `moves`, records it, and ends the slots that are finished."""
    token, logprob = sample(logits, slots.sampling, slots.generated)
    is_stop = jnp.any(token[:, None] == slots.stop_ids, axis=-1)
    generated = slots.generated + moves

    def record(line: Array, at: Array, value: Array) -> Array:
        here = moves[:, None] & (jnp.arange(line.shape[1]) == at[:, None])
        return jnp.where(here, value[:, None], line)

    return replace(
        slots,
        token=jnp.where(moves, token, slots.token),
        tokens=record(slots.tokens, slots.generated, token),
        logprobs=record(slots.logprobs, slots.generated, logprob),
        history=record(slots.history, slots.prompt_length + 1 + slots.generated, token),
        stopped_by=jnp.where(moves & is_stop, token, slots.stopped_by),
        generated=generated,
        is_active=slots.is_active & ~(moves & (is_stop | (generated >= slots.limit))),
    )


def settle(
    slots: Slots, logits: Float[Array, "slots drafts_and_one vocab"], drafts: Int[Array, "slots drafts"]
) -> Slots:
    """Samples tokens one after another while they equal the drafted ones, and then one more.

    Each token is sampled from the model's own distribution with the key of its index, as in plain decoding, and a
    draft is accepted only if it equals that token. The probability of acceptance is therefore the one that the model
    assigns to the draft: the acceptance rule of speculative sampling (arXiv 2302.01318) for a deterministic draft.
    """
    moves = slots.is_active
    for i in range(logits.shape[1]):
        slots = advance(slots, logits[:, i], moves)
        if i < drafts.shape[1]:
            moves = moves & slots.is_active & (slots.token == drafts[:, i])
    return replace(slots, column=slots.column + 1)


def burst(
    weights: GemmaWeights,
    prompts: tuple[PromptCaches, ...],
    generations: Caches,
    slots: Slots,
    leave_after: Int[Array, ""],
    max_steps: Int[Array, ""],
    config: GemmaConfig,
    dtype: Any,
    *,
    attend_slots: SlotAttention = attention,
    multiply: Multiply = linear,
    is_ring: bool,
    num_drafts: int = 0,
) -> tuple[Caches, Slots, Int[Array, "slots_and_one report"]]:
    """Decodes until `leave_after` slots have ended, none is active, or `max_steps` steps are taken.

    Returns:
        The generation caches, the slots, and the report that `read_report` parses on the host.
    """
    active_before = slots.is_active

    def goes_on(carry: tuple[Any, Slots, Array, Array]) -> Array:
        _, slots, steps, _ = carry
        num_ended = jnp.sum(active_before & ~slots.is_active)
        return (steps < max_steps) & (num_ended < leave_after) & jnp.any(slots.is_active)

    def one_step(carry: tuple[Any, Slots, Array, Array]) -> tuple[Any, Slots, Array, Array]:
        generations, slots, steps, busy = carry
        drafts = draft(slots, num_drafts)
        logits, generations = decode_step(
            weights,
            prompts,
            generations,
            slots,
            drafts,
            config,
            dtype,
            attend_slots=attend_slots,
            multiply=multiply,
            is_ring=is_ring,
        )
        return generations, settle(slots, logits, drafts), steps + 1, busy + jnp.sum(slots.is_active)

    zero = jnp.zeros((), jnp.int32)
    generated_before = jnp.sum(slots.generated)
    generations, slots, steps, busy = jax.lax.while_loop(goes_on, one_step, (generations, slots, zero, zero))
    counts = jnp.stack([steps, jnp.sum(slots.generated) - generated_before, busy])
    return generations, slots, _report(slots, counts)


REPORT_COLUMNS = ("ticket", "is_active", "generated", "stopped_by")


def _report(slots: Slots, counts: Int[Array, " 3"]) -> Int[Array, "slots_and_one report"]:
    """Everything that the host needs in one int32 array, for a single copy: one line per slot, then the burst's counts.

    ticket | is_active | generated | stopped_by | generated ids ... | the bits of their log probabilities ...
    steps  | tokens    | busy slot steps | 0 ...
    """
    columns = [
        slots.ticket,
        slots.is_active.astype(jnp.int32),
        slots.generated,
        slots.stopped_by,
    ]
    logprob_bits = jax.lax.bitcast_convert_type(slots.logprobs, jnp.int32)
    lines = jnp.concatenate([jnp.stack(columns, axis=1), slots.tokens, logprob_bits], axis=1)
    last = jnp.zeros((1, lines.shape[1]), jnp.int32).at[0, : counts.shape[0]].set(counts)
    return jnp.concatenate([lines, last])
