"""Input paths: expands folders and globs to files, skips files that are not input, and assigns public names.

What matches but can't be read is returned as well, so that it becomes a bad file with its reason instead of missing
rows: links that lead nowhere, FIFOs and devices, and folders that can't be listed, whose names then end with `/`
(`jobs.plan.footers.place_fault` states the reasons).

A folder stands for the Parquet files in it, and the output of a job for its `data/`. The other files that a job writes
(rejected rows, bookkeeping files, pages) are not input; a message reports them if a pattern would have matched them.

A file's *public name* is the name that all published files use for it, rows included, so that local paths are never
published. It is the shortest end of the path that is unique among the job's inputs; a URL is its own public name.
"""

from __future__ import annotations

import glob as local_glob
import os
from collections.abc import Callable, Iterable, Iterator, Sequence

from jobs import storage
from jobs.plan.local_files import find_files
from jobs.storage.folders import COMPLETED, JOB_FOLDER, NOTICE, PAGES, PUBLISHED, REJECTED, OutputFolder
from jobs.terminal.wording import counted
from model.errors import ConfigError

PARQUET_SUFFIXES = (".parquet", ".parq", ".pq")  # in any case
_JOB_FOLDERS = (JOB_FOLDER, REJECTED)
_JOB_PAGES = (*PAGES, COMPLETED, NOTICE, PUBLISHED)
_SHOWN_NAMES = 3
_MANY = 64  # names in a folder, of which each would be asked whether it is a link


def expand(patterns: Iterable[str], say: Callable[[str], None] = lambda line: None) -> list[str]:
    """Returns the files that patterns match, each once: in the order of the patterns, files of one pattern by name.

    A name that isn't UTF-8 is returned as the operating system's functions take it (`jobs.plan.inputs` refuses it).

    A folder stands for the Parquet files in it, at any depth, and the output of a job for its `data/`. Below a pattern,
    folders whose names start with `_` or `.` are skipped, as is conventional for folders of Parquet files.

    Args:
        patterns: Files, folders and globs.
        say: Reports skipped files to the user.

    Raises:
        ConfigError: A pattern matches no file.
    """
    found: dict[str, None] = {}
    for pattern in patterns:
        names = _expand_one(pattern, say)
        if not names:
            raise ConfigError(f"--input: {_nothing_at(pattern)}")
        found.update(dict.fromkeys(names))
    return _each_file_once(found)


def _nothing_at(pattern: str) -> str:
    if local_glob.has_magic(pattern):
        return f"no file matches {pattern}"
    if storage.exists(OutputFolder(pattern).completed):
        return f"{pattern} has no rows: the job that wrote it kept none"
    return f"there is no Parquet file in {pattern}"


def public_names(paths: Sequence[str]) -> list[str]:
    """Returns the public name of each file.

    >>> public_names(["/home/me/a/x.parquet", "/home/me/b/x.parquet", "gs://corpus/x.parquet"])
    ['a/x.parquet', 'b/x.parquet', 'gs://corpus/x.parquet']
    """
    local = {path: path.strip("/").split("/") for path in paths if storage.is_local(path)}
    depth, deepest = 1, max(map(len, local.values()), default=0)
    while depth < deepest and len({tuple(parts[-depth:]) for parts in local.values()}) < len(local):
        depth += 1
    return ["/".join(local[path][-depth:]) if path in local else path for path in paths]


def names_beside(taken: Iterable[str], paths: Sequence[str]) -> list[str]:
    """Returns public names of files that join others, whose names stay: where one is taken, a longer one.

    >>> names_beside(["x.parquet"], ["/home/me/b/x.parquet", "/home/me/b/y.parquet"])
    ['b/x.parquet', 'y.parquet']
    """
    known = set(taken)
    names = []
    for path in paths:
        parts = path.strip("/").split("/") if storage.is_local(path) else [path]
        ends = ("/".join(parts[-depth:]) for depth in range(1, len(parts) + 1))
        name = next((end for end in ends if end not in known), path)
        known.add(name)
        names.append(name)
    return names


def is_utf8(name: str) -> bool:
    """Whether a name from the operating system is valid UTF-8; if not, it contains surrogates."""
    try:
        name.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def printable(name: str) -> str:
    r"""Returns a name with its bytes that aren't UTF-8 escaped.

    >>> printable("a\udcff.parquet")
    'a\\xff.parquet'
    """
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _each_file_once(names: Iterable[str]) -> list[str]:
    """Removes duplicates: of several paths to one local file through symbolic links, keeps the shortest, in order.

    A link to one of its own parent folders would otherwise list every file forty times.
    """
    names = list(names)
    by_folder: dict[str, list[str]] = {}
    for name in names:
        by_folder.setdefault(name[: name.rfind("/") + 1] if storage.is_local(name) else "", []).append(name)
    folders: dict[str, str] = {}
    links = {folder: _may_be_links(folder, inside) for folder, inside in by_folder.items() if folder}
    if not any(links.values()) and len({_real_folder(folder, folders) for folder in links}) == len(links):
        return names
    shortest: dict[str, str] = {}
    real_of = {name: real_path(name, folders) if storage.is_local(name) else name for name in names}
    for name, real in real_of.items():
        if real not in shortest or len(name) < len(shortest[real]):
            shortest[real] = name
    return [name for name in names if shortest[real_of[name]] == name]


def _may_be_links(folder: str, names: Sequence[str]) -> bool:
    """Whether some of a folder's files may be links; of many, a listing tells it at less cost than a call for each."""
    if len(names) < _MANY:
        return any(map(os.path.islink, names))
    try:
        with os.scandir(folder) as entries:
            return any(entry.is_symlink() for entry in entries)
    except OSError:
        return True


def _real_folder(folder: str, folders: dict[str, str]) -> str:
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    return folders[folder]


def real_path(name: str, folders: dict[str, str]) -> str:
    """Returns `os.path.realpath`, but resolves each folder only once, which `folders` remembers."""
    if os.path.islink(name):
        return os.path.realpath(name)
    folder, base = os.path.split(name)
    return os.path.join(_real_folder(folder, folders), base)


def _expand_one(pattern: str, say: Callable[[str], None]) -> list[str]:
    named = pattern
    if storage.is_local(pattern):
        pattern = os.path.abspath(pattern.removeprefix("file://"))
    if _is_folder(pattern):
        if _is_half_published(pattern):
            raise ConfigError(f"--input: {named} is a copy that `codemill publish` hasn't finished; run that again")
        if _is_output(pattern):
            pattern = OutputFolder(pattern).data
        return _inputs_among(_parquet_files(pattern), pattern, named, say)
    if local_glob.has_magic(pattern) and not (storage.is_local(pattern) and os.path.lexists(pattern)):
        fixed = pattern[: min(pattern.find(char) for char in "*?[" if char in pattern)]
        base = fixed.rpartition("/")[0]
        found = find_files(base, pattern[len(base) :]) if storage.is_local(pattern) else storage.glob(pattern)
        return _inputs_among(found, base, named, say)
    if not (os.path.lexists(pattern) if storage.is_local(pattern) else storage.exists(pattern)):
        raise ConfigError(f"--input: no such file {pattern}")
    return [pattern]


def _parquet_files(folder: str) -> list[str]:
    """Returns the Parquet files in a folder at any depth."""
    if storage.is_local(folder):
        return find_files(folder, "**/*", PARQUET_SUFFIXES)
    any_case = ["".join(f"[{char}{char.upper()}]" if char.isalpha() else char for char in s) for s in PARQUET_SUFFIXES]
    return storage.glob([storage.join(folder, "**", f"*{suffix}") for suffix in any_case])


def _inputs_among(names: Iterable[str], base: str, named: str, say: Callable[[str], None]) -> list[str]:
    """Returns the matches of a pattern below `base` that may be input; reports files of job outputs that it skips."""
    outputs: dict[str, bool] = {}
    places: dict[str, tuple[str | None, bool]] = {}
    taken: list[str] = []
    left_out: dict[str, list[str]] = {}
    for name in names:
        relative = name[len(base) :].lstrip("/")
        folder, _, last = relative.rpartition("/")
        if last in _JOB_PAGES or folder not in places:
            likely = (one for one in _likely_outputs(base, relative) if _known_output(one, outputs))
            place = next(likely, None), _is_hidden(relative)
        if last not in _JOB_PAGES:
            place = places.setdefault(folder, place)
        output, is_hidden = place
        if output is not None:
            left_out.setdefault(output, []).append(name[len(output) :].lstrip("/"))
        elif not is_hidden:
            taken.append(name)
    for output, others in left_out.items():
        shown = ", ".join(others[:_SHOWN_NAMES]) + (", ..." if len(others) > _SHOWN_NAMES else "")
        say(f"--input {named}: skipped {counted(len(others), 'file')} of {output} outside its data/: {shown}")
    return taken


def _likely_outputs(base: str, relative: str) -> Iterator[str]:
    """Yields the folders that the file would belong to, other than as data, if they were outputs of a job."""
    parts = relative.split("/")
    for depth, part in enumerate(parts):
        is_file = depth == len(parts) - 1
        if part in (_JOB_PAGES if is_file else _JOB_FOLDERS):
            yield storage.join(base, *parts[:depth]) if depth else base


def _known_output(folder: str, known: dict[str, bool]) -> bool:
    if folder not in known:
        known[folder] = _is_output(folder)
    return known[folder]


def _is_output(folder: str) -> bool:
    output = OutputFolder(folder)
    return any(map(storage.exists, (output.job.job_file, output.completed, output.published)))


def _is_half_published(folder: str) -> bool:
    """Whether it is a copy in a bucket that has some of its files; a local one appears as a whole."""
    output = OutputFolder(folder)
    return not storage.is_local(folder) and storage.exists(output.publishing) and not storage.exists(output.published)


def _is_folder(path: str) -> bool:
    if local_glob.has_magic(path) and not storage.is_local(path):
        return False
    return os.path.isdir(path) if storage.is_local(path) else bool(storage.list_names(path))


def _is_hidden(relative: str) -> bool:
    return any(part.startswith(("_", ".")) for part in relative.split("/")[:-1])
