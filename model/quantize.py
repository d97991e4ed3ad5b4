"""Weights in 8 bits: one scale per output channel, symmetric, rounded to nearest.

Row `i` of a matrix [out, in] becomes `values[i] = round(w[i] / scale[i])`, with
`scale[i] = max|w[i]| / 127`. The error of a weight is at most half its row's scale. Rows
are independent, so a matrix can be converted in blocks while it is read. The layers accept an
`Int8Matrix` wherever they accept a matrix. Norms are not quantized.
Source: LLM.int8 (arXiv 2208.07339), vector-wise quantization without its outlier columns.
"""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float

from model.layers import GemmaWeights, Int8Matrix

LARGEST = 127  # -128 isn't used, so that the range is symmetric


def quantize_rows(rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """8-bit values [rows columns] and float32 scales [rows] for some rows of a matrix.

    >>> quantize_rows(np.array([[1.0, -2.0], [0.0, 0.0]]))[0].tolist()
    [[64, -127], [0, 0]]
    """
    wide = np.asarray(rows, np.float32)
    scale = np.abs(wide).max(axis=-1) / LARGEST
    divisor = np.where(scale == 0, 1.0, scale)[:, None]
    return np.rint(wide / divisor).astype(np.int8), scale.astype(np.float32)


def quantize(weights: GemmaWeights) -> GemmaWeights:
    """Converts every matrix of a parameter tree to 8 bits, on its device; unrolled or scanned."""

    def one(path: tuple, leaf: jax.Array) -> jax.Array | Int8Matrix:
        return leaf if path[-1].name.endswith("norm") else _quantize_matrix(leaf)

    return jax.tree_util.tree_map_with_path(one, weights)


@jax.jit
def _quantize_matrix(matrix: Float[Array, "*rows columns"]) -> Int8Matrix:
    wide = matrix.astype(jnp.float32)
    scale = jnp.max(jnp.abs(wide), axis=-1) / LARGEST
    values = jnp.rint(wide / jnp.where(scale == 0, 1.0, scale)[..., None]).astype(jnp.int8)
    return Int8Matrix(values=values, scale=scale)
