"""One input file: its footer read, its fault named. Runs in a child process, since a damaged file may abort it.

Arrow's C++ code aborts on some damaged files and on column encryption; in the driver that would end a job of a million
good files without naming the bad one. So footers are read by `jobs.plan.reader` in a process that may die. What passes
between the two are JSON values: `answer_of` and `parse_answer`.
"""

from __future__ import annotations

import errno
import functools
import os
import stat
from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import IO, Any, Literal, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.plan.partitions import partition_values, with_partitions
from jobs.plan.schemas import schema_from_text, schema_to_text
from model.errors import ConfigError

_MAGIC, _ENCRYPTED_MAGIC = b"PAR1", b"PARE"
_SPECIAL_FILES = (
    (stat.S_ISFIFO, "FIFO"),
    (stat.S_ISSOCK, "socket"),
    (stat.S_ISCHR, "device"),
    (stat.S_ISBLK, "device"),
)
_SMALLEST_FILE = 12  # the magic number twice and the footer's length


class InputFile(NamedTuple):
    """One file of the input. If it is bad, `reason` is a snake_case word and `detail` a human-readable line.

    `uri` is its location, `name` its public name. (A tuple, since a night makes one for each of 100,000 files: a frozen
    dataclass takes five times as long.)
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
_FILE_FIELDS = tuple(INPUTS_SCHEMA.names)


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


def bad(file: InputFile, reason: str, detail: str) -> InputFile:
    """Returns the file marked as bad, with its fault and without rows."""
    return file._replace(state="bad", reason=reason, detail=detail, rows=0)


def read_footer(uri: str, name: str = "") -> tuple[InputFile, Footer | None]:
    """Reads a file's footer. An unreadable file is returned as `bad`, with the reason and without a footer."""
    file = InputFile(uri=uri, name=name)
    if fault := place_fault(uri):
        return bad(file, *fault), None
    try:
        num_bytes, version = storage.file_info(uri)
        file = InputFile(uri=uri, name=name, num_bytes=num_bytes, version=version)
        with storage.open_input(uri) as opened:
            if fault := _shape_fault(opened, num_bytes):
                return bad(file, *fault), None
            with pq.ParquetFile(opened) as parquet:
                footer = _footer_of(parquet)
        partitions = partition_values(uri)
    except FileNotFoundError:
        return bad(file, "input_missing", "the file is gone"), None
    except PermissionError as error:
        return bad(file, "unreadable_file", f"{error.strerror}; give this user the right to read it"), None
    except ValueError as error:
        return bad(file, "bad_partition", str(error)), None
    except (pa.ArrowException, OSError) as error:
        # Without the path in the operating system's message, because the detail is published.
        said = getattr(error, "strerror", None) or str(error)
        return bad(file, "damaged_footer", " ".join(said.split())[:300]), None
    names = footer.schema.names
    if len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        return bad(file, "duplicate_column", f"the file has several columns {', '.join(twice)}"), None
    rows = sum(group.rows for group in footer.groups)
    if partitions:
        footer = Footer(with_partitions(footer.schema, partitions), footer.groups)
    # Made anew: `replace` takes longer, and there may be many files.
    state: Literal["good", "empty"] = "good" if rows else "empty"
    return InputFile(uri=uri, name=name, num_bytes=num_bytes, version=version, state=state, rows=rows), footer


def place_fault(uri: str) -> tuple[str, str] | None:
    """Checks that a path is a file's, before it is opened (a FIFO would block); returns reason and detail if not.

    A listing names what it can't list or read (`jobs.plan.input_paths`), so that it is reported here.
    """
    if not storage.is_local(uri):
        return None
    path = uri.removeprefix("file://")
    try:
        mode = os.stat(path).st_mode
    except FileNotFoundError:
        if not os.path.islink(path):
            return None  # gone: the reader says so
        return "dangling_link", "the file is a link to one that is not there; fetch the data first (or remove the link)"
    except OSError as error:
        what = "a link that leads nowhere" if error.errno == errno.ELOOP else "unreadable"
        return "dangling_link" if os.path.islink(path) else "unreadable_file", f"the file is {what}: {error.strerror}"
    if stat.S_ISDIR(mode):
        return "unreadable_folder", f"the folder can't be listed{_listing_error(path)}; what is in it is missing"
    if not stat.S_ISREG(mode):
        kind = next((word for is_kind, word in _SPECIAL_FILES if is_kind(mode)), "special file")
        return "not_a_file", f"it is a {kind}, not a file"
    return None


def _listing_error(folder: str) -> str:
    try:
        os.listdir(folder)
    except OSError as error:
        return f": {error.strerror}"
    return ""


def _shape_fault(opened: IO[bytes], num_bytes: int) -> tuple[str, str] | None:
    """Checks the file's first and last bytes, for clearer messages than a decoder's; returns reason and detail."""
    if num_bytes == 0:
        return "zero_bytes", "the file is empty"
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


# --- between processes -----------------------------------------------------------------------------


def answer_of(uri: str, name: str) -> dict[str, Any]:
    """Reads a file's footer for another process. A storage that doesn't answer is `unanswered`, with its line."""
    try:
        file, footer = read_footer(uri, name)
    except ConfigError as error:
        return {"unanswered": str(error)}
    except Exception as error:
        if storage.is_unanswered(error):
            return {"unanswered": storage.unanswered_line(error)}
        # Whatever else a decoder raises (bytes that are no UTF-8 in a name, absurd counts) is the file's fault.
        file = bad(InputFile(uri=uri, name=name), "damaged_footer", f"{type(error).__name__} while decoding the footer")
        footer = None
    answer: dict[str, Any] = {"file": {field: getattr(file, field) for field in _FILE_FIELDS}}
    if footer is not None:
        answer["schema"] = schema_to_text(footer.schema)
        answer["groups"] = [[group.rows, dict(group.column_bytes)] for group in footer.groups]
    return answer


def parse_answer(answer: Mapping[str, Any]) -> tuple[InputFile, Footer | None]:
    """Reads what `answer_of` said. Raises ConfigError where the storage didn't answer."""
    if "unanswered" in answer:
        raise ConfigError(answer["unanswered"])
    file = InputFile(**answer["file"])
    if "schema" not in answer:
        return file, None
    groups = tuple(RowGroup(rows, column_bytes) for rows, column_bytes in answer["groups"])
    return file, Footer(_schema_of(answer["schema"]), groups)


# Most files of a corpus have the same schema. (To look up a schema's text takes longer than to make it.)
_schema_of = functools.lru_cache(maxsize=256)(schema_from_text)
