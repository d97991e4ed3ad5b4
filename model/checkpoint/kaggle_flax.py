"""Kaggle's Flax files: an Orbax checkpoint of DeepMind's layout, read with TensorStore alone.

Each array is a Zarr array named like `transformer/layer_0/attn/q_einsum.w` (a `.` before the
last part), lying in a folder of its own or, in newer files, in an OCDBT database that fills the
folder (`manifest.ocdbt`, `d/`). TensorStore opens both, locally or in `gs://`; Orbax itself would
start JAX. Arrays are decompressed in blocks of rows where `zarr_chunks` can; else TensorStore reads
them in whole chunks, each held encoded and decoded for that moment.
"""

from __future__ import annotations

import posixpath
from collections.abc import Collection, Iterator
from typing import Any

import numpy as np

from model.checkpoint.deepmind import from_flat
from model.checkpoint.stored import Checkpoint, StoredTensor, rows_per_block
from model.checkpoint.zarr_chunks import row_blocks
from model.errors import ConfigError
from model.storage import join

KIND = "Kaggle Flax (Orbax)"

_MARKERS = {".zarray": "zarr", "zarr.json": "zarr3"}  # the file that makes a folder an array: TensorStore's driver


def orbax_folder(files: dict[str, int]) -> str | None:
    """The folder (relative; `` for the top) in which an Orbax checkpoint begins, or None."""
    roots = {
        posixpath.dirname(name)
        for name in files
        if posixpath.basename(name) in ("manifest.ocdbt", "_METADATA") and "ocdbt.process_" not in name
    }
    return min(roots, key=len) if roots else None


def open_orbax(folder: str, files: dict[str, int]) -> Checkpoint:
    """List the Orbax checkpoint that begins in `folder`; `files` are the files below it."""
    import tensorstore

    url = folder if "://" in folder else f"file://{posixpath.abspath(folder)}"
    base: Any = {"driver": "ocdbt", "base": f"{url}/"} if "manifest.ocdbt" in files else f"{url}/"
    try:
        store = tensorstore.KvStore.open(base).result()
        keys = {key.decode(): None for key in store.list().result()}
        tensors = {}
        for key in keys:
            place, marker = posixpath.split(key)
            if marker in _MARKERS and place:
                spec = {"driver": _MARKERS[marker], "kvstore": _inside(base, place)}
                tensors[place.replace(".", "/")] = _stored(spec, store, place, keys)
    except (ValueError, OSError) as error:
        raise ConfigError(f"{folder} can't be read as an Orbax checkpoint: {str(error).splitlines()[0]}") from None
    if not tensors:
        raise ConfigError(
            f"{folder} is an Orbax checkpoint without arrays (found {', '.join(list(keys)[:4]) or 'nothing'})"
        )
    return from_flat(KIND, folder, {name.removeprefix("params/"): tensor for name, tensor in tensors.items()})


def _inside(base: Any, place: str) -> Any:
    return {**base, "path": f"{place}/"} if isinstance(base, dict) else join(base, place) + "/"


def _stored(spec: dict[str, Any], store: Any, place: str, keys: Collection[str]) -> StoredTensor:
    import tensorstore

    array = tensorstore.open(spec, read=True).result()
    shape, chunk_rows = tuple(array.shape), int((array.chunk_layout.read_chunk.shape or (1,))[0] or 1)
    if spec["driver"] == "zarr":
        metadata = array.spec().to_json()["metadata"]
        if streamed := row_blocks(store, place, metadata, array.dtype.numpy_dtype, keys):
            return StoredTensor(shape, array.dtype.name, streamed)

    def blocks() -> Iterator[np.ndarray]:
        rows = rows_per_block(shape, array.dtype.numpy_dtype.itemsize)
        rows = max(chunk_rows, rows // chunk_rows * chunk_rows)
        for begin in range(0, shape[0], rows):
            yield array[begin : min(begin + rows, shape[0])].read().result()

    return StoredTensor(shape, array.dtype.name, blocks)
