"""From files to files that can be read: footers, and one schema for all of them.

    files, in a fixed order -> footers, many at once -> one schema -> good, empty and bad files

A bad file never stops the good ones: it is named with its reason in `_job/inputs.parquet`, counts as a failed unit,
and the job ends with exit code 3. Only where nothing is left to read is it the user's mistake (exit code 2).

Cost: two small reads a file, many files at once; no row is read. With a limit on rows, only the files that it
takes to reach it are read, and they alone settle the schema.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from jobs.errors import SchemaMismatch
from jobs.plan.footers import Footer, InputFile, bad
from jobs.plan.input_paths import public_names
from jobs.plan.reader import ReadFooters, open_reader
from jobs.plan.schemas import unify_schemas
from model.errors import ConfigError
from transforms.rows.columns import ColumnMap, ColumnOverrides, resolve_columns

_FILES_AT_ONCE = 32  # with a limit, which most often needs the first few


@dataclass(frozen=True)
class Inputs:
    """All files in plan order, the footers of the good ones by URI, and what their columns are."""

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
    read: ReadFooters | None = None,
) -> Inputs:
    """Reads the footers and settles the one schema.

    Args:
        uris: The files, in plan order.
        overrides: The user's own choice of columns.
        limit: Read no more files than hold so many good rows.
        names: The files' public names; settled here where None.
        read: Reads footers, in order; a child process of its own where None.

    Raises:
        ConfigError: No file is any good: names the first one's fault.
    """
    called = list(zip(uris, public_names(uris) if names is None else names, strict=True))
    files: list[InputFile] = []
    footers: dict[str, Footer] = {}
    at_once = _FILES_AT_ONCE if limit is not None else max(1, len(called))
    with contextlib.nullcontext(read) if read is not None else open_reader() as read_footers:
        for start in range(0, len(called), at_once):
            before = len(files)
            for file, footer in read_footers(called[start : start + at_once]):
                files.append(file)
                if footer is not None:
                    footers[file.uri] = footer
            if limit is not None and (inputs := _first_rows(files, before, footers, overrides, limit)):
                return inputs
    return settle(files, footers, overrides)


def _first_rows(
    files: Sequence[InputFile], known: int, footers: Mapping[str, Footer], overrides: ColumnOverrides, limit: int
) -> Inputs | None:
    """The inputs of the shortest beginning of `files` with `limit` good rows; None where all have fewer.

    Whether a file is good depends on those beside it, so a beginning is settled before its rows count. The first
    `known` files alone are known to have too few. However many footers were read, the answer is the same.
    """
    rows = sum(file.rows for file in files[:known])
    for count, file in enumerate(files[known:], known + 1):
        rows += file.rows
        if rows < limit or not file.rows:
            continue  # too few even if all of them turn out good, or no more than without this one
        try:
            inputs = settle(files[:count], footers, overrides)
        except ConfigError:
            continue  # nothing good yet; the files that follow may be
        if sum(found.rows for found in inputs.files) >= limit:
            return inputs
    return None


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
