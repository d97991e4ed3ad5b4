"""datatrove's side of `benchmarks.one_machine`: SOURCE OUTPUT TASKS. Runs where datatrove is installed."""

from __future__ import annotations

import os
import sys

from datatrove.executor import LocalPipelineExecutor
from datatrove.pipeline.filters import GopherQualityFilter, GopherRepetitionFilter
from datatrove.pipeline.formatters import PIIFormatter
from datatrove.pipeline.readers import ParquetReader
from datatrove.pipeline.writers import JsonlWriter


def main(source: str, output: str, tasks: int) -> None:
    folder = f"{source}.{tasks}-parts"  # a task reads whole files
    _split(source, folder, tasks)
    LocalPipelineExecutor(
        pipeline=[
            ParquetReader(folder, text_key="content", id_key="blob_id"),
            GopherRepetitionFilter(),
            GopherQualityFilter(),
            PIIFormatter(),
            JsonlWriter(output, compression=None),  # its Parquet writer fails on a column that begins with nulls
        ],
        tasks=tasks,
        workers=tasks,
        logging_dir=f"{output}/logs",
    ).run()


def _split(source: str, folder: str, parts: int) -> None:
    """Writes the source's row groups to so many files, once: a median of several runs doesn't count it."""
    import pyarrow.parquet as pq

    if os.path.isdir(folder) and len(os.listdir(folder)) == parts:
        return
    os.makedirs(folder, exist_ok=True)
    file = pq.ParquetFile(source)
    for part in range(parts):
        with pq.ParquetWriter(os.path.join(folder, f"{part}.parquet"), file.schema_arrow) as writer:
            for group in range(part, file.num_row_groups, parts):
                writer.write_table(file.read_row_group(group))


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], int(sys.argv[3]))
