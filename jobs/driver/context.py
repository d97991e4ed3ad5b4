"""The grouping that runs before the units of a job whose prompts show other files of the repository.

The units read the input as it is; the grouped files beside it (`jobs.grouping.repositories`) are what they look up what
files import in (`transforms.packing.lookup`). They are gone once the job is complete, as those of `codemill pack` are.
"""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from jobs import storage
from jobs.driver.runners import Runner
from jobs.execution.context import INDEX, grouped_files, grouped_folder, output_of
from jobs.execution.processes import processes_of
from jobs.grouping.reading import GroupSettings, Outcome
from jobs.grouping.repositories import group_by_repository
from jobs.grouping.restoring import restore_grouped
from jobs.ledger.lock import acquire
from jobs.options import GenerationOptions
from jobs.plan.freezing import column_overrides
from jobs.plan.job_file import check_output
from jobs.storage.parquet import open_parquet
from transforms.generation.work import GenerationWork
from transforms.packing.lookup import index_of


def context_hooks(options: GenerationOptions, work: GenerationWork) -> dict[str, Any]:
    """What `run_job` calls to group the input, and to group it again for units that remain.

    Args:
        options: The job's options.
        work: Its work.
    """
    output = output_of(options.output)
    job_dir, overrides = output.job, column_overrides(options)
    settings = GroupSettings(
        limits=work.limits, workers=processes_of(options, work).workers, row_timeout_s=options.row_timeout_s
    )
    asked: dict[str, Any] = {"limit": options.limit, "settings": settings}

    def group(runner: Runner) -> None:
        check_output(output, work.task.name)
        storage.make_job_folder(job_dir.path, shared=options.share_job_folder)

        def spread(*arguments: Any) -> Outcome:
            with acquire(job_dir, break_lock=options.break_lock):
                runner.end_orphan(job_dir)
                return runner.group(*arguments)

        grouped = group_by_repository(
            options.input, job_dir, overrides, spread=spread, read=runner.read_footers, **asked
        )
        _write_index(grouped.folder)

    def restore(runner: Runner) -> None:
        restore_grouped(options.input, job_dir, overrides, spread=runner.group, **asked)
        folder = grouped_folder(job_dir)
        assert folder is not None, "what is restored has been grouped"
        _write_index(folder)

    return {"reads": group, "restore": restore}


def _write_index(folder: str) -> None:
    """Writes the index of grouped files, unless it is there; of a job that is complete all are gone."""
    path, files = storage.join(folder, INDEX), grouped_files(folder)
    if files and not storage.exists(path):
        sink = io.BytesIO()
        np.save(sink, index_of(_opened(files)))
        storage.write_bytes(path, sink.getvalue())


def _opened(files: Sequence[str]) -> Iterator[pq.ParquetFile]:
    """The files, one at a time."""
    for file in files:
        with storage.open_input(file) as opened, open_parquet(opened) as parquet:
            yield parquet
