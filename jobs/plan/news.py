"""What has become of a job's input since the job was planned: new, changed and missing files.

Files are compared by their content (`storage.has_version`), so that one that was only touched or copied is the same. A
plan is frozen, so none of this is in the output; without a word, a job that is scheduled each night over a corpus that
grows would say that it is complete for ever.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from jobs import storage
from jobs.options import CommonOptions
from jobs.plan.footers import InputFile, place_fault
from jobs.plan.input_paths import expand, public_names, real_path
from jobs.plan.reader import open_reader
from jobs.plan.units import read_source_files
from jobs.storage.folders import JobFolder
from jobs.terminal.wording import counted
from model.errors import ConfigError

_THREADS = 16
_SLICE = 64  # files of a task: most take a look at one file on a disk
_AT_ONCE_S = 50e-6  # for a look at a file that the operating system knows: 3 us on a local disk


def news_of(job_dir: JobFolder, options: CommonOptions) -> str:
    """Compares the input with the frozen plan.

    With `--limit`, only the planned files are compared: what follows them was left out anyway.

    Returns:
        What differs, as a part of a sentence; "" if nothing does.
    """
    if options.retry_rejected is not None:
        return ""
    files = read_source_files(job_dir)
    folders: dict[str, str] = {}
    own = os.path.realpath(job_dir.path) if storage.is_local(job_dir.path) else job_dir.path
    if all(_key(file.uri, folders).startswith(own) for file in files):
        return ""  # made of the input, by a job that doesn't tell from which files
    return difference(files, options.input, is_limited=options.limit is not None)


def difference(files: Iterable[InputFile], patterns: Iterable[str], *, is_limited: bool = False) -> str:
    """Compares files as they were read with those that patterns match now; returns what `news_of` does.

    Args:
        files: The files then; of each its location, and its version if it could be opened.
        patterns: Files, folders and globs.
        is_limited: Whether files that weren't read then don't count.
    """
    try:
        present = expand(patterns)
    except ConfigError:  # nothing is left
        present = []
    found = compare(files, present)
    new = [] if is_limited else found.new
    return difference_line(len(new), len(found.changed), len(found.gone), new_rows=_rows(new))


def difference_line(
    new: int, changed: int, gone: int, *, new_rows: int | None = None, since: str = "this job was planned"
) -> str:
    """How many files are new, changed and gone since then; "" if none is.

    >>> difference_line(2, 1, 0, new_rows=30)
    '2 files are new (30 rows), 1 has changed since this job was planned'
    """
    told = []
    if new:
        rows = "" if new_rows is None else f" ({counted(new_rows, 'row')})"
        told.append(f"{counted(new, 'file')} {_are(new)} new{rows}")
    if changed:
        told.append(f"{changed:,} {'has' if changed == 1 else 'have'} changed")
    if gone:
        told.append(f"{gone:,} {_are(gone)} gone")
    return f"{', '.join(told)} since {since}" if told else ""


@dataclass(frozen=True)
class Differences:
    """How files differ from what they were: locations of new ones, and the others with their locations now."""

    new: list[str]
    changed: list[InputFile]
    gone: list[InputFile]
    same: list[InputFile]


def compare(files: Iterable[InputFile], present: Iterable[str]) -> Differences:
    """Compares files as they were read with those that are there now, by their content."""
    folders: dict[str, str] = {}
    present = list(present)
    uris = set(present)
    planned = {file.uri if file.uri in uris else _key(file.uri, folders): file for file in files}
    now = {uri if uri in planned else _key(uri, folders): uri for uri in present}
    there = [
        file if file.uri == now[key] else file._replace(uri=now[key]) for key, file in planned.items() if key in now
    ]
    has_changed = _changes(there)
    return Differences(
        new=[uri for key, uri in now.items() if key not in planned],
        changed=[file for file, is_other in zip(there, has_changed, strict=True) if is_other],
        gone=[file for key, file in planned.items() if key not in now and file.reason != "name_not_utf8"],
        same=[file for file, is_other in zip(there, has_changed, strict=True) if not is_other],
    )


def _key(uri: str, folders: dict[str, str]) -> str:
    return real_path(uri.removeprefix("file://"), folders) if storage.is_local(uri) else uri


def _changes(files: Sequence[InputFile]) -> list[bool]:
    """Whether each file has changed. Threads hide the time that a storage takes to answer; where it answers at once,
    they only take turns, which takes as long again."""
    began = time.perf_counter()
    found = _have_changed(files[:_SLICE])
    if time.perf_counter() - began < len(found) * _AT_ONCE_S:
        return found + _have_changed(files[_SLICE:])
    slices = [files[start : start + _SLICE] for start in range(_SLICE, len(files), _SLICE)]
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="compare-inputs") as pool:
        return found + [is_other for some in pool.map(_have_changed, slices) for is_other in some]


def _have_changed(files: Sequence[InputFile]) -> list[bool]:
    return [_has_changed(file) for file in files]


def _has_changed(file: InputFile) -> bool:
    try:
        if not file.version:  # it could not be opened when the job was planned
            return storage.exists(file.uri) and place_fault(file.uri) is None
        return not storage.has_version(file.uri, file.version)
    except OSError:
        return True


def _rows(uris: Sequence[str]) -> int:
    if not uris:
        return 0
    with open_reader() as read:
        return sum(file.rows for file, _ in read(list(zip(uris, public_names(uris), strict=True))))


def _are(number: int) -> str:
    return "is" if number == 1 else "are"
