"""What stands beside what in packed rows of real repositories: tests and what they test, files and what they import.

    python benchmarks/neighbors.py REPOSITORY... [--tokenizer MODEL] [--lengths 2048 8192 32768] [--shares 0 0.25]

REPOSITORY is a folder of git (a clone's or a bare one): its HEAD is read. A named pair is a test whose name, without
its affixes, is that of exactly one other file of its language; the rule is this script's own. An import is met if the
imported file, or its signatures, stands before a part of the importer in its segment of a row. Prints two tables.
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
from typing import Any, Final

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from model.tokenizer import Tokenizer  # noqa: E402
from transforms.packing.documents import DocumentRecipe, SourceFile  # noqa: E402
from transforms.packing.facts import read_facts  # noqa: E402
from transforms.packing.graph import dependency_edges  # noqa: E402
from transforms.packing.order import order_repository  # noqa: E402
from transforms.packing.resolution import RepositoryIndex, is_config  # noqa: E402
from transforms.packing.rows import RowPacker  # noqa: E402
from transforms.rows.row import content_sha256  # noqa: E402

WITHIN: Final = 2
UNIT_CHARS: Final = 4_000_000
FAMILY: Final = {
    ".java": "jvm", ".kt": "jvm", ".go": "go", ".py": "python", ".rs": "rust", ".ts": "js", ".tsx": "js", ".js": "js",
    ".jsx": "js", ".mts": "js", ".cc": "c", ".cpp": "c", ".cxx": "c", ".c": "c", ".h": "c", ".hpp": "c", ".cs": "cs",
}  # fmt: skip
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
        met: dict[str, set[tuple[str, str]]] = {"files": set(), "signatures": set()}
        for row in rows:
            counts.update(tokens=row["num_tokens"], trained=sum(row["loss_mask"]))
            for segment in segments_of(row):
                for kind, importer, imported in met_in(segment, self.edges):
                    met[kind].add((importer, imported))
        counts["edges"] = sum(map(len, self.edges.values()))
        counts["met_by_files"], counts["met"] = len(met["files"]), len(met["files"] | met["signatures"])
        return counts


def segments_of(row: dict[str, Any]) -> Iterator[list[dict[str, Any]]]:
    """The parts of each segment of a row."""
    for _, parts in itertools.groupby(row["parts"], key=lambda part: row["segment_ids"][part["token_start"]]):
        yield list(parts)


def met_in(parts: list[dict[str, Any]], edges: dict[str, dict[str, float]]) -> Iterator[tuple[str, str, str]]:
    """The imports that are met in one segment: by what, importer, imported file."""
    seen: dict[str, str] = {}
    for part in parts:
        is_trained = part["role"] == "file"
        for target in edges.get(part["path"], ()) if is_trained else ():
            if target in seen:
                yield seen[target], part["path"], target
        if part["role"] == "signatures":
            seen.setdefault(part["path"], "signatures")
        else:
            seen[part["path"]] = "files"


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
        "\n| row | context at most | imports met by files | by files or signatures | rows full | tokens with loss ",
        end="",
    )
    print("| s a MB |\n|---|---|---|---|---|---|---|")
    for length, share in itertools.product(options.lengths, options.shares):
        counts: Counter[str] = Counter()
        seconds = 0.0
        for repository in repositories:
            counts += repository.pack(tokenizer, length, share)
            seconds += repository.packing_seconds
        edges = max(1, counts["edges"])
        print(
            f"| {length:,} | {share:.0%} | {counts['met_by_files'] / edges:.1%} | {counts['met'] / edges:.1%} "
            f"| {counts['tokens'] / max(1, counts['rows']) / length:.1%} "
            f"| {counts['trained'] / max(1, counts['tokens']):.1%} "
            f"| {seconds / sum(repository.megabytes for repository in repositories):.2f} |",
            flush=True,
        )


if __name__ == "__main__":
    main()
