"""Finds files on this machine by a pattern, and reports what it can't list.

`glob` leaves out what it can't read: links that lead nowhere and folders without permission. Rows that are missing that
way are in no ledger, so this module yields them too.

Cost: one listing per folder, and two calls per link.
"""

from __future__ import annotations

import fnmatch
import os
import re
from collections.abc import Collection, Iterator, Sequence
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
        self._seen: set[tuple[object, ...]] = set()
        self._links: list[tuple[str, Sequence[str]]] = []

    def run(self, base: str, parts: Sequence[str]) -> Iterator[str]:
        self._links.append((base, parts))
        while self._links:
            yield from self._below(*self._links.pop(0))

    def _below(self, folder: str, parts: Sequence[str]) -> Iterator[str]:
        part, rest = parts[0], parts[1:]
        if part != ANY_DEPTH and not has_magic(part):
            path = os.path.join(folder, part)
            if not rest and os.path.lexists(path) and not os.path.isdir(path):
                yield from self._taken(path, part, is_link=os.path.islink(path))
            elif rest and os.path.isdir(path):
                yield from self._below(path, rest)
            return
        if self._was_seen(folder, parts):
            return
        if part == ANY_DEPTH:
            yield from self._below(folder, rest)
        matches = re.compile(fnmatch.translate("*" if part == ANY_DEPTH else part)).match
        try:
            with os.scandir(folder) as entries:
                inside = [entry for entry in entries if matches(entry.name) and not _is_hidden(entry.name, part)]
        except (FileNotFoundError, NotADirectoryError):
            return
        except OSError:
            yield folder.rstrip("/") + "/"
            return
        for entry in sorted(inside, key=lambda entry: entry.name):
            if entry.is_dir(follow_symlinks=False):
                if rest:
                    yield from self._below(entry.path, parts if part == ANY_DEPTH else rest)
            elif entry.is_symlink() and os.path.isdir(entry.path):
                if rest:
                    self._links.append((entry.path, parts if part == ANY_DEPTH else rest))
            elif not rest:
                yield from self._taken(entry.path, entry.name, is_link=entry.is_symlink())

    def _taken(self, path: str, name: str, *, is_link: bool) -> Iterator[str]:
        # A link that leads nowhere and has no suffix may have been one to a folder.
        is_wanted = not self._suffixes or name.lower().endswith(self._suffixes)
        if is_wanted or (is_link and "." not in name):
            yield path

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


def _is_hidden(name: str, part: str) -> bool:
    return name.startswith(".") and not part.startswith(".")
