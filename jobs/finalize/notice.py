"""Writes and reads the NOTICE table of a dataset, `NOTICE.parquet`."""

from __future__ import annotations

import io
from collections.abc import Callable

import pyarrow as pa
import pyarrow.parquet as pq

from jobs import storage
from jobs.storage.folders import OutputFolder
from transforms.corpus.notice import NOTICE_SCHEMA, Notice, attribution_of


def write_notice(output: OutputFolder, notice: Notice, redact: Callable[[str], str] = lambda line: line) -> None:
    """Writes the table; a file without rows can't be loaded with `datasets`, so none is left where there are none."""
    if not notice.repositories:
        storage.remove(output.notice)
        return
    sink = io.BytesIO()
    pq.write_table(notice.table(redact), sink, compression="zstd")
    storage.write_bytes(output.notice, sink.getvalue())


def read_notice(output: OutputFolder) -> Notice | None:
    """The table of a dataset; None if it has none, or another file of that name."""
    try:
        table = pq.read_table(io.BytesIO(storage.read_bytes(output.notice)))
    except (FileNotFoundError, pa.ArrowInvalid):
        return None
    if table.schema.names != NOTICE_SCHEMA.names:
        return None
    notice = Notice()
    for record in table.to_pylist():
        notice.add(attribution_of(record))
    return notice
