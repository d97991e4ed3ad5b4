"""Damages of Keras' HDF5 files, alone and several with an index."""

from __future__ import annotations

import json
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import h5py
import numpy as np

from tests.model.checkpoint.damages.huggingface import DEEP, json_file
from tests.model.checkpoint.damages.kinds import Damage, changed, cut, dangling, pipe, sparse, write

FILE, INDEX = "model.weights.h5", "model.weights.json"
FIRST, SECOND = "model_00000.weights.h5", "model_00001.weights.h5"
UP = "layers/gemma_decoder_block/gating_ffw_2/vars/0"  # [32, 64]

one = partial(Damage, base="keras")
several = partial(Damage, base="keras_several")


def dataset(make: Callable[[h5py.File], object]) -> Callable[[Path], object]:
    """Removes one dataset, and makes it anew in another way."""

    def apply(folder: Path) -> None:
        with h5py.File(folder / FILE, "a") as file:
            del file[UP]
            make(file)

    return apply


def inside(change: Callable[[h5py.File], object]) -> Callable[[Path], object]:
    def apply(folder: Path) -> None:
        with h5py.File(folder / FILE, "a") as file:
            change(file)

    return apply


def external(folder: Path) -> None:
    (folder / "outside").write_bytes(np.ones((32, 64), np.float32).tobytes())
    make = dataset(lambda f: f.create_dataset(UP, (32, 64), np.float32, external=[(str(folder / "outside"), 0, 8192)]))
    make(folder)


def virtual(folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["up"] = np.ones((32, 64), np.float32)
    layout = h5py.VirtualLayout((32, 64), np.float32)
    layout[:] = h5py.VirtualSource(str(folder / "other.h5"), "up", (32, 64))
    dataset(lambda f: f.create_virtual_dataset(UP, layout))(folder)


def linked_outside(folder: Path) -> None:
    with h5py.File(folder / "other.h5", "w") as other:
        other["up"] = np.ones((32, 64), np.float32)
    dataset(lambda f: f.__setitem__(UP, h5py.ExternalLink(str(folder / "other.h5"), "up")))(folder)


def chunk_left_out(file: h5py.File) -> None:
    file.create_dataset(UP, (32, 64), np.float32, chunks=(16, 64))[:16] = 1.0


def number(value: float) -> Callable[[Path], object]:
    return inside(lambda file: file[UP].__setitem__((31, 63), value))


def heap_without_end(folder: Path) -> None:
    """A text of its own length, as Keras writes element types, in a heap that states a size near 2^64 for another."""
    inside(lambda file: [file[UP].attrs.update(a="b", dtype="float32")])(folder)
    content = bytearray((folder / FILE).read_bytes())
    first = content.index(b"GCOL") + 16  # an object's head: number, references, and its size in 8 bytes
    content[first + 8 : first + 16] = (2**64 - 16).to_bytes(8, "little")
    (folder / FILE).write_bytes(content)


def made(**settings: Any) -> Callable[[Path], object]:
    return dataset(lambda file: file.create_dataset(UP, **settings))


def map_to(*names: Any) -> Callable[[Path], object]:
    return write(
        INDEX, json.dumps({"weight_map": {f"/layers/{i}/vars": name for i, name in enumerate(names)}}).encode()
    )


def in_both(folder: Path) -> None:
    with h5py.File(folder / FIRST) as first, h5py.File(folder / SECOND, "a") as second:
        name = "layers/gemma_decoder_block_1/ffw_linear/vars/0"
        second[name] = first[name][:]


ONES = np.ones((32, 64), np.float32)

DAMAGES = [
    one("empty file", apply=cut(FILE, 0), message="is no HDF5 file, or is cut short"),
    one(
        "a name that is no UTF-8",
        apply=changed(FILE, lambda c: c.replace(b"gating_ffw_2", b"gating_ffw\xff2")),
        message="no UTF-8",
    ),
    one("cut in the beginning", apply=cut(FILE, 1000), message="is no HDF5 file, or is cut short"),
    one("cut by 100 bytes", apply=cut(FILE, -100), message="is no HDF5 file, or is cut short"),
    one("another signature", apply=changed(FILE, lambda c: b"x" + c[1:]), message="is no HDF5 file"),
    one("zeros", apply=write(FILE, bytes(4096)), message="is no HDF5 file"),
    one(
        "a dataset missing",
        apply=inside(lambda f: f.__delitem__(UP)),
        message=r"1 missing \(gemma_decoder_block/gating",
    ),
    one(
        "a dataset too many",
        apply=inside(lambda f: f.__setitem__("layers/a/vars/0", ONES)),
        message=r"1 unexpected \(a\)",
    ),
    one("the same name twice", apply=inside(lambda f: f.__setitem__(f"x/{UP}", ONES)), message="gating_ffw_2 twice"),
    one("another shape", apply=made(data=ONES.T), message=r"is \[64, 32\], not \[32, 64\]"),
    one("no shape", apply=made(data=np.float32(1)), message=r"is \[\], not"),
    one(
        "empty",
        apply=dataset(lambda f: f.create_dataset(UP, data=h5py.Empty("f"))),
        message="gating_ffw_2/vars/0 has no data",
    ),
    one("whole numbers", apply=made(data=ONES.astype(np.int32)), message="holds int32; accepted: float64"),
    one("texts", apply=made(data=np.array([b"ab"] * 32)), message="accepted: float64"),
    one("records", apply=made(data=np.zeros(32, [("a", "f4"), ("b", "f4")])), message="accepted: float64"),
    one(
        "said to be bfloat16",
        apply=inside(lambda f: f[UP].attrs.update(dtype="bfloat16")),
        message=None,
    ),
    one("type in a number", apply=inside(lambda f: f[UP].attrs.update(dtype=7)), message=None),
    one("never written", apply=made(shape=(32, 64), dtype=np.float32), message="has 0 bytes, .* needs 8,192"),
    one("2^50 rows, never written", apply=made(shape=(1 << 50, 64), dtype=np.float32), message="has 0 bytes"),
    one("a chunk left out", apply=dataset(chunk_left_out), message="has 1 of the 2 chunks"),
    one(
        "2^50 rows in chunks", apply=made(shape=(1 << 50, 64), dtype="f4", chunks=(1, 64)), message="has 0 of the 1,125"
    ),
    one(
        "chunks larger than all",
        apply=made(data=ONES, maxshape=(None, 64), chunks=(4096, 64)),
        message="larger than its",
    ),
    one("a filter of others", apply=made(data=ONES, chunks=(16, 64), compression="lzf"), message="filter 32000"),
    one(
        "compressed by gzip", apply=dataset(lambda f: f.create_dataset("n", data=ONES, compression="gzip")), message="n"
    ),
    one("data in another file", apply=external, message="has its data in other files, which are never read"),
    one("data of another file", apply=virtual, message="has its data in other files, which are never read"),
    one("link to another file", apply=linked_outside, message=r"1 missing \(gemma_decoder_block/gating"),
    one("link to nothing", apply=dataset(lambda f: f.__setitem__(UP, h5py.SoftLink("/a"))), message="1 missing"),
    one("NaN in a matrix", apply=number(np.nan), message="gating_ffw_2: holds numbers that aren't finite"),
    one("infinity in a matrix", apply=number(np.inf), message="aren't finite"),
    one("a heap without an end", apply=heap_without_end, message=None),
    one("a pipe", apply=pipe(FILE), message="is a pipe", target=FILE),
    one("a link to nothing", apply=dangling(FILE), message="there is no file"),
    one("2^40 bytes of nothing behind", apply=sparse(FILE, 1 << 40), message=None),
    several(
        "index in a folder above",
        apply=map_to("../model.weights.h5"),
        message=r"names the file '\.\./model.weights.h5'",
    ),
    several("index to a place of its own", apply=map_to("/etc/hostname"), message="names the file '/etc/hostname'"),
    several("index to a folder", apply=map_to("a/b.weights.h5"), message="names the file 'a/b.weights.h5'"),
    several("index to another kind", apply=map_to("config.json"), message="names the file 'config.json'"),
    several("index to a null byte", apply=map_to("a\0.weights.h5"), message="names the file"),
    several("index to no file", apply=map_to("a.weights.h5", FIRST, SECOND), message="there is no file .*a.weights.h5"),
    several("index to numbers", apply=map_to(7, [8]), message="names the file '7'"),
    several("index without a map", apply=write(INDEX, b"{}"), message="names the file 'None'"),
    several("index of nothing", apply=write(INDEX, b'{"weight_map": {}}'), message="names 0 files, and not model_0000"),
    several("index that is no JSON", apply=write(INDEX, b"{"), message="json is no JSON"),
    several("index nested without end", apply=write(INDEX, DEEP), message="json is no JSON"),
    several("index is a pipe", apply=pipe(INDEX), message="is a pipe"),
    several("index that leaves a file out", apply=map_to(SECOND), message="and not model_00000.weights.h5"),
    several("index with more than the map", apply=json_file(INDEX, lambda s: s.update(a=[1])), message=None),
    several("a tensor in both files", apply=in_both, message="which another file of .* holds too"),
    several("a file cut", apply=cut(SECOND, -100), message="00001.weights.h5 is no HDF5 file, or is cut short"),
    several("a file is a pipe", apply=pipe(SECOND), message="is a pipe"),
    several("a file is a link to nothing", apply=dangling(SECOND), message="there is no file .*00001"),
]
