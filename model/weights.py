"""The weights of a Gemma text model by name: which there are, their axes and shapes. No JAX.

`WEIGHT_AXES` is the one place that defines layouts: shapes are derived from it here and in the checkpoints' formats,
shardings in `model.sharding`.
"""

from __future__ import annotations

from model.config import GemmaConfig

WEIGHT_AXES: dict[str, tuple[str, ...]] = {
    "embedding": ("vocab", "d_model"),
    "pre_attention_norm": ("d_model",),
    "q_proj": ("queries", "d_model"),
    "k_proj": ("keys", "d_model"),
    "v_proj": ("keys", "d_model"),
    "o_proj": ("d_model", "queries"),
    "pre_mlp_norm": ("d_model",),
    "gate_proj": ("d_ff", "d_model"),
    "up_proj": ("d_ff", "d_model"),
    "down_proj": ("d_model", "d_ff"),
    "q_norm": ("head_dim",),
    "k_norm": ("head_dim",),
    "post_attention_norm": ("d_model",),
    "post_mlp_norm": ("d_model",),
    "final_norm": ("d_model",),
}

_OUTSIDE_BLOCKS = ("embedding", "final_norm")
_QK_NORMS = ("q_norm", "k_norm")
_POST_NORMS = ("post_attention_norm", "post_mlp_norm")


def block_weight_names(config: GemmaConfig) -> list[str]:
    """The names of a block's weights: those that the model has.

    >>> from model.config import PRESETS
    >>> len(block_weight_names(PRESETS["codegemma-2b"])), len(block_weight_names(PRESETS["gemma-3-1b"]))
    (9, 13)
    """
    absent = set(_OUTSIDE_BLOCKS)
    absent.update(() if config.has_qk_norms else _QK_NORMS, () if config.has_post_norms else _POST_NORMS)
    return [name for name in WEIGHT_AXES if name not in absent]


def weight_shape(name: str, config: GemmaConfig) -> tuple[int, ...]:
    """The shape of one weight (of one block), by its name in the parameter tree."""
    sizes = {
        "vocab": config.vocab_size,
        "d_model": config.d_model,
        "d_ff": config.d_ff,
        "queries": config.num_heads * config.head_dim,
        "keys": config.num_kv_heads * config.head_dim,
        "head_dim": config.head_dim,
    }
    return tuple(sizes[axis] for axis in WEIGHT_AXES[name])
