"""The training step as a pure function: from state and rows to state and loss.

Loss: cross-entropy of the next token in packed rows, a weighted mean over the targets. Matrices are updated by Muon
(momentum, orthogonalized by Newton-Schulz iterations; Jordan et al. 2024, scaled as in arXiv 2502.16982 so that one
learning rate serves both groups), embedding and norms by AdamW. The learning rate warms up, stays constant, and
falls linearly to zero over the last part ("warmup-stable-decay", arXiv 2404.06395), so that a run can be extended by
resuming from before its decay.

Cost: 6 * parameters * tokens FLOPs, plus attention. Weights and optimizer state are float32; `dtype` is the compute
dtype. Uses neither files nor a clock: `jobs/train.py` does.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax
from jaxtyping import Array, Float, Int

from model.config import GemmaConfig
from model.gemma import init_weights
from model.layers import (
    BlockWeights,
    GemmaWeights,
    Rotation,
    block,
    by_window,
    causal_mask,
    embed,
    over_blocks,
    rms_norm,
    rotation_of,
    segment_positions,
    soft_cap,
    unembed,
)

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
        embedding_learning_rate: The same for the embedding and the norms.
        weight_decay: Decoupled weight decay of matrices.
        max_grad_norm: Gradients are clipped to this global norm.
    """

    num_steps: int
    warmup_steps: int = 100
    decay_fraction: float = 0.3
    learning_rate: float = 0.01
    embedding_learning_rate: float = 0.003
    weight_decay: float = 0.05
    max_grad_norm: float = 1.0


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
        weights: The parameters, float32.
        optimizer: The optimizer's state.
    """

    step: Int[Array, ""]
    weights: GemmaWeights
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
    """Muon for the blocks' matrices, AdamW for embedding and norms, after clipping by the global norm.

    Its rates are the peaks; `train_step` multiplies by `learning_rate_share`, so that the optimizer's state contains no
    schedule and can start another run.
    """

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


def new_state(key: jax.Array, model: GemmaConfig, training: TrainingConfig) -> TrainState:
    """Random weights at step 0."""
    weights = init_weights(key, model)
    optimizer = make_optimizer(training).init(weights)
    return TrainState(step=jnp.zeros((), jnp.int32), weights=weights, optimizer=optimizer)


def _hidden_states(weights: GemmaWeights, rows: Rows, model: GemmaConfig, *, dtype: Any, remat: bool) -> Array:
    """`model.gemma.hidden_states` with an attention whose gradient takes a third of the time on a CPU.

    The reference attends to any number of parts under one softmax; here there is a single part, and `jax.nn.softmax`
    has its own gradient. A test requires the same loss from both.
    """
    positions = segment_positions(rows.segment_ids)

    def view(window: int | None) -> tuple[Rotation, Array]:
        hidden = ~causal_mask(rows.tokens.shape[1], rows.segment_ids, window)[:, None]  # [batch 1 length length]
        return rotation_of(positions, model, window), hidden

    views = by_window(model, view)
    heads_a_key = model.num_heads // model.num_kv_heads

    def attend(query: Array, key: Array, value: Array, hidden: Array) -> tuple[Array, None]:
        # A key head is repeated for the query heads that read it: [batch heads length head_dim].
        key, value = (
            jnp.repeat(part, heads_a_key, axis=1) if model.num_kv_heads > 1 else part for part in (key, value)
        )
        if model.num_kv_heads == 1:
            scores = jnp.einsum("blhd,bpd->bhlp", query, key[:, 0], preferred_element_type=jnp.float32)
        else:
            scores = jnp.einsum("blhd,bhpd->bhlp", query, key, preferred_element_type=jnp.float32)
        scores = soft_cap(scores, model.attention_cap)
        shares = jax.nn.softmax(jnp.where(hidden, jnp.finfo(jnp.float32).min, scores), axis=-1).astype(query.dtype)
        if model.num_kv_heads == 1:
            return jnp.einsum("bhlp,bpd->blhd", shares, value[:, 0]), None
        return jnp.einsum("bhlp,bhpd->blhd", shares, value), None

    def step(x: Array, block_weights: BlockWeights, own: tuple[Rotation, Array] | None) -> tuple[Array, None]:
        turn, hidden = own or views[0]
        return block(block_weights, x, turn, partial(attend, hidden=hidden), model)

    x = embed(weights.embedding, rows.tokens, dtype)
    per_block = None if model.window is None else views
    x, _ = over_blocks(jax.checkpoint(step) if remat else step, x, weights.blocks, per_block)
    return rms_norm(x, weights.final_norm, model.norm_eps)


def weighted_loss(
    weights: GemmaWeights, rows: Rows, model: GemmaConfig, *, dtype: Any = jnp.float32, remat: bool = False
) -> tuple[Float[Array, ""], Float[Array, ""]]:
    """Sum of weighted cross-entropy in nats, and the sum of the weights."""
    hidden = _hidden_states(weights, rows, model, dtype=dtype, remat=remat)
    logits = unembed(hidden[:, :-1], weights.embedding, model.final_cap)
    losses = optax.softmax_cross_entropy_with_integer_labels(logits, rows.tokens[:, 1:])
    target_weights = rows.loss_weights[:, 1:]
    return jnp.sum(losses * target_weights), jnp.sum(target_weights)


def train_step(
    state: TrainState,
    rows: Rows,
    model: GemmaConfig,
    training: TrainingConfig,
    *,
    micro_batches: int = 1,
    dtype: Any = jnp.float32,
    remat: bool = False,
) -> tuple[TrainState, dict[str, Float[Array, ""]]]:
    """One update from one batch of rows.

    Args:
        state: The training state.
        rows: The batch; its size is a multiple of `micro_batches`.
        model: The model's shapes.
        training: The training configuration.
        micro_batches: Number of parts over which the batch's gradient is accumulated, to limit memory.
        dtype: Compute dtype.
        remat: Recompute blocks in the backward pass instead of storing them.

    Returns:
        The next state, and `loss` (nats per weighted token) and `grad_norm`.
    """
    gradient_of = jax.value_and_grad(partial(weighted_loss, model=model, dtype=dtype, remat=remat), has_aux=True)

    def add(carry: Any, part: Rows) -> tuple[Any, None]:
        (loss, weight), gradient = gradient_of(state.weights, part)
        return jax.tree.map(jnp.add, carry, (loss, weight, gradient)), None

    if micro_batches == 1:
        (loss, weight), gradient = gradient_of(state.weights, rows)
    else:
        parts = jax.tree.map(lambda leaf: leaf.reshape(micro_batches, -1, *leaf.shape[1:]), rows)
        zeros = (jnp.zeros(()), jnp.zeros(()), jax.tree.map(jnp.zeros_like, state.weights))
        (loss, weight, gradient), _ = jax.lax.scan(add, zeros, parts)
    gradient = jax.tree.map(lambda leaf: leaf / weight, gradient)
    updates, optimizer_state = make_optimizer(training).update(gradient, state.optimizer, state.weights)
    share = learning_rate_share(training, state.step)
    updates = jax.tree.map(lambda leaf: leaf * share, updates)
    weights = optax.apply_updates(state.weights, updates)
    metrics = {"loss": loss / weight, "grad_norm": optax.tree.norm(gradient)}
    return TrainState(step=state.step + 1, weights=weights, optimizer=optimizer_state), metrics
