"""Finds the rows of published shards that are to be forgotten.

Cost: reads the columns that tell where rows come from, of all shards; of a corpus and of other outputs without lineage
the texts too, by whose hashes derived datasets are searched. Memory: a byte a row of the shard, and one batch.
"""

from __future__ import annotations

import functools
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.forgetting.row_lists import Place, repositories_listed
from jobs.plan.footers import InputFile
from jobs.storage.folders import DATA, REJECTED, OutputFolder
from jobs.storage.parquet import open_parquet
from model.errors import ConfigError
from transforms.duplicates.known_text import copied_files
from transforms.growth.identity import Identity, identity_of
from transforms.opt_out.rows import NO_REPOSITORIES, is_packed
from transforms.opt_out.selection import PARTS, File, FileColumns, Selection, files_of
from transforms.scanning.policy import VERBATIM_COPY

_BATCH_ROWS = 1024
_PLACE_FIELDS = ("source_uri", "source_row_group", "source_row")
_RECORD = ("uri", "row_group", "row", "content_sha256", "path", "answer", "reason", "detail")
_GROUPS_KEPT = 64


@dataclass
class Found:
    """What a search has found.

    Args:
        edition: The edition whose units made the rows that are searched.
        gone: For each shard with rows to be forgotten, whether each of its rows goes.
        named: For each shard with records that name rows to be forgotten as those kept instead, which ones stay and do.
        places: The sources of kept rows that go.
        listed: By edition, the source rows that are themselves to be forgotten, kept or rejected: also those that go
            from lists of rows.
        files: The files that these rows come from, by which derived datasets are searched.
        identities: Of files to be forgotten in rows without a place (packed ones), key and content as lists have them.
        lacks_blobs: Whether blobs are looked for that rows don't tell.
        emptied: Earlier editions of which no row is left.
        unknown: Rejected records whose repository or blob nobody can tell.
        unknown_answers: How many of them have an answer.
    """

    edition: int = 1
    gone: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    named: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    places: set[Place] = field(default_factory=set)
    listed: dict[int, set[Place]] = field(default_factory=lambda: defaultdict(set))
    files: set[File] = field(default_factory=set)
    identities: set[Identity] = field(default_factory=set)
    lacks_blobs: bool = False
    emptied: tuple[int, ...] = ()
    unknown: int = 0
    unknown_answers: int = 0

    def rows(self, folder: str, *, is_earlier: bool = False) -> int:
        """How many rows go from the shards of a folder; `is_earlier`: of that folder of earlier editions."""
        return sum(int(self.gone[path].sum()) for path in self._shards(is_earlier) if path.split("/")[-2] == folder)

    def files_of(self, *, is_earlier: bool = False) -> int:
        """From how many shards rows go."""
        return len(self._shards(is_earlier))

    def _shards(self, is_earlier: bool) -> list[str]:
        return [path for path in self.gone if (path.count("/") > 1) == is_earlier]

    def told(self) -> dict[str, Any]:
        """How many rows go, as REMOVALS.json tells it."""
        folders = (DATA, REJECTED)
        rows: dict[str, Any] = {"rows": {folder: self.rows(folder) for folder in folders}}
        if self.files_of(is_earlier=True):
            rows["rows_of_earlier_editions"] = {folder: self.rows(folder, is_earlier=True) for folder in folders}
        return rows

    def add(self, other: Found) -> None:
        """Adds what was found in the shards of another edition."""
        self.gone |= other.gone
        self.files |= other.files
        self.identities |= other.identities
        self.listed |= other.listed
        self.lacks_blobs |= other.lacks_blobs
        self.unknown += other.unknown
        self.unknown_answers += other.unknown_answers


def search_data(output: OutputFolder, shards: Sequence[str], columns: FileColumns, selection: Selection) -> Found:
    """Finds output rows.

    Args:
        output: The output, of the edition whose units made these rows.
        shards: Its shards of output rows, relative to it.
        columns: Where the rows tell what they come from.
        selection: What is to be forgotten.

    Raises:
        ConfigError: Repositories are to be forgotten, and no column names any.
    """
    found = Found(edition=output.edition)
    for path in shards:
        with storage.open_input(output.join(path)) as file, pq.ParquetFile(file) as parquet:
            schema = parquet.schema_arrow
            if len(selection.opt_out) and columns.repository not in schema.names and not is_packed(schema):
                raise ConfigError(NO_REPOSITORIES.format(", ".join(schema.names)))
            found.lacks_blobs |= bool(selection.blobs) and not (columns.is_raw or "blob_id" in schema.names)
            parts = [np.zeros(0, dtype=bool)]
            for table in _batches(parquet, columns.read(schema)):
                parts.append(_search_table(table, columns, selection, found))
        gone = np.concatenate(parts)
        if gone.any():
            found.gone[path] = gone
    return found


def search_rejected(
    output: OutputFolder,
    shards: Sequence[str],
    selection: Selection,
    found: Found,
    inputs: Sequence[InputFile],
    columns: FileColumns,
) -> None:
    """Finds rejected records, and adds them to what was found of the output rows.

    A record has no repository and no blob, so these are looked up in the input, which a corpus doesn't have: what it
    rejected is found by path and content alone. Where the input is gone or another one, the lists of rows of a dataset
    that can grow still tell repositories.

    Args:
        output: The output, of the edition whose units made these records.
        shards: Its shards of rejected records.
        selection: What is to be forgotten.
        found: What was found of the output rows; targets of their sources go with them.
        inputs: The files of the job's input.
        columns: The input's columns.
    """
    wants_input = len(selection.opt_out) or (selection.blobs and inputs)
    lookup = _Sources(inputs, columns, with_content=bool(selection.blobs)) if wants_input else None
    records: dict[str, _Records] = {}
    for path in shards:
        searched = [_Records.empty()]
        with storage.open_input(output.join(path)) as file, pq.ParquetFile(file) as parquet:
            names = [name for name in _RECORD if name in parquet.schema_arrow.names]
            for table in _batches(parquet, names):
                searched.append(_search_records(table, selection, found, lookup))
        records[path] = _Records.joined(searched)
    wanted = {place for each in records.values() for place in each.unknown.values()}
    listed = repositories_listed(output.job, selection.opt_out, wanted) if wanted else {}
    for path, each in records.items():
        for row, place in each.unknown.items():
            is_named = listed.get(place)
            each.gone[row] |= bool(is_named)
            if is_named:
                found.listed[found.edition].add(place)
            elif (is_named is None or selection.blobs) and not each.gone[row]:
                found.unknown += 1
                found.unknown_answers += row in each.answers
        if each.gone.any():
            found.gone[path] = each.gone


@dataclass
class _Records:
    """What is found of the rejected records of a shard.

    Args:
        gone: Whether each of them goes.
        unknown: The places of those, by number, whose source isn't in the input anymore.
        answers: Which of these have an answer.
    """

    gone: npt.NDArray[np.bool_]
    unknown: dict[int, Place]
    answers: set[int]

    @classmethod
    def empty(cls, rows: int = 0) -> _Records:
        """Of this many records nothing is found."""
        return cls(np.zeros(rows, dtype=bool), {}, set())

    @classmethod
    def joined(cls, parts: Sequence[_Records]) -> _Records:
        """Parts of a shard, one after the other."""
        whole, start = cls.empty(), 0
        for part in parts:
            whole.unknown.update({start + row: place for row, place in part.unknown.items()})
            whole.answers.update(start + row for row in part.answers)
            start += len(part.gone)
        whole.gone = np.concatenate([part.gone for part in parts])
        return whole


def _batches(parquet: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.Table]:
    if not columns:
        columns = parquet.schema_arrow.names[:1]
    for batch in parquet.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False):
        yield pa.Table.from_batches([batch])


def _search_table(table: pa.Table, columns: FileColumns, selection: Selection, found: Found) -> npt.NDArray[np.bool_]:
    gone, own = np.zeros(table.num_rows, dtype=bool), np.zeros(table.num_rows, dtype=bool)
    places = places_of(table)
    for row, files in enumerate(files_of(table, columns)):
        if hit := [file for file in files if selection.names(file)]:
            gone[row] = True
            if places[row] is None:
                found.identities.update(identity_of(file.repositories, file.path, file.sha256) for file in hit)
            own[row] = hit[0] is files[0] or (columns.is_raw and selection.names(files[1]))
            # The row's own file whichever part names it: what derives from the row goes with it.
            found.files.update(file for file in (*files[:2], *hit) if file.sha256)
    if gone.any():
        found.places.update(place for place, goes in zip(places, gone, strict=True) if goes and place is not None)
        listed = (place for place, goes in zip(places, own, strict=True) if goes and place is not None)
        found.listed[found.edition].update(listed)
    return gone


def places_of(table: pa.Table) -> list[Place | None]:
    """The source of each row by its lineage; None where there is none."""
    lineage = table.schema.field("lineage").type if "lineage" in table.column_names else None
    if lineage is None or not pa.types.is_struct(lineage) or lineage.get_field_index(_PLACE_FIELDS[0]) < 0:
        return [None] * table.num_rows
    fields = (pc.struct_field(table.column("lineage"), name).to_pylist() for name in _PLACE_FIELDS)
    return list(zip(*fields, strict=True))


def _search_records(table: pa.Table, selection: Selection, found: Found, lookup: _Sources | None) -> _Records:
    records = _Records.empty(table.num_rows)
    places = zip(*(table.column(name).to_pylist() for name in ("uri", "row_group", "row")), strict=True)
    has_answer = table.column("answer").is_valid().to_pylist() if "answer" in table.column_names else records.gone
    is_copy = _copies(table, selection)
    for row, ((file, *_), place) in enumerate(zip(files_of(table, FileColumns(path="path")), places, strict=True)):
        is_named = selection.names(file)
        if not is_named and place not in found.places and lookup is not None:
            sources = lookup.of(place)
            if sources is None:
                records.unknown[row] = place
                records.answers.update([row] if has_answer[row] else [])
            is_named = any(map(selection.names, sources or ()))
        if is_named:
            found.listed[found.edition].add(place)
        records.gone[row] = is_named or is_copy[row] or place in found.places
    return records


def _copies(table: pa.Table, selection: Selection) -> list[bool]:
    """Which records are of answers that repeat a file to be forgotten; they name it, and may have the answer."""
    if not {"reason", "detail"} <= set(table.column_names):
        return [False] * table.num_rows
    found = []
    for reason, detail in zip(table["reason"].to_pylist(), table["detail"].to_pylist(), strict=True):
        copied = copied_files(detail or "") if reason == VERBATIM_COPY else ()
        found.append(any(selection.names_copied(*file) for file in copied))
    return found


class _Sources:
    """The files that rows of the input come from."""

    def __init__(self, inputs: Sequence[InputFile], columns: FileColumns, *, with_content: bool):
        self._inputs: Mapping[str, InputFile] = {file.public_name: file for file in inputs if file.version}
        self._columns = columns if with_content else FileColumns(repository=columns.repository)
        self._with_content = with_content
        self._group = functools.lru_cache(maxsize=1 if with_content else _GROUPS_KEPT)(self._read)

    def of(self, place: Place) -> list[File] | None:
        """The files of a row; None if the input is gone, or another one since."""
        uri, group, row = place
        rows = self._group(uri, group)
        return None if rows is None or row >= len(rows) else rows[row]

    def _read(self, name: str, group: int) -> list[list[File]] | None:
        file = self._inputs.get(name)
        try:
            if file is None or not storage.has_version(file.uri, file.version):
                return None
            with storage.open_input(file.uri) as opened, open_parquet(opened) as parquet:
                if group >= parquet.num_row_groups:
                    return None
                names = self._columns.read(parquet.schema_arrow)
                if not self._with_content:
                    names = [name for name in names if name in (self._columns.repository, *PARTS)]
                if not names:
                    return None
                return list(files_of(parquet.read_row_group(group, columns=names, use_threads=False), self._columns))
        except (OSError, pa.ArrowException):
            return None
