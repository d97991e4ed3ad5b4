"""The keys of texts in four bytes each: by them, the texts of a later edition find those of earlier ones.

    16 bands and the normalized text      17 keys of 8 bytes in `transforms.duplicates.batches`, their low halves here

Two texts that share a key share its half. Two that share a half alone are compared in vain: of a million new texts
beside ten million, less than one pair a new text.

Cost: 72 bytes a text on local disk, and 68 where they are stored.
"""

from __future__ import annotations

import os
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from transforms.duplicates.batches import SignedTexts
from transforms.duplicates.signatures import NUM_BANDS

_KEYS: Final = NUM_BANDS + 1
_LOW: Final = np.uint64(0xFFFFFFFF)
_CHUNK_TEXTS: Final = 1 << 16


class ShortKeys:
    """The short keys of all texts of one run, by their numbers.

    Args:
        folder: A folder on a local disk.
        num_texts: Upper bound of the numbers.
    """

    def __init__(self, folder: str, num_texts: int):
        self._size = max(1, num_texts)
        self._keys = self._new(folder, "short-keys", "<u4", (self._size, _KEYS))
        self._counts = self._new(folder, "short-counts", "u1", (self._size,))

    def add(self, signed: SignedTexts) -> None:
        """Adds texts under their numbers."""
        keys = signed.keys[np.argsort(signed.keys["text"], kind="stable")]
        texts = keys["text"]
        if not len(texts):
            return
        starts = np.flatnonzero(np.concatenate(([True], texts[1:] != texts[:-1])))
        counts = np.diff(np.append(starts, len(texts)))
        places = np.arange(len(texts)) - np.repeat(starts, counts)
        self._keys[texts, places] = (keys["key"] & _LOW).astype(np.uint32)
        self._counts[texts[starts]] = counts

    def has(self, numbers: npt.NDArray[np.int64]) -> npt.NDArray[np.bool_]:
        """Which of these numbers have keys."""
        found: npt.NDArray[np.bool_] = self._counts[numbers] > 0
        return found

    def of(self, numbers: npt.NDArray[np.int64]) -> pa.Array:
        """The keys of texts as they are stored: one binary value each."""
        width = self._keys.itemsize
        rows = zip(self._keys[numbers], self._counts[numbers].tolist(), strict=True)
        return pa.array([keys.tobytes()[: count * width] for keys, count in rows], pa.binary())

    def distinct(self) -> npt.NDArray[np.uint32]:
        """All keys, each once, sorted."""
        parts = [np.empty(0, np.uint32)]
        for first in range(0, self._size, _CHUNK_TEXTS):
            counts = self._counts[first : first + _CHUNK_TEXTS]
            is_key = np.arange(_KEYS) < counts[:, None]
            parts.append(np.unique(self._keys[first : first + _CHUNK_TEXTS][is_key]))
        return np.unique(np.concatenate(parts))

    @staticmethod
    def _new(folder: str, name: str, dtype: str, shape: tuple[int, ...]) -> npt.NDArray[Any]:
        return np.asarray(np.memmap(os.path.join(folder, name), dtype, "w+", shape=shape))


def sharing(stored: pa.BinaryArray, keys: npt.NDArray[np.uint32]) -> npt.NDArray[np.int64]:
    """The places of stored texts that share one of these keys.

    Args:
        stored: What `ShortKeys.of` gave.
        keys: Sorted, as `ShortKeys.distinct` gives them.
    """
    offsets = np.frombuffer(stored.buffers()[1], "<i4")[stored.offset : stored.offset + len(stored) + 1]
    if not len(keys) or not len(stored) or offsets[-1] == offsets[0]:
        return np.empty(0, np.int64)
    data = np.frombuffer(stored.buffers()[2], np.uint8)[offsets[0] : offsets[-1]]
    halves = np.frombuffer(data.tobytes(), "<u4")
    places = np.minimum(np.searchsorted(keys, halves), len(keys) - 1)
    owners = np.repeat(np.arange(len(stored)), np.diff(offsets) // halves.itemsize)
    found: npt.NDArray[np.int64] = np.unique(owners[keys[places] == halves])
    return found
