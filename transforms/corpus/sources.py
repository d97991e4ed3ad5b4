"""Where a corpus comes from: a folder, a git work tree, an archive or a single file, read in one fixed order.

    folder          every file below it, sorted by path; `.git` is passed over
    git work tree   a folder with `.git`: the tracked files, as they stand in the work tree (submodules too)
    archive         see `transforms.corpus.archives`

Links are never followed (`transforms.corpus.folders`). Whatever is seen and can't be read comes as a refusal with its
reason. A bare or mirror clone of git is no source, and is refused where a folder holds one.
"""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fnmatch import fnmatchcase
from types import TracebackType

from model.errors import ConfigError, RecordError
from transforms.corpus.archives import archive_stem, is_archive, read_archive
from transforms.corpus.entries import ArchiveLimits, File, Known, Refused, Stamp, safe_path
from transforms.corpus.folders import BARE_HINT, Folders, is_bare_repository, shown, walk
from transforms.corpus.git import owner_and_name, provenance_of, remote_address, tracked_files
from transforms.corpus.licenses import MAX_LICENSE_BYTES, is_license_file, licenses_by_folder
from transforms.corpus.origin import Provenance

_LISTED_PATHS = 200_000  # of a folder, held in memory: some 20 MB

Seen = Callable[[str, Stamp], Known | None]
"""What is known of a file, by its path and stamp; None: it has to be read."""


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Which files of a source are seen at all, by their paths within it; `*` matches `/` too.

    >>> Selection(include=("json/*.py",), exclude=("*/tests/*",)).takes("json/tests/a.py")
    False
    """

    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()

    def takes(self, path: str) -> bool:
        is_included = not self.include or any(fnmatchcase(path, pattern) for pattern in self.include)
        return is_included and not any(fnmatchcase(path, pattern) for pattern in self.exclude)


@dataclass(frozen=True, kw_only=True)
class ChosenPaths(Selection):
    """A selection by name: of a corpus that grows, the files that are new or have changed."""

    paths: frozenset[str]

    def takes(self, path: str) -> bool:
        return path in self.paths


@dataclass(frozen=True, kw_only=True)
class Source:
    """One source, opened: made by `open_source`.

    Args:
        path: The folder, archive or file.
        repo_name: What its files' `repo_name` says.
        tracked: The only files that are taken, as git names them; None: all.
        limits: What one file and an archive may cost.
        selection: Which files are seen.
        provenance: Where it came from, and when.
    """

    path: str
    repo_name: str
    tracked: tuple[str, ...] | None = None
    limits: ArchiveLimits = field(default_factory=ArchiveLimits)
    selection: Selection = field(default_factory=Selection)
    provenance: Provenance = field(default_factory=Provenance)

    def read(self) -> Iterator[File | Refused]:
        """Every file that the selection takes, or its refusal, in a fixed order."""
        return self._entries(self.selection.takes, self.limits)

    def read_unseen(self, seen: Seen) -> Iterator[File | Known | Refused]:
        """As `read`, but of what has been seen no content. An archive is read in any case."""
        if self.is_archive:
            yield from self.read()
            return
        root, paths = self._root_and_paths()
        with Files(root, self.limits) as files:
            for path in _paths(root, paths, self.selection.takes):
                yield path if isinstance(path, Refused) else files.read_unseen(path, seen)

    def items(self, listing: Sequence[str | Refused] | None = None) -> Iterator[tuple[str | File | Refused, int]]:
        """As `read`, but of the files in folders their paths only, for `open_files`; and the bytes of each.

        Args:
            listing: From `listing`, so that a folder isn't walked again.
        """
        if self.is_archive:
            entries = read_archive(self.path, self.limits, is_wanted=self.selection.takes)
            return ((entry, len(entry.data) if isinstance(entry, File) else 0) for entry in entries)
        root, paths = self._root_and_paths()
        return _sized_paths(root, paths if listing is None else listing, self.selection.takes)

    def sizes(self) -> Iterator[int]:
        """The bytes of each file in a folder, selected or not, one after the other."""
        return (size for _, size in _sized_paths(*self._root_and_paths(), lambda path: True))

    def listing(self) -> list[str | Refused] | None:
        """All paths of a folder, selected or not; None: they are too many to hold, or it is an archive."""
        if self.is_archive:
            return None
        found = list(itertools.islice(_paths(*self._root_and_paths(), lambda path: True), _LISTED_PATHS + 1))
        return found if len(found) <= _LISTED_PATHS else None

    def open_files(self) -> Files:
        """Reads the files that `items` gave the paths of; use with `with`."""
        return Files(self._root_and_paths()[0], self.limits)

    def licenses(self, listing: Sequence[str | Refused] | None = None) -> dict[str, tuple[str, ...]]:
        """The licenses of each folder that has a license file. Reads an archive once more.

        Args:
            listing: As `items` takes it.
        """
        limits = ArchiveLimits(**{**vars(self.limits), "max_entry_bytes": MAX_LICENSE_BYTES})
        if listing is None:
            entries = self._entries(is_license_file, limits)
        else:
            entries = _read_folder(self._root_and_paths()[0], listing, is_license_file, limits)
        return licenses_by_folder(
            (entry.path, entry.data.decode("utf-8", "replace")) for entry in entries if isinstance(entry, File)
        )

    @property
    def is_archive(self) -> bool:
        return is_archive(self.path) and os.path.isfile(self.path)

    def contents(self) -> Iterator[tuple[str, bytes]]:
        """Path and bytes of each file, whatever the selection. Reads an archive once more."""
        for entry in self._entries(lambda path: True, self.limits):
            if isinstance(entry, File):
                yield entry.path, entry.data

    def _entries(self, is_wanted: Callable[[str], bool], limits: ArchiveLimits) -> Iterator[File | Refused]:
        if self.is_archive:
            return read_archive(self.path, limits, is_wanted=is_wanted)
        return _read_folder(*self._root_and_paths(), is_wanted, limits)

    def _root_and_paths(self) -> tuple[str, Sequence[str] | None]:
        """The folder that is opened, and the paths below it; None: all."""
        if os.path.isfile(self.path):
            folder, name = os.path.split(self.path)
            return folder, [name]
        return self.path, self.tracked


def open_source(
    path: str,
    *,
    repo_name: str | None = None,
    untracked: bool = False,
    limits: ArchiveLimits = ArchiveLimits(),
    selection: Selection = Selection(),
    retrieved_at: int | None = None,
) -> Source:
    """Looks at what `path` is.

    Args:
        path: A folder, a git work tree, an archive or a file.
        repo_name: For `Source.repo_name`; None: `owner/name` of git's `origin`, else the name of folder or archive.
        untracked: Takes all files of a git work tree, not only the tracked ones.
        limits: What one file and an archive may cost.
        selection: Which files are seen.
        retrieved_at: When it was retrieved, in milliseconds since 1970; None: as git or the archive's file tell.

    Raises:
        ConfigError: There is nothing to read at `path`, or git can't say which files are tracked.
    """
    if not os.path.exists(path):
        raise ConfigError(f"{path}: no such file or folder")
    if not (os.path.isdir(path) or os.path.isfile(path)):
        raise ConfigError(f"{path} is neither a folder nor a file")
    real = os.path.realpath(path)
    if (bare := _bare_repository(real)) is not None:
        raise ConfigError(f"{path}: {bare} is a bare or mirror clone of git, which has no files to read; {BARE_HINT}")
    is_git = os.path.isdir(real) and os.path.exists(os.path.join(real, ".git"))
    address = remote_address(real) if is_git else ""
    tracked = tracked_files(real) if is_git and not untracked else None
    return Source(
        path=real,
        repo_name=repo_name or owner_and_name(address) or archive_stem(real),
        tracked=tracked,
        limits=limits,
        selection=selection,
        provenance=_provenance(real, address, is_tracked=tracked is not None, retrieved_at=retrieved_at),
    )


def _provenance(path: str, address: str, *, is_tracked: bool, retrieved_at: int | None) -> Provenance:
    """Of a work tree what git knows, of an archive the time of its last change; of all files in a folder nothing."""
    found = Provenance()
    if is_tracked:
        found = provenance_of(path, address)
    elif os.path.isfile(path) and is_archive(path):
        found = Provenance(retrieved_ms=int(os.stat(path).st_mtime) * 1000)
    return found if retrieved_at is None else replace(found, retrieved_ms=retrieved_at)


# --- folders -----------------------------------------------------------------------------------------


class Files:
    """Reads files below a root by their paths; the root is opened when the first is read. Use with `with`."""

    def __init__(self, root: str, limits: ArchiveLimits):
        self._root = root
        self._limits = limits
        self._folders: Folders | None = None

    def __enter__(self) -> Files:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._folders is not None:
            self._folders.__exit__(kind, error, traceback)

    def read(self, path: str) -> File | Refused:
        """The file at a path, as the folder or git names it."""
        found = self.read_unseen(path, None)
        assert not isinstance(found, Known)
        return found

    def read_unseen(self, path: str, seen: Seen | None) -> File | Known | Refused:
        """The same, but without its content where it has been seen."""
        try:
            if self._folders is None:
                self._folders = Folders(self._root)
            safe = safe_path(path)
            if seen is not None and (stamp := self._folders.stamp(safe)) and (known := seen(safe, stamp)):
                return known
            return File(safe, *self._folders.read_stamped(safe, self._limits.max_entry_bytes))
        except OSError as error:
            return Refused(shown(path), "unreadable", str(error.strerror))
        except RecordError as error:
            return Refused(shown(path), error.reason, error.detail)


def _paths(
    root: str, paths: Iterable[str | Refused] | None, is_wanted: Callable[[str], bool]
) -> Iterator[str | Refused]:
    """The wanted ones of these paths below `root`; None: of all."""
    return (path for path, _ in _found_paths(root, paths, is_wanted))


def _sized_paths(
    root: str, paths: Iterable[str | Refused] | None, is_wanted: Callable[[str], bool]
) -> Iterator[tuple[str | Refused, int]]:
    """As `_paths`, with the bytes that each file has now."""
    for path, folders in _found_paths(root, paths, is_wanted):
        yield path, 0 if isinstance(path, Refused) or folders is None else folders.num_bytes(path)


def _found_paths(
    root: str, paths: Iterable[str | Refused] | None, is_wanted: Callable[[str], bool]
) -> Iterator[tuple[str | Refused, Folders | None]]:
    try:
        folders = Folders(root)
    except OSError as error:
        yield Refused("", "unreadable", str(error.strerror)), None
        return
    with folders:
        for path in walk(folders) if paths is None else paths:
            if isinstance(path, Refused) or is_wanted(path):
                yield path, folders


def _read_folder(
    root: str, paths: Iterable[str | Refused] | None, is_wanted: Callable[[str], bool], limits: ArchiveLimits
) -> Iterator[File | Refused]:
    """The files at these paths below `root`; None: all."""
    with Files(root, limits) as files:
        for path in _paths(root, paths, is_wanted):
            yield path if isinstance(path, Refused) else files.read(path)


def _bare_repository(path: str) -> str | None:
    """The name of the repository without a work tree that `path` is or lies in, or None."""
    while path != os.path.dirname(path):
        if is_bare_repository(path):
            return os.path.basename(path)
        path = os.path.dirname(path)
    return None
