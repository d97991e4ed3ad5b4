"""Checks a finished dataset against its sources again: `python -m benchmarks.outputs OUT`.

Rows of `codemill docstring` and `codemill generate` are inserted into their complete files and parsed by Python's own
parser (other languages: by tree-sitter). Apart from the documentation, or the one function's body, the code must be the
same. It shares no code with the jobs' validation except, outside of Python, the comparison of tokens.
"""

from __future__ import annotations

import argparse
import ast
import sys
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from transforms.documentation.splice import is_same_code
from transforms.languages.grammars import grammar_name

Definition = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Module


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("output", nargs="+")
    counts: Counter[str] = Counter()
    for row in rows_of(parser.parse_args().output):
        fault = changed(row)
        counts[fault or "same code"] += 1
        if fault not in (None, "source does not parse"):
            print(f"{fault}: {row.get('path')} {row['lineage']['target']}")
    print(", ".join(f"{name} {count:,}" for name, count in counts.most_common()) or "no rows")
    return int(any(name.endswith("changed") for name in counts))


def rows_of(outputs: list[str]) -> Iterator[Mapping[str, Any]]:
    """All rows of the datasets."""
    for output in outputs:
        for path in sorted(Path(output).glob("data/*.parquet")):
            for batch in pq.ParquetFile(path).iter_batches(64):
                yield from batch.to_pylist()


def changed(row: Mapping[str, Any]) -> str | None:
    """What is wrong with a row; None if the code is the same."""
    grammar = grammar_name(str(row.get("language") or "").lower(), str(row.get("path") or ""))
    if "code_documented" not in row:
        return body_changed(row) if grammar == "python" and row.get("code_start") is not None else None
    if grammar != "python":
        same = is_same_code(row["code"].encode(), row["code_documented"].encode(), grammar or "")
        return None if same else "code changed"
    content = row["content"].removeprefix("\ufeff")
    shift = len(row["content"]) - len(content)
    start = content.rfind("\n", 0, max(row["symbol_start"] - shift, 0)) + 1
    if row["symbol_kind"] == "module":
        documented = row["code_documented"].removeprefix("\ufeff")
    else:
        documented = content[:start] + row["code_documented"] + content[row["symbol_end"] - shift :]
    before, after = (undocumented(text) for text in (content, documented))
    if before is None:
        before, after = (undocumented(dedented(row[name])) for name in ("code", "code_documented"))
    if before is None:
        return "source does not parse"
    return None if before == after else "code changed"


def body_changed(row: Mapping[str, Any]) -> str | None:
    """What a generated body changed besides the body of its own function; None if nothing."""
    content, start, end = row["content"], row["code_start"], row["code_end"]
    if row["symbol_name"] is None:
        return None
    written = content[:start] + row["generated_code"] + content[end:]
    place = content.count("\n", 0, start) + 1, len(content[content.rfind("\n", 0, start) + 1 : start].encode())
    name = row["symbol_name"].rpartition(".")[2]
    before, after = (without_body(text, name, place) for text in (content, written))
    if before is None:
        return "source does not parse"
    return None if before == after else "code outside the body changed"


def parsed(text: str) -> ast.Module | None:
    """Python's own tree of a text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return ast.parse(text.removeprefix("\ufeff"))
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return None


def undocumented(text: str) -> str | None:
    """A text's tree without any documentation, as text."""
    tree = parsed(text)
    if tree is None:
        return None
    for node in ast.walk(tree):
        if isinstance(node, Definition) and ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:]
    return ast.dump(tree)


def without_body(text: str, name: str, place: tuple[int, int]) -> str | None:
    """A text's tree as text, without the body of the innermost function of that name that starts before a place (line
    and byte in it) and whose body extends to it.
    """
    tree = parsed(text)
    if tree is None:
        return None
    around = [
        node
        for node in ast.walk(tree)
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name == name
        and (node.lineno, node.col_offset) < place
        and place[0] <= (node.end_lineno or 0)
        and any(statement.lineno >= place[0] for statement in node.body)
    ]
    if around:
        max(around, key=lambda node: node.lineno).body = []
    return ast.dump(tree)


def dedented(text: str) -> str:
    """A definition without indentation."""
    return f"if True:\n{text}" if text[:1] in (" ", "\t") else text


if __name__ == "__main__":
    sys.exit(main())
