"""Import resolution: from imports as written to files of the repository, with one module per family of rules."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from transforms.packing.imports import Import
from transforms.packing.resolution.files import resolve_include, resolve_ruby
from transforms.packing.resolution.go import resolve_go
from transforms.packing.resolution.index import RepositoryIndex, is_config
from transforms.packing.resolution.javascript import resolve_javascript
from transforms.packing.resolution.names import resolve_named, used_of_package
from transforms.packing.resolution.python import resolve_python
from transforms.packing.resolution.rust import resolve_rust

__all__ = ["RepositoryIndex", "is_config", "resolve", "used_of_package"]

_RESOLVERS: Final[dict[str, Callable[[Import, str, RepositoryIndex], list[str]]]] = {
    "python": resolve_python,
    "javascript": resolve_javascript,
    "typescript": resolve_javascript,
    "tsx": resolve_javascript,
    "java": resolve_named,
    "kotlin": resolve_named,
    "csharp": resolve_named,
    "php": resolve_named,
    "go": resolve_go,
    "rust": resolve_rust,
    "c": resolve_include,
    "cpp": resolve_include,
    "ruby": resolve_ruby,
}


def resolve(found: Import, importer: str, index: RepositoryIndex) -> list[str]:
    """Returns the files of the repository to which one import of `importer` resolves, never the importer itself."""
    resolver = _RESOLVERS.get(index.facts[importer].grammar)
    if resolver is None:
        return []
    return [path for path in resolver(found, importer, index) if path != importer]
