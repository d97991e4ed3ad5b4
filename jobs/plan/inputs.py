"""Input files: reads their footers, unifies their schemas, and classifies each file as good, empty or bad.

    files, in a fixed order -> footers, read concurrently -> one schema -> good, empty and bad files

A bad file never stops the good ones: it is listed with its reason in `_job/inputs.parquet`, counts as a failed unit,
and the job ends with exit code 3. Only if no file can be read is it an error in the command (exit code 2).

Cost: two small reads per file, many files concurrently; no row is read. With a limit on rows, only the files that
are needed to reach it are read, and only they determine the schema.
"""

from __future__ import annotations

import contextlib
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import pyarrow as pa

from jobs.errors import SchemaMismatch
from jobs.plan.footers import Footer, InputFile, bad
from jobs.plan.input_paths import is_utf8, printable, public_names
from jobs.plan.reader import ReadFooters, open_reader
from jobs.plan.schemas import unify_schemas
from model.errors import ConfigError
from transforms.rows.columns import ColumnMap, ColumnOverrides, resolve_columns

_FILES_AT_ONCE = 32  # with a limit, which most often needs the first few


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
    read: ReadFooters | None = None,
    base: pa.Schema | None = None,
) -> Inputs:
    """Reads the footers and determines the common schema.

    Args:
        uris: The files, in plan order.
        overrides: The columns that the user named.
        limit: Return only as many files as needed for this many good rows.
        names: The files' public names; determined here if None.
        read: Reads footers, in order; None uses a separate child process.
        base: The schema that earlier files have been read in, which these are to be read in as well.

    Raises:
        ConfigError: All files are bad, and there is no `base`; the message states the fault of the first. Or a file's
            types conflict with those of `base`.
    """
    called = list(zip(uris, public_names(uris) if names is None else names, strict=True))
    files: list[InputFile] = []
    footers: dict[str, Footer] = {}
    at_once = _FILES_AT_ONCE if limit is not None else max(1, len(called))
    with contextlib.nullcontext(read) if read is not None else open_reader() as read_footers:
        for start in range(0, len(called), at_once):
            before = len(files)
            for file, footer in _read_utf8_names(read_footers, called[start : start + at_once]):
                files.append(file)
                if footer is not None:
                    footers[file.uri] = footer
            if limit is not None and (inputs := _first_rows(files, before, footers, overrides, limit)):
                return inputs
    return settle(files, footers, overrides, base)


def _read_utf8_names(
    read_footers: ReadFooters, called: Sequence[tuple[str, str]]
) -> Iterator[tuple[InputFile, Footer | None]]:
    """Reads footers; a file whose name can't be written into a ledger is bad, under a printable name."""
    answers = iter(read_footers([file for file in called if is_utf8(file[0])]))
    for uri, name in called:
        if is_utf8(uri):
            yield next(answers)
        else:
            file = InputFile(uri=printable(uri), name=printable(name))
            yield bad(file, "name_not_utf8", "its name or a folder's is not valid UTF-8; rename it"), None


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


# --- one schema ------------------------------------------------------------------------------------


def settle(
    files: Sequence[InputFile],
    footers: Mapping[str, Footer],
    overrides: ColumnOverrides,
    base: pa.Schema | None = None,
) -> Inputs:
    """Determines the schema in which all good files are read; files that don't fit it become bad.

    Args:
        files, footers, overrides: The files, their footers, and the columns that the user named.
        base: As in `read_inputs`.

    Raises:
        ConfigError: All files are bad, or no file has a column that the user named; or as in `read_inputs`.
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
    unified = base
    for schema, group in ordered:
        fault = None
        try:
            resolve_columns(schema, ColumnOverrides(content=overrides.content))
            unified = unify_schemas(schema if unified is None else unified, schema)
        except ConfigError as error:
            fault = ("missing_column", str(error))
        except SchemaMismatch as error:
            if base is not None:
                raise ConfigError(
                    f"{group[0].uri} can't be taken in: {error}; change its types or remove it, or choose another "
                    "--output"
                ) from None
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
    if base is None and all(file.state == "bad" for file in settled):
        raise _all_bad(settled)
    good = {file.uri: footers[file.uri] for file in settled if file.state == "good"}
    return Inputs(tuple(settled), good, unified, columns)


def _all_bad(files: Sequence[InputFile]) -> ConfigError:
    first = files[0]
    which = (
        "the input can't be read" if len(files) == 1 else f"none of the {len(files)} input files can be read; the first"
    )
    return ConfigError(f"{which}: {first.uri}: {first.detail}")
