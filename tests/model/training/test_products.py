from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from model.layers import linear
from model.training.products import rounded_linear


def arrays() -> tuple[jax.Array, jax.Array]:
    rng = np.random.default_rng(0)
    return tuple(jnp.asarray(rng.standard_normal(shape), jnp.float32) for shape in ((2, 5, 16), (7, 16)))  # type: ignore[return-value]


def gradients(product):
    return jax.value_and_grad(lambda x, matrix: jnp.sum(jnp.tanh(product(x, matrix))), argnums=(0, 1))


def test_products_of_float32_operands_are_those_of_linear():
    found = gradients(lambda x, matrix: rounded_linear(x, matrix, jnp.float32))(*arrays())
    jax.tree.map(
        lambda a, b: np.testing.assert_allclose(a, b, rtol=1e-5, atol=1e-5), found, gradients(linear)(*arrays())
    )


def test_operands_are_rounded_forward_and_backward_and_sums_are_not():
    x, matrix = arrays()
    rounded = rounded_linear(x, matrix, jnp.bfloat16)
    near = [array.astype(jnp.bfloat16).astype(jnp.float32) for array in (x, matrix)]
    np.testing.assert_allclose(rounded, linear(*near), rtol=1e-5, atol=1e-5)
    assert (rounded != rounded.astype(jnp.bfloat16)).any()
    found = gradients(lambda x, matrix: rounded_linear(x, matrix, jnp.bfloat16))(x, matrix)
    exact = gradients(linear)(x, matrix)
    for one, other in zip(found[1], exact[1], strict=True):
        assert one.dtype == jnp.float32
        assert 0 < float(jnp.abs(one - other).max()) < 0.02 * float(jnp.abs(other).max())
