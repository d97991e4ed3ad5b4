"""A Gemma text model as a Flax NNX module, and the same forward pass as a pure function of its weights.

`Gemma` holds the only parameter tree (`GemmaWeights`, each leaf an `nnx.Param`).
`hidden_states` and `forward` compute the same for callers that carry the weights
themselves (training steps, the engine). Cost of one pass: 2 * parameters * tokens FLOPs,
plus attention.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import jax
import jax.numpy as jnp
from flax import nnx
from jaxtyping import Array, Float, Int

from model.config import GemmaConfig
from model.layers import (
    BlockWeights,
    GemmaWeights,
    KeyValues,
    Rotation,
    attention,
    block,
    by_window,
    causal_mask,
    embed,
    over_blocks,
    rms_norm,
    rotation_of,
    segment_positions,
    unembed,
)
from model.weights import block_weight_names, weight_shape


def weight_tree(make: Callable[[str, int | None], Any], config: GemmaConfig) -> GemmaWeights:
    """An unrolled parameter tree with the results of `make(name, layer)`; `layer` is None outside the blocks."""
    names = block_weight_names(config)
    blocks = (BlockWeights(**{name: make(name, layer) for name in names}) for layer in range(config.num_layers))
    return GemmaWeights(
        embedding=make("embedding", None),
        blocks=tuple(blocks),
        final_norm=make("final_norm", None),
    )


def weight_shapes(config: GemmaConfig, dtype: Any = jnp.float32) -> GemmaWeights:
    """The parameter tree as `jax.ShapeDtypeStruct`s (unrolled)."""
    return weight_tree(lambda name, _: jax.ShapeDtypeStruct(weight_shape(name, config), jnp.dtype(dtype)), config)


def init_weights(key: jax.Array, config: GemmaConfig, dtype: Any = jnp.float32) -> GemmaWeights:
    """Random weights to train from: variance 1/fan_in, norms at 1.

    Outputs that are added to the residual stream are smaller by sqrt(2 * layers) (as in GPT-2), so
    that the stream's variance doesn't grow with depth.
    """
    shapes = weight_shapes(config, dtype)
    paths, structure = jax.tree_util.tree_flatten_with_path(shapes)
    keys = jax.random.split(key, len(paths))

    def one(path: Any, shape: Any, key: jax.Array) -> Array:
        if len(shape.shape) == 1:
            return jnp.zeros(shape.shape, shape.dtype)
        scale = shape.shape[-1] ** -0.5
        if path[-1].name in ("o_proj", "down_proj"):
            scale /= (2 * config.num_layers) ** 0.5
        return (jax.random.normal(key, shape.shape, jnp.float32) * scale).astype(shape.dtype)

    leaves = [one(path, shape, key) for (path, shape), key in zip(paths, keys, strict=True)]
    return jax.tree.unflatten(structure, leaves)


def hidden_states(
    weights: GemmaWeights,
    tokens: Int[Array, "batch length"],
    config: GemmaConfig,
    *,
    positions: Int[Array, "batch length"] | None = None,
    segment_ids: Int[Array, "batch length"] | None = None,
    dtype: Any = jnp.float32,
    remat: bool = False,
) -> Float[Array, "batch length d_model"]:
    """The causal forward pass up to the final norm (`unembed` turns the result into logits).

    Args:
        weights: The parameter tree, unrolled or scanned.
        tokens: Token ids.
        config: The model's shapes.
        positions: Positions for the rotary embedding; 0, 1, ... in each segment if None.
        segment_ids: For packed rows: a token attends only to its own segment. Use 0 for padding.
        dtype: Compute dtype.
        remat: Recompute each block in the backward pass instead of storing its activations.
    """
    if positions is None:
        if segment_ids is None:
            positions = jnp.broadcast_to(jnp.arange(tokens.shape[1]), tokens.shape)
        else:
            positions = segment_positions(segment_ids)

    def view(window: int | None) -> tuple[Rotation, Array]:
        return rotation_of(positions, config, window), causal_mask(tokens.shape[1], segment_ids, window)

    views = by_window(config, view)

    def step(x: Array, block_weights: BlockWeights, own: tuple[Rotation, Array] | None) -> tuple[Array, None]:
        turn, mask = own or views[0]

        def attend(query: Array, key: Array, value: Array) -> tuple[Array, None]:
            return attention(query, KeyValues(key=key, value=value, mask=mask), cap=config.attention_cap), None

        return block(block_weights, x, turn, attend, config)

    run: Callable[..., tuple[Array, None]] = jax.checkpoint(step) if remat else step
    per_block = None if config.window is None else views
    x, _ = over_blocks(run, embed(weights.embedding, tokens, dtype), weights.blocks, per_block)
    return rms_norm(x, weights.final_norm, config.norm_eps)


def forward(
    weights: GemmaWeights, tokens: Int[Array, "batch length"], config: GemmaConfig, **options: Any
) -> Float[Array, "batch length vocab"]:
    """Float32 logits of the token after each position; options as in `hidden_states`."""
    return unembed(hidden_states(weights, tokens, config, **options), weights.embedding, config.final_cap)


# Compiled once per shape, so that calling a model outside `jit` doesn't take hundreds of small dispatches.
_jit_forward = jax.jit(forward, static_argnames=("config", "dtype", "remat"))


class Gemma(nnx.Module):
    """A Gemma model: its shapes and its parameters.

    >>> from model import PRESETS
    >>> abstract = nnx.eval_shape(lambda: Gemma(PRESETS["codegemma-2b"], rngs=nnx.Rngs(0)))
    >>> abstract.weights.embedding.shape
    (256000, 2048)

    Args:
        config: The model's shapes.
        rngs: Source of random weights (its `params` stream).
        dtype: Compute dtype.
        param_dtype: Dtype of random weights; `dtype` if None.
        weights: Existing arrays to use instead of random ones.
    """

    def __init__(
        self,
        config: GemmaConfig,
        *,
        rngs: nnx.Rngs | None = None,
        dtype: Any = jnp.float32,
        param_dtype: Any = None,
        weights: GemmaWeights | None = None,
    ):
        if weights is None:
            assert rngs is not None, "random weights need rngs"
            weights = init_weights(rngs.params(), config, dtype if param_dtype is None else param_dtype)
        self.config = config
        self.dtype = jnp.dtype(dtype)
        self.weights: GemmaWeights = nnx.data(jax.tree.map(nnx.Param, weights))

    def __call__(
        self,
        tokens: Int[Array, "batch length"],
        *,
        positions: Int[Array, "batch length"] | None = None,
        segment_ids: Int[Array, "batch length"] | None = None,
        remat: bool = False,
    ) -> Float[Array, "batch length vocab"]:
        """Float32 logits of the token after each position."""
        return _jit_forward(
            self.arrays(),
            tokens,
            self.config,
            positions=positions,
            segment_ids=segment_ids,
            dtype=self.dtype,
            remat=remat,
        )

    def arrays(self) -> GemmaWeights:
        """The weights as plain arrays, for the pure functions in this module and in `model.layers`."""
        return jax.tree.map(lambda param: param[...], self.weights, is_leaf=lambda leaf: isinstance(leaf, nnx.Param))
