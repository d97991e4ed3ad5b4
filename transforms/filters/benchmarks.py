"""The texts of code benchmarks, read from Parquet files.

HumanEval, its infilling sets, MBPP and BabelCode are read in their published layouts. Of any other Parquet file, the
column `text` and, if they exist, the columns `id` and `language` are read.
"""

from __future__ import annotations

import ast
import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from model.errors import SHOWN_CHARS, ConfigError, one_line

_TEXT: Final = "text"
_Layout = tuple[str, str, tuple[tuple[str, ...], ...]]
_BENCHMARKS: Final[dict[str, _Layout]] = {
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
    """Yields `(benchmark, item, text)` for all Parquet files in a folder. Raises ConfigError, see `_read`."""
    for stem, rows in _read(folder):
        name, id_column, groups = _layout(stem)
        for number, row in enumerate(rows):
            item = _item(stem, str(row.get(id_column, number)), row)
            for columns in groups:
                if text := "".join(row[column] or "" for column in columns):
                    yield name, item, text


def benchmark_programs(folder: Path) -> Iterator[Program]:
    """Yields the solutions in a folder's Parquet files.

    The texts of files of another layout are solutions in the language of their column `language`; without that column,
    those that parse as Python are. Raises ConfigError, see `_read`.
    """
    for stem, rows in _read(folder):
        if stem in _BENCHMARKS and stem not in _PROGRAMS:
            continue
        name, id_column, _ = _layout(stem)
        for number, row in enumerate(rows):
            text = "".join(row[column] or "" for column in _PROGRAMS.get(stem, (_TEXT,)))
            language = "Python" if stem in _PROGRAMS else _language(text, row)
            if text and language:
                yield Program(name, _item(stem, str(row.get(id_column, number)), row), text, language)


def _layout(stem: str) -> _Layout:
    return _BENCHMARKS.get(stem, (stem, "id", ((_TEXT,),)))


def check_benchmarks(folder: Path) -> None:
    """Looks at the columns of a folder's files alone. Raises ConfigError, see `_read`."""
    for path in _files(folder):
        with _opened(path):
            pass


def _read(folder: Path) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """The name, without its suffix, and the rows of each Parquet file in a folder.

    Raises:
        ConfigError: There is no such file, or one can't be read or lacks a column with text: a search for nothing would
            find nothing.
    """
    for path in _files(folder):
        _, id_column, _ = _layout(path.stem)
        texts = _text_columns(path.stem)
        with _opened(path) as file:
            table = file.read([name for name in file.schema_arrow.names if name in {*texts, id_column, "language"}])
            for column in texts:
                at = table.schema.get_field_index(column)
                table = table.set_column(at, column, table.column(at).cast(pa.string()))
            rows = table.to_pylist()
        yield path.stem, rows


def _files(folder: Path) -> list[Path]:
    paths = sorted(folder.glob("*.parquet"))
    if not paths:
        raise ConfigError(f"benchmarks {folder}: expected a folder with files *.parquet, found none")
    return paths


def _text_columns(stem: str) -> set[str]:
    _, _, groups = _layout(stem)
    return {column for columns in groups for column in columns}


@contextlib.contextmanager
def _opened(path: Path) -> Iterator[pq.ParquetFile]:
    """A file that has its layout's columns with text. Raises ConfigError, also for what is raised while it is read."""
    try:
        with pq.ParquetFile(path) as file:
            names = file.schema_arrow.names
            if missing := sorted(_text_columns(path.stem).difference(names)):
                given = one_line(", ".join(names), SHOWN_CHARS)
                raise ConfigError(f"benchmarks {path}: expected a column {missing[0]}, its columns are {given}")
            yield file
    except (OSError, ValueError, pa.ArrowException) as error:
        raise ConfigError(f"benchmarks {path}: {one_line(error, SHOWN_CHARS)}") from None


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
