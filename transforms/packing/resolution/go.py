"""Go: an import names a folder, relative to the module path that the nearest `go.mod` declares.

All files of the folder except tests are the package; an import leads to those of which it uses an exported name, or to
all. Without a `go.mod`, the folder is the longest suffix of the import path that is a folder of the repository and
either follows the repository's name or has two components.
Source: The Go Modules Reference, "Resolving a package to a module".
"""

from __future__ import annotations

import re
from collections.abc import Set

from transforms.packing.facts import FileFacts
from transforms.packing.imports import Import
from transforms.packing.resolution.index import RepositoryIndex, joined, once_an_index

_REPLACED = re.compile(r'^\s*(?:replace\s+)?"?([^\s"()]+)"?(?:\s+v\S+)?\s+=>\s+"?([^\s"]+)', re.MULTILINE)


def resolve_go(found: Import, importer: str, index: RepositoryIndex) -> list[str]:
    """Returns the files of the package that one import names and of which the importer uses a name, or all of them."""
    files = _imported(found, index)
    uses = set(index.facts[importer].uses)
    used = [path for path in files if _is_used(index.facts[path], found, uses)]
    return used or files


def _is_used(facts: FileFacts, found: Import, uses: Set[str]) -> bool:
    package = found.names[0] if found.names else facts.package
    return any(f"{package}.{name}" in uses for name in facts.declares)


def _imported(found: Import, index: RepositoryIndex) -> list[str]:
    for module, root in _modules(index):
        if found.target == module or found.target.startswith(f"{module}/"):
            rest = found.target[len(module) :].strip("/")
            return _package("/".join(filter(None, [root, rest])), index)
    if _modules(index):
        return []
    parts = found.target.split("/")
    name = index.repo_name.rsplit("/", 1)[-1]
    for start in range(len(parts)):
        files = _package("/".join(parts[start:]), index)
        if files and ((start and parts[start - 1] == name) or len(parts) - start >= 2):
            return files
    return []


def _package(folder: str, index: RepositoryIndex) -> list[str]:
    return [p for p in index.by_folder.get(folder, ()) if p.endswith(".go") and not p.endswith("_test.go")]


@once_an_index
def _modules(index: RepositoryIndex) -> list[tuple[str, str]]:
    """Module path and folder of each `go.mod`, and of what one of them is replaced by here; longest path first."""
    found = []
    for folder, text in index.configs_named("go.mod"):
        match = re.search(r'^\s*module\s+"?([^\s"]+)', text, re.MULTILINE)
        if match:
            found.append((match.group(1), folder))
    folders = dict(found)
    for folder, text in index.configs_named("go.mod"):
        for old, new in _REPLACED.findall(text):
            place = joined(folder, new) if new.startswith(("./", "../")) else folders.get(new)
            if place is not None:
                found.append((old, place))
    return sorted(set(found), key=lambda item: (-len(item[0]), item))
