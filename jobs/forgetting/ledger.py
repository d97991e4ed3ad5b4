"""What a removal changes in the commits of a job's units, and in the records of its shards.

    rows planned = kept + rejected + in failed units + removed

A source row is removed once none of its output rows is left, a rejected one with its record. The commits count so, and
the shard plan is made of them again: the same cuts, since the sizes of attempts stay as they were, with other numbers
of rows. So whatever sums the commits or looks for a unit's rows goes on as before.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.finalize.shard_plan import FILES_KEY, KINDS, Kind
from jobs.forgetting.searching import places_of
from jobs.ledger.commits import CommitRecord
from jobs.storage.folders import DATA, REJECTED, OutputFolder
from transforms.packing.parts import Copies

_BATCH_ROWS = 1024
_PARTS = "parts"
_RECORD = "rejected_"

Sources = Sequence[Mapping[str, object]]


@dataclass
class Loss:
    """What leaves shards, whichever units made them.

    Args:
        rows: Output rows (`data`) and rejected records (`rejected`).
        counts: What changes in the counts of commits.
    """

    rows: Counter[str] = field(default_factory=Counter)
    counts: Counter[str] = field(default_factory=Counter)

    def __add__(self, other: Loss) -> Loss:
        return self.times(other, 1)

    def __sub__(self, other: Loss) -> Loss:
        return self.times(other, -1)

    def times(self, other: Loss, sign: int) -> Loss:
        """The sum with another, which counts `sign` times."""
        total = Loss(Counter(self.rows), Counter(self.counts))
        for mine, others in ((total.rows, other.rows), (total.counts, other.counts)):
            for name, count in others.items():
                mine[name] += sign * count
        return total

    @property
    def tally(self) -> Counter[str]:
        """The rejected records among them as `kind/stage/reason`, as a shard's record counts them."""
        told = {name: -count for name, count in self.counts.items() if name.startswith(_RECORD)}
        return Counter({name.removeprefix(_RECORD): count for name, count in told.items()})

    @property
    def source_rows(self) -> int:
        """Source rows of which nothing is left."""
        return self.counts["rows_removed"]


def loss_of(output: OutputFolder, path: str, gone: npt.NDArray[np.bool_]) -> Loss:
    """What leaves a shard of any edition, in which all rows of a source are.

    Args:
        output: The output.
        path: The shard, relative to the output.
        gone: Whether each of its rows goes.
    """
    if folder_of(path) == DATA:
        return Loss(Counter({DATA: int(gone.sum())}), _count_rows(list(_keys(output, path)), gone))
    return Loss(Counter({REJECTED: int(gone.sum())}), _count_records(list(_records(output, path)), gone))


def keys_of(output: OutputFolder, path: str, wanted: npt.NDArray[np.bool_]) -> set[str]:
    """What some records of a shard were rejected for, as `kind/stage/reason`."""
    return {"/".join(key) for key, is_wanted in zip(_records(output, path), wanted, strict=True) if is_wanted}


def folder_of(path: str) -> str:
    """`data` or `rejected`, of a shard in that folder or in the one of an earlier edition.

    >>> folder_of("_editions/0001/data/train-00000-of-00001.parquet")
    'data'
    """
    return path.split("/")[-2]


class Removed:
    """What leaves each unit."""

    def __init__(self) -> None:
        self.counts: dict[str, Counter[str]] = defaultdict(Counter)
        self.file_rows: dict[str, Counter[Kind]] = defaultdict(Counter)
        self.records: Counter[str] = Counter()  # rejected ones, as a shard's record counts them

    def add(self, output: OutputFolder, kind: Kind, path: str, gone: npt.NDArray[np.bool_], sources: Sources) -> None:
        """Counts the rows that leave a shard.

        Args:
            output: The output.
            kind: The shard's kind.
            path: The shard, relative to the output.
            gone: Whether each of its rows goes.
            sources: The files of units that it was merged from, with their numbers of rows.
        """
        keys = _keys(output, path) if kind == "train" else _records(output, path)
        start = 0
        for source in sources:
            rows, unit = int(str(source["rows"])), str(source["unit_id"])
            here = gone[start : start + rows]
            of_unit = [next(keys) for _ in range(rows)]
            start += rows
            if here.any():
                self.file_rows[unit][kind] += int(here.sum())
                self._count(kind, unit, of_unit, here)

    def _count(self, kind: Kind, unit: str, keys: Sequence[Any], gone: npt.NDArray[np.bool_]) -> None:
        if kind == "train":
            self.counts[unit].update(_count_rows(keys, gone))
            return
        self.counts[unit].update(_count_records(keys, gone))
        self.records.update("/".join(key) for key, goes in zip(keys, gone, strict=True) if goes)

    def applied(self, commit: CommitRecord) -> CommitRecord:
        """The unit's commit after the removal."""
        if commit.unit_id not in self.counts:
            return commit
        counts = Counter(commit.counts)
        counts.update(self.counts[commit.unit_id])
        files = dict(commit.files)
        for kind in KINDS:
            name, less = FILES_KEY[kind], self.file_rows[commit.unit_id][kind]
            if less:
                files[name] = files[name].with_rows(files[name].rows - less)
        told = {name: count for name, count in sorted(counts.items()) if count or not name.startswith("rejected_")}
        return replace(commit, counts=told, files=files)


def _count_rows(keys: Sequence[tuple[frozenset[Hashable], Hashable]], gone: npt.NDArray[np.bool_]) -> Counter[str]:
    """Of output rows: the source rows of which nothing is left, and the targets, where rows tell theirs."""
    sources: tuple[set[Hashable], set[Hashable]] = (set(), set())
    targets: tuple[set[Hashable], set[Hashable]] = (set(), set())
    for (of, target), goes in zip(keys, gone, strict=True):
        sources[bool(goes)].update(of)
        if target is not None:
            targets[bool(goes)].add((of, target))
    rows, answers = len(sources[True] - sources[False]), len(targets[True] - targets[False])
    counts = Counter({"rows_kept": -rows, "rows_removed": rows})
    if answers:
        counts.update({"targets_accepted": -answers, "targets_removed": answers})
    return counts


def _count_records(keys: Sequence[tuple[str, str, str]], gone: npt.NDArray[np.bool_]) -> Counter[str]:
    counts: Counter[str] = Counter()
    for (kind, stage, reason), goes in zip(keys, gone, strict=True):
        if goes:
            counts.update({f"{kind}s_rejected": -1, f"{kind}s_removed": 1, f"rejected_{kind}/{stage}/{reason}": -1})
    return counts


def _keys(output: OutputFolder, path: str) -> Iterator[tuple[frozenset[Hashable], Hashable]]:
    """Yields of each output row its source rows, and its target."""
    number, copies = 0, Copies()
    for table in _tables(output, path, ("lineage", _PARTS)):
        places = places_of(table)
        targets = _targets(table)
        parts = table.column(_PARTS).to_pylist() if _PARTS in table.column_names else [None] * table.num_rows
        for place, target, some in zip(places, targets, parts, strict=True):
            number += 1
            if some:
                yield copies.of(some), None
            else:
                yield frozenset([number if place is None else place]), target


def _targets(table: pa.Table) -> list[str | None]:
    lineage = table.schema.field("lineage").type if "lineage" in table.column_names else None
    if lineage is None or not pa.types.is_struct(lineage) or lineage.get_field_index("target") < 0:
        return [None] * table.num_rows
    found: list[str | None] = pc.struct_field(table.column("lineage"), "target").to_pylist()
    return found


def _records(output: OutputFolder, path: str) -> Iterator[tuple[str, str, str]]:
    for table in _tables(output, path, ("kind", "stage", "reason")):
        yield from zip(*(table.column(name).to_pylist() for name in ("kind", "stage", "reason")), strict=True)


def _tables(output: OutputFolder, path: str, names: Sequence[str]) -> Iterator[pa.Table]:
    with storage.open_input(output.join(path)) as file, pq.ParquetFile(file) as parquet:
        there = [name for name in names if name in parquet.schema_arrow.names] or parquet.schema_arrow.names[:1]
        for batch in parquet.iter_batches(_BATCH_ROWS, columns=there, use_threads=False):
            yield pa.Table.from_batches([batch])
