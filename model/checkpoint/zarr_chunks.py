"""Reads the chunks of a Zarr array as they are decompressed, a few rows at a time.

TensorStore decodes a chunk as a whole, and Orbax makes a chunk of a whole array (or of a device's share of it), so
that the largest tensor would stand in memory encoded and decoded. Here the encoded bytes are fetched in ranges and
decompressed as they come:

    key-value store --ranges of 4 MB--> zstd --> rows of at most `BLOCK_BYTES`

That takes Zarr version 2, zstd or no compression, C order, and chunks that cut the first axis alone: what Orbax writes
for one host, and so what Kaggle publishes. Specification: zarr-specs.readthedocs.io, storage version 2.
"""

from __future__ import annotations

import io
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import numpy as np
import zstandard

from model.checkpoint.stored import rows_per_block
from model.errors import ConfigError

_RANGE_BYTES = 4 << 20


def row_blocks(
    store: Any, place: str, metadata: Mapping[str, Any], dtype: np.dtype, present: Collection[str]
) -> Callable[[], Iterator[np.ndarray]] | None:
    """What reads an array in blocks of rows, or None where its chunks aren't of the kind above.

    Args:
        store: An open `tensorstore.KvStore`, and
        place: the folder in it that holds the array's chunks.
        metadata: What the array's `.zarray` says.
        dtype: Of the elements; NumPy's own parser knows no bfloat16.
        present: The store's keys. A chunk that isn't among them means the fill value, which is left to TensorStore.
    """
    shape, chunk = tuple(metadata["shape"]), tuple(metadata["chunks"])
    compressor = metadata["compressor"]
    is_plain = metadata["order"] == "C" and not metadata["filters"] and not metadata["dtype"].startswith(">")
    if not (is_plain and shape and chunk[1:] == shape[1:] and (compressor or {"id": "zstd"})["id"] == "zstd"):
        return None
    separator = metadata["dimension_separator"]
    numbers = (separator.join([str(i), *("0" for _ in shape[1:])]) for i in range(math.ceil(shape[0] / chunk[0])))
    keys = [f"{place}/{number}" for number in numbers]
    if any(key not in present for key in keys):
        return None

    def blocks() -> Iterator[np.ndarray]:
        for index, key in enumerate(keys):
            rows = min(chunk[0], shape[0] - index * chunk[0])  # the last chunk is stored whole
            value: Any = io.BufferedReader(_StoredValue(store, key), _RANGE_BYTES)
            if compressor is not None:
                value = zstandard.ZstdDecompressor().stream_reader(value, read_across_frames=True)
            try:
                yield from _rows(value, (rows, *shape[1:]), dtype)
            except (ValueError, zstandard.ZstdError) as error:
                raise ConfigError(f"{key} can't be read: {str(error).splitlines()[0]}") from None

    return blocks


def _rows(stream: Any, shape: tuple[int, ...], dtype: np.dtype) -> Iterator[np.ndarray]:
    step = rows_per_block(shape, dtype.itemsize)
    for begin in range(0, shape[0], step):
        block = np.empty((min(step, shape[0] - begin), *shape[1:]), dtype)
        room = block.view(np.uint8).reshape(-1).data
        while room:
            count = stream.readinto(room)
            if not count:
                raise ValueError("it is cut short")
            room = room[count:]
        yield block


class _StoredValue(io.RawIOBase):
    """One value of a key-value store as a file, fetched in ranges."""

    def __init__(self, store: Any, key: str):
        self._store, self._key = store, key
        self._at, self._is_through = 0, False

    def readable(self) -> bool:
        return True

    def readinto(self, room: Any) -> int:
        fetched = b"" if self._is_through else self._next_range(len(room))
        self._at += len(fetched)
        room[: len(fetched)] = fetched
        return len(fetched)

    def _next_range(self, size: int) -> bytes:
        try:
            return self._read(slice(self._at, self._at + size))
        except ValueError:  # a range must not reach beyond the end, which isn't told: what is left is less than a range
            self._is_through = True
            return self._read(slice(self._at, None))

    def _read(self, wanted: slice) -> bytes:
        return self._store.read(self._key, byte_range=wanted).result().value
