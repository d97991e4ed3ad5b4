"""What stands beside what in packed rows of real repositories: tests and what they test, files and what they import.

    python benchmarks/neighbors.py REPOSITORY... [--tokenizer MODEL] [--lengths 2048 8192 32768] [--shares 0 0.25]

REPOSITORY is a folder of git (a clone's or a bare one): its HEAD is read. A named pair is a test whose name, without
its affixes, is that of exactly one other file of its language; the rule is this script's own. An import is met where
what a part of the importer uses of the imported file stands before it in its segment of a row, as text:

    by files         all of the imported file
    in full          or all definitions that the part names; of a class whose members it names, those
    signatures       or the first lines of these definitions

An import of a file of whose definitions no part of the importer names any can only be met by files. Prints two tables.
"""

from __future__ import annotations

import argparse
import itertools
import posixpath
import re
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from model.tokenizer import Tokenizer  # noqa: E402
from transforms.languages import syntax  # noqa: E402
from transforms.languages.grammars import grammar_name  # noqa: E402
from transforms.packing.documents import DocumentRecipe, SourceFile  # noqa: E402
from transforms.packing.facts import read_facts  # noqa: E402
from transforms.packing.graph import dependency_edges  # noqa: E402
from transforms.packing.order import order_repository  # noqa: E402
from transforms.packing.resolution import RepositoryIndex, is_config  # noqa: E402
from transforms.packing.rows import RowPacker  # noqa: E402
from transforms.rows.row import content_sha256  # noqa: E402
from transforms.symbols.find import find_symbols  # noqa: E402
from transforms.symbols.grammars import SYMBOL_GRAMMARS  # noqa: E402

WITHIN: Final = 2
UNIT_CHARS: Final = 4_000_000
FAMILY: Final = {
    ".java": "jvm", ".kt": "jvm", ".go": "go", ".py": "python", ".rs": "rust", ".ts": "js", ".tsx": "js", ".js": "js",
    ".jsx": "js", ".mts": "js", ".cc": "c", ".cpp": "c", ".cxx": "c", ".c": "c", ".h": "c", ".hpp": "c", ".cs": "cs",
}  # fmt: skip
_WORD: Final = re.compile(r"[^\W\d]\w+")
_HEADERS = (".h", ".hpp")
_TESTS = [
    re.compile(pattern)
    for pattern in (
        r"(.+)_(?:unit)?tests?$", r"test_(.+)$", r"(.+)\.(?:test|spec)$", r"(.+[a-z0-9])Tests?$", r"Test([A-Z].*)$"
    )
]  # fmt: skip


def repository_files(git_folder: str) -> dict[str, str]:
    """Path and text of the source and configuration files at HEAD that are UTF-8."""
    git = ["git", "-C", git_folder]
    listed = subprocess.run([*git, "ls-tree", "-r", "-z", "--name-only", "HEAD"], check=True, stdout=subprocess.PIPE)
    paths = [path for path in listed.stdout.decode("utf-8", "replace").split("\0") if path]
    paths = [path for path in paths if posixpath.splitext(path)[1] in FAMILY or is_config(path)]
    asked = "".join(f"HEAD:{path}\n" for path in paths).encode()
    answered = subprocess.run([*git, "cat-file", "--batch"], check=True, input=asked, stdout=subprocess.PIPE).stdout
    files, at = {}, 0
    for path in paths:
        head_end = answered.index(b"\n", at)
        head = answered[at:head_end].split()
        at = head_end + 1
        if head[-1] == b"missing":
            continue
        size = int(head[2])
        try:
            files[path] = answered[at : at + size].decode()
        except UnicodeDecodeError:
            pass
        at += size + 1
    return files


def named_pairs(paths: list[str]) -> dict[str, str]:
    """Each test with the one file that it is named after; of a C++ header and its source, the source."""
    by_name: dict[tuple[str, str], list[str]] = defaultdict(list)
    tests = {}
    for path in paths:
        stem, extension = posixpath.splitext(posixpath.basename(path))
        found = next(filter(None, (pattern.match(stem) for pattern in _TESTS)), None)
        key = FAMILY[extension], re.sub(r"[-_]", "", found.group(1) if found else stem).lower()
        if found:
            tests[path] = key
        else:
            by_name[key].append(path)
    pairs = {}
    for test, key in tests.items():
        candidates = by_name.get(key, [])
        candidates = [path for path in candidates if not path.endswith(_HEADERS)] or candidates
        if len(candidates) == 1:
            pairs[test] = candidates[0]
    return pairs


class Repository:
    """The files of a repository, their order, and which imports which."""

    def __init__(self, git_folder: str):
        files = repository_files(git_folder)
        self.name = git_folder
        self.sources = {path: text for path, text in files.items() if posixpath.splitext(path)[1] in FAMILY}
        configs = {path: text for path, text in files.items() if is_config(path)}
        began = time.process_time()
        index = RepositoryIndex([read_facts(path, text) for path, text in self.sources.items()], "owner/name", configs)
        self.ordered = order_repository(index)
        self.seconds = time.process_time() - began
        self.packing_seconds = 0.0
        self.place = {path: number for number, path in enumerate(self.ordered.paths)}
        self.edges = dependency_edges(index)
        self.megabytes = sum(len(text.encode()) for text in self.sources.values()) / 1e6

    def order_line(self) -> str:
        """Of the first table."""
        place, pairs = self.place, named_pairs(sorted(self.sources))
        near = sum(0 < place[test] - place[tested] <= WITHIN for test, tested in pairs.items())
        edges = [(importer, target) for importer, targets in self.edges.items() for target in targets]
        kept = sum(place[target] < place[importer] for importer, target in edges)
        return (
            f"| {self.name} | {len(self.sources)} | {len(pairs)} | {near / max(1, len(pairs)):.0%} | {len(edges)} "
            f"| {kept / max(1, len(edges)):.3f} | {self.seconds / max(self.megabytes, 1e-9):.2f} |"
        )

    def units(self) -> Iterator[list[SourceFile]]:
        """The files in order, in runs of 4 MB as the job has them."""
        unit: list[SourceFile] = []
        size = 0
        for path in self.ordered.paths:
            text = self.sources[path]
            unit.append(SourceFile("owner/name", path, "", text, content_sha256(text)))
            size += len(text)
            if size > UNIT_CHARS:
                yield unit
                unit, size = [], 0
        yield unit

    def pack(self, tokenizer: Tokenizer, length: int, share: float) -> Counter[str]:
        """Counts of the rows of one packing."""
        imports = {
            path: frozenset(target for target in targets if self.place[target] < self.place[path])
            for path, targets in self.ordered.imports.items()
        }
        began = time.process_time()
        packer = RowPacker(tokenizer, DocumentRecipe(), length, context_share=share)
        rows = [row for unit in self.units() for row in packer.pack(unit, imports)] + list(packer.finish())
        counts: Counter[str] = Counter(rows=len(rows))
        self.packing_seconds = time.process_time() - began
        met = Met(self)
        sequence: dict[str, int] = {}
        for row in rows:
            counts.update(tokens=row["num_tokens"], trained=sum(row["loss_mask"]))
            for part in row["parts"]:
                if part["role"] == "file":
                    sequence.setdefault(part["path"], len(sequence))
            for segment in segments_of(row):
                met.add(row, segment)
        pairs = named_pairs(sorted(self.sources))
        counts["pairs"] = len(pairs)
        counts["near"] = sum(0 < sequence[test] - sequence[tested] <= WITHIN for test, tested in pairs.items())
        counts["edges"] = sum(map(len, self.edges.values()))
        counts["later"] = sum(
            sequence[target] > sequence[importer] for importer, targets in imports.items() for target in targets
        )
        return counts + met.counts()


def segments_of(row: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The parts of each segment of a row."""
    for _, parts in itertools.groupby(row["parts"], key=lambda part: row["segment_ids"][part["token_start"]]):
        yield list(parts)


class Definition(NamedTuple):
    """A definition of a file: its name, that of its class or "", its lines, and the first of them."""

    name: str
    owner: str
    text: str
    head: str


def definitions_of(path: str, text: str) -> list[Definition]:
    """The definitions of a file that are at most in one class; without a class's lines, where it has members."""
    grammar = grammar_name("", path) or ""
    data = text.encode()
    source = syntax.parse(data, grammar) if grammar in SYMBOL_GRAMMARS and len(data) <= 400_000 else None
    found = []
    for symbol in find_symbols(source, facts=False) if source is not None else ():
        owner, _, name = symbol.qualified_name.rpartition(".")
        if symbol.kind != "module" and "." not in owner:
            lines = data[symbol.start : symbol.end].decode("utf-8", "replace").strip()
            head = data[symbol.start : symbol.body_start].decode("utf-8", "replace").strip().removesuffix("{").strip()
            found.append(Definition(name, owner, lines, head))
    return found


class Met:
    """The imports that are met in the rows of a repository, by what."""

    def __init__(self, repository: Repository):
        self._repository = repository
        self._definitions: dict[str, list[Definition]] = {}
        self.files: set[tuple[str, str]] = set()
        self.full: set[tuple[str, str]] = set()
        self.signatures: set[tuple[str, str]] = set()
        self.named: set[tuple[str, str]] = set()  # the imported file, or anything of it, stands there

    def add(self, row: dict[str, Any], parts: list[dict[str, Any]]) -> None:
        """One segment of a row."""
        whole: set[str] = set()
        texts: dict[str, str] = defaultdict(str)
        for part in parts:
            path, source = part["path"], self._repository.sources[part["path"]]
            if part["role"] != "file":
                texts[path] += row["text"][part["text_start"] : part["text_end"]]
                whole |= {path} if part["role"] == "copy" else set()
                continue
            words = set(_WORD.findall(source, part["start"], part["end"]))
            for target in self._repository.edges.get(path, ()):
                self._meet((path, target), whole, texts.get(target, ""), words)
            texts[path] += source[part["start"] : part["end"]]
            if texts[path].endswith(source):
                whole.add(path)

    def _meet(self, edge: tuple[str, str], whole: set[str], text: str, words: set[str]) -> None:
        if edge[1] in whole or text:
            self.named.add(edge)
        if edge[1] in whole:
            self.files.add(edge)
        if not text or edge in self.full:
            return
        used = [one for one in self.definitions(edge[1]) if one.name in words and (not one.owner or one.owner in words)]
        owners = {one.owner for one in used}
        if used and all(one.head in text for one in used):
            self.signatures.add(edge)
            if all(one.text in text for one in used if one.name not in owners or one.owner):
                self.full.add(edge)

    def definitions(self, path: str) -> list[Definition]:
        """Those of a file, read once."""
        if path not in self._definitions:
            self._definitions[path] = definitions_of(path, self._repository.sources[path])
        return self._definitions[path]

    def counts(self) -> Counter[str]:
        """How many imports are met, by what; each includes those before it."""
        full = self.files | self.full
        return Counter(files=len(self.files), full=len(full), signatures=len(full | self.signatures),
                       named=len(self.named))  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("repositories", nargs="+")
    parser.add_argument("--tokenizer", default="embedded")
    parser.add_argument("--lengths", type=int, nargs="+", default=[2048, 8192, 32768])
    parser.add_argument("--shares", type=float, nargs="+", default=[0.0, 0.25])
    options = parser.parse_args()
    print(f"| repository | files | named pairs | test right behind, within {WITHIN} files | imports resolved ", end="")
    print("| imported file stands earlier | s a MB |\n|---|---|---|---|---|---|---|")
    repositories = []
    for git_folder in options.repositories:
        repositories.append(Repository(git_folder))
        print(repositories[-1].order_line(), flush=True)
    tokenizer = Tokenizer.load(options.tokenizer)
    print(
        "\n| row | context at most | imports met by files | or definitions in full | or signatures "
        "| anything of the file | tests within two files | rows full | tokens with loss | s a MB |"
    )
    print("|" + "---|" * 10)
    for length, share in itertools.product(options.lengths, options.shares):
        counts: Counter[str] = Counter()
        seconds = 0.0
        for repository in repositories:
            counts += repository.pack(tokenizer, length, share)
            seconds += repository.packing_seconds
        edges = max(1, counts["edges"])
        print(
            f"| {length:,} | {share:.0%} | {counts['files'] / edges:.1%} | {counts['full'] / edges:.1%} "
            f"| {counts['signatures'] / edges:.1%} | {counts['named'] / edges:.1%} "
            f"| {counts['near'] / max(1, counts['pairs']):.0%} "
            f"| {counts['tokens'] / max(1, counts['rows']) / length:.1%} "
            f"| {counts['trained'] / max(1, counts['tokens']):.1%} "
            f"| {seconds / sum(repository.megabytes for repository in repositories):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
