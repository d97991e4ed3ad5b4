"""Reads source archives as data: nothing is ever written to disk under a name that an archive chose.

    zip, wheel, egg         by their central directory (`transforms.corpus.zips`)
    tar, tar.gz/bz2/xz/zst  as one stream, front to back (`transforms.corpus.tars`)

Each entry comes either as a file with its bytes or as a refusal with its reason. What bounds a hostile archive:

- its number of entries, folders and headers included (of a zip, the directory before that is read);
- the bytes of one entry, counted while they are unpacked, whatever the headers say;
- the bytes unpacked in all, absolutely and as a multiple of the archive's own size;
- the time spent on it.

Whatever passes a bound of the whole archive ends its reading, with one refusal for all that is left.
Links are never followed; a path that is absolute, climbs with `..`, isn't UTF-8, or holds a backslash or a control
character is refused. `.git` is passed over, as in folders, and bare clones are refused. Archives inside archives stay
closed. Memory: one entry, a zip's directory, and the names seen.
"""

from __future__ import annotations

import lzma
import os
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator

from model.errors import RecordError
from transforms.corpus.entries import ArchiveLimits, Budget, File, Refused, one_line
from transforms.corpus.tars import read_tar
from transforms.corpus.zips import read_zip

ZIP_SUFFIXES = (".zip", ".whl", ".egg")
TAR_SUFFIXES = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tbz2", ".tar.xz", ".txz", ".tar.zst")

# Of a bare clone, by the usual end of its name: what stands beside a file of an archive isn't known when it is read.
_BARE = re.compile(
    r"(?:^|/)[^/]*\.git/(?:HEAD|FETCH_HEAD|config|description|packed-refs|(?:hooks|info|logs|objects|refs)/)"
)

# What decoders raise on damaged data. Arithmetic, look-ups, memory: where a damaged number was believed.
_DAMAGE = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, struct.error, ValueError, NotImplementedError, OSError,
    ArithmeticError, LookupError, RuntimeError, MemoryError,
)  # fmt: skip


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

    Refusals: `unsafe_path`, `link`, `not_a_file`, `duplicate_path`, `encrypted`, `content_too_large`, `corrupt_entry`,
    `bare_repository`;
    and for the whole or the rest of the archive `unreadable`, `corrupt_archive`, `too_many_entries`,
    `archive_too_large`, `compression_ratio`, `archive_too_slow`.
    """
    try:
        with open(path, "rb") as file:
            archive_bytes = os.fstat(file.fileno()).st_size
    except OSError as error:
        yield Refused("", "unreadable", str(error.strerror))
        return
    budget = Budget(limits, archive_bytes, lambda path: not _is_gits(path) and is_wanted(path))
    is_zip = path.lower().endswith(ZIP_SUFFIXES)
    entries = read_zip(path, budget, _DAMAGE) if is_zip else read_tar(path, budget)  # they end where they raise
    seen: set[str] = set()
    while (entry := _next(entries, budget)) is not None:
        if isinstance(entry, File):
            if _BARE.search(entry.path):
                entry = Refused(entry.path, "bare_repository", "it belongs to a bare or mirror clone of git")
            elif entry.path in seen:
                entry = Refused(entry.path, "duplicate_path", "the archive holds this path more than once")
            else:
                seen.add(entry.path)
        yield entry


def _is_gits(path: str) -> bool:
    """Whether the path is git's own, as `.git` in a folder is: its `config` may hold a password."""
    return ".git" in path.split("/")


def _next(entries: Iterator[File | Refused], budget: Budget) -> File | Refused | None:
    """The next entry; the refusal of all that is left; None behind the last."""
    budget.start_clock()
    try:
        return next(entries, None)
    except RecordError as error:
        return Refused("", error.reason, error.detail)
    except _DAMAGE as error:
        return Refused("", "corrupt_archive", one_line(error))
    finally:
        budget.stop_clock()
