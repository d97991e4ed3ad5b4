"""The engine's key/value caches: their layout, insertion of prompts, and their masks for attention.

    prompt cache      [slot, kv head, position, head_dim] per layer: written at insertion, then only read;
                      in chunks along the positions, of which a burst reads as many as its slots need
    generation cache  the same shape, max_new_tokens long: one column is written per step

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
PromptCaches = tuple[Cache, ...] | Cache | tuple[Int8Cache, ...] | Int8Cache
AnyCaches = TypeVar("AnyCaches", bound=PromptCaches)


def empty_caches(config: GemmaConfig, slots: int, length: int, dtype: Any, *, stacked: bool) -> Caches:
    """Zeroed caches in the layout of the weights: a tuple over layers, or stacked."""
    shape = (slots, config.num_kv_heads, length, config.head_dim)
    if stacked:
        every = (config.num_layers, *shape)
        return Cache(key=jnp.zeros(every, dtype), value=jnp.zeros(every, dtype))
    return tuple(Cache(key=jnp.zeros(shape, dtype), value=jnp.zeros(shape, dtype)) for _ in range(config.num_layers))


def empty_prompt_caches(
    config: GemmaConfig, slots: int, length: int, dtype: Any, *, stacked: bool, int8: bool
) -> PromptCaches:
    """Zeroed caches for prompts, in 8 bits if `int8`, otherwise as `empty_caches`."""
    caches = empty_caches(config, slots, length, jnp.int8 if int8 else dtype, stacked=stacked)
    if not int8:
        return caches

    def with_scales(cache: Cache) -> Int8Cache:
        scale = jnp.zeros(cache.key.shape[:-1], jnp.float32)
        return Int8Cache(key=cache.key, value=cache.value, key_scale=scale, value_scale=jnp.copy(scale))

    return with_scales(caches) if isinstance(caches, Cache) else tuple(map(with_scales, caches))


def insert_prompt(
    chunks: tuple[PromptCaches, ...], staged: Caches, slot: Int[Array, ""], place: Int[Array, " 3"]
) -> tuple[PromptCaches, ...]:
    """Copies a prompt from its row to the start of a slot's prompt cache, as far as `chunks` reach; quantizes it if the
    cache is in 8 bits.

    Args:
        chunks: The prompt cache's first chunks.
        staged: The row's keys and values, long enough for a slice of the chunks' length at any place.
        slot: Index of the slot.
        place: prefix_start, prefix_length, tail_start, as in `model.engine.prefill_rows.Place`.
    """
    prefix_start, prefix_length, tail_start = place
    width = sum(length_of(chunk) for chunk in chunks)
    in_prefix = (jnp.arange(width) < prefix_length)[:, None]

    def gather(row: Array) -> Array:
        prefix = jax.lax.dynamic_slice_in_dim(row, prefix_start, width, axis=-2)
        tail = jax.lax.dynamic_slice_in_dim(row, tail_start - prefix_length, width, axis=-2)
        return jnp.where(in_prefix, prefix, tail)

    whole: Any = jax.tree.map(gather, staged)
    if _is_int8(chunks[0]):
        whole = jax.tree.map(_in_8_bits, whole, is_leaf=lambda node: isinstance(node, Cache))
    axis = _slots_axis(staged)
    written, at = [], 0
    for chunk in chunks:
        end = at + length_of(chunk)

        def copy(cache: Array, line: Array, at: int = at, end: int = end) -> Array:
            part = jax.lax.slice_in_dim(line, at, end, axis=axis + 2)
            return jax.lax.dynamic_update_slice_in_dim(cache, part, slot, axis=axis)

        written.append(jax.tree.map(copy, chunk, whole))
        at = end
    return tuple(written)


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


def _is_int8(caches: PromptCaches) -> bool:
    return isinstance(caches if isinstance(caches, Cache | Int8Cache) else caches[0], Int8Cache)


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
    prompts: tuple[PromptCaches, ...], length: Int[Array, " slots"]
) -> list[Bool[Array, "slots 1 positions"]]:
    """For each chunk of the prompt cache, the positions that contain a slot's prompt."""
    masks, at = [], 0
    for chunk in prompts:
        end = at + length_of(chunk)
        masks.append((jnp.arange(at, end) < length[:, None])[:, None])
        at = end
    return masks


def length_of(caches: PromptCaches) -> int:
    """Number of positions of a cache."""
    return (caches if isinstance(caches, Cache | Int8Cache) else caches[0]).key.shape[-2]
