"""DeepMind's flat layout in an `.npz`: a zip of arrays, read in blocks and never unpickled.

What a header states is compared with what the zip states before anything is read, and the zip's checksum with what
was read. Source: NumPy's format description (numpy.lib.format), APPNOTE.TXT of the zip format.
"""

from __future__ import annotations

import math
import zipfile
from collections.abc import Callable, Iterator
from typing import IO, Any

import ml_dtypes
import numpy as np

from model.checkpoint import deepmind
from model.checkpoint.format import Format, only_file
from model.checkpoint.stored import Checkpoint, StoredTensor, rows_per_block
from model.errors import ConfigError
from model.storage import filesystem

KIND = f"{deepmind.KIND}, npz"

# The most that a byte can stand for, by how a member is compressed: what claims more is no array but a bomb.
_MOST_PER_BYTE = {zipfile.ZIP_STORED: 1, zipfile.ZIP_DEFLATED: 1032}
_SLACK_BYTES = 1024  # deflate's own frame


def open_npz(path: str) -> Checkpoint:
    """List an `.npz` of this layout."""
    return deepmind.from_flat(KIND, path, read_npz(path))


FORMAT = Format(
    name="DeepMind's flat .npz",
    recognize=only_file(".npz"),
    open=open_npz,
    identity=(".npz",),
    vocabulary=("tokenizer.model",),
)


def read_npz(path: str) -> dict[str, StoredTensor]:
    """List the arrays of an `.npz`, their headers read and the data not.

    Raises:
        ConfigError: The zip is damaged, or a member isn't an array of the size that the zip states.
    """
    tensors: dict[str, StoredTensor] = {}
    try:
        with _open(path) as file, zipfile.ZipFile(file) as archive:
            for member in archive.infolist():
                name = member.filename.removesuffix(".npy")
                if name in tensors:
                    raise ConfigError(f"{path} holds {name} twice")
                tensors[name] = _list_member(path, archive, member)
    except zipfile.BadZipFile as error:
        raise ConfigError(f"{path} is no .npz, or is cut short: {error}") from None
    return tensors


def _list_member(path: str, archive: zipfile.ZipFile, member: zipfile.ZipInfo) -> StoredTensor:
    where = f"{path}: {member.filename}"
    most = _MOST_PER_BYTE.get(member.compress_type)
    if most is None:
        raise ConfigError(f"{where} is compressed by method {member.compress_type}; accepted: stored, deflated")
    if member.file_size > most * member.compress_size + _SLACK_BYTES * (most > 1):
        raise ConfigError(f"{where} claims {member.file_size:,} bytes in {member.compress_size:,} compressed ones")
    with archive.open(member) as stream:
        shape, is_fortran, dtype = _read_header(stream, where)
        stated, needed = member.file_size, stream.tell() + math.prod(shape) * dtype.itemsize
    if stated != needed:
        raise ConfigError(f"{where} has {stated:,} bytes, {list(shape)} of {dtype} needs {needed:,}")
    return StoredTensor(shape, str(dtype), _blocks(path, member.filename, is_fortran))


def _blocks(path: str, member: str, is_fortran: bool) -> Callable[[], Iterator[np.ndarray]]:
    def blocks() -> Iterator[np.ndarray]:
        with _open(path) as file, zipfile.ZipFile(file) as archive, archive.open(member) as stream:
            shape, _, dtype = _read_header(stream, f"{path}: {member}")
            if is_fortran or not shape:
                flat = np.frombuffer(stream.read(), dtype)
                yield flat.reshape(shape, order="F" if is_fortran else "C")
                return
            rows, row_bytes = rows_per_block(shape, dtype.itemsize), math.prod(shape[1:]) * dtype.itemsize
            for begin in range(0, shape[0], rows):
                count = min(rows, shape[0] - begin)
                yield np.frombuffer(stream.read(count * row_bytes), dtype).reshape(count, *shape[1:])
            stream.read(1)  # the checksum is compared where the member ends

    return blocks


def _read_header(stream: IO[bytes], where: str) -> tuple[tuple[int, ...], bool, np.dtype]:
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, is_fortran, dtype = read(stream)
    except ValueError as error:
        raise ConfigError(f"{where} is no array: {error}") from None
    if dtype.hasobject:
        raise ConfigError(f"{where} holds pickled objects, which are never read; save plain arrays")
    if dtype == np.dtype("V2"):  # how NumPy writes bfloat16, which it doesn't know
        dtype = np.dtype(ml_dtypes.bfloat16)
    if dtype.kind != "f" and dtype.name != "bfloat16":
        raise ConfigError(f"{where} holds {dtype}; accepted: float64, float32, float16, bfloat16")
    if any(size < 0 for size in shape):
        raise ConfigError(f"{where} has the shape {list(shape)}; sizes can't be negative")
    return shape, is_fortran, dtype


def _open(path: str) -> Any:
    files, inner = filesystem(path)
    return files.open(inner, "rb")
