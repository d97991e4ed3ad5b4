"""Kaggle's Flax files: an Orbax checkpoint of DeepMind's layout, read with TensorStore alone.

Each array is a Zarr array named like `transformer/layer_0/attn/q_einsum.w` (a `.` before the
last part), lying in a folder of its own or, in newer files, in an OCDBT database that fills the
folder (`manifest.ocdbt`, `d/`). TensorStore opens both, locally or in `gs://`; Orbax itself would
start JAX. Arrays are decompressed in blocks of rows where `zarr_chunks` can; else TensorStore reads
them in whole chunks, each held encoded and decoded for that moment.
"""

from __future__ import annotations

import math
import posixpath
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from model.checkpoint.deepmind import from_flat
from model.checkpoint.format import Format, Listing
from model.checkpoint.stored import Checkpoint, StoredTensor, rename, rows_per_block
from model.checkpoint.zarr_chunks import chunk_keys, row_blocks
from model.errors import ConfigError
from model.storage import join, list_files

KIND = "Kaggle Flax (Orbax)"

_MARKERS = {".zarray": "zarr", "zarr.json": "zarr3"}  # the file that makes a folder an array: TensorStore's driver


_FLOATS = ("float64", "float32", "float16", "bfloat16")
_MOST_PER_BYTE = 40_000  # the most that a byte of zstd can stand for is 32,768


def orbax_folder(listing: Listing) -> str | None:
    """The folder (relative; `` for the top) in which an Orbax checkpoint begins, or None."""
    roots = {
        posixpath.dirname(name)
        for name in listing.files
        if posixpath.basename(name) in ("manifest.ocdbt", "_METADATA") and "ocdbt.process_" not in name
    }
    return min(roots, key=len) if roots and listing.is_folder else None


def open_orbax(folder: str) -> Checkpoint:
    """List the Orbax checkpoint that begins in `folder`."""
    import tensorstore

    files = list_files(folder)
    url = folder if "://" in folder else f"file://{posixpath.abspath(folder)}"
    base: Any = {"driver": "ocdbt", "base": f"{url}/"} if "manifest.ocdbt" in files else f"{url}/"
    store = tensorstore.KvStore.open(base).result()
    keys = {key.decode(): None for key in store.list().result()}
    tensors = {}
    for key in keys:
        place, marker = posixpath.split(key)
        if marker in _MARKERS and place:
            spec = {"driver": _MARKERS[marker], "kvstore": _inside(base, place)}
            tensors[place] = _stored(spec, store, place, keys, sum(files.values()))
    if not tensors:
        raise ConfigError(
            f"{folder} is an Orbax checkpoint without arrays (found {', '.join(list(keys)[:4]) or 'nothing'})"
        )
    return from_flat(KIND, folder, rename(folder, tensors, lambda name: name.replace(".", "/")))


FORMAT = Format(name=KIND, recognize=orbax_folder, open=open_orbax, vocabulary=("tokenizer.model",))


def _inside(base: Any, place: str) -> Any:
    return {**base, "path": f"{place}/"} if isinstance(base, dict) else join(base, place) + "/"


def _stored(spec: dict[str, Any], store: Any, place: str, keys: Collection[str], stored_bytes: int) -> StoredTensor:
    import tensorstore

    array = tensorstore.open(spec, read=True).result()
    shape, dtype = tuple(array.shape), array.dtype
    if dtype.name not in _FLOATS:
        raise ConfigError(f"{place} holds {dtype.name}; accepted: {', '.join(_FLOATS)}")
    needed = math.prod(shape) * dtype.numpy_dtype.itemsize
    if needed > _MOST_PER_BYTE * stored_bytes:
        raise ConfigError(f"{place} states {list(shape)}, {needed:,} bytes; all files together have {stored_bytes:,}")
    metadata = array.spec().to_json()["metadata"]
    chunks = chunk_keys(place, metadata, keys)
    if spec["driver"] == "zarr" and (streamed := row_blocks(store, chunks, metadata, dtype.numpy_dtype)):
        return StoredTensor(shape, dtype.name, streamed)
    chunk_rows = int((array.chunk_layout.read_chunk.shape or (1,))[0] or 1)

    def blocks() -> Iterator[np.ndarray]:
        rows = rows_per_block(shape, dtype.numpy_dtype.itemsize)
        rows = max(chunk_rows, rows // chunk_rows * chunk_rows)
        for begin in range(0, shape[0], rows):
            yield array[begin : min(begin + rows, shape[0])].read().result()

    return StoredTensor(shape, dtype.name, blocks)
