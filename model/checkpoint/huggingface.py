"""The Hugging Face layout: `config.json`, and one or many safetensors files with an index.

Matrices are stored [out, in], as ours are, so every tensor is a weight as it is and is
streamed in blocks, from a disk or a bucket, by `safetensors_file.py`.
"""

from __future__ import annotations

import posixpath
from typing import Any

import numpy as np

from model.checkpoint.format import Format, Listing
from model.checkpoint.instruction import is_instruction_checkpoint
from model.checkpoint.safetensors_file import read_safetensors
from model.checkpoint.stored import Checkpoint, Entry, StoredTensor, list_checkpoint, read_json, without_spare_rows
from model.config import GemmaConfig
from model.errors import ConfigError
from model.storage import is_folder, join, list_files

KIND = "Hugging Face safetensors"

_INDEX = "model.safetensors.index.json"
_ROTATIONS = ".self_attn.rotary_emb.inv_freq"  # early files store what is calculated

# Our name of a block's weight -> the tensor's, in `model.layers.{i}.`
BLOCK_TENSORS = {
    "pre_attention_norm": "input_layernorm",
    "q_proj": "self_attn.q_proj",
    "k_proj": "self_attn.k_proj",
    "v_proj": "self_attn.v_proj",
    "o_proj": "self_attn.o_proj",
    "pre_mlp_norm": "post_attention_layernorm",
    "gate_proj": "mlp.gate_proj",
    "up_proj": "mlp.up_proj",
    "down_proj": "mlp.down_proj",
}

# Config keys that change the arithmetic, and the only values that mean Gemma 1.
_FIXED = {
    "model_type": ("gemma",),
    "hidden_act": ("gelu_pytorch_tanh", "gelu", None),  # "gelu" in early files; the tanh form was always meant
    "hidden_activation": ("gelu_pytorch_tanh", None),
    "attention_bias": (False,),
    "tie_word_embeddings": (True,),
    "rope_scaling": (None,),
}


def recognize(listing: Listing) -> str | None:
    """A folder with safetensors at its top, or one such file, which stands for its folder."""
    return "" if any(name.endswith(".safetensors") and "/" not in name for name in listing.files) else None


def open_huggingface(path: str) -> Checkpoint:
    """List a folder's checkpoint, or that of the folder in which a file lies."""
    folder = path if is_folder(path) else posixpath.dirname(path) or "."
    files = list_files(folder)
    if "config.json" not in files:
        raise ConfigError(f"{folder} has safetensors but no config.json, which states the model's shapes")
    stated = read_json(join(folder, "config.json"))
    is_chat = is_instruction_checkpoint(Listing(folder, files, is_folder=True), "")
    config = config_from_json(stated, join(folder, "config.json"), is_chat=is_chat)
    tensors: dict[str, StoredTensor] = {}
    for name in _weight_files(folder, files):
        found = read_safetensors(join(folder, name))
        if twice := found.keys() & tensors.keys():
            raise ConfigError(f"{join(folder, name)} holds {min(twice)}, which another of its files holds too")
        tensors.update(found)
    embedding = tensors.get("model.embed_tokens.weight")
    if embedding and len(embedding.shape) == 2:
        config = without_spare_rows(config, embedding.shape[0])
        config = without_spare_rows(config, 256_000)  # config and embedding may both count them
    ignored = {name for name in tensors if name.endswith(_ROTATIONS)}
    if "lm_head.weight" in tensors:  # some files store the tied embedding a second time
        _check_tied(folder, tensors)
        ignored.add("lm_head.weight")
    return list_checkpoint(KIND, folder, config, tensors, entries, ignored)


FORMAT = Format(
    name="Hugging Face safetensors with config.json",
    recognize=recognize,
    open=open_huggingface,
    identity=(".safetensors", "config.json", ".index.json"),
    vocabulary=("tokenizer.model",),
    states_instruction=True,
)


def entries(config: GemmaConfig) -> dict[str, Entry]:
    """Every tensor of a Gemma-1 model in this layout."""
    queries, keys = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    shapes = {
        "pre_attention_norm": (config.d_model,),
        "q_proj": (queries, config.d_model),
        "k_proj": (keys, config.d_model),
        "v_proj": (keys, config.d_model),
        "o_proj": (config.d_model, queries),
        "pre_mlp_norm": (config.d_model,),
        "gate_proj": (config.d_ff, config.d_model),
        "up_proj": (config.d_ff, config.d_model),
        "down_proj": (config.d_model, config.d_ff),
    }
    found = {"model.embed_tokens.weight": Entry((config.vocab_size, config.d_model), {("embedding",): None})}
    for i in range(config.num_layers):
        for ours, theirs in BLOCK_TENSORS.items():
            found[f"model.layers.{i}.{theirs}.weight"] = Entry(shapes[ours], {("blocks", i, ours): None})
    found["model.norm.weight"] = Entry((config.d_model,), {("final_norm",): None})
    return found


def config_from_json(stated: dict[str, Any], source: str, *, is_chat: bool = False) -> GemmaConfig:
    """Our config from the keys of `transformers.GemmaConfig`; refuses what isn't Gemma 1."""
    for key, allowed in _FIXED.items():
        if key in stated and stated[key] not in allowed:
            raise ConfigError(f"{source} states {key}={stated[key]!r}; Gemma 1 has {allowed[0]!r}")
    rope = stated.get("rope_parameters") or {}
    if not isinstance(rope, dict):
        raise ConfigError(f"{source} states rope_parameters={rope!r}; it must be an object")
    if rope.get("rope_type", "default") != "default":
        raise ConfigError(f"{source} states rope_type={rope['rope_type']!r}; Gemma 1 has 'default'")
    try:
        return GemmaConfig(
            num_layers=stated["num_hidden_layers"],
            d_model=stated["hidden_size"],
            d_ff=stated["intermediate_size"],
            num_heads=stated["num_attention_heads"],
            num_kv_heads=stated["num_key_value_heads"],
            head_dim=stated["head_dim"],
            vocab_size=stated["vocab_size"],
            context_length=stated.get("max_position_embeddings", 8192),
            norm_eps=stated.get("rms_norm_eps", 1e-6),
            rope_base=rope.get("rope_theta", stated.get("rope_theta", 10_000.0)),
            is_instruction_tuned=stated.get("is_instruction_tuned", is_chat),
        )
    except KeyError as error:
        raise ConfigError(f"{source} doesn't state {error.args[0]}") from None


def config_to_json(config: GemmaConfig, dtype: str) -> dict[str, Any]:
    """The keys that `transformers` reads, for `save`."""
    return {
        "architectures": ["GemmaForCausalLM"],
        "model_type": "gemma",
        "attention_bias": False,
        "hidden_act": "gelu_pytorch_tanh",
        "hidden_activation": "gelu_pytorch_tanh",
        "hidden_size": config.d_model,
        "intermediate_size": config.d_ff,
        "head_dim": config.head_dim,
        "num_hidden_layers": config.num_layers,
        "num_attention_heads": config.num_heads,
        "num_key_value_heads": config.num_kv_heads,
        "vocab_size": config.vocab_size,
        "max_position_embeddings": config.context_length,
        "rms_norm_eps": config.norm_eps,
        "rope_theta": config.rope_base,
        "tie_word_embeddings": True,
        "torch_dtype": dtype,
        "bos_token_id": 2,
        "eos_token_id": 1,
        "pad_token_id": 0,
        "is_instruction_tuned": config.is_instruction_tuned,
    }


def _weight_files(folder: str, files: dict[str, int]) -> list[str]:
    """The files that make up the checkpoint: as the index lists them, or all there are."""
    if _INDEX not in files:
        return [name for name in files if name.endswith(".safetensors") and "/" not in name]
    listed = read_json(join(folder, _INDEX)).get("weight_map")
    if not isinstance(listed, dict) or not all(isinstance(name, str) for name in listed.values()):
        raise ConfigError(f"{join(folder, _INDEX)} has no weight_map from tensors to file names")
    names = sorted(set(listed.values()))
    if absent := [name for name in names if name not in files]:
        raise ConfigError(
            f"{folder} lacks {len(absent)} of the {len(names)} files in its index: {', '.join(absent[:4])}"
        )
    return names


def _check_tied(folder: str, tensors: dict[str, StoredTensor]) -> None:
    embedding, head = tensors.get("model.embed_tokens.weight"), tensors["lm_head.weight"]
    if embedding is None:
        return  # `check` will say so
    same = embedding.shape == head.shape and all(
        np.array_equal(ours, theirs) for ours, theirs in zip(embedding.blocks(), head.blocks(), strict=False)
    )
    if not same:
        raise ConfigError(f"{folder}: lm_head.weight differs from the embedding; Gemma 1 uses one matrix for both")
