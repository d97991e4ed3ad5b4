"""The rows of a dataset, searched with DuckDB and read with Arrow.

    conditions, text, order -> DuckDB, over the columns that they name -> places of at most 25 rows -> Arrow reads those

DuckDB never sees more than the columns of the conditions, and a page reads the row groups of its rows, so neither cost
nor memory grows with the dataset but where a text is searched. DuckDB may read these files and nothing else: access to
others, extensions and changes of its settings are off. It takes every name for a glob, so it gets plain names: links
to local files, and names that `jobs.browsing.bucket_files` opens in a bucket. Without conditions it isn't asked at all.
"""

from __future__ import annotations

import importlib
import os
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.browsing import sql
from jobs.browsing.request import ROWS_PER_PAGE, Asked, Table
from jobs.storage.folders import OutputFolder
from jobs.viewing.conditions import Path, type_at
from jobs.viewing.places import Rows, find_rows, rows_at
from model.errors import ConfigError
from transforms.rows.types import is_text_type

try:
    import duckdb
except ImportError:  # the extra `browse`
    duckdb = None  # type: ignore[assignment]

_SCHEME: Final = "codemill"  # of the names of files in a bucket
_PAGE_TIMEOUT_S: Final = 60.0
_COUNT_TIMEOUT_S: Final = 2.0  # counts are shown if they are there by then
_FACET_VALUES: Final = 12
_MAX_FACETS: Final = 8
_FACETS: Final = ("kind", "stage", "reason", "language", "lang", "span_kind", "symbol_kind", "target_kind", "ended_by")
_TEXTS: Final = ("generated_middle", "documentation", "answer", "generated_code", "content", "code", "text")
_REJECTED_TEXTS: Final = ("detail", "answer")
_TITLES: Final = ("repo_name", "path", "target", "symbol_name")


@dataclass(frozen=True)
class Page:
    """A page of rows.

    Args:
        rows: Each with its number in the table; only short columns, and the main text.
        has_more: Whether there are more after these.
        count: How many meet the conditions; None: unknown.
        facets: For some columns, the values of the rows that meet the conditions with their counts.
    """

    rows: Sequence[tuple[int, dict[str, Any]]]
    has_more: bool
    count: int | None
    facets: dict[str, list[tuple[Any, int]]] = field(default_factory=dict)


class Store:
    """A dataset. Thread-safe.

    Args:
        path: A job's output, finished or unfinished; or a Parquet file, folder or glob. Local, or a URL of a bucket.
        memory_mb: The most memory that DuckDB uses.
        links: An empty folder for links to the files.

    Raises:
        ConfigError: There are no rows, the extra is not installed, or the scheme of a URL is unknown.
    """

    def __init__(self, path: str, memory_mb: int, links: str):
        if duckdb is None:
            raise ConfigError("browse needs DuckDB; install codemill's extra: pip install 'codemill[browse]'")
        self.path = path
        self.tables: dict[Table, Rows] = {"kept": _rows_of(path, False), "rejected": _rows_of(path, True)}
        if not any(rows.files for rows in self.tables.values()):
            raise ConfigError(f"{path} has no rows")
        self.schemas = {table: _schema_of(rows) for table, rows in self.tables.items()}
        prefix = os.path.join(links, "") if storage.is_local(path) else f"{_SCHEME}://"
        self._first = {table: _first_rows(rows, f"{prefix}{table}") for table, rows in self.tables.items()}
        paths = [file for rows in self.tables.values() for file, _ in rows.files]
        named = dict(zip((name for firsts in self._first.values() for name in firsts), paths, strict=True))
        self._sources = {
            table: sql.files_source(list(firsts), self.schemas[table]) for table, firsts in self._first.items()
        }
        self._running: set[Any] = set()
        self._lock = threading.Lock()
        self._db = self._open(named, memory_mb)

    def _open(self, named: Mapping[str, str], memory_mb: int) -> Any:
        db = duckdb.connect(":memory:", config={"memory_limit": f"{memory_mb}MB", "temp_directory": ""})
        if storage.is_local(self.path):
            for link, path in named.items():
                os.symlink(os.path.abspath(path.removeprefix("file://")), link)
        else:  # it imports fsspec
            db.register_filesystem(importlib.import_module("jobs.browsing.bucket_files").BucketFiles(_SCHEME, named))
        db.execute("SET allowed_paths = ?", [list(named)])
        for setting in ("enable_external_access = false", "autoinstall_known_extensions = false"):
            db.execute(f"SET {setting}")
        db.execute("SET lock_configuration = true")
        return db

    def page(self, asked: Asked) -> Page:
        """Finds a page of rows. Raises ConfigError if a condition makes no sense or the search takes too long."""
        rows, source = self.tables[asked.table], self._sources[asked.table]
        if not rows.files:
            return Page([], False, 0)
        searched = self.searched(asked.table) if asked.text else []
        if not (asked.where or asked.text or asked.sort):
            numbers = list(range(asked.start, min(rows.total, asked.start + ROWS_PER_PAGE)))
            has_more = asked.start + ROWS_PER_PAGE < rows.total
            return Page(self._short_rows(asked.table, numbers), has_more, rows.total, self._facets(asked, searched))
        found = self._run(sql.places(source, asked, searched, ROWS_PER_PAGE + 1), _PAGE_TIMEOUT_S)
        if found is None:
            raise ConfigError(f"the search took longer than {_PAGE_TIMEOUT_S:g} s; search fewer columns or rows")
        numbers = [self._first[asked.table][file] + row for file, row in found]
        shown = self._short_rows(asked.table, numbers[:ROWS_PER_PAGE])
        if asked.text:  # each further query would search all texts again
            return Page(shown, len(numbers) > ROWS_PER_PAGE, None)
        total = self._run(sql.count(source, asked, searched), _COUNT_TIMEOUT_S)
        return Page(shown, len(numbers) > ROWS_PER_PAGE, total[0][0] if total else None, self._facets(asked, searched))

    def row(self, table: Table, number: int) -> dict[str, Any]:
        """One row with all columns. Raises ConfigError if there is none."""
        if not 0 <= number < self.tables[table].total:
            raise ConfigError(f"no row {number}; {table} has {self.tables[table].total:,} rows")
        ((_, row),) = rows_at(self.tables[table], [number])
        return row

    def searched(self, table: Table) -> list[Path]:
        """The columns in which a text is searched: the path and the main texts."""
        return [(name,) for name in ("path", *self.texts(table)) if name in self.schemas[table].names]

    def texts(self, table: Table) -> list[str]:
        """The columns with the texts that a row is about: one of a kept row, detail and answer of a rejected record."""
        schema = self.schemas[table]
        names = _TEXTS if table == "kept" else _REJECTED_TEXTS
        found = [name for name in names if name in schema.names and is_text_type(schema.field(name).type)]
        return found[:1] if table == "kept" else found

    def titles(self, table: Table) -> list[str]:
        """The columns that name a row."""
        return [name for name in _TITLES if name in self.schemas[table].names]

    def facet_paths(self, table: Table) -> list[Path]:
        """The columns by whose values rows are counted: a few that have few values, and verdicts."""
        schema = self.schemas[table]
        names = (name for name in _FACETS if name in schema.names)
        paths: list[Path] = [(name,) for name in names if not pa.types.is_nested(schema.field(name).type)]
        checks = type_at(schema, ("checks",))
        if checks is not None and pa.types.is_struct(checks):
            fields = (checks.field(index) for index in range(checks.num_fields))
            paths += [("checks", one.name) for one in fields if pa.types.is_boolean(one.type)]
        return paths[:_MAX_FACETS]

    def interrupt(self) -> None:
        """Ends the searches that are running."""
        with self._lock:
            for cursor in self._running:
                cursor.interrupt()

    def _facets(self, asked: Asked, searched: Sequence[Path]) -> dict[str, list[tuple[Any, int]]]:
        source, facets = self._sources[asked.table], {}
        for path in self.facet_paths(asked.table):
            found = self._run(sql.facet(source, asked, searched, path, _FACET_VALUES), _COUNT_TIMEOUT_S)
            if found is None:
                break  # the others take as long
            if len(found) > 1:
                facets[".".join(path)] = found
        return facets

    def _short_rows(self, table: Table, numbers: Sequence[int]) -> list[tuple[int, dict[str, Any]]]:
        names = [*self.titles(table), *(path[0] for path in self.facet_paths(table)), *self.texts(table)]
        columns = list(dict.fromkeys(names))
        found = dict(rows_at(self.tables[table], sorted(numbers), columns=columns))
        return [(number, found[number]) for number in numbers]

    @contextmanager
    def _limited(self, cursor: Any, timeout_s: float) -> Iterator[None]:
        timer = threading.Timer(timeout_s, cursor.interrupt)
        timer.start()
        with self._lock:
            self._running.add(cursor)
        try:
            yield
        finally:
            timer.cancel()
            with self._lock:
                self._running.discard(cursor)

    def _run(self, query: sql.Query, timeout_s: float) -> list[tuple[Any, ...]] | None:
        """The rows of a query; None if it took too long. Raises ConfigError if DuckDB refuses it."""
        cursor = self._db.cursor()
        with self._limited(cursor, timeout_s):
            try:
                found: list[tuple[Any, ...]] = cursor.execute(query.sql, query.parameters).fetchall()
                return found
            except duckdb.InterruptException:
                return None
            except duckdb.Error as error:
                raise ConfigError(_told(error)) from None
            finally:
                cursor.close()


def _told(error: BaseException) -> str:
    """DuckDB's error in one line; of one in a bucket, which has a traceback in its text, the last."""
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return f"can't read the bucket: {lines[-1]}" if lines[0].startswith("Traceback") else f"DuckDB: {lines[0]}"


def _rows_of(path: str, rejected: bool) -> Rows:
    output = OutputFolder(path)
    wanted, other = (output.rejected, output.data) if rejected else (output.data, output.rejected)
    is_output = storage.exists(output.job.path) or storage.exists(output.completed)
    if not is_output and not storage.list_names(wanted) and (rejected or storage.list_names(other)):
        return Rows([])  # a file or folder has no rejected records, and a copy of one table's shards only these
    return find_rows(path, rejected=rejected)


def _schema_of(rows: Rows) -> pa.Schema:
    if not rows.files:
        return pa.schema([])
    with storage.open_input(rows.files[0][0]) as file:
        return pq.read_schema(file)


def _first_rows(rows: Rows, name: str) -> dict[str, int]:
    """The number of each file's first row, by a name for the file without characters of a glob."""
    found, first = {}, 0
    for index, (_, count) in enumerate(rows.files):
        found[f"{name}-{index:06d}.parquet"] = first
        first += count
    return found
