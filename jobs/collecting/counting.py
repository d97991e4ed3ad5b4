"""What rows of a corpus's shards are in its summary: taken off there when they leave it.

languages, licenses, src_encoding_confidence, rejected    how many rows have each value
rows_kept, rows_rejected, bytes_kept                      how many rows, and bytes of text
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt
import pyarrow.parquet as pq

from jobs import storage
from jobs.storage.folders import DATA

COUNTED: Final = ("languages", "licenses", "src_encoding_confidence", "rejected")
"""The tables of a summary."""
_KEPT: Final = ("repo_name", "language", "src_encoding_confidence", "length_bytes", "detected_licenses")


@dataclass
class RowCounts:
    """Counts of some rows.

    Args:
        kept, rejected: How many rows.
        num_bytes: Of text of the kept ones, as it was found.
        tables: For each of `COUNTED` how many rows have which value.
        repositories: The kept rows of each repository.
    """

    kept: int = 0
    rejected: int = 0
    num_bytes: int = 0
    tables: dict[str, Counter[str]] = field(default_factory=lambda: {name: Counter() for name in COUNTED})
    repositories: Counter[str] = field(default_factory=Counter)

    def add(self, other: RowCounts) -> None:
        """Adds the counts of other rows."""
        self.kept += other.kept
        self.rejected += other.rejected
        self.num_bytes += other.num_bytes
        self.repositories.update(other.repositories)
        for name, counts in other.tables.items():
            self.tables[name].update(counts)


def sum_of(counts: Iterable[RowCounts]) -> RowCounts:
    """The counts of all of these rows."""
    total = RowCounts()
    for one in counts:
        total.add(one)
    return total


def count_rows(path: str, wanted: npt.NDArray[np.bool_]) -> RowCounts:
    """Counts the wanted rows of a shard, which is in a folder `data` or `rejected`."""
    found = RowCounts()
    if path.split("/")[-2] != DATA:
        found.rejected = int(wanted.sum())
        found.tables["rejected"].update(row["reason"] for row in _rows_where(path, ["reason"], wanted))
        return found
    found.kept = int(wanted.sum())
    for row in _rows_where(path, _KEPT, wanted):
        found.num_bytes += row["length_bytes"]
        found.repositories[row["repo_name"]] += 1
        found.tables["languages"][row["language"] or "unknown"] += 1
        found.tables["src_encoding_confidence"][row["src_encoding_confidence"]] += 1
        found.tables["licenses"].update(row["detected_licenses"])
    return found


def less(summary: Mapping[str, Any], gone: RowCounts) -> dict[str, Any]:
    """A summary without rows that leave the corpus: the ledger counts them as removed."""
    kept, rejected = summary["rows_kept"] - gone.kept, summary["rows_rejected"] - gone.rejected
    counts = {
        "rows_kept": kept,
        "rows_rejected": rejected,
        "rows_removed": summary.get("rows_removed", 0) + gone.kept + gone.rejected,
        "bytes_kept": summary["bytes_kept"] - gone.num_bytes,
    }
    return {**summary, **counts, **{name: by_count(Counter(summary[name]) - gone.tables[name]) for name in COUNTED}}


def by_count(counts: Mapping[str, int]) -> dict[str, int]:
    """A table of counts, the largest first."""
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0])))


def _rows_where(path: str, names: Sequence[str], wanted: npt.NDArray[np.bool_]) -> Iterator[dict[str, Any]]:
    start = 0
    with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
        for batch in parquet.iter_batches(columns=list(names), use_threads=False):
            here = wanted[start : start + batch.num_rows]
            start += batch.num_rows
            yield from batch.take(np.flatnonzero(here)).to_pylist()
