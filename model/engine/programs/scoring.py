"""The computations of scoring as pure functions: a row's hidden states, and log-probabilities of tokens from them.

    row [length] -> over_row, final norm -> hidden [positions d_model] -> logits at some places -> log-probabilities

Logits of a whole row would be an array of [length vocab], 4 GB for 4,096 tokens and Gemma's vocabulary. They are
computed only where a token is scored, for a fixed number of tokens at a time. Cost: that of prefill, and the product
with the embedding for each token scored.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
from jaxtyping import Array, Float, Int

from model.config import GemmaConfig
from model.engine.programs.decode import over_row
from model.engine.programs.rows import PromptRow, RowAttention
from model.layers import GemmaWeights, rms_norm, unembed


def hidden_row(
    weights: GemmaWeights,
    row: PromptRow,
    config: GemmaConfig,
    dtype: Any,
    *,
    attend_row: RowAttention,
    padded_length: int,
) -> Float[Array, "positions d_model"]:
    """The normalized hidden states of one row, padded to `padded_length` positions: one shape for all rows."""
    x, _ = over_row(weights, row, config, dtype, attend_row=attend_row, keep=lambda key, value: None)
    x = rms_norm(x[0], weights.final_norm, config.norm_eps)
    return jnp.pad(x, ((0, padded_length - x.shape[0]), (0, 0)))


def token_logprobs(
    weights: GemmaWeights,
    hidden: Float[Array, "positions d_model"],
    places: Int[Array, " tokens"],
    tokens: Int[Array, " tokens"],
    final_cap: float | None = None,
) -> Float[Array, " tokens"]:
    """Float32 log-probabilities of `tokens`, each after the position of `hidden` at its place."""
    logits = unembed(hidden[places], weights.embedding, final_cap)
    chosen = jnp.take_along_axis(logits, tokens[:, None], axis=-1)[:, 0]
    return chosen - jax.nn.logsumexp(logits, axis=-1)
