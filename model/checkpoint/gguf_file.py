"""GGUF, llama.cpp's one-file format: its header read here, its numbers dequantized by the `gguf` package.

Matrices are stored [out, in] as ours are, quantized or not; norms are stored as 1 + scale,
so 1 is taken off. Rows are dequantized a block at a time, in any type that the package
dequantizes (F32, F16, BF16, Q8_0 and most K-quants), from a disk or a bucket. The vocabulary inside
(`gguf_vocabulary.py`) is used where no `tokenizer.model` lies beside the file.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

import numpy as np

from model.checkpoint.format import Format, only_file
from model.checkpoint.gguf_header import Header, TensorPlace, check_layout, read_header
from model.checkpoint.gguf_vocabulary import read_gguf_vocabulary
from model.checkpoint.instruction import is_template
from model.checkpoint.stored import Checkpoint, Entry, StoredTensor, list_checkpoint, rows_per_block, without_spare_rows
from model.config import GemmaConfig
from model.errors import ConfigError, reading
from model.storage import file_size, filesystem, read_range

KIND = "GGUF"

_DEQUANTIZING_COPIES = 4  # float32 arrays of a block's size that the package holds while it works

# Our name of a block's weight -> the tensor's, in `blk.{i}.`
_BLOCK_TENSORS = {
    "pre_attention_norm": "attn_norm",
    "q_proj": "attn_q",
    "k_proj": "attn_k",
    "v_proj": "attn_v",
    "o_proj": "attn_output",
    "pre_mlp_norm": "ffn_norm",
    "gate_proj": "ffn_gate",
    "up_proj": "ffn_up",
    "down_proj": "ffn_down",
}


def open_gguf(path: str) -> Checkpoint:
    """List the tensors of one file."""
    try:
        import gguf  # noqa: F401 - it dequantizes what is read later
    except ImportError:
        raise ConfigError("reading GGUF needs the gguf package; pip install gguf") from None
    files, inner = filesystem(path)
    size = file_size(path)
    with files.open(inner, "rb") as file, reading(path, KIND):
        header = read_header(file, size)
        kinds = {name: _kind(name, place) for name, place in header.tensors.items()}
        sizes = {name: _rows(place) * _row_bytes(name, place, kinds[name]) for name, place in header.tensors.items()}
        check_layout(header, sizes, size)
    tensors = {name: _stored(path, name, place, kinds[name]) for name, place in header.tensors.items()}
    config = _config(header, path)
    if "token_embd.weight" in tensors:
        config = without_spare_rows(config, tensors["token_embd.weight"].shape[0])
    return list_checkpoint(KIND, path, without_spare_rows(config), tensors, entries)


FORMAT = Format(
    name=KIND,
    recognize=only_file(".gguf"),
    open=open_gguf,
    identity=(".gguf",),
    vocabulary=("tokenizer.model",),
    own_vocabulary=read_gguf_vocabulary,
)


def entries(config: GemmaConfig) -> dict[str, Entry]:
    """Every tensor of a Gemma-1 model in this layout."""
    queries, keys = config.num_heads * config.head_dim, config.num_kv_heads * config.head_dim
    shapes = {
        "q_proj": (queries, config.d_model),
        "k_proj": (keys, config.d_model),
        "v_proj": (keys, config.d_model),
        "o_proj": (config.d_model, queries),
        "gate_proj": (config.d_ff, config.d_model),
        "up_proj": (config.d_ff, config.d_model),
        "down_proj": (config.d_model, config.d_ff),
    }
    found = {"token_embd.weight": Entry((config.vocab_size, config.d_model), {("embedding",): None})}
    for i in range(config.num_layers):
        for ours, theirs in _BLOCK_TENSORS.items():
            take = _less_one if ours.endswith("norm") else None
            shape = shapes.get(ours, (config.d_model,))
            found[f"blk.{i}.{theirs}.weight"] = Entry(shape, {("blocks", i, ours): take})
    found["output_norm.weight"] = Entry((config.d_model,), {("final_norm",): _less_one})
    return found


def _less_one(norm: np.ndarray) -> np.ndarray:
    return norm - 1.0


def _config(header: Header, source: str) -> GemmaConfig:
    def value(name: str, default: Any = None) -> Any:
        found = header.metadata.get(name, default)
        if found is None:
            raise ConfigError(f"{source} doesn't state {name}")
        return found

    if (architecture := value("general.architecture")) != "gemma":
        raise ConfigError(f"{source} holds a model of architecture {architecture!r}; Gemma 1 is 'gemma'")
    embedding = header.tensors.get("token_embd.weight")
    return GemmaConfig(
        num_layers=value("gemma.block_count"),
        d_model=value("gemma.embedding_length"),
        d_ff=value("gemma.feed_forward_length"),
        num_heads=value("gemma.attention.head_count"),
        num_kv_heads=value("gemma.attention.head_count_kv"),
        head_dim=value("gemma.attention.key_length"),
        vocab_size=embedding.shape[0] if embedding else 256_000,
        context_length=value("gemma.context_length", 8192),
        norm_eps=value("gemma.attention.layer_norm_rms_epsilon", 1e-6),
        rope_base=value("gemma.rope.freq_base", 10_000.0),
        is_instruction_tuned=is_template(header.metadata.get("tokenizer.chat_template")),
    )


def _kind(name: str, place: TensorPlace) -> Any:
    """The package's name of a tensor's element type."""
    import gguf

    try:
        kind = gguf.GGMLQuantizationType(place.kind)
    except ValueError:
        raise ConfigError(f"{name} is stored as type {place.kind}, which the gguf package doesn't know") from None
    if kind not in (gguf.GGMLQuantizationType.F32, gguf.GGMLQuantizationType.F16) and not _can_dequantize(kind):
        raise ConfigError(f"{name} is stored as {kind.name}, which the gguf package can't dequantize")
    return kind


def _rows(place: TensorPlace) -> int:
    return math.prod(place.shape[:-1])


def _row_bytes(name: str, place: TensorPlace, kind: Any) -> int:
    import gguf

    block, size = gguf.GGML_QUANT_SIZES[kind]
    if place.shape[-1] % block:
        raise ConfigError(f"{name} has rows of {place.shape[-1]:,}; {kind.name} needs a multiple of {block}")
    return place.shape[-1] // block * size


def _stored(path: str, name: str, place: TensorPlace, kind: Any) -> StoredTensor:
    shape, rows, row_bytes = place.shape, _rows(place), _row_bytes(name, place, kind)

    def blocks() -> Iterator[np.ndarray]:
        import gguf

        # Read, not mapped: mapped pages would count as the process's memory, and could change under the weights.
        step = rows_per_block(shape, 4 * _DEQUANTIZING_COPIES) if len(shape) > 1 else 1
        for begin in range(0, rows, step):
            at, count = place.offset + begin * row_bytes, min(step, rows - begin)
            stored = np.frombuffer(read_range(path, at, at + count * row_bytes), np.uint8).reshape(count, row_bytes)
            block = gguf.dequantize(stored, kind)
            yield block if len(shape) > 1 else block[0]

    return StoredTensor(shape, kind.name, blocks)


def _can_dequantize(kind: Any) -> bool:
    import gguf

    block, size = gguf.GGML_QUANT_SIZES[kind]
    try:
        gguf.dequantize(np.zeros((1, size), np.uint8), kind)
    except NotImplementedError:
        return False
    return block > 0
