"""What a resumed job has: its plan as it was, and commits whose files are there.

A commit whose file is gone or has another size is taken back and its unit runs again; the files' hashes are compared
when they are read anyway, in the merge. A finished dataset is never touched by this.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from jobs import storage
from jobs.commits import CommitRecord, list_commits, read_commits, verify_commit, void_commit
from jobs.job_file import JobFile
from jobs.plan import PLAN
from jobs.summary import walk_commits
from model.errors import ConfigError

_THREADS = 16
_SLICE = 1024  # so that a job of a million units doesn't queue a million checks


def take_stock(output: str, job: JobFile, say: Callable[[str], None]) -> set[str]:
    """Checks plan and commits of a resumed job; returns the units that are done.

    Args:
        output: The output folder.
        job: Its job file.
        say: Tells the user of a unit that runs again.

    Raises:
        ConfigError: The plan isn't the one that the job was begun with, or a commit is another job's.
    """
    job_dir = storage.join(output, "_job")
    path = storage.join(job_dir, PLAN)
    if storage.sha256_of(path) != job.plan_sha256:
        raise ConfigError(f"{path} is not the plan that this job was begun with; choose another --output")

    def check(record: CommitRecord) -> tuple[CommitRecord, str | None]:
        return record, verify_commit(job_dir, record)

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


def void_damaged(output: str, say: Callable[[str], None]) -> set[str]:
    """Reads all committed files, takes back the commits of those that are damaged, and returns their units."""
    job_dir = storage.join(output, "_job")
    damaged = [
        (commit, fault) for _, commit in walk_commits(job_dir) if (fault := verify_commit(job_dir, commit, full=True))
    ]
    for commit, fault in damaged:
        _void(output, commit, fault, say)
    return {commit.unit_id for commit, _ in damaged}


def _void(output: str, record: CommitRecord, fault: str, say: Callable[[str], None]) -> None:
    if storage.exists(storage.join(output, "COMPLETED")):
        raise ConfigError(f"{fault}; the dataset itself is complete: leave it, or give the --shard_mb that it has")
    say(f"damaged: {fault}; its unit runs again")
    void_commit(storage.join(output, "_job"), record, fault)
