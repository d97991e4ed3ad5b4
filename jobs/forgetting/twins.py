"""What `dedup` keeps of a row in places where other rows are: as the one that was kept instead of them.

    rejected/                          details of duplicates name the kept row's path      without it
    _job/**/duplicates.parquet         kept_path; details of rows that couldn't be read    null
    _job/**/representatives.parquet    place and short keys (parts of hashes) of kept rows without the row

Places stay: a file of the input, row group and row. They say which row was meant to nobody but who has the input.

Cost: one pass over these tables and the details of duplicates.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator, Mapping, Set
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.finalize.rewriting import Rewriting
from jobs.forgetting.row_lists import Place
from jobs.grouping.duplicates import FILE as DUPLICATES
from jobs.grouping.duplicates import PlannedRows
from jobs.plan.units import read_plan
from jobs.storage.folders import OutputFolder
from transforms.duplicates.twins import REASONS, twin_named, without_path

_PLACE = ("name", "row_group", "row")
_KEPT = ("kept", "kept_path", "kept_edition", "kept_name", "kept_row_group", "kept_row")


@dataclass(frozen=True)
class Twins:
    """What `dedup` keeps of rows to be forgotten.

    Args:
        output: The output, of its newest edition.
        listed: By edition, the places of these rows.
        paths: Paths to be forgotten wherever they are.
    """

    output: OutputFolder
    listed: Mapping[int, Set[Place]]
    paths: frozenset[str]

    def naming(self, path: str) -> npt.NDArray[np.bool_]:
        """Which records of a shard name one of these rows by its path. A detail doesn't tell the edition."""
        places = set().union(*self.listed.values())
        parts = [np.zeros(0, dtype=bool)]
        with storage.open_input(self.output.join(path)) as file, pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(columns=["reason", "detail"], use_threads=False):
                names = np.zeros(batch.num_rows, dtype=bool)
                is_twin = pc.is_in(batch["reason"], pa.array(list(REASONS.values()), batch["reason"].type))
                for row in pc.indices_nonzero(is_twin).to_pylist():
                    named = twin_named(batch["detail"][row].as_py() or "")
                    names[row] = named is not None and bool(named[0]) and (named[0] in self.paths or named[1] in places)
                parts.append(names)
        return np.concatenate(parts)

    def purge(self, change: Rewriting) -> None:
        """Prepares the tables in `_job` without them."""
        for number in range(1, self.output.edition + 1):
            job_dir = self.output.of_edition(number).job
            if storage.exists(path := job_dir.join(DUPLICATES)):
                planned = PlannedRows(read_plan(job_dir))
                self._rewrite(change, path, functools.partial(self._unnamed, edition=number, planned=planned))
            if storage.exists(job_dir.representatives):
                self._rewrite(change, job_dir.representatives, functools.partial(self._left, edition=number))

    def _rewrite(self, change: Rewriting, path: str, purged: Callable[[pa.Table], pa.Table]) -> None:
        with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
            if all(purged(table).equals(table) for table in _groups(parquet)):
                return
            relative = path[len(self.output.join("")) :]
            with (
                storage.open_output(change.new_file(relative)) as new,
                pq.ParquetWriter(new, parquet.schema_arrow, compression="zstd") as writer,
            ):
                for table in _groups(parquet):
                    writer.write_table(purged(table))

    def _left(self, table: pa.Table, edition: int) -> pa.Table:
        listed = self.listed.get(edition, frozenset())
        places = zip(*(table[name].to_pylist() for name in _PLACE), strict=True)
        return table.filter(pa.array([place not in listed for place in places], pa.bool_()))

    def _unnamed(self, table: pa.Table, edition: int, planned: PlannedRows) -> pa.Table:
        """The table of clusters without paths and details of the rows."""
        own = [planned.place(number) in self.listed.get(edition, ()) for number in table["number"].to_pylist()]
        named = [self._is_named(row, edition, planned) for row in table.select(_KEPT).to_pylist()]
        hidden = {"detail": own, "kept_path": [mine or other for mine, other in zip(own, named, strict=True)]}
        for name, goes in hidden.items():
            place = table.schema.get_field_index(name)
            field = table.schema.field(place)
            nothing = pa.scalar(None, field.type)
            table = table.set_column(place, field, pc.if_else(pa.array(goes, pa.bool_()), nothing, table[name]))
        return table

    def _is_named(self, row: Mapping[str, object], edition: int, planned: PlannedRows) -> bool:
        if row["kept_path"] is None:
            return False
        if row["kept_path"] in self.paths:
            return True
        if row["kept_edition"] is None:
            return planned.place(int(str(row["kept"]))) in self.listed.get(edition, ())
        place = (row["kept_name"], row["kept_row_group"], row["kept_row"])
        return place in self.listed.get(int(str(row["kept_edition"])), ())


def unnamed_details(table: pa.Table, names: npt.NDArray[np.bool_]) -> pa.Table:
    """Records of which some lose the path of the row that was kept instead."""
    place = table.schema.get_field_index("detail")
    details = table["detail"].to_pylist()
    left = [without_path(detail) if hides else detail for detail, hides in zip(details, names, strict=True)]
    return table.set_column(place, table.schema.field(place), pa.array(left, table.schema.field(place).type))


def _groups(parquet: pq.ParquetFile) -> Iterator[pa.Table]:
    for group in range(parquet.num_row_groups):
        yield parquet.read_row_group(group, use_threads=False)
