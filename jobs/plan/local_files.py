"""Finds files on this machine by a pattern, and reports what it can't list.

`glob` leaves out what it can't read: links that lead nowhere and folders without permission. Rows that are missing that
way are in no ledger, so this module yields them too.

Cost: one listing per folder, and two calls per link.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Callable, Collection, Sequence
from glob import has_magic

ANY_DEPTH = "**"


def find_files(base: str, pattern: str, suffixes: Collection[str] = ()) -> list[str]:
    """Returns what matches a pattern below a folder, sorted by path.

    Folders that match are not returned, except those that can't be listed: their paths end with `/`. Links to folders
    are followed, each folder once. Names that start with `.` match no wildcard.

    Args:
        base: The folder; "" is the root.
        pattern: Path components with `*`, `?`, `[...]`, and `**` for any depth.
        suffixes: Return only files whose names end with one of these, in any case; all if empty.
    """
    parts = [part for part in pattern.split("/") if part]
    if parts and parts[-1] == ANY_DEPTH:
        parts.append("*")
    found = _Search(tuple(suffixes)).run(base or "/", parts)
    return sorted(set(found))


class _Search:
    """One search. `_seen` has the folders that were listed, `_links` those that links lead to, which come last."""

    def __init__(self, suffixes: tuple[str, ...]):
        self._suffixes = suffixes
        self._found: list[str] = []
        self._seen: set[tuple[object, ...]] = set()
        self._links: list[tuple[str, Sequence[str]]] = []

    def run(self, base: str, parts: Sequence[str]) -> list[str]:
        self._links.append((base, parts))
        while self._links:
            self._below(*self._links.pop(0))
        return self._found

    def _below(self, folder: str, parts: Sequence[str]) -> None:
        part, rest = parts[0], parts[1:]
        if part != ANY_DEPTH and not has_magic(part):
            path = os.path.join(folder, part)
            if not rest and os.path.lexists(path) and not os.path.isdir(path):
                self._take(path, part, is_link=os.path.islink(path))
            elif rest and os.path.isdir(path):
                self._below(path, rest)
            return
        if self._was_seen(folder, parts):
            return
        files, folders = part, part
        if part == ANY_DEPTH:
            # The last part of a pattern is looked for in the same listing: there may be many files.
            if len(rest) == 1 and has_magic(rest[0]) and not self._was_seen(folder, rest):
                files = rest[0]
            else:
                self._below(folder, rest)
                files = ""
        elif rest:
            files = ""
        self._list(folder, files, folders, parts if part == ANY_DEPTH else rest)

    def _list(self, folder: str, files: str, folders: str, below: Sequence[str]) -> None:
        """Takes the files of a folder that match a component, and goes on in the folders that match another."""
        is_file, is_folder = _matcher(files), _matcher(folders)
        inside: list[os.DirEntry[str]] = []
        try:
            with os.scandir(folder) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False) or (entry.is_symlink() and os.path.isdir(entry.path)):
                        if below and is_folder(entry.name):
                            inside.append(entry)
                    elif files and is_file(entry.name):
                        self._take(entry.path, entry.name, is_link=entry.is_symlink())
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:
            self._found.append(folder.rstrip("/") + "/")
            return
        for entry in sorted(inside, key=lambda entry: entry.name):
            if entry.is_symlink():
                self._links.append((entry.path, below))
            else:
                self._below(entry.path, below)

    def _take(self, path: str, name: str, *, is_link: bool) -> None:
        # A link that leads nowhere and has no suffix may have been one to a folder.
        is_wanted = not self._suffixes or name.lower().endswith(self._suffixes)
        if is_wanted or (is_link and "." not in name):
            self._found.append(path)

    def _was_seen(self, folder: str, parts: Sequence[str]) -> bool:
        """Whether this folder was searched for these parts, under this name or another."""
        try:
            status = os.stat(folder)
        except OSError:
            return False
        # What is in folders that jobs don't read (`_job`, `rejected`) doesn't count as found for other paths to it.
        is_apart = any(part == "rejected" or part.startswith("_") for part in folder.split("/"))
        key = (status.st_dev, status.st_ino, len(parts), is_apart)
        if key in self._seen:
            return True
        self._seen.add(key)
        return False


def _matcher(part: str) -> Callable[[str], bool]:
    """Whether a name matches a component of a pattern; names that start with `.` match no wildcard."""
    sees_hidden = part.startswith(".")
    if part in ("*", ANY_DEPTH):
        return lambda name: not name.startswith(".")
    matches = re.compile(fnmatch.translate(part)).match
    return lambda name: matches(name) is not None and (sees_hidden or not name.startswith("."))
