"""Reads the small tables that people keep benchmarks and answers in: Parquet, or JSON lines (also gzipped).

Lines are parted at line feeds alone: other separators of Unicode stand inside texts.
"""

from __future__ import annotations

import gzip
import json
import zlib
from collections.abc import Callable, Iterator, Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.plan.input_paths import expand
from model.errors import ConfigError, one_line

_JSON: Final = (".jsonl", ".jsonl.gz", ".ndjson", ".json")


def read_rows(pattern: str, flag: str) -> Iterator[dict[str, Any]]:
    """Yields the rows of a file, of a folder's files, or of the files of a glob.

    Args:
        pattern: The file, folder or glob.
        flag: The option that names it, for messages.

    Raises:
        ConfigError: There is no such file, or one can't be read.
    """
    for uri in _files(pattern, flag):
        yield from _read_json(uri, flag) if uri.endswith(_JSON) else _read_parquet(uri, flag)


def checked_rows(
    path: str, flag: str, check_columns: Callable[[Sequence[str]], None]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yields rows as `read_rows` does, each after where it stands: option, file and number, from 1.

    Raises:
        ConfigError: As `read_rows`, or the first row has other columns.
    """
    for number, row in enumerate(read_rows(path, flag), start=1):
        if number == 1:
            check_columns(list(row))
        yield f"{flag} {path}, row {number}", row


def _files(pattern: str, flag: str) -> list[str]:
    if pattern.endswith(_JSON):
        if not storage.exists(pattern):
            raise ConfigError(f"{flag} {pattern}: no such file")
        return [pattern]
    return expand([pattern])


def _read_parquet(uri: str, flag: str) -> Iterator[dict[str, Any]]:
    try:
        with storage.open_input(uri) as file:
            table = pq.read_table(file)
    except (OSError, pa.ArrowException) as error:
        raise ConfigError(f"{flag} {uri} can't be read: {one_line(str(error))}") from error
    yield from table.to_pylist()


def _is_text(row: Any) -> bool:
    try:
        json.dumps(row, ensure_ascii=False).encode()
    except UnicodeEncodeError:
        return False
    return True


def _read_json(uri: str, flag: str) -> Iterator[dict[str, Any]]:
    data = storage.read_bytes(uri)
    if uri.endswith(".gz"):
        try:
            data = gzip.decompress(data)
        except (OSError, EOFError, zlib.error) as error:
            raise ConfigError(f"{flag} {uri} can't be unpacked: {one_line(str(error))}") from error
    for number, line in enumerate(data.split(b"\n"), start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
        except ValueError as error:
            raise ConfigError(f"{flag} {uri}, line {number}: not JSON: {one_line(str(error))}") from error
        if b"\\ud" in line.lower() and not _is_text(row):
            raise ConfigError(f"{flag} {uri}, line {number}: half of a surrogate pair (\\ud800 to \\udfff) is no text")
        if not isinstance(row, dict):
            raise ConfigError(f"{flag} {uri}, line {number}: an object is needed, got {type(row).__name__}")
        yield row
