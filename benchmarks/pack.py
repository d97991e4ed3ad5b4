"""Figures of span choice, import resolution, order of files and packing; prints one table.

    python benchmarks/pack.py [--tokenizer PATH] [--packages 20] [--skip-job]

The corpus is what is at hand on any machine: the interpreter's standard library and the packages installed beside
this one. Rates are per core, of process time; a busy machine still slows them. What each figure means stands in its
line.
"""

from __future__ import annotations

import argparse
import ast
import importlib.util
import json
import os
import random
import resource
import subprocess
import sys
import sysconfig
import tempfile
import time
import warnings
from collections.abc import Callable, Iterable
from importlib.machinery import PathFinder
from pathlib import Path

ROOT = Path(__file__).parents[1]
sys.path.insert(0, str(ROOT))

from model.tokenizer import Tokenizer  # noqa: E402
from transforms.fim.grammars import SYNTAX_KINDS  # noqa: E402
from transforms.fim.spans import LINE_KINDS, Recipe, choose_spans  # noqa: E402
from transforms.packing.documents import DocumentRecipe, SourceFile  # noqa: E402
from transforms.packing.facts import read_facts  # noqa: E402
from transforms.packing.graph import dependency_edges  # noqa: E402
from transforms.packing.order import order_repository  # noqa: E402
from transforms.packing.resolution import CONFIG_NAMES, RepositoryIndex, resolve  # noqa: E402
from transforms.packing.rows import RowPacker  # noqa: E402
from transforms.rows import content_sha256  # noqa: E402

Files = dict[str, str]


def python_files(root: str, skip: Iterable[str] = ()) -> Files:
    found = {}
    for folder, folders, names in os.walk(root):
        folders[:] = sorted(name for name in folders if name not in {"__pycache__", *skip})
        for name in sorted(names):
            if name.endswith(".py"):
                path = os.path.join(folder, name)
                try:
                    with open(path, encoding="utf-8", newline="") as file:
                        found[os.path.relpath(path, root)] = file.read()
                except UnicodeDecodeError:
                    continue
    return found


def standard_library() -> Files:
    return python_files(sysconfig.get_paths()["stdlib"], ("site-packages", "dist-packages"))


def installed_packages(count: int) -> dict[str, Files]:
    """The installed packages with most files, less those of more than 200, whose order would outweigh all others."""
    root = Path(sysconfig.get_paths()["purelib"])
    names = sorted(path.name for path in root.iterdir() if (path / "__init__.py").exists())
    repositories = {}
    for name in names:
        files = {f"{name}/{path}": text for path, text in python_files(str(root / name)).items()}
        if 5 <= len(files) <= 200:
            repositories[name] = files
    largest = sorted(repositories, key=lambda name: (-len(repositories[name]), name))[:count]
    return {name: repositories[name] for name in sorted(largest)}


def rate(work: Callable[[], object], num_bytes: int) -> float:
    """Megabytes a second of process time, the best of three."""
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        work()
        best = min(best, time.process_time() - began)
    return num_bytes / best / 1e6


# --- spans -------------------------------------------------------------------------------------------


def bench_spans(files: Files) -> dict[str, float]:
    texts = [(text, content_sha256(text)) for text in files.values() if text][:600]
    num_bytes = sum(len(text.encode()) for text, _ in texts)

    def choose(recipe: Recipe) -> None:
        for text, sha in texts:
            spans = choose_spans(text, "python", job_seed=1, content_sha256=sha, count=1, recipe=recipe)
            for span in spans:  # the three parts, as every layout takes them
                _ = text[: span.start], text[span.start : span.end], text[span.end :]

    by_syntax = Recipe(mix=dict.fromkeys(SYNTAX_KINDS, 1.0))
    by_lines = Recipe(mix=dict.fromkeys((*LINE_KINDS, "random_chars"), 1.0))
    return {
        "span choice by syntax, MB/s a core": rate(lambda: choose(by_syntax), num_bytes),
        "span choice by lines and characters, MB/s a core": rate(lambda: choose(by_lines), num_bytes),
    }


# --- imports -----------------------------------------------------------------------------------------


def precision_and_recall(found: dict[str, set[str]], truth: dict[str, set[str]]) -> tuple[float, float]:
    right = sum(len(found.get(path, set()) & targets) for path, targets in truth.items())
    return (
        right / max(1, sum(len(found.get(path, ())) for path in truth)),
        right / max(1, sum(map(len, truth.values()))),
    )


def bench_small_repositories() -> dict[str, float]:
    place = ROOT / "tests" / "transforms" / "packing" / "repositories.py"
    spec = importlib.util.spec_from_file_location("repositories", place)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    found: dict[str, set[str]] = {}
    truth: dict[str, set[str]] = {}
    for name, files in module.REPOSITORIES.items():
        facts = [read_facts(path, text, top_lines=None) for path, text in files.items()]
        configs = {path: text for path, text in files.items() if path.rsplit("/", 1)[-1] in CONFIG_NAMES}
        edges = dependency_edges(RepositoryIndex(facts, "org/shop", configs))
        for path in files:
            found[f"{name}:{path}"] = set(edges.get(path, ()))
            truth[f"{name}:{path}"] = {imported for importer, imported in module.EDGES[name] if importer == path}
    precision, recall = precision_and_recall(found, truth)
    return {
        "small repositories": len(module.REPOSITORIES),
        "imports of small repositories, precision": precision,
        "imports of small repositories, recall": recall,
    }


def interpreter_path(name: str, root: str) -> str | None:
    """The file of the standard library that a module's name stands for, by the interpreter's own finder."""
    path: list[str] | None = [root]
    spec = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        if path is None:
            return None
        try:
            spec = PathFinder.find_spec(".".join(parts[:end]), path)
        except KeyError:  # a namespace package, which the finder looks up among imported modules
            return None
        if spec is None:
            return None
        path = list(spec.submodule_search_locations) if spec.submodule_search_locations is not None else None
    origin = spec.origin if spec is not None else None
    return os.path.relpath(origin, root) if origin and origin.endswith(".py") and origin.startswith(root) else None


def interpreter_imports(path: str, text: str, root: str) -> set[str] | None:
    """What a file imports, by `ast` and the interpreter's finder; None where it doesn't parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    name = path[:-3].replace("/", ".").removesuffix(".__init__")
    package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
    found: set[str | None] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:  # `import os.path` runs os, where os.path is no file of its own
                parts = alias.name.split(".")
                prefixes = (".".join(parts[:end]) for end in range(len(parts), 0, -1))
                found.add(next(filter(None, (interpreter_path(prefix, root) for prefix in prefixes)), None))
        elif isinstance(node, ast.ImportFrom) and node.module != "__future__":
            try:
                base = importlib.util.resolve_name("." * node.level + (node.module or ""), package)
            except ImportError:
                continue
            base = base if node.level else node.module or ""
            for alias in node.names:
                module = interpreter_path(f"{base}.{alias.name}", root) if alias.name != "*" else None
                found.add(module or interpreter_path(base, root))
    return {target for target in found if target is not None and target != path}


def bench_standard_library_imports(files: Files) -> dict[str, float]:
    root = sysconfig.get_paths()["stdlib"]
    facts = [read_facts(path, text, top_lines=None) for path, text in files.items()]
    index = RepositoryIndex(facts, "python/cpython")
    found = {
        fact.path: {target for item in fact.imports for target in resolve(item, fact.path, index)} for fact in facts
    }
    truth = {path: interpreter_imports(path, text, root) for path, text in files.items()}
    known = {path: targets for path, targets in truth.items() if targets is not None}
    precision, recall = precision_and_recall(found, known)
    return {
        "standard library, files compared with the interpreter": len(known),
        "imports of the standard library, precision": precision,
        "imports of the standard library, recall": recall,
    }


# --- order -------------------------------------------------------------------------------------------


def bench_order(repositories: dict[str, Files], tokenizer: Tokenizer, context_length: int) -> dict[str, float]:
    """Of all resolved imports, how many point at a file that stands earlier, in the repository and in the same row."""
    totals = {(kind, where): 0 for kind in ("dependency", "alphabetical", "random") for where in ("before", "in_row")}
    num_edges = 0
    for name, files in repositories.items():
        index = RepositoryIndex([read_facts(path, text) for path, text in files.items() if text], name)
        ordered = order_repository(index)
        edges = [(a, b) for a, targets in ordered.imports.items() for b in targets]
        num_edges += len(edges)
        shuffled = random.Random(0).sample(ordered.paths, len(ordered.paths))
        orders = {"dependency": ordered.paths, "alphabetical": sorted(ordered.paths), "random": shuffled}
        for kind, order in orders.items():
            place = {path: number for number, path in enumerate(order)}
            totals[kind, "before"] += sum(place[b] < place[a] for a, b in edges)
            packer = RowPacker(tokenizer, DocumentRecipe(fim_rate=0.0), context_length)
            sources = [SourceFile(name, path, "python", files[path], content_sha256(files[path])) for path in order]
            # Only the order that knows its imports may look ahead by them.
            rows = [*packer.pack(sources, ordered.imports if kind == "dependency" else {}), *packer.finish()]
            together: set[tuple[str, str]] = set()  # each edge once, however many rows a long file spans
            for row in rows:
                parts = {part["path"]: number for number, part in enumerate(row["parts"])}
                together.update((a, b) for a, b in edges if parts.get(b, len(parts)) < parts.get(a, -1))
            totals[kind, "in_row"] += len(together)
    figures: dict[str, float] = {"packages whose order is judged": len(repositories), "resolved imports": num_edges}
    for (kind, where), count in totals.items():
        what = "imported file stands earlier" if where == "before" else "imported file stands earlier in the same row"
        figures[f"{what}, {kind} order"] = count / max(1, num_edges)
    return figures


# --- the job -----------------------------------------------------------------------------------------


def bench_job(repositories: dict[str, Files], tokenizer: str, context_length: int) -> dict[str, float]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [
        {"content": text, "path": path, "repo_name": name, "language": "Python"}
        for name, files in repositories.items()
        for path, text in files.items()
        if text
    ]
    random.Random(0).shuffle(rows)
    with tempfile.TemporaryDirectory() as folder:
        pq.write_table(pa.Table.from_pylist(rows), f"{folder}/corpus.parquet", row_group_size=500)
        command = [sys.executable, "-m", "jobs", "pack", "--input", f"{folder}/corpus.parquet", "--output"]
        command += [f"{folder}/out", "--tokenizer", tokenizer, "--context_length", str(context_length)]
        began = time.monotonic()
        subprocess.run([*command, "--progress", "none"], cwd=ROOT, check=True, stdout=sys.stderr)
        took_s = time.monotonic() - began
        summary = json.loads(Path(folder, "out", "summary.json").read_text())
    packed, tokens = summary["counts"]["rows_packed"], summary["counts"]["tokens_out"]
    return {
        "files packed": summary["rows"]["kept"],
        "megabytes packed": sum(len(row["content"]) for row in rows) / 1e6,
        "seconds": took_s,
        "largest process, GB": resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6,
        "rows": packed,
        "tokens": tokens,
        "tokens per row, share of the context length": tokens / packed / context_length,
        "documents with FIM, share": summary["counts"]["documents_fim"] / summary["counts"]["documents"],
        "FIM documents in SPM, share": summary["counts"]["documents_spm"] / summary["counts"]["documents_fim"],
    }


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", default="embedded")
    parser.add_argument("--packages", type=int, default=24)
    parser.add_argument("--context_length", type=int, default=8192)
    parser.add_argument("--skip-job", action="store_true")
    options = parser.parse_args()
    library, packages = standard_library(), installed_packages(options.packages)
    figures: dict[str, float] = {}
    for bench in (
        lambda: bench_spans(library),
        bench_small_repositories,
        lambda: bench_standard_library_imports(library),
        lambda: bench_order(packages, Tokenizer.load(options.tokenizer), options.context_length),
        lambda: (
            {}
            if options.skip_job
            else bench_job({"python/cpython": library, **packages}, options.tokenizer, options.context_length)
        ),
    ):
        for name, value in bench().items():
            figures[name] = value
            print(f"| {name} | {value:,.4g} |" if isinstance(value, float) else f"| {name} | {value:,} |", flush=True)


if __name__ == "__main__":
    main()
