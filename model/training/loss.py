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
from typing import Any, Final, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from model.layers import soft_cap

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
    products: Any = None,
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
        products: Dtype in which matrices are multiplied, with float32 sums; that of `hidden` if None.
    """
    padding = [(0, 0), (0, -hidden.shape[1] % chunk)]

    def parts(array: Array) -> Array:  # [batch length ...] -> [chunks batch chunk ...]
        padded = jnp.pad(array, padding + [(0, 0)] * (array.ndim - 2))
        return jnp.moveaxis(padded.reshape(len(array), -1, chunk, *array.shape[2:]), 1, 0)

    how = _How(cap, is_embedding_trained, products or hidden.dtype)
    return _summed(parts(hidden), embedding.astype(how.products), parts(targets), parts(weights), how)


class _How(NamedTuple):
    """What is fixed when the step is compiled: the soft cap, what is trained, and the dtype of products."""

    cap: float | None
    is_embedding_trained: bool
    products: Any


def _product(equation: str, one: Array, other: Array, how: _How) -> Array:
    return jnp.einsum(
        equation, one.astype(how.products), other.astype(how.products), preferred_element_type=jnp.float32
    )


def _of_chunk(hidden: Array, embedding: Array, targets: Array, weights: Array, how: _How) -> Array:
    logits = soft_cap(_product("...i,oi->...o", hidden, embedding, how), how.cap)
    return jnp.sum(optax.softmax_cross_entropy_with_integer_labels(logits, targets) * weights)


@partial(jax.custom_vjp, nondiff_argnums=(4,))
def _summed(hidden: Array, embedding: Array, targets: Array, weights: Array, how: _How) -> Array:
    def add(total: Array, part: tuple[Array, Array, Array]) -> tuple[Array, None]:
        return total + _of_chunk(part[0], embedding, part[1], part[2], how), None

    return jax.lax.scan(add, jnp.zeros(()), (hidden, targets, weights))[0]


def _forward(
    hidden: Array, embedding: Array, targets: Array, weights: Array, how: _How
) -> tuple[Array, tuple[Array, Array | None, Array, Array]]:
    def add(carried: tuple[Array, Any], part: tuple[Array, Array, Array]) -> tuple[tuple[Array, Any], Array]:
        total, gradient = carried
        own, wanted, weight = part
        if own.dtype == how.products:  # nothing is rounded in between: XLA's own gradient is faster on a CPU
            loss, pull = jax.vjp(lambda x, matrix: _of_chunk(x, matrix, wanted, weight, how), own, embedding)
            of_hidden, of_embedding = pull(jnp.ones(()))
            return (total + loss, gradient + of_embedding if how.is_embedding_trained else None), of_hidden
        logits = soft_cap(_product("...i,oi->...o", own, embedding, how), how.cap)
        log_sum = jax.nn.logsumexp(logits, axis=-1)
        loss = jnp.sum((log_sum - jnp.take_along_axis(logits, wanted[..., None], axis=-1)[..., 0]) * weight)
        is_wanted = jnp.arange(logits.shape[-1]) == wanted[..., None]
        of_logits = (jnp.exp(logits - log_sum[..., None]) - is_wanted) * weight[..., None]
        if how.cap is not None:
            of_logits *= 1 - (logits / how.cap) ** 2
        of_logits = of_logits.astype(how.products)
        if how.is_embedding_trained:
            gradient += _product("...o,...i->oi", of_logits, own, how)
        return (total + loss, gradient), _product("...o,oi->...i", of_logits, embedding, how)

    none = jnp.zeros(embedding.shape, jnp.float32) if how.is_embedding_trained else None
    (total, of_embedding), of_hidden = jax.lax.scan(add, (jnp.zeros(()), none), (hidden, targets, weights))
    return total, (of_hidden.astype(hidden.dtype), of_embedding, embedding, weights)


def _backward(
    how: _How, kept: tuple[Array, Array | None, Array, Array], upstream: Array
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
