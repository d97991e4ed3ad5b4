"""Keras' `.weights.h5` of KerasHub's Gemma, one file or several with `model.weights.json`.

    name (below layers/, ending in /vars/0)           shape                       ours
    reversible_embedding                              [vocab, d_model]            embedding
    gemma_decoder_block[_i]/attention/query_dense     [heads, d_model, head_dim]  q_proj
                            .../key_dense, value_dense  [kv, d_model, head_dim]   k_proj, v_proj
                            .../output_dense          [heads, head_dim, d_model]  o_proj
                           /gating_ffw, gating_ffw_2  [d_model, d_ff]             gate_proj, up_proj
                           /ffw_linear                [d_ff, d_model]             down_proj
                           /pre_attention_norm, pre_ffw_norm; rms_normalization

Block 0 has no number. bfloat16 is stored as two opaque bytes with an attribute that says so.
Shapes state the config. Datasets are read in blocks.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from model.checkpoint.deepmind import heads_in, heads_out
from model.checkpoint.stored import Checkpoint, Entry, StoredTensor, rows_per_block, without_spare_rows
from model.config import GemmaConfig
from model.errors import ConfigError
from model.storage import filesystem, join, read_bytes

KIND = "Keras weights.h5"

_NAME = re.compile(r"(?:.*/)?layers/(.+)/vars/0")


def open_keras(path: str) -> Checkpoint:
    """List one `.weights.h5`, or the several that a `.weights.json` beside them names."""
    places = [path]
    if path.endswith(".json"):
        folder = path.rpartition("/")[0]
        stated = json.loads(read_bytes(path)).get("weight_map", {})
        places = [join(folder, name) for name in sorted(set(_flat_names(stated)))]
    tensors: dict[str, StoredTensor] = {}
    for place in places:
        tensors.update(_list(place))
    config = _config(tensors, path)
    return Checkpoint(KIND, path, config, tensors, entries(config))


def entries(config: GemmaConfig) -> dict[str, Entry]:
    """Every tensor of a Gemma-1 model in this layout, by the part of its name between `layers/` and `/vars/0`."""
    width, d_model = config.head_dim, config.d_model
    found = {"reversible_embedding": Entry((config.vocab_size, d_model), {("embedding",): None})}
    for i in range(config.num_layers):
        at = _block(i)
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
        found[f"{at}/pre_attention_norm"] = Entry((d_model,), {("blocks", i, "pre_attention_norm"): None})
        found[f"{at}/pre_ffw_norm"] = Entry((d_model,), {("blocks", i, "pre_mlp_norm"): None})
    found["rms_normalization"] = Entry((d_model,), {("final_norm",): None})
    return found


def _block(i: int) -> str:
    return f"gemma_decoder_block_{i}" if i else "gemma_decoder_block"


def _config(tensors: dict[str, StoredTensor], source: str) -> GemmaConfig:
    def shape(name: str, axes: int) -> tuple[int, ...]:
        found = tensors[name].shape if name in tensors else None
        if found is None or len(found) != axes:
            what = f"has {name} of shape {list(found)}" if found else f"has no {name}"
            raise ConfigError(f"{source} {what}; it must be KerasHub's Gemma (found {', '.join(list(tensors)[:4])})")
        return found

    blocks = [name for name in tensors if re.fullmatch(r"gemma_decoder_block(_\d+)?/ffw_linear", name)]
    vocab_size, d_model = shape("reversible_embedding", 2)
    num_heads, _, head_dim = shape(f"{_block(0)}/attention/query_dense", 3)
    config = GemmaConfig(
        num_layers=max(1, len(blocks)),
        d_model=d_model,
        d_ff=shape(f"{_block(0)}/ffw_linear", 2)[0],
        num_heads=num_heads,
        num_kv_heads=shape(f"{_block(0)}/attention/key_dense", 3)[0],
        head_dim=head_dim,
        vocab_size=vocab_size,
    )
    return without_spare_rows(config, 256_000)


def _list(path: str) -> dict[str, StoredTensor]:
    import h5py  # type: ignore[import-untyped]

    tensors: dict[str, StoredTensor] = {}

    def visit(name: str, item: Any) -> None:
        if isinstance(item, h5py.Dataset):
            match = _NAME.fullmatch(name)
            stored_as = item.attrs.get("dtype", str(item.dtype))
            tensors[match[1] if match else name] = StoredTensor(
                tuple(item.shape), stored_as, _blocks(path, name, stored_as)
            )

    files, inner = filesystem(path)
    try:
        with files.open(inner, "rb") as file, h5py.File(file, "r") as archive:
            archive.visititems(visit)
    except OSError as error:
        raise ConfigError(f"{path} is no HDF5 file, or is cut short: {error}") from None
    return tensors


def _blocks(path: str, name: str, stored_as: str) -> Any:
    def blocks() -> Iterator[np.ndarray]:
        import h5py
        import ml_dtypes

        files, inner = filesystem(path)
        with files.open(inner, "rb") as file, h5py.File(file, "r") as archive:
            dataset = archive[name]
            rows = rows_per_block(dataset.shape, dataset.dtype.itemsize)
            for begin in range(0, dataset.shape[0], rows):
                block = dataset[begin : begin + rows]
                yield block.view(ml_dtypes.bfloat16) if stored_as == "bfloat16" else block

    return blocks


def _flat_names(stated: Any) -> Iterator[str]:
    """File names in a `weight_map`, whose values are names or lists of them."""
    for value in stated.values():
        yield from [value] if isinstance(value, str) else value
