"""The Hugging Face layout: `config.json`, and one or many safetensors files with an index.

Matrices are stored [out, in], as ours are, so every tensor is a weight as it is and is
streamed in blocks, from a disk or a bucket, by `safetensors_file.py`.
"""

from __future__ import annotations

import logging
import posixpath

import numpy as np

from model.checkpoint.format import Format, Listing
from model.checkpoint.huggingface_config import config_from_json
from model.checkpoint.instruction import is_instruction_checkpoint
from model.checkpoint.safetensors_file import read_safetensors
from model.checkpoint.stored import (
    Checkpoint,
    Entry,
    StoredTensor,
    list_checkpoint,
    read_json,
    rename,
    without_spare_rows,
)
from model.config import GemmaConfig
from model.errors import ConfigError
from model.storage import is_folder, join, list_files
from model.weights import block_weight_names, weight_shape

_log = logging.getLogger(__name__)

KIND = "Hugging Face safetensors"

_INDEX = "model.safetensors.index.json"
_ROTATIONS = ".self_attn.rotary_emb.inv_freq"  # early files store what is calculated

# Where the text part stands in a checkpoint with a vision tower, by newer and older versions of transformers.
_TEXT_PARTS = ("model.language_model.", "language_model.model.")
_OTHER_PARTS = ("model.vision_tower.", "vision_tower.", "model.multi_modal_projector.", "multi_modal_projector.")

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
# The names that differ where the outputs have norms as well: one of them meant something else before.
_WITH_POST_NORMS = {
    "post_attention_norm": "post_attention_layernorm",
    "pre_mlp_norm": "pre_feedforward_layernorm",
    "post_mlp_norm": "post_feedforward_layernorm",
    "q_norm": "self_attn.q_norm",
    "k_norm": "self_attn.k_norm",
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
    tensors, others = _text_part(folder, tensors)
    embedding = tensors.get("model.embed_tokens.weight")
    if embedding and len(embedding.shape) == 2:
        config = without_spare_rows(config, embedding.shape[0])
        config = without_spare_rows(config)  # config and embedding may both count them
    ignored = {name for name in tensors if name.endswith(_ROTATIONS)} | others
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
    """Every tensor of a model in this layout."""
    names = {**BLOCK_TENSORS, **_WITH_POST_NORMS} if config.has_post_norms else BLOCK_TENSORS
    found = {"model.embed_tokens.weight": Entry(weight_shape("embedding", config), {("embedding",): None})}
    for i in range(config.num_layers):
        for ours in block_weight_names(config):
            at = ("blocks", i, ours)
            found[f"model.layers.{i}.{names[ours]}.weight"] = Entry(weight_shape(ours, config), {at: None})
    found["model.norm.weight"] = Entry(weight_shape("final_norm", config), {("final_norm",): None})
    return found


def _text_part(folder: str, tensors: dict[str, StoredTensor]) -> tuple[dict[str, StoredTensor], set[str]]:
    """The tensors, those of the text part by plain names, and the names of other parts, which aren't read."""
    if not any(name.startswith(_TEXT_PARTS) for name in tensors):
        return tensors, set()

    def plain(name: str) -> str:
        for part in _TEXT_PARTS:
            if name.startswith(part):
                return "model." + name.removeprefix(part)
        return "lm_head.weight" if name == "language_model.lm_head.weight" else name

    named = rename(folder, tensors, plain)
    others = {name for name in named if name.startswith(_OTHER_PARTS)}
    if others:
        _log.info("%s has a vision tower: its text part is loaded, %d other tensors are not", folder, len(others))
    return named, others


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
        raise ConfigError(f"{folder}: lm_head.weight differs from the embedding; Gemma uses one matrix for both")
