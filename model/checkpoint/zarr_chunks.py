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
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import zstandard

from model.checkpoint.stored import rows_per_block
from model.errors import ConfigError

_RANGE_BYTES = 4 << 20


def chunk_keys(place: str, metadata: Mapping[str, Any], present: Collection[str]) -> list[str]:
    """The keys of an array's chunks, in C order. To Zarr a chunk that isn't there is zeros; of weights it is lost.

    Args:
        place: The folder in the store that holds the array.
        metadata: What the array's `.zarray` or `zarr.json` says.
        present: The store's keys.

    Raises:
        ConfigError: Some aren't among the store's keys.
    """
    shape = metadata["shape"]
    chunk, name = _version_2(metadata) if "chunks" in metadata else _version_3(metadata)
    if any(step > size for step, size in zip(chunk, shape, strict=True)):
        raise ConfigError(f"{place} is cut into chunks of {list(chunk)}, larger than its shape {list(shape)}")
    counts = [-(-size // step) for size, step in zip(shape, chunk, strict=True)]
    if math.prod(counts) > len(present):
        raise ConfigError(
            f"{place} is cut into {math.prod(counts):,} chunks by its metadata; the store has {len(present):,} keys"
        )
    keys = [f"{place}/{name([str(i) for i in index])}" for index in np.ndindex(*counts)]
    if missing := [key for key in keys if key not in present]:
        raise ConfigError(f"{place} lacks {len(missing)} of its {len(keys)} chunks, such as {missing[0]}")
    return keys


def _version_2(metadata: Mapping[str, Any]) -> tuple[Sequence[int], Callable[[list[str]], str]]:
    separator = metadata["dimension_separator"]
    return metadata["chunks"], lambda index: separator.join(index or ["0"])


def _version_3(metadata: Mapping[str, Any]) -> tuple[Sequence[int], Callable[[list[str]], str]]:
    encoding = metadata["chunk_key_encoding"]
    separator = encoding["configuration"]["separator"]
    begin = ["c"] if encoding["name"] == "default" else []
    shape = metadata["chunk_grid"]["configuration"]["chunk_shape"]
    return shape, lambda index: separator.join([*begin, *(index or ([] if begin else ["0"]))])


def row_blocks(
    store: Any, keys: Sequence[str], metadata: Mapping[str, Any], dtype: np.dtype
) -> Callable[[], Iterator[np.ndarray]] | None:
    """What reads an array in blocks of rows, or None where its chunks aren't of the kind above.

    Args:
        store: An open `tensorstore.KvStore`, and
        keys: the keys of the array's chunks in it.
        metadata: What the array's `.zarray` says.
        dtype: Of the elements; NumPy's own parser knows no bfloat16.
    """
    shape, chunk = tuple(metadata["shape"]), tuple(metadata["chunks"])
    compressor = metadata["compressor"]
    is_plain = metadata["order"] == "C" and not metadata["filters"] and not metadata["dtype"].startswith(">")
    if not (is_plain and shape and chunk[1:] == shape[1:] and (compressor or {"id": "zstd"})["id"] == "zstd"):
        return None

    def blocks() -> Iterator[np.ndarray]:
        for index, key in enumerate(keys):
            rows = min(chunk[0], shape[0] - index * chunk[0])  # the last chunk is stored whole
            value: Any = io.BufferedReader(_StoredValue(store, key), _RANGE_BYTES)
            if compressor is not None:
                value = zstandard.ZstdDecompressor().stream_reader(value, read_across_frames=True)
            try:
                yield from _rows(value, (rows, *shape[1:]), dtype)
                _skip_to_end(value, math.prod((chunk[0] - rows, *shape[1:])) * dtype.itemsize)
            except (ValueError, zstandard.ZstdError) as error:
                raise ConfigError(f"{key} can't be read: {str(error).splitlines()[0]}") from None

    return blocks


def _skip_to_end(stream: Any, count: int) -> None:
    """Reads the rest of a chunk, in which a frame's checksum stands last."""
    while count > 0:
        if not (skipped := len(stream.read(min(count, _RANGE_BYTES)))):
            raise ValueError("it is cut short")
        count -= skipped
    if stream.read(1):
        raise ValueError("it is longer than a chunk")


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
