"""What units of an output that run again must not bring back."""

from __future__ import annotations

from jobs.forgetting.lists import read_forgotten
from jobs.plan.job_file import JobFile, read_job
from jobs.storage.folders import JobFolder
from transforms.opt_out.forgotten import ForgottenWork
from transforms.opt_out.selection import FileColumns
from transforms.work import Work


def without_forgotten(work: Work, job_dir: JobFolder) -> Work:
    """Wraps a job's work so that it doesn't see rows that were removed from its output before."""
    forgotten = read_forgotten(job_dir)
    job = read_job(job_dir.output) if forgotten else None
    return work if job is None else ForgottenWork(work, forgotten.selection(), input_columns(job))


def input_columns(job: JobFile) -> FileColumns:
    """The columns of a job's input."""
    columns = job.columns
    return FileColumns(columns.get("path"), columns.get("repo_name"), columns.get("content"), is_raw=True)
