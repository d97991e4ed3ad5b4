"""Keras' `.weights.h5` of KerasHub's Gemma, one file or several with `model.weights.json`.

    name (below layers/, ending in /vars/0)           shape                       ours
    reversible_embedding                              [vocab, d_model]            embedding
    gemma_decoder_block[_i]/attention/query_dense     [heads, d_model, head_dim]  q_proj
                            .../key_dense, value_dense  [kv, d_model, head_dim]   k_proj, v_proj
                            .../output_dense          [heads, head_dim, d_model]  o_proj
                           /gating_ffw, gating_ffw_2  [d_model, d_ff]             gate_proj, up_proj
                           /ffw_linear                [d_ff, d_model]             down_proj
                           /pre_attention_norm, pre_ffw_norm; rms_normalization
                           /post_attention_norm, post_ffw_norm; attention/query_norm, key_norm

Block 0 has no number; Gemma 3's are gemma3_decoder_block. Shapes state the config, and which published model it is.
`hdf5.py` reads the files.
"""

from __future__ import annotations

import posixpath
import re

import numpy as np

from model.checkpoint.deepmind import heads_in, heads_out
from model.checkpoint.format import Format, only_file
from model.checkpoint.hdf5 import list_hdf5
from model.checkpoint.stored import (
    Checkpoint,
    Entry,
    StoredTensor,
    list_checkpoint,
    read_json,
    rename,
    without_spare_rows,
)
from model.config import GemmaConfig, with_published_fields
from model.errors import ConfigError, reading
from model.storage import join, list_files
from model.weights import block_weight_names, weight_shape

KIND = "Keras weights.h5"

_NAME = re.compile(r"(?:.*/)?layers/(.+)/vars/0")
_BLOCK_NAMES = {1: "gemma_decoder_block", 2: "gemma_decoder_block", 3: "gemma3_decoder_block"}

# Our name of a norm -> theirs, in a block.
_NORMS = {
    "pre_attention_norm": "pre_attention_norm",
    "pre_mlp_norm": "pre_ffw_norm",
    "post_attention_norm": "post_attention_norm",
    "post_mlp_norm": "post_ffw_norm",
    "q_norm": "attention/query_norm",
    "k_norm": "attention/key_norm",
}
_FILE_NAME = re.compile(r"[^/\\\0]*\.weights\.h5")  # of an index: no folder, so nothing outside of it


def open_keras(path: str) -> Checkpoint:
    """List one `.weights.h5`, or the several that a `.weights.json` beside them names."""
    places = _named_in(path) if path.endswith(".json") else [path]
    tensors: dict[str, StoredTensor] = {}
    for place in places:
        with reading(place, "HDF5"):
            found = list_hdf5(place)
        if twice := found.keys() & tensors.keys():
            raise ConfigError(f"{place} holds {min(twice)}, which another file of {path} holds too")
        tensors.update(found)
    tensors = rename(path, tensors, lambda name: match[1] if (match := _NAME.fullmatch(name)) else name)
    config = _config(tensors, path)
    return list_checkpoint(KIND, path, config, tensors, entries)


FORMAT = Format(
    name="Keras .weights.h5",
    recognize=only_file(".weights.json", ".weights.h5"),
    open=open_keras,
    identity=(".h5",),
    vocabulary=("assets/tokenizer/vocabulary.spm", "vocabulary.spm"),
)


def _named_in(index: str) -> list[str]:
    """The files that a `.weights.json` names, all of which lie beside it."""
    stated = read_json(index).get("weight_map")
    values = list(stated.values()) if isinstance(stated, dict) else [None]
    names = sorted({str(name) for value in values for name in (value if isinstance(value, list) else [value])})
    folder = index.rpartition("/")[0] or "."
    for name in names:
        if not _FILE_NAME.fullmatch(name):
            raise ConfigError(f"{index} names the file {name!r}; it must be a .weights.h5 in the same folder")
    family = re.compile(re.escape(posixpath.basename(index).removesuffix(".weights.json")) + r"_[0-9]+\.weights\.h5")
    if left_out := [name for name in list_files(folder) if family.fullmatch(name) and name not in names]:
        raise ConfigError(f"{index} names {len(names)} files, and not {left_out[0]}, which lies beside them")
    return [join(folder, name) for name in names]


def entries(config: GemmaConfig) -> dict[str, Entry]:
    """Every tensor of a model in this layout, by the part of its name between `layers/` and `/vars/0`."""
    width, d_model = config.head_dim, config.d_model
    found = {"reversible_embedding": Entry((config.vocab_size, d_model), {("embedding",): None})}
    for i in range(config.num_layers):
        at = _block(i, config.generation)
        for ours, theirs, heads in (
            ("q_proj", "query_dense", config.num_heads),
            ("k_proj", "key_dense", config.num_kv_heads),
            ("v_proj", "value_dense", config.num_kv_heads),
        ):
            found[f"{at}/attention/{theirs}"] = Entry((heads, d_model, width), {("blocks", i, ours): heads_in()})
        found[f"{at}/attention/output_dense"] = Entry(
            (config.num_heads, width, d_model), {("blocks", i, "o_proj"): heads_out}
        )
        for ours, theirs, shape in (
            ("gate_proj", "gating_ffw", (d_model, config.d_ff)),
            ("up_proj", "gating_ffw_2", (d_model, config.d_ff)),
            ("down_proj", "ffw_linear", (config.d_ff, d_model)),
        ):
            found[f"{at}/{theirs}"] = Entry(shape, {("blocks", i, ours): np.transpose})
        for name in block_weight_names(config):
            if name in _NORMS:
                found[f"{at}/{_NORMS[name]}"] = Entry(weight_shape(name, config), {("blocks", i, name): None})
    found["rms_normalization"] = Entry((d_model,), {("final_norm",): None})
    return found


def _block(i: int, generation: int) -> str:
    return f"{_BLOCK_NAMES[generation]}_{i}" if i else _BLOCK_NAMES[generation]


def _config(tensors: dict[str, StoredTensor], source: str) -> GemmaConfig:
    def shape(name: str, axes: int) -> tuple[int, ...]:
        found = tensors[name].shape if name in tensors else None
        if found is None or len(found) != axes:
            what = f"has {name} of shape {list(found)}" if found else f"has no {name}"
            raise ConfigError(f"{source} {what}; it must be KerasHub's Gemma (found {', '.join(list(tensors)[:4])})")
        return found

    generation = (
        3 if f"{_block(0, 3)}/ffw_linear" in tensors else 2 if f"{_block(0, 2)}/post_ffw_norm" in tensors else 1
    )
    first = _block(0, generation)
    blocks = [name for name in tensors if re.fullmatch(rf"{first}(_\d+)?/ffw_linear", name)]
    vocab_size, d_model = shape("reversible_embedding", 2)
    num_heads, _, head_dim = shape(f"{first}/attention/query_dense", 3)
    config = GemmaConfig(
        num_layers=max(1, len(blocks)),
        d_model=d_model,
        d_ff=shape(f"{first}/ffw_linear", 2)[0],
        num_heads=num_heads,
        num_kv_heads=shape(f"{first}/attention/key_dense", 3)[0],
        head_dim=head_dim,
        vocab_size=vocab_size,
    )
    return with_published_fields(without_spare_rows(config), generation, source)
