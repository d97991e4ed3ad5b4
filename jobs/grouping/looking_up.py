"""Groups the input of a job whose prompts show other files of the repository, and keeps an index of it.

The units read the input as it is; the grouped files beside it (`jobs.grouping.repositories`) are what they look up what
files import in (`transforms.packing.lookup`). They are gone once the job is complete, as those of `codemill pack` are.
"""

from __future__ import annotations

import io
import json
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import pyarrow.parquet as pq

from jobs import storage
from jobs.grouping.reading import GroupSettings
from jobs.grouping.repositories import Spread, group_by_repository
from jobs.grouping.restoring import restore_grouped
from jobs.plan.reader import ReadFooters
from jobs.storage.folders import JobFolder, OutputFolder
from jobs.storage.parquet import open_parquet
from transforms.packing.lookup import GroupedCorpus, index_of
from transforms.rows.columns import ColumnOverrides

_INDEX: Final = "repositories.npy"


@dataclass(frozen=True)
class JobContext:
    """Finds what a job has grouped; see `transforms.generation.imported.ContextSource`.

    Args:
        job_dir: The path of the job's folder.
    """

    job_dir: str

    def find(self) -> GroupedCorpus | None:
        """The grouped corpus; None if nothing is grouped."""
        folder = _folder_of(JobFolder(self.job_dir))
        if folder is None or not storage.exists(storage.join(folder, _INDEX)):
            return None
        return GroupedCorpus(_files_in(folder), storage.join(folder, _INDEX), storage.open_input)


def output_of(path: str) -> OutputFolder:
    """The output folder by the path that the user gave."""
    return OutputFolder(os.path.abspath(path) if storage.is_local(path) else path)


def group_for_lookup(
    patterns: Sequence[str],
    job_dir: JobFolder,
    overrides: ColumnOverrides,
    *,
    limit: int | None,
    spread: Spread,
    settings: GroupSettings,
    read: ReadFooters,
) -> None:
    """Groups the input and writes the index, unless that is done already; arguments as in `group_by_repository`.

    Raises:
        ConfigError: As `group_by_repository` does.
    """
    was_grouped = storage.exists(job_dir.grouping)
    grouped = group_by_repository(
        patterns, job_dir, overrides, limit=limit, spread=spread, settings=settings, read=read
    )
    # Of a job that is complete the files are gone, and nothing will be looked up.
    if not was_grouped or _files_in(grouped.folder):
        _write_index(grouped.folder)


def restore_for_lookup(
    patterns: Sequence[str],
    job_dir: JobFolder,
    overrides: ColumnOverrides,
    *,
    limit: int | None,
    spread: Spread,
    settings: GroupSettings,
) -> None:
    """Groups the input again if the grouped files are gone; arguments as in `restore_grouped`.

    Raises:
        ConfigError: As `restore_grouped` does.
    """
    restore_grouped(patterns, job_dir, overrides, limit=limit, spread=spread, settings=settings)
    folder = _folder_of(job_dir)
    assert folder is not None, "what is restored has been grouped"
    _write_index(folder)


def _folder_of(job_dir: JobFolder) -> str | None:
    if not storage.exists(job_dir.grouping):
        return None
    manifest: dict[str, Any] = json.loads(storage.read_bytes(job_dir.grouping))
    return job_dir.join(manifest["folder"])


def _files_in(folder: str) -> tuple[str, ...]:
    names = sorted(name for name in storage.list_names(folder) if name.endswith(".parquet"))
    return tuple(storage.join(folder, name) for name in names)


def _write_index(folder: str) -> None:
    path = storage.join(folder, _INDEX)
    if not storage.exists(path):
        sink = io.BytesIO()
        np.save(sink, index_of(_opened(_files_in(folder))))
        storage.write_bytes(path, sink.getvalue())


def _opened(files: Sequence[str]) -> Iterator[pq.ParquetFile]:
    """The files, one at a time."""
    for file in files:
        with storage.open_input(file) as opened, open_parquet(opened) as parquet:
            yield parquet
