"""The training step as a pure function: from state and rows to state and loss.

Loss: cross-entropy of the next token in packed rows, a weighted mean over the targets (`model.training.loss`). With
`muon`, matrices are updated by Muon (momentum, orthogonalized by Newton-Schulz iterations; Jordan et al. 2024, scaled
as in arXiv 2502.16982 so that one learning rate serves both groups), embedding and norms by AdamW; with `adamw`, all of
them by AdamW, which published models were trained with. The learning rate warms up, stays constant, and falls linearly
to zero over the last part ("warmup-stable-decay", arXiv 2404.06395), so that a run can be extended by resuming from
before its decay.

What is trained is the whole parameter tree, or adapters beside a frozen one (`model.training.adapters`). Its state is
float32; `dtype` is the compute dtype. Cost: 6 * parameters * tokens FLOPs, plus attention; 4 with adapters, and 2 more
where blocks are recomputed. Uses neither files nor a clock: `jobs/train.py` does.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import Any, Literal, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from model.config import GemmaConfig
from model.gemma import init_weights
from model.layers import (
    BlockWeights,
    GemmaWeights,
    Int8Matrix,
    Rotation,
    block,
    by_window,
    embed,
    over_blocks,
    rms_norm,
    rotation_of,
    segment_positions,
)
from model.training.adapters import Adapters, adapted, multiply
from model.training.attention import Reach, packed_attention
from model.training.loss import chunk_length, linear_cross_entropy
from model.training.products import rounded_linear

# Scales Muon's updates so that AdamW's learning rates suit them too (arXiv 2502.16982, section 2.2).
_MUON_RMS = 0.2


@dataclass(frozen=True, kw_only=True)
class TrainingConfig:
    """Learning rate schedule and optimizer settings.

    Args:
        num_steps: Steps of the complete run; the decay ends there.
        warmup_steps: Steps over which the learning rate rises linearly from 0.
        decay_fraction: Share of the run, at its end, over which it falls linearly to 0.
        learning_rate: The rate between the two, for matrices.
        embedding_learning_rate: The same for the embedding and the norms, with Muon.
        weight_decay: Decoupled weight decay of matrices.
        max_grad_norm: Gradients are clipped to this global norm.
        optimizer: Muon and AdamW, or AdamW alone.
        adapter_scale: The factor of adapters, alpha / rank, where they are trained.
    """

    num_steps: int
    warmup_steps: int = 100
    decay_fraction: float = 0.3
    learning_rate: float = 0.01
    embedding_learning_rate: float = 0.003
    weight_decay: float = 0.05
    max_grad_norm: float = 1.0
    optimizer: Literal["muon", "adamw"] = "muon"
    adapter_scale: float = 1.0


class Rows(NamedTuple):
    """Packed training rows. The target of a position is the next token in the same row.

    Args:
        tokens: Token ids.
        segment_ids: 1, 2, ... for the examples in a row, 0 for padding; a token attends only to its own example.
        loss_weights: The weight of each token *as a target*; 0 for tokens without a predecessor (each example's first).
    """

    tokens: Int[Array, "batch length"]
    segment_ids: Int[Array, "batch length"]
    loss_weights: Float[Array, "batch length"]


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class TrainState:
    """Everything that a step changes: the contents of a checkpoint.

    Args:
        step: Steps done.
        weights: What is trained, float32: the parameters, or the adapters of frozen ones.
        optimizer: The optimizer's state.
    """

    step: Int[Array, ""]
    weights: Any
    optimizer: Any


def learning_rate_share(config: TrainingConfig, step: Int[Array, ""] | int) -> Float[Array, ""]:
    """The fraction of the peak learning rate at a step: warmup, a plateau at 1, linear decay to 0.

    >>> config = TrainingConfig(num_steps=8, warmup_steps=2, decay_fraction=0.25)
    >>> [float(learning_rate_share(config, step)) for step in (0, 5, 7)]
    [0.5, 1.0, 0.5]
    """
    decay_steps = max(1, round(config.num_steps * config.decay_fraction))
    rising = (jnp.asarray(step, jnp.float32) + 1) / max(1, config.warmup_steps)
    falling = (config.num_steps - jnp.asarray(step, jnp.float32)) / decay_steps
    return jnp.clip(jnp.minimum(rising, falling if config.decay_fraction > 0 else 1.0), 0.0, 1.0)


def make_optimizer(config: TrainingConfig) -> optax.GradientTransformation:
    """Muon for the blocks' matrices and AdamW for embedding and norms, or AdamW, after clipping by the global norm.

    Its rates are the peaks; `train_step` multiplies by `learning_rate_share`, so that the optimizer's state contains no
    schedule and can start another run.
    """

    if config.optimizer == "adamw":

        def is_matrix(weights: Any) -> Any:
            return jax.tree_util.tree_map_with_path(lambda path, _: not _is_norm(path), weights)

        adam = optax.adamw(config.learning_rate, b1=0.9, b2=0.95, weight_decay=config.weight_decay, mask=is_matrix)
        return optax.chain(optax.clip_by_global_norm(config.max_grad_norm), adam)

    def kinds(weights: GemmaWeights) -> GemmaWeights:
        matrix_axes = 3 if isinstance(weights.blocks, BlockWeights) else 2  # stacked blocks have a layers axis
        blocks = jax.tree.map(lambda leaf: "matrix" if leaf.ndim == matrix_axes else "vector", weights.blocks)
        return GemmaWeights(embedding="vector", blocks=blocks, final_norm="vector")  # type: ignore[arg-type]

    def dimensions(weights: Any) -> Any:  # the last two axes of a matrix are [out, in]
        return jax.tree.map(lambda leaf: optax.contrib.MuonDimensionNumbers(reduction_axis=-1, output_axis=-2), weights)

    muon = optax.contrib.muon(
        config.learning_rate,
        weight_decay=config.weight_decay,
        consistent_rms=_MUON_RMS,
        muon_weight_dimension_numbers=dimensions,
    )
    adam = optax.adamw(config.embedding_learning_rate, b1=0.9, b2=0.95, weight_decay=0.0)
    return optax.chain(
        optax.clip_by_global_norm(config.max_grad_norm),
        optax.partition({"matrix": muon, "vector": adam}, kinds),
    )


def _is_norm(path: Any) -> bool:
    return str(getattr(path[-1], "name", "")).endswith("norm")


def state_of(weights: GemmaWeights | Adapters, training: TrainingConfig) -> TrainState:
    """Weights, or adapters, at step 0."""
    optimizer = make_optimizer(training).init(weights)
    return TrainState(step=jnp.zeros((), jnp.int32), weights=weights, optimizer=optimizer)


def new_state(key: jax.Array, model: GemmaConfig, training: TrainingConfig) -> TrainState:
    """Random weights at step 0."""
    return state_of(init_weights(key, model), training)


@jax.tree_util.register_dataclass
@dataclass(frozen=True, kw_only=True)
class _View:
    """What layers of one kind see: their window, and their rotary angles."""

    turn: Rotation
    window: int | None = field(metadata={"static": True})


def _hidden_states(
    weights: GemmaWeights, rows: Rows, model: GemmaConfig, *, dtype: Any, products: Any, remat: bool
) -> Array:
    """`model.gemma.hidden_states` with the attention of `model.training.attention`; a test compares their loss."""
    positions = segment_positions(rows.segment_ids)
    views = by_window(model, lambda window: _View(turn=rotation_of(positions, model, window), window=window))
    product = multiply if products is None else partial(multiply, plain=partial(rounded_linear, products=products))

    def step(x: Array, block_weights: BlockWeights, own: _View | None) -> tuple[Array, None]:
        view = own or views[0]
        reach = Reach(view.window, model.attention_cap, products or dtype)

        def attend(query: Array, key: Array, value: Array) -> tuple[Array, None]:
            return packed_attention(query, key, value, rows.segment_ids, reach), None

        return block(block_weights, x, view.turn, attend, model, product)

    x = embed(weights.embedding, rows.tokens, dtype)
    per_block = None if model.window is None else views
    x, _ = over_blocks(jax.checkpoint(step) if remat else step, x, weights.blocks, per_block)
    return rms_norm(x, weights.final_norm, model.norm_eps)


def weighted_loss(
    weights: GemmaWeights,
    rows: Rows,
    model: GemmaConfig,
    *,
    dtype: Any = jnp.float32,
    products: Any = None,
    remat: bool = False,
    num_devices: int = 1,
    is_embedding_trained: bool = True,
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Sum of weighted cross-entropy in nats, and the sum of the weights.

    Args:
        weights: The parameters; matrices of blocks may be adapted.
        rows: The batch.
        model: The model's shapes.
        dtype: Compute dtype.
        products: Dtype in which matrices are multiplied, if another than `dtype`; sums are float32.
        remat: Recompute blocks in the backward pass instead of storing them.
        num_devices: Devices over which the rows are spread.
        is_embedding_trained: Whether the gradient of the embedding is needed.
    """
    hidden = _hidden_states(weights, rows, model, dtype=dtype, products=products, remat=remat)[:, :-1]
    assert not isinstance(weights.embedding, Int8Matrix), "weights in 8 bits can't be trained"
    target_weights = rows.loss_weights[:, 1:]
    rows_a_device = max(1, hidden.shape[0] // num_devices)
    total = linear_cross_entropy(
        hidden,
        weights.embedding,
        rows.tokens[:, 1:],
        target_weights,
        cap=model.final_cap,
        chunk=chunk_length(rows_a_device, hidden.shape[1], model.vocab_size),
        is_embedding_trained=is_embedding_trained,
        products=products,
    )
    return total, jnp.sum(target_weights)


def train_step(
    state: TrainState,
    rows: Rows,
    model: GemmaConfig,
    training: TrainingConfig,
    *,
    base: GemmaWeights | None = None,
    micro_batches: int = 1,
    dtype: Any = jnp.float32,
    products: Any = None,
    remat: bool = False,
    num_devices: int = 1,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One update from one batch of rows.

    Args:
        state: The training state.
        rows: The batch; its size is a multiple of `micro_batches`, and of the devices that it is spread over.
        model: The model's shapes.
        training: The training configuration.
        base: The frozen weights, if the state has their adapters.
        micro_batches: Number of parts over which the batch's gradient is accumulated, to limit memory.
        dtype: Compute dtype.
        products: Dtype in which matrices are multiplied, if another than `dtype`; sums are float32.
        remat: Recompute blocks in the backward pass instead of storing them.
        num_devices: Devices over which the rows are spread.

    Returns:
        The next state, and `loss` (nats per weighted token) and `grad_norm`.
    """

    def loss_of(trained: Any, part: Rows) -> tuple[Array, Array]:
        weights = trained if base is None else adapted(base, trained, training.adapter_scale)
        settings: Any = {"dtype": dtype, "products": products, "remat": remat, "num_devices": num_devices}
        return weighted_loss(weights, part, model, **settings, is_embedding_trained=base is None)

    gradient_of = jax.value_and_grad(loss_of, has_aux=True)

    def add(carry: Any, part: Rows) -> tuple[Any, None]:
        (loss, weight), gradient = gradient_of(state.weights, part)
        return jax.tree.map(jnp.add, carry, (loss, weight, gradient)), None

    if micro_batches == 1:
        (loss, weight), gradient = gradient_of(state.weights, rows)
    else:
        # Part i has every micro_batches-th row from i on: so no row changes its device.
        parts = jax.tree.map(lambda leaf: leaf.reshape(-1, micro_batches, *leaf.shape[1:]).swapaxes(0, 1), rows)
        zeros = (jnp.zeros(()), jnp.zeros(()), jax.tree.map(jnp.zeros_like, state.weights))
        (loss, weight, gradient), _ = jax.lax.scan(add, zeros, parts)
    gradient = jax.tree.map(lambda leaf: leaf / weight, gradient)
    updates, optimizer_state = make_optimizer(training).update(gradient, state.optimizer, state.weights)
    share = learning_rate_share(training, state.step)
    updates = jax.tree.map(lambda leaf: leaf * share, updates)
    weights = optax.apply_updates(state.weights, updates)
    metrics = {"loss": loss / weight, "grad_norm": optax.tree.norm(gradient)}
    return TrainState(step=state.step + 1, weights=weights, optimizer=optimizer_state), metrics
