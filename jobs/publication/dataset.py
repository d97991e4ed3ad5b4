"""The dataset that is published: a finished output with rows, all of whose files are there."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.finalize.origins import read_summary
from jobs.ledger.completed import missing_files, read_completed
from jobs.storage.folders import DATA, REJECTED, OutputFolder
from model.errors import ConfigError

_SHOWN_NAMES = 3
_CORPUS_COLUMNS = {
    "content": "content",
    "path": "path",
    "repo_name": "repo_name",
    "language": "language",
    "license": "detected_licenses",
}


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """A finished output.

    Args:
        output: Its folder.
        summary: Its summary, with the columns of a corpus where it is one.
        schema: Schema of the rows.
        rows: Number of rows in `data/`.
        shards: Names of the files with rows, such as `data/train-00000-of-00001.parquet`.
        rejected: Names of the files with rejected records.
    """

    output: OutputFolder
    summary: Mapping[str, Any]
    schema: pa.Schema
    rows: int
    shards: tuple[str, ...]
    rejected: tuple[str, ...]

    @property
    def job(self) -> str:
        """The job that made it."""
        return str(self.summary["job"])


def read_dataset(path: str) -> Dataset:
    """Looks at an output. Raises ConfigError if it isn't finished, is damaged or has no rows."""
    output = OutputFolder(path)
    if not storage.exists(output.completed):
        if storage.exists(output.published):
            raise ConfigError(f"{path} is a published copy; publish the output that it was made from")
        if storage.exists(output.job.job_file):
            raise ConfigError(f"{path} isn't finished; run the command that makes it again, then publish it")
        raise ConfigError(f"{path} is no output of a codemill job")
    summary = read_summary(output)
    shards, rejected = _parquet_names(output, DATA), _parquet_names(output, REJECTED)
    lost = missing_files(output, read_completed(output) or {})
    if "job" not in summary and not lost:
        lost = ["summary.json"]
    if not lost and len(shards) < _promised_shards(summary):
        lost = [f"{_promised_shards(summary) - len(shards)} of {_promised_shards(summary)} files in data/"]
    if lost:
        shown = ", ".join(lost[:_SHOWN_NAMES]) + (", ..." if len(lost) > _SHOWN_NAMES else "")
        raise ConfigError(f"{path} lacks {shown}; run the command that makes it again, then publish it")
    schema, rows = _read_footers(output, shards)
    if not rows:
        raise ConfigError(f"{path} has no rows, so there is nothing to publish; summary.json tells why")
    if summary["job"] == "corpus":
        summary = {**summary, "columns": _CORPUS_COLUMNS}
    return Dataset(output=output, summary=summary, schema=schema, rows=rows, shards=shards, rejected=rejected)


def _promised_shards(summary: Mapping[str, Any]) -> int:
    shards = summary.get("shards", 0)
    return int(shards[DATA]["files"] if isinstance(shards, dict) else shards)


def _parquet_names(output: OutputFolder, folder: str) -> tuple[str, ...]:
    names = storage.list_names(output.join(folder))
    return tuple(f"{folder}/{name}" for name in names if name.endswith(".parquet"))


def _read_footers(output: OutputFolder, names: tuple[str, ...]) -> tuple[pa.Schema, int]:
    """The one schema of the files and their rows. Raises ConfigError."""
    schema, rows = pa.schema([]), 0
    for number, name in enumerate(names):
        try:
            with storage.open_input(output.join(name)) as file, pq.ParquetFile(file) as parquet:
                found, count = parquet.schema_arrow, parquet.metadata.num_rows
        except (pa.ArrowInvalid, OSError) as error:
            raise ConfigError(f"{output.join(name)} can't be read: {error}") from None
        if number and not found.equals(schema):
            raise ConfigError(f"{output.join(name)} has another schema than {output.join(names[0])}")
        schema, rows = found, rows + count
    return schema, rows
