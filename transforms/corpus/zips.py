"""Reads a zip by its central directory, which is walked and counted before `zipfile` believes it.

Refused are entries that lie over each other (a bomb that needs no large ratio), names that aren't UTF-8 whatever
their flags say, LZMA that asks for more memory than is sensible. Memory: the directory, and one entry.
Source: PKWARE's APPNOTE 6.3.10; D. Fifield, "A better zip bomb" (2019).
"""

from __future__ import annotations

import bisect
import os
import stat
import struct
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from typing import IO

from model.errors import RecordError
from transforms.corpus.entries import Budget, File, Refused, one_line, printable, safe_path, too_large
from transforms.corpus.streams import TimedFile

_CHUNK_BYTES = 1 << 16
_MAX_DIRECTORY_BYTES = 64 << 20  # about half a million entries
_MAX_TIMES_TOO_MANY = 4  # a directory with so many times the limit's entries isn't loaded: it takes 1 KB each
_MAX_LZMA_BYTES = 256 << 20
_UTF8_FLAG = 0x800


def read_zip(path: str, budget: Budget, damage: tuple[type[BaseException], ...]) -> Iterator[File | Refused]:
    """Yields what a zip holds. Raises RecordError, or one of `damage`, where it can't go on."""
    with TimedFile(path, budget) as file:
        _check_directory(file, budget)
        with zipfile.ZipFile(file) as archive:
            reader = _Reader(archive, file, budget, sorted(info.header_offset for info in archive.infolist()))
            for info in archive.infolist():
                budget.count_entry()
                if not info.is_dir() and (entry := reader.entry(info, damage)) is not None:
                    yield entry


def _check_directory(file: IO[bytes], budget: Budget) -> None:
    """Refuses a zip whose central directory would not fit in memory, before zipfile reads it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 22))  # the record has 22 bytes and a comment of at most 64 KiB
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise RecordError("corrupt_archive", "no end-of-directory record: not a zip, or cut off")
    (directory_bytes,) = struct.unpack_from("<L", tail, at + 12)
    ends_at = size - len(tail) + at
    if tail[max(0, at - 20) :][:4] == b"PK\x06\x07":
        (record_at,) = struct.unpack_from("<Q", tail, at - 12)
        file.seek(min(record_at, size))
        record = file.read(56)
        if len(record) < 56 or not record.startswith(b"PK\x06\x06"):
            raise RecordError("corrupt_archive", "no zip64 end-of-directory record where one is said to be")
        (directory_bytes,) = struct.unpack_from("<Q", record, 40)
        ends_at = record_at
    if directory_bytes > _MAX_DIRECTORY_BYTES:
        raise RecordError(
            "too_many_entries", f"the directory has {directory_bytes} bytes, the limit is {_MAX_DIRECTORY_BYTES}"
        )
    file.seek(max(0, ends_at - directory_bytes))
    most = budget.limits.max_entries * _MAX_TIMES_TOO_MANY
    if _num_records(file.read(directory_bytes), most) > most:
        raise RecordError("too_many_entries", f"more than {most} entries in the directory; raise --max_archive_entries")
    file.seek(0)


def _num_records(directory: bytes, most: int) -> int:
    """How many entries a central directory has, whatever the archive says."""
    count = at = 0
    while count <= most and directory[at : at + 4] == b"PK\x01\x02" and at + 46 <= len(directory):
        at += 46 + sum(struct.unpack_from("<3H", directory, at + 28))
        count += 1
    return count


@dataclass(frozen=True, slots=True)
class _Reader:
    """Reads entries. `offsets` of all entries are sorted: where one begins, the one before has ended."""

    archive: zipfile.ZipFile
    file: IO[bytes]
    budget: Budget
    offsets: list[int]

    def entry(self, info: zipfile.ZipInfo, damage: tuple[type[BaseException], ...]) -> File | Refused | None:
        name = _name(info)
        try:
            path = safe_path(name)
        except RecordError as error:
            return Refused(printable(name), error.reason, error.detail)
        if not self.budget.is_wanted(path):
            return None
        try:
            self._check(info)
            with self.archive.open(info) as stream:
                data = _read_bounded(stream, self.budget)
        except _Unfit as error:
            return Refused(path, *error.args)
        except damage as error:
            return Refused(path, "corrupt_entry", one_line(error))
        return too_large(path, self.budget.limits) if data is None else File(path, data)

    def _check(self, info: zipfile.ZipInfo) -> None:
        """Raises _Unfit for an entry that isn't to be read."""
        # The Unix mode stands in the upper half, whatever system the entry says it comes from.
        kind = stat.S_IFMT(info.external_attr >> 16)
        if kind == stat.S_IFLNK:
            raise _Unfit("link", "a symbolic link")
        if kind not in (0, stat.S_IFREG):
            raise _Unfit("not_a_file", "a device, pipe or socket")
        if info.flag_bits & 0x1:
            raise _Unfit("encrypted", "the entry is encrypted")
        last = bisect.bisect_right(self.offsets, info.header_offset)
        is_shared = last >= 2 and self.offsets[last - 2] == info.header_offset
        following = self.offsets[last] if last < len(self.offsets) else self.archive.start_dir
        if is_shared or info.header_offset + 30 + info.compress_size > following:
            raise _Unfit("corrupt_entry", "it lies over another entry or the directory")
        if info.compress_type == zipfile.ZIP_LZMA and self._lzma_bytes(info) > _MAX_LZMA_BYTES:
            raise _Unfit("corrupt_entry", f"it asks for more than {_MAX_LZMA_BYTES >> 20} MB of memory")

    def _lzma_bytes(self, info: zipfile.ZipInfo) -> int:
        """The size of the dictionary that an LZMA entry asks for."""
        self.file.seek(info.header_offset)
        header = self.file.read(30)
        if len(header) == 30:
            self.file.seek(sum(struct.unpack_from("<2H", header, 26)), os.SEEK_CUR)
        head = self.file.read(9)  # version (2 bytes), size of what follows (2), lc/lp/pb (1), dictionary (4)
        return struct.unpack_from("<L", head, 5)[0] if len(head) == 9 else 0


class _Unfit(Exception):
    """Why an entry isn't read: reason and detail."""


def _name(info: zipfile.ZipInfo) -> str:
    """The entry's name. Without a flag zipfile takes it for code page 437, where tools of all systems wrote others."""
    if info.flag_bits & _UTF8_FLAG or info.orig_filename.isascii():
        return info.orig_filename
    return info.orig_filename.encode("cp437").decode("utf-8", "surrogateescape")


def _read_bounded(stream: IO[bytes], budget: Budget) -> bytes | None:
    """The stream's bytes, or None as soon as they are too many for one entry."""
    chunks, size = [], 0
    while chunk := stream.read(_CHUNK_BYTES):
        budget.count_bytes(len(chunk))
        size += len(chunk)
        if size > budget.limits.max_entry_bytes:
            return None
        chunks.append(chunk)
    return b"".join(chunks)
