"""DeepMind's flat layout, as in the `gemma` package and Kaggle's Flax files: `layer_0/attn/q_einsum/w`.

    name                      shape                        ours
    embedder/input_embedding  [vocab, d_model]             embedding (256,128 rows: 128 spare)
    attn/q_einsum/w           [heads, d_model, head_dim]   q_proj, where kv heads are fewer (2B)
    attn/kv_einsum/w          [2, kv, d_model, head_dim]   k_proj, v_proj
    attn/qkv_einsum/w         [3, heads, d_model, head_dim]  all three, where they are as many (7B)
    attn/attn_vec_einsum/w    [heads, head_dim, d_model]   o_proj
    mlp/gating_einsum         [2, d_model, d_ff]           gate_proj, up_proj
    mlp/linear                [d_ff, d_model]              down_proj
    pre_attention_norm/scale, pre_ffw_norm/scale, final_norm/scale
    post_attention_norm/scale, post_ffw_norm/scale   Gemma 2 and 3
    attn/_query_norm/scale, attn/_key_norm/scale     Gemma 3

There is no config: the shapes state it, and which published model it is. Names may stand below `transformer/`. Larger
models store gating_einsum as [2, d_ff, d_model]. What a vision tower has isn't read.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from model.checkpoint.stored import (
    Checkpoint,
    Entry,
    StoredTensor,
    WeightPath,
    list_checkpoint,
    rename,
    without_spare_rows,
)
from model.config import GemmaConfig, with_published_fields
from model.errors import ConfigError
from model.weights import block_weight_names, weight_shape

KIND = "DeepMind's flat layout"

_log = logging.getLogger(__name__)

_LAYER = re.compile(r"layer_([0-9]{1,9})/")
_VISION = ("vision_encoder/", "SigLiPFromPatches_0/", "embedder/mm_")

# Our name of a norm -> theirs, in `layer_{i}/`.
_NORMS = {
    "pre_attention_norm": "pre_attention_norm",
    "pre_mlp_norm": "pre_ffw_norm",
    "post_attention_norm": "post_attention_norm",
    "post_mlp_norm": "post_ffw_norm",
    "q_norm": "attn/_query_norm",
    "k_norm": "attn/_key_norm",
}


def from_flat(kind: str, source: str, tensors: Mapping[str, StoredTensor]) -> Checkpoint:
    """A checkpoint from tensors by their flat names, with or without `transformer/`."""
    named = rename(source, tensors, _plain)
    shapes = {name: tensor.shape for name, tensor in named.items()}
    config = config_from_shapes(shapes, source)
    ignored = {name for name in named if name.startswith(_VISION)}
    if ignored:
        _log.info("%s has a vision tower: its text part is loaded, %d other tensors are not", source, len(ignored))
    is_transposed = shapes["layer_0/mlp/gating_einsum"] != (2, config.d_model, config.d_ff)
    return list_checkpoint(kind, source, config, named, partial(entries, is_transposed=is_transposed), ignored)


def config_from_shapes(shapes: Mapping[str, tuple[int, ...]], source: str) -> GemmaConfig:
    """Work the model's shapes out from its tensors'.

    Raises:
        ConfigError: A tensor that is needed for it is missing or has another number of axes.
    """

    def shape(name: str, axes: int) -> tuple[int, ...]:
        if name not in shapes:
            raise ConfigError(f"{source} has no {name}; found {', '.join(list(shapes)[:4]) or 'nothing'}")
        if len(shapes[name]) != axes:
            raise ConfigError(f"{source}: {name} is {list(shapes[name])}; it must have {axes} axes")
        return shapes[name]

    layers = {int(match[1]) for name in shapes if (match := _LAYER.match(name))}
    vocab_size, d_model = shape("embedder/input_embedding", 2)
    if "layer_0/attn/qkv_einsum/w" in shapes:
        _, heads, _, head_dim = shape("layer_0/attn/qkv_einsum/w", 4)
        kv_heads = heads
    else:
        heads, _, head_dim = shape("layer_0/attn/q_einsum/w", 3)
        kv_heads = shape("layer_0/attn/kv_einsum/w", 4)[1]
    _, rows, columns = shape("layer_0/mlp/gating_einsum", 3)
    config = GemmaConfig(
        num_layers=max(layers, default=0) + 1,
        d_model=d_model,
        d_ff=columns if rows == d_model else rows,
        num_heads=heads,
        num_kv_heads=kv_heads,
        head_dim=head_dim,
        vocab_size=vocab_size,
    )
    has_norms = [f"layer_0/{_NORMS[name]}/scale" in shapes for name in ("post_attention_norm", "q_norm")]
    return with_published_fields(without_spare_rows(config), 1 + sum(has_norms), source)


def entries(config: GemmaConfig, *, is_transposed: bool = False) -> dict[str, Entry]:
    """Every tensor of a model in this layout, gating_einsum transposed or not."""
    heads, kv_heads, width, d_model = config.num_heads, config.num_kv_heads, config.head_dim, config.d_model
    found = {"embedder/input_embedding": Entry((config.vocab_size, d_model), {("embedding",): None})}
    for i in range(config.num_layers):
        at = f"layer_{i}"

        def path(name: str, i: int = i) -> tuple[str | int, ...]:
            return ("blocks", i, name)

        if heads == kv_heads:
            found[f"{at}/attn/qkv_einsum/w"] = Entry(
                (3, heads, d_model, width), {path(f"{p}_proj"): heads_in(part) for part, p in enumerate("qkv")}
            )
        else:
            found[f"{at}/attn/q_einsum/w"] = Entry((heads, d_model, width), {path("q_proj"): heads_in()})
            found[f"{at}/attn/kv_einsum/w"] = Entry(
                (2, kv_heads, d_model, width), {path("k_proj"): heads_in(0), path("v_proj"): heads_in(1)}
            )
        found[f"{at}/attn/attn_vec_einsum/w"] = Entry((heads, width, d_model), {path("o_proj"): heads_out})
        found[f"{at}/mlp/gating_einsum"] = _gating(config, path, is_transposed=is_transposed)
        found[f"{at}/mlp/linear"] = Entry((config.d_ff, d_model), {path("down_proj"): np.transpose})
        for name in block_weight_names(config):
            if name in _NORMS:
                found[f"{at}/{_NORMS[name]}/scale"] = Entry(weight_shape(name, config), {path(name): None})
    found["final_norm/scale"] = Entry((d_model,), {("final_norm",): None})
    return found


def _gating(config: GemmaConfig, path: Callable[[str], WeightPath], *, is_transposed: bool) -> Entry:
    if is_transposed:
        return Entry(
            (2, config.d_ff, config.d_model), {path("gate_proj"): lambda w: w[0], path("up_proj"): lambda w: w[1]}
        )
    return Entry(
        (2, config.d_model, config.d_ff), {path("gate_proj"): lambda w: w[0].T, path("up_proj"): lambda w: w[1].T}
    )


def heads_in(part: int | None = None) -> Any:
    """[heads, d_model, head_dim] (one `part` of a stack of them) -> [heads * head_dim, d_model]."""

    def take(w: np.ndarray) -> np.ndarray:
        w = w if part is None else w[part]
        return w.transpose(0, 2, 1).reshape(-1, w.shape[1])

    return take


def heads_out(w: np.ndarray) -> np.ndarray:
    """[heads, head_dim, d_model] -> [d_model, heads * head_dim]."""
    return w.reshape(-1, w.shape[-1]).T


def _plain(name: str) -> str:
    """`params/transformer/layer_0/mlp/linear/w` -> `layer_0/mlp/linear`: the ways it is published."""
    inside = name.removeprefix("params/").removeprefix("transformer/")
    return re.sub(r"(mlp/(?:gating_einsum|linear))/w$", r"\1", inside)
