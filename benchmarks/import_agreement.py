"""Whether imports lead where each ecosystem's own tool says: go, tsc, cargo with rustc, jdeps.

    python benchmarks/import_agreement.py {go,tsc,rustc,jdeps} CLONE... [--classes FOLDER] [--examples 20]

CLONE is a clone with a work tree; nothing in it is built. Only files that the tool read count as importers: it leaves
out what this platform or configuration leaves out. All lines are read, not the top 200 alone. For each repository and
kind of edge the script prints how many both have, only the tool, only codemill, and examples of the latter two.

- go: `go list -e`: folder to folder, tests of a folder apart. `go run contenders/go_uses.go`: file to the files
  that declare what it names of other packages, by the type checker.
- tsc: `tsc --traceResolution` for every tsconfig.json: file to file. Packages of the workspace are found in
  `node_modules` as links, as a package manager would make them: make them first with `--link`.
- rustc: `rustc --emit=dep-info` for every target with all features: root of a crate to all files that its `mod`
  statements reach. `cargo metadata --no-deps`: package to package of the workspace by declared dependency.
- jdeps: `jdeps -verbose:class` over `--classes`, what javac made of the clone: file to file. An edge of jdeps's to a
  type that the file never names (of a value passed on) is counted apart.
"""

from __future__ import annotations

import argparse
import json
import os
import posixpath
import re
import subprocess
import sys
import tempfile
from collections.abc import Callable, Collection, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from transforms.packing.facts import read_facts  # noqa: E402
from transforms.packing.graph import dependency_edges  # noqa: E402
from transforms.packing.imports import Import  # noqa: E402
from transforms.packing.resolution import RepositoryIndex, is_config, resolve  # noqa: E402
from transforms.packing.resolution.index import is_within  # noqa: E402

Edge = tuple[str, str]
FIELDS: Final = "Dir,ImportPath,GoFiles,CgoFiles,TestGoFiles,XTestGoFiles,Imports,TestImports,XTestImports"
_HEAD = re.compile(r"^======== Resolving module '(.+)' from '(.+)'\. ========$")
_FOOT = re.compile(r"^======== Module name '(.+)' was (?:not resolved|successfully resolved to '(.+?)')")


@dataclass(frozen=True)
class Compared:
    """Edges of one kind in one repository, by the tool and by codemill."""

    kind: str
    theirs: set[Edge]
    ours: set[Edge]


class Repository:
    """A clone: its files as `pack` reads them, and the edges that it finds."""

    def __init__(self, clone: Path, extensions: tuple[str, ...]):
        self.clone = clone.resolve()
        listed = run(["git", "ls-files", "-z"], self.clone).split("\0")
        self.texts: dict[str, str] = {}
        for path in filter(None, listed):
            place = self.clone / path
            if not path.endswith(extensions) and not is_config(path):
                continue
            if place.is_file() and not place.is_symlink() and place.stat().st_size < 4_000_000:
                text = place.read_bytes().decode("utf-8", "ignore")
                if "\0" not in text:
                    self.texts[path] = text
        sources = {path: text for path, text in self.texts.items() if not is_config(path)}
        configs = {path: text for path, text in self.texts.items() if is_config(path)}
        facts = [read_facts(path, text, top_lines=None) for path, text in sources.items()]
        self.index = RepositoryIndex(facts, clone.name.replace("+", "/"), configs)
        edges = dependency_edges(self.index)
        self.edges = {(importer, imported) for importer, targets in edges.items() for imported in targets}

    def relative(self, path: str) -> str | None:
        """The path in the repository, None outside of it or where it isn't part of it."""
        place = os.path.relpath(os.path.realpath(os.path.join(self.clone, path)), self.clone)
        return place if place in self.index.facts else None

    def relative_folder(self, folder: str) -> str:
        place = os.path.relpath(os.path.realpath(folder), self.clone)
        return "" if place == "." else place


def run(command: list[str], folder: Path, **environment: str) -> str:
    done = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, capture_output=True, check=False)
    return done.stdout.decode("utf-8", "replace")


def of_go(repository: Repository, arguments: argparse.Namespace) -> Iterator[Compared]:
    packages: list[dict[str, Any]] = []
    modules = repository.index.configs_named("go.mod")
    go_folders = sorted({posixpath.dirname(path) for path in repository.texts if path.endswith(".go")})
    for module, _ in modules:
        # By name: `./...` leaves out `testdata`, which tests import.
        folders = [folder for folder in go_folders if next(m for m, _ in modules if is_within(folder, m)) == module]
        named = [f"./{posixpath.relpath(folder or '.', module or '.')}" for folder in folders]
        command = ["go", "list", "-e", f"-json={FIELDS}", *named]
        listed = run(command, repository.clone / module, GOFLAGS="-mod=mod", GOWORK="off") if named else ""
        packages += [package for package in json_objects(listed) if package.get("Dir")]
    yield go_packages(repository, packages)
    read = json.dumps([package["Dir"] for package in packages])
    paths = json.dumps({package["ImportPath"]: package["Dir"] for package in packages})
    with tempfile.TemporaryDirectory() as folder:
        Path(folder, "asked.json").write_text(f'{{"read": {read}, "paths": {paths}}}')
        program = str(ROOT / "benchmarks" / "contenders" / "go_uses.go")
        told = json.loads(run(["go", "run", program, f"{folder}/asked.json"], Path(folder), GOWORK="off"))
    theirs = relative_edges(repository, told["edges"])
    built = {repository.relative(path) for path in told["files"]}
    ours = {edge for edge in repository.edges if edge[0] in built}
    other_builds = {edge for edge in ours if edge[1] not in built}
    named = {(a, posixpath.dirname(b)) for a, b in theirs}
    whole = {edge for edge in ours - other_builds if (edge[0], posixpath.dirname(edge[1])) not in named}
    yield Compared("file to declaring file", theirs, ours - other_builds - whole)
    yield Compared("file to package of which it names nothing", set(), whole)
    yield Compared("file to a file that this build leaves out", set(), other_builds)


def go_packages(repository: Repository, packages: list[dict[str, Any]]) -> Compared:
    folder_of = {package["ImportPath"]: repository.relative_folder(package["Dir"]) for package in packages}
    theirs, node_of = set(), {}
    for package in packages:
        folder = folder_of[package["ImportPath"]]
        for files, imports, suffix in (
            ("GoFiles", "Imports", ""),
            ("CgoFiles", "Imports", ""),
            ("TestGoFiles", "TestImports", " tests"),
            ("XTestGoFiles", "XTestImports", " tests"),
        ):
            node_of.update({posixpath.join(folder, name): folder + suffix for name in package.get(files, ())})
            theirs |= {(folder + suffix, folder_of[path]) for path in package.get(imports, ()) if path in folder_of}
    ours = {(node_of[a], posixpath.dirname(b)) for a, b in repository.edges if a in node_of}
    return Compared("package to package", theirs, ours)


def json_objects(text: str) -> Iterator[dict[str, Any]]:
    """The objects of a text in which one follows the other."""
    decoder, at = json.JSONDecoder(), 0
    while at < len(text):
        found, at = decoder.raw_decode(text, at)
        yield found
        at += len(text[at:]) - len(text[at:].lstrip())


def relative_edges(repository: Repository, edges: Collection[Sequence[str]]) -> set[Edge]:
    places = {path: repository.relative(path) for path in {path for edge in edges for path in edge}}
    found = {(places[a], places[b]) for a, b in edges}
    return {(a, b) for a, b in found if a is not None and b is not None and a != b}


def of_tsc(repository: Repository, arguments: argparse.Namespace) -> Iterator[Compared]:
    if arguments.link:
        link_workspace(repository)
    importers, found = set(), []
    for path in sorted(repository.index.configs):
        if posixpath.basename(path) == "tsconfig.json":
            command = ["tsc", "-p", path, "--noEmit", "--noCheck", "--traceResolution", "--listFiles"]
            told = run(command, repository.clone)
            found += traced(told)
            importers |= {repository.relative(line) for line in told.splitlines() if line.startswith("/")}
    theirs = relative_edges(repository, [(importer, imported) for importer, _, imported in found if imported])
    # A package's `exports` lead to what a build makes; codemill takes the source that it is made from.
    not_built = set()
    for place, name, imported in set(found):
        importer = repository.relative(place)
        if not imported and importer is not None and not name.startswith("."):
            not_built |= {(importer, path) for path in resolve(Import(name), importer, repository.index)}
    not_built -= theirs
    ours = {edge for edge in repository.edges if edge[0] in importers}
    yield Compared("file to file", theirs, ours - not_built)
    yield Compared("file to a package that isn't built", set(), ours & not_built)


def traced(told: str) -> list[tuple[str, str, str]]:
    """Importer, module as written and imported file, "" for none, of a trace of tsc's.

    >>> traced("======== Resolving module './b' from '/a.ts'. ========\\n"
    ...        "======== Module name './b' was successfully resolved to '/b.ts'. ========")
    [('/a.ts', './b', '/b.ts')]
    """
    found, importer = [], ""
    for line in told.splitlines():
        if head := _HEAD.match(line):
            importer = head.group(2)
        elif importer and (foot := _FOOT.match(line)):
            found.append((importer, foot.group(1), foot.group(2) or ""))
    return found


def link_workspace(repository: Repository) -> None:
    """Makes `node_modules/NAME` for each package of the workspace that others depend on, at the clone's root."""
    for folder, text in repository.index.configs_named("package.json"):
        name = json.loads(text).get("name")
        place = repository.clone / "node_modules" / name if name and folder else None
        if place is not None and not place.exists():
            place.parent.mkdir(parents=True, exist_ok=True)
            place.symlink_to(repository.clone / folder)


def of_rustc(repository: Repository, arguments: argparse.Namespace) -> Iterator[Compared]:
    packages: dict[str, dict[str, Any]] = {}
    for folder, _ in repository.index.configs_named("Cargo.toml"):
        told = run(["cargo", "metadata", "--no-deps", "--offline", "--format-version", "1"], repository.clone / folder)
        for package in json.loads(told or '{"packages": []}')["packages"]:
            packages[package["manifest_path"]] = package
    theirs, ours = set(), set()
    for package in packages.values():
        for target in package["targets"]:
            root = repository.relative(target["src_path"])
            if root is not None:
                theirs |= {(root, path) for path in crate_files(repository, package, target) if path != root}
                ours |= {(root, path) for path in reached_by_mod(repository.index, root)}
    yield Compared("root of a crate to its files", theirs, ours)
    folder_of = {posixpath.dirname(place): package for place, package in packages.items()}
    name_of = {place: package["name"] for place, package in folder_of.items()}
    # A workspace may replace versions by its own packages (`[patch]`): by name, then.
    declared = {
        (package["name"], dependency["name"])
        for package in packages.values()
        for dependency in package["dependencies"]
        if dependency["name"] in name_of.values()
    }

    def package_of(path: str) -> str:
        place = str(repository.clone / path)
        return name_of[max((folder for folder in folder_of if place.startswith(f"{folder}/")), key=len)]

    used = {(package_of(a), package_of(b)) for a, b in repository.edges if a.endswith(".rs")}
    yield Compared("package to package", {(a, b) for a, b in declared if a != b}, {(a, b) for a, b in used if a != b})


def crate_files(repository: Repository, package: dict[str, Any], target: dict[str, Any]) -> set[str]:
    with tempfile.TemporaryDirectory() as folder:
        command = ["rustc", "--edition", target["edition"], "--crate-name", target["name"].replace("-", "_")]
        command += ["--crate-type", "lib", "--cap-lints", "allow", "--test", f"--emit=dep-info={folder}/files.d"]
        for feature in package["features"]:
            command += ["--cfg", f'feature="{feature}"']
        run([*command, target["src_path"]], repository.clone)
        made = Path(folder, "files.d")
        lines = made.read_text().splitlines() if made.is_file() else []
    found = {repository.relative(line[:-1]) for line in lines if line.endswith(".rs:")}
    return {path for path in found if path is not None}


def reached_by_mod(index: RepositoryIndex, root: str) -> set[str]:
    seen, waiting = {root}, [root]
    while waiting:
        path = waiting.pop()
        for found in index.facts[path].imports:
            if found.form in ("mod", "path"):
                new = set(resolve(found, path, index)) - seen
                seen |= new
                waiting += sorted(new)
    return seen - {root}


def of_jdeps(repository: Repository, arguments: argparse.Namespace) -> Iterator[Compared]:
    """Files by the name of the outermost class: javac requires it of public ones."""
    told = run(["jdeps", "-verbose:class", "-filter:none", arguments.classes], repository.clone)
    place_of = {
        f"{facts.package}.{name}": path
        for path, facts in repository.index.facts.items()
        if facts.grammar == "java"
        for name in facts.declares
    }
    compiled, theirs = set(), set()
    for line in told.splitlines():
        importer, _, rest = line.strip().partition("-> ")
        a, b = (place_of.get(name.partition("$")[0]) for name in (importer.strip(), rest.split(" ")[0]))
        compiled.add(a)
        if a is not None and b is not None and a != b:
            theirs.add((a, b))
    ours = {edge for edge in repository.edges if edge[0] in compiled}
    named = {(a, b) for a, b in theirs if names_one_of(repository.texts[a], repository.index.facts[b].declares)}
    yield Compared("file to file whose type it names", named, ours)
    yield Compared("file to file whose type it doesn't name", theirs - named, ours & (theirs - named))


def names_one_of(text: str, names: tuple[str, ...]) -> bool:
    code = re.sub(r"//[^\n]*|/\*.*?\*/", " ", text, flags=re.DOTALL)
    return any(re.search(rf"\b{name}\b", code) for name in names)


TOOLS: Final[dict[str, Callable[[Repository, argparse.Namespace], Iterator[Compared]]]] = {
    "go": of_go,
    "tsc": of_tsc,
    "rustc": of_rustc,
    "jdeps": of_jdeps,
}
EXTENSIONS: Final = {
    "go": (".go",),
    "tsc": (".ts", ".tsx", ".mts", ".cts", ".js", ".jsx", ".mjs", ".cjs"),
    "rustc": (".rs",),
    "jdeps": (".java",),
}


def main() -> None:
    parser = argparse.ArgumentParser(allow_abbrev=False, description=__doc__.splitlines()[0])
    parser.add_argument("tool", choices=TOOLS)
    parser.add_argument("clones", nargs="+", type=Path)
    parser.add_argument("--classes", default=".", help="what javac made, for jdeps")
    parser.add_argument("--link", action="store_true", help="link the packages of a workspace, for tsc")
    parser.add_argument("--examples", type=int, default=20)
    arguments = parser.parse_args()
    for clone in arguments.clones:
        repository = Repository(clone, EXTENSIONS[arguments.tool])
        for found in TOOLS[arguments.tool](repository, arguments):
            sides = ("only the tool", found.theirs - found.ours), ("only codemill", found.ours - found.theirs)
            counts = ", ".join(f"{name} {len(edges)}" for name, edges in sides)
            print(f"{clone.name}: {found.kind}: both {len(found.theirs & found.ours)}, {counts}")
            for name, edges in sides:
                step = max(1, len(edges) // max(arguments.examples, 1))
                for importer, imported in sorted(edges)[::step][: arguments.examples]:
                    print(f"    {name}: {importer} -> {imported}")


if __name__ == "__main__":
    main()
