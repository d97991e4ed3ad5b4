"""The texts of code benchmarks, read from Parquet files.

HumanEval, its infilling sets, MBPP and BabelCode are read in their published layouts. Of any other Parquet file, the
column `text` and, if it exists, the column `id` are read.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

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


def benchmark_texts(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Yields `(benchmark, item, text)` for all Parquet files in a folder."""
    for path in sorted(folder.glob("*.parquet")):
        rows = pq.read_table(path).to_pylist()
        name, id_column, groups = _BENCHMARKS.get(path.stem, (path.stem, "id", (("text",),)))
        for number, row in enumerate(rows):
            item = _item(path.stem, str(row.get(id_column, number)), row)
            for columns in groups:
                yield name, item, "".join(str(row.get(column) or "") for column in columns)


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
