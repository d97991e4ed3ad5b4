"""Sampling of each slot's next token; the result depends only on logits, seed and token index.

Top-k and top-p keep every logit at or above a threshold. The threshold is found by bisection over the
32-bit patterns of floats, which have the same order as the floats: 32 passes that count or add, exact,
without sorting the vocabulary. Then one uniform number per token selects among the kept probabilities
by inverse transform:

    u * total  ->  block of 128 ids by sums of blocks  ->  id within the block

Keys are `fold_in(key(seed), token_index)`, independent of slot, order and other requests.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int, UInt32

_BLOCK = 128
_TILE_ROWS = 8
_ABOVE_ONE = 0x3F800002  # as a bit pattern: above 1.0, and above its value after rounding


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class SlotSampling:
    """Sampling parameters of each slot: the fields of `model.engine.requests.Sampling`, one element per slot."""

    seed: UInt32[Array, " slots"]
    temperature: Float[Array, " slots"]
    top_k: Int[Array, " slots"]
    top_p: Float[Array, " slots"]


def sample(
    logits: Float[Array, "slots vocab"], sampling: SlotSampling, token_index: Int[Array, " slots"]
) -> tuple[Int[Array, " slots"], Float[Array, " slots"]]:
    """Samples one token per slot; greedy if the slot's temperature is 0.

    Args:
        logits: Float32 logits.
        sampling: Sampling parameters of each slot.
        token_index: Number of tokens that the slot's request has generated before this one.

    Returns:
        The tokens, and their natural-log probabilities under the model's own distribution.
    """
    greedy = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    is_greedy = sampling.temperature == 0.0
    normalizer = jax.nn.logsumexp(logits, axis=-1)
    largest = jnp.max(logits, axis=-1)

    def draw() -> tuple[Int[Array, " slots"], Float[Array, " slots"]]:
        scaled = logits / jnp.where(is_greedy, 1.0, sampling.temperature)[:, None]
        token = jnp.where(is_greedy, greedy, _draw(scaled, sampling, token_index))
        return token, jnp.take_along_axis(logits, token[:, None], axis=-1)[:, 0]

    token, chosen = jax.lax.cond(jnp.all(is_greedy), lambda: (greedy, largest), draw)
    return token, chosen - normalizer


def _draw(
    scaled: Float[Array, "slots vocab"], sampling: SlotSampling, token_index: Int[Array, " slots"]
) -> Int[Array, " slots"]:
    """Applies top-k, then top-p to the rest, and samples one token from the remaining ones."""
    # Not normalized: dividing by the sum would create another array of the logits' size.
    probs = jnp.exp(scaled - jnp.max(scaled, axis=-1, keepdims=True))
    needs_filter = jnp.any((sampling.top_k > 0) | (sampling.top_p < 1.0))
    everything = jnp.zeros(probs.shape[0], jnp.int32)
    least = jax.lax.cond(needs_filter, lambda: _least_kept(probs, sampling), lambda: everything)
    probs = jnp.pad(probs, ((0, 0), (0, -probs.shape[1] % _BLOCK)))
    uniform = jax.vmap(_uniform)(sampling.seed, token_index)
    return jax.vmap(_inverse_transform)(probs, least, _block_sums(_kept(probs, least[:, None])), uniform)


def _uniform(seed: UInt32[Array, ""], index: Int[Array, ""]) -> Float[Array, ""]:
    key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), index)
    return jax.random.uniform(key)


def _least_kept(probs: Float[Array, "slots vocab"], sampling: SlotSampling) -> Int[Array, " slots"]:
    """Bits of the smallest probability that top-k and then top-p keep; probabilities equal to it are kept.

    Works with thresholds rather than filtered probabilities, each of which would be another array of the logits' size.
    """
    everything = jnp.zeros(probs.shape[0], jnp.int32)
    count = jnp.where(sampling.top_k > 0, sampling.top_k, probs.shape[-1]).astype(jnp.float32)
    least = _bisect(probs, jnp.ones_like, count, everything)
    left = jnp.sum(_kept(probs, least[:, None]), axis=-1)
    return _bisect(probs, lambda probs: probs, jnp.where(sampling.top_p < 1.0, sampling.top_p * left, jnp.inf), least)


def _bisect(
    probs: Float[Array, "slots vocab"],
    weigh: Callable[[Array], Array],
    wanted: Float[Array, " slots"],
    least: Int[Array, " slots"],
) -> Int[Array, " slots"]:
    """Raises `least` as far as the weights of the probabilities from there on still add up to `wanted`."""

    def bisect(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds  # the sum from `low` on suffices (or low is `least`), the sum from `high` on doesn't
        middle = low + (high - low) // 2
        is_enough = jnp.sum(_kept(probs, middle[:, None], weigh), axis=-1) >= wanted
        return jnp.where(is_enough, middle, low), jnp.where(is_enough, high, middle)

    return jax.lax.fori_loop(0, 31, bisect, (least, jnp.full_like(least, _ABOVE_ONE)))[0]


def _kept(
    probs: Float[Array, "*slots vocab"], least: Int[Array, "*slots 1"], weigh: Callable[[Array], Array] = lambda p: p
) -> Float[Array, "*slots vocab"]:
    """Weights, set to zero below the threshold. The threshold is converted to a float, because the bits of all
    probabilities would be hoisted out of a loop: another array of the logits' size.
    """
    return jnp.where(probs >= jax.lax.bitcast_convert_type(least, jnp.float32), weigh(probs), 0.0)


def _block_sums(probs: Float[Array, "slots vocab"]) -> Float[Array, "slots blocks"]:
    """Sums of each block of ids.

    Rows are processed in groups of eight, matching a TPU's tiles of 8 x 128: a plain reshape into blocks would first
    copy all probabilities into another layout.
    """
    slots = probs.shape[0]
    rows = _TILE_ROWS if slots % _TILE_ROWS == 0 else 1
    tiles = probs.reshape(slots // rows, rows, -1, _BLOCK).swapaxes(1, 2)  # [groups blocks rows ids]
    return tiles.sum(axis=-1).swapaxes(1, 2).reshape(slots, -1)


def _inverse_transform(
    probs: Float[Array, " vocab"],
    least: Int[Array, ""],
    block_sums: Float[Array, " blocks"],
    uniform: Float[Array, ""],
) -> Int[Array, ""]:
    """The id at which the running sum of the kept probabilities first exceeds `uniform` times their total."""
    ends = jnp.cumsum(block_sums)
    target = uniform * ends[-1]
    block = _first_above(ends, target)
    before = jnp.where(block > 0, ends[block - 1], 0.0)
    within = jnp.cumsum(_kept(jax.lax.dynamic_slice_in_dim(probs, block * _BLOCK, _BLOCK), least))
    # Rounding may leave the target just above the block's own sum; then its last id of nonzero probability is taken.
    target = jnp.minimum(target - before, within[-1] * (1 - 2**-23))
    return (block * _BLOCK + _first_above(within, target)).astype(jnp.int32)


def _first_above(running: Float[Array, " n"], target: Float[Array, ""]) -> Int[Array, ""]:
    """Index of the first element greater than `target`; if there is none, the last at which the sum still grew."""
    is_above = running > target
    return jnp.where(is_above[-1], jnp.argmax(is_above), jnp.argmax(running == running[-1]))
