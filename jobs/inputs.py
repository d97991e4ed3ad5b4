"""From what the user named to files that can be read: globs, footers, and one schema for all of them.

    patterns -> files, in a fixed order -> footers, many at once -> one schema -> good, empty and bad files

A bad file never stops the good ones: it is named with its reason in `_job/inputs.parquet`, counts as a failed unit,
and the job ends with exit code 3. Only where nothing is left to read is it the user's mistake (exit code 2).

Cost: two small reads a file, `_THREADS` files at once; no row is read.
"""

from __future__ import annotations

import glob as local_glob
import os
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import Literal

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.schemas import SchemaMismatch, unify_schemas
from model.errors import ConfigError
from transforms.columns import ColumnMap, ColumnOverrides, resolve_columns

PARQUET_SUFFIXES = (".parquet", ".parq", ".pq")
_THREADS = 32
_MAGIC, _ENCRYPTED_MAGIC = b"PAR1", b"PARE"
_SMALLEST_FILE = 12  # the magic word twice and the footer's length


@dataclass(frozen=True, kw_only=True, slots=True)
class InputFile:
    """One file of the input. `reason` is a snake_case word and `detail` a line for a person where it is bad."""

    uri: str
    num_bytes: int = 0
    version: str = ""
    state: Literal["good", "empty", "bad"] = "good"
    rows: int = 0
    reason: str = ""
    detail: str = ""


INPUTS_SCHEMA = pa.schema(
    [
        pa.field("uri", pa.large_string(), nullable=False),
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
    """A row group as its footer tells of it: rows, and uncompressed bytes by top-level column."""

    rows: int
    column_bytes: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Footer:
    """What a file says of itself."""

    schema: pa.Schema
    groups: tuple[RowGroup, ...]


@dataclass(frozen=True)
class Inputs:
    """All files in plan order, the footers of the good ones by URI, and what their columns are."""

    files: tuple[InputFile, ...]
    footers: Mapping[str, Footer]
    schema: pa.Schema
    columns: ColumnMap


def read_inputs(uris: Sequence[str], overrides: ColumnOverrides) -> Inputs:
    """Reads all footers and settles the one schema.

    Raises:
        ConfigError: No file is any good: names the first one's fault.
    """
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="footers") as pool:
        read = list(pool.map(read_footer, uris))
    return settle([file for file, _ in read], {f.uri: footer for f, footer in read if footer is not None}, overrides)


# --- names -----------------------------------------------------------------------------------------


def expand(patterns: Iterable[str]) -> list[str]:
    """The files that patterns name, each once: patterns in the order given, files of one pattern by name.

    A folder stands for the Parquet files in it, at any depth, and the output of a job for its `data/`. Folders
    that begin with `_` or `.` are skipped below a pattern, as everywhere where Parquet lies in folders.

    Raises:
        ConfigError: A pattern that names no file.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        names = _expand_one(pattern)
        if not names:
            what = "no file matches" if local_glob.has_magic(pattern) else "there is no Parquet file in"
            raise ConfigError(f"--input: {what} {pattern}")
        found.update(dict.fromkeys(names))
    return _each_file_once(found)


def _each_file_once(names: Iterable[str]) -> list[str]:
    """Of several names of one local file, which symbolic links give it, the shortest; the others in their order.

    A link to a folder above it would otherwise give every file forty times over.
    """
    folders: dict[str, str] = {}
    shortest: dict[str, str] = {}
    names = list(names)
    real_of = {name: _real(name, folders) if storage.is_local(name) else name for name in names}
    for name, real in real_of.items():
        if real not in shortest or len(name) < len(shortest[real]):
            shortest[real] = name
    return [name for name in names if shortest[real_of[name]] == name]


def _real(name: str, folders: dict[str, str]) -> str:
    """`os.path.realpath`, which looks at each folder once."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        shown = name.encode("utf-8", "backslashreplace").decode("utf-8")
        raise ConfigError(f"--input: the name {shown} is no UTF-8; rename the file") from None
    if os.path.islink(name):
        return os.path.realpath(name)
    folder, base = os.path.split(name)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return os.path.join(folders[folder], base)


def _expand_one(pattern: str) -> list[str]:
    if storage.is_local(pattern):
        pattern = os.path.abspath(pattern.removeprefix("file://"))
    if _is_folder(pattern):
        if any(storage.exists(storage.join(pattern, *mark)) for mark in (("_job", "job.json"), ("COMPLETED",))):
            pattern = storage.join(pattern, "data")
        base = local_glob.escape(pattern) if storage.is_local(pattern) else pattern
        names = storage.glob([storage.join(base, "**", f"*{suffix}") for suffix in PARQUET_SUFFIXES])
        return [name for name in names if not _is_hidden(name[len(pattern) :])]
    if local_glob.has_magic(pattern) and not (storage.is_local(pattern) and os.path.isfile(pattern)):
        fixed = pattern[: min(pattern.find(char) for char in "*?[" if char in pattern)]
        return [name for name in storage.glob(pattern) if not _is_hidden(name[len(fixed.rpartition("/")[0]) :])]
    if not storage.exists(pattern):
        raise ConfigError(f"--input: no such file {pattern}")
    return [pattern]


def _is_folder(path: str) -> bool:
    if local_glob.has_magic(path) and not storage.is_local(path):
        return False
    return os.path.isdir(path) if storage.is_local(path) else bool(storage.list_names(path))


def _is_hidden(relative: str) -> bool:
    return any(part.startswith(("_", ".")) for part in relative.split("/")[:-1])


# --- footers ---------------------------------------------------------------------------------------


def read_footer(uri: str) -> tuple[InputFile, Footer | None]:
    """Reads a file's footer. A file that is no good comes as `bad`, with the reason, and without a footer."""
    file = InputFile(uri=uri)
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
        return bad(file, "damaged_footer", " ".join(str(error).split())[:300]), None
    names = footer.schema.names
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        return bad(file, "duplicate_column", f"the file has several columns {', '.join(twice)}"), None
    rows = sum(group.rows for group in footer.groups)
    return replace(file, rows=rows, state="good" if rows else "empty"), footer


def _shape_fault(uri: str, num_bytes: int) -> tuple[str, str] | None:
    """What the file's first and last bytes say against it, in clearer words than a decoder has."""
    if num_bytes == 0:
        return "zero_bytes", "the file has no bytes"
    with storage.open_input(uri) as opened:
        head = opened.read(4)
        opened.seek(max(0, num_bytes - 4))
        tail = opened.read(4)
    if head == _ENCRYPTED_MAGIC or tail == _ENCRYPTED_MAGIC:
        return "encrypted_file", "the file is encrypted, which is not supported"
    if head != _MAGIC:
        return "not_parquet", f"the file begins with {head!r}, a Parquet file with {_MAGIC!r}"
    if tail != _MAGIC or num_bytes < _SMALLEST_FILE:
        return "truncated_file", f"the file ends after {num_bytes} bytes without a footer: it was cut off"
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
    """The file with its fault; it contributes no rows."""
    return replace(file, state="bad", reason=reason, detail=detail, rows=0)


# --- one schema ------------------------------------------------------------------------------------


def settle(files: Sequence[InputFile], footers: Mapping[str, Footer], overrides: ColumnOverrides) -> Inputs:
    """Settles the schema that all good files are read in; files that can't be read in it become bad.

    Raises:
        ConfigError: No file is any good, or a column that the user named is in none.
    """
    faults: dict[str, tuple[str, str]] = {}
    by_schema: dict[pa.Schema, list[InputFile]] = defaultdict(list)
    some_rows = any(file.rows for file in files)
    for file in files:
        # What a file without rows says of its columns matters only where no file has any.
        if file.uri in footers and (file.rows or not some_rows):
            by_schema[footers[file.uri].schema].append(file)
    # Most rows first, so that one odd file can't turn all others into misfits; sorting is stable.
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
