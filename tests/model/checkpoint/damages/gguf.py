"""Damages of GGUF files, written byte by byte."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np

from tests.model.checkpoint.damages.kinds import Damage, cut, dangling, pipe, sparse
from tests.model.checkpoint.written import TINY, gguf_arrays

FILE = "tiny.gguf"
damage = partial(Damage, base="gguf")
U32, I32, F32, BOOL, TEXT, LIST, U64 = 4, 5, 6, 7, 8, 9, 10

Value = tuple[int, bytes]


def u32(value: int) -> Value:
    return U32, struct.pack("<I", value)


def u64(value: int) -> Value:
    return U64, struct.pack("<Q", value)


def f32(value: float) -> Value:
    return F32, struct.pack("<f", value)


def text(value: bytes, length: int | None = None) -> Value:
    return TEXT, struct.pack("<Q", len(value) if length is None else length) + value


def listed(kind: int, length: int, content: bytes = b"") -> Value:
    return LIST, struct.pack("<IQ", kind, length) + content


KEYS: dict[str, Value] = {
    "general.architecture": text(b"gemma"),
    "gemma.block_count": u32(TINY.num_layers),
    "gemma.context_length": u32(TINY.context_length),
    "gemma.embedding_length": u32(TINY.d_model),
    "gemma.feed_forward_length": u32(TINY.d_ff),
    "gemma.attention.head_count": u32(TINY.num_heads),
    "gemma.attention.head_count_kv": u32(TINY.num_kv_heads),
    "gemma.attention.key_length": u32(TINY.head_dim),
    "gemma.attention.layer_norm_rms_epsilon": f32(1e-6),
    "tokenizer.ggml.tokens": listed(TEXT, 2, b"".join(struct.pack("<Q", 1) + c for c in (b"a", b"b"))),
    "tokenizer.ggml.scores": listed(F32, 2, bytes(8)),
}


class File:
    """A file whose every part can be changed before it is written."""

    def __init__(self) -> None:
        self.magic, self.version = b"GGUF", 3
        self.keys = list(KEYS.items())
        self.arrays = gguf_arrays(TINY)
        self.infos: dict[str, dict] = {}
        self.num_tensors: int | None = None
        self.num_keys: int | None = None
        at = 0
        for name, array in self.arrays.items():
            self.infos[name] = {
                "name": name.encode(),
                "sizes": array.shape[::-1],
                "axes": array.ndim,
                "kind": 0,
                "at": at,
            }
            at += -(-array.nbytes // 32) * 32

    def set(self, key: str, value: Value) -> None:
        self.keys = [(name, value if name == key else old) for name, old in self.keys]
        if key not in KEYS:
            self.keys.append((key, value))

    def content(self) -> bytes:
        parts = [self.magic, struct.pack("<I", self.version)]
        num_tensors = len(self.infos) if self.num_tensors is None else self.num_tensors
        parts.append(struct.pack("<QQ", num_tensors, len(self.keys) if self.num_keys is None else self.num_keys))
        for name, (kind, value) in self.keys:
            parts.append(struct.pack("<Q", len(name)) + name.encode() + struct.pack("<I", kind) + value)
        for info in self.infos.values():
            parts.append(struct.pack("<Q", info.get("length", len(info["name"]))) + info["name"])
            parts.append(struct.pack("<I", info["axes"]) + struct.pack(f"<{len(info['sizes'])}Q", *info["sizes"]))
            parts.append(struct.pack("<IQ", info["kind"], info["at"]))
        header = b"".join(parts)
        data = b"".join(array.tobytes().ljust(-(-array.nbytes // 32) * 32, b"\0") for array in self.arrays.values())
        return header.ljust(-(-len(header) // 32) * 32, b"\0") + data


def rebuilt(change: Callable[[File], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        file = File()
        change(file)
        (folder / FILE).write_bytes(file.content())

    return apply


def key(name: str, value: Value) -> Callable[[Path], object]:
    return rebuilt(lambda file: file.set(name, value))


def tensor(name: str = "blk.0.ffn_up.weight", **values: object) -> Callable[[Path], object]:
    return rebuilt(lambda file: file.infos[name].update(values))


def attribute(**values: object) -> Callable[[Path], object]:
    return rebuilt(lambda file: file.__dict__.update(values))


def shifted(by: int) -> Callable[[Path], object]:
    return rebuilt(
        lambda file: file.infos["blk.1.ffn_up.weight"].update(at=file.infos["blk.1.ffn_up.weight"]["at"] + by)
    )


def nan(file: File) -> None:
    file.arrays["blk.1.attn_q.weight"][-1, -1] = np.nan


def one_name_twice(file: File) -> None:
    file.infos["blk.0.ffn_up.weight"]["name"] = b"blk.0.ffn_gate.weight"


DAMAGES = [
    damage("built by hand", apply=rebuilt(lambda file: None), message=None),
    damage("empty file", apply=cut(FILE, 0), message="is no GGUF file"),
    damage("five bytes", apply=cut(FILE, 5), message="is no GGUF file"),
    damage("cut in the metadata", apply=cut(FILE, 200), message="is no GGUF file, or is cut short"),
    damage("cut in the list of tensors", apply=cut(FILE, 1100), message="is no GGUF file, or is cut short"),
    damage("cut in the data", apply=cut(FILE, -4), message="is cut short: it has"),
    damage("another magic", apply=attribute(magic=b"GGML"), message="begins with b'GGML'"),
    damage("version 99", apply=attribute(version=99), message="version 99"),
    damage("big-endian", apply=attribute(version=3 << 24), message="version 50331648"),
    damage("2^62 tensors", apply=attribute(num_tensors=1 << 62), message="claims 4,611,686,018,427,387,904 tensors"),
    damage("2^62 keys", apply=attribute(num_keys=1 << 62), message="claims 4,611,686,018,427,387,904 metadata keys"),
    damage("no tensors", apply=attribute(num_tensors=0), message="it has 0 tensors"),
    damage("fewer tensors than there are", apply=attribute(num_tensors=5), message="5 tensors|missing|ends at"),
    damage("more tensors than there are", apply=attribute(num_tensors=21), message="tiny.gguf"),
    damage("more keys than there are", apply=attribute(num_keys=14), message="tiny.gguf"),
    damage(
        "text of 2^62 bytes", apply=key("general.architecture", text(b"gemma", 1 << 62)), message="claims a text of"
    ),
    damage("text longer than the file", apply=key("general.name", text(b"a", 500_000)), message="cut short"),
    damage(
        "text that is no UTF-8", apply=key("general.architecture", text(b"\xff\xfe")), message="can't be read as GGUF"
    ),
    damage("list of 2^40 numbers", apply=key("a", listed(U32, 1 << 40)), message="it needs 4,398,046,511,104 more"),
    damage("list of 2^63 bytes", apply=key("a", listed(0, 1 << 63)), message="it needs"),
    damage(
        "list of 2^40 texts", apply=key("a", listed(TEXT, 1 << 40)), message="claims a list of 1,099,511,627,776 texts"
    ),
    damage(
        "list of a text of 2^63 bytes", apply=key("a", listed(TEXT, 1, struct.pack("<Q", 1 << 63))), message="needs"
    ),
    damage("list of lists", apply=key("a", listed(LIST, 1, listed(LIST, 1)[1] * 9)), message="has metadata of type 9"),
    damage("list of an unknown type", apply=key("a", listed(77, 1)), message="has metadata of type 77"),
    damage("value of an unknown type", apply=key("a", (99, b"")), message="has metadata of type 99"),
    damage("a key twice", apply=rebuilt(lambda f: f.keys.append(f.keys[1])), message="key gemma.block_count twice"),
    damage("a tensor twice", apply=rebuilt(one_name_twice), message="tensor blk.0.ffn_gate.weight twice"),
    damage("tensor of no axes", apply=tensor(axes=0, sizes=()), message="states 0 axes"),
    damage("tensor of 2^31 axes", apply=tensor(axes=1 << 31), message="states 2147483648 axes"),
    damage("tensor of 2^62 rows", apply=tensor(sizes=(32, 1 << 62)), message="states the sizes"),
    damage("tensor of 2^50 rows", apply=tensor(sizes=(32, 1 << 50)), message="cut short|begins at byte"),
    damage("tensor without rows", apply=tensor(sizes=(32, 0)), message="states the sizes"),
    damage("tensor name of 2^62 bytes", apply=tensor(length=1 << 62), message="claims a text"),
    damage(
        "tensor of an unknown type", apply=tensor(kind=255), message="type 255, which the gguf package doesn't know"
    ),
    damage("tensor of whole numbers", apply=tensor(kind=26), message="I32, which the gguf package can't dequantize"),
    damage("rows that no block divides", apply=tensor("blk.0.attn_norm.weight", kind=12), message="a multiple of 256"),
    damage("tensor of another type", apply=tensor(kind=1), message="begins at byte"),
    damage("offset of 2^62", apply=tensor(at=1 << 62), message="begins at byte|cut short"),
    damage("overlapping offsets", apply=shifted(-32), message="begins at byte .*, the tensor before it ends at"),
    damage("gap between offsets", apply=shifted(32), message="begins at byte .*, the tensor before it ends at"),
    damage("unaligned offset", apply=shifted(1), message="begins at byte"),
    damage("alignment 0", apply=key("general.alignment", u32(0)), message="states an alignment of 0"),
    damage("alignment 3", apply=key("general.alignment", u32(3)), message="states an alignment of 3"),
    damage("alignment 2^40", apply=key("general.alignment", u64(1 << 40)), message="states an alignment of 1099"),
    damage("alignment in text", apply=key("general.alignment", text(b"32")), message="states an alignment of '32'"),
    damage("2^62 layers", apply=key("gemma.block_count", u64(1 << 62)), message="num_layers is 4611686018427387904"),
    damage(
        "a million layers", apply=key("gemma.block_count", u32(10**6)), message="1,000,000 layers; it has 20 tensors"
    ),
    damage("layers in text", apply=key("gemma.block_count", text(b"2")), message="num_layers is '2'"),
    damage(
        "layers in a list", apply=key("gemma.block_count", listed(U32, 1, bytes(4))), message="doesn't state gemma.bl"
    ),
    damage(
        "negative context",
        apply=key("gemma.context_length", (I32, struct.pack("<i", -1))),
        message="context_length is -1",
    ),
    damage("eps NaN", apply=key("gemma.attention.layer_norm_rms_epsilon", f32(np.nan)), message="norm_eps is nan"),
    damage("eps in text", apply=key("gemma.attention.layer_norm_rms_epsilon", text(b"1")), message="norm_eps is '1'"),
    damage("another architecture", apply=key("general.architecture", text(b"llama")), message="architecture 'llama'"),
    damage("architecture a number", apply=key("general.architecture", u32(7)), message="architecture 7"),
    damage("width of 2^31 - 1", apply=key("gemma.embedding_length", u32(2**31 - 1)), message="of another shape"),
    damage("NaN in a matrix", apply=rebuilt(nan), message="blk.1.attn_q.weight: holds numbers that aren't finite"),
    damage("a pipe", apply=pipe(FILE), message="is a pipe", target=FILE),
    damage("a link to nothing", apply=dangling(FILE), message="there is no (file|checkpoint)"),
    damage("all zeros", apply=lambda f: ((f / FILE).write_bytes(b""), sparse(FILE, 1 << 40)(f)), message="begins with"),
]
