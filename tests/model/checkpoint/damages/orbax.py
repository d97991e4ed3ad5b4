"""Damages of Kaggle's Flax files: Orbax, in an OCDBT database and in plain Zarr."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import zstandard

from tests.model.checkpoint.damages.kinds import Damage, changed, cut, dangling, pipe, write

LINEAR = "2b/transformer/layer_0/mlp.linear"  # [64, 32]
CHUNK, ZARRAY = f"{LINEAR}/0.0", f"{LINEAR}/.zarray"

database = partial(Damage, base="ocdbt")
plain = partial(Damage, base="zarr")
unlike = "can't be read as Kaggle Flax"


def stating(**values: Any) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        stated = json.loads((folder / ZARRAY).read_text()) | values
        (folder / ZARRAY).write_text(json.dumps(stated))

    return apply


def chunk_of(array: np.ndarray) -> Callable[[Path], object]:
    return write(CHUNK, zstandard.ZstdCompressor().compress(array.tobytes()))


def largest(folder: Path) -> str:
    """The database's largest file."""
    files = [path for path in (folder / "2b" / "d").iterdir() if path.is_file()]
    return str(max(files, key=lambda path: path.stat().st_size).relative_to(folder))


def of_largest(make: Callable[[str], Callable[[Path], object]]) -> Callable[[Path], object]:
    return lambda folder: make(largest(folder))(folder)


def nan(folder: Path) -> None:
    array = np.ones((64, 32), np.float32)
    array[-1, -1] = np.nan
    chunk_of(array)(folder)


def linked(folder: Path) -> None:
    elsewhere = folder.parent / f"{folder.name}-elsewhere"
    (folder / "2b").rename(elsewhere)
    shutil.copytree(elsewhere, folder / "2b", copy_function=lambda a, b: Path(b).symlink_to(a))


DAMAGES = [
    database("manifest empty", apply=cut("2b/manifest.ocdbt", 0), message=unlike),
    database("manifest cut", apply=cut("2b/manifest.ocdbt", -5), message=unlike),
    database("manifest of text", apply=write("2b/manifest.ocdbt", b"torn"), message=unlike),
    database(
        "a bit of the manifest",
        apply=changed("2b/manifest.ocdbt", lambda c: c[:40] + bytes([c[40] ^ 1]) + c[41:]),
        message=unlike,
    ),
    database("manifest a pipe", apply=pipe("2b/manifest.ocdbt"), message="is a pipe"),
    database("no data", apply=lambda f: shutil.rmtree(f / "2b" / "d"), message=unlike),
    database("the largest file missing", apply=of_largest(lambda name: lambda f: (f / name).unlink()), message=unlike),
    database("the largest file empty", apply=of_largest(lambda name: cut(name, 0)), message=unlike),
    database("the largest file cut", apply=of_largest(lambda name: cut(name, -300)), message=unlike),
    database("the largest file a pipe", apply=of_largest(pipe), message="is a pipe"),
    database(
        "a pipe beside", apply=lambda f: ((f / "2b" / "a").write_bytes(b""), pipe("2b/a")(f)), message="is a pipe"
    ),
    plain(
        "a chunk missing",
        apply=lambda f: (f / CHUNK).unlink(),
        message=r"mlp.linear lacks 1 of its 1 chunks, such as .*/0\.0",
    ),
    plain("a chunk empty", apply=cut(CHUNK, 0), message="0.0 can't be read: it is cut short"),
    plain("a chunk cut", apply=cut(CHUNK, -40), message="0.0 can't be read"),
    plain("a chunk of text", apply=write(CHUNK, b"x" * 4000), message="0.0 can't be read"),
    plain("a chunk too long", apply=chunk_of(np.ones((65, 32), np.float32)), message="it is longer than a chunk"),
    plain("a chunk too short", apply=chunk_of(np.ones((63, 32), np.float32)), message="it is cut short"),
    plain("a chunk without end", apply=chunk_of(np.zeros(1 << 26, np.float32)), message="it is longer than a chunk"),
    plain("a chunk a pipe", apply=pipe(CHUNK), message="is a pipe"),
    plain("a chunk a link to nothing", apply=dangling(CHUNK), message="mlp.linear"),
    plain("all behind links", apply=linked, message=None),
    plain("no metadata", apply=lambda f: (f / ZARRAY).unlink(), message=r"1 missing \(layer_0/mlp/linear\)"),
    plain("metadata empty", apply=cut(ZARRAY, 0), message=unlike),
    plain("metadata cut", apply=cut(ZARRAY, 60), message=unlike),
    plain("metadata a list", apply=write(ZARRAY, b"[]"), message=unlike),
    plain("metadata nested without end", apply=write(ZARRAY, b"[" * 200_000), message=unlike),
    plain("metadata a pipe", apply=pipe(ZARRAY), message="is a pipe"),
    plain("2^40 rows", apply=stating(shape=[1 << 40, 32]), message="all files together have"),
    plain("2^62 rows", apply=stating(shape=[1 << 62, 32]), message="2b"),
    plain(
        "2^25 rows in chunks of one",
        apply=stating(shape=[1 << 25, 32], chunks=[1, 32]),
        message="chunks by its metadata|together",
    ),
    plain("negative rows", apply=stating(shape=[-64, 32]), message=unlike),
    plain("rows in text", apply=stating(shape=["64", 32]), message="2b"),
    plain("another shape", apply=stating(shape=[32, 64], chunks=[32, 64]), message=r"is \[32, 64\], not \[64, 32\]"),
    plain("more rows than the chunk has", apply=stating(shape=[65, 32]), message=r"lacks 1 of its 2 chunks"),
    plain("chunks of nothing", apply=stating(chunks=[0, 32]), message=unlike),
    plain("chunks of 2^40 rows", apply=stating(chunks=[1 << 40, 32]), message="2b"),
    plain("chunks of one axis", apply=stating(chunks=[64]), message=unlike),
    plain("whole numbers", apply=stating(dtype="<i4"), message="holds int32; accepted: float64"),
    plain("objects", apply=stating(dtype="|O"), message=unlike),
    plain("another order", apply=stating(order="X"), message=unlike),
    plain("another compressor", apply=stating(compressor={"id": "none_such"}), message=unlike),
    plain("not compressed, it says", apply=stating(compressor=None), message="it is cut short|longer than a chunk"),
    plain("version 99", apply=stating(zarr_format=99), message=unlike),
    plain("NaN in a matrix", apply=nan, message="layer_0/mlp/linear: holds numbers that aren't finite"),
]
