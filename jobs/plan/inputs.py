"""Input files: reads their footers, unifies their schemas, and classifies each file as good, empty or bad.

    files, in a fixed order -> footers, read concurrently -> one schema -> good, empty and bad files

A bad file never stops the good ones: it is listed with its reason in `_job/inputs.parquet`, counts as a failed unit,
and the job ends with exit code 3. Only if no file can be read is it an error in the command (exit code 2).

Cost: two small reads per file, `_THREADS` files concurrently; no row is read. With a limit on rows, only the files that
are needed to reach it are read, and only they determine the schema.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.errors import SchemaMismatch
from jobs.plan.input_paths import public_names
from jobs.plan.schemas import unify_schemas
from model.errors import ConfigError
from transforms.rows.columns import ColumnMap, ColumnOverrides, resolve_columns

_THREADS = 32
_MAGIC, _ENCRYPTED_MAGIC = b"PAR1", b"PARE"
_SMALLEST_FILE = 12  # the magic number twice and the footer's length


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFile:
    """One file of the input. If it is bad, `reason` is a snake_case word and `detail` a human-readable line.

    `uri` is its location, `name` its public name.
    """

    uri: str
    name: str = ""
    num_bytes: int = 0
    version: str = ""
    state: Literal["good", "empty", "bad"] = "good"
    rows: int = 0
    reason: str = ""
    detail: str = ""

    @property
    def public_name(self) -> str:
        """The name that all published files use for this file."""
        return self.name or self.uri


INPUTS_SCHEMA = pa.schema(
    [
        pa.field("uri", pa.large_string(), nullable=False),
        pa.field("name", pa.large_string(), nullable=False),
        pa.field("num_bytes", pa.int64(), nullable=False),
        pa.field("version", pa.string(), nullable=False),
        pa.field("state", pa.string(), nullable=False),
        pa.field("rows", pa.int64(), nullable=False),
        pa.field("reason", pa.string(), nullable=False),
        pa.field("detail", pa.large_string(), nullable=False),
    ]
)


@dataclass(frozen=True, slots=True)
class RowGroup:
    """A row group as described in the footer: rows, and uncompressed bytes by top-level column."""

    rows: int
    column_bytes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Footer:
    """The schema and row groups in a file's footer."""

    schema: pa.Schema
    groups: tuple[RowGroup, ...]


@dataclass(frozen=True)
class Inputs:
    """All files in plan order, the footers of the good ones by URI, their schema, and the column layout."""

    files: tuple[InputFile, ...]
    footers: Mapping[str, Footer]
    schema: pa.Schema
    columns: ColumnMap


def read_inputs(
    uris: Sequence[str],
    overrides: ColumnOverrides,
    *,
    limit: int | None = None,
    names: Sequence[str] | None = None,
) -> Inputs:
    """Reads the footers and determines the common schema.

    Args:
        uris: The files, in plan order.
        overrides: The columns that the user named.
        limit: Return only as many files as needed for this many good rows.
        names: The files' public names; determined here if None.

    Raises:
        ConfigError: All files are bad; the message states the fault of the first.
    """
    called = list(zip(uris, public_names(uris) if names is None else names, strict=True))
    files: list[InputFile] = []
    footers: dict[str, Footer] = {}
    at_once = _THREADS if limit is not None else max(1, len(called))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="footers") as pool:
        for start in range(0, len(called), at_once):
            before = len(files)
            for file, footer in pool.map(lambda one: read_footer(*one), called[start : start + at_once]):
                files.append(file)
                if footer is not None:
                    footers[file.uri] = footer
            if limit is not None and (inputs := _first_rows(files, before, footers, overrides, limit)):
                return inputs
    return settle(files, footers, overrides)


def _first_rows(
    files: Sequence[InputFile], known: int, footers: Mapping[str, Footer], overrides: ColumnOverrides, limit: int
) -> Inputs | None:
    """Returns the inputs of the fewest leading `files` with `limit` good rows; None if all of them have fewer.

    Whether a file is good depends on the other files, so the schema of the leading files is settled before their rows
    count. The first `known` files are known to have too few rows. The result does not depend on how many footers were
    read.
    """
    rows = sum(file.rows for file in files[:known])
    for count, file in enumerate(files[known:], known + 1):
        rows += file.rows
        if rows < limit or not file.rows:
            continue  # too few even if all of them turn out good, or no more than without this one
        try:
            inputs = settle(files[:count], footers, overrides)
        except ConfigError:
            continue  # no good file yet; the files that follow may be good
        if sum(found.rows for found in inputs.files) >= limit:
            return inputs
    return None


# --- footers ---------------------------------------------------------------------------------------


def read_footer(uri: str, name: str = "") -> tuple[InputFile, Footer | None]:
    """Reads a file's footer. An unreadable file is returned as `bad`, with the reason and without a footer."""
    file = InputFile(uri=uri, name=name)
    try:
        num_bytes, version = storage.file_info(uri)
        file = replace(file, num_bytes=num_bytes, version=version)
        if fault := _shape_fault(uri, num_bytes):
            return bad(file, *fault), None
        with storage.open_input(uri) as opened, pq.ParquetFile(opened) as parquet:
            footer = _footer_of(parquet)
    except FileNotFoundError:
        return bad(file, "input_missing", "the file is gone"), None
    except (pa.ArrowException, OSError) as error:
        # Without the path in the operating system's message, because the detail is published.
        said = getattr(error, "strerror", None) or str(error)
        return bad(file, "damaged_footer", " ".join(said.split())[:300]), None
    names = footer.schema.names
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        return bad(file, "duplicate_column", f"the file has several columns {', '.join(twice)}"), None
    rows = sum(group.rows for group in footer.groups)
    return replace(file, rows=rows, state="good" if rows else "empty"), footer


def _shape_fault(uri: str, num_bytes: int) -> tuple[str, str] | None:
    """Checks the file's first and last bytes, for clearer messages than a decoder's; returns reason and detail."""
    if num_bytes == 0:
        return "zero_bytes", "the file is empty"
    with storage.open_input(uri) as opened:
        head = opened.read(4)
        opened.seek(max(0, num_bytes - 4))
        tail = opened.read(4)
    if head == _ENCRYPTED_MAGIC or tail == _ENCRYPTED_MAGIC:
        return "encrypted_file", "the file is encrypted, which is not supported"
    if head != _MAGIC:
        return "not_parquet", f"the file begins with {head!r}, a Parquet file with {_MAGIC!r}"
    if tail != _MAGIC or num_bytes < _SMALLEST_FILE:
        return "truncated_file", f"the file ends after {num_bytes} bytes without a footer: it was truncated"
    return None


def _footer_of(parquet: pq.ParquetFile) -> Footer:
    metadata = parquet.metadata
    groups = []
    for index in range(metadata.num_row_groups):
        group = metadata.row_group(index)
        sizes: dict[str, int] = defaultdict(int)
        for column in range(group.num_columns):
            chunk = group.column(column)
            sizes[chunk.path_in_schema.split(".")[0]] += chunk.total_uncompressed_size
        groups.append(RowGroup(group.num_rows, dict(sizes)))
    return Footer(parquet.schema_arrow.remove_metadata(), tuple(groups))


def bad(file: InputFile, reason: str, detail: str) -> InputFile:
    """Returns the file marked as bad, with its fault and without rows."""
    return replace(file, state="bad", reason=reason, detail=detail, rows=0)


# --- one schema ------------------------------------------------------------------------------------


def settle(files: Sequence[InputFile], footers: Mapping[str, Footer], overrides: ColumnOverrides) -> Inputs:
    """Determines the schema in which all good files are read; files that don't fit it become bad.

    Raises:
        ConfigError: All files are bad, or no file has a column that the user named.
    """
    faults: dict[str, tuple[str, str]] = {}
    by_schema: dict[pa.Schema, list[InputFile]] = defaultdict(list)
    some_rows = any(file.rows for file in files)
    for file in files:
        # The schema of a file without rows matters only if no file has any rows.
        if file.uri in footers and (file.rows or not some_rows):
            by_schema[footers[file.uri].schema].append(file)
    # Most rows first, so that a single deviating file can't make all others bad; sorting is stable.
    ordered = sorted(by_schema.items(), key=lambda item: -sum(file.rows for file in item[1]))
    unified: pa.Schema | None = None
    for schema, group in ordered:
        fault = None
        try:
            resolve_columns(schema, ColumnOverrides(content=overrides.content))
            unified = unify_schemas(schema if unified is None else unified, schema)
        except ConfigError as error:
            fault = ("missing_column", str(error))
        except SchemaMismatch as error:
            fault = ("schema_mismatch", str(error))
        if fault:
            faults |= {file.uri: fault for file in group}
    settled = [bad(file, *faults[file.uri]) if file.uri in faults else file for file in files]
    if unified is None:
        raise _all_bad(settled)
    columns = resolve_columns(unified, overrides)
    for index, file in enumerate(settled):
        if file.state == "good" and columns.content not in footers[file.uri].schema.names:
            detail = (
                f"content column {columns.content} is missing; the file has {', '.join(footers[file.uri].schema.names)}"
            )
            settled[index] = bad(file, "missing_column", detail)
    if all(file.state == "bad" for file in settled):
        raise _all_bad(settled)
    good = {file.uri: footers[file.uri] for file in settled if file.state == "good"}
    return Inputs(tuple(settled), good, unified, columns)


def _all_bad(files: Sequence[InputFile]) -> ConfigError:
    first = files[0]
    which = (
        "the input can't be read" if len(files) == 1 else f"none of the {len(files)} input files can be read; the first"
    )
    return ConfigError(f"{which}: {first.uri}: {first.detail}")
