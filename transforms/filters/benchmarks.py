"""The texts of code benchmarks, read from Parquet files.

HumanEval, its infilling sets, MBPP and BabelCode are read in their published layouts. Of any other Parquet file, the
column `text` and, if they exist, the columns `id` and `language` are read.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pyarrow.parquet as pq

_BENCHMARKS = {
    "human_eval": ("HumanEval", "task_id", (("prompt", "canonical_solution"), ("canonical_solution",), ("test",))),
    "human_eval_infilling_single_line": (
        "HumanEval-infilling",
        "task_id",
        (("prompt", "canonical_solution", "suffix"),),
    ),
    "human_eval_infilling_multi_line": (
        "HumanEval-infilling",
        "task_id",
        (("prompt", "canonical_solution", "suffix"),),
    ),
    "human_eval_infilling_random_span": (
        "HumanEval-infilling",
        "task_id",
        (("prompt", "canonical_solution", "suffix"),),
    ),
    "mbpp": ("MBPP", "id", (("text",), ("solution",), ("testing_code",))),
    "babelcode_human_eval": (
        "BabelCode-HumanEval",
        "qid",
        (("signature_with_docstring",), ("text",), ("python_solution",)),
    ),
}
"""File name -> benchmark name, id column, and groups of columns; each group is joined into one text."""


_PROGRAMS: Final = {
    "human_eval": ("prompt", "canonical_solution"),
    "mbpp": ("solution",),
    "babelcode_human_eval": ("python_solution",),
}
"""File name -> the columns that make an item's solution in Python, joined. The infilling sets have HumanEval's."""


@dataclass(frozen=True)
class Program:
    """A solution: its benchmark and item, its text, and its language's name."""

    benchmark: str
    item: str
    text: str
    language: str


def benchmark_texts(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yields `(benchmark, item, text)` for all Parquet files in a folder."""
    for path in sorted(folder.glob("*.parquet")):
        rows = pq.read_table(path).to_pylist()
        name, id_column, groups = _BENCHMARKS.get(path.stem, (path.stem, "id", (("text",),)))
        for number, row in enumerate(rows):
            item = _item(path.stem, str(row.get(id_column, number)), row)
            for columns in groups:
                if text := "".join(str(row.get(column) or "") for column in columns):
                    yield name, item, text


def benchmark_programs(folder: Path) -> Iterator[Program]:
    """Yields the solutions in a folder's Parquet files.

    The texts of files of another layout are solutions in the language of their column `language`; without that column,
    those that parse as Python are.
    """
    for path in sorted(folder.glob("*.parquet")):
        name, id_column, _ = _BENCHMARKS.get(path.stem, (path.stem, "id", ()))
        if path.stem in _BENCHMARKS and path.stem not in _PROGRAMS:
            continue
        for number, row in enumerate(pq.read_table(path).to_pylist()):
            text = "".join(str(row.get(column) or "") for column in _PROGRAMS.get(path.stem, ("text",)))
            language = "Python" if path.stem in _PROGRAMS else _language(text, row)
            if text and language:
                yield Program(name, _item(path.stem, str(row.get(id_column, number)), row), text, language)


def _language(text: str, row: dict[str, object]) -> str:
    if "language" in row:
        return str(row["language"] or "")
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            tree = ast.parse(text)
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return ""
    return "Python" if any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in tree.body) else ""


def _item(stem: str, item: str, row: dict[str, object]) -> str:
    """Name of a benchmark item. All splits and languages of one problem have the same name before the `#`."""
    if stem.startswith("human_eval_infilling"):
        parts = item.split("/")
        return (
            f"HumanEval/{parts[-2] if len(parts) > 2 else parts[-1]}#infilling"
            if any(p.isdigit() for p in parts)
            else item
        )
    if stem == "babelcode_human_eval":
        return f"HumanEval/{item}#{row.get('language', '')}"
    return item
