"""An index of the files of one repository: by path, by the end of a path, by package and by declared name.

Building it is linear in the number of files. A look-up examines the files that share the last two components of the
path. Nothing here depends on the input order of the files.
"""

from __future__ import annotations

import functools
import posixpath
import re
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final, TypeVar

from transforms.packing.facts import FileFacts

_CONFIG_NAMES: Final = frozenset({"go.mod", "package.json", "Cargo.toml"})
_TSCONFIG: Final = re.compile(r"[jt]sconfig[\w.-]*\.json")


T = TypeVar("T")


class RepositoryIndex:
    """The files to which imports can resolve.

    Args:
        facts: All files.
        repo_name: The repository, as `owner/name`.
        configs: Path and text of the files that `is_config` tells.
    """

    def __init__(self, facts: Iterable[FileFacts], repo_name: str = "", configs: Mapping[str, str] | None = None):
        self.repo_name = repo_name
        self.configs = dict(configs or {})
        self.facts = {fact.path: fact for fact in sorted(facts, key=lambda fact: fact.path)}
        self.roots: dict[tuple[str, str], list[str]] = {}  # found so far, by first name and folder of the importer
        self.made: dict[object, Any] = {}  # by `once_an_index`
        self._by_end: dict[str, list[str]] = defaultdict(list)
        self.by_folder: dict[str, list[str]] = defaultdict(list)
        self.by_package: dict[str, list[str]] = defaultdict(list)
        self.by_name: dict[str, list[str]] = defaultdict(list)
        for path, fact in self.facts.items():
            folder, name = posixpath.split(path)
            self.by_folder[folder].append(path)
            self._by_end[name].append(path)
            self._by_end[f"{posixpath.basename(folder)}/{name}"].append(path)
            if fact.grammar == "go":
                continue  # its packages are folders
            if fact.declares:
                self.by_package[fact.package].append(path)
            for declared in dict.fromkeys(fact.declares):
                self.by_name[f"{fact.package}.{declared}".lstrip(".")].append(path)

    def __contains__(self, path: str) -> bool:
        return path in self.facts

    def known(self, path: str) -> str:
        """The same path, as the one object that the index has of it: one that a rule has put together is a copy."""
        found = self.facts.get(path)
        return path if found is None else found.path

    def first(self, candidates: Iterable[str]) -> str | None:
        """Returns the first of several paths that is a file of the repository."""
        return next((path for path in candidates if path in self.facts), None)

    def ending_with(self, suffix: str) -> list[str]:
        """Returns all paths that are `suffix` or end with `/suffix`, sorted."""
        key = "/".join(suffix.split("/")[-2:])
        ending = f"/{suffix}"
        return [path for path in self._by_end.get(key, ()) if path == suffix or path.endswith(ending)]

    def nearest(self, candidates: Iterable[str], importer: str) -> str | None:
        """The candidate that shares the most leading folders with the importer; then the shortest, then the first."""
        return min(candidates, key=lambda path: (-shared_folders(path, importer), path.count("/"), path), default=None)

    def configs_named(self, name: str) -> list[tuple[str, str]]:
        """Folder and text of each configuration file of that name, deepest folder first."""
        found = [(posixpath.dirname(path), text) for path, text in self.configs.items() if is_named(path, name)]
        return sorted(found, key=lambda item: (-item[0].count("/") - bool(item[0]), item[0]))


def once_an_index(make: Callable[[RepositoryIndex], T]) -> Callable[[RepositoryIndex], T]:
    """Calls a function once for each index, which holds the result: a cache would hold the index."""

    @functools.wraps(make)
    def made(index: RepositoryIndex) -> T:
        if make not in index.made:
            index.made[make] = make(index)
        found: T = index.made[make]
        return found

    return made


def is_config(path: str) -> bool:
    """Whether a file affects resolution although it is no source.

    >>> is_config("web/tsconfig.base.json"), is_config("Cargo.toml"), is_config("a.json")
    (True, True, False)
    """
    name = posixpath.basename(path)
    return name in _CONFIG_NAMES or _TSCONFIG.fullmatch(name) is not None


def is_named(path: str, name: str) -> bool:
    """Whether the last component of a path is `name`."""
    return path == name or path.endswith(f"/{name}")


def shared_folders(a: str, b: str) -> int:
    """Returns how many leading folders two paths have in common.

    >>> shared_folders("a/b/x.py", "a/c/y.py")
    1
    """
    count = 0
    for left, right in zip(a.split("/")[:-1], b.split("/")[:-1], strict=False):
        if left != right:
            break
        count += 1
    return count


def is_within(path: str, folder: str) -> bool:
    """Whether a path is in a folder or below it; everything is in ""."""
    return not folder or path == folder or path.startswith(f"{folder}/")


def joined(folder: str, relative: str) -> str | None:
    """Resolves a relative path from a folder; None if it leaves the repository.

    >>> joined("a/b", "../c"), joined("a", "../../c")
    ('a/c', None)
    """
    path = posixpath.normpath(posixpath.join(folder, relative))
    return None if path.startswith(("../", "/")) or path == ".." else ("" if path == "." else path)
