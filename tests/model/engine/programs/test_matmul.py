"""All implementations of the product of a few rows agree except for rounding."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np
import pytest

from model.engine.programs.matmul import few_rows_matmul
from model.layers import Int8Matrix, linear
from model.quantize import quantize_rows


@pytest.mark.parametrize("shape", [(1, 1), (2, 1), (8, 5), (33, 1), (70, 1)])
@pytest.mark.parametrize("kind", ["float32", "bfloat16", "int8"])
def test_matmuls_by_columns_are_those_by_rows(shape, kind):
    dtype = jnp.bfloat16 if kind == "bfloat16" else jnp.float32
    x = jax.random.normal(jax.random.key(0), (*shape, 48), dtype)
    matrix = jax.random.normal(jax.random.key(1), (96, 48), dtype)
    if kind == "int8":
        values, scale = quantize_rows(np.asarray(matrix))
        matrix = Int8Matrix(values=jnp.asarray(values), scale=jnp.asarray(scale))
    by_columns = jax.jit(few_rows_matmul("cpu"))(x, matrix)
    assert by_columns.shape == (*shape, 96)
    assert by_columns.dtype == dtype
    np.testing.assert_allclose(
        np.asarray(by_columns, np.float32),
        np.asarray(jax.jit(linear)(x, matrix), np.float32),
        rtol=0.02 if kind == "bfloat16" else 1e-5,
        atol=0.05 if kind == "bfloat16" else 2e-5,
    )


def test_accelerators_multiply_as_the_layers_do():
    assert few_rows_matmul("tpu") is linear
    assert few_rows_matmul("gpu") is linear
