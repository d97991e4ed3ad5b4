"""Unpacks a compressed tar as a stream: what comes out is counted, what goes in is timed, memory is bounded."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
from typing import IO, Any

from model.errors import RecordError
from transforms.corpus.entries import Budget

_CHUNK_BYTES = 1 << 16
_XZ_MEMORY_BYTES = 256 << 20  # xz -9 needs 65 MB to unpack; a hostile header can ask for 4 GB


class TimedFile(io.BufferedReader):
    """An archive's file that looks at the clock whenever it is read, so that no loop over it is without an end."""

    def __init__(self, path: str, budget: Budget):
        super().__init__(io.FileIO(path))
        self._budget = budget

    def read(self, size: int | None = -1, /) -> bytes:
        self._budget.check_time()
        return super().read(size)


class Unpacked:
    """The tar inside a file, front to back."""

    def __init__(self, file: IO[bytes], budget: Budget):
        self._stream = _decompressed(file)
        self._budget = budget

    def read_up_to(self, size: int) -> bytes:
        """`size` bytes, fewer only at the end."""
        chunks = []
        while size > 0 and (chunk := self._stream.read(min(size, _CHUNK_BYTES))):
            self._budget.count_bytes(len(chunk))
            chunks.append(chunk)
            size -= len(chunk)
        return b"".join(chunks)

    def read(self, size: int, what: str) -> bytes:
        """`size` bytes. Raises RecordError `corrupt_archive` where the archive ends before, in `what`."""
        data = self.read_up_to(size)
        if len(data) < size:
            raise RecordError("corrupt_archive", f"cut off inside {what}: {size - len(data)} bytes are missing")
        return data

    def skip(self, size: int, what: str) -> None:
        """Passes over `size` bytes, however many, at no cost of memory. Raises like `read`."""
        while size > 0:
            chunk = self.read_up_to(min(size, _CHUNK_BYTES))
            if not chunk:
                raise RecordError("corrupt_archive", f"cut off inside {what}: {size} bytes are missing")
            size -= len(chunk)


def _decompressed(file: Any) -> Any:
    """The stream inside, by the file's first bytes rather than its name."""
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        return gzip.GzipFile(fileobj=file)
    if head.startswith(b"BZh"):
        return bz2.BZ2File(file)
    if head.startswith(b"\xfd7zXZ\x00"):
        return _Xz(file)
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        import pyarrow as pa

        return pa.CompressedInputStream(file, "zstd")
    return file


class _Xz:
    """`lzma.LZMAFile` with a limit on the memory that the header may ask for, which that class lacks."""

    def __init__(self, file: IO[bytes]):
        self._file = file
        self._decoder = self._new_decoder()

    @staticmethod
    def _new_decoder() -> lzma.LZMADecompressor:
        return lzma.LZMADecompressor(lzma.FORMAT_XZ, memlimit=_XZ_MEMORY_BYTES)

    def read(self, size: int) -> bytes:
        while True:
            if self._decoder.eof:
                rest = (self._decoder.unused_data or self._file.read(_CHUNK_BYTES)).lstrip(b"\0")
                if not rest:
                    return b""
                self._decoder = self._new_decoder()  # several streams may stand one after the other
            else:
                rest = self._file.read(_CHUNK_BYTES) if self._decoder.needs_input else b""
                if not rest and self._decoder.needs_input:
                    raise EOFError("the compressed data end too early")
            if data := self._decoder.decompress(rest, size):
                return data
