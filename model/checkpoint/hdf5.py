"""Datasets of an HDF5 file as tensors: what the file itself holds, whole, in floating point.

HDF5 can say much that is no weight: data in other files (external storage, virtual datasets), data that were never
written and count as zeros, filters that load plugins, chunks larger than any memory. All of that is refused before data
are read. bfloat16 is stored as two opaque bytes with an attribute `dtype`, as Keras does. That attribute is never read:
it is a text in a heap of the file, and HDF5 2.0.0 loops for good if a size there is off.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from typing import Any

import ml_dtypes
import numpy as np

from model.checkpoint.stored import StoredTensor, rows_per_block
from model.errors import ConfigError
from model.storage import file_size, filesystem

_FLOATS = ("float64", "float32", "float16", "bfloat16")
_TWO_OPAQUE_BYTES = np.dtype("V2")
_FILTERS = {1: "deflate", 2: "shuffle", 3: "fletcher32"}  # HDF5's own, that need no plugin
_MOST_PER_BYTE = 1032  # the most that a byte of deflate can stand for


def list_hdf5(path: str) -> dict[str, StoredTensor]:
    """Every dataset of a file by its full name; links to other files are not followed.

    Raises:
        ConfigError: The file is no HDF5, is cut short, or a dataset isn't a whole array of its own.
    """
    import h5py  # type: ignore[import-untyped]

    tensors: dict[str, StoredTensor] = {}
    size = file_size(path)

    def visit(name: str | bytes, item: Any) -> None:
        if isinstance(name, bytes):
            raise ConfigError(f"{path} holds the name {name!r}, which is no UTF-8")
        if isinstance(item, h5py.Dataset):
            stored_as = _checked(f"{path}: {name}", item, size)
            tensors[name] = StoredTensor(tuple(item.shape), stored_as, _blocks(path, name, stored_as))

    files, inner = filesystem(path)
    try:
        with files.open(inner, "rb") as file, h5py.File(file, "r") as archive:
            archive.visititems(visit)
    except OSError as error:
        raise ConfigError(f"{path} is no HDF5 file, or is cut short: {error}") from None
    return tensors


def _checked(where: str, dataset: Any, file_bytes: int) -> str:
    """The name of the dataset's element type. Raises ConfigError unless its data are all there, in this file."""
    if dataset.shape is None:
        raise ConfigError(f"{where} has no data; accepted: arrays of {', '.join(_FLOATS)}")
    if dataset.external or dataset.is_virtual:
        raise ConfigError(f"{where} has its data in other files, which are never read")
    is_bfloat16 = dataset.dtype == _TWO_OPAQUE_BYTES and "dtype" in dataset.attrs
    stored_as: str = "bfloat16" if is_bfloat16 else dataset.dtype.name
    if stored_as not in _FLOATS:
        raise ConfigError(f"{where} holds {dataset.dtype}; accepted: {', '.join(_FLOATS)}")
    needed = math.prod(dataset.shape) * dataset.dtype.itemsize
    stored = dataset.id.get_storage_size()
    if stored > file_bytes:
        raise ConfigError(f"{where} claims {stored:,} stored bytes; the file has {file_bytes:,}")
    if dataset.chunks is None:
        if stored != needed:
            raise ConfigError(f"{where} has {stored:,} bytes, {list(dataset.shape)} of {stored_as} needs {needed:,}")
    else:
        _check_chunks(where, dataset, needed, stored)
    return stored_as


def _check_chunks(where: str, dataset: Any, needed: int, stored: int) -> None:
    filters = dataset.id.get_create_plist()
    used = [filters.get_filter(number)[0] for number in range(filters.get_nfilters())]
    if unknown := [number for number in used if number not in _FILTERS]:
        raise ConfigError(
            f"{where} is stored with HDF5's filter {unknown[0]}; accepted: {', '.join(_FILTERS.values())}"
        )
    shape, chunk = dataset.shape, dataset.chunks
    if any(step > size for step, size in zip(chunk, shape, strict=True)):
        raise ConfigError(f"{where} is cut into chunks of {list(chunk)}, larger than its shape {list(shape)}")
    expected = math.prod(-(-size // step) for size, step in zip(shape, chunk, strict=True))
    if (found := dataset.id.get_num_chunks()) != expected:
        raise ConfigError(f"{where} has {found:,} of the {expected:,} chunks that {list(shape)} needs")
    if needed > stored * _MOST_PER_BYTE:
        raise ConfigError(f"{where} claims {needed:,} bytes in {stored:,} stored ones")


def _blocks(path: str, name: str, stored_as: str) -> Callable[[], Iterator[np.ndarray]]:
    def blocks() -> Iterator[np.ndarray]:
        import h5py

        files, inner = filesystem(path)
        with files.open(inner, "rb") as file, h5py.File(file, "r") as archive:
            dataset = archive[name]
            rows = rows_per_block(dataset.shape, dataset.dtype.itemsize)
            for begin in range(0, dataset.shape[0], rows):
                block = dataset[begin : begin + rows]
                yield block.view(ml_dtypes.bfloat16) if stored_as == "bfloat16" else block

    return blocks
