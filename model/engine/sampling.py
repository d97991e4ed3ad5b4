"""Draws the next token of each slot; what is drawn depends on logits, seed and token index alone.

Top-k and top-p keep every logit at or above a threshold. The threshold is found by bisection over the
32-bit patterns of floats, which are ordered as the floats are: 32 passes that count or add, exact, no sort of
the vocabulary. Then one uniform number per token picks from the kept probabilities by inverse transform:

    u * total  ->  block of 128 ids by sums of blocks  ->  id within the block

Keys are `fold_in(key(seed), token_index)`: never slot, order or neighbours.
"""

from __future__ import annotations

from dataclasses import dataclass

import jax
import jax.numpy as jnp
from jaxtyping import Array, Bool, Float, Int, UInt32

_BLOCK = 128
_ABOVE_ONE = 0x3F800002  # as a bit pattern: above 1.0, and above what rounding may make of it


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class SlotSampling:
    """How each slot draws; the fields of `model.engine.api.Sampling`, one element a slot."""

    seed: UInt32[Array, " slots"]
    temperature: Float[Array, " slots"]
    top_k: Int[Array, " slots"]
    top_p: Float[Array, " slots"]


def sample(
    logits: Float[Array, "slots vocab"], sampling: SlotSampling, token_index: Int[Array, " slots"]
) -> Int[Array, " slots"]:
    """Draws one token per slot: greedy where its temperature is 0.

    Args:
        logits: Float32 logits.
        sampling: How each slot draws.
        token_index: How many tokens its request has generated before this one.
    """
    greedy = jnp.argmax(logits, axis=-1).astype(jnp.int32)
    is_greedy = sampling.temperature == 0.0

    def draw() -> Int[Array, " slots"]:
        scaled = logits / jnp.where(is_greedy, 1.0, sampling.temperature)[:, None]
        return jnp.where(is_greedy, greedy, _draw(scaled, sampling, token_index))

    return jax.lax.cond(jnp.all(is_greedy), lambda: greedy, draw)


def token_logprob(logits: Float[Array, "slots vocab"], tokens: Int[Array, " slots"]) -> Float[Array, " slots"]:
    """Natural-log probability of `tokens` under the model's own distribution."""
    chosen = jnp.take_along_axis(logits, tokens[:, None], axis=-1)[:, 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)


def _draw(
    scaled: Float[Array, "slots vocab"], sampling: SlotSampling, token_index: Int[Array, " slots"]
) -> Int[Array, " slots"]:
    """Top-k, then top-p of what is left, then one draw from the rest."""
    probs = jax.nn.softmax(scaled, axis=-1)
    needs_filter = jnp.any((sampling.top_k > 0) | (sampling.top_p < 1.0))
    kept = jax.lax.cond(needs_filter, lambda: _filter(probs, sampling), lambda: probs)
    uniform = jax.vmap(_uniform)(sampling.seed, token_index)
    return jax.vmap(_inverse_transform)(kept, uniform)


def _uniform(seed: UInt32[Array, ""], index: Int[Array, ""]) -> Float[Array, ""]:
    key = jax.random.fold_in(jax.random.key(seed, impl="threefry2x32"), index)
    return jax.random.uniform(key)


def _filter(probs: Float[Array, "slots vocab"], sampling: SlotSampling) -> Float[Array, "slots vocab"]:
    """Zeroes what top-k and top-p leave out; tokens that tie with the last one kept are kept."""
    wanted = jnp.where(sampling.top_k > 0, sampling.top_k, probs.shape[-1]).astype(jnp.float32)
    probs = _keep_top(probs, jnp.ones_like(probs), wanted)
    wanted = jnp.where(sampling.top_p < 1.0, sampling.top_p * probs.sum(axis=-1), jnp.inf)
    return _keep_top(probs, probs, wanted)


def _keep_top(
    probs: Float[Array, "slots vocab"], weight: Float[Array, "slots vocab"], wanted: Float[Array, " slots"]
) -> Float[Array, "slots vocab"]:
    """Keeps the largest probabilities, as few as give `weight` a sum of at least `wanted`; all where none do."""
    bits = jax.lax.bitcast_convert_type(probs, jnp.int32)  # ordered as the floats are: probabilities have no sign

    def bisect(_: int, bounds: tuple[Array, Array]) -> tuple[Array, Array]:
        low, high = bounds  # the sum at `low` is enough (or low is 0), at `high` it isn't
        middle = low + (high - low) // 2
        is_enough = jnp.sum(jnp.where(bits >= middle[:, None], weight, 0.0), axis=-1) >= wanted
        return jnp.where(is_enough, middle, low), jnp.where(is_enough, high, middle)

    low = jnp.zeros(probs.shape[0], jnp.int32)
    high = jnp.full(probs.shape[0], _ABOVE_ONE, jnp.int32)
    low, _ = jax.lax.fori_loop(0, 31, bisect, (low, high))
    is_kept: Bool[Array, "slots vocab"] = bits >= low[:, None]
    return jnp.where(is_kept, probs, 0.0)


def _inverse_transform(probs: Float[Array, " vocab"], uniform: Float[Array, ""]) -> Int[Array, ""]:
    """The id at which the running sum of `probs` first exceeds `uniform` of the total."""
    blocks = jnp.pad(probs, (0, -probs.shape[0] % _BLOCK)).reshape(-1, _BLOCK)
    ends = jnp.cumsum(blocks.sum(axis=-1))
    target = uniform * ends[-1]
    block = _first_above(ends, target)
    before = jnp.where(block > 0, ends[block - 1], 0.0)
    within = jnp.cumsum(blocks[block])
    # Rounding may leave the target just above the block's own sum: then its last id of any probability.
    target = jnp.minimum(target - before, within[-1] * (1 - 2**-23))
    return (block * _BLOCK + _first_above(within, target)).astype(jnp.int32)


def _first_above(running: Float[Array, " n"], target: Float[Array, ""]) -> Int[Array, ""]:
    """Index of the first element greater than `target`; the last that still grew, if none is."""
    is_above = running > target
    return jnp.where(is_above[-1], jnp.argmax(is_above), jnp.argmax(running == running[-1]))
