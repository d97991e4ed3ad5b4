"""Builds `benchmark_ngrams.npz` from a folder of benchmarks in Parquet: `python -m
transforms.filters.contamination_index FOLDER [OUT]`.

The file contains hashes and item names, but none of the texts.
"""

from __future__ import annotations

import sys
from pathlib import Path

from transforms.filters.benchmarks import benchmark_texts
from transforms.filters.contamination import PUBLIC_INDEX, BenchmarkIndex, build_index


def main(folder: str, out: str = str(PUBLIC_INDEX)) -> BenchmarkIndex:
    """Builds and writes the index."""
    index = build_index(list(benchmark_texts(Path(folder))))
    index.save(Path(out))
    return index


if __name__ == "__main__":
    made = main(*sys.argv[1:])
    print({n: len(hashes) for n, (hashes, _) in made.by_length.items()}, len(made.items), "items")
