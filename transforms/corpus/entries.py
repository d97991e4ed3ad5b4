"""What a source gives, entry by entry, and what an archive may cost before it is ended."""

from __future__ import annotations

import re
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

from model.errors import RecordError

# Small archives of repetitive files have large ratios by right: below this nothing is a bomb.
RATIO_FREE_BYTES = 64 << 20
_UNSAFE = re.compile(r"[\x00-\x1f\\]")


@dataclass(frozen=True, kw_only=True)
class ArchiveLimits:
    """What an archive may cost.

    Args:
        max_entries: Entries read, at most; folders, links and whatever else has a header count.
        max_entry_bytes: Unpacked bytes of one entry, at most.
        max_total_bytes: Unpacked bytes of all entries, at most.
        max_ratio: Unpacked bytes over the archive's own, at most (from 64 MB on).
        max_seconds: Time spent on reading it, at most.
    """

    max_entries: int = 100_000
    max_entry_bytes: int = 10 << 20
    max_total_bytes: int = 4 << 30
    max_ratio: float = 200.0
    max_seconds: float = 600.0


class Stamp(NamedTuple):
    """What a file system says of a file: another content has another stamp, but for what `Seen` tells."""

    num_bytes: int
    mtime_ns: int
    ctime_ns: int
    inode: int


@dataclass(frozen=True, slots=True)
class File:
    """A file's path, relative and with `/`, and its bytes; its stamp if it was the same before and after reading."""

    path: str
    data: bytes
    stamp: Stamp | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Known:
    """A file that wasn't read, since it has the stamp that it had when it was.

    Args:
        path: As that of a `File`.
        blob_id: Git's name of its content.
        sha256: Of its content; None: nobody needed it.
    """

    path: str
    blob_id: str
    sha256: str | None


@dataclass(frozen=True, slots=True)
class Refused:
    """Something that was seen and not read; `path` is for people, it may be hostile."""

    path: str
    reason: str
    detail: str = ""


def safe_path(name: str) -> str:
    """An entry's name as a relative path in normal form.

    Raises:
        RecordError: `unsafe_path`: the name leads outside, or has characters that no source path has.

    >>> safe_path("./a//b.py")
    'a/b.py'
    """
    if name.startswith("/") or _UNSAFE.search(name) or name[1:2] == ":":
        raise RecordError("unsafe_path", "the path is absolute or holds a backslash or a control character")
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if ".." in parts or not parts:
        raise RecordError("unsafe_path", "the path leads outside the archive")
    try:
        "/".join(parts).encode("utf-8")
    except UnicodeEncodeError:
        raise RecordError("unsafe_path", "the path is not UTF-8") from None
    return "/".join(parts)


def printable(name: str) -> str:
    """A hostile name for people: ASCII, no control characters, not long."""
    return name.encode("unicode_escape", "backslashreplace").decode("ascii")[:500]


def one_line(error: BaseException) -> str:
    """The kind of an exception and what it says."""
    return " ".join(f"{type(error).__name__}: {error}".split()).removesuffix(":")


def too_large(path: str, limits: ArchiveLimits) -> Refused:
    """The refusal of an entry with more bytes than one may have."""
    return Refused(
        path, "content_too_large", f"more than {limits.max_entry_bytes} bytes, the limit; raise --max_content_mb"
    )


class Budget:
    """Counts what an archive costs and ends it (RecordError) when that is too much."""

    def __init__(self, limits: ArchiveLimits, archive_bytes: int, is_wanted: Callable[[str], bool]):
        self.limits = limits
        self.is_wanted = is_wanted
        self._archive_bytes = max(archive_bytes, 1)
        self._entries = 0
        self._unpacked = 0
        self._seconds = 0.0
        self._since = time.monotonic()

    def start_clock(self) -> None:
        """Time counts from here on, until `stop_clock`: not while the entries read are worked on."""
        self._since = time.monotonic()

    def stop_clock(self) -> None:
        """Adds the time since `start_clock`."""
        self._seconds += time.monotonic() - self._since

    def check_time(self) -> None:
        """Ends the archive where it has taken too long."""
        if self._seconds + time.monotonic() - self._since > self.limits.max_seconds:
            raise RecordError(
                "archive_too_slow",
                f"reading takes more than {self.limits.max_seconds:g} s; raise --max_archive_s if you trust it",
            )

    def count_entry(self) -> None:
        """Counts one entry of any kind."""
        self.check_time()
        self._entries += 1
        if self._entries > self.limits.max_entries:
            raise RecordError(
                "too_many_entries", f"more than {self.limits.max_entries} entries; raise --max_archive_entries"
            )

    def count_bytes(self, unpacked: int) -> None:
        """Counts bytes that left a decompressor, skipped ones included."""
        self._unpacked += unpacked
        if self._unpacked > self.limits.max_total_bytes:
            raise RecordError(
                "archive_too_large",
                f"more than {self.limits.max_total_bytes >> 20} MB when unpacked; raise --max_archive_mb",
            )
        if self._unpacked > max(RATIO_FREE_BYTES, self.limits.max_ratio * self._archive_bytes):
            raise RecordError(
                "compression_ratio",
                f"{self._archive_bytes} bytes unpack to more than {self.limits.max_ratio:g} times as many; "
                "raise --max_archive_ratio if you trust it",
            )
