"""Products of float32 activations and weights in a narrower dtype, forward and backward.

Both operands are rounded, the sums are float32. Everything between the products stays float32, so that no residual
stream, norm or softmax is rounded; CPUs that multiply bfloat16 pairs (AVX512_BF16, AMX) do it twice as fast or faster.
"""

from __future__ import annotations

from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float


@partial(jax.custom_vjp, nondiff_argnums=(2,))
def rounded_linear(
    x: Float[Array, "*batch in"], matrix: Float[Array, "out in"], products: Any
) -> Float[Array, "*batch out"]:
    """`model.layers.linear` with both operands rounded to `products`; the result is float32."""
    return _forward(x, matrix, products)[0]


def _forward(x: Array, matrix: Array, products: Any) -> tuple[Array, tuple[Array, Array]]:
    x, matrix = x.astype(products), matrix.astype(products)
    return jnp.einsum("...i,oi->...o", x, matrix, preferred_element_type=jnp.float32), (x, matrix)


def _backward(products: Any, kept: tuple[Array, Array], upstream: Array) -> tuple[Array, Array]:
    x, matrix = kept
    upstream = upstream.astype(products)
    of_x = jnp.einsum("...o,oi->...i", upstream, matrix, preferred_element_type=jnp.float32)
    of_matrix = jnp.einsum("...o,...i->oi", upstream, x, preferred_element_type=jnp.float32)
    return of_x, of_matrix


rounded_linear.defvjp(_forward, _backward)
