"""Attention over prefill rows: the one place that chooses the implementation (path) for a platform.

The paths agree within rounding (a test requires 2e-5 in float32):

    einsum   all scores at once, from `model.layers`: any platform, the reference
    blocked  online softmax over tiles of 128 x 128, skipping tiles in which every pair is masked: CPU.
             Cost follows the prompts' own lengths, not the row's (FlashAttention-2, arXiv 2307.08691)
    cudnn    `jax.nn.dot_product_attention`: GPUs, 16-bit only
    splash   the Pallas kernel of `model.engine.programs.splash`: TPUs
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from functools import partial
from typing import Any, Literal

import jax
import jax.numpy as jnp
from jax.sharding import Mesh
from jaxtyping import Array, Float

from model.config import GemmaConfig
from model.engine.programs import splash
from model.engine.programs.rows import PromptRow, RowAttention, first_seen, sees, visible
from model.layers import KeyValues, attention, soft_cap

_log = logging.getLogger(__name__)

Path = Literal["einsum", "blocked", "cudnn", "splash"]

_TILE = 128


SlotAttention = Callable[..., Array]  # of a query and any number of KeyValues, with cap=


def path_for(platform: str, dtype: Any) -> Path:
    """The best path of a platform (`cpu`, `gpu`, `tpu`) for a compute dtype."""
    if platform == "cpu":
        return "blocked"
    if platform in ("gpu", "cuda") and jnp.dtype(dtype).itemsize == 2:
        return "cudnn"
    return "splash" if platform == "tpu" else "einsum"


def usable_path(path: Path, config: GemmaConfig, dtype: Any) -> Path:
    """The path, or `einsum` if it doesn't compile on this device: kernels refuse some head sizes on some devices."""
    if path not in ("cudnn", "splash"):
        return path
    length = _TILE
    order = jnp.zeros(length, jnp.int32)
    row = PromptRow(
        tokens=order, positions=order, segment=order, parent=order, begin=order, used=jnp.zeros((), jnp.int32)
    )
    query = jax.ShapeDtypeStruct((1, length, config.num_heads, config.head_dim), dtype)
    key = jax.ShapeDtypeStruct((1, config.num_kv_heads, length, config.head_dim), dtype)
    try:
        of_layer = partial(row_attention(path), window=config.window, cap=config.attention_cap)
        jax.jit(of_layer).lower(query, key, key, row).compile()
    except (jax.errors.JaxRuntimeError, RuntimeError, ValueError, NotImplementedError) as error:
        _log.warning(
            "%s attention doesn't compile on this device, falling back to einsum: %s", path, str(error).splitlines()[0]
        )
        return "einsum"
    return path


def row_attention(path: Path, mesh: Mesh | None = None) -> RowAttention:
    """The function of a path: (query, key, value, row, window=, cap=) -> attention output.

    Shapes: query and output [1 length heads head_dim], key and value [1 kv_heads length head_dim].
    The window is that of the layer, the cap `attention_cap`; both are none by default.

    Args:
        path: The path.
        mesh: Devices over whose `model` axis the heads are split. XLA partitions all paths except a kernel on its own.
    """
    if path == "splash":
        return partial(_splash, mesh=mesh)
    return {"einsum": _einsum, "blocked": _blocked, "cudnn": _cudnn}[path]


# Minimum rows for a TPU's matrix unit: with fewer, XLA multiplies and adds on the vector unit instead.
_MATRIX_ROWS = 8


def slot_attention(platform: str) -> SlotAttention:
    """The attention of a platform's decode steps: `model.layers.attention`, or an equivalent faster implementation."""
    return _in_full_rows if platform == "tpu" else attention


def _in_full_rows(
    query: Float[Array, "slots length heads head_dim"], *parts: KeyValues, cap: float | None = None
) -> Float[Array, "slots length heads head_dim"]:
    """`attention` with rows of zeros added to each key head's queries, and removed from the output.

    With one query per key head (decoding with 7B), the product has one row, and XLA for TPUs takes it off the matrix
    unit: the compiler's estimate for a step is three times as long. The barrier hides from XLA that the rows are zeros.
    """
    slots, length, heads, head_dim = query.shape
    kv_heads = parts[0].key.shape[1]
    groups = heads // kv_heads
    missing = -(-_MATRIX_ROWS // length) - groups
    if missing <= 0:
        return attention(query, *parts, cap=cap)
    grouped = query.reshape(slots, length, kv_heads, groups, head_dim)
    padded = jax.lax.optimization_barrier(jnp.pad(grouped, ((0, 0), (0, 0), (0, 0), (0, missing), (0, 0))))
    read = attention(padded.reshape(slots, length, -1, head_dim), *parts, cap=cap)
    read = read.reshape(slots, length, kv_heads, groups + missing, head_dim)[:, :, :, :groups]
    return read.reshape(query.shape)


def _einsum(
    query: Array,
    key: Array,
    value: Array,
    row: PromptRow,
    *,
    window: int | None = None,
    cap: float | None = None,
) -> Array:
    return attention(query, KeyValues(key=key, value=value, mask=visible(row, window)[None]), cap=cap)


def _cudnn(
    query: Array,
    key: Array,
    value: Array,
    row: PromptRow,
    *,
    window: int | None = None,
    cap: float | None = None,
) -> Array:
    if cap is not None:  # cuDNN's attention has no soft cap
        return _einsum(query, key, value, row, window=window, cap=cap)
    return jax.nn.dot_product_attention(
        query,
        key.swapaxes(1, 2),
        value.swapaxes(1, 2),
        mask=visible(row, window)[None, None],
        scale=1.0,  # queries are scaled already
        implementation="cudnn" if jax.default_backend() == "gpu" else "xla",
    )


def _splash(
    query: Array,
    key: Array,
    value: Array,
    row: PromptRow,
    *,
    window: int | None = None,
    cap: float | None = None,
    mesh: Mesh | None = None,
    interpret: bool = False,
) -> Array:
    kv_heads, shares = key.shape[1], 1 if mesh is None else mesh.shape["model"]
    if not splash.fits(query.shape[1]) or (kv_heads > 1 and kv_heads % shares):
        return _einsum(query, key, value, row, window=window, cap=cap)

    def attend(query: Array, key: Array, value: Array, row: PromptRow) -> Array:
        return splash.splash(query, key, value, visible(row, window), cap=cap, interpret=interpret)

    if mesh is None or shares == 1:
        return attend(query, key, value, row)
    return splash.over_heads(attend, mesh, kv_heads)(query, key, value, row)


def _blocked(
    query: Float[Array, "1 length heads head_dim"],
    key: Float[Array, "1 kv_heads length head_dim"],
    value: Float[Array, "1 kv_heads length head_dim"],
    row: PromptRow,
    *,
    window: int | None = None,
    cap: float | None = None,
) -> Float[Array, "1 length heads head_dim"]:
    _, length, heads, head_dim = query.shape
    kv_heads = key.shape[1]
    tile = math.gcd(length, _TILE)
    groups = heads // kv_heads
    # [tiles kv_heads groups*tile head_dim]: one matrix product per kv head and tile.
    tiles = query.reshape(length // tile, tile, kv_heads, groups, head_dim).transpose(0, 2, 3, 1, 4)
    tiles = tiles.reshape(length // tile, kv_heads, groups * tile, head_dim)
    keys, values, begin = key[0], value[0], first_seen(row, window)

    def one_tile(index: Array, read: Array) -> Array:
        queries = index * tile + jnp.arange(tile)
        part = tiles[index]

        def one_block(block: Array, carry: tuple[Array, Array, Array]) -> tuple[Array, Array, Array]:
            top, total, mixed = carry
            at = block * tile
            mask = jnp.tile(sees(row, queries, at + jnp.arange(tile), window), (groups, 1))
            scores = jnp.einsum("kmd,kpd->kmp", part, _cut(keys, at, tile), preferred_element_type=jnp.float32)
            scores = jnp.where(mask, soft_cap(scores, cap), -jnp.inf)
            new_top = jnp.maximum(top, scores.max(axis=-1))
            weights = jnp.exp(scores - new_top[..., None])
            shrink = jnp.exp(top - new_top)
            new = jnp.einsum(
                "kmp,kpd->kmd",
                weights.astype(values.dtype),
                _cut(values, at, tile),
                preferred_element_type=jnp.float32,
            )
            return new_top, total * shrink + weights.sum(axis=-1), mixed * shrink[..., None] + new

        rows = (kv_heads, groups * tile)
        # The lowest finite number, not -inf, so that a token whose first tiles are all masked has weights of exactly 0.
        start = (jnp.full(rows, _LOWEST), jnp.zeros(rows), jnp.zeros((*rows, head_dim)))
        first = jnp.min(begin[queries]) // tile
        _, total, mixed = jax.lax.fori_loop(first, index + 1, one_block, start)
        return read.at[index].set((mixed / total[..., None]).astype(read.dtype))

    num_used = (row.used + tile - 1) // tile
    read = jax.lax.fori_loop(0, num_used, one_tile, jnp.zeros_like(tiles))
    read = read.reshape(length // tile, kv_heads, groups, tile, head_dim).transpose(0, 3, 1, 2, 4)
    return read.reshape(1, length, heads, head_dim)


_LOWEST = float(jnp.finfo(jnp.float32).min)


def _cut(array: Array, at: Array, size: int) -> Array:
    return jax.lax.dynamic_slice_in_dim(array, at, size, axis=1)
