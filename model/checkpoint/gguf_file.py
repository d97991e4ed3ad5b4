"""GGUF, llama.cpp's one-file format: its header read here, its numbers dequantized by the `gguf` package.

Matrices are stored [out, in] as ours are, quantized or not; norms are stored as 1 + scale,
so 1 is taken off. Rows are dequantized a block at a time, in any type that the package
dequantizes (F32, F16, BF16, Q8_0 and most K-quants), from a disk or a bucket. The vocabulary inside
(`gguf_vocabulary.py`) is used where no `tokenizer.model` lies beside the file.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import numpy as np

from model.checkpoint.format import Format, only_file
from model.checkpoint.gguf_header import Header, TensorPlace, check_layout, read_header
from model.checkpoint.gguf_vocabulary import read_gguf_vocabulary
from model.checkpoint.instruction import check_template
from model.checkpoint.stored import Checkpoint, Entry, StoredTensor, list_checkpoint, rows_per_block, without_spare_rows
from model.config import GemmaConfig
from model.errors import ConfigError, reading, shown
from model.storage import file_size, filesystem, read_range
from model.weights import block_weight_names, weight_shape

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
    "q_norm": "attn_q_norm",
    "k_norm": "attn_k_norm",
    "post_attention_norm": "post_attention_norm",
    "post_mlp_norm": "post_ffw_norm",
}

# Architectures -> generation, and what llama.cpp knows without the file's saying so: how many layers there are from
# one without a window to the next, and which model (by its layers) scales queries by another number than head_dim.
_ARCHITECTURES = {"gemma": 1, "gemma2": 2, "gemma3": 3}
_LAYERS_A_PATTERN = {2: 2, 3: 6}
_LAYERS_OF_27B = {2: 46, 3: 62}
_LOCAL_ROPE_BASE = 10_000.0


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
    """Every tensor of a model in this layout."""
    found = {"token_embd.weight": Entry(weight_shape("embedding", config), {("embedding",): None})}
    for i in range(config.num_layers):
        for ours in block_weight_names(config):
            take = _less_one if ours.endswith("norm") else None
            found[f"blk.{i}.{_BLOCK_TENSORS[ours]}.weight"] = Entry(
                weight_shape(ours, config), {("blocks", i, ours): take}
            )
    found["output_norm.weight"] = Entry(weight_shape("final_norm", config), {("final_norm",): _less_one})
    return found


def _less_one(norm: np.ndarray) -> np.ndarray:
    return norm - 1.0


def _config(header: Header, source: str) -> GemmaConfig:
    def value(name: str, default: Any = None) -> Any:
        found = header.metadata.get(name, default)
        if found is None:
            raise ConfigError(f"{source} doesn't state {name}")
        return found

    architecture = value("general.architecture")
    generation = _ARCHITECTURES.get(architecture) if isinstance(architecture, str) else None
    if generation is None:
        names = ", ".join(f"{name!r} (Gemma {number})" for name, number in _ARCHITECTURES.items())
        raise ConfigError(f"{source} holds a model of architecture {shown(architecture)}; supported are {names}")
    embedding = header.tensors.get("token_embd.weight")

    def of_model(name: str, default: Any = None) -> Any:
        return value(f"{architecture}.{name}", default)

    config = GemmaConfig(
        num_layers=of_model("block_count"),
        d_model=of_model("embedding_length"),
        d_ff=of_model("feed_forward_length"),
        num_heads=of_model("attention.head_count"),
        num_kv_heads=of_model("attention.head_count_kv"),
        head_dim=of_model("attention.key_length"),
        vocab_size=embedding.shape[0] if embedding else 256_000,
        context_length=of_model("context_length", 8192),
        norm_eps=of_model("attention.layer_norm_rms_epsilon", 1e-6),
        rope_base=of_model("rope.freq_base", 1_000_000.0 if generation == 3 else 10_000.0),
        is_instruction_tuned=check_template(header.metadata.get("tokenizer.chat_template"), source),
    )
    return config if generation == 1 else replace(config, **_later(config, generation, of_model, source))


def _later(config: GemmaConfig, generation: int, of_model: Callable[..., Any], source: str) -> dict[str, Any]:
    """The fields that Gemma 1 doesn't have."""
    num_windowed = _LAYERS_A_PATTERN[generation] - 1
    pattern = (*(True,) * num_windowed, False)[: config.num_layers]
    is_27b = config.num_layers == _LAYERS_OF_27B[generation]
    found: dict[str, Any] = {
        "query_scalar": config.d_model / config.num_heads if is_27b else config.head_dim,
        "window": of_model("attention.sliding_window"),
        "window_pattern": pattern,
        "has_qk_norms": generation == 3,
        "has_post_norms": True,
    }
    if generation == 2:
        found["attention_cap"] = of_model("attn_logit_softcapping", 50.0)
        found["final_cap"] = of_model("final_logit_softcapping", 30.0)
        return found
    if (kind := of_model("rope.scaling.type", "none")) not in ("none", "linear"):
        raise ConfigError(f"{source} states rope.scaling.type={shown(kind)}; supported are none, linear")
    found["local_rope_base"] = of_model("rope.freq_base_swa", _LOCAL_ROPE_BASE)
    found["rope_scale"] = of_model("rope.scaling.factor", 1.0) if kind == "linear" else 1.0
    return found


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
