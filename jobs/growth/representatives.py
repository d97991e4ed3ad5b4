"""The rows by which a further edition of `dedup` knows what the dataset has: those that earlier editions kept.

    _job/representatives.parquet                  place and short keys of each row that no other replaces (72 bytes)
    _job/editions/0002/representatives.parquet    the same of an edition that grew

    keys of the new rows -> rows of earlier editions that share one -> those that are in `data/` still, with their texts

The texts are read from `data/` and signed again, so that `_job` keeps no copy of them. What has left the dataset since,
replaced, forgotten or because its unit failed, is not there and so decides nothing.

Cost: one pass over the keys, one over where the rows of `data/` are from, and the row groups with rows that share a
key. Memory: the texts of one row group; 100 bytes for each row that shares a key.
"""

from __future__ import annotations

import json
import uuid
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.growth.editions import edition_of_shard
from jobs.growth.rewriting import where_is
from jobs.growth.rows import dead_rows
from jobs.storage.folders import DATA, JobFolder, OutputFolder
from model.errors import ConfigError
from transforms.duplicates.short_keys import ShortKeys, sharing
from transforms.rows.output import SOURCE_FIELDS
from transforms.work import Unit

SCHEMA: Final = pa.schema(
    [
        pa.field("name", pa.large_string(), nullable=False),
        pa.field("row_group", pa.int32(), nullable=False),
        pa.field("row", pa.int64(), nullable=False),
        pa.field("keys", pa.binary(), nullable=False),
    ]
)
_LINEAGE: Final = tuple(f"lineage.{field.name}" for field in SOURCE_FIELDS[:3])
_BATCH_ROWS: Final = 65_536


@dataclass(frozen=True, order=True, slots=True)
class Place:
    """Where a row was when an edition read it: the file's public name, row group and row."""

    edition: int
    name: str
    row_group: int
    row: int


def write_representatives(
    job_dir: JobFolder, units: Iterable[Unit], keys: ShortKeys, is_replaced: npt.NDArray[np.bool_]
) -> None:
    """Writes the rows of an edition that have keys and that no other row replaces; may be repeated.

    Args:
        job_dir: The edition's folder.
        units: Its units with rows.
        keys: The keys by the rows' numbers, in plan order.
        is_replaced: By the same numbers.
    """
    attempt = job_dir.join(f".representatives.{uuid.uuid4().hex}.tmp")  # a temporary file: removed after a kill
    with storage.open_output(attempt) as file, pq.ParquetWriter(file, SCHEMA, compression="zstd") as writer:
        waiting: list[pa.Table] = []
        for table in _tables(units, keys, is_replaced):
            waiting.append(table)
            if sum(one.num_rows for one in waiting) >= _BATCH_ROWS:
                writer.write_table(pa.concat_tables(waiting))
                waiting.clear()
        if waiting:
            writer.write_table(pa.concat_tables(waiting))
    storage.publish(attempt, job_dir.representatives)
    storage.remove(attempt)


def _tables(units: Iterable[Unit], keys: ShortKeys, is_replaced: npt.NDArray[np.bool_]) -> Iterator[pa.Table]:
    first = 0
    for unit in units:
        numbers = first + np.arange(len(unit.rows))
        first += len(unit.rows)
        stays = np.flatnonzero(keys.has(numbers) & ~is_replaced[numbers])
        places = [unit.place(unit.rows[position]) for position in stays.tolist()]
        columns = zip(*places, strict=True) if places else ((), (), ())
        arrays = [pa.array(list(values), field.type) for values, field in zip(columns, SCHEMA, strict=False)]
        yield pa.table([*arrays, keys.of(numbers[stays])], schema=SCHEMA)


@dataclass(frozen=True, slots=True)
class Representative:
    """A row of an earlier edition; `path` is its file's path, "" without one."""

    place: Place
    path: str


def find_representatives(
    output: OutputFolder,
    keys: npt.NDArray[np.uint32],
    columns: tuple[str, str | None],
    take: Callable[[Sequence[int], Sequence[bytes]], None],
) -> list[Representative]:
    """Finds rows of earlier editions that share a key with new rows, in the order of editions and plans.

    Args:
        output: The edition that is made.
        keys: Those of the new rows, sorted.
        columns: The names of the columns of `data/` with text and path.
        take: Called with the texts of some rows, and their positions in the result.

    Raises:
        ConfigError: A file is missing: the edition before was made by a version that wrote none, or it was removed.
    """
    wanted = [place for edition in range(1, output.edition) for place in _sharing(output.of_edition(edition), keys)]
    dead = dead_rows(output.job)
    gone = set(map(Place, *(dead[name].to_pylist() for name in ("edition", "name", "row_group", "row"))))
    numbers = {place: number for number, place in enumerate(dict.fromkeys(p for p in wanted if p not in gone))}
    held = dict(_held(output, numbers))
    order = {number: position for position, number in enumerate(sorted(held))}
    for shard, groups in _by_group(held.values()).items():
        with storage.open_input(where_is(output, shard)) as file, pq.ParquetFile(file) as parquet:
            for group, found in sorted(groups.items()):
                text, path = columns
                names = [name for name in (text, path) if name is not None]
                table = parquet.read_row_group(group, columns=names, use_threads=False)
                some = table.take(pa.array([one.row for one in found]))
                for one, value in zip(found, _texts(some, path), strict=True):
                    one.path = value
                texts = [text_.encode() if isinstance(text_, str) else text_ for text_ in some[text].to_pylist()]
                take([order[one.number] for one in found], texts)
    by_number = {number: place for place, number in numbers.items()}
    return [Representative(by_number[number], held[number].path) for number in sorted(held)]


def _texts(table: pa.Table, name: str | None) -> list[str]:
    return [""] * table.num_rows if name is None else [value or "" for value in table[name].to_pylist()]


def _sharing(output: OutputFolder, keys: npt.NDArray[np.uint32]) -> Iterator[Place]:
    """The rows that an edition kept and that share a key, in plan order."""
    try:
        with storage.open_input(output.job.representatives) as file, pq.ParquetFile(file) as parquet:
            for batch in parquet.iter_batches(_BATCH_ROWS):
                found = batch.take(pa.array(sharing(batch["keys"], keys)))
                for name, group, row in zip(*(found[n].to_pylist() for n in SCHEMA.names[:3]), strict=True):
                    yield Place(output.edition, name, group, row)
    except FileNotFoundError:
        if storage.list_names(output.job.rows):
            raise ConfigError(
                f"{output} can't grow: {output.job.representatives} is missing, since an earlier version of codemill "
                "made it; make it anew in another --output"
            ) from None


@dataclass(slots=True)
class _Held:
    """Where in `data/` a wanted row is."""

    number: int
    shard: str
    group: int
    row: int
    path: str = ""


def _held(output: OutputFolder, numbers: Mapping[Place, int]) -> Iterator[tuple[int, _Held]]:
    """The wanted rows that are in the dataset."""
    if not numbers:
        return
    files = json.loads(storage.read_bytes(output.job.before))["completed"]["files"]
    for shard in sorted(path for path in files if path.startswith(f"{DATA}/")):
        edition = edition_of_shard(shard)
        wanted = [place for place in numbers if place.edition == edition]
        if not wanted:
            continue
        with storage.open_input(where_is(output, shard)) as file, pq.ParquetFile(file) as parquet:
            for group in range(parquet.num_row_groups):
                for row, place in _places(parquet, group, wanted):
                    if (number := numbers.get(place)) is not None:
                        yield number, _Held(number, shard, group, row)


def _places(parquet: pq.ParquetFile, group: int, wanted: Collection[Place]) -> Iterator[tuple[int, Place]]:
    """Rows of a row group that may be wanted, with their places."""
    lineage = parquet.read_row_group(group, columns=list(_LINEAGE), use_threads=False)["lineage"]
    uri, row_group, row = (pc.struct_field(lineage, field.name) for field in SOURCE_FIELDS[:3])
    names = pc.is_in(uri, pa.array({place.name for place in wanted}, uri.type))
    rows = pc.is_in(row, pa.array({place.row for place in wanted}, row.type))
    places = pc.indices_nonzero(pc.and_(names, rows))
    edition = next(iter(wanted)).edition
    found = zip(*(column.take(places).to_pylist() for column in (uri, row_group, row)), strict=True)
    for position, (name, source_group, source_row) in zip(places.to_pylist(), found, strict=True):
        yield position, Place(edition, name, source_group, source_row)


def _by_group(held: Iterable[_Held]) -> dict[str, dict[int, list[_Held]]]:
    found: dict[str, dict[int, list[_Held]]] = {}
    for one in held:
        found.setdefault(one.shard, {}).setdefault(one.group, []).append(one)
    return found
