"""Which rows of a table are from repositories that have opted out."""

from __future__ import annotations

import dataclasses
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from model.errors import ConfigError
from transforms.opt_out.lists import OptOut
from transforms.rows.cells import texts_of
from transforms.rows.columns import ColumnMap, ColumnOverrides, resolve_columns
from transforms.rows.types import is_list_type, is_text_type

NO_REPOSITORIES: Final = (
    "--opt_out: no column of the input says which repository a row is from, so nobody would be left out; name it with "
    "--repo_column (the input has {})"
)
_AS_DETECTED = ColumnOverrides()
_PARTS, _NAME = "parts", "repo_name"  # of packed rows: `transforms.packing.rows`


@dataclasses.dataclass(frozen=True)
class RowMatcher:
    """Finds the entries that rows fall under.

    Args:
        opt_out: The lists' entries.
        columns: The columns that the user named.
    """

    opt_out: OptOut
    columns: ColumnOverrides = _AS_DETECTED

    def matches(self, table: pa.Table) -> list[tuple[int, ...] | None]:
        """The numbers of the entries that each row falls under; None where its repository is not known.

        Raises:
            ConfigError: No column names repositories.
        """
        columns = columns_of_repositories(table.schema, self.columns)
        return [self.entries(names) if names else None for names in repositories_of(table, columns.repo_name)]

    def stays(self, table: pa.Table) -> list[bool]:
        """Whether each row may be used."""
        return [not numbers for numbers in self.matches(table)]

    def entries(self, names: Sequence[str]) -> tuple[int, ...]:
        """The numbers of the entries that a row of these repositories falls under."""
        return tuple(dict.fromkeys(number for name in names for number in self.opt_out.find(name)))


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
    if columns.repo_name is None and not is_packed(schema):
        raise ConfigError(NO_REPOSITORIES.format(", ".join(schema.names)))
    return columns


def repositories_of(table: pa.Table, column: str | None) -> list[list[str]]:
    """The repositories that each row is from: one, or several in packed rows and in lists; none if that is unknown.

    Args:
        table: The rows.
        column: The column of repositories; None if only parts of packed rows name them.
    """
    found: list[list[str]] = [[] for _ in range(table.num_rows)]
    if column is not None:
        for names, cell in zip(found, _cells(table, column), strict=True):
            names += names_of(cell)
    if is_packed(table.schema):
        parts = table.column(_PARTS).combine_chunks()
        of_parts = texts_of(pa.table({_NAME: pc.struct_field(pc.list_flatten(parts), _NAME)}), _NAME)
        for row, name in dict.fromkeys(zip(pc.list_parent_indices(parts).to_pylist(), of_parts, strict=True)):
            if name:
                found[row].append(name)
    return found


def names_of(cell: str | Sequence[str | None] | None) -> list[str]:
    """The repositories in a cell: a text, in which Commitpack puts commas between several, or a list of texts.

    >>> names_of("a/b"), names_of("a/b,c/d"), names_of(["a/b", None]), names_of(None)
    (['a/b'], ['a/b', 'c/d'], ['a/b'], [])
    """
    texts = [cell] if isinstance(cell, str) else cell or ()
    return [name for text in texts for name in (text or "").split(",") if name.strip()]


def _cells(table: pa.Table, name: str) -> list[Any]:
    kind = table.schema.field(name).type
    if is_list_type(kind) and is_text_type(kind.value_type):
        cells: list[Any] = table.column(name).to_pylist()
        return cells
    return list(texts_of(table, name))


def is_packed(schema: pa.Schema) -> bool:
    """Whether rows name the repositories of their parts."""
    if (place := schema.get_field_index(_PARTS)) < 0 or not is_list_type(kind := schema.field(place).type):
        return False
    return pa.types.is_struct(kind.value_type) and kind.value_type.get_field_index(_NAME) >= 0
