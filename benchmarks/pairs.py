"""How near tests stand to what they test, and imported files before their importers, in real repositories.

    python benchmarks/pairs.py REPOSITORY...

REPOSITORY is a folder of git (a clone's or a bare one): its HEAD is read. A named pair is a test whose name, without
its affixes, is that of exactly one other file of its language; the rule is this script's own. One line a repository.
"""

from __future__ import annotations

import posixpath
import re
import subprocess
import sys
import time
from collections import defaultdict
from pathlib import Path
from typing import Final

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from transforms.packing.facts import read_facts  # noqa: E402
from transforms.packing.graph import dependency_edges  # noqa: E402
from transforms.packing.order import order_repository  # noqa: E402
from transforms.packing.resolution import RepositoryIndex, is_config  # noqa: E402

WITHIN: Final = 2
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


def measure(git_folder: str) -> str:
    files = repository_files(git_folder)
    sources = {path: text for path, text in files.items() if posixpath.splitext(path)[1] in FAMILY}
    configs = {path: text for path, text in files.items() if is_config(path)}
    began = time.process_time()
    index = RepositoryIndex([read_facts(path, text) for path, text in sources.items()], "owner/name", configs)
    place = {path: number for number, path in enumerate(order_repository(index).paths)}
    seconds = time.process_time() - began
    pairs = named_pairs(sorted(sources))
    near = sum(0 < place[test] - place[tested] <= WITHIN for test, tested in pairs.items())
    edges = [(importer, target) for importer, targets in dependency_edges(index).items() for target in targets]
    kept = sum(place[target] < place[importer] for importer, target in edges)
    megabytes = sum(map(len, sources.values())) / 1e6
    return (
        f"| {git_folder} | {len(sources)} | {len(pairs)} | {near / max(1, len(pairs)):.0%} | {len(edges)} "
        f"| {kept / max(1, len(edges)):.3f} | {seconds / max(megabytes, 1e-9):.2f} |"
    )


if __name__ == "__main__":
    print(f"| repository | files | named pairs | test right behind, within {WITHIN} files | imports resolved ", end="")
    print("| imported file stands earlier | s a MB |\n|---|---|---|---|---|---|---|")
    for git_folder in sys.argv[1:]:
        print(measure(git_folder), flush=True)
