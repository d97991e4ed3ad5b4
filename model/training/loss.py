"""Cross-entropy against a tied embedding, without the logits of a whole batch in memory.

Logits are the largest arrays of a training step: 8 rows of 2,048 tokens over 256,000 pieces are 16 GB. Here they
exist for one chunk of positions at a time, and the chunk's gradient is taken at once, so that nothing is computed
twice:

    for each chunk:   hidden ── unembed ── logits ── loss          (added up)
                                             │
                        gradients of the chunk's hidden states     (kept)
                        and of the embedding                       (added up)

The backward pass multiplies them by the loss's own gradient, a number. Where no gradient is asked for, none is taken.
"""

from __future__ import annotations

from functools import partial
from typing import Any, Final

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from model.layers import unembed

LOGITS_A_CHUNK: Final = 1 << 22
"""Logits that are in memory at once, per row shard, in float32: 16 MB, about what a CPU's caches hold."""
_LEAST_POSITIONS: Final = 256  # a matrix product over fewer rows doesn't fill an accelerator


def chunk_length(rows: int, length: int, vocab_size: int) -> int:
    """Positions of a chunk in each of `rows` rows.

    >>> chunk_length(16, 512, 8000), chunk_length(1, 2048, 256_000), chunk_length(1, 100, 8000)
    (32, 256, 100)
    """
    wanted = max(LOGITS_A_CHUNK // vocab_size, _LEAST_POSITIONS)
    return max(1, min(length, wanted // rows))


def linear_cross_entropy(
    hidden: Float[Array, "batch length d_model"],
    embedding: Float[Array, "vocab d_model"],
    targets: Int[Array, "batch length"],
    weights: Float[Array, "batch length"],
    *,
    cap: float | None = None,
    chunk: int,
    is_embedding_trained: bool = True,
) -> Float[Array, ""]:
    """The sum of weighted cross-entropy, in nats, of targets under `unembed(hidden, embedding, cap)`.

    Args:
        hidden: Normalized activations, in the compute dtype.
        embedding: The tied embedding.
        targets: The token that each position is to predict.
        weights: Its weight in the sum; nothing is differentiated by it.
        cap: The soft cap of logits.
        chunk: Positions of a row whose logits are in memory at once.
        is_embedding_trained: Whether the embedding's gradient is needed; without, it is taken for 0.
    """
    padding = [(0, 0), (0, -hidden.shape[1] % chunk)]

    def parts(array: Array) -> Array:  # [batch length ...] -> [chunks batch chunk ...]
        padded = jnp.pad(array, padding + [(0, 0)] * (array.ndim - 2))
        return jnp.moveaxis(padded.reshape(len(array), -1, chunk, *array.shape[2:]), 1, 0)

    return _summed(parts(hidden), embedding, parts(targets), parts(weights), cap, is_embedding_trained)


def _of_chunk(hidden: Array, embedding: Array, targets: Array, weights: Array, cap: float | None) -> Array:
    logits = unembed(hidden, embedding, cap)
    return jnp.sum(optax.softmax_cross_entropy_with_integer_labels(logits, targets) * weights)


@partial(jax.custom_vjp, nondiff_argnums=(4, 5))
def _summed(hidden: Array, embedding: Array, targets: Array, weights: Array, cap: float | None, _: bool) -> Array:
    def add(total: Array, part: tuple[Array, Array, Array]) -> tuple[Array, None]:
        return total + _of_chunk(part[0], embedding, part[1], part[2], cap), None

    return jax.lax.scan(add, jnp.zeros(()), (hidden, targets, weights))[0]


def _forward(
    hidden: Array, embedding: Array, targets: Array, weights: Array, cap: float | None, is_embedding_trained: bool
) -> tuple[Array, tuple[Array, Array | None, Array, Array]]:
    def add(carried: tuple[Array, Any], part: tuple[Array, Array, Array]) -> tuple[tuple[Array, Any], Array]:
        total, gradient = carried
        own, wanted, weight = part
        if not is_embedding_trained:
            loss, pull = jax.vjp(lambda x: _of_chunk(x, embedding, wanted, weight, cap), own)
            return (total + loss, None), pull(jnp.ones(()))[0]
        loss, pull = jax.vjp(lambda x, matrix: _of_chunk(x, matrix, wanted, weight, cap), own, embedding)
        of_hidden, of_embedding = pull(jnp.ones(()))
        return (total + loss, gradient + of_embedding), of_hidden

    none = jnp.zeros(embedding.shape, jnp.float32) if is_embedding_trained else None
    (total, of_embedding), of_hidden = jax.lax.scan(add, (jnp.zeros(()), none), (hidden, targets, weights))
    return total, (of_hidden, of_embedding, embedding, weights)


def _backward(
    _cap: float | None, _trained: bool, kept: tuple[Array, Array | None, Array, Array], upstream: Array
) -> tuple[Array, Array, None, Array]:
    of_hidden, of_embedding, embedding, weights = kept
    if of_embedding is None:
        of_embedding = jnp.zeros_like(embedding)
    return (
        (of_hidden * upstream).astype(of_hidden.dtype),
        (of_embedding * upstream).astype(embedding.dtype),
        None,
        jnp.zeros_like(weights),
    )


_summed.defvjp(_forward, _backward)
