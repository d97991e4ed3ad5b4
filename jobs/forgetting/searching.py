"""Finds the rows of published shards that are to be forgotten.

Cost: reads the columns that tell where rows come from, of all shards; of a corpus and of other outputs without lineage
the texts too, by whose hashes derived datasets are searched. Memory: a byte a row of the shard, and one batch.
"""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.plan.footers import InputFile
from jobs.storage.folders import OutputFolder
from jobs.storage.parquet import open_parquet
from model.errors import ConfigError
from transforms.opt_out.rows import NO_REPOSITORIES, is_packed
from transforms.opt_out.selection import PARTS, File, FileColumns, Selection, files_of

_BATCH_ROWS = 1024
Place = tuple[str, int, int]
"""A source row: the public name of its file, row group, row."""
_PLACE_FIELDS = ("source_uri", "source_row_group", "source_row")
_RECORD = ("uri", "row_group", "row", "content_sha256", "path", "answer")
_GROUPS_KEPT = 64


@dataclass
class Found:
    """What a search has found.

    Args:
        gone: For each shard with rows to be forgotten, whether each of its rows goes.
        places: The sources of kept rows that go.
        files: The files that these rows come from, by which derived datasets are searched.
        lacks_blobs: Whether blobs are looked for that rows don't tell.
        unknown: Rejected records whose repository or blob nobody can tell.
        unknown_answers: How many of them have an answer.
    """

    gone: dict[str, npt.NDArray[np.bool_]] = field(default_factory=dict)
    places: set[Place] = field(default_factory=set)
    files: set[File] = field(default_factory=set)
    lacks_blobs: bool = False
    unknown: int = 0
    unknown_answers: int = 0

    def rows(self, folder: str) -> int:
        """How many rows go from the shards of a folder."""
        return sum(int(gone.sum()) for path, gone in self.gone.items() if path.startswith(f"{folder}/"))


def search_data(output: OutputFolder, shards: Sequence[str], columns: FileColumns, selection: Selection) -> Found:
    """Finds output rows.

    Args:
        output: The output.
        shards: Its shards of output rows, relative to it.
        columns: Where the rows tell what they come from.
        selection: What is to be forgotten.

    Raises:
        ConfigError: Repositories are to be forgotten, and no column names any.
    """
    found = Found()
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
    rejected is found by path and content alone.

    Args:
        output: The output.
        shards: Its shards of rejected records.
        selection: What is to be forgotten.
        found: What was found of the output rows; targets of their sources go with them.
        inputs: The files of the job's input.
        columns: The input's columns.
    """
    wants_input = len(selection.opt_out) or (selection.blobs and inputs)
    lookup = _Sources(inputs, columns, with_content=bool(selection.blobs)) if wants_input else None
    of_record = FileColumns(path="path")
    for path in shards:
        parts = [np.zeros(0, dtype=bool)]
        with storage.open_input(output.join(path)) as file, pq.ParquetFile(file) as parquet:
            names = [name for name in _RECORD if name in parquet.schema_arrow.names]
            for table in _batches(parquet, names):
                parts.append(_search_records(table, of_record, selection, found, lookup))
        gone = np.concatenate(parts)
        if gone.any():
            found.gone[path] = gone


def _batches(parquet: pq.ParquetFile, columns: Sequence[str]) -> Iterator[pa.Table]:
    if not columns:
        columns = parquet.schema_arrow.names[:1]
    for batch in parquet.iter_batches(_BATCH_ROWS, columns=list(columns), use_threads=False):
        yield pa.Table.from_batches([batch])


def _search_table(table: pa.Table, columns: FileColumns, selection: Selection, found: Found) -> npt.NDArray[np.bool_]:
    gone = np.zeros(table.num_rows, dtype=bool)
    for row, files in enumerate(files_of(table, columns)):
        if hit := [file for file in files if selection.names(file)]:
            gone[row] = True
            # The row's own file whichever part names it: what derives from the row goes with it.
            found.files.update(file for file in (*files[:2], *hit) if file.sha256)
    if gone.any():
        found.places.update(place for place in places_of(table.filter(pa.array(gone))) if place is not None)
    return gone


def places_of(table: pa.Table) -> list[Place | None]:
    """The source of each row by its lineage; None where there is none."""
    lineage = table.schema.field("lineage").type if "lineage" in table.column_names else None
    if lineage is None or not pa.types.is_struct(lineage) or lineage.get_field_index(_PLACE_FIELDS[0]) < 0:
        return [None] * table.num_rows
    fields = (pc.struct_field(table.column("lineage"), name).to_pylist() for name in _PLACE_FIELDS)
    return list(zip(*fields, strict=True))


def _search_records(
    table: pa.Table, columns: FileColumns, selection: Selection, found: Found, lookup: _Sources | None
) -> npt.NDArray[np.bool_]:
    gone = np.zeros(table.num_rows, dtype=bool)
    places = zip(*(table.column(name).to_pylist() for name in ("uri", "row_group", "row")), strict=True)
    has_answer = table.column("answer").is_valid().to_pylist() if "answer" in table.column_names else gone
    for row, ((file, *_), place) in enumerate(zip(files_of(table, columns), places, strict=True)):
        gone[row] = place in found.places or selection.names(file)
        if not gone[row] and lookup is not None:
            sources = lookup.of(place)
            found.unknown += sources is None
            found.unknown_answers += sources is None and bool(has_answer[row])
            gone[row] = any(map(selection.names, sources or ()))
    return gone


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
