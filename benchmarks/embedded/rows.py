"""Cuts the examples of several epochs ahead of a run, as packed rows that `codemill train` reads.

    python benchmarks/embedded/rows.py --corpus train.parquet --tokenizer tokenizer.model --output rows --epochs 8

A GPU takes more tokens a second than one thread cuts. Here one process per core cuts an epoch each, by the same recipe
as `codemill train` does from a corpus (`transforms.fim.training_rows`): other holes and windows in each. An epoch is a
file, written as a whole; those that are there already are kept.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import sys
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from jobs.training.data import read_files
from model.tokenizer import Tokenizer
from transforms.fim.training_rows import ExampleRecipe, PackedRow, rows_of
from transforms.packing.rows import CONTEXT_LENGTH_KEY, TOKENIZER_KEY

_MIDDLE = 2.0  # the weight by which middles are found again in rows; what they weigh is the run's option
_ROWS_A_GROUP = 2048


def middles_of(row: PackedRow) -> list[dict[str, int]]:
    """For each example where its text ends, before the separator, and how many tokens of middle end there.

    >>> middles_of(PackedRow([1] * 6, [1, 1, 1, 1, 2, 2], [0, 1, 2, 2, 0, 1]))
    [{'token_end': 3, 'middle_tokens': 1}, {'token_end': 5, 'middle_tokens': 0}]
    """
    segments, weights = np.asarray(row.segment_ids), np.asarray(row.loss_weights)
    found = []
    for segment in range(1, int(segments.max()) + 1):
        end = int(np.flatnonzero(segments == segment)[-1])
        weighted = int((weights[segments == segment] == _MIDDLE).sum())  # with the separator
        found.append({"token_end": end, "middle_tokens": max(0, weighted - 1)})
    return found


def table_of(rows: list[PackedRow]) -> pa.Table:
    """The columns that `codemill train` reads of packed rows."""
    lists = {
        "input_ids": (pa.int32(), [np.asarray(row.tokens, np.int32) for row in rows]),
        "segment_ids": (pa.int32(), [np.asarray(row.segment_ids, np.int32) for row in rows]),
        "loss_mask": (pa.int8(), [(np.asarray(row.loss_weights) > 0).astype(np.int8) for row in rows]),
    }
    columns = {name: pa.array(values, pa.list_(kind)) for name, (kind, values) in lists.items()}
    part = pa.struct([("token_end", pa.int32()), ("middle_tokens", pa.int32())])
    return pa.table({**columns, "parts": pa.array([middles_of(row) for row in rows], pa.list_(part))})


def write_epoch(epoch: int, options: argparse.Namespace) -> Path:
    """Writes one epoch's rows unless they are there."""
    path: Path = options.output / f"epoch-{epoch:03d}.parquet"
    if path.exists():
        return path
    tokenizer = Tokenizer.load(str(options.tokenizer))
    recipe = ExampleRecipe(
        max_tokens=options.length, min_tokens=options.min_tokens, path_rate=options.path_rate, middle_weight=_MIDDLE
    )
    files = read_files([str(options.corpus)])
    metadata = {TOKENIZER_KEY: tokenizer.sha256.encode(), CONTEXT_LENGTH_KEY: str(options.length).encode()}
    schema = table_of([]).schema.with_metadata(metadata)
    temporary = path.with_name(path.name + ".tmp")
    waiting: list[PackedRow] = []
    with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
        for row in rows_of(files, tokenizer, recipe, length=options.length, seed=options.seed, epoch=epoch):
            waiting.append(row)
            if len(waiting) == _ROWS_A_GROUP:
                writer.write_table(table_of(waiting).cast(schema))
                waiting = []
        if waiting:
            writer.write_table(table_of(waiting).cast(schema))
    temporary.replace(path)
    return path


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--corpus", type=Path, required=True)
    parser.add_argument("--tokenizer", type=Path, required=True)
    parser.add_argument("--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--length", type=int, default=512)
    parser.add_argument("--min_tokens", type=int, default=160)
    parser.add_argument("--path_rate", type=float, default=0.2)
    parser.add_argument("--seed", type=int, default=0)
    options = parser.parse_args()
    options.output.mkdir(parents=True, exist_ok=True)
    with multiprocessing.get_context("spawn").Pool(min(options.epochs, os.cpu_count() or 1)) as pool:
        for path in pool.imap(partial(write_epoch, options=options), range(options.epochs)):
            print(f"{path}: {pq.read_metadata(path).num_rows:,} rows", flush=True)


if __name__ == "__main__":
    main()
