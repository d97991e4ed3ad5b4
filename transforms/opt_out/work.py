"""Rejects the rows of repositories that have opted out, before anything else is done with them, in every job.

    table -> rows of the lists' repositories -> rejected (`repository_opted_out`), counted by entry
          -> the other rows                  -> the job's work

A packed row has files of several repositories (`parts`) and is rejected if one of them has opted out.
"""

from __future__ import annotations

import dataclasses
import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from model.errors import ConfigError
from transforms.opt_out.lists import REASON, STAGE, OptOut
from transforms.rows.cells import as_binary, texts_of
from transforms.rows.columns import ColumnMap, ColumnOverrides, resolve_columns
from transforms.rows.rejections import RejectedRow, Rejection, rejected_counts, rejected_table
from transforms.rows.row import SourceRef
from transforms.rows.sources import sources_of
from transforms.rows.types import is_list_type, is_text_type
from transforms.work import Unit, UnitResult, Work

MATCHED: Final = "opted_out/"
"""What the names of counts by entry begin with."""
UNKNOWN: Final = "rows_without_repository"
"""The count of rows that no entry can match, since nothing says where they are from."""
NO_REPOSITORIES: Final = (
    "--opt_out: no column of the input says which repository a row is from, so nobody would be left out; name it with "
    "--repo_column (the input has {})"
)
_AS_DETECTED = ColumnOverrides()
_PARTS, _NAME = "parts", "repo_name"  # of packed rows: `transforms.packing.rows`


@dataclasses.dataclass
class OptOutWork:
    """A job's work, given only rows of repositories that have not opted out; see `transforms.work.Work`.

    Args:
        inner: The job's work.
        opt_out: The lists' entries.
        columns: The columns that the user named.
    """

    inner: Work
    opt_out: OptOut
    columns: ColumnOverrides = _AS_DETECTED

    @property
    def whole_row_groups(self) -> bool:
        """The work's own, as are the other properties."""
        return self.inner.whole_row_groups

    @property
    def spreads_rows(self) -> bool:
        return self.inner.spreads_rows

    @property
    def opens_first(self) -> bool:
        return self.inner.opens_first

    @property
    def checkpoint_sha256(self) -> str:
        return self.inner.checkpoint_sha256

    def output_schema(self, input_schema: pa.Schema) -> pa.Schema:
        """The work's own. Raises ConfigError if nothing in the input says which repository a row is from."""
        columns_of_repositories(input_schema, self.columns)
        return self.inner.output_schema(input_schema)

    def input_columns(self, input_schema: pa.Schema) -> list[str]:
        """The work's own, which include the repository's."""
        return self.inner.input_columns(input_schema)

    def open(self) -> None:
        self.inner.open()

    def run(self, unit: Unit, table: pa.Table, rows: list[int]) -> UnitResult:
        """Rejects the rows of repositories that have opted out, and runs the work on the others."""
        columns = columns_of_repositories(table.schema, self.columns)
        repositories = repositories_of(table, columns)
        found = [self.entries_of(names) for names in repositories]
        counts: Counter[str] = Counter(f"{MATCHED}{self.opt_out.entries[n]}" for numbers in found for n in numbers)
        if unknown := sum(not names for names in repositories):
            counts[UNKNOWN] = unknown
        stays = [index for index, numbers in enumerate(found) if not numbers]
        if len(stays) == len(rows):
            result = self.inner.run(unit, table, rows)
            return dataclasses.replace(result, counts=_sum(result.counts, counts))
        result = self.inner.run(unit, table.take(pa.array(stays, pa.int64())), [rows[index] for index in stays])
        sources = [source or SourceRef(*unit.place(row)) for source, row in zip(sources_of(table), rows, strict=True)]
        gone = sorted(set(range(len(rows))) - set(stays))
        records = self._records(
            table.take(pa.array(gone, pa.int64())), columns, [sources[i] for i in gone], [found[i] for i in gone]
        )
        counts.update({"rows_in": len(gone), "rows_rejected": len(gone)})
        counts.update(rejected_counts(records))
        rejected = _in_order(result.rejected, rejected_table(records), sources)
        return UnitResult(result.kept, rejected, _sum(result.counts, counts))

    def heartbeat(self) -> dict[str, float]:
        return self.inner.heartbeat()

    def close(self) -> None:
        self.inner.close()

    def stays(self, table: pa.Table) -> list[bool]:
        """Whether each row may be used."""
        columns = columns_of_repositories(table.schema, self.columns)
        return [not self.entries_of(names) for names in repositories_of(table, columns)]

    def entries_of(self, names: Sequence[str]) -> tuple[int, ...]:
        """The numbers of the entries that a row of these repositories falls under."""
        return tuple(dict.fromkeys(number for name in names for number in self.opt_out.find(name)))

    def _records(
        self, table: pa.Table, columns: ColumnMap, sources: Sequence[SourceRef], found: Sequence[Sequence[int]]
    ) -> list[dict[str, Any]]:
        contents, paths = as_binary(table.column(columns.content)), texts_of(table, columns.path)
        records = []
        for content, path, source, numbers in zip(contents, paths, sources, found, strict=True):
            entry = self.opt_out.entries[numbers[0]]
            sha256 = hashlib.sha256(content.as_buffer()).hexdigest() if content.is_valid else None
            rejection = Rejection(STAGE, REASON, f"by the entry {entry}")
            records.append(RejectedRow(source, rejection, sha256, path).record())
        return records


def columns_of_repositories(schema: pa.Schema, overrides: ColumnOverrides) -> ColumnMap:
    """The columns by their roles, of which one says where a row is from.

    Args:
        schema: Of the input, or of files that were made of it, which have columns of other names.
        overrides: The columns that the user named.

    Raises:
        ConfigError: No column names repositories.
    """
    given = {part: name for part, name in dataclasses.asdict(overrides).items() if name in schema.names}
    columns = resolve_columns(schema, ColumnOverrides(**given))
    if columns.repo_name is None and not _is_packed(schema):
        raise ConfigError(NO_REPOSITORIES.format(", ".join(schema.names)))
    return columns


def repositories_of(table: pa.Table, columns: ColumnMap) -> list[list[str]]:
    """The repositories that each row is from: one, or several in packed rows and in lists; none if that is unknown."""
    found: list[list[str]] = [[] for _ in range(table.num_rows)]
    if columns.repo_name is not None:
        for names, cell in zip(found, _cells(table, columns.repo_name), strict=True):
            # Commitpack lists repositories with commas between them.
            names += [name for part in cell for name in part.split(",") if name.strip()]
    if _is_packed(table.schema):
        parts = table.column(_PARTS).combine_chunks()
        of_parts = texts_of(pa.table({_NAME: pc.struct_field(pc.list_flatten(parts), _NAME)}), _NAME)
        for row, name in dict.fromkeys(zip(pc.list_parent_indices(parts).to_pylist(), of_parts, strict=True)):
            if name:
                found[row].append(name)
    return found


def _cells(table: pa.Table, name: str) -> list[list[str]]:
    kind = table.schema.field(name).type
    if is_list_type(kind) and is_text_type(kind.value_type):
        return [[str(text) for text in cell or () if text] for cell in table.column(name).to_pylist()]
    return [[text] if text else [] for text in texts_of(table, name)]


def _is_packed(schema: pa.Schema) -> bool:
    if (place := schema.get_field_index(_PARTS)) < 0 or not is_list_type(kind := schema.field(place).type):
        return False
    return pa.types.is_struct(kind.value_type) and kind.value_type.get_field_index(_NAME) >= 0


def _sum(*counts: Counter[str]) -> Counter[str]:
    """The sum, with zeros, which `+` leaves out."""
    total: Counter[str] = Counter()
    for one in counts:
        total.update(one)
    return total


def _in_order(one: pa.Table, other: pa.Table, sources: Sequence[SourceRef]) -> pa.Table:
    """Both tables of rejected records as one, in the order of the rows."""
    table = pa.concat_tables([one, other])
    places = {(source.uri, source.row_group, source.row): index for index, source in enumerate(sources)}
    keys = zip(*(table.column(name).to_pylist() for name in ("uri", "row_group", "row")), strict=True)
    order = np.argsort([places[key] for key in keys], kind="stable")
    return table.take(pa.array(order, pa.int64()))
