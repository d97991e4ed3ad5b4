"""Where rows come from, in files that were made of other files: columns that say so."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from typing import Final

import pyarrow as pa

from transforms.rows.row import SourceRef

SOURCE_COLUMNS: Final = ("source_uri", "source_row_group", "source_row")


def sources_of(table: pa.Table) -> Iterable[SourceRef | None]:
    """Where each row came from; None if the table doesn't say."""
    if not set(SOURCE_COLUMNS) <= set(table.column_names):
        return [None] * table.num_rows
    return itertools.starmap(SourceRef, zip(*(table.column(name).to_pylist() for name in SOURCE_COLUMNS), strict=True))
