"""Damages of `.npz` files in DeepMind's layout."""

from __future__ import annotations

import io
import struct
import zipfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from tests.model.checkpoint.damages.kinds import Damage, changed, cut, dangling, endless, pipe, write

FILE = "tiny.npz"
LINEAR = "layer_0/mlp/linear"  # [64, 32]
EMBEDDING = "embedder/input_embedding"

stored = partial(Damage, base="npz")
deflated = partial(Damage, base="npz_deflated")


def arrays(change: Callable[[dict[str, Any]], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        with np.load(folder / FILE) as file:
            found = dict(file)
        change(found)
        np.savez(folder / FILE, **found)

    return apply


def member(content: bytes, name: str = LINEAR, **settings: Any) -> Callable[[Path], object]:
    """Replaces one array's file in the zip."""

    def apply(folder: Path) -> None:
        with zipfile.ZipFile(folder / FILE) as archive:
            files = {info.filename: archive.read(info) for info in archive.infolist()}
        with zipfile.ZipFile(folder / FILE, "w", **settings) as archive:
            for file, old in files.items():
                archive.writestr(file, content if file == f"{name}.npy" else old)

    return apply


def npy(array: np.ndarray) -> bytes:
    out = io.BytesIO()
    np.lib.format.write_array(out, array)
    return out.getvalue()


def described(text: str, data: bytes = bytes(64 * 32 * 4), version: bytes = b"\x01\x00") -> bytes:
    """An array file with a header of one's own."""
    line = text.encode() + b"\n"
    size = struct.pack("<H" if version == b"\x01\x00" else "<I", len(line))
    return b"\x93NUMPY" + version + size + line + data


def shaped(shape: str, descr: str = "'<f4'", data: bytes = bytes(64 * 32 * 4)) -> bytes:
    return described(f"{{'descr': {descr}, 'fortran_order': False, 'shape': {shape}}}", data)


def in_directory(offset: int, value: bytes) -> Callable[[Path], object]:
    """Changes the entry of one array in the zip's directory."""

    def change(content: bytes) -> bytes:
        at = content.rindex(f"{LINEAR}.npy".encode()) - 46 + offset
        return content[:at] + value + content[at + len(value) :]

    return changed(FILE, change)


def flipped(content: bytes) -> bytes:
    """One bit in the middle of an array's data."""
    at = content.index(f"{LINEAR}.npy".encode()) + 1500
    return content[:at] + bytes([content[at] ^ 4]) + content[at + 1 :]


def named_twice(folder: Path) -> None:
    with zipfile.ZipFile(folder / FILE, "a") as archive:
        archive.writestr(f"{LINEAR}.npy", npy(np.ones((64, 32), np.float32)))


def number(value: float) -> Callable[[Path], object]:
    return arrays(lambda found: found[LINEAR].__setitem__((-1, -1), value))


ONES = np.ones((64, 32), np.float32)

DAMAGES = [
    stored("empty file", apply=cut(FILE, 0), message="is no .npz, or is cut short"),
    stored("cut in the beginning", apply=cut(FILE, 1000), message="is no .npz, or is cut short"),
    stored("cut by 30 bytes", apply=cut(FILE, -30), message="is no .npz, or is cut short"),
    stored("text", apply=write(FILE, b"text" * 999), message="is no .npz, or is cut short"),
    stored("a bit of the data", apply=changed(FILE, flipped), message=f"{LINEAR} can't be read .*: Bad CRC-32"),
    deflated("a bit of the data, deflated", apply=changed(FILE, flipped), message=LINEAR),
    stored("pickled objects", apply=arrays(lambda a: a.update({LINEAR: np.array([{}])})), message="never read"),
    stored(
        "whole numbers", apply=arrays(lambda a: a.update({LINEAR: ONES.astype(int)})), message="holds int64; accepted"
    ),
    stored("texts", apply=arrays(lambda a: a.update({LINEAR: np.array(["a"])})), message="holds <U1; accepted"),
    stored("records", apply=arrays(lambda a: a.update({LINEAR: np.zeros(9, "f4, f4")})), message="; accepted"),
    stored("another byte order", apply=arrays(lambda a: a.update({LINEAR: a[LINEAR].astype(">f4")})), message=None),
    stored(
        "another order of axes", apply=arrays(lambda a: a.update({LINEAR: np.asfortranarray(a[LINEAR])})), message=None
    ),
    stored("NaN in a matrix", apply=number(np.nan), message=f"{LINEAR}: holds numbers that aren't finite"),
    stored("infinity in a matrix", apply=number(np.inf), message="aren't finite"),
    stored("an array missing", apply=arrays(lambda a: a.pop("final_norm/scale")), message="1 missing"),
    stored("no embedding", apply=arrays(lambda a: a.pop(EMBEDDING)), message=f"has no {EMBEDDING}"),
    stored("no arrays", apply=lambda f: np.savez(f / FILE), message=f"has no {EMBEDDING}; found nothing"),
    stored(
        "embedding of one axis",
        apply=arrays(lambda a: a.update({EMBEDDING: a[EMBEDDING][0]})),
        message="must have 2 axes",
    ),
    stored(
        "embedding of no rows",
        apply=arrays(lambda a: a.update({EMBEDDING: a[EMBEDDING][:0]})),
        message="vocab_size is 0",
    ),
    stored(
        "layer 999,999,999",
        apply=arrays(lambda a: a.update({"layer_999999999/a": ONES})),
        message="1,000,000,000 layers",
    ),
    stored(
        "layer of 5,000 digits",
        apply=arrays(lambda a: a.update({f"layer_{'9' * 5000}/a": ONES})),
        message="1 unexpected",
    ),
    stored(
        "another name of one array", apply=arrays(lambda a: a.update({f"transformer/{LINEAR}": ONES})), message="twice"
    ),
    stored("an array twice", apply=named_twice, message=f"holds {LINEAR} twice"),
    stored("no array", apply=member(b"text"), message="is no array"),
    stored("empty array file", apply=member(b""), message="is no array"),
    stored("header that never ends", apply=member(b"\x93NUMPY\x01\x00\xff\xff{"), message="is no array"),
    stored("header of 4 GB", apply=member(b"\x93NUMPY\x02\x00\xff\xff\xff\xff{"), message="is no array"),
    stored("header that is no dict", apply=member(described("[1, 2]")), message="is no array"),
    stored("header that runs code", apply=member(described("__import__('os').abort()")), message="is no array"),
    stored("header nested without end", apply=member(described("(" * 9000)), message="tiny.npz"),
    stored("version 9", apply=member(described("{}", version=b"\x09\x00")), message="tiny.npz"),
    stored("2^62 rows", apply=member(shaped(f"({1 << 62}, 32)")), message="needs 590,295,810,358,705,65"),
    stored("2^40 rows", apply=member(shaped(f"({1 << 40}, 32)")), message="has 8,2.. bytes, .* needs 140,737,488,35"),
    stored("negative rows", apply=member(shaped("(-64, 32)")), message="sizes can't be negative"),
    stored("two negative sizes", apply=member(shaped("(-64, -32)")), message="sizes can't be negative"),
    stored("rows true", apply=member(shaped("(True, 32)")), message="tiny.npz"),
    stored("rows in text", apply=member(shaped("('64', 32)")), message="is no array"),
    stored("no axes", apply=member(shaped("()", data=bytes(4))), message=r"is \[\], not \[64, 32\]"),
    stored("a thousand axes", apply=member(shaped(str((1,) * 1000), data=bytes(4))), message="another shape"),
    stored("an unknown type", apply=member(shaped("(64, 32)", descr="'<q9'")), message="is no array"),
    stored("fewer numbers than rows", apply=member(shaped("(65, 32)")), message="needs 8,"),
    stored("more numbers than rows", apply=member(shaped("(63, 32)")), message="needs 8,"),
    stored("another compression", apply=member(npy(ONES), compression=zipfile.ZIP_LZMA), message="method 14; accepted"),
    stored("encrypted, it says", apply=in_directory(8, b"\x01\x00"), message="tiny.npz"),
    stored(
        "2^31 bytes, it says", apply=in_directory(24, struct.pack("<I", 1 << 31)), message="claims 2,147,483,648 bytes"
    ),
    stored("another place, it says", apply=in_directory(42, struct.pack("<I", 1 << 30)), message="tiny.npz"),
    stored("a pipe", apply=pipe(FILE), message="is a pipe", target=FILE),
    stored("a link to nothing", apply=dangling(FILE), message="tiny.npz"),
    stored("never ends", apply=endless(FILE), message="is a pipe, a socket or a device"),
]
