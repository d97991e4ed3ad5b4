"""One safetensors file: its header checked, its tensors read in blocks, from a disk or a bucket.

    header size (8 bytes, little-endian) | JSON: each tensor's dtype, shape and byte range | the data

The ranges must tile the data, as the format demands: nothing overlaps, nothing is left over. Source: the safetensors
format description.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from typing import Any

import ml_dtypes
import numpy as np

from model.checkpoint.stored import StoredTensor, rows_per_block
from model.errors import ConfigError
from model.storage import file_size, read_range

_DTYPES = {"F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": ml_dtypes.bfloat16}
_MAX_HEADER_BYTES = 100 << 20  # the format's own limit
_SIZE_BYTES = 8


def read_safetensors(path: str) -> dict[str, StoredTensor]:
    """List the tensors of one file; the header is read, the data isn't.

    Raises:
        ConfigError: The file is cut short or its header can't be right.
    """
    size = file_size(path)
    header_bytes = int.from_bytes(read_range(path, 0, min(size, _SIZE_BYTES)), "little")
    if not 2 <= header_bytes <= min(size - _SIZE_BYTES, _MAX_HEADER_BYTES):
        raise ConfigError(f"{path} is no safetensors file, or is cut short: header of {header_bytes} of {size} bytes")
    begin = _SIZE_BYTES + header_bytes
    try:
        header = json.loads(read_range(path, _SIZE_BYTES, begin), object_pairs_hook=_without_repeats)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"{path} has a broken safetensors header: {error}") from None
    if not isinstance(header, dict):
        raise ConfigError(f"{path} has a broken safetensors header: it is no JSON object")
    header.pop("__metadata__", None)
    ranges = {name: _byte_range(f"{path}: {name}", info) for name, info in header.items()}
    _check_tiling(path, ranges, size - begin)
    return {
        name: _stored(path, begin + ranges[name][0], tuple(info["shape"]), info["dtype"])
        for name, info in header.items()
    }


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a name stands in it twice")
    return found


def _byte_range(where: str, info: Any) -> tuple[int, int]:
    """Where a tensor's data begin and end, from the beginning of all data."""
    if not isinstance(info, dict) or info.keys() != {"dtype", "shape", "data_offsets"}:
        raise ConfigError(f"{where} isn't described by dtype, shape and data_offsets, but by {info!r}")
    dtype, shape, offsets = info["dtype"], info["shape"], info["data_offsets"]
    if not isinstance(dtype, str) or dtype not in _DTYPES:
        raise ConfigError(f"{where} is stored as {dtype!r}; accepted: {', '.join(_DTYPES)}")
    if not _are_sizes(shape) or not _are_sizes(offsets) or len(offsets) != 2:
        raise ConfigError(
            f"{where} has shape {shape!r} and data_offsets {offsets!r}; both list whole numbers from 0 on"
        )
    begin, end = offsets
    if end - begin != (needed := math.prod(shape) * np.dtype(_DTYPES[dtype]).itemsize):
        raise ConfigError(f"{where} has {end - begin} bytes, {shape} of {dtype} needs {needed}")
    return begin, end


def _are_sizes(value: Any) -> bool:
    return isinstance(value, list) and all(
        isinstance(size, int) and not isinstance(size, bool) and 0 <= size < 1 << 63 for size in value
    )


def _check_tiling(path: str, ranges: dict[str, tuple[int, int]], data_bytes: int) -> None:
    at = 0
    for name, (begin, end) in sorted(ranges.items(), key=lambda item: item[1]):
        if end > data_bytes:
            raise ConfigError(f"{path} is cut short: it has {data_bytes} bytes of data, {name} ends at {end}")
        if begin != at:
            raise ConfigError(f"{path}: {name} begins at byte {begin} of the data, the one before it ends at {at}")
        at = end
    if at != data_bytes:
        raise ConfigError(f"{path} has {data_bytes} bytes of data, its tensors end at {at}")


def _stored(path: str, begin: int, shape: tuple[int, ...], dtype_name: str) -> StoredTensor:
    dtype = np.dtype(_DTYPES[dtype_name])

    def blocks() -> Iterator[np.ndarray]:
        row_bytes = math.prod(shape[1:]) * dtype.itemsize
        step = rows_per_block(shape, dtype.itemsize) * row_bytes
        end = begin + math.prod(shape) * dtype.itemsize
        for at in range(begin, end, step):
            content = read_range(path, at, min(at + step, end))
            yield np.frombuffer(content, dtype).reshape(-1, *shape[1:])

    return StoredTensor(shape, dtype_name, blocks)
