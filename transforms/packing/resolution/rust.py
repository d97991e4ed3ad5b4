"""Rust: `mod` names a file next to or below the current one; `use` paths start at the crate, the current module, or
another crate.

    src/lib.rs   mod a;   -> src/a.rs or src/a/mod.rs        crate::a::b::Thing -> src/a/b.rs
    src/a.rs     mod b;   -> src/a/b.rs or src/a/b/mod.rs    super:: and self:: start at the module's own folder

A `use` resolves to the longest prefix of its path that is a module's file; the rest are items in it.
Source: The Rust Reference, "Modules" and "Use declarations".
"""

from __future__ import annotations

import posixpath
import re

from transforms.packing.facts import Import
from transforms.packing.resolution.index import RepositoryIndex, joined, once_an_index

_ROOT_FILES = ("lib.rs", "main.rs")


def resolve_rust(found: Import, importer: str, index: RepositoryIndex) -> list[str]:
    """Returns the file to which one `mod` or `use` resolves."""
    if found.form == "path":
        place = joined(posixpath.dirname(importer), found.target)
        return [place] if place is not None and place in index else []
    own = _module_folder(importer, index)
    parts = found.target.split("::")
    if found.form == "mod":
        path = _module(own, parts, index)
        return [path] if path else []
    folder: str | None = own
    if parts[0] == "crate":
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
    root = index.first(_in(folder, name) for name in (*_ROOT_FILES, "mod.rs")) or index.first([f"{folder}.rs"])
    return [root] if root else []


def _in(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _module(folder: str, parts: list[str], index: RepositoryIndex) -> str | None:
    if not parts:
        return None
    place = _in(folder, "/".join(parts))
    return index.first([f"{place}.rs", f"{place}/mod.rs"])


def _module_folder(path: str, index: RepositoryIndex) -> str:
    """The folder of a file's child modules."""
    folder, name = posixpath.split(path)
    is_root = name in (*_ROOT_FILES, "mod.rs", "build.rs") or posixpath.basename(folder) in ("bin", "tests", "examples")
    return folder if is_root else _in(folder, name.removesuffix(".rs"))


def _crate_root(importer: str, index: RepositoryIndex) -> str | None:
    folder = posixpath.dirname(importer)
    while True:
        if index.first(_in(folder, name) for name in _ROOT_FILES):
            return folder
        if not folder:
            return None
        folder = posixpath.dirname(folder)


@once_an_index
def _crates(index: RepositoryIndex) -> dict[str, str]:
    """The source folder of each crate of the repository, by its name in `use`."""
    crates = {}
    for folder, text in index.configs_named("Cargo.toml"):
        package = re.search(r"^\[package\](.*?)(?=^\[|\Z)", text, re.MULTILINE | re.DOTALL)
        name = re.search(r'^\s*name\s*=\s*"([^"]+)"', package.group(1), re.MULTILINE) if package else None
        if name:
            crates[name.group(1).replace("-", "_")] = _in(folder, "src")
    return crates
