"""Reads source archives as data: nothing is ever written to disk under a name that an archive chose.

    zip, wheel, egg         by their central directory
    tar, tar.gz/bz2/xz/zst  as one stream, front to back

Each entry comes either as a file with its bytes or as a refusal with its reason. What bounds a hostile archive:

- its number of entries (of a zip, the size of the directory before that is read);
- the bytes of one entry, counted while they are unpacked, whatever the headers say;
- the bytes unpacked in all, absolutely and as a multiple of the archive's own size.

Whatever passes the first or the last ends the reading of that archive, with one refusal for all that is left.
Links are never followed; a path that is absolute, climbs with `..`, or holds a backslash or a control character is
refused. Archives inside archives stay closed. Memory: one entry, a zip's directory, and the names seen.
Source: PKWARE's APPNOTE 6.3.10; POSIX.1-2001 pax.
"""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import stat
import struct
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import IO, Any

from model.errors import RecordError

ZIP_SUFFIXES = (".zip", ".whl", ".egg")
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")

_CHUNK_BYTES = 1 << 16
_MAX_DIRECTORY_BYTES = 64 << 20  # of a zip: about half a million entries
_MAX_HEADER_BYTES = 1 << 20  # of a tar's extended header: a path and a few attributes
_XZ_MEMORY_BYTES = 256 << 20  # xz -9 needs 65 MB to unpack; a hostile header can ask for 4 GB
# Small archives of repetitive files have large ratios by right: below this nothing is a bomb.
_RATIO_FREE_BYTES = 64 << 20
_DAMAGE = (
    zipfile.BadZipFile, tarfile.TarError, zlib.error, lzma.LZMAError, EOFError, struct.error, ValueError,
    NotImplementedError, OSError,
)  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """What an archive may cost.

    Args:
        max_entries: Entries read, at most.
        max_entry_bytes: Unpacked bytes of one entry, at most.
        max_total_bytes: Unpacked bytes of all entries, at most.
        max_ratio: Unpacked bytes over the archive's own, at most (from 64 MB on).
    """

    max_entries: int = 100_000
    max_entry_bytes: int = 10 << 20
    max_total_bytes: int = 4 << 30
    max_ratio: float = 200.0


@dataclass(frozen=True, slots=True)
class File:
    """A file's path, relative and with `/`, and its bytes."""

    path: str
    data: bytes


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that was seen and not read; `path` is for people, it may be hostile."""

    path: str
    reason: str
    detail: str = ""


def is_archive(path: str) -> bool:
    """Whether the name is that of an archive that `read_archive` takes.

    >>> is_archive("a-1.0.tar.gz"), is_archive("a-1.0-py3-none-any.whl"), is_archive("a.py.gz")
    (True, True, False)
    """
    return path.lower().endswith(ZIP_SUFFIXES + TAR_SUFFIXES)


def archive_stem(path: str) -> str:
    """The archive's name without folder and archive suffix.

    >>> archive_stem("/x/requests-2.0.tar.gz")
    'requests-2.0'
    """
    name = os.path.basename(path)
    longest_first = sorted(ZIP_SUFFIXES + TAR_SUFFIXES, key=len, reverse=True)
    return next((name[: -len(suffix)] for suffix in longest_first if name.lower().endswith(suffix)), name)


def read_archive(
    path: str, limits: ArchiveLimits = ArchiveLimits(), *, is_wanted: Callable[[str], bool] = lambda path: True
) -> Iterator[File | Refused]:
    """Yields what an archive holds, in its own order; folders are passed over.

    Args:
        path: The archive, a local file.
        limits: What it may cost.
        is_wanted: Told a file's path, says whether to yield it. Refusals are yielded in any case where the path is
            not to be trusted.

    Refusals: `unsafe_path`, `link`, `not_a_file`, `duplicate_path`, `encrypted`, `content_too_large`, `corrupt_entry`;
    and for the whole or the rest of the archive `corrupt_archive`, `too_many_entries`, `archive_too_large`,
    `compression_ratio`.
    """
    budget = _Budget(limits, os.path.getsize(path), is_wanted)
    read = _read_zip if path.lower().endswith(ZIP_SUFFIXES) else _read_tar
    entries = read(path, budget)  # a generator: it ends where it raises
    seen: set[str] = set()
    while True:
        try:
            entry = next(entries)
        except StopIteration:
            return
        except RecordError as error:
            yield Refused("", error.reason, error.detail)
            return
        except _DAMAGE as error:
            yield Refused("", "corrupt_archive", _one_line(error))
            return
        if isinstance(entry, File):
            if entry.path in seen:
                entry = Refused(entry.path, "duplicate_path", "the archive holds this path more than once")
            else:
                seen.add(entry.path)
        yield entry


def safe_path(name: str) -> str:
    """An entry's name as a relative path in normal form.

    Raises:
        RecordError: `unsafe_path`: the name leads outside, or has characters that no source path has.

    >>> safe_path("./a//b.py")
    'a/b.py'
    """
    if name.startswith("/") or "\\" in name or any(ord(char) < 32 for char in name) or name[1:2] == ":":
        raise RecordError("unsafe_path", "the path is absolute or holds a backslash or a control character")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise RecordError("unsafe_path", "the path leads outside the archive")
    try:
        "/".join(parts).encode("utf-8")
    except UnicodeEncodeError:
        raise RecordError("unsafe_path", "the path is not UTF-8") from None
    return "/".join(parts)


class _Budget:
    """Counts what an archive costs and ends it (RecordError) when that is too much."""

    def __init__(self, limits: ArchiveLimits, archive_bytes: int, is_wanted: Callable[[str], bool]):
        self.limits = limits
        self.is_wanted = is_wanted
        self._archive_bytes = max(archive_bytes, 1)
        self._entries = 0
        self._unpacked = 0

    def count_entry(self) -> None:
        self._entries += 1
        if self._entries > self.limits.max_entries:
            raise RecordError(
                "too_many_entries", f"more than {self.limits.max_entries} entries; raise --max_archive_entries"
            )

    def count_bytes(self, unpacked: int) -> None:
        self._unpacked += unpacked
        if self._unpacked > self.limits.max_total_bytes:
            raise RecordError(
                "archive_too_large",
                f"more than {self.limits.max_total_bytes >> 20} MB when unpacked; raise --max_archive_mb",
            )
        if self._unpacked > max(_RATIO_FREE_BYTES, self.limits.max_ratio * self._archive_bytes):
            raise RecordError(
                "compression_ratio",
                f"{self._archive_bytes} bytes unpack to more than {self.limits.max_ratio:g} times as many; "
                "raise --max_archive_ratio if you trust it",
            )


def _too_large(path: str, limits: ArchiveLimits) -> Refused:
    return Refused(
        path, "content_too_large", f"more than {limits.max_entry_bytes} bytes, the limit; raise --max_content_mb"
    )


def _one_line(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())


# --- zip -------------------------------------------------------------------------------------------


def _read_zip(path: str, budget: _Budget) -> Iterator[File | Refused]:
    with open(path, "rb") as file:
        _check_directory(file)
        with zipfile.ZipFile(file) as archive:
            for info in archive.infolist():
                if info.is_dir():
                    continue
                budget.count_entry()
                if (entry := _read_zip_entry(archive, info, budget)) is not None:
                    yield entry


def _check_directory(file: IO[bytes]) -> None:
    """Refuses a zip whose central directory would not fit in memory, before zipfile reads it."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 22))  # the record has 22 bytes and a comment of at most 64 KiB
    tail = file.read()
    at = tail.rfind(b"PK\x05\x06")
    if at < 0 or len(tail) < at + 22:
        raise RecordError("corrupt_archive", "no end-of-directory record: not a zip, or cut off")
    (directory_bytes,) = struct.unpack_from("<L", tail, at + 12)
    if directory_bytes == 0xFFFFFFFF and tail[max(0, at - 20) :][:4] == b"PK\x06\x07":
        (record_at,) = struct.unpack_from("<Q", tail, at - 12)
        file.seek(min(record_at, size))
        record = file.read(56)
        directory_bytes = struct.unpack_from("<Q", record, 40)[0] if len(record) == 56 else 1 << 63
    if directory_bytes > _MAX_DIRECTORY_BYTES:
        raise RecordError(
            "too_many_entries", f"the directory has {directory_bytes} bytes, the limit is {_MAX_DIRECTORY_BYTES}"
        )
    file.seek(0)


def _read_zip_entry(archive: zipfile.ZipFile, info: zipfile.ZipInfo, budget: _Budget) -> File | Refused | None:
    try:
        path = safe_path(info.orig_filename)
    except RecordError as error:
        return Refused(_printable(info.orig_filename), error.reason, error.detail)
    if not budget.is_wanted(path):
        return None
    # The Unix mode stands in the upper half, whatever system the entry says it comes from.
    kind = stat.S_IFMT(info.external_attr >> 16)
    if kind == stat.S_IFLNK:
        return Refused(path, "link", "a symbolic link")
    if kind not in (0, stat.S_IFREG):
        return Refused(path, "not_a_file", "a device, pipe or socket")
    if info.flag_bits & 0x1:
        return Refused(path, "encrypted", "the entry is encrypted")
    try:
        with archive.open(info) as stream:
            data = _read_bounded(stream, budget)
    except _DAMAGE as error:
        return Refused(path, "corrupt_entry", _one_line(error))
    return _too_large(path, budget.limits) if data is None else File(path, data)


def _read_bounded(stream: IO[bytes], budget: _Budget) -> bytes | None:
    """The stream's bytes, or None as soon as they are too many for one entry."""
    chunks, size = [], 0
    while chunk := stream.read(_CHUNK_BYTES):
        budget.count_bytes(len(chunk))
        size += len(chunk)
        if size > budget.limits.max_entry_bytes:
            return None
        chunks.append(chunk)
    return b"".join(chunks)


def _printable(name: str) -> str:
    return name.encode("unicode_escape", "backslashreplace").decode("ascii")[:500]


# --- tar -------------------------------------------------------------------------------------------


class _Header(tarfile.TarInfo):
    """A tar header that says what is wrong: tarfile takes a damaged one in mid-archive for the end."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Header:
        try:
            return super().frombuf(buf, encoding, errors)
        except tarfile.HeaderError as error:
            if isinstance(error, tarfile.EOFHeaderError):  # type: ignore[attr-defined]
                raise
            why = _one_line(error) if len(buf) == tarfile.BLOCKSIZE else "cut off: the end-of-archive mark is missing"
            raise RecordError("corrupt_archive", why) from None

    def _proc_member(self, archive: tarfile.TarFile) -> tarfile.TarInfo:
        # Extended headers are read whole into memory. (This method is where tarfile lets a subclass in.)
        is_extended = not (self.isfile() or self.isdir() or self.issym() or self.islnk() or self.isdev())
        if is_extended and self.size > _MAX_HEADER_BYTES:
            raise RecordError(
                "corrupt_archive", f"an extended header of {self.size} bytes, the limit is {_MAX_HEADER_BYTES}"
            )
        return super()._proc_member(archive)  # type: ignore[misc]


def _read_tar(path: str, budget: _Budget) -> Iterator[File | Refused]:
    with open(path, "rb") as file:
        stream = _Counted(_decompressed(file), budget)
        # `r|`: front to back, no seeking, no detection of the compression of its own.
        with tarfile.open(fileobj=stream, mode="r|", tarinfo=_Header, encoding="utf-8") as archive:
            while (member := archive.next()) is not None:
                archive.members.clear()  # type: ignore[attr-defined]  # a stream never looks back: keep the list short
                if member.isdir():
                    continue
                budget.count_entry()
                if (entry := _read_tar_member(archive, member, budget)) is not None:
                    yield entry


def _read_tar_member(archive: tarfile.TarFile, member: tarfile.TarInfo, budget: _Budget) -> File | Refused | None:
    try:
        path = safe_path(member.name)
    except RecordError as error:
        return Refused(_printable(member.name), error.reason, error.detail)
    if not budget.is_wanted(path):
        return None
    if member.issym() or member.islnk():
        return Refused(path, "link", "a symbolic link" if member.issym() else "a hard link")
    if not member.isreg() or member.issparse():
        return Refused(path, "not_a_file", "a sparse file" if member.issparse() else "a device, pipe or socket")
    if member.size > budget.limits.max_entry_bytes:
        return _too_large(path, budget.limits)
    stream = archive.extractfile(member)
    assert stream is not None, "a regular member has a stream"
    data = stream.read()
    if len(data) != member.size:
        raise RecordError("corrupt_archive", f"cut off inside {path}")
    return File(path, data)


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


class _Counted(io.RawIOBase):
    """Counts what leaves the decompressor, skipped bytes included."""

    def __init__(self, stream: Any, budget: _Budget):
        self._stream = stream
        self._budget = budget

    def read(self, size: int = -1) -> bytes:
        assert size >= 0, "tarfile reads in blocks"
        chunks, wanted = [], size
        while wanted > 0 and (chunk := self._stream.read(min(wanted, _CHUNK_BYTES))):
            self._budget.count_bytes(len(chunk))
            chunks.append(chunk)
            wanted -= len(chunk)
        return b"".join(chunks)
