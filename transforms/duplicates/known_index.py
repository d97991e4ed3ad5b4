"""Builds an index of known text (`known_text`) in any number of processes: hashes go by way of disk, not of memory.

    files that follow each other -> spool_files    their 20-grams by hash bucket, in a spool file of their own
    spool files, one bucket      -> merge_bucket   sorted, at most two files a 20-gram, in a bucket file
    bucket files                 -> place_bucket   hashes.npy, owners.npy
    all in order                 -> IndexWriter    files.arrow, index.json

A file is numbered within its spool; its number in the index is known when all spools before have been added. How files
are spread over spools changes no byte of the index.
Memory: the 20-grams of `_SEGMENT_ENTRIES` tokens, or one bucket. Disk: 24 bytes a token while it is built.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa

from model.errors import ConfigError
from transforms.duplicates.known_text import COPY_TOKENS, FILES_SCHEMA, FORMAT, MAX_OWNERS, KnownFile
from transforms.rows.ngrams import Hashes, distinct, ngram_hashes, token_batches

NUM_BUCKETS: Final = 256
_BUCKET_BITS: Final = np.uint64(56)
ENTRY: Final = np.dtype([("hash", "<u8"), ("owner", "<u4")])
_ARRAYS: Final = ("hashes.npy", "owners.npy")
_SEGMENT_ENTRIES: Final = 1 << 20
_FILES_AT_ONCE: Final = 256
BATCH_FILES: Final = 4096  # in a record batch of files.arrow


class Segment(NamedTuple):
    """Entries in a spool file, by hash bucket: bucket b has those from `edges[b]` to `edges[b + 1]`."""

    path: str
    edges: Sequence[int]


@dataclass(frozen=True, slots=True)
class Spooled:
    """Some files of the corpus: a table of `FILES_SCHEMA`, and where their entries are."""

    files: pa.Table
    segments: tuple[Segment, ...]


class Slice(NamedTuple):
    """Entries of one bucket: from here to there in a spool file. Owners below `skip` don't count, `shift` is added to
    the others."""

    path: str
    start: int
    end: int
    skip: int
    shift: int


class BucketTask(NamedTuple):
    """A bucket to be merged into the file at `path`, its slices in the order of the files."""

    path: str
    slices: tuple[Slice, ...]


class PlaceTask(NamedTuple):
    """The bucket file at `path`, whose entries are those of the arrays in `folder` from number `at` on."""

    path: str
    folder: str
    at: int


def spool_files(path: str, files: Iterable[KnownFile]) -> Spooled:
    """Writes the entries of files into a new spool file; owners are numbered from 0."""
    rows: list[dict[str, Any]] = []
    grams: list[Hashes] = []
    segments: list[Segment] = []
    held = first = edge = 0
    with open(path, "wb") as spool:

        def write() -> None:
            nonlocal held, first, edge
            entries, edges = _by_bucket(grams, first)
            entries.tofile(spool)
            segments.append(Segment(path, [edge + each for each in edges]))
            held, first, edge = 0, first + len(grams), edge + len(entries)
            grams.clear()

        for file, found in _with_grams(files):
            about = {"path": file.path, "repo_name": file.repo_name, "sha256": file.content_sha256}
            rows.append({**about, "licenses": list(file.licenses)})
            grams.append(found)
            held += len(found)
            if held >= _SEGMENT_ENTRIES:
                write()
        write()
    return Spooled(pa.Table.from_pylist(rows, FILES_SCHEMA), tuple(segments))


def _with_grams(files: Iterable[KnownFile]) -> Iterator[tuple[KnownFile, Hashes]]:
    """Each file with its distinct 20-grams, sorted."""
    iterator = iter(files)
    while some := list(itertools.islice(iterator, _FILES_AT_ONCE)):
        left = iter(some)
        for batch in token_batches(file.text for file in some):
            grams = ngram_hashes(batch.hashes, COPY_TOKENS)
            for start, end in itertools.pairwise(batch.bounds):
                yield next(left), distinct(grams[start : max(start, end - COPY_TOKENS + 1)])


def _by_bucket(grams: Sequence[Hashes], first: int) -> tuple[npt.NDArray[Any], list[int]]:
    """Entries of files that are numbered from `first` on: by bucket, in a bucket by file; where each bucket begins."""
    hashes = np.concatenate([*grams, np.empty(0, np.uint64)])
    owners = np.repeat(np.arange(first, first + len(grams), dtype=np.uint32), [len(each) for each in grams])
    buckets = (hashes >> _BUCKET_BITS).astype(np.uint8)
    order = np.argsort(buckets, kind="stable")
    entries = np.empty(len(hashes), dtype=ENTRY)
    entries["hash"], entries["owner"] = hashes[order], owners[order]
    return entries, [0, *np.cumsum(np.bincount(buckets, minlength=NUM_BUCKETS)).tolist()]


def merge_bucket(task: BucketTask) -> int:
    """Writes a bucket's entries, sorted, with at most `MAX_OWNERS` files a hash. Returns how many there are."""
    found = []
    for piece in task.slices:
        entries = np.fromfile(piece.path, ENTRY, piece.end - piece.start, offset=piece.start * ENTRY.itemsize)
        if piece.skip:
            entries = entries[entries["owner"] >= piece.skip]
        entries["owner"] = entries["owner"].astype(np.int64) + piece.shift
        found.append(entries)
    entries = np.concatenate([*found, np.empty(0, ENTRY)])
    # In the order of owners already, and a stable sort leaves the entries of each hash so.
    entries = entries[np.argsort(entries["hash"], kind="stable")]
    same = entries["hash"][MAX_OWNERS:] == entries["hash"][:-MAX_OWNERS]
    entries = entries[np.concatenate((np.ones(min(MAX_OWNERS, len(entries)), bool), ~same))]
    entries.tofile(task.path)
    return len(entries)


def place_bucket(task: PlaceTask) -> None:
    """Copies a bucket's entries to where they belong in the arrays."""
    entries = np.fromfile(task.path, ENTRY)
    for name, file in zip(("hash", "owner"), _ARRAYS, strict=True):
        values = np.ascontiguousarray(entries[name])
        with open(Path(task.folder, file), "r+b") as array:
            # The data are what is behind the header.
            array.seek(0, os.SEEK_SET)
            np.lib.format.read_magic(array)
            np.lib.format.read_array_header_1_0(array)
            array.seek(task.at * values.itemsize, os.SEEK_CUR)
            values.tofile(array)


class IndexWriter:
    """An index while it is written. Use with `with`: add all spools in order, merge the buckets, then `finish`.

    Args:
        folder: Where it is made.
        scratch: A folder for bucket files.

    Raises:
        ConfigError: The folder exists.
    """

    def __init__(self, folder: str | Path, scratch: str | Path):
        self._folder = Path(folder)
        self._scratch = Path(scratch)
        self._pending: list[pa.Table] = []
        self._segments: list[tuple[Segment, int, int]] = []  # with skip and shift
        self.num_files = 0
        try:
            self._folder.mkdir(parents=True)
        except FileExistsError:
            raise ConfigError(f"{self._folder} already exists; choose a new folder") from None
        self._files: Any | None = pa.ipc.new_file(str(self._folder / "files.arrow"), FILES_SCHEMA)

    def __enter__(self) -> IndexWriter:
        return self

    def __exit__(self, *raised: object) -> None:
        self._close_files()

    def add(self, spooled: Spooled, skip: int = 0) -> None:
        """Adds the files of a spool but its first `skip` ones."""
        files = spooled.files.slice(skip)
        self._segments += [(segment, skip, self.num_files - skip) for segment in spooled.segments]
        self.num_files += files.num_rows
        self._pending.append(files)
        if sum(table.num_rows for table in self._pending) >= BATCH_FILES:
            self._write_files()

    def bucket_tasks(self) -> Iterator[BucketTask]:
        """What `merge_bucket` has to do, a task for each bucket in order."""
        for bucket in range(NUM_BUCKETS):
            slices = (
                Slice(segment.path, segment.edges[bucket], segment.edges[bucket + 1], skip, shift)
                for segment, skip, shift in self._segments
            )
            yield BucketTask(str(self._bucket(bucket)), tuple(piece for piece in slices if piece.end > piece.start))

    def finish(self, counts: Sequence[int], place: Callable[[list[PlaceTask]], object] | None = None) -> None:
        """Puts the buckets, which have so many entries, together.

        Args:
            counts: The number of entries of each bucket.
            place: Has `place_bucket` done for all tasks, in any processes; here by default.
        """
        self._write_files(is_end=True)
        self._close_files()
        for file, kind in zip(_ARRAYS, (ENTRY["hash"], ENTRY["owner"]), strict=True):
            np.lib.format.open_memmap(self._folder / file, "w+", kind, (sum(counts),))
        starts = itertools.accumulate(counts, initial=0)
        paths = [self._bucket(bucket) for bucket in range(len(counts))]
        tasks = [PlaceTask(str(path), str(self._folder), at) for path, at in zip(paths, starts, strict=False)]
        with ThreadPoolExecutor(len(_ARRAYS)) as pool:
            digest = pool.submit(_digest_of, [*paths, self._folder / "files.arrow"])
            if place is None:
                for task in tasks:
                    place_bucket(task)
            else:
                place(tasks)
            sha256 = digest.result()
            list(pool.map(_sync, [self._folder / file for file in _ARRAYS]))
        for path in paths:
            path.unlink()
        about = {"format": FORMAT, "files": self.num_files, "ngram_tokens": COPY_TOKENS, "sha256": sha256}
        (self._folder / "index.json").write_text(json.dumps(about) + "\n", encoding="utf-8")

    def _bucket(self, number: int) -> Path:
        return self._scratch / f"bucket-{number:03}"

    def _close_files(self) -> None:
        if self._files is not None:
            self._files.close()  # called twice, it would write a second footer
            self._files = None

    def _write_files(self, *, is_end: bool = False) -> None:
        """Writes full batches, and at the end what is left: batches don't depend on the tables that were added."""
        assert self._files is not None
        table = pa.concat_tables([*self._pending, FILES_SCHEMA.empty_table()])
        while table.num_rows >= BATCH_FILES or is_end:
            # With buffers of its own: those of a slice may be longer, which would show in the file.
            batch = pa.Table.from_pylist(table.slice(0, BATCH_FILES).to_pylist(), FILES_SCHEMA)
            self._files.write_table(batch)
            is_end = is_end and table.num_rows >= BATCH_FILES
            table = table.slice(BATCH_FILES)
        self._pending = [table]


def _digest_of(paths: Iterable[Path]) -> str:
    """The SHA-256 of what files hold, one behind the other."""
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def _sync(path: Path) -> None:
    with open(path, "rb+") as file:
        os.fsync(file.fileno())


def build(folder: str | Path, files: Iterable[KnownFile]) -> int:
    """Writes an index of files into a new folder, in this process, and returns the number of files.

    Raises:
        ConfigError: The folder exists.
    """
    folder = Path(folder)
    spool = folder / "spool"
    with IndexWriter(folder, folder) as writer:
        writer.add(spool_files(str(spool), files))
        writer.finish([merge_bucket(task) for task in writer.bucket_tasks()])
    spool.unlink()
    return writer.num_files
