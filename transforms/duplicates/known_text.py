"""Known text: finds verbatim copies of a corpus's files in generated text. Memorized code is not new code.

    codemill index --input 'corpus/**/*.parquet' --output INDEX

    INDEX/hashes.npy    the 20-grams of all files, hashed (`ngrams.py`) and sorted  | memory-mapped: all workers on a
    INDEX/owners.npy    the files of each 20-gram, at most two per 20-gram          | machine share them
    INDEX/files.arrow   the files: path, repository, licenses, content hash
    INDEX/index.json    counts, and the hash that goes into the lineage

Two files per 20-gram are enough: one of them may be the answer's own source, which doesn't count. Runs shorter than 20
tokens are idiom. `known_index` builds it. Cost: 12 bytes per token of the corpus.
"""

from __future__ import annotations

import functools
import itertools
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import ConfigError
from transforms.filters.licenses import NO_LICENSE, file_licenses, license_names
from transforms.opt_out.rows import names_of
from transforms.rows.columns import ColumnOverrides, resolve_columns
from transforms.rows.ngrams import text_ngrams
from transforms.rows.row import content_sha256

COPY_TOKENS = 20
MAX_OWNERS = 2
_ROWS_READ = 256
MAX_COPIES = 5
_TOLD = re.compile(r"\d+ tokens of (\S*) (.* \(.*)\)", re.DOTALL)  # as `Copy.told` writes it
FORMAT = 2
_READABLE = (1, 2)  # format 1 spells the column `licenses` as `licences`; otherwise the formats are identical
FILES_SCHEMA = pa.schema(
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


def copied_files(detail: str) -> list[tuple[str, str]]:
    """The repository and path that a rejection's detail names (`Copy.told`): several where a path may end in one of
    several places, none of another detail.

    >>> copied_files("24 tokens of owner/b lib/b.py (MIT)")
    [('owner/b', 'lib/b.py')]
    """
    found = _TOLD.fullmatch(detail)
    if found is None:
        return []
    parts = found[2].split(" (")
    return [(found[1], " (".join(parts[:end])) for end in range(1, len(parts))]


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
        self._files = files.rename_columns(FILES_SCHEMA.names)
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


def known_files(
    parquet: pq.ParquetFile,
    overrides: ColumnOverrides,
    constants: Mapping[str, str | None] | None = None,
    row_groups: Sequence[int] | None = None,
) -> Iterator[KnownFile]:
    """Yields the files of a corpus in Parquet, in the column layouts that all jobs detect; skips rows without text.

    Args:
        parquet: An opened file.
        overrides: The user's choice of columns.
        constants: Columns with one value for the whole file, where the file does not have them itself.
        row_groups: The row groups to read; None: all.

    Raises:
        ConfigError: The file has no text column, or lacks a column that the user named.
    """
    schema = parquet.schema_arrow
    there = set(schema.names)
    added = {name: value for name, value in (constants or {}).items() if name not in there}
    columns = resolve_columns(pa.schema([*schema, *((name, pa.large_string()) for name in added)]), overrides)
    names = (columns.content, columns.path, columns.repo_name, columns.license)
    asked = list(dict.fromkeys(name for name in names if name in there))
    for batch in parquet.iter_batches(_ROWS_READ, row_groups=row_groups, columns=asked):
        values: list[Sequence[Any]] = [
            batch.column(name).to_pylist() if name in there else [added.get(name or "")] * batch.num_rows
            for name in names
        ]
        for content, where, repo, licenses in zip(*values, strict=True):
            text = content.decode("utf-8", "replace") if isinstance(content, bytes) else content
            if text:
                found = file_licenses(text, license_names(licenses))
                yield KnownFile(text, content_sha256(text), str(where or ""), ",".join(names_of(repo)), found)
