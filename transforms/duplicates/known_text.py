"""Known text: finds verbatim copies of a corpus's files in generated text. Memorized code is not new code.

    codemill index --input 'corpus/**/*.parquet' --output INDEX

    INDEX/hashes.npy    the 20-grams of all files, hashed (`ngrams.py`) and sorted  | memory-mapped: all workers on a
    INDEX/owners.npy    the files of each 20-gram, at most two per 20-gram          | machine share them
    INDEX/files.arrow   the files: path, repository, licenses, content hash
    INDEX/index.json    counts, and the hash that goes into the lineage

Two files per 20-gram are enough: one of them may be the answer's own source, which doesn't count. Runs shorter than 20
tokens are idiom. Building uses disk instead of memory: hashes are written to hash buckets by their leading bits, and
each bucket is sorted separately. Cost: 12 bytes per token of the corpus.
"""

from __future__ import annotations

import functools
import hashlib
import itertools
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import ConfigError
from transforms.filters.licenses import NO_LICENSE, file_licenses, license_names
from transforms.rows.columns import ColumnOverrides, resolve_columns
from transforms.rows.ngrams import distinct, text_ngrams
from transforms.rows.row import content_sha256

COPY_TOKENS = 20
MAX_OWNERS = 2
NUM_BUCKETS = 256
_BATCH_FILES = 4096
_ROWS_READ = 256
MAX_COPIES = 5
_BUCKET_BITS = np.uint64(56)
_FORMAT = 2
_READABLE = (1, 2)  # format 1 spells the column `licenses` as `licences`; otherwise the formats are identical
_ENTRY = np.dtype([("hash", "<u8"), ("owner", "<u4")])
_FILES_SCHEMA = pa.schema(
    [("path", pa.string()), ("repo_name", pa.string()), ("licenses", pa.list_(pa.string())), ("sha256", pa.string())]
)
COPY_TYPE = pa.struct(
    [
        pa.field("path", pa.string(), nullable=False),
        pa.field("repo_name", pa.string(), nullable=False),
        pa.field("licenses", pa.list_(pa.field("item", pa.string(), nullable=False)), nullable=False),
        pa.field("content_sha256", pa.string(), nullable=False),
        pa.field("num_tokens", pa.int32(), nullable=False),
    ]
)
"""A `Copy` in a row's column `verbatim_copies`."""


@dataclass(frozen=True, slots=True)
class KnownFile:
    """A file of the corpus; `content_sha256` distinguishes an answer's own source from other files."""

    text: str
    content_sha256: str
    path: str = ""
    repo_name: str = ""
    licenses: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Copy:
    """A file that contains a run of the text's tokens. `num_tokens` is the length of the longest shared run."""

    path: str
    repo_name: str
    licenses: tuple[str, ...]
    content_sha256: str
    num_tokens: int

    def told(self) -> str:
        """Describes the copy, for a rejection's detail.

        >>> Copy("lib/b.py", "owner/b", ("MIT",), "", 24).told()
        '24 tokens of owner/b lib/b.py (MIT)'
        """
        return f"{self.num_tokens} tokens of {self.repo_name} {self.path} ({', '.join(self.licenses) or NO_LICENSE})"

    def to_dict(self) -> dict[str, Any]:
        """The copy as plain values, for a row's column."""
        return {**asdict(self), "licenses": list(self.licenses)}


class KnownText:
    """An opened index. Thread-safe. Raises ConfigError if the folder doesn't contain an index.

    Args:
        folder: A folder written by `build`.
    """

    def __init__(self, folder: str | Path):
        folder = Path(folder)
        try:
            about = json.loads((folder / "index.json").read_text(encoding="utf-8"))
            self._hashes = np.load(folder / "hashes.npy", mmap_mode="r", allow_pickle=False)
            self._owners = np.load(folder / "owners.npy", mmap_mode="r", allow_pickle=False)
            files = pa.ipc.open_file(pa.memory_map(str(folder / "files.arrow"))).read_all()
        except (OSError, ValueError, pa.ArrowException) as error:
            raise ConfigError(f"known text {folder}: {error}; make it with codemill index") from None
        if about.get("format") not in _READABLE:
            readable = " and ".join(map(str, _READABLE))
            raise ConfigError(f"known text {folder} has format {about.get('format')}, this version reads {readable}")
        self._files = files.rename_columns(_FILES_SCHEMA.names)
        self.version = str(about["sha256"])[:16]

    def copies_of(self, text: str, own: Collection[str] = ()) -> list[Copy]:
        """The files that share a run of 20 or more tokens with a text, except those whose content hash is in `own`.

        Returns at most `MAX_COPIES` files, the longest run first.
        """
        grams = text_ngrams(text, COPY_TOKENS)
        if not len(grams) or not len(self._hashes):
            return []
        positions: dict[int, list[int]] = {}
        first = np.searchsorted(self._hashes, grams)
        for position, at in enumerate(first.tolist()):
            while at < len(self._hashes) and self._hashes[at] == grams[position]:
                positions.setdefault(int(self._owners[at]), []).append(position)
                at += 1
        copies = [
            self._copy(owner, _longest_run(where) + COPY_TOKENS - 1) for owner, where in sorted(positions.items())
        ]
        others = [copy for copy in copies if copy.content_sha256 not in own]
        return sorted(others, key=lambda copy: -copy.num_tokens)[:MAX_COPIES]

    def _copy(self, owner: int, num_tokens: int) -> Copy:
        row = self._files.slice(owner, 1).to_pylist()[0]
        return Copy(row["path"], row["repo_name"], tuple(row["licenses"]), row["sha256"], num_tokens)


@functools.lru_cache(maxsize=4)
def open_known_text(folder: str) -> KnownText:
    """Opens an index, once per folder and process. Raises ConfigError."""
    return KnownText(folder)


def _longest_run(positions: Sequence[int]) -> int:
    best = run = 1
    for before, after in itertools.pairwise(positions):
        run = run + 1 if after == before + 1 else 1
        best = max(best, run)
    return best


def build(folder: str | Path, files: Iterable[KnownFile]) -> int:
    """Writes an index of files into a new folder and returns the number of files. Raises ConfigError if the folder
    exists."""
    folder = Path(folder)
    try:
        folder.mkdir(parents=True)
    except FileExistsError:
        raise ConfigError(f"{folder} already exists; choose a new folder") from None
    spools = [open(folder / f"bucket-{bucket:03}", "wb") for bucket in range(NUM_BUCKETS)]  # noqa: SIM115
    try:
        count = _spool(folder, files, spools)
    finally:
        for spool in spools:
            spool.close()
    digest = _merge(folder)
    about = {"format": _FORMAT, "files": count, "ngram_tokens": COPY_TOKENS, "sha256": digest}
    (folder / "index.json").write_text(json.dumps(about) + "\n", encoding="utf-8")
    return count


def _spool(folder: Path, files: Iterable[KnownFile], spools: Sequence[Any]) -> int:
    """Writes the table of files, and each file's hashes to hash buckets by their leading bits. Returns the number of
    files."""
    owner, rows = 0, list[dict[str, Any]]()
    with pa.ipc.new_file(str(folder / "files.arrow"), _FILES_SCHEMA) as writer:
        for owner, file in enumerate(files, start=1):
            about = {"path": file.path, "repo_name": file.repo_name, "sha256": file.content_sha256}
            rows.append({**about, "licenses": list(file.licenses)})
            if len(rows) == _BATCH_FILES:
                writer.write_table(pa.Table.from_pylist(rows, _FILES_SCHEMA))
                rows.clear()
            grams = distinct(text_ngrams(file.text, COPY_TOKENS))
            entries = np.empty(len(grams), dtype=_ENTRY)
            entries["hash"], entries["owner"] = grams, owner - 1
            edges = np.searchsorted(grams >> _BUCKET_BITS, np.arange(NUM_BUCKETS + 1, dtype=np.uint64))
            for bucket in np.flatnonzero(edges[1:] > edges[:-1]).tolist():
                spools[bucket].write(entries[edges[bucket] : edges[bucket + 1]].tobytes())
        writer.write_table(pa.Table.from_pylist(rows, _FILES_SCHEMA))
    return owner


def _merge(folder: Path) -> str:
    """Sorts the buckets, writes them to the two arrays, and removes them. Returns the hash of the data."""
    digest, counts = hashlib.sha256(), []
    for bucket in range(NUM_BUCKETS):
        path = folder / f"bucket-{bucket:03}"
        entries = _first_owners(np.fromfile(path, _ENTRY))
        entries.tofile(path)
        digest.update(entries.tobytes())
        counts.append(len(entries))
    total, at = sum(counts), 0
    hashes = np.lib.format.open_memmap(folder / "hashes.npy", "w+", "<u8", (total,))
    owners = np.lib.format.open_memmap(folder / "owners.npy", "w+", "<u4", (total,))
    for bucket, count in enumerate(counts):
        path = folder / f"bucket-{bucket:03}"
        entries = np.fromfile(path, _ENTRY)
        hashes[at : at + count], owners[at : at + count] = entries["hash"], entries["owner"]
        at += count
        path.unlink()
    hashes.flush()
    owners.flush()
    digest.update((folder / "files.arrow").read_bytes())
    return digest.hexdigest()


def _first_owners(entries: npt.NDArray[Any]) -> npt.NDArray[Any]:
    """Sorts entries by hash and keeps the first `MAX_OWNERS` files of each hash."""
    entries = entries[np.lexsort((entries["owner"], entries["hash"]))]
    same = entries["hash"][MAX_OWNERS:] == entries["hash"][:-MAX_OWNERS]
    return entries[np.concatenate((np.ones(min(MAX_OWNERS, len(entries)), bool), ~same))]


def known_files(
    parquet: pq.ParquetFile, overrides: ColumnOverrides, constants: Mapping[str, str | None] | None = None
) -> Iterator[KnownFile]:
    """Yields the files of a corpus in Parquet, in the column layouts that all jobs detect; skips rows without text.

    Args:
        parquet: An opened file.
        overrides: The user's choice of columns.
        constants: Columns with one value for the whole file, where the file does not have them itself.

    Raises:
        ConfigError: The file has no text column, or lacks a column that the user named.
    """
    schema = parquet.schema_arrow
    there = set(schema.names)
    added = {name: value for name, value in (constants or {}).items() if name not in there}
    columns = resolve_columns(pa.schema([*schema, *((name, pa.large_string()) for name in added)]), overrides)
    names = (columns.content, columns.path, columns.repo_name, columns.license)
    for batch in parquet.iter_batches(batch_size=_ROWS_READ, columns=[name for name in names if name in there]):
        for row in batch.to_pylist():
            row |= added
            content, where, repo, licenses = (row.get(name) if name else None for name in names)
            text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
            if text:
                found = file_licenses(text, license_names(licenses))
                yield KnownFile(text, content_sha256(text), str(where or ""), str(repo or ""), found)
