"""Finding renamed copies of benchmark solutions: how many are found with the shipped index, and what the search costs.

    python -m benchmarks.renamed BENCHMARKS [PYTHON_FOLDER]

BENCHMARKS has `human_eval.parquet` and `mbpp.parquet`. Of each solution two copies are made, without docstrings and
comments and with a new name for every name but `self`, what is imported, what follows a dot, and built-in functions
(unless the solution binds their names itself): one is written by `ast.unparse`, the other has the tokens of the text.
A copy counts as found if some item is told for it. Of the Python files below the other folder, those are counted for
which one is told.
"""

from __future__ import annotations

import argparse
import ast
import builtins
import io
import time
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from transforms.filters.benchmark_index import PUBLIC_INDEX
from transforms.filters.benchmarks import benchmark_programs
from transforms.filters.renamed import MAX_SEARCHED_CHARS, load_renamed

SETS: Final = ("HumanEval", "MBPP")
_BUILT_IN: Final = frozenset(dir(builtins))
_USUAL: Final = frozenset(("self", "cls"))
_SKIPPED: Final = (tokenize.COMMENT, tokenize.NL)


def new_names(tree: ast.AST) -> dict[str, str]:
    """A new name for each name of the program's own, in order."""
    nodes = list(ast.walk(tree))
    imports = (node for node in nodes if isinstance(node, ast.Import | ast.ImportFrom))
    imported = {(alias.asname or alias.name).partition(".")[0] for node in imports for alias in node.names}
    bound = dict.fromkeys(name for node in nodes for name in _bound(node))
    used = dict.fromkeys(node.id for node in nodes if isinstance(node, ast.Name) and node.id not in _BUILT_IN)
    return {name: f"v{number}" for number, name in enumerate(bound | used) if name not in _USUAL | imported}


def _bound(node: ast.AST) -> Iterator[str]:
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        yield node.id
    elif isinstance(node, ast.arg):
        yield node.arg
    elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield node.name


def without_docstrings(tree: ast.AST) -> ast.AST:
    """The tree, of whose definitions and module the docstrings are removed."""
    kinds = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef
    for node in ast.walk(tree):
        if isinstance(node, kinds) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
    return tree


def by_tree(tree: ast.AST, names: Mapping[str, str]) -> str:
    """A copy as `ast.unparse` writes it; changes the tree."""
    for node in ast.walk(without_docstrings(tree)):
        if isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
        elif isinstance(node, ast.arg):
            node.arg = names.get(node.arg, node.arg)
        elif isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            node.name = names.get(node.name, node.name)
    return ast.unparse(tree)


def by_token(text: str, names: Mapping[str, str]) -> str:
    """A copy with the tokens of the text. A string that begins a statement is emptied."""
    found: list[tuple[int, str]] = []
    before, begins_line = "", True
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type in _SKIPPED:
            continue
        is_name = token.type == tokenize.NAME and before != "."
        written = names.get(token.string, token.string) if is_name else token.string
        found.append((token.type, '""' if token.type == tokenize.STRING and begins_line else written))
        before = token.string
        begins_line = token.type in (tokenize.NEWLINE, tokenize.INDENT, tokenize.DEDENT)
    return tokenize.untokenize(found)


def measure_found(benchmarks: Path) -> None:
    """Prints how many copies are found, by set."""
    index = load_renamed(PUBLIC_INDEX)
    found: dict[str, dict[str, list[bool]]] = {kind: {name: [] for name in SETS} for kind in ("tree", "token")}
    for program in benchmark_programs(benchmarks):
        if program.benchmark not in SETS:
            continue
        names = new_names(ast.parse(program.text))
        copies = {"tree": by_tree(ast.parse(program.text), names), "token": by_token(program.text, names)}
        for kind, copy in copies.items():
            found[kind][program.benchmark].append(bool(index.find_all([copy], ["Python"])[0]))
    for kind, by_set in found.items():
        rates = ", ".join(f"{name} {sum(each) / len(each):.1%} of {len(each)}" for name, each in by_set.items())
        every = [one for each in by_set.values() for one in each]
        print(f"renamed by {kind}: {rates}, together {sum(every) / len(every):.1%}")


def measure_told(folder: Path) -> None:
    """Prints for how many files of a folder an item is told, and the processor time of the search."""
    index = load_renamed(PUBLIC_INDEX)
    texts = [path.read_text(encoding="utf-8", errors="replace") for path in sorted(folder.rglob("*.py"))]
    texts = [text for text in texts if len(text) <= MAX_SEARCHED_CHARS]
    megabytes = sum(len(text.encode()) for text in texts) / 1e6
    index.find_all(texts[:8], ["Python"] * len(texts[:8]))
    began = time.process_time()
    told = sum(bool(found) for found in index.find_all(texts, ["Python"] * len(texts)))
    seconds = time.process_time() - began
    print(f"{len(texts)} files, {megabytes:.1f} MB: {told} told, {seconds / megabytes:.4f} s of processor time a MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks", type=Path)
    parser.add_argument("python_folder", type=Path, nargs="?")
    asked = parser.parse_args()
    measure_found(asked.benchmarks)
    if asked.python_folder:
        measure_told(asked.python_folder)


if __name__ == "__main__":
    main()
