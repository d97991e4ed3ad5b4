"""Turns what is asked for into SQL. What a user wrote is only ever a parameter; names come from the file's schema."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa

from jobs.browsing.request import Asked
from jobs.viewing.conditions import Condition, Path, Term, find_term, type_at
from model.errors import ConfigError
from transforms.rows.types import is_bytes_type

FILE: Final = "codemill file"  # columns that DuckDB adds; a space, so that no usual column is called so
_ROW: Final = "file_row_number"
_OPERATORS: Final = {"=": "=", "!=": "<>", "<": "<", "<=": "<=", ">": ">", ">=": ">="}


@dataclass
class Query:
    """A query and its parameters."""

    sql: str
    parameters: list[Any] = field(default_factory=list)


@dataclass(frozen=True)
class Source:
    """What is searched: a FROM with its parameters, and the columns in it."""

    sql: str
    parameters: tuple[Any, ...]
    schema: pa.Schema


def files_source(files: Sequence[str], schema: pa.Schema) -> Source:
    """Parquet files, of which DuckDB tells each row's file and number."""
    sql = f"FROM read_parquet(?, filename = '{FILE}', {_ROW} = true)"
    return Source(sql, (list(files),), schema)


def matching(source: Source, asked: Asked, searched: Sequence[Path]) -> Query:
    """The part after SELECT: FROM and WHERE. Raises ConfigError if a condition or a text makes no sense.

    Args:
        source: What is searched.
        asked: What is asked for.
        searched: The columns in which its text is searched.
    """
    query, schema = Query(source.sql, [*source.parameters]), source.schema
    parts = [_condition(query, one, find_term(schema, one.name)) for one in asked.conditions]
    if asked.text:
        if not searched:
            raise ConfigError("no column here is searched for a text; write a condition, such as NAME~TEXT")
        found = [f"contains(lower(CAST({_at(schema, path)} AS VARCHAR)), lower(?))" for path in searched]
        query.parameters += [asked.text] * len(found)
        parts.append(f"({' OR '.join(found)})")
    if parts:
        query.sql += f" WHERE {' AND '.join(parts)}"
    return query


def _condition(query: Query, condition: Condition, term: Term) -> str:
    value = condition.typed_value(term.type)
    expression = expression_of(term)
    if value is None:
        return f"{expression} IS {'NULL' if condition.operator == '=' else 'NOT NULL'}"
    query.parameters.append(value)
    if condition.operator == "~":
        return f"contains(lower(CAST({expression} AS VARCHAR)), lower(?))"
    if isinstance(value, str):
        expression = f"CAST({expression} AS VARCHAR)"
    return f"{expression} {_OPERATORS[condition.operator]} ?"


def places(source: Source, asked: Asked, searched: Sequence[Path], limit: int) -> Query:
    """Selects the files and rows of one page: (file, row in it), in order."""
    query = matching(source, asked, searched)
    order = f'{_quoted(FILE)}, "{_ROW}"'
    if asked.sort:
        direction = "ASC" if asked.sort[:1] == "-" else "DESC"
        order = (
            f"{expression_of(find_term(source.schema, asked.sort.removeprefix('-')))} {direction} NULLS LAST, {order}"
        )
        query.sql += f" ORDER BY {order}"
    query.sql = f'SELECT {_quoted(FILE)}, "{_ROW}" {query.sql} LIMIT ? OFFSET ?'
    query.parameters += [limit, asked.start]
    return query


def count(source: Source, asked: Asked, searched: Sequence[Path]) -> Query:
    """Counts the rows that are asked for."""
    query = matching(source, asked, searched)
    query.sql = f"SELECT count(*) {query.sql}"
    return query


def facet(source: Source, asked: Asked, searched: Sequence[Path], path: Path, limit: int) -> Query:
    """Counts the rows that are asked for by the value of a column: (value, count), the most frequent first."""
    query = matching(source, asked, searched)
    query.sql = f"SELECT {_at(source.schema, path)}, count(*) {query.sql} GROUP BY 1 ORDER BY 2 DESC, 1 LIMIT ?"
    query.parameters.append(limit)
    return query


def expression_of(term: Term) -> str:
    """A term's value in SQL; NULL for NaN, and for bytes that aren't UTF-8."""
    names = [name_of(path) for path in term.paths]
    if term.is_score:
        first, *more = (_number(f"CAST({name} AS DOUBLE)") for name in names)
        return f"({first} + coalesce({', '.join([*more, '0'])}))"
    if pa.types.is_floating(term.type):
        return _number(names[0])
    return f"TRY(decode({names[0]}))" if is_bytes_type(term.type) else names[0]


def _number(name: str) -> str:
    # Not `isnan`: a file's statistics leave NaN out, so DuckDB takes it for false.
    return f"CASE WHEN isfinite({name}) OR isinf({name}) THEN {name} END"


def _at(schema: pa.Schema, path: Path) -> str:
    kind = type_at(schema, path)
    assert kind is not None, path
    return expression_of(Term((path,), kind))


def name_of(path: Path) -> str:
    """A column or field in SQL."""
    return ".".join(map(_quoted, path))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
