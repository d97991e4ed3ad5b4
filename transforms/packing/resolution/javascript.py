"""JavaScript and TypeScript: relative paths, extensions, `index` files, `tsconfig` paths, packages of a workspace.

1. `./x` and `../x`: as written, with an extension (`x.js` may mean `x.ts`), as a folder's `index`.
2. The nearest `tsconfig.json` or `jsconfig.json` above the importer, with the ones it extends: `paths`, then `baseUrl`.
3. A `package.json` of the repository whose `name` starts the import: its folder, then `src` in it.
Sources: Node.js "ECMAScript modules" and "Modules: Packages"; TypeScript handbook, "Module Resolution".
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterator
from typing import Any

from transforms.packing.facts import Import
from transforms.packing.resolution.index import RepositoryIndex, is_within, joined, once_an_index

_EXTENSIONS = (".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts")
_COMPILED = {".js": (".ts", ".tsx", ".d.ts", ".jsx"), ".mjs": (".mts",), ".cjs": (".cts",), ".jsx": (".tsx",)}
_MAX_EXTENDS = 8


def resolve_javascript(found: Import, importer: str, index: RepositoryIndex) -> list[str]:
    """Returns the file to which one import resolves, if it is in the repository."""
    target = found.target.split("?", 1)[0]
    if target.startswith((".", "/")):
        place = joined(posixpath.dirname(importer), target) if target.startswith(".") else target.lstrip("/")
        places: Iterator[str | None] = iter([place])
    else:
        places = _aliases(target, importer, index)
    for place in places:
        path = _file(place, index) if place is not None else None
        if path:
            return [path]
    return []


def _file(place: str, index: RepositoryIndex) -> str | None:
    stem, extension = posixpath.splitext(place)
    candidates = [place, *(stem + other for other in _COMPILED.get(extension, ()))]
    candidates += [place + extension for extension in _EXTENSIONS]
    candidates += [posixpath.join(place, f"index{extension}") for extension in _EXTENSIONS]
    return index.first(candidates)


def _aliases(target: str, importer: str, index: RepositoryIndex) -> Iterator[str | None]:
    for folder, base, has_base_url, paths in _compiler_options(index):
        if not is_within(importer, folder):
            continue
        for pattern, replacements in sorted(paths.items(), key=lambda item: -len(item[0])):
            match = re.fullmatch(re.escape(pattern).replace(r"\*", "(.*)"), target)
            if match:
                filling = match.group(1) if match.groups() else ""
                yield from (joined(base, replacement.replace("*", filling)) for replacement in replacements)
        if has_base_url:
            yield joined(base, target)
    for name, folder, main in _workspace(index):
        if target == name:
            yield from (joined(folder, main or "index"), joined(folder, "src"), joined(folder, "src/index"))
        elif target.startswith(f"{name}/"):
            rest = target[len(name) + 1 :]
            yield from (joined(folder, rest), joined(folder, f"src/{rest}"))


@once_an_index
def _compiler_options(index: RepositoryIndex) -> list[tuple[str, str, bool, dict[str, list[str]]]]:
    """For each tsconfig, deepest first: folder, base folder of its paths, whether that is a `baseUrl`, paths."""
    found = []
    for name in ("tsconfig.json", "jsconfig.json"):
        for folder, text in index.configs_named(name):
            options, where = _extended(text, folder, index, _MAX_EXTENDS)
            url, raw = options.get("baseUrl"), options.get("paths")
            base = joined(where, url) if isinstance(url, str) else None
            paths = {
                pattern: [place for place in places if isinstance(place, str)]
                for pattern, places in (raw if isinstance(raw, dict) else {}).items()
                if isinstance(places, list)
            }
            if base is not None or paths:
                found.append((folder, where if base is None else base, base is not None, paths))
    return found


def _extended(text: str, folder: str, index: RepositoryIndex, depth: int) -> tuple[dict[str, Any], str]:
    """`compilerOptions`, merged over those of the configuration it extends, and the base folder of its paths."""
    config = _json(text)
    own = config.get("compilerOptions")
    options = own if isinstance(own, dict) else {}
    parent = config.get("extends")
    if isinstance(parent, str) and parent.startswith(".") and depth and not {"paths", "baseUrl"} & set(options):
        place = joined(folder, parent)
        for path in (place, f"{place}.json"):
            if path in index.configs:
                return _extended(index.configs[path], posixpath.dirname(path), index, depth - 1)
    return options, folder


@once_an_index
def _workspace(index: RepositoryIndex) -> list[tuple[str, str, str]]:
    """Name, folder and main file of each package, longest name first."""
    found = []
    for folder, text in index.configs_named("package.json"):
        config = _json(text)
        name, main = config.get("name"), config.get("main")
        if isinstance(name, str) and name:
            found.append((name, folder, main if isinstance(main, str) else ""))
    return sorted(found, key=lambda item: (-len(item[0]), item))


def _json(text: str) -> dict[str, Any]:
    """An object from JSON with comments and trailing commas, as these files have; {} if it is not an object."""
    without = re.sub(
        r'("(?:\\.|[^"\\])*")|//[^\n]*|/\*.*?\*/', lambda match: match.group(1) or "", text, flags=re.DOTALL
    )
    without = re.sub(r'("(?:\\.|[^"\\])*")|,(?=\s*[}\]])', lambda match: match.group(1) or "", without)
    try:
        value = json.loads(without)
    except (ValueError, RecursionError):
        return {}
    return value if isinstance(value, dict) else {}
