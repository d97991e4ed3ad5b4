"""Java, Kotlin, C# and PHP: imports name declarations in files, so they are looked up by package and name.

- `import a.b.C`, `use A\\B\\C`: the files that declare `C` in `a.b`; else a shorter name is tried (`a.b.C.field`, a
  nested type); else the longest suffix of `a/b/C.ext` that is a path, of at least two components.
- `import a.b.*`, `using A.B`: the files of that package that declare a type whose name the importer uses, in Kotlin
  also a function that it calls. `import a.b.C.*`: the file of `C`.
- PHP's `require`: the path as written from the importer's folder, else the nearest path that ends with it.
- Java and Kotlin: the files of the same package of which a name is used (`used_of_package`).
Sources: Java Language Specification 7.5; Kotlin "Packages and imports"; C# "using directive"; PSR-4.
"""

from __future__ import annotations

import posixpath

from transforms.packing.imports import Import
from transforms.packing.resolution.index import RepositoryIndex, joined

_EXTENSIONS = {"java": (".java", ".kt"), "kotlin": (".kt", ".java"), "csharp": (".cs",), "php": (".php",)}
_MAX_BACKOFF = 3
_MIN_PATH_PARTS = 2


def resolve_named(found: Import, importer: str, index: RepositoryIndex) -> list[str]:
    """Returns the files to which one import resolves."""
    if found.form == "require":
        place = joined(posixpath.dirname(importer), found.target)
        if place is not None and place in index:
            return [place]
        nearest = index.nearest(index.ending_with(found.target.removeprefix("./").removeprefix("../")), importer)
        return [nearest] if nearest else []
    if found.form == "wildcard" and found.target in index.by_package:
        return list(used_of_package(found.target, importer, index))
    parts = found.target.split(".")
    for end in range(len(parts), max(len(parts) - _MAX_BACKOFF, 0), -1):
        declared = index.by_name.get(".".join(parts[:end]), [])
        if declared:
            return list(declared)
    return [] if found.form == "wildcard" else _by_path(parts, importer, index)


def used_of_package(package: str, importer: str, index: RepositoryIndex) -> dict[str, int]:
    """The files of a package of which a file uses declarations, with how many; never the file itself.

    Of several files that declare a name, as for several platforms, the nearest counts.
    """
    found: dict[str, int] = {}
    for name in index.facts[importer].uses:
        path = index.nearest(index.by_name.get(f"{package}.{name}".lstrip("."), ()), importer)
        if path is not None and path != importer:
            found[path] = found.get(path, 0) + 1
    return found


def _by_path(parts: list[str], importer: str, index: RepositoryIndex) -> list[str]:
    for extension in _EXTENSIONS.get(index.facts[importer].grammar, ()):
        for start in range(len(parts) - _MIN_PATH_PARTS + 1):
            nearest = index.nearest(index.ending_with("/".join(parts[start:]) + extension), importer)
            if nearest:
                return [nearest]
    return []
