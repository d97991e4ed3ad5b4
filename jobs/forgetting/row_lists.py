"""Takes rows that are forgotten out of the lists of rows by which a dataset grows (`jobs.growth.rows`).

    _job/rows/, _job/editions/N/rows/    what the units of each edition read             without these rows
    _job/editions/N/live.parquet         what the newest one has from earlier ones       without these rows
    _job/editions/N/dead.parquet         what left the dataset with it                   these without their hashes

Lists have repositories and contents as hashes only. A row is found by its place, as its shard or record tells it, or
by these hashes: it may be in no shard anymore, and packed rows tell no places. In `dead.parquet` the place stays, since
by it a row is found when a shard is written again. Lists of the rows that units read also tell the repositories of
rejected records.

Cost: one pass over the lists, about 30 bytes a row; a byte a row in memory.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Set
from dataclasses import dataclass

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.finalize.rewriting import Rewriting
from jobs.storage.folders import JobFolder, OutputFolder
from transforms.growth.identity import HASH_BYTES, Identity
from transforms.opt_out.hashed import HashedOptOut
from transforms.opt_out.lists import OptOut
from transforms.opt_out.selection import Selection

Place = tuple[str, int, int]
"""A source row: the public name of its file, row group, row."""
_PLACE = ("name", "row_group", "row")
_BATCH_ROWS = 65_536


@dataclass(frozen=True)
class RowLists:
    """The lists of the newest edition.

    Args:
        output: The output, of that edition.
        listed: By edition, the places of rows to be forgotten.
        selection: What is to be forgotten.
        identities: Key and content of further rows to be forgotten: those of parts of packed rows, which tell no place.
    """

    output: OutputFolder
    listed: Mapping[int, Set[Place]]
    selection: Selection
    identities: Set[Identity] = frozenset()

    def places(self) -> dict[int, set[Place]]:
        """By edition, the places of rows in the lists that are to be forgotten."""
        found: dict[int, set[Place]] = defaultdict(set)
        for number in range(1, self.output.edition + 1):
            for path in _lists(self.output.of_edition(number).job):
                with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
                    for table in map(_table, parquet.iter_batches(_BATCH_ROWS)):
                        rows = table.filter(self._forgotten(table, number))
                        found[number].update(zip(*(rows[name].to_pylist() for name in _PLACE), strict=True))
        return found

    def purge(self, change: Rewriting) -> None:
        """Prepares the lists without the rows."""
        for number in range(1, self.output.edition + 1):
            for path in _lists(self.output.of_edition(number).job):
                self._rewrite(change, path, number)
        if self.output.edition > 1:
            self._rewrite(change, self.output.job.live, self.output.edition)
            self._rewrite(change, self.output.job.dead, self.output.edition, keeps_places=True)

    def _rewrite(self, change: Rewriting, path: str, edition: int, *, keeps_places: bool = False) -> None:
        with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
            batches = map(_table, parquet.iter_batches(_BATCH_ROWS))
            masks = [self._forgotten(table, edition) for table in batches]
            if not any(pc.any(mask).as_py() for mask in masks):
                return
            relative = path[len(self.output.join("")) :]
            with (
                storage.open_output(change.new_file(relative)) as new,
                pq.ParquetWriter(new, parquet.schema_arrow, compression="zstd") as writer,
            ):
                for table, mask in zip(map(_table, parquet.iter_batches(_BATCH_ROWS)), masks, strict=True):
                    writer.write_table(_without_hashes(table, mask) if keeps_places else table.filter(pc.invert(mask)))

    def _forgotten(self, table: pa.Table, edition: int) -> pa.Array:
        own = [edition] * table.num_rows
        editions = table["edition"].to_pylist() if "edition" in table.column_names else own
        places = zip(*(table[name].to_pylist() for name in _PLACE), strict=True)
        found = pa.array(
            (place in self.listed.get(number, ()) for number, place in zip(editions, places, strict=True)), pa.bool_()
        )
        if self.identities:
            told = zip(table["key"].to_pylist(), table["content"].to_pylist(), strict=True)
            found = pc.or_(found, pa.array([one in self.identities for one in told], pa.bool_()))
        hashes = [bytes.fromhex(one)[:HASH_BYTES] for one in self.selection.sha256s]
        if hashes:
            found = pc.or_(found, pc.is_in(table["content"], pa.array(hashes, table.schema.field("content").type)))
        if len(self.selection.opt_out):
            find = HashedOptOut(self.selection.opt_out).find
            named = (any(map(find, names)) for names in table["repositories"].to_pylist())
            found = pc.or_(found, pa.array(named, pa.bool_()))
        return found


def repositories_listed(job_dir: JobFolder, opt_out: OptOut, places: Set[Place]) -> dict[Place, bool]:
    """Whether the repositories of rows are on opt-out lists, as far as the lists of an edition have these rows."""
    find = HashedOptOut(opt_out).find
    found: dict[Place, bool] = {}
    for path in _lists(job_dir):
        with storage.open_input(path) as file, pq.ParquetFile(file) as parquet:
            for table in map(_table, parquet.iter_batches(_BATCH_ROWS, columns=[*_PLACE, "repositories"])):
                columns = (table[name].to_pylist() for name in (*_PLACE, "repositories"))
                for *place, names in zip(*columns, strict=True):
                    if (at := tuple(place)) in places:
                        found[at] = any(map(find, names))
    return found


def _lists(job_dir: JobFolder) -> list[str]:
    return [storage.join(job_dir.rows, name) for name in storage.list_names(job_dir.rows)]


def _table(batch: pa.RecordBatch) -> pa.Table:
    return pa.Table.from_batches([batch])


def _without_hashes(table: pa.Table, mask: pa.Array) -> pa.Table:
    """The rows, of which some only tell their places."""
    for name in ("key", "content", "repositories"):
        place = table.schema.get_field_index(name)
        kind = table.schema.field(place).type
        nothing = pa.scalar([], kind) if name == "repositories" else pa.scalar(None, kind)
        table = table.set_column(place, table.schema.field(place), pc.if_else(mask, nothing, table[name]))
    return table
