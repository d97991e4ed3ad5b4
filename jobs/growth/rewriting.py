"""Writes shards of earlier editions again, without the rows that left the dataset, or in a schema with more columns.

    data/train-00003-of-00012.parquet -> _job/editions/0002/rewritten/data/train-00003-of-00012-r0002.parquet
                                         ...r0002.parquet.json: what was dropped; written last

A row is found by its place in the input when it was made (its lineage, or that of a rejected record) and the edition
that made it; a packed row by the unit in which it was packed, all of whose rows leave together. Shards that have none
of these rows stay as they are. A repeated call writes the same bytes.

Cost: of shards whose edition lost rows the columns with the place are read, and those with such a row are written anew;
one row group is in memory.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Mapping, Sequence, Set
from dataclasses import asdict, dataclass, field
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from jobs import storage
from jobs.errors import UNREADABLE
from jobs.growth.editions import edition_of_shard, rewritten_path
from jobs.plan.schemas import fit_table
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import REJECTED, OutputFolder
from jobs.storage.parquet import WRITING
from model.errors import ConfigError
from transforms.opt_out.rows import is_packed
from transforms.packing.parts import FILE, UNIT, Copies
from transforms.rows.cells import READ_STAGE
from transforms.rows.output import SOURCE_FIELDS
from transforms.rows.rejections import REJECTED_SCHEMA

INSIDE_REWRITTEN = register("growth.inside_rewritten")
AFTER_REWRITTEN = register("growth.after_rewritten")

_PLACE: Final = ("uri", "row_group", "row")
_WHY: Final = ("kind", "stage", "reason")
_LINEAGE: Final = "lineage"
_IN_LINEAGE: Final = tuple(f"{_LINEAGE}.{field.name}" for field in SOURCE_FIELDS[:3])

Place = tuple[str, int, int]


@dataclass(frozen=True, kw_only=True)
class Rewritten:
    """A shard that was written again.

    Args:
        old: Its path in the output.
        new: The path of what replaces it; None if no row is left.
        rows: Rows that are left.
        bytes, sha256: Of the new file.
        dropped: Rows that are not.
        sources: The source rows of those that are not: of rejected records, only of rejected rows.
        unread: Those of them that could not be read.
        tally: Dropped rejected records as `kind/stage/reason`.
    """

    old: str
    new: str | None
    rows: int
    bytes: int
    sha256: str
    dropped: int
    sources: int
    unread: int = 0
    tally: Mapping[str, int] = field(default_factory=dict)


class DeadRows:
    """The rows that leave a dataset, by the edition that made them.

    Args:
        table: Rows of `jobs.growth.rows.DEAD_SCHEMA`.
        read_again: Names of files whose rows, where they could not be read, are no longer rejected for that: they are
            read again.
    """

    def __init__(self, table: pa.Table, read_again: Iterable[str] = ()):
        self.count = table.num_rows
        self.read_again = frozenset(read_again)
        self._places: dict[int, set[Place]] = {}
        self._units: dict[int, set[int]] = {}
        columns = (table[name].to_pylist() for name in ("edition", "unit", "name", "row_group", "row"))
        for edition, unit, *place in zip(*columns, strict=True):
            self._places.setdefault(edition, set()).add(tuple(place))
            self._units.setdefault(edition, set()).add(unit)

    def __bool__(self) -> bool:
        return bool(self.count or self.read_again)

    def find_in(self, path: str) -> Dead:
        """Those that the shard of this name may have."""
        edition = edition_of_shard(path)
        if edition is None:
            return Dead(set())
        read_again = self.read_again if path.startswith(f"{REJECTED}/") else frozenset()
        return Dead(self._places.get(edition, set()), self._units.get(edition, set()), read_again)


@dataclass(frozen=True)
class Dead:
    """Rows to drop from a shard: by their places, packed ones by their units, and of these files those that could not
    be read."""

    places: set[Place]
    units: Set[int] = frozenset()
    read_again: frozenset[str] = frozenset()

    def __bool__(self) -> bool:
        return bool(self.places or self.read_again)


def rewrite_shard(output: OutputFolder, path: str, dead: Dead, schema: pa.Schema, *, anyway: bool) -> Rewritten | None:
    """Writes one shard again; returns None if it stays as it is. May be repeated.

    Args:
        output: The edition that is being made.
        path: The shard, relative to the output.
        dead: The rows to drop.
        schema: Of the dataset, with its metadata.
        anyway: Whether it is written again even if it has none of the rows.

    Raises:
        ConfigError: The shard is not there.
    """
    new = rewritten_path(path, output.edition)
    record_path = output.job.rewritten(f"{new}.json")
    if storage.exists(record_path):
        return Rewritten(**json.loads(storage.read_bytes(record_path)))
    return write_again(output, path, dead, schema, anyway=anyway)


def write_again(output: OutputFolder, path: str, dead: Dead, schema: pa.Schema, *, anyway: bool) -> Rewritten | None:
    """The same as `rewrite_shard`, whether it was done before or not."""
    new = rewritten_path(path, output.edition)
    is_rejected = path.startswith(f"{REJECTED}/")
    if is_rejected:
        schema = REJECTED_SCHEMA.with_metadata(schema.metadata)
    if not dead and not (anyway and not is_rejected):
        return None
    with storage.open_input(where_is(output, path)) as opened, pq.ParquetFile(opened) as parquet:
        masks, sources, unread = _all_drops(parquet, dead, is_rejected)
        dropped = sum(pc.sum(mask).as_py() or 0 for mask in masks)
        if not dropped and not (anyway and not is_rejected):
            return None
        left = parquet.metadata.num_rows - dropped
        tally = _tally(parquet, masks) if is_rejected else {}
        num_bytes, sha256 = 0, ""
        if left:
            storage.remove(output.job.rewritten(new))  # of a run that was ended
            with storage.open_output(output.job.rewritten(new)) as file:
                _write(file, parquet, masks, schema)
            num_bytes, sha256 = file.bytes, file.sha256
    record = Rewritten(
        old=path,
        new=new if left else None,
        rows=left,
        bytes=num_bytes,
        sha256=sha256,
        dropped=dropped,
        sources=sources,
        unread=unread,
        tally=tally,
    )
    storage.write_bytes(output.job.rewritten(f"{new}.json"), json.dumps(asdict(record)).encode())
    failpoint(AFTER_REWRITTEN)
    return record


def where_is(output: OutputFolder, path: str) -> str:
    """Where a shard of the edition before is now: it may have been moved by a run that was ended.

    Raises:
        ConfigError: Nowhere.
    """
    moved = moved_to(output, path)
    for place in (output.join(path), output.join(moved)):
        if storage.exists(place):
            return place
    raise ConfigError(f"{output.join(path)} is missing, and the dataset can't grow without it; restore it")


def moved_to(output: OutputFolder, path: str) -> str:
    """Where a shard of the edition before goes if this one doesn't have it, relative to the output."""
    return storage.join(output.earlier[len(output.path) + 1 :], f"{output.edition - 1:04d}", path)


def lost_for_good(output: OutputFolder, missing: Iterable[str]) -> list[str]:
    """Those of the missing files that are shards of earlier editions which this one can't write again."""
    earlier = [path for path in missing if edition_of_shard(path) not in (None, output.edition)]
    return [path for path in earlier if not _can_write_again(output, path)]


def _can_write_again(output: OutputFolder, new: str) -> bool:
    record = output.job.rewritten(f"{new}.json")
    if not storage.exists(record):
        return False
    old = json.loads(storage.read_bytes(record))["old"]
    return any(storage.exists(output.join(place)) for place in (old, moved_to(output, old)))


def _all_drops(parquet: pq.ParquetFile, dead: Dead, is_rejected: bool) -> tuple[list[Any], int, int]:
    """Which rows are dropped, by row group, how many source rows are dropped as a whole, and how many of these could
    not be read."""
    if not is_rejected and is_packed(parquet.schema_arrow):
        return *_packed_drops(parquet, dead.units), 0
    drops = [_drops(parquet, group, dead, is_rejected) for group in range(parquet.num_row_groups)]
    sources: set[Place] = set().union(*(places for _, places in drops))
    return [mask for mask, _ in drops], len(sources), len(sources - dead.places)


def _packed_drops(parquet: pq.ParquetFile, units: Set[int]) -> tuple[list[Any], int]:
    """Which packed rows are dropped, by row group, and how many files are in them. A file may be in several rows."""
    names = [f"parts.list.element.{name}" for name in (*FILE, "role", "start", "end")]
    masks: list[Any] = []
    files: dict[int, set[Hashable]] = defaultdict(set)  # by unit
    copies: dict[int, Copies] = defaultdict(Copies)
    for group in range(parquet.num_row_groups):
        found = parquet.read_row_group(group, columns=[UNIT], use_threads=False)[UNIT]
        mask = pc.is_in(found, pa.array(sorted(units), found.type)).combine_chunks()
        masks.append(mask)
        if not pc.any(mask).as_py():
            continue
        dropped = parquet.read_row_group(group, columns=[UNIT, *names], use_threads=False).filter(mask)
        for unit, parts in zip(dropped[UNIT].to_pylist(), dropped["parts"].to_pylist(), strict=True):
            files[unit] |= copies[unit].of(parts)
    return masks, sum(map(len, files.values()))


def _drops(parquet: pq.ParquetFile, group: int, dead: Dead, is_rejected: bool) -> tuple[Any, set[Place]]:
    """Which rows of a row group are dropped, and the source rows that are dropped as a whole."""
    names = [*_PLACE, *_WHY] if is_rejected else list(_IN_LINEAGE)
    table = parquet.read_row_group(group, columns=names, use_threads=False)
    if not is_rejected:
        fields = zip(_PLACE, SOURCE_FIELDS[:3], strict=True)
        table = pa.table({name: pc.struct_field(table[_LINEAGE], field.name) for name, field in fields})
    places = list(zip(*(table[name].to_pylist() for name in _PLACE), strict=True))
    mask = [place in dead.places for place in places]
    if not is_rejected:
        return pa.array(mask, pa.bool_()), {place for place, is_out in zip(places, mask, strict=True) if is_out}
    why = list(zip(*(table[name].to_pylist() for name in _WHY), strict=True))
    if dead.read_again:
        unread = [
            _is_unread(*reason) and place[0] in dead.read_again for place, reason in zip(places, why, strict=True)
        ]
        mask = [one or other for one, other in zip(mask, unread, strict=True)]
    whole = {place for place, is_out, (kind, *_) in zip(places, mask, why, strict=True) if is_out and kind == "row"}
    return pa.array(mask, pa.bool_()), whole


def _is_unread(kind: str, stage: str, reason: str) -> bool:
    return kind == "row" and stage == READ_STAGE and reason in UNREADABLE


def _tally(parquet: pq.ParquetFile, masks: Sequence[Any]) -> dict[str, int]:
    found: Counter[str] = Counter()
    for group, mask in enumerate(masks):
        table = parquet.read_row_group(group, columns=list(_WHY), use_threads=False).filter(mask)
        found.update("/".join(words) for words in zip(*(table[name].to_pylist() for name in _WHY), strict=True))
    return dict(found)


def _write(file: Any, parquet: pq.ParquetFile, masks: Sequence[Any], schema: pa.Schema) -> None:
    with pq.ParquetWriter(file, schema, **WRITING) as writer:
        for group, mask in enumerate(masks):
            table = parquet.read_row_group(group, use_threads=False).filter(pc.invert(mask))
            if table.num_rows:
                writer.write_table(fit_table(table, schema), row_group_size=table.num_rows)
            failpoint(INSIDE_REWRITTEN)
