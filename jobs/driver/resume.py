"""Checks of a resumed job: its plan must be unchanged, and the files of its commits must exist.

A commit is voided, and its unit runs again, if its rows are gone: one of its files is missing or has another size, and
no shard has them (`jobs.finalize.stored_rows`). Hashes are compared later, when the merge reads the files anyway. A
finished dataset is never touched.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

from jobs import storage
from jobs.finalize.stored_rows import StoredRows
from jobs.finalize.summary import has_unread_rows, walk_commits
from jobs.growth.rewriting import lost_for_good
from jobs.ledger.commits import CommitRecord, list_commits, read_commits, void_commit
from jobs.ledger.journal import forgive
from jobs.plan.job_file import JobFile
from jobs.plan.units import NO_ROW_GROUP, read_plan
from jobs.storage.folders import OutputFolder
from jobs.terminal.wording import counted
from model.errors import ConfigError

_THREADS = 16
_SHOWN = 3  # names in a message
_SLICE = 1024  # so that a job of a million units doesn't queue a million checks


def take_stock(output: OutputFolder, job: JobFile, say: Callable[[str], None]) -> set[str]:
    """Checks the plan and the commits of a resumed job; returns the ids of the committed units.

    Args:
        output: The output folder.
        job: Its job file.
        say: Reports a unit that runs again to the user.

    Raises:
        ConfigError: The plan is not the one that the job was started with, or a commit belongs to another job.
    """
    job_dir = output.job
    for path in (job_dir.plan, job_dir.inputs):
        if not storage.exists(path):
            raise ConfigError(
                f"{path} is missing and the job can't continue without it; restore it, or choose another --output"
            )
    if storage.sha256_of(job_dir.plan) != job.plan_sha256:
        raise ConfigError(f"{job_dir.plan} is not the plan that this job was started with; choose another --output")

    stored = StoredRows(job_dir)

    def check(record: CommitRecord) -> tuple[CommitRecord, str | None]:
        return record, stored.fault(record)

    committed = list_commits(job_dir)
    records = read_commits(job_dir, sorted(committed))
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="check-commits") as pool:
        while some := list(itertools.islice(records, _SLICE)):
            for record, fault in pool.map(check, some):
                if record.config_hash != job.config_hash:
                    raise ConfigError(
                        f"{output}: unit {record.unit_id} was committed by another job; choose another --output"
                    )
                if fault:
                    _void(output, record, fault, say)
                    committed.discard(record.unit_id)
    return committed


def reopen(output: OutputFolder, missing: Sequence[str]) -> None:
    """Marks a complete output as incomplete because files are `missing`, so that it is rebuilt from its commits.

    Raises:
        ConfigError: They have rows of which there is no other copy.
    """
    job_dir = output.job
    if earlier := lost_for_good(output, missing):
        raise ConfigError(
            f"{output} is missing {', '.join(earlier[:_SHOWN])} of an earlier edition, of whose rows there is no other "
            "copy; restore it"
        )
    stored = StoredRows(job_dir)
    lost = sum(stored.fault(record) is not None for record in read_commits(job_dir))
    if lost:
        raise ConfigError(
            f"{output} is missing {', '.join(missing[:_SHOWN])}, and with it the rows of {counted(lost, 'unit')}, of "
            f"which there is no other copy; restore it, or remove {output.completed} and run the same command to rerun "
            "those units, whose rows may then differ"
        )
    storage.remove(output.completed)


def retry_failed(
    output: OutputFolder, say: Callable[[str], None], prepare: Callable[[], None] | None = None
) -> set[str]:
    """Voids the commits of failed units and removes the units from the recorded deaths; returns their ids.

    A unit some of whose rows could not be read counts as failed: which files share a unit is not the user's concern.
    Bad files have no rows in the plan, so they can't be retried: a message says what to do about them.

    Args:
        output: The output folder.
        say: Tells the user.
        prepare: Makes what the units read, called before a commit is voided.

    Raises:
        ConfigError: That of `prepare`; the output is as complete as it was.
    """
    job_dir = output.job
    failed = {
        record.unit_id: record
        for record in read_commits(job_dir)
        if record.status == "failed" or has_unread_rows(record)
    }
    units = [unit for unit in read_plan(job_dir) if unit.unit_id in failed]
    bad = [unit.uri for unit in units if unit.row_group == NO_ROW_GROUP]
    again = {unit.unit_id for unit in units if unit.row_group != NO_ROW_GROUP}
    if bad:
        shown = ", ".join(bad[:_SHOWN]) + (", ..." if len(bad) > _SHOWN else "")
        say(f"{counted(len(bad), 'file')} bad when the job was planned: process in a separate job with --input {shown}")
    say(f"retrying {counted(len(again), 'failed unit')}" if again else "there are no failed units that can be retried")
    if again:
        _reopen_if(output, prepare)
        forgive(job_dir, again)
    for unit_id in sorted(again):
        void_commit(job_dir, failed[unit_id], "--retry_failed")
    return again


def _reopen_if(output: OutputFolder, prepare: Callable[[], None] | None) -> None:
    """Marks the output as incomplete, unless `prepare` says in one line that it can't be completed again."""
    completed = storage.read_bytes(output.completed) if storage.exists(output.completed) else None
    # Before: whatever ends this process, what was prepared is removed when the job is complete again.
    storage.remove(output.completed)
    if prepare is None:
        return
    try:
        prepare()
    except ConfigError:
        if completed is not None:
            storage.write_bytes(output.completed, completed)
        raise


def void_damaged(output: OutputFolder, say: Callable[[str], None]) -> set[str]:
    """Reads all committed files, voids the commits of damaged ones, and returns the ids of their units."""
    job_dir = output.job
    stored = StoredRows(job_dir)
    damaged = [(commit, fault) for _, commit in walk_commits(job_dir) if (fault := stored.fault(commit, full=True))]
    for commit, fault in damaged:
        _void(output, commit, fault, say)
    return {commit.unit_id for commit, _ in damaged}


def _void(output: OutputFolder, record: CommitRecord, fault: str, say: Callable[[str], None]) -> None:
    if storage.exists(output.completed):
        raise ConfigError(
            f"{fault}; the dataset itself is complete: leave it as it is, or pass its original --shard_mb"
        )
    say(f"corrupted: {fault}; rerunning its unit")
    void_commit(output.job, record, fault)
