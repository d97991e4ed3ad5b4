"""Low-rank adapters (LoRA, arXiv 2106.09685): a few trained numbers beside matrices that stay as they are.

    x ── matrix [out, in] ───────────────────────(+)── y         y = (matrix + alpha / rank * b a) x
     └── a [rank, in] ── b [out, rank] ── * scale ─┘

`b` starts at zero, so a model with new adapters computes what it did without. `merged` adds their products to the
matrices: the result is a model like any other.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float

from model.config import GemmaConfig
from model.errors import ConfigError
from model.layers import BlockWeights, GemmaWeights, Matrix, Multiply, linear
from model.weights import weight_shape

TARGETS: Final = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
"""The matrices of a block that can have an adapter."""


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class Adapter:
    """What is trained beside one matrix [out, in], or beside that matrix of all blocks, stacked."""

    a: Float[Array, "*layers rank in"]
    b: Float[Array, "*layers out rank"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class AdaptedMatrix:
    """A matrix with its adapter, as `multiply` takes it."""

    matrix: Matrix
    adapter: Adapter
    scale: float = field(metadata={"static": True})


Adapters = tuple[Mapping[str, Adapter], ...] | Mapping[str, Adapter]
"""Of each block by the matrix's name; or one mapping whose arrays have a leading `layers` axis, as the weights."""


def check_targets(targets: Sequence[str]) -> None:
    """Raises ConfigError unless every name is one of `TARGETS`, named once."""
    wrong = [name for name in targets if name not in TARGETS]
    if wrong or len(set(targets)) != len(targets) or not targets:
        found = wrong[0] if wrong else f"{', '.join(targets) or 'none'}"
        raise ConfigError(f"adapters of {found}: name some of {', '.join(TARGETS)}, each once")


def new_adapters(
    key: jax.Array, config: GemmaConfig, rank: int, targets: Sequence[str], *, is_stacked: bool = False
) -> Adapters:
    """Adapters that change nothing yet: `a` of variance 1 / in, `b` zero; float32.

    Raises:
        ConfigError: A target is unknown, or the rank is larger than a matrix's own.
    """
    check_targets(targets)
    for name in targets:
        if rank > min(shape := weight_shape(name, config)):
            raise ConfigError(f"adapters of rank {rank} are larger than {name}, which is {shape[0]} x {shape[1]}")

    def one(key: jax.Array, name: str, lead: tuple[int, ...]) -> Adapter:
        out, width = weight_shape(name, config)
        a = jax.random.normal(key, (*lead, rank, width)) * width**-0.5
        return Adapter(a=a, b=jnp.zeros((*lead, out, rank)))

    def of_block(key: jax.Array, lead: tuple[int, ...] = ()) -> Mapping[str, Adapter]:
        keys = jax.random.split(key, len(targets))
        return {name: one(key, name, lead) for key, name in zip(keys, targets, strict=True)}

    if is_stacked:
        return of_block(key, (config.num_layers,))
    return tuple(of_block(key) for key in jax.random.split(key, config.num_layers))


def adapted(weights: GemmaWeights, adapters: Adapters, scale: float) -> GemmaWeights:
    """The weights with an `AdaptedMatrix` wherever there is an adapter.

    Args:
        weights: The frozen weights, unrolled or stacked as the adapters are.
        adapters: What is trained.
        scale: Factor of the adapters' product: alpha / rank.
    """

    def join(matrix: Any, adapter: Adapter) -> Any:
        return AdaptedMatrix(matrix=matrix, adapter=adapter, scale=scale)

    return _with(weights, adapters, join)


def multiply(
    x: Float[Array, "*batch in"], matrix: Matrix | AdaptedMatrix, plain: Multiply = linear
) -> Float[Array, "*batch out"]:
    """The product `plain`, also of an adapted matrix."""
    if not isinstance(matrix, AdaptedMatrix):
        return plain(x, matrix)
    added = plain(plain(x, matrix.adapter.a), matrix.adapter.b)
    return plain(x, matrix.matrix) + added * jnp.asarray(matrix.scale, x.dtype)


def merged(weights: GemmaWeights, adapters: Adapters, scale: float) -> GemmaWeights:
    """The weights with the adapters' products added, computed in float32, each in its own dtype."""

    def add(matrix: Any, adapter: Adapter) -> Any:
        product = jnp.einsum("...or,...ri->...oi", adapter.b, adapter.a, preferred_element_type=jnp.float32)
        return (matrix.astype(jnp.float32) + scale * product).astype(matrix.dtype)

    return _with(weights, adapters, add)


def _with(weights: GemmaWeights, adapters: Adapters, change: Any) -> GemmaWeights:
    def block(own: BlockWeights, beside: Mapping[str, Adapter]) -> BlockWeights:
        return dataclasses.replace(own, **{name: change(getattr(own, name), each) for name, each in beside.items()})

    if isinstance(weights.blocks, BlockWeights):
        assert isinstance(adapters, Mapping)
        return dataclasses.replace(weights, blocks=block(weights.blocks, adapters))
    assert isinstance(adapters, tuple)
    return dataclasses.replace(weights, blocks=tuple(map(block, weights.blocks, adapters)))
