"""Builds `benchmark_ngrams.npz` from a folder of benchmarks in Parquet: `python -m
transforms.filters.contamination_index BENCHMARKS OUT [PYTHON_FOLDER...]`.

The Python files below the other folders are no one's solutions: what they share with one is idiom and left out. The
file contains hashes and item names, but none of the texts.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from transforms.filters.benchmark_index import build_index
from transforms.filters.benchmarks import benchmark_programs, benchmark_texts
from transforms.filters.renamed import build_renamed


def main(folder: str, out: str, background: Sequence[str] = ()) -> None:
    """Builds and writes the index."""
    index = build_index(list(benchmark_texts(Path(folder))))
    renamed = build_renamed(benchmark_programs(Path(folder)), _python_files(background))
    np.savez_compressed(out, **index.arrays(), **renamed.arrays())
    print({n: len(hashes) for n, (hashes, _) in index.by_length.items()}, len(index.items), "items")
    for language, tables in renamed.tables.items():
        print(language, {n: len(table.known) for n, table in tables.by_length.items()}, len(renamed.items), "solutions")


def _python_files(folders: Sequence[str]) -> Iterator[tuple[str, str]]:
    for folder in folders:
        for path in sorted(Path(folder).rglob("*.py")):
            yield path.read_text(encoding="utf-8", errors="replace"), "Python"


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3:])
