"""The engine's key/value caches: their layout, insertion of prompts, and their masks for attention.

    prompt cache      [slot, kv head, position, head_dim] per layer: written at insertion, then only read;
                      in chunks along the positions, of which a burst reads as many as its slots need
    generation cache  the same shape, max_new_tokens long: one column is written per step

In layers with a window, the prompt cache holds the prompt's last `window` positions: no later token sees others. They
begin at the cache's start, whose position is `window_start`, and the cache is never written again, so it is no ring.

    prompt of 7, window 4     all layers  0 1 2 3 4 5 6 .     windowed layers  3 4 5 6
    prompt of 3                           0 1 2 . . . . .                      0 1 2 .

The prompt cache can be stored in 8 bits, with one scale per position and head: every step reads all of it, so half
the bytes mean half its cost. The generation cache, which is small and written at every step, keeps the compute dtype.

In `fast` mode the generation cache is a ring, written at one column shared by all slots (one slice, no scatter); a
slot attends to the last `generated + 1` columns. In `exact` mode each slot writes at its own count of tokens, so that
sums run in the same order wherever and whenever a request is decoded. So do steps over drafts, of which each slot may
accept a different number. `realign` moves the cache from one order to the other.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, TypeVar

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, Int8

from model.config import GemmaConfig
from model.layers import KeyValues
from model.quantize import LARGEST


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Cache:
    """Keys and values of one layer, or of all layers stacked along a leading axis if the weights are."""

    key: Float[Array, "slots kv_heads positions head_dim"]
    value: Float[Array, "slots kv_heads positions head_dim"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Int8Cache:
    """Keys and values in 8 bits: a position is its values times its scale."""

    key: Int8[Array, "slots kv_heads positions head_dim"]
    value: Int8[Array, "slots kv_heads positions head_dim"]
    key_scale: Float[Array, "slots kv_heads positions"]
    value_scale: Float[Array, "slots kv_heads positions"]


Caches = tuple[Cache, ...] | Cache
# A chunk of the prompt cache has nothing (None) for layers whose window ends before it.
PromptCaches = tuple[Cache | None, ...] | Cache | tuple[Int8Cache | None, ...] | Int8Cache
AnyCaches = TypeVar("AnyCaches", bound=PromptCaches)


def empty_caches(config: GemmaConfig, slots: int, length: int, dtype: Any, *, stacked: bool) -> Caches:
    """Zeroed caches in the layout of the weights: a tuple over layers, or stacked."""
    shape = (slots, config.num_kv_heads, length, config.head_dim)
    if stacked:
        every = (config.num_layers, *shape)
        return Cache(key=jnp.zeros(every, dtype), value=jnp.zeros(every, dtype))
    return tuple(Cache(key=jnp.zeros(shape, dtype), value=jnp.zeros(shape, dtype)) for _ in range(config.num_layers))


def empty_prompt_caches(
    config: GemmaConfig, slots: int, length: int, dtype: Any, *, stacked: bool, int8: bool, begin: int = 0
) -> PromptCaches:
    """Zeroed caches for positions of prompts, `length` from `begin` on, in 8 bits if `int8`.

    Args:
        config: The model's shapes.
        slots: Number of slots.
        length: Positions of layers without a window.
        dtype: Of keys and values that aren't in 8 bits.
        stacked: Along a leading axis, as the weights are, or a tuple over layers.
        int8: Whether they are in 8 bits.
        begin: Positions in the chunks before this one: layers with a window have as many positions, in all chunks
            together, as their window.
    """
    stored = jnp.int8 if int8 else dtype
    if stacked:
        assert config.window is None, "layers with and without a window have caches of different lengths"
        caches: Any = empty_caches(config, slots, length, stored, stacked=True)
        return _with_scales(caches) if int8 else caches

    def of_layer(window: int | None) -> Any:
        own = length if window is None else min(begin + length, window) - min(begin, window)
        if own == 0:
            return None
        shape = (slots, config.num_kv_heads, own, config.head_dim)
        cache = Cache(key=jnp.zeros(shape, stored), value=jnp.zeros(shape, stored))
        return _with_scales(cache) if int8 else cache

    return tuple(map(of_layer, config.windows))


def _with_scales(cache: Cache) -> Int8Cache:
    scale = jnp.zeros(cache.key.shape[:-1], jnp.float32)
    return Int8Cache(key=cache.key, value=cache.value, key_scale=scale, value_scale=jnp.copy(scale))


def window_start(length: Int[Array, "*slots"], window: int | None) -> Int[Array, "*slots"] | int:
    """The position at the start of the prompt cache, in layers with this window, for a prompt of `length`."""
    return 0 if window is None else jnp.maximum(length - window, 0)


def insert_prompt(
    chunks: tuple[PromptCaches, ...],
    staged: Caches,
    slot: Int[Array, ""],
    place: Int[Array, " 3"],
    length: Int[Array, ""],
    windows: tuple[int | None, ...],
) -> tuple[PromptCaches, ...]:
    """Copies a prompt from its row to the start of a slot's prompt cache, as far as `chunks` reach; quantizes it if the
    cache is in 8 bits.

    Args:
        chunks: The prompt cache's first chunks.
        staged: The row's keys and values, long enough for a slice of the chunks' length at any place.
        slot: Index of the slot.
        place: prefix_start, prefix_length, tail_start, as in `model.engine.prefill_rows.Place`.
        length: The prompt's cached positions.
        windows: The window of each layer.
    """
    if isinstance(staged, Cache):
        return tuple(_insert_layer(chunks, staged, slot, place, window_start(length, None)))
    per_layer: Any = (*chunks, staged, windows)
    layers = [
        _insert_layer(own, layer, slot, place, window_start(length, window))
        for *own, layer, window in zip(*per_layer, strict=True)
    ]
    return tuple(zip(*layers, strict=True))


def _insert_layer(
    chunks: Any, staged: Cache, slot: Int[Array, ""], place: Int[Array, " 3"], start: Int[Array, ""] | int
) -> list[Any]:
    """`insert_prompt` for one layer, or for all layers stacked; `start` is the position that comes first."""
    prefix_start, prefix_length, tail_start = place
    width = sum(map(_positions, chunks))
    in_prefix = (start + jnp.arange(width) < prefix_length)[:, None]

    def gather(row: Array) -> Array:
        prefix = jax.lax.dynamic_slice_in_dim(row, prefix_start + start, width, axis=-2)
        tail = jax.lax.dynamic_slice_in_dim(row, tail_start - prefix_length + start, width, axis=-2)
        return jnp.where(in_prefix, prefix, tail)

    whole: Any = jax.tree.map(gather, staged)
    if isinstance(chunks[0], Int8Cache):
        whole = _in_8_bits(whole)
    axis = staged.key.ndim - 4  # after the layers' axis if stacked
    written, at = [], 0
    for chunk in chunks:
        end = at + _positions(chunk)

        def copy(cache: Array, line: Array, at: int = at, end: int = end) -> Array:
            part = jax.lax.slice_in_dim(line, at, end, axis=axis + 2)
            return jax.lax.dynamic_update_slice_in_dim(cache, part, slot, axis=axis)

        written.append(None if chunk is None else jax.tree.map(copy, chunk, whole))
        at = end
    return written


def first_slots(caches: AnyCaches, width: int) -> AnyCaches:
    """The caches of the first `width` slots; the same arrays if these are all."""
    axis = _slots_axis(caches)
    return jax.tree.map(lambda a: a if a.shape[axis] == width else jax.lax.slice_in_dim(a, 0, width, axis=axis), caches)


def with_first_slots(caches: AnyCaches, part: AnyCaches) -> AnyCaches:
    """The inverse of `first_slots`: the caches with the first slots replaced."""
    axis = _slots_axis(caches)

    def put(whole: Array, new: Array) -> Array:
        return new if whole.shape == new.shape else jax.lax.dynamic_update_slice_in_dim(whole, new, 0, axis=axis)

    return jax.tree.map(put, caches, part)


def copy_slot(caches: AnyCaches, source: Int[Array, ""], target: Int[Array, ""]) -> AnyCaches:
    """Copies a slot's caches to another slot."""
    axis = _slots_axis(caches)

    def copy(array: Array) -> Array:
        line = jax.lax.dynamic_slice_in_dim(array, source, 1, axis=axis)
        return jax.lax.dynamic_update_slice_in_dim(array, line, target, axis=axis)

    return jax.tree.map(copy, caches)


def _slots_axis(caches: PromptCaches) -> int:
    return 0 if isinstance(caches, tuple) else 1  # after the layers' axis if stacked


def _in_8_bits(cache: Cache) -> Int8Cache:
    """Quantizes with one scale per position and head, symmetric, rounded to nearest."""

    def quantize(array: Array) -> tuple[Array, Array]:
        wide = array.astype(jnp.float32)
        scale = jnp.max(jnp.abs(wide), axis=-1) / LARGEST
        return jnp.rint(wide / jnp.where(scale == 0, 1.0, scale)[..., None]).astype(jnp.int8), scale

    (key, key_scale), (value, value_scale) = quantize(cache.key), quantize(cache.value)
    return Int8Cache(key=key, value=value, key_scale=key_scale, value_scale=value_scale)


def realign(generations: Caches, column: Int[Array, ""], generated: Int[Array, " slots"], *, to_ring: bool) -> Caches:
    """Moves each slot's columns from its own order into the ring, or back.

    own order     0 1 2 ... generated-1, then columns that were never read
    ring          the same, wrapping around, so that the last one is just before the shared column

    Args:
        generations: The generation cache.
        column: The ring's next column.
        generated: Number of columns in use per slot.
        to_ring: Direction: into the ring, or back.
    """
    length = length_of(generations)
    columns = jnp.arange(length)
    begin = ((column - generated) % length)[:, None]  # start of each slot's columns in the ring
    source = (columns - begin if to_ring else columns + begin) % length

    def move(cache: Array) -> Array:
        return jnp.take_along_axis(cache, source[:, None, :, None], axis=-2)

    return jax.tree.map(jax.vmap(move) if isinstance(generations, Cache) else move, generations)


def readable(chunk: Cache | Int8Cache, mask: Bool[Array, "slots 1 positions"]) -> KeyValues:
    """A layer's chunk as attention's input."""
    if isinstance(chunk, Cache):
        return KeyValues(key=chunk.key, value=chunk.value, mask=mask)
    return KeyValues(
        key=chunk.key, value=chunk.value, mask=mask, key_scale=chunk.key_scale, value_scale=chunk.value_scale
    )


def prompt_masks(
    prompts: tuple[PromptCaches, ...],
    length: Int[Array, " slots"],
    index: Int[Array, "slots count"],
    window: int | None = None,
) -> list[Bool[Array, "slots #count positions"]]:
    """For each chunk of the prompt cache, the positions that inputs attend to, in layers with this window.

    Args:
        prompts: The chunks.
        length: Cached positions of each slot's prompt.
        index: Tokens generated before each input.
        window: The layers' window; without one, all inputs attend to the entire prompt.
    """
    masks, at = [], 0
    for chunk in prompts:
        end = at + length_of(chunk)
        own = jnp.arange(at, end) if window is None else jnp.arange(min(at, window), min(end, window))
        if window is None:
            masks.append((own < length[:, None])[:, None])
        else:
            start: Any = window_start(length, window)
            position = start[:, None] + own
            near = (length[:, None] + index)[..., None] - position[:, None] < window  # [slots count positions]
            masks.append((position < length[:, None])[:, None] & near)
        at = end
    return masks


def length_of(caches: PromptCaches) -> int:
    """Number of positions of a cache, in layers without a window (or, in one chunk, in those with the most)."""
    return max(map(_positions, (caches,) if isinstance(caches, Cache | Int8Cache) else caches))


def _positions(cache: Cache | Int8Cache | None) -> int:
    return 0 if cache is None else cache.key.shape[-2]
