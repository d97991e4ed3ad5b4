"""Damages of the Hugging Face layout: config, index and safetensors."""

from __future__ import annotations

import json
import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import load_file, save_file

from tests.model.checkpoint.damages.kinds import (
    Damage,
    cut,
    dangling,
    endless,
    folder_instead,
    moved_and_linked,
    pipe,
    sparse,
    write,
)

WEIGHTS, CONFIG, INDEX = "model.safetensors", "config.json", "model.safetensors.index.json"
EMBEDDING, NORM = "model.embed_tokens.weight", "model.norm.weight"
UP = "model.layers.0.mlp.up_proj.weight"

one = partial(Damage, base="huggingface")
sharded = partial(Damage, base="sharded")


def header(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    """Changes the JSON header; the data stay."""

    def apply(folder: Path) -> None:
        content = (folder / WEIGHTS).read_bytes()
        (size,) = struct.unpack("<Q", content[:8])
        stated = json.loads(content[8 : 8 + size])
        change(stated)
        raw = json.dumps(stated).encode()
        (folder / WEIGHTS).write_bytes(struct.pack("<Q", len(raw)) + raw + content[8 + size :])

    return apply


def set_in(name: str, **values: Any) -> Callable[[Path], object]:
    return header(lambda stated: stated[name].update(values))


def raw_header(raw: bytes, size: int | None = None) -> Callable[[Path], object]:
    return write(WEIGHTS, struct.pack("<Q", len(raw) if size is None else size) + raw)


def tensors(change: Callable[[dict[str, np.ndarray]], object], file: str = WEIGHTS) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        arrays = {name: array.copy() for name, array in load_file(folder / file).items()}
        change(arrays)
        save_file(arrays, folder / file)

    return apply


def number(value: float, name: str = UP, dtype: Any = np.float32) -> Callable[[Path], object]:
    def change(arrays: dict[str, np.ndarray]) -> None:
        arrays[name] = arrays[name].astype(dtype)
        arrays[name].reshape(-1)[-3] = value

    return tensors(change)


def shifted(by: int) -> Callable[[dict[str, Any]], object]:
    def change(stated: dict[str, Any]) -> None:
        begin, end = stated[NORM]["data_offsets"]
        stated[NORM]["data_offsets"] = [begin + by, end + by]

    return change


def json_file(file: str, change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        stated = json.loads((folder / file).read_text())
        change(stated)
        (folder / file).write_text(json.dumps(stated))

    return apply


def stating(**values: Any) -> Callable[[Path], object]:
    return json_file(CONFIG, lambda stated: stated.update(values))


def config_text(key: str, literal: str) -> Callable[[Path], object]:
    """A value that JSON's own writer wouldn't write."""

    def apply(folder: Path) -> None:
        stated = json.loads((folder / CONFIG).read_text()) | {key: "@"}
        (folder / CONFIG).write_text(json.dumps(stated).replace('"@"', literal))

    return apply


def first_shard(change: Callable[[dict[str, Any], str], object]) -> Callable[[Path], object]:
    return json_file(INDEX, lambda stated: change(stated, next(iter(stated["weight_map"]))))


def in_two_shards(folder: Path) -> None:
    files = sorted(folder.glob("*.safetensors"))
    (name, array), *_ = load_file(files[0]).items()
    save_file(load_file(files[1]) | {name: array}, files[1])


def renamed_to(name: str) -> Callable[[Path], object]:
    return first_shard(lambda stated, first: stated["weight_map"].update({first: name}))


DEEP = b"[" * 200_000
SHAPE = r"must be a whole number from 1 to"

SAFETENSORS = [
    one(
        "header of no bytes", apply=raw_header(b"", 0), message=r"model.safetensors is no safetensors file.*header of 0"
    ),
    one("header of 2^63 bytes", apply=raw_header(b"{}", 1 << 63), message="header of 9223372036854775808 of 10 bytes"),
    one("header longer than the file", apply=raw_header(b"{}", 400), message="header of 400 of 10 bytes"),
    one("empty file", apply=cut(WEIGHTS, 0), message="cut short"),
    one("five bytes", apply=cut(WEIGHTS, 5), message="cut short"),
    one("cut within the header", apply=cut(WEIGHTS, 100), message="cut short"),
    one("cut by one byte", apply=cut(WEIGHTS, -1), message="cut short"),
    one("header that is no JSON", apply=raw_header(b"{nothing"), message="broken safetensors header"),
    one("header that is no UTF-8", apply=raw_header(b'{"\xff\xfe": 1}'), message="broken safetensors header"),
    one("header that is a list", apply=raw_header(b"[]"), message="it is no JSON object"),
    one("header nested without end", apply=raw_header(DEEP), message="broken safetensors header"),
    one("a name twice in the header", apply=raw_header(b'{"a": 1, "a": 2}'), message="a name stands in it twice"),
    one("tensor described by a list", apply=header(lambda h: h.update({UP: [1]})), message="isn't described by dtype"),
    one("tensor without a dtype", apply=header(lambda h: h[UP].pop("dtype")), message="isn't described by dtype"),
    one("negative offset", apply=set_in(UP, data_offsets=[-8192, 0]), message=r"both list sizes|data_offsets"),
    one("overlapping offsets", apply=header(shifted(-64)), message="begins at byte .* the one before it ends at"),
    one("gap between offsets", apply=header(shifted(64)), message="begins at byte|ends at"),
    one("end before begin", apply=set_in(UP, data_offsets=[8192, 0]), message="has -8192 bytes"),
    one("offset of 2^62", apply=set_in(UP, data_offsets=[1 << 62, (1 << 62) + 8192]), message="begins at byte"),
    one("offset in text", apply=set_in(UP, data_offsets=["0", "8192"]), message="both list"),
    one("offset with a fraction", apply=set_in(UP, data_offsets=[0.0, 8192.0]), message="both list"),
    one("offset true", apply=set_in(UP, data_offsets=[False, True]), message="both list"),
    one("three offsets", apply=set_in(UP, data_offsets=[0, 1, 2]), message="both list"),
    one("no offsets", apply=set_in(UP, data_offsets=None), message="both list"),
    one("negative sizes", apply=set_in(UP, shape=[-64, -32]), message="both list"),
    one("shape in text", apply=set_in(UP, shape="64, 32"), message="both list"),
    one("shape of lists", apply=set_in(UP, shape=[[64], [32]]), message="both list"),
    one("shape of 2^62", apply=set_in(UP, shape=[1 << 62, 32]), message="needs 590295810358705651712"),
    one("shape of another order", apply=set_in(UP, shape=[32, 64]), message=r"is \[32, 64\], not \[64, 32\]"),
    one("whole numbers", apply=set_in(UP, dtype="I32"), message="stored as 'I32'; accepted: F64, F32"),
    one("dtype of null", apply=set_in(UP, dtype=None), message="stored as None"),
    one("bytes after the data", apply=lambda f: (f / WEIGHTS).open("ab").write(b"1234"), message="its tensors end at"),
    one("NaN in a matrix", apply=number(np.nan), message=f"{UP}: holds numbers that aren't finite in float32"),
    one("NaN in a norm", apply=number(np.nan, NORM), message="aren't finite"),
    one("infinity in the embedding", apply=number(-np.inf, EMBEDDING), message="aren't finite"),
    one("NaN in bfloat16's place", apply=number(np.nan, UP, np.float16), message="aren't finite"),
    one("a number above float32", apply=number(1e300, UP, np.float64), message="aren't finite in float32"),
    one("a tensor missing", apply=tensors(lambda a: a.pop(NORM)), message=rf"1 missing \({NORM}\)"),
    one(
        "a line feed in a name",
        apply=tensors(lambda a: a.update({"a\nb": a[NORM].copy()})),
        message=r"1 unexpected \(a\\nb\)",
    ),
    one(
        "a name of a megabyte",
        apply=tensors(lambda a: a.update({"a" * (1 << 20): a[NORM].copy()})),
        message="unexpected",
    ),
    one(
        "another head",
        apply=tensors(lambda a: a.update({"lm_head.weight": a[EMBEDDING] + 1})),
        message="lm_head.weight",
    ),
    one("a head twice", apply=tensors(lambda a: a.update({"lm_head.weight": a[EMBEDDING].copy()})), message=None),
    one("weights are a pipe", apply=pipe(WEIGHTS), message="is a pipe, a socket or a device"),
    one("weights are a pipe, named", apply=pipe(WEIGHTS), message="is a pipe", target=WEIGHTS),
    one("weights are a folder", apply=folder_instead(WEIGHTS), message="holds no checkpoint"),
    one("weights are a link to nothing", apply=dangling(WEIGHTS), message="there is no file .*model.safetensors"),
    one("weights never end", apply=endless(WEIGHTS), message="is a pipe, a socket or a device"),
    one("weights behind a link", apply=moved_and_linked(WEIGHTS), message=None),
    one("weights of 2^40 bytes of nothing", apply=sparse(WEIGHTS, 1 << 40), message="its tensors end at"),
]

CONFIGS = [
    one("layers of 2^62", apply=stating(num_hidden_layers=1 << 62), message=SHAPE),
    one("layers of a million", apply=stating(num_hidden_layers=10**6), message="1,000,000 layers; it has 20 tensors"),
    one("no layers", apply=stating(num_hidden_layers=0), message=SHAPE),
    one("negative layers", apply=stating(num_hidden_layers=-2), message=SHAPE),
    one("layers true", apply=stating(num_hidden_layers=True), message=SHAPE),
    one("layers with a fraction", apply=stating(num_hidden_layers=2.0), message=SHAPE),
    one("layers in text", apply=stating(num_hidden_layers="2"), message=SHAPE),
    one("layers null", apply=stating(num_hidden_layers=None), message=SHAPE),
    one("layers a list", apply=stating(num_hidden_layers=[2]), message=SHAPE),
    one(
        "layers missing", apply=json_file(CONFIG, lambda s: s.pop("num_hidden_layers")), message="doesn't state num_hid"
    ),
    one("layers of 400 digits", apply=config_text("num_hidden_layers", "1" + "0" * 400), message=SHAPE),
    one("layers of 10,000 digits", apply=config_text("num_hidden_layers", "1" + "0" * 10**4), message="is no JSON"),
    one("width of 2^31 - 1", apply=stating(hidden_size=2**31 - 1), message="of another shape"),
    one("vocabulary of 2^31 - 1", apply=stating(vocab_size=2**31 - 1), message="of another shape"),
    one("odd head", apply=stating(head_dim=7), message="the rotary embedding needs an even number"),
    one("key heads that don't divide", apply=stating(num_key_value_heads=3), message="can't share 3"),
    one("negative context", apply=stating(max_position_embeddings=-8192), message="context_length is -8192"),
    one("no context", apply=stating(max_position_embeddings=0), message="context_length is 0"),
    one("context in text", apply=stating(max_position_embeddings="8k"), message="context_length is '8k'"),
    one("context of 2^62", apply=stating(max_position_embeddings=1 << 62), message="context_length is 46116860"),
    one("eps in text", apply=stating(rms_norm_eps="1e-6"), message="norm_eps is '1e-6'"),
    one("eps NaN", apply=stating(rms_norm_eps=float("nan")), message="norm_eps is nan"),
    one("eps infinite", apply=stating(rms_norm_eps=float("inf")), message="norm_eps is inf"),
    one("eps negative", apply=stating(rms_norm_eps=-1e-6), message="norm_eps is -1e-06"),
    one("eps null", apply=stating(rms_norm_eps=None), message="norm_eps is None"),
    one("base in text", apply=stating(rope_theta="10000"), message="rope_base is '10000'"),
    one("base negative", apply=stating(rope_theta=-1.0), message="rope_base is -1.0"),
    one("base above any float", apply=config_text("rope_theta", "1e400"), message="rope_base is inf"),
    one("base of 400 digits", apply=config_text("rope_theta", "1" + "0" * 400), message="rope_base is 1000"),
    one("rotation in a list", apply=stating(rope_parameters=["default"]), message="rope_parameters="),
    one(
        "instruction-tuned in text", apply=stating(is_instruction_tuned="yes"), message="is_instruction_tuned is 'yes'"
    ),
    one("another model", apply=stating(model_type=["gemma"]), message="model_type="),
    one("config empty", apply=cut(CONFIG, 0), message="config.json is no JSON"),
    one("config cut", apply=cut(CONFIG, 100), message="config.json is no JSON"),
    one("config a list", apply=write(CONFIG, b"[]"), message="config.json is no JSON object"),
    one("config nested without end", apply=write(CONFIG, DEEP), message="config.json is no JSON"),
    one("config in another encoding", apply=lambda f: (f / CONFIG).write_bytes(b"\xff" * 99), message="is no JSON"),
    one("config a pipe", apply=pipe(CONFIG), message="config.json is a pipe"),
    one("config a folder", apply=folder_instead(CONFIG), message="no config.json"),
    one("config never ends", apply=endless(CONFIG), message="config.json is a pipe, a socket or a device"),
    one("config of 2^40 bytes", apply=sparse(CONFIG, 1 << 40), message="has 1,099,511,627,776 bytes"),
    one("config behind a link", apply=moved_and_linked(CONFIG), message=None),
    one("chat settings that are no JSON", apply=write("tokenizer_config.json", b"{"), message="tokenizer_config.json"),
]

SHARDED = [
    sharded("index in a folder above", apply=renamed_to("../model.safetensors"), message=r"lacks 1 .*\.\./model"),
    sharded("index to a place of its own", apply=renamed_to("/etc/hostname"), message="lacks 1 .*/etc/hostname"),
    sharded("index to no file", apply=renamed_to("model-9.safetensors"), message="lacks 1 .*model-9.safetensors"),
    sharded("index to a null byte", apply=renamed_to("a\0b"), message=r"lacks 1 .*a\\x00b"),
    sharded("index to a list", apply=renamed_to(["a"]), message="no weight_map from tensors to file names"),
    sharded("index to a number", apply=renamed_to(7), message="no weight_map"),
    sharded("index without a map", apply=write(INDEX, b"{}"), message="no weight_map"),
    sharded("index with a list", apply=write(INDEX, b'{"weight_map": []}'), message="no weight_map"),
    sharded("index that is no JSON", apply=write(INDEX, b"{"), message="index.json is no JSON"),
    sharded("index nested without end", apply=write(INDEX, DEEP), message="index.json is no JSON"),
    sharded("index is a pipe", apply=pipe(INDEX), message="index.json is a pipe"),
    sharded("index of nothing", apply=write(INDEX, b'{"weight_map": {}}'), message="it has 0 tensors|missing"),
    sharded("a tensor in two files", apply=in_two_shards, message="holds .*, which another of its files holds too"),
    sharded("a file missing", apply=lambda f: sorted(f.glob("*.safetensors"))[1].unlink(), message="lacks 1 of the"),
    sharded("a file cut", apply=cut("model-00002-of-00003.safetensors", -4), message="00002-of-00003.* is cut short"),
    sharded("a file is a pipe", apply=pipe("model-00002-of-00003.safetensors"), message="is a pipe"),
    sharded("a file behind a link", apply=moved_and_linked("model-00002-of-00003.safetensors"), message=None),
    sharded(
        "a file is a link to nothing", apply=dangling("model-00002-of-00003.safetensors"), message="there is no file"
    ),
]

DAMAGES = [*SAFETENSORS, *CONFIGS, *SHARDED]
