"""How often renamed copies of benchmark solutions are found, and how often something else is taken for one.

    python -m benchmarks.renamed_copies BENCHMARKS [--index FILE.npz] [--others FOLDER...]

Each Python solution of the benchmarks (`transforms.filters.benchmarks`) is copied twice between other functions: with
all its own names replaced and docstrings removed in the syntax tree, and token by token, without comments. A copy
counts as found if some item is told, since benchmarks have solutions that are equal but for their names. Python files
below the other folders hold no copies: whatever is found there is listed. Files that the index was made with can't
tell that.
"""

from __future__ import annotations

import argparse
import ast
import io
import time
import tokenize
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final

from transforms.filters.benchmark_index import PUBLIC_INDEX
from transforms.filters.benchmarks import benchmark_programs
from transforms.filters.renamed import RenamedIndex, load_renamed

BEFORE: Final = "import os\n\ndef first(a, b, i):\n    for i in range(a):\n        print(i, b)\n    return b\n\n\n"
AFTER: Final = "\n\ndef other(i, n):\n    return n[i]\n"
_BATCH_FILES: Final = 64


def new_names(tree: ast.AST) -> dict[str, str]:
    """Another name for each function, class, argument and variable that a program binds."""
    bound = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            bound.add(node.name)
        elif isinstance(node, ast.arg):
            bound.add(node.arg)
        elif isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            bound.add(node.id)
    return {name: f"{'renamed' if number % 2 else 'q'}_{number}" for number, name in enumerate(sorted(bound))}


def by_tree(source: str) -> str:
    """A copy without docstrings and comments, as its syntax tree is written."""
    tree = ast.parse(source)
    names = new_names(tree)
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.ClassDef):
            node.name = names[node.name]
            if ast.get_docstring(node) is not None:
                node.body = node.body[1:] or [ast.Pass()]
        elif isinstance(node, ast.arg):
            node.arg = names[node.arg]
        elif isinstance(node, ast.Name):
            node.id = names.get(node.id, node.id)
    return ast.unparse(tree)


def by_tokens(source: str) -> str:
    """A copy without comments and with another text for docstrings, otherwise as it is written."""
    names = new_names(ast.parse(source))
    tokens = []
    at_start = True
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            continue
        text = names.get(token.string, token.string) if token.type == tokenize.NAME else token.string
        tokens.append((token.type, '"other"' if token.type == tokenize.STRING and at_start else text))
        if token.type != tokenize.NL:
            at_start = token.type in (tokenize.INDENT, tokenize.DEDENT, tokenize.NEWLINE)
    return tokenize.untokenize(tokens)


def found_copies(index: RenamedIndex, sources: Sequence[str], copy: Callable[[str], str]) -> int:
    """How many of the copies are found."""
    texts = [BEFORE + copy(source) + AFTER for source in sources]
    return sum(map(bool, index.find_all(texts, ["Python"] * len(texts))))


def files_below(folders: Sequence[str]) -> Iterator[tuple[Path, str]]:
    """Yields the different Python files below folders."""
    seen = set()
    for path in sorted(path for folder in folders for path in Path(folder).rglob("*.py")):
        text = path.read_text(encoding="utf-8", errors="replace")
        if hash(text) not in seen:
            seen.add(hash(text))
            yield path, text


def search_others(index: RenamedIndex, folders: Sequence[str]) -> None:
    """Lists what is found in files that hold no copies."""
    files = list(files_below(folders))
    if not files:
        raise SystemExit(f"no Python files below {' '.join(folders)}")
    began, wrong = time.process_time(), 0
    for start in range(0, len(files), _BATCH_FILES):
        some = files[start : start + _BATCH_FILES]
        for (path, _), found in zip(
            some, index.find_all([text for _, text in some], ["Python"] * len(some)), strict=True
        ):
            wrong += bool(found)
            for one in found[:1]:
                print(f"  {one.benchmark} {one.item} from token {one.first_token}: {path}")
    megabytes = sum(len(text.encode()) for _, text in files) / 1e6
    seconds = time.process_time() - began
    print(f"{wrong} of {len(files):,} other files, {megabytes:.0f} MB, {seconds / megabytes:.4f} s a MB")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("benchmarks")
    parser.add_argument("--index", default=str(PUBLIC_INDEX))
    parser.add_argument("--others", nargs="*", default=[])
    args = parser.parse_args()
    index = load_renamed(Path(args.index))
    solutions: dict[str, dict[str, None]] = {}  # each once, in order
    for program in benchmark_programs(Path(args.benchmarks)):
        if program.language == "Python":
            solutions.setdefault(program.benchmark, {})[program.text] = None
    total: Counter[str] = Counter()
    for name, copy in (("by tree", by_tree), ("by tokens", by_tokens)):
        for benchmark, sources in solutions.items():
            found = found_copies(index, list(sources), copy)
            total.update({name: found, f"{name} of": len(sources)})
            print(f"{benchmark}, renamed {name}: {found} of {len(sources)} found ({found / len(sources):.1%})")
        print(f"all, renamed {name}: {total[name] / total[f'{name} of']:.1%}")
    if args.others:
        search_others(index, args.others)


if __name__ == "__main__":
    main()
