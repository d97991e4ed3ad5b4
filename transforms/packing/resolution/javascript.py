"""JavaScript and TypeScript: relative paths, extensions, `index` files, `tsconfig` paths, packages of a workspace.

1. `./x` and `../x`: as written, with an extension (`x.js` may mean `x.ts`), as a folder's `index`.
2. The nearest `tsconfig*.json` or `jsconfig*.json` above the importer, with what they extend: `paths`, then `baseUrl`.
3. `#name`: the `imports` of the nearest `package.json` above the importer.
4. A `package.json` whose `name` starts the import: what its `exports` or `main` name, or what that is built from, then
   the path in its folder and in `src`.
Sources: Node.js "ECMAScript modules" and "Modules: Packages"; TypeScript handbook, "Module Resolution".
"""

from __future__ import annotations

import json
import posixpath
import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from transforms.packing.imports import Import
from transforms.packing.resolution.index import RepositoryIndex, is_within, joined, once_an_index

_EXTENSIONS = (".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs", ".mts", ".cts")
_COMPILED = {
    ".js": (".ts", ".tsx", ".d.ts", ".jsx"),
    ".mjs": (".mts", ".ts", ".js"),
    ".cjs": (".cts", ".ts", ".js"),
    ".jsx": (".tsx",),
}
_MAX_EXTENDS = 8
_MAX_CONDITIONS = 8
_BUILD_FOLDERS = frozenset({"build", "cjs", "dist", "es", "esm", "lib", "out", "types"})


@dataclass(frozen=True, slots=True)
class _Options:
    """What a tsconfig says of names: `baseUrl` as a folder, `paths`, and the folder that they start at without it."""

    folder: str
    base: str | None = None
    paths: Mapping[str, list[str]] = field(default_factory=dict)
    paths_folder: str = ""


@dataclass(frozen=True, slots=True)
class _Package:
    """What a package.json says."""

    name: str
    folder: str
    main: str
    exports: Mapping[str, list[str]]
    imports: Mapping[str, list[str]]


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
    if place.endswith(".d.ts"):
        candidates += [place.removesuffix(".d.ts") + other for other in (".ts", ".tsx")]
    candidates += [place + extension for extension in _EXTENSIONS]
    candidates += [posixpath.join(place, f"index{extension}") for extension in _EXTENSIONS]
    return index.first(candidates)


def _aliases(target: str, importer: str, index: RepositoryIndex) -> Iterator[str | None]:
    for options in _options_above(posixpath.dirname(importer), index):
        base = options.paths_folder if options.base is None else options.base
        yield from (joined(base, place) for place in _mapped(target, options.paths))
        if options.base is not None:
            yield joined(options.base, target)
    if target.startswith("#"):
        above = [package for package in _workspace(index) if is_within(importer, package.folder)]
        for package in sorted(above, key=lambda package: -len(package.folder)):
            yield from _built(package.folder, _mapped(target, package.imports))
    for package, rest in _packages(target, index):
        yield from _in_package(package, rest)


def _options_above(folder: str, index: RepositoryIndex) -> list[_Options]:
    known = _options_by_folder(index)
    if folder not in known:
        known[folder] = [options for options in _compiler_options(index) if is_within(folder, options.folder)]
    return known[folder]


@once_an_index
def _options_by_folder(index: RepositoryIndex) -> dict[str, list[_Options]]:
    """Filled as folders are asked for."""
    return {}


def _packages(target: str, index: RepositoryIndex) -> Iterator[tuple[_Package, str]]:
    """The packages of the repository that an import names, and the path in them."""
    parts = target.split("/")
    words = 2 if target.startswith("@") else 1
    for package in _packages_by_name(index).get("/".join(parts[:words]), ()):
        yield package, "/".join(parts[words:])


@once_an_index
def _packages_by_name(index: RepositoryIndex) -> dict[str, list[_Package]]:
    found: dict[str, list[_Package]] = {}
    for package in _workspace(index):
        found.setdefault(package.name, []).append(package)
    return found


def _in_package(package: _Package, rest: str) -> Iterator[str | None]:
    yield from _built(package.folder, _mapped(f"./{rest}" if rest else ".", package.exports))
    if rest:
        yield from (joined(package.folder, rest), joined(package.folder, f"src/{rest}"))
    else:
        yield from _built(package.folder, [package.main or "index"])
        yield from (joined(package.folder, "src"), joined(package.folder, "src/index"))


def _mapped(target: str, patterns: Mapping[str, list[str]]) -> Iterator[str]:
    """What the patterns make of a target, the longest pattern first; `*` stands for the same on both sides."""
    for pattern, replacements in sorted(patterns.items(), key=lambda item: -len(item[0])):
        match = re.fullmatch(re.escape(pattern).replace(r"\*", "(.*)"), target)
        if match:
            filling = match.group(1) if match.groups() else ""
            yield from (replacement.replace("*", filling) for replacement in replacements)


def _built(folder: str, places: Iterable[str]) -> Iterator[str | None]:
    """Files of a package as named, and their sources where a build makes them."""
    for place in places:
        yield joined(folder, place)
        first, _, rest = place.removeprefix("./").partition("/")
        if first in _BUILD_FOLDERS and rest:
            while rest.partition("/")[0] in _BUILD_FOLDERS:
                rest = rest.partition("/")[2]
            yield from (joined(folder, f"src/{rest}"), joined(folder, rest))


@once_an_index
def _compiler_options(index: RepositoryIndex) -> list[_Options]:
    """What each tsconfig says, deepest folder first, in a folder `tsconfig.json` first."""
    found = []
    for path, text in index.configs.items():
        if posixpath.basename(path).startswith(("tsconfig", "jsconfig")):
            options = _options(text, posixpath.dirname(path), index, _MAX_EXTENDS)
            if options.base is not None or options.paths:
                found.append((path, options))

    def rank(item: tuple[str, _Options]) -> tuple[Any, ...]:
        folder, name = posixpath.split(item[0])
        return -folder.count("/") - bool(folder), folder, name not in ("tsconfig.json", "jsconfig.json"), name

    return [options for _, options in sorted(found, key=rank)]


def _options(text: str, folder: str, index: RepositoryIndex, depth: int) -> _Options:
    """A configuration's own options over those of what it extends, of which later ones count more."""
    config = _json(text)
    own = config.get("compilerOptions")
    own = own if isinstance(own, dict) else {}
    extended = config.get("extends") if depth else None
    merged = _Options(folder)
    for parent in extended if isinstance(extended, list) else [extended]:
        path = _extended_path(parent, folder, index) if isinstance(parent, str) else None
        if path is not None:
            over = _options(index.configs[path], posixpath.dirname(path), index, depth - 1)
            merged = _Options(
                folder, merged.base if over.base is None else over.base, merged.paths, merged.paths_folder
            )
            if over.paths:
                merged = _Options(folder, merged.base, over.paths, over.paths_folder)
    url, raw = own.get("baseUrl"), own.get("paths")
    base = joined(folder, url) if isinstance(url, str) else merged.base
    paths, paths_folder = merged.paths, merged.paths_folder
    if isinstance(raw, dict):
        paths_folder = folder
        paths = {
            pattern: [place for place in places if isinstance(place, str)]
            for pattern, places in raw.items()
            if isinstance(places, list)
        }
    return _Options(folder, base, paths, paths_folder)


def _extended_path(parent: str, folder: str, index: RepositoryIndex) -> str | None:
    """The configuration that `extends` names: by a relative path, or in a package of the workspace."""
    places = [joined(folder, parent)] if parent.startswith(".") else []
    for package, rest in _packages(parent, index):
        places.append(joined(package.folder, rest or "tsconfig.json"))
    candidates = [path for place in places if place is not None for path in (place, f"{place}.json")]
    return next((path for path in candidates if path in index.configs), None)


@once_an_index
def _workspace(index: RepositoryIndex) -> list[_Package]:
    """Each package of the repository, by folder."""
    found = []
    for folder, text in index.configs_named("package.json"):
        config = _json(text)
        name, main = config.get("name"), config.get("main")
        found.append(
            _Package(
                name if isinstance(name, str) else "",
                folder,
                main if isinstance(main, str) else "",
                _entries(config.get("exports"), "."),
                _entries(config.get("imports"), "#"),
            )
        )
    return sorted(found, key=lambda package: package.folder)


def _entries(value: Any, start: str) -> dict[str, list[str]]:
    """The files of each subpath of `exports` or `imports`; conditions are the ways to write one entry."""
    if not isinstance(value, dict) or not all(key.startswith(start) for key in value):
        value = {start: value} if start == "." else {}
    return {key: list(_strings(entry, _MAX_CONDITIONS)) for key, entry in value.items()}


def _strings(entry: Any, depth: int) -> Iterator[str]:
    if isinstance(entry, str):
        yield entry
    elif isinstance(entry, (dict, list)) and depth:
        for part in entry.values() if isinstance(entry, dict) else entry:
            yield from _strings(part, depth - 1)


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
