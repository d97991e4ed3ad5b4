"""Writes a tiny model in each published layout, by each format's own writer."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import gguf
import h5py
import jax
import ml_dtypes
import numpy as np

from model import GemmaConfig
from model.gemma import weight_shapes
from model.layers import GemmaWeights
from model.tokenizer import Tokenizer

TINY = GemmaConfig(num_layers=2, d_model=32, d_ff=64, num_heads=4, num_kv_heads=1, head_dim=8, vocab_size=40)
MHA = dataclasses.replace(TINY, num_kv_heads=4)
# With the fields of the published models, as files of some layouts state shapes alone.
TINY_2 = dataclasses.replace(
    TINY, num_kv_heads=2, query_scalar=8, attention_cap=50.0, final_cap=30.0, window=16, window_pattern=(True, False),
    has_post_norms=True,
)  # fmt: skip
TINY_3 = dataclasses.replace(
    TINY, num_layers=6, query_scalar=8, window=16, window_pattern=(True,) * 5 + (False,), rope_base=1_000_000.0,
    local_rope_base=10_000.0, rope_scale=8.0, has_qk_norms=True, has_post_norms=True,
)  # fmt: skip
ARCHITECTURES = {1: "gemma", 2: "gemma2", 3: "gemma3"}


def random_weights(config: GemmaConfig) -> GemmaWeights:
    rng = np.random.default_rng(0)
    return jax.tree.map(lambda leaf: rng.standard_normal(leaf.shape).astype(np.float32), weight_shapes(config))


def heads_in(w: np.ndarray, config: GemmaConfig) -> np.ndarray:
    return np.ascontiguousarray(w.reshape(-1, config.head_dim, config.d_model).transpose(0, 2, 1))


def kaggle_tree(config: GemmaConfig, weights: GemmaWeights) -> dict[str, dict[str, np.ndarray]]:
    """As Kaggle's files have it: a key for each module's path, its arrays below."""
    tree = {
        "transformer/embedder": {"input_embedding": weights.embedding},
        "transformer/final_norm": {"scale": weights.final_norm},
    }
    for i, block in enumerate(weights.blocks):
        at = f"transformer/layer_{i}"
        q, k, v = (heads_in(w, config) for w in (block.q_proj, block.k_proj, block.v_proj))
        if config.num_heads == config.num_kv_heads:
            tree[f"{at}/attn/qkv_einsum"] = {"w": np.stack([q, k, v])}
        else:
            tree[f"{at}/attn/q_einsum"] = {"w": q}
            tree[f"{at}/attn/kv_einsum"] = {"w": np.stack([k, v])}
        o = np.ascontiguousarray(block.o_proj.T).reshape(config.num_heads, config.head_dim, config.d_model)
        tree[f"{at}/attn/attn_vec_einsum"] = {"w": o}
        tree[f"{at}/mlp"] = {
            "gating_einsum": np.stack([block.gate_proj.T, block.up_proj.T]),
            "linear": np.ascontiguousarray(block.down_proj.T),
        }
        tree[f"{at}/pre_attention_norm"] = {"scale": block.pre_attention_norm}
        tree[f"{at}/pre_ffw_norm"] = {"scale": block.pre_mlp_norm}
        if config.has_post_norms:
            tree[f"{at}/post_attention_norm"] = {"scale": block.post_attention_norm}
            tree[f"{at}/post_ffw_norm"] = {"scale": block.post_mlp_norm}
        if config.has_qk_norms:
            tree[f"{at}/attn/_query_norm"] = {"scale": block.q_norm}
            tree[f"{at}/attn/_key_norm"] = {"scale": block.k_norm}
            both = tree[f"{at}/mlp"]["gating_einsum"]
            tree[f"{at}/mlp"]["gating_einsum"] = np.ascontiguousarray(both.swapaxes(1, 2))
    return tree


def write_keras(path: Path, weights: GemmaWeights, config: GemmaConfig, dtype=np.float32, keep=lambda name: True):
    """The layout that keras_hub 0.32 writes for GemmaBackbone."""
    arrays = {"reversible_embedding": weights.embedding, "rms_normalization": weights.final_norm}
    for i, block in enumerate(weights.blocks):
        name = "gemma3_decoder_block" if config.generation == 3 else "gemma_decoder_block"
        at = f"{name}_{i}" if i else name
        arrays |= {
            f"{at}/attention/query_dense": heads_in(block.q_proj, config),
            f"{at}/attention/key_dense": heads_in(block.k_proj, config),
            f"{at}/attention/value_dense": heads_in(block.v_proj, config),
            f"{at}/attention/output_dense": block.o_proj.T.reshape(-1, config.head_dim, config.d_model),
            f"{at}/gating_ffw": block.gate_proj.T,
            f"{at}/gating_ffw_2": block.up_proj.T,
            f"{at}/ffw_linear": block.down_proj.T,
            f"{at}/pre_attention_norm": block.pre_attention_norm,
            f"{at}/pre_ffw_norm": block.pre_mlp_norm,
        }
        if config.has_post_norms:
            arrays |= {
                f"{at}/post_attention_norm": block.post_attention_norm,
                f"{at}/post_ffw_norm": block.post_mlp_norm,
            }
        if config.has_qk_norms:
            arrays |= {f"{at}/attention/query_norm": block.q_norm, f"{at}/attention/key_norm": block.k_norm}
    with h5py.File(path, "w") as file:
        for name, array in arrays.items():
            if keep(name):
                wanted = np.ascontiguousarray(array).astype(dtype)
                opaque = wanted.view("V2") if dtype == ml_dtypes.bfloat16 else wanted
                dataset = file.create_dataset(f"layers/{name}/vars/0", data=opaque)
                if dtype == ml_dtypes.bfloat16:
                    dataset.attrs["dtype"] = "bfloat16"


def gguf_arrays(config: GemmaConfig, weights: GemmaWeights | None = None) -> dict[str, np.ndarray]:
    """The tensors by GGUF's names; norms as 1 + scale."""
    weights = random_weights(config) if weights is None else weights
    arrays = {"token_embd.weight": weights.embedding, "output_norm.weight": weights.final_norm}
    names = dict(zip("qkvo", ("attn_q", "attn_k", "attn_v", "attn_output"), strict=True))
    for i, block in enumerate(weights.blocks):
        arrays |= {f"blk.{i}.{name}.weight": getattr(block, f"{letter}_proj") for letter, name in names.items()}
        arrays |= {f"blk.{i}.ffn_{part}.weight": getattr(block, f"{part}_proj") for part in ("gate", "up", "down")}
        arrays |= {f"blk.{i}.attn_norm.weight": block.pre_attention_norm}
        arrays |= {f"blk.{i}.ffn_norm.weight": block.pre_mlp_norm}
        if config.has_post_norms:
            arrays[f"blk.{i}.post_attention_norm.weight"] = block.post_attention_norm
            arrays[f"blk.{i}.post_ffw_norm.weight"] = block.post_mlp_norm
        if config.has_qk_norms:
            arrays |= {f"blk.{i}.attn_q_norm.weight": block.q_norm, f"blk.{i}.attn_k_norm.weight": block.k_norm}
    return {name: array + 1.0 if array.ndim == 1 else array for name, array in arrays.items()}


def pieces_of(tokenizer: Tokenizer) -> tuple[list[str], list[float], list[int]]:
    """Texts, scores and types of a vocabulary's pieces, as converters to GGUF write them."""
    processor, ids = tokenizer._processor, list(range(tokenizer.vocab_size))
    types = [
        2 if processor.is_unknown(i) else 3 if i in tokenizer.control_ids else 6 if processor.is_byte(i) else 1
        for i in ids
    ]
    return [tokenizer.piece(i) for i in ids], [processor.get_score(i) for i in ids], types


def write_gguf(
    path: Path,
    weights: GemmaWeights,
    config: GemmaConfig,
    kind,
    architecture: str | None = None,
    tokenizer: Tokenizer | None = None,
    chat_template: str | None = None,
) -> None:
    writer = gguf.GGUFWriter(path, architecture or ARCHITECTURES[config.generation])
    if tokenizer is not None:
        pieces, scores, types = pieces_of(tokenizer)
        writer.add_tokenizer_model("llama")
        writer.add_token_list(pieces)
        writer.add_token_scores(scores)
        writer.add_token_types(types)
        writer.add_bos_token_id(tokenizer.bos)
        writer.add_eos_token_id(tokenizer.eos)
        writer.add_unk_token_id(tokenizer.unk)
        writer.add_pad_token_id(tokenizer.pad)
    if chat_template is not None:
        writer.add_chat_template(chat_template)
    writer.add_block_count(config.num_layers)
    writer.add_context_length(config.context_length)
    writer.add_embedding_length(config.d_model)
    writer.add_feed_forward_length(config.d_ff)
    writer.add_head_count(config.num_heads)
    writer.add_head_count_kv(config.num_kv_heads)
    writer.add_key_length(config.head_dim)
    writer.add_layer_norm_rms_eps(config.norm_eps)
    if config.window is not None:
        writer.add_sliding_window(config.window)
        writer.add_rope_freq_base(config.rope_base)
    if config.rope_scale != 1.0:
        writer.add_rope_scaling_type(gguf.RopeScalingType.LINEAR)
        writer.add_rope_scaling_factor(config.rope_scale)

    for name, array in gguf_arrays(config, weights).items():
        if array.ndim == 1:
            writer.add_tensor(name, array)
        else:
            writer.add_tensor(name, gguf.quantize(array, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
