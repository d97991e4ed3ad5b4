"""Matmuls of a few rows with a matrix: the one place that chooses the implementation for a platform.

A decode step multiplies one row per slot. XLA's CPU product of few rows with a matrix stored [out, in] reaches 25 to
45 GFLOP/s per core; the same numbers as a product with few *columns* reach 35 to 60 if the transposed operand is
materialized. The barriers keep XLA from turning the product around again. A single row is equally fast either way, and
from 64 rows on there is no difference. Sums may run in another order, so `exact` mode, whose bits must not depend on a
row's position, keeps to `model.layers.linear`.
"""

from __future__ import annotations

import math

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from model.layers import Int8Matrix, Matrix, Multiply, linear

_FEWEST_ROWS, _MANY_ROWS = 2, 64


def few_rows_matmul(platform: str) -> Multiply:
    """The matrix product of a platform's decode steps: `model.layers.linear`, or an equivalent faster
    implementation.
    """
    return _by_columns if platform == "cpu" else linear


def _by_columns(x: Float[Array, "*batch in"], matrix: Matrix) -> Float[Array, "*batch out"]:
    rows = math.prod(x.shape[:-1])
    if not _FEWEST_ROWS <= rows < _MANY_ROWS:
        return linear(x, matrix)
    values = matrix.values if isinstance(matrix, Int8Matrix) else matrix
    columns = jax.lax.optimization_barrier(x.reshape(rows, -1).T)
    product = jnp.dot(values.astype(x.dtype), columns, preferred_element_type=jnp.float32)  # [out rows]
    if isinstance(matrix, Int8Matrix):
        product *= matrix.scale[:, None]
    product = jax.lax.optimization_barrier(product.astype(x.dtype))
    return product.T.reshape(*x.shape[:-1], -1)
