"""Where the workers of a job whose prompts show other files of the repository find them: its grouped input."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import Any, Final

from jobs import storage
from jobs.storage.folders import JobFolder, OutputFolder
from transforms.packing.lookup import GroupedCorpus

INDEX: Final = "repositories.npy"
"""The index, beside the grouped files."""


@dataclass(frozen=True)
class JobContext:
    """Finds what a job has grouped; see `transforms.generation.imported.ContextSource`.

    Args:
        job_dir: The path of the job's folder.
    """

    job_dir: str

    def find(self) -> GroupedCorpus | None:
        """The grouped corpus; None if nothing is grouped."""
        folder = grouped_folder(JobFolder(self.job_dir))
        if folder is None or not storage.exists(index := storage.join(folder, INDEX)):
            return None
        return GroupedCorpus(grouped_files(folder), index, storage.open_input)


def output_of(path: str) -> OutputFolder:
    """The output folder by the path that the user gave."""
    return OutputFolder(os.path.abspath(path) if storage.is_local(path) else path)


def grouped_folder(job_dir: JobFolder) -> str | None:
    """The folder of a job's grouped files, which may be gone; None if nothing was grouped."""
    if not storage.exists(job_dir.grouping):
        return None
    manifest: dict[str, Any] = json.loads(storage.read_bytes(job_dir.grouping))
    return job_dir.join(manifest["folder"])


def grouped_files(folder: str) -> tuple[str, ...]:
    """The grouped files, in the order in which the index numbers them."""
    names = sorted(name for name in storage.list_names(folder) if name.endswith(".parquet"))
    return tuple(storage.join(folder, name) for name in names)
