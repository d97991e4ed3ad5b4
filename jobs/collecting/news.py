"""What has become of a corpus's sources since it was made: new, changed and missing files, by blob id.

The sources are listed and read again, and each file's git blob id is compared with its row's; a rejected file is
compared by the hash in its record, and one that was lost with its worker has none, so it is not said to have changed.
Neither a `touch` nor a new clone of the same commit is news.

Cost: reading and hashing the sources, a small part of making the corpus. Memory: about 900 bytes a file.
"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence

import pyarrow.parquet as pq

from jobs import storage
from jobs.collecting.chunks import CRASHED_WORKER, TIMEOUT
from jobs.forgetting.lists import read_forgotten
from jobs.plan.news import difference_line
from jobs.storage.folders import OutputFolder
from transforms.corpus.entries import File, Refused
from transforms.corpus.rows import git_blob_id
from transforms.corpus.sources import Source
from transforms.opt_out.lists import REASON
from transforms.opt_out.selection import File as SourceFile
from transforms.opt_out.selection import Selection

_Key = tuple[str, str]  # of a kept file its repository and path, of a rejected one its source and path
_UNREAD = ""  # hash of a file that could not be read
_LOST = "lost"  # hash of a file that was lost with the process that worked on it


class _Known:
    """The files of a corpus, with the hashes that tell whether one has changed."""

    def __init__(self, output: OutputFolder):
        self.kept: dict[_Key, set[str]] = defaultdict(set)
        self.rejected: dict[_Key, set[str]] = defaultdict(set)
        for repo_name, path, blob_id in _rows(output.data, "train-", ("repo_name", "path", "blob_id")):
            self.kept[repo_name, path].add(blob_id)
        for uri, path, sha256, reason in _rows(
            output.rejected, "rejected-", ("uri", "path", "content_sha256", "reason")
        ):
            if reason != REASON:
                unknown = _LOST if reason in (CRASHED_WORKER, TIMEOUT) else _UNREAD
                self.rejected[uri, path or ""].add(sha256 or unknown)


def news_of_sources(output: OutputFolder, sources: Sequence[tuple[Source, str]]) -> str:
    """Compares sources with the corpus that was made of them.

    Args:
        output: The complete corpus.
        sources: Each source with its public name, except those that an opt-out list leaves out.

    Returns:
        What differs, as a part of a sentence; "" if nothing does.
    """
    known = _Known(output)
    forgotten = read_forgotten(output.job).selection()
    seen_kept: set[_Key] = set()
    seen_rejected: set[_Key] = set()
    new = changed = 0
    for source, name in sources:
        for entry in source.read():
            kept, rejected = (source.repo_name, entry.path), (name, entry.path)
            was_kept, was_rejected = kept in known.kept, rejected in known.rejected
            seen_kept.add(kept)
            seen_rejected.add(rejected)
            if not (was_kept or was_rejected):
                new += not _names(forgotten, source.repo_name, entry)
            elif isinstance(entry, File):
                is_same = was_kept and git_blob_id(entry.data) in known.kept[kept]
                is_same = is_same or (
                    was_rejected and not known.rejected[rejected].isdisjoint((_sha256(entry.data), _LOST))
                )
                changed += not is_same
            else:
                changed += not was_rejected
    gone = _missing(known.kept, seen_kept) + _missing(known.rejected, seen_rejected)
    return difference_line(new, changed, gone, since="this corpus was made")


def _names(forgotten: Selection, repo_name: str, entry: File | Refused) -> bool:
    """Whether a file isn't in the corpus because it was to be forgotten."""
    if not forgotten:
        return False
    data = entry.data if isinstance(entry, File) else None
    return forgotten.names(
        SourceFile(
            repositories=(repo_name,),
            path=entry.path,
            sha256="" if data is None else _sha256(data),
            blob="" if data is None else git_blob_id(data),
        )
    )


def _missing(known: Iterable[_Key], seen: set[_Key]) -> int:
    return sum(key not in seen for key in known)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def _rows(folder: str, prefix: str, columns: Sequence[str]) -> Iterator[tuple[str, ...]]:
    """The values of some columns in all files of a folder whose names begin like this."""
    for name in storage.list_names(folder):
        if not name.startswith(prefix):
            continue
        with storage.open_input(storage.join(folder, name)) as file, pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(columns=list(columns), use_threads=False):
                yield from zip(*(batch.column(column).to_pylist() for column in columns), strict=True)
