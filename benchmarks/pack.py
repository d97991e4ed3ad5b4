"""Statistics of span choice, import resolution, file order and packing; prints one table.

    python benchmarks/pack.py [--tokenizer PATH] [--packages 20] [--only spans imports order naive job scale]

The corpus is available on any machine: the interpreter's standard library and the packages installed next to this
one. Rates are per core, of process time; a busy machine still slows them. Each line of the table explains its number.
"""

from __future__ import annotations

import argparse
import ast
import functools
import importlib.util
import itertools
import json
import os
import random
import statistics
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

from benchmarks.processes import watch  # noqa: E402
from model.tokenizer import Tokenizer  # noqa: E402
from transforms.fim.kinds import LINE_KINDS  # noqa: E402
from transforms.fim.spans import Recipe, choose_spans  # noqa: E402
from transforms.languages.grammars import SYNTAX_KINDS  # noqa: E402
from transforms.packing.documents import DocumentRecipe, SourceFile  # noqa: E402
from transforms.packing.facts import read_facts  # noqa: E402
from transforms.packing.graph import dependency_edges  # noqa: E402
from transforms.packing.order import order_repository  # noqa: E402
from transforms.packing.resolution import RepositoryIndex, is_config, resolve  # noqa: E402
from transforms.packing.rows import RowPacker  # noqa: E402
from transforms.rows.row import content_sha256  # noqa: E402

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
    """The installed packages with the most files, except those of more than 200, whose order would outweigh all
    others.
    """
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
    """Megabytes per second of process time, the best of three."""
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

    def choose(recipe: Recipe, count: int = 1) -> None:
        for text, sha in texts:
            spans = choose_spans(text, "python", job_seed=1, content_sha256=sha, count=count, recipe=recipe)
            for span in spans:  # the three parts, as every layout uses them
                _ = text[: span.start], text[span.start : span.end], text[span.end :]

    by_syntax = Recipe(mix=dict.fromkeys(SYNTAX_KINDS, 1.0))
    by_lines = Recipe(mix=dict.fromkeys((*LINE_KINDS, "random_chars"), 1.0))
    return {
        "span choice by syntax, MB/s a core": rate(lambda: choose(by_syntax), num_bytes),
        "span choice by lines and characters, MB/s a core": rate(lambda: choose(by_lines), num_bytes),
        "span choice by the default mix, MB/s a core": rate(lambda: choose(Recipe()), num_bytes),
        "span choice by the default mix, four a file, MB/s a core": rate(lambda: choose(Recipe(), 4), num_bytes),
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
        configs = {path: text for path, text in files.items() if is_config(path)}
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
    """The file of the standard library for a module's name, according to the interpreter's own finder."""
    path: list[str] | None = [root]
    spec = None
    parts = name.split(".")
    for end in range(1, len(parts) + 1):
        if path is None:
            return None
        try:
            spec = PathFinder.find_spec(".".join(parts[:end]), path)
        except KeyError:  # a namespace package, which the finder looks up among the imported modules
            return None
        if spec is None:
            return None
        path = list(spec.submodule_search_locations) if spec.submodule_search_locations is not None else None
    origin = spec.origin if spec is not None else None
    return os.path.relpath(origin, root) if origin and origin.endswith(".py") and origin.startswith(root) else None


def interpreter_imports(path: str, text: str, root: str) -> set[str] | None:
    """The imports of a file, by `ast` and the interpreter's finder; None if it doesn't parse."""
    try:
        tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError):
        return None
    name = path[:-3].replace("/", ".").removesuffix(".__init__")
    package = name if path.endswith("__init__.py") else name.rpartition(".")[0]
    found: set[str | None] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:  # `import os.path` runs os if os.path is not a separate file
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

ORDERS = ("dependency", "alphabetical", "random")
Edge = tuple[str, str]  # a file, and one that it imports


def edges_of(name: str, files: Files) -> tuple[list[str], dict[str, frozenset[str]]]:
    """A repository's files in dependency order, and its resolved imports."""
    facts = [read_facts(path, text) for path, text in files.items() if text]
    configs = {path: text for path, text in files.items() if is_config(path)}
    ordered = order_repository(RepositoryIndex(facts, name, configs))
    return ordered.paths, ordered.imports


def earlier(pack: list[str], edges: Iterable[Edge]) -> set[Edge]:
    """The imports whose target is before them in a pack."""
    place = {path: number for number, path in reversed(list(enumerate(pack)))}
    return {(a, b) for a, b in edges if a in place and b in place and place[b] < place[a]}


def bench_order(repositories: dict[str, Files], tokenizer: Tokenizer, context_length: int) -> dict[str, float]:
    """Of the resolved imports, the number that point at an earlier file in the same pack (the same row).

    Once with each order packed independently: rows of the same length over the same files, and only the first order may
    look ahead by imports. And once with the packs of the first order as given and only the files in each reordered, so
    that nothing but the order differs.
    """
    own = dict.fromkeys(ORDERS, 0)
    same = dict.fromkeys(ORDERS, 0)
    whole = dict.fromkeys(ORDERS, 0)
    num_edges = num_pairs = 0
    for name, files in repositories.items():
        paths, imports = edges_of(name, files)
        edges = [(a, b) for a, targets in imports.items() for b in targets]
        num_edges += len(edges)
        draw = random.Random(name)
        for kind in ORDERS:
            order = {"dependency": paths, "alphabetical": sorted(paths), "random": draw.sample(paths, len(paths))}[kind]
            whole[kind] += len(earlier(order, edges))
            packer = RowPacker(tokenizer, DocumentRecipe(fim_rate=0.0), context_length)
            sources = (SourceFile(name, path, "python", files[path], content_sha256(files[path])) for path in order)
            rows = [*packer.pack(sources, imports if kind == "dependency" else {}), *packer.finish()]
            packs = [list(dict.fromkeys(part["path"] for part in row["parts"])) for row in rows]
            own[kind] += len(set().union(*(earlier(pack, edges) for pack in packs)))
            if kind != "dependency":
                continue
            pairs = [[(a, b) for a, b in edges if a in pack and b in pack] for pack in map(set, packs)]
            num_pairs += sum(map(len, pairs))
            for pack, inside in zip(packs, pairs, strict=True):
                same["dependency"] += len(earlier(pack, inside))
                same["alphabetical"] += len(earlier(sorted(pack), inside))
                same["random"] += len(earlier(draw.sample(pack, len(pack)), inside))
    figures: dict[str, float] = {"repositories whose order is judged": len(repositories), "resolved imports": num_edges}
    for kind in ORDERS:
        figures[f"imported file stands earlier in the repository, {kind} order"] = whole[kind] / num_edges
    for kind in ORDERS:
        figures[f"imported file stands earlier in the same pack, packed in {kind} order"] = own[kind] / num_edges
    figures["imports within one pack"] = num_pairs
    for kind in ORDERS:
        figures[f"of these, imported file stands earlier, the same packs in {kind} order"] = same[kind] / num_pairs
    return figures


# --- beside a naive packer ---------------------------------------------------------------------------


def naive_rows(tokenizer: Tokenizer, files: Files, context_length: int) -> int:
    """Packs as the simplest trainer does: each file encoded, appended, cut at the context length; returns the rows."""
    waiting: list[int] = []
    rows = 0
    for text in files.values():
        waiting += [tokenizer.bos, *tokenizer.encode(text), tokenizer.eos]
        while len(waiting) >= context_length:
            waiting = waiting[context_length:]
            rows += 1
    return rows + bool(waiting)


def our_rows(tokenizer: Tokenizer, name: str, files: Files, context_length: int) -> int:
    """Packs with imports, order and FIM, without a filter; returns the rows."""
    paths, imports = edges_of(name, files)
    packer = RowPacker(tokenizer, DocumentRecipe(), context_length)
    sources = (SourceFile(name, path, "python", files[path], content_sha256(files[path])) for path in paths)
    return sum(1 for _ in packer.pack(sources, imports)) + sum(1 for _ in packer.finish())


def bench_naive(repositories: dict[str, Files], tokenizer: Tokenizer, context_length: int) -> dict[str, float]:
    """Processor time beside a naive packer's, in turns, the median of three."""
    seconds: dict[str, list[float]] = {"naive": [], "ours": []}
    files = {name: {path: text for path, text in found.items() if text} for name, found in repositories.items()}
    for _ in range(3):
        began = time.process_time()
        for found in files.values():
            naive_rows(tokenizer, found, context_length)
        between = time.process_time()
        for name, found in files.items():
            our_rows(tokenizer, name, found, context_length)
        seconds["naive"].append(between - began)
        seconds["ours"].append(time.process_time() - between)
    megabytes = sum(len(text) for found in files.values() for text in found.values()) / 1e6
    naive, ours = statistics.median(seconds["naive"]), statistics.median(seconds["ours"])
    return {
        "megabytes": megabytes,
        "naive packer, processor seconds a megabyte": naive / megabytes,
        "imports, order, FIM and rows, processor seconds a megabyte": ours / megabytes,
        "ratio": ours / naive,
    }


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
        usage = watch([*command, "--progress", "none"], cwd=ROOT)
        summary = json.loads(Path(folder, "out", "summary.json").read_text())
        imports = {name: edges_of(name, files)[1] for name, files in repositories.items()}
        ahead = bench_packed(Path(folder, "out", "data"), imports)
    packed, tokens = summary["counts"]["rows_packed"], summary["counts"]["tokens_out"]
    return {
        "repositories packed": len(repositories),
        "files packed": summary["rows"]["kept"],
        "files rejected": summary["rows"]["rejected"],
        "files redacted": summary["counts"].get("rows_redacted", 0),
        "megabytes packed": sum(len(row["content"]) for row in rows) / 1e6,
        "seconds": usage.seconds,
        "peak memory of all processes, MB": usage.peak_rss_mb,
        "of it private, MB": usage.peak_private_mb,
        "rows": packed,
        "tokens": tokens,
        "tokens per row, share of the context length": tokens / packed / context_length,
        "documents with FIM, share": summary["counts"]["documents_fim"] / summary["counts"]["documents"],
        "FIM documents in SPM, share": summary["counts"]["documents_spm"] / summary["counts"]["documents_fim"],
        **ahead,
    }


def bench_packed(folder: Path, imports: dict[str, dict[str, frozenset[str]]]) -> dict[str, float]:
    """The order statistics of the rows that a job wrote: imports whose target is earlier in the same row."""
    import pyarrow.parquet as pq

    counts = {"pairs": 0, "earlier": 0, "alphabetical": 0}
    reached: set[tuple[str, Edge]] = set()
    for path in sorted(folder.glob("*.parquet")):
        with pq.ParquetFile(path) as parquet:
            for batch in parquet.iter_batches(64, columns=["parts"]):
                for parts in batch.column("parts").to_pylist():
                    packs: dict[str, dict[str, None]] = {}
                    for part in parts:
                        packs.setdefault(part["repo_name"], {})[part["path"]] = None
                    for name, pack in packs.items():
                        inside = [(a, b) for a in pack for b in imports[name].get(a, ()) if b in pack]
                        found = earlier(list(pack), inside)
                        counts["pairs"] += len(inside)
                        counts["earlier"] += len(found)
                        counts["alphabetical"] += len(earlier(sorted(pack), inside))
                        reached.update((name, edge) for edge in found)
    num_edges = sum(len(targets) for graph in imports.values() for targets in graph.values())
    return {
        "imports resolved in the job's repositories": num_edges,
        "of these, imported file stands earlier in the same row": len(reached) / num_edges,
        "imports within one row": counts["pairs"],
        "of these, imported file stands earlier": counts["earlier"] / counts["pairs"],
        "of these, imported file would stand earlier in alphabetical order": counts["alphabetical"] / counts["pairs"],
    }


# --- one large repository ----------------------------------------------------------------------------

SCALES = (25_000, 50_000, 100_000)


def write_monorepo(path: str, files: int) -> int:
    """Writes one repository of many small Python files that import each other; returns their characters."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    draw = random.Random(files)
    schema = pa.schema([(name, pa.large_string()) for name in ("content", "path", "repo_name", "language")])
    chars = 0
    with pq.ParquetWriter(path, schema, compression="zstd") as writer:
        for first in range(0, files, 1000):
            rows = []
            for number in range(first, min(first + 1000, files)):
                # Mostly to nearby files, seldom across the tree; never in a cycle, as in a tree that builds.
                near = {max(0, number - draw.randint(1, 200)) for _ in range(2)} | {draw.randrange(number + 1)}
                imports = "".join(f"from {_module(one)} import make_{one}\n" for one in sorted(near - {number}))
                body = "".join(f"    value = value * {draw.randrange(99)} + len(name)\n" for _ in range(4))
                text = f'"""Part {number}."""\n\n{imports}\n\ndef make_{number}(name, value):\n{body}    return value\n'
                chars += len(text)
                rows.append({"content": text, "path": _module(number).replace(".", "/") + ".py"})
            columns = {name: [row[name] for row in rows] for name in ("content", "path")}
            columns |= {"repo_name": ["org/monorepo"] * len(rows), "language": ["Python"] * len(rows)}
            writer.write_table(pa.table(columns, schema))
    return chars


def _module(number: int) -> str:
    return f"tree.part_{number // 5000}.group_{number // 100 % 50}.module_{number}"


def bench_scale(tokenizer: str, files: int) -> dict[str, float]:
    with tempfile.TemporaryDirectory() as folder:
        chars = write_monorepo(f"{folder}/corpus.parquet", files)
        command = [sys.executable, "-m", "jobs", "pack", "--input", f"{folder}/corpus.parquet", "--output"]
        usage = watch([*command, f"{folder}/out", "--tokenizer", tokenizer, "--progress", "none"], cwd=ROOT)
        summary = json.loads(Path(folder, "out", "summary.json").read_text())
    assert summary["rows"]["kept"] == files, summary["rows"]
    name = f"one repository of {files:,} files ({chars / 1e6:.0f} MB)"
    return {
        f"{name}, seconds": usage.seconds,
        f"{name}, peak memory of all processes, MB": usage.peak_rss_mb,
        f"{name}, of it private, MB": usage.peak_private_mb,
    }


def main() -> None:
    warnings.simplefilter("ignore")
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--tokenizer", default="embedded")
    parser.add_argument("--packages", type=int, default=24)
    parser.add_argument("--context_length", type=int, default=8192)
    parser.add_argument("--only", nargs="+", choices=("spans", "imports", "order", "naive", "job", "scale"))
    options = parser.parse_args()
    library, packages = standard_library(), installed_packages(options.packages)
    benches: dict[str, list[Callable[[], dict[str, float]]]] = {
        "spans": [lambda: bench_spans(library)],
        "imports": [bench_small_repositories, lambda: bench_standard_library_imports(library)],
        "order": [lambda: bench_order(packages, Tokenizer.load(options.tokenizer), options.context_length)],
        "naive": [lambda: bench_naive(packages, Tokenizer.load(options.tokenizer), options.context_length)],
        "job": [lambda: bench_job({"python/cpython": library, **packages}, options.tokenizer, options.context_length)],
    }
    benches["scale"] = [functools.partial(bench_scale, options.tokenizer, files) for files in SCALES]
    for bench in itertools.chain(*(benches[name] for name in options.only or benches)):
        for name, value in bench().items():
            print(f"| {name} | {value:,.4g} |" if isinstance(value, float) else f"| {name} | {value:,} |", flush=True)


if __name__ == "__main__":
    main()
