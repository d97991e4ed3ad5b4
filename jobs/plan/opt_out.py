"""Opt-out lists of a job (`transforms.opt_out`): read, frozen by the hash of their entries, and reckoned up at the end.

A job that has begun refuses other entries, as rows that are kept already may be of a repository that has opted out
since. Which entries matched how many rows is written to `_job`, which is never published, and told by the driver.
"""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from jobs import storage
from jobs.options import OptionSet, OptOutOptions
from jobs.storage.folders import JobFolder
from jobs.terminal.wording import counted
from model.errors import ConfigError
from transforms.opt_out.lists import OptOut, parse_opt_out
from transforms.opt_out.rows import RowMatcher
from transforms.opt_out.work import MATCHED, OptOutWork
from transforms.rows.columns import ColumnOverrides
from transforms.work import Work

Options = TypeVar("Options", bound=OptionSet)
_SHOWN = 10
_NOT_READ = "opt-out list {} can't be read: {}; name a file that is there"


def read_opt_out(paths: Sequence[str]) -> OptOut | None:
    """Reads the lists; None if there is none. Raises ConfigError if one can't be read or understood."""
    if not paths:
        return None
    lists = []
    for path in paths:
        if storage.is_local(path) and not os.path.isfile(path.removeprefix("file://")):
            # Also a pipe: workers read the list again.
            raise ConfigError(_NOT_READ.format(path, "not a file"))
        try:
            lists.append((path, storage.read_bytes(path)))
        except OSError as error:
            raise ConfigError(_NOT_READ.format(path, error.strerror or error)) from None
    return parse_opt_out(lists)


def freeze_opt_out(options: Options) -> Options:
    """Returns the options with the hash of the lists' entries. Raises ConfigError as `read_opt_out` does."""
    if not isinstance(options, OptOutOptions):
        return options
    opt_out = read_opt_out(options.opt_out)
    return dataclasses.replace(options, opt_out_sha256="" if opt_out is None else opt_out.sha256)


def without_opted_out(work: Work, options: Mapping[str, Any]) -> Work:
    """Wraps a job's work so that it doesn't see rows of repositories that have opted out.

    Args:
        work: The job's work.
        options: All options of the job; one without opt-out lists leaves the work as it is.

    Raises:
        ConfigError: As `read_opt_out` does, or the entries are not those that the job was started with.
    """
    matcher = matcher_of(options)
    return work if matcher is None else OptOutWork(work, matcher)


def matcher_of(options: Mapping[str, Any]) -> RowMatcher | None:
    """Returns what finds the rows to leave out; None without opt-out lists.

    Args:
        options: All options of a job.

    Raises:
        ConfigError: As `read_opt_out` does, or the entries are not those that the job was started with.
    """
    opt_out = read_opt_out(options.get("opt_out", ()))
    if opt_out is None:
        return None
    if options["opt_out_sha256"] not in ("", opt_out.sha256):
        raise ConfigError(
            f"the entries of --opt_out {' '.join(options['opt_out'])} changed during the job; restore them, or start a "
            "new --output"
        )
    columns = ColumnOverrides(
        content=options.get("content_column"),
        path=options.get("path_column"),
        repo_name=options.get("repo_column"),
    )
    return RowMatcher(opt_out, columns)


def write_matches(job_dir: JobFolder, counts: Mapping[str, int]) -> None:
    """Writes how many rows each entry matched, from the counts of all commits."""
    matches = {name.removeprefix(MATCHED): rows for name, rows in counts.items() if name.startswith(MATCHED)}
    if not matches:
        storage.remove(job_dir.opt_out)
        return
    storage.write_bytes(job_dir.opt_out, json.dumps(matches, sort_keys=True, indent=1).encode())


def read_matches(job_dir: JobFolder) -> dict[str, int]:
    """What `write_matches` wrote: the rows that each entry has matched."""
    matches: dict[str, int] = {}
    if storage.exists(job_dir.opt_out):
        matches = json.loads(storage.read_bytes(job_dir.opt_out))
    return matches


def unmatched_entries(job_dir: JobFolder, opt_out: OptOut) -> list[str]:
    """The entries that matched no row, by what `write_matches` wrote."""
    matches = read_matches(job_dir)
    return [str(entry) for entry in opt_out.entries if str(entry) not in matches]


def opt_out_lines(opt_out: OptOut, unmatched: Sequence[str], rows: int, unknown: int) -> list[str]:
    """What the driver tells at the end of a job with opt-out lists.

    Args:
        opt_out: The lists' entries.
        unmatched: Those that matched nothing.
        rows: The rows that were left out.
        unknown: The rows whose repository is not known.
    """
    lines = [f"opt-out: {counted(rows, 'row')} left out by {counted(len(opt_out), 'entry', 'entries')}"]
    if unmatched:
        shown = ", ".join(unmatched[:_SHOWN]) + (", ..." if len(unmatched) > _SHOWN else "")
        lines.append(f"{len(unmatched):,} of {counted(len(opt_out), 'entry', 'entries')} matched nothing: {shown}")
    if unknown:
        lines.append(f"{counted(unknown, 'row')} without a repository, which no entry can match")
    return lines
