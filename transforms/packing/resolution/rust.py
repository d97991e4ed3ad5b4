"""Rust: `mod` names a file next to or below the current one; `use` paths start at the crate, the current module, or
another crate.

    src/lib.rs   mod a;   -> src/a.rs or src/a/mod.rs        crate::a::b::Thing -> src/a/b.rs
    src/a.rs     mod b;   -> src/a/b.rs or src/a/b/mod.rs    super:: and self:: start at the module's own folder

A `use` resolves to the longest prefix of its path that is a module's file; the rest are items in it.
Source: The Rust Reference, "Modules" and "Use declarations".
"""

from __future__ import annotations

import posixpath
import tomllib
from typing import Any

from transforms.packing.imports import Import
from transforms.packing.resolution.index import RepositoryIndex, joined, once_an_index

_ROOT_FILES = ("lib.rs", "main.rs")


def resolve_rust(found: Import, importer: str, index: RepositoryIndex) -> list[str]:
    """Returns the file to which one `mod`, `use` or `extern crate` resolves."""
    if found.form == "path":
        place = joined(posixpath.dirname(importer), found.target)
        return [place] if place is not None and place in index else []
    own = _module_folder(importer, index)
    parts = found.target.split("::")
    if found.form == "mod":
        path = _module(own, parts, index)
        return [path] if path else []
    folder: str | None = own
    if found.form == "crate":
        folder, parts = _crates(index).get(found.target), []
    elif parts[0] == "crate":
        folder, parts = _crate_root(importer, index), parts[1:]
    elif parts[0] in ("self", "super"):
        while parts and parts[0] in ("self", "super"):
            if parts[0] == "super":
                folder = posixpath.dirname(folder) if folder else None
            parts = parts[1:]
    elif _module(own, parts[:1], index) is None:
        folder, parts = _crates(index).get(parts[0]), parts[1:]
    if folder is None:
        return []
    for end in range(len(parts), 0, -1):
        path = _module(folder, parts[:end], index)
        if path:
            return [path]
    root = _root_file(folder, index) or index.first([_in(folder, "mod.rs"), f"{folder}.rs"])
    return [root] if root else []


def _in(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _module(folder: str, parts: list[str], index: RepositoryIndex) -> str | None:
    if not parts:
        return None
    place = _in(folder, "/".join(parts))
    return index.first([f"{place}.rs", f"{place}/mod.rs"])


def _root_file(folder: str, index: RepositoryIndex) -> str | None:
    """The root of the crate whose source folder this is."""
    return index.first([*(_in(folder, name) for name in _ROOT_FILES), *_roots(index).get(folder, ())])


def _module_folder(path: str, index: RepositoryIndex) -> str:
    """The folder of a file's child modules."""
    folder, name = posixpath.split(path)
    is_root = (
        name in (*_ROOT_FILES, "mod.rs", "build.rs")
        or posixpath.basename(folder) in ("bin", "tests", "examples")
        or path in _roots(index).get(folder, ())
    )
    return folder if is_root else _in(folder, name.removesuffix(".rs"))


def _crate_root(importer: str, index: RepositoryIndex) -> str | None:
    folder = posixpath.dirname(importer)
    while True:
        if _root_file(folder, index):
            return folder
        if not folder:
            return None
        folder = posixpath.dirname(folder)


@once_an_index
def _roots(index: RepositoryIndex) -> dict[str, list[str]]:
    """Files that a `Cargo.toml` makes the root of a crate, by their folder."""
    found: dict[str, list[str]] = {}
    for folder, manifest in _manifests(index):
        for target in (manifest.get("lib"), *_listed(manifest.get("bin")), *_listed(manifest.get("test"))):
            path = target.get("path") if isinstance(target, dict) else None
            place = joined(folder, path) if isinstance(path, str) else None
            if place is not None:
                found.setdefault(posixpath.dirname(place), []).append(place)
    return found


@once_an_index
def _manifests(index: RepositoryIndex) -> list[tuple[str, dict[str, Any]]]:
    found = []
    for folder, text in index.configs_named("Cargo.toml"):
        try:
            found.append((folder, tomllib.loads(text)))
        except (tomllib.TOMLDecodeError, RecursionError):
            continue
    return found


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


@once_an_index
def _crates(index: RepositoryIndex) -> dict[str, str]:
    """The source folder of each crate of the repository, by its name and by what dependents call it."""
    folders = {folder: found for folder, manifest in _manifests(index) for found in _crate(folder, manifest)}
    crates = dict(folders.values())
    for folder, manifest in _manifests(index):
        for section in ("dependencies", "dev-dependencies", "build-dependencies"):
            listed = manifest.get(section)
            for alias, value in listed.items() if isinstance(listed, dict) else ():
                path = value.get("path") if isinstance(value, dict) else None
                place = joined(folder, path) if isinstance(path, str) else None
                if place in folders:
                    crates.setdefault(alias.replace("-", "_"), folders[place][1])
    return crates


def _crate(folder: str, manifest: dict[str, Any]) -> list[tuple[str, str]]:
    """Name and source folder of a manifest's library, if it has a package."""
    package, library = manifest.get("package"), manifest.get("lib")
    library = library if isinstance(library, dict) else {}
    name = library.get("name") or (package.get("name") if isinstance(package, dict) else None)
    path = library.get("path")
    place = joined(folder, path) if isinstance(path, str) else _in(folder, "src/lib.rs")
    if not isinstance(name, str) or place is None:
        return []
    return [(name.replace("-", "_"), posixpath.dirname(place))]
