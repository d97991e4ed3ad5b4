"""Forgets in a dataset and in those that derive from it: all are searched, and refused or not, before one is changed.

    dataset -> rows found -> the files that they come from
                             -> dataset made of it: the same search, and these files -> ...

A derived dataset is one whose input lies in the folder of another (`_job` tells). Files are told by repository, path
and hash of content together, so a copy of the same content in another repository stays. The last to be derived is
changed first: if the command is killed, the same one still finds in the first dataset what the others lack.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

from jobs import storage
from jobs.finalize.rewriting import FINISHED, PENDING, finish_pending
from jobs.forgetting.corpora import open_corpus
from jobs.forgetting.families import family, is_output
from jobs.forgetting.indexes import finish_index, has_pending_index, is_index, open_index
from jobs.forgetting.jobs import open_job_output
from jobs.forgetting.lists import Asked
from jobs.forgetting.searching import Found
from jobs.ledger.completed import has_pending
from jobs.ledger.lock import acquire
from jobs.plan.job_file import read_name
from jobs.storage.folders import OutputFolder
from jobs.system.exit_codes import DONE, FAILED_UNITS
from jobs.terminal.wording import counted
from model.errors import ConfigError
from transforms.opt_out.selection import File, Selection

_NO_BLOBS = (
    "the rows of {0} don't tell blobs (blob_id), so --blob can't find any; pass --path or --content_hash, or forget in "
    "the dataset that it was made of, with --cascade {0}"
)


@dataclass(frozen=True, kw_only=True)
class Wish:
    """What is to be done.

    Args:
        asked: What is to be forgotten.
        dry_run: Only say it.
        break_lock: Take locks of processes that seem alive.
    """

    asked: Asked
    dry_run: bool = False
    break_lock: bool = False


class Dataset(Protocol):
    """A complete dataset in which rows can be forgotten."""

    def search(self, selection: Selection) -> Found:
        """Finds what is to be forgotten."""

    def rows(self) -> int:
        """How many rows it has."""

    def forget(self, found: Found, asked: Asked) -> None:
        """Removes what was found."""


def forget(path: str, cascade: Sequence[str], wish: Wish, say: Callable[[str], None]) -> int:
    """Forgets in a dataset and those that derive from it; returns the exit code."""
    named = [_normal(one) for one in cascade]
    paths = [_normal(path), *family(_normal(path), named)]
    _refuse_absent(paths[0])
    for one in named:
        if one not in paths and is_output(one):
            say(f"{one}: left as it is, since its input isn't in {paths[0]}, nor in what was made of that")
    with contextlib.ExitStack() as locks:
        if not wish.dry_run:
            for one in paths:
                if not is_index(one):
                    locks.enter_context(acquire(OutputFolder(one).job, break_lock=wish.break_lock))
        for one in paths:
            _finish(one, wish, say)
        return _forget_all(paths, wish, say)


def _forget_all(paths: Sequence[str], wish: Wish, say: Callable[[str], None]) -> int:
    selection = wish.asked.selection()
    files: set[File] = set()
    found = []
    for path in paths:
        dataset = _open(path)
        hits = dataset.search(replace(selection, files=frozenset(files)))
        if path == paths[0] and hits.lacks_blobs:  # those that derive from it are searched for its files
            raise ConfigError(_NO_BLOBS.format(path))
        files |= hits.files
        _refuse_empty(path, dataset, hits)
        found.append((path, dataset, hits))
    for path, dataset, hits in reversed(found):
        rows, records = hits.rows("data"), hits.rows("rejected")
        told = f"{counted(rows, 'row')} and {counted(records, 'rejected record')} in {counted(hits.files_of(), 'file')}"
        told += _of_earlier(hits)
        if wish.dry_run:
            say(f"{path}: would remove {told}")
        elif hits.gone:
            dataset.forget(hits, wish.asked)
            say(f"{path}: removed {told}")
        else:
            say(f"{path}: nothing matches")
        if hits.unknown:
            has = f"{counted(hits.unknown_answers, 'answer')} of a model" if hits.unknown_answers else "no content"
            say(
                f"{path}: {counted(hits.unknown, 'rejected record')} can't be compared with the list, since their "
                f"input is gone or another one; they hold a path, a hash and a reason, {has}"
            )
    return FAILED_UNITS if any(hits.unknown for _, _, hits in found) else DONE


def _of_earlier(hits: Found) -> str:
    """What goes from files that the newest edition of a dataset doesn't have; "" if nothing does."""
    told = ""
    if files := hits.files_of(is_earlier=True):
        rows, records = (hits.rows(folder, is_earlier=True) for folder in ("data", "rejected"))
        told += f", and of earlier editions {counted(rows, 'row')} and {counted(records, 'rejected record')} in "
        told += counted(files, "file")
    if hits.emptied:
        whole = ", ".join(map(str, hits.emptied))
        told += f"; edition{'s' if len(hits.emptied) > 1 else ''} {whole}, of which no row is left, as a whole"
    return told


def _open(path: str) -> Dataset:
    if is_index(path):
        return open_index(path)
    output = OutputFolder(path)
    return open_corpus(output) if read_name(output) == "corpus" else open_job_output(output)


def _finish(path: str, wish: Wish, say: Callable[[str], None]) -> None:
    output = OutputFolder(path)
    if wish.dry_run:
        if has_pending_index(path) if is_index(path) else has_pending(output):
            raise ConfigError(PENDING.format(path))
    elif finish_index(path) if is_index(path) else finish_pending(output):
        say(FINISHED.format(path))


def _refuse_absent(path: str) -> None:
    if not is_output(path):
        raise ConfigError(f"{path} is no output of codemill; pass a job's output folder, or an index")


def _refuse_empty(path: str, dataset: Dataset, hits: Found) -> None:
    rows = hits.rows("data")
    if rows and rows == dataset.rows():
        raise ConfigError(
            f"{path}: all of its {counted(rows, 'row')} would be removed, and a dataset without rows can't be loaded; "
            "delete the folder instead"
        )


def _normal(path: str) -> str:
    return os.path.abspath(path.removeprefix("file://")) if storage.is_local(path) else path.rstrip("/")
