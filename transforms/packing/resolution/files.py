"""C, C++ and Ruby: imports name files.

- `#include "a/b.h"`: from the including file's folder, else the nearest path that ends with it.
- `#include <a/b.h>`: the nearest path that ends with it, if it has a folder or is in an `include` folder.
- `import a.b;` of C++20: the file with `export module a.b;`.
- `require_relative`: from the file's folder. `require "a/b"`: below a `lib` folder, else the nearest path that ends
  with it.
Sources: C17 6.10.2 and common practice (`-I`); Ruby's Kernel#require.
"""

from __future__ import annotations

import posixpath

from transforms.packing.imports import Import
from transforms.packing.resolution.index import RepositoryIndex, joined, once_an_index


def resolve_include(found: Import, importer: str, index: RepositoryIndex) -> list[str]:
    """Returns the header that one `#include` names, or the interface of the module that one `import` names."""
    if found.form == "module":
        return _modules(index).get(found.target, [])
    if found.form == "quote":
        place = joined(posixpath.dirname(importer), found.target)
        if place is not None and place in index:
            return [place]
    target = posixpath.normpath(found.target)
    while target.startswith("../"):
        target = target[3:]
    candidates = index.ending_with(target)
    if found.form == "angle" and "/" not in target:
        candidates = [path for path in candidates if posixpath.basename(posixpath.dirname(path)) == "include"]
    nearest = index.nearest(candidates, importer)
    return [nearest] if nearest else []


@once_an_index
def _modules(index: RepositoryIndex) -> dict[str, list[str]]:
    """The file that exports each module of C++."""
    found: dict[str, list[str]] = {}
    for path, facts in index.facts.items():
        if facts.grammar == "cpp" and facts.package:
            found.setdefault(facts.package, []).append(path)
    return found


def resolve_ruby(found: Import, importer: str, index: RepositoryIndex) -> list[str]:
    """Returns the file that one `require`, `require_relative`, `load` or `autoload` names."""
    target = found.target.removesuffix(".rb") + ".rb"
    if found.form == "require_relative" or target.startswith("."):
        place = joined(posixpath.dirname(importer), target)
        return [place] if place is not None and place in index else []
    candidates = index.ending_with(target)
    in_lib = [path for path in candidates if path == f"lib/{target}" or path.endswith(f"/lib/{target}")]
    # A bare name outside of lib (`require "json"`) is more likely a gem than a file somewhere in the repository.
    loose = candidates if "/" in found.target else [path for path in candidates if path == target]
    nearest = index.nearest(in_lib or loose, importer)
    return [nearest] if nearest else []
