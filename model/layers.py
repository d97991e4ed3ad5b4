"""The layers of Gemma's text models as pure functions of weights and arrays; the only implementation of its arithmetic.

The reference forward pass, training, and the engine's prefill and decode all call these. They
differ only in *what is attended to*, so `block` takes that as a function:

    x ── rms_norm ── qkv+rope ── attend ── o_proj ─(+)─ rms_norm ── mlp ─(+)── x
                                   │
              causal(...)          reference, training
              a cache, and         prefill, decode: `attention` takes any number of
              new tokens           KeyValues parts and one softmax spans them all

Rules (arXiv 2403.08295; tested by golden logits): the embedding times sqrt(d_model)
*rounded to the compute dtype*; RMSNorm times (1 + scale) in float32; tanh-GELU gate;
split-half rotary embedding in float32; queries times head_dim**-0.5; no biases; float32 logits
from the tied embedding. Later generations add norms, soft caps and windows
(arXiv 2408.00118, 2503.19786), each where its field of `GemmaConfig` is set:

    x ── rms_norm ── qkv ── q_norm, k_norm ── rope ── attend ── o_proj ── rms_norm ─(+)─ ...

Layers differ in their window alone: `by_window` makes what depends on it once for each kind.

Matrices are stored [out, in], as in Hugging Face's layout: on a CPU at batch 1 that is three
times faster than [in, out]. The compute dtype is that of the activations: weights are cast to it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Bool, Float, Int, Int8

from model.config import GemmaConfig


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Int8Matrix:
    """A matrix in 8 bits: row `i` is `values[i] * scale[i]` (created by `model.quantize`)."""

    values: Int8[Array, "*rows columns"]
    scale: Float[Array, "*rows"]


Matrix = Float[Array, "out in"] | Int8Matrix


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class BlockWeights:
    """One transformer block, or all of them stacked along a leading `layers` axis."""

    pre_attention_norm: Float[Array, " d_model"]
    q_proj: Matrix  # [queries d_model]
    k_proj: Matrix  # [keys d_model]
    v_proj: Matrix  # [keys d_model]
    o_proj: Matrix  # [d_model queries]
    pre_mlp_norm: Float[Array, " d_model"]
    gate_proj: Matrix  # [d_ff d_model]
    up_proj: Matrix  # [d_ff d_model]
    down_proj: Matrix  # [d_model d_ff]
    q_norm: Float[Array, " head_dim"] | None = None  # where `has_qk_norms`
    k_norm: Float[Array, " head_dim"] | None = None
    post_attention_norm: Float[Array, " d_model"] | None = None  # where `has_post_norms`
    post_mlp_norm: Float[Array, " d_model"] | None = None


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class GemmaWeights:
    """The complete parameter tree.

    Args:
        embedding: [vocab d_model], used for both input and output.
        blocks: A tuple of blocks (unrolled: best on CPU), or one `BlockWeights` whose leaves
            have a leading `layers` axis (scanned: short compile times on TPU and GPU).
        final_norm: [d_model].
    """

    embedding: Matrix
    blocks: tuple[BlockWeights, ...] | BlockWeights
    final_norm: Float[Array, " d_model"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Rotation:
    """Sines and cosines of each position's angles, one per pair of a head's features."""

    sin: Float[Array, "batch length half_head_dim"]
    cos: Float[Array, "batch length half_head_dim"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class KeyValues:
    """One part to attend to: a prompt cache, a generation cache, or the new tokens themselves.

    Args:
        key: Rotated keys.
        value: Values.
        mask: Positions that each new token attends to; a length of 1 means the same for all.
        key_scale: Factors of keys in 8 bits, one per position; None for other dtypes.
        value_scale: The same for values.
    """

    key: Float[Array, "batch kv_heads positions head_dim"] | Int8[Array, "batch kv_heads positions head_dim"]
    value: Float[Array, "batch kv_heads positions head_dim"] | Int8[Array, "batch kv_heads positions head_dim"]
    mask: Bool[Array, "batch #length positions"]
    key_scale: Float[Array, "batch kv_heads positions"] | None = None
    value_scale: Float[Array, "batch kv_heads positions"] | None = None


def linear(x: Float[Array, "*batch in"], matrix: Matrix) -> Float[Array, "*batch out"]:
    """Multiply by a matrix stored [out, in], in the dtype of `x`."""
    if isinstance(matrix, Int8Matrix):
        product = jnp.einsum("...i,oi->...o", x, matrix.values.astype(x.dtype), preferred_element_type=jnp.float32)
        return (product * matrix.scale).astype(x.dtype)
    return jnp.einsum("...i,oi->...o", x, matrix.astype(x.dtype))


Multiply = Callable[[Array, Matrix], Array]  # as `linear`; the engine has a faster one for few rows on a CPU


def embed(
    embedding: Matrix, tokens: Int[Array, "batch length"], dtype: Any = jnp.float32
) -> Float[Array, "batch length d_model"]:
    """Look up tokens and multiply by sqrt(d_model) rounded to the compute `dtype`."""
    if isinstance(embedding, Int8Matrix):
        rows = (embedding.values[tokens] * embedding.scale[tokens][..., None]).astype(dtype)
    else:
        rows = embedding[tokens].astype(dtype)
    return rows * jnp.asarray(rows.shape[-1] ** 0.5, dtype)


def unembed(
    x: Float[Array, "*batch d_model"], embedding: Matrix, cap: float | None = None
) -> Float[Array, "*batch vocab"]:
    """Float32 logits from normalized activations and the tied embedding, softly capped."""
    values = embedding.values if isinstance(embedding, Int8Matrix) else embedding
    logits = jnp.einsum("...i,oi->...o", x, values.astype(x.dtype), preferred_element_type=jnp.float32)
    return soft_cap(logits * embedding.scale if isinstance(embedding, Int8Matrix) else logits, cap)


def soft_cap(x: Float[Array, "*any"], cap: float | None) -> Float[Array, "*any"]:
    """`cap * tanh(x / cap)`: within `cap` of 0, and nearly `x` where that is small; `x` without a cap."""
    return x if cap is None else cap * jnp.tanh(x / cap)


def rms_norm(
    x: Float[Array, "*batch d_model"], scale: Float[Array, " d_model"], eps: float
) -> Float[Array, "*batch d_model"]:
    """Divide by the root mean square and multiply by (1 + scale), in float32."""
    wide = x.astype(jnp.float32)
    normed = wide * jax.lax.rsqrt(jnp.mean(wide * wide, axis=-1, keepdims=True) + eps)
    return (normed * (1.0 + scale.astype(jnp.float32))).astype(x.dtype)


def rotation(positions: Int[Array, "batch length"], head_dim: int, base: float, scale: float = 1.0) -> Rotation:
    """Angles of the rotary embedding: `position / scale / base**(2i / head_dim)` for the i-th pair."""
    wavelengths = scale * base ** (np.arange(0, head_dim, 2) / head_dim)
    angles = positions[..., None].astype(jnp.float32) / wavelengths.astype(np.float32)
    return Rotation(sin=jnp.sin(angles), cos=jnp.cos(angles))


def by_window(config: GemmaConfig, make: Callable[[int | None], Any]) -> tuple[Any, ...]:
    """For each layer what `make` makes of its window, made once for each kind of layer."""
    made = {window: make(window) for window in dict.fromkeys(config.windows)}
    return tuple(made[window] for window in config.windows)


def rotation_of(positions: Int[Array, "batch length"], config: GemmaConfig, window: int | None) -> Rotation:
    """`rotation` in the layers with this window."""
    return rotation(positions, config.head_dim, *config.rope_of(window))


def rope(x: Float[Array, "batch length heads head_dim"], turn: Rotation) -> Float[Array, "batch length heads head_dim"]:
    """Rotate feature i against feature i + head_dim/2 by each position's angles, in float32."""
    first, second = jnp.split(x.astype(jnp.float32), 2, axis=-1)
    sin, cos = turn.sin[:, :, None, :], turn.cos[:, :, None, :]
    return jnp.concatenate([first * cos - second * sin, second * cos + first * sin], axis=-1).astype(x.dtype)


def qkv(
    weights: BlockWeights,
    x: Float[Array, "batch length d_model"],
    turn: Rotation,
    config: GemmaConfig,
    multiply: Multiply = linear,
) -> tuple[
    Float[Array, "batch length heads head_dim"],
    Float[Array, "batch kv_heads length head_dim"],
    Float[Array, "batch kv_heads length head_dim"],
]:
    """Project to rotated, scaled queries, and to rotated keys and values in the caches' layout."""
    batch, length, _ = x.shape
    query = multiply(x, weights.q_proj).reshape(batch, length, config.num_heads, config.head_dim)
    key = multiply(x, weights.k_proj).reshape(batch, length, config.num_kv_heads, config.head_dim)
    value = multiply(x, weights.v_proj).reshape(batch, length, config.num_kv_heads, config.head_dim)
    if weights.q_norm is not None and weights.k_norm is not None:
        query = rms_norm(query, weights.q_norm, config.norm_eps)
        key = rms_norm(key, weights.k_norm, config.norm_eps)
    scale = (config.query_scalar or config.head_dim) ** -0.5
    query = rope(query, turn) * jnp.asarray(scale, x.dtype)
    return query, rope(key, turn).swapaxes(1, 2), value.swapaxes(1, 2)


def attention(
    query: Float[Array, "batch length heads head_dim"], *parts: KeyValues, cap: float | None = None
) -> Float[Array, "batch length heads head_dim"]:
    """Attend to all parts under one softmax; query head `h` reads kv head `h // (heads / kv_heads)`.

    Scores, softly capped, and softmax are float32. A query that attends to nothing (padding) gets the mean of all
    values, which is finite and never read.
    """
    batch, length, heads, head_dim = query.shape
    kv_heads = parts[0].key.shape[1]
    grouped = query.reshape(batch, length, kv_heads, heads // kv_heads, head_dim)
    scores = []
    for part in parts:
        key = part.key.astype(query.dtype)
        score = jnp.einsum("blkgd,bkpd->bkglp", grouped, key, preferred_element_type=jnp.float32)
        if part.key_scale is not None:  # after the product, so that the cache is read in 8 bits
            score *= part.key_scale[:, :, None, None]
        scores.append(jnp.where(part.mask[:, None, None], soft_cap(score, cap), jnp.finfo(jnp.float32).min))
    # One softmax over several arrays: a shared maximum and a shared sum, no concatenation of caches.
    top = jnp.max(jnp.stack([jnp.max(score, axis=-1) for score in scores]), axis=0)
    mixed, total = jnp.zeros((), jnp.float32), jnp.zeros((), jnp.float32)
    for score, part in zip(scores, parts, strict=True):
        weight = jnp.exp(score - top[..., None])
        total += jnp.sum(weight, axis=-1, keepdims=True)
        if part.value_scale is not None:
            weight *= part.value_scale[:, :, None, None]
        value = part.value.astype(query.dtype)
        mixed += jnp.einsum("bkglp,bkpd->bkgld", weight.astype(value.dtype), value, preferred_element_type=jnp.float32)
    mixed /= total
    return mixed.transpose(0, 3, 1, 2, 4).reshape(batch, length, heads, head_dim).astype(query.dtype)


def mlp(
    weights: BlockWeights, x: Float[Array, "batch length d_model"], multiply: Multiply = linear
) -> Float[Array, "batch length d_model"]:
    """The gated feed-forward layer: down(gelu_tanh(gate(x)) * up(x))."""
    gate = jax.nn.gelu(multiply(x, weights.gate_proj), approximate=True)
    return multiply(gate * multiply(x, weights.up_proj), weights.down_proj)


Attend = Callable[[Array, Array, Array], tuple[Array, Any]]


def block(
    weights: BlockWeights,
    x: Float[Array, "batch length d_model"],
    turn: Rotation,
    attend: Attend,
    config: GemmaConfig,
    multiply: Multiply = linear,
) -> tuple[Float[Array, "batch length d_model"], Any]:
    """One transformer block.

    Args:
        weights: The block's weights.
        x: The residual stream.
        turn: The tokens' `rotation`.
        attend: Takes query, key and value in the layout of `qkv`; returns the attention output
            ([batch length heads head_dim]) and anything to carry out, such as a cache.
        config: The model's shapes.
        multiply: The matrix product.

    Returns:
        The residual stream, and what `attend` carried out.
    """
    query, key, value = qkv(weights, rms_norm(x, weights.pre_attention_norm, config.norm_eps), turn, config, multiply)
    read, carried = attend(query, key, value)
    added = multiply(read.reshape(*x.shape[:-1], -1), weights.o_proj)
    x = x + _normed(added, weights.post_attention_norm, config.norm_eps)
    added = mlp(weights, rms_norm(x, weights.pre_mlp_norm, config.norm_eps), multiply)
    return x + _normed(added, weights.post_mlp_norm, config.norm_eps), carried


def _normed(x: Array, scale: Array | None, eps: float) -> Array:
    return x if scale is None else rms_norm(x, scale, eps)


def over_blocks(
    step: Callable[[Array, BlockWeights, Any], tuple[Array, Any]],
    x: Float[Array, "batch length d_model"],
    blocks: tuple[BlockWeights, ...] | BlockWeights,
    per_block: Any = None,
) -> tuple[Float[Array, "batch length d_model"], Any]:
    """Thread `x` through all blocks, unrolled or stacked.

    Args:
        step: `(x, weights of one block, its share of per_block) -> (x, its output)`.
        x: The residual stream.
        blocks: A tuple (unrolled) or one stacked `BlockWeights` (`lax.scan`).
        per_block: Input per block, such as caches: a tuple with one item per block, or a stacked
            pytree, matching `blocks`; None for nothing.

    Returns:
        `x`, and the steps' outputs: a tuple, or stacked, matching `blocks`.
    """
    if isinstance(blocks, BlockWeights):
        return jax.lax.scan(lambda x, args: step(x, *args), x, (blocks, per_block))
    outputs = []
    for index, weights in enumerate(blocks):
        x, output = step(x, weights, None if per_block is None else per_block[index])
        outputs.append(output)
    return x, tuple(outputs)


def causal_mask(
    length: int, segment_ids: Int[Array, "batch length"] | None = None, window: int | None = None
) -> Bool[Array, "batch length length"]:
    """Which token attends to which: to itself and to earlier tokens of its own segment, `window` tokens at most.

    segments 1 1 2 2      . = masked
        1    x . . .
        1    x x . .
        2    . . x .
        2    . . x x
    """
    order = jnp.arange(length)
    mask = (order[:, None] >= order)[None]
    if window is not None:
        mask = mask & (order[:, None] - order < window)[None]
    if segment_ids is None:
        return mask
    return mask & (segment_ids[:, :, None] == segment_ids[:, None, :])


def segment_positions(segment_ids: Int[Array, "batch length"]) -> Int[Array, "batch length"]:
    """Positions that restart at 0 with each segment of a packed row.

    >>> segment_positions(jnp.array([[1, 1, 1, 2, 2]])).tolist()
    [[0, 1, 2, 0, 1]]
    """
    order = jnp.arange(segment_ids.shape[1])
    begins = jnp.concatenate(
        [jnp.ones_like(segment_ids[:, :1], bool), segment_ids[:, 1:] != segment_ids[:, :-1]], axis=1
    )
    return order - jax.lax.cummax(jnp.where(begins, order, 0), axis=1)
