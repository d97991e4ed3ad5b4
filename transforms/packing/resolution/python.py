"""Python: packages, `__init__`, relative imports, several source roots.

An absolute import starts at a *root*: a folder that contains the first name as a module or package and is not a package
itself (`""`, `src`, a folder of scripts). Roots above the importer come first, the deepest of them; then the nearest. A
name of the standard library counts only if a root above the importer really has such a module, which would shadow it.
`from a import b` resolves to the module `a.b` if it exists, else to `a`.
Source: the Python language reference, "The import system".
"""

from __future__ import annotations

import posixpath
import sys

from transforms.packing.imports import Import
from transforms.packing.resolution.index import RepositoryIndex, is_within, once_an_index, shared_folders

_EXTENSIONS = (".py", ".pyi")
_PACKAGES = tuple(f"/__init__{extension}" for extension in _EXTENSIONS)


def resolve_python(found: Import, importer: str, index: RepositoryIndex) -> list[str]:
    """Returns the files to which one import resolves, at most one per name."""
    parts = found.target.split(".") if found.target else []
    if found.level:
        folder: str | None = posixpath.dirname(importer)
        for _ in range(found.level - 1):
            folder = posixpath.dirname(folder) if folder else None
        return [] if folder is None else _from_root(found, folder, parts, index)
    best: list[str] = []
    portions: list[str] = []  # of a namespace package, whose folders may be below several roots
    for root in _roots(parts[0], importer, index):
        targets = _from_root(found, root, parts, index)
        if targets:
            if _module(root, parts, index) is not None:
                return portions or targets
            if _is_folder(root, parts, index):
                if found.form != "from":
                    return targets
                portions += [target for target in targets if target not in portions]
                if len(portions) == len(found.names):
                    return portions
            best = best or targets
    return portions or best


def _from_root(found: Import, root: str, parts: list[str], index: RepositoryIndex) -> list[str]:
    module = _module(root, parts, index)
    if found.form != "from":
        prefix = parts
        while module is None and len(prefix) > 1:  # import a.b.c, where c is created at run time
            prefix = prefix[:-1]
            module = _module(root, prefix, index)
        return [module] if module else []
    targets = [_module(root, [*parts, name], index) or module for name in found.names]
    return list(dict.fromkeys(target for target in targets if target))


def _module(root: str, parts: list[str], index: RepositoryIndex) -> str | None:
    path = "/".join([root, *parts] if root else parts)
    for ending in (*_PACKAGES, *_EXTENSIONS) if parts else _PACKAGES:
        file = f"{path}{ending}" if path else ending[1:]
        if file in index.facts:
            return file
    return None


def _is_folder(root: str, parts: list[str], index: RepositoryIndex) -> bool:
    return "/".join(filter(None, [root, *parts])) in index.by_folder


def _roots(name: str, importer: str, index: RepositoryIndex) -> list[str]:
    folder = posixpath.dirname(importer)
    key = name, folder  # all that the roots depend on
    if key not in index.roots:
        index.roots[key] = _find_roots(name, folder, index)
    return index.roots[key]


def _find_roots(name: str, folder: str, index: RepositoryIndex) -> list[str]:
    is_standard = name in sys.stdlib_module_names
    roots = [
        root
        for root, is_module in _tops(index).get(name, {}).items()
        if not _is_package(root, index) and (not is_standard or (is_module and is_within(folder, root)))
    ]
    return sorted(
        roots,
        key=lambda root: (
            not is_within(folder, root),
            -shared_folders(f"{root}/x", f"{folder}/x"),
            root.count("/"),
            root,
        ),
    )


def _is_package(folder: str, index: RepositoryIndex) -> bool:
    return bool(folder) and any(f"{folder}{ending}" in index.facts for ending in _PACKAGES)


@once_an_index
def _tops(index: RepositoryIndex) -> dict[str, dict[str, bool]]:
    """For each first name of an import, the folders that contain it, and whether as a module or regular package."""
    tops: dict[str, dict[str, bool]] = {}
    seen: set[str] = set()
    for path in index.facts:
        folder, base = posixpath.split(path)
        stem, extension = posixpath.splitext(base)
        if extension not in _EXTENSIONS:
            continue
        if stem == "__init__":
            tops.setdefault(posixpath.basename(folder), {})[posixpath.dirname(folder)] = True
        else:
            tops.setdefault(stem, {})[folder] = True
        while folder and folder not in seen:
            seen.add(folder)
            tops.setdefault(posixpath.basename(folder), {}).setdefault(posixpath.dirname(folder), False)
            folder = posixpath.dirname(folder)
    return tops
