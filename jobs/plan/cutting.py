"""Cuts the input files into units.

    files -> row groups -> runs: a large group alone, small ones combined -> units: a large run split evenly,
             consecutive files of one run each combined

A unit is a range of rows of one row group, bounded by rows, bytes and estimated tokens. A row group over a bound is
split into even parts; consecutive small row groups of a file are combined up to the bounds, and so are consecutive
files that would be one unit each, since a unit costs two synchronized writes. A bad file is a unit as well, with no
rows and a failed commit from the start.

A job commits nothing before its first unit is done. Where rows take seconds each (`few_rows_in_several_units`), a plan
of fewer than `FEW_UNITS` units is cut again, into about that many.

Which rows share a unit doesn't affect what becomes of them (but see `docs/design.md` for faults of a whole unit).

Cost: linear in row groups.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from jobs.plan.footers import InputFile, RowGroup
from jobs.plan.inputs import Inputs
from jobs.plan.units import BYTES_PER_TOKEN, NO_ROW_GROUP, Plan, planned_rows
from transforms.work import Unit, UnitFile

MAX_UNIT_TOKENS = 4_000_000
FEW_UNITS = 8
MIN_ROWS_CUT_AGAIN = 4  # with fewer, writing a unit's files and scoring its answers in batches cost more than they show


@dataclass(frozen=True, kw_only=True)
class UnitBounds:
    """The maximum size of a unit. A single row that exceeds `bytes` is a separate unit.

    `join` combines small row groups and files; without it, no unit spans several.
    """

    rows: int = 256
    bytes: int = 16_000_000
    tokens: int = MAX_UNIT_TOKENS
    join: bool = True

    @classmethod
    def row_groups(cls) -> UnitBounds:
        """Returns bounds that make each row group a unit, whatever its size."""
        return cls(rows=2**62, bytes=2**62, tokens=2**56, join=False)

    def parts(self, run: _Run) -> int:
        """Returns the number of units into which the rows must be split."""
        most = min(
            self.rows,
            self.bytes * run.rows // max(run.num_bytes, 1),
            int(self.tokens * BYTES_PER_TOKEN) * run.rows // max(run.content_bytes, 1),
        )
        return -(-run.rows // max(most, 1))


@dataclass(frozen=True)
class _Run:
    """Consecutive row groups: the number of the first, the rows of each and of all, the bytes of all."""

    first: int
    group_rows: tuple[int, ...]
    rows: int
    num_bytes: int
    content_bytes: int

    def and_then(self, other: _Run) -> _Run:
        return _Run(
            self.first,
            self.group_rows + other.group_rows,
            self.rows + other.rows,
            self.num_bytes + other.num_bytes,
            self.content_bytes + other.content_bytes,
        )


def make_plan(
    inputs: Inputs,
    *,
    columns: Sequence[str],
    bounds: UnitBounds,
    limit: int | None = None,
    retry: Mapping[tuple[str, int], Sequence[int]] | None = None,
    few_rows_in_several_units: bool = False,
) -> Plan:
    """Splits the inputs into units. The same arguments make the same plan.

    Args:
        inputs: The files with their footers.
        columns: The columns that are read.
        bounds: The maximum size of a unit.
        limit: Take only the first `limit` rows; files after them are not examined.
        retry: Take only these rows, by file (its public name) and row group.
        few_rows_in_several_units: Whether to cut the rows into smaller units if they would be fewer than `FEW_UNITS`.
    """
    plan = _cut_to(bounds, inputs, columns, limit, retry)
    num_units = sum(1 for unit in plan.units if unit.row_group != NO_ROW_GROUP)
    if not few_rows_in_several_units or not 0 < num_units < FEW_UNITS:
        return plan
    rows = max(MIN_ROWS_CUT_AGAIN, -(-plan.rows // FEW_UNITS))
    return _cut_to(replace(bounds, rows=min(bounds.rows, rows)), inputs, columns, limit, retry)


def _cut_to(
    bounds: UnitBounds,
    inputs: Inputs,
    columns: Sequence[str],
    limit: int | None,
    retry: Mapping[tuple[str, int], Sequence[int]] | None,
) -> Plan:
    cut: list[_Cut] = []
    files: list[InputFile] = []
    left = limit
    for file in inputs.files:
        if left == 0:
            break
        found = _cut_file(file, inputs, columns, bounds, retry)
        if left is None:
            cut += found
        else:
            taken = list(_take_rows(found, left))
            left -= sum(planned_rows(one.unit) for one in taken)
            cut += taken
        files.append(file)
    return Plan(tuple(_named(list(_join_files(cut, bounds)))), tuple(files))


@dataclass(frozen=True, slots=True)
class _Cut:
    """A unit as it is cut out of one file. `whole` is the file's only run, if the unit has all of it."""

    unit: Unit
    whole: _Run | None = None


def _cut_file(
    file: InputFile,
    inputs: Inputs,
    columns: Sequence[str],
    bounds: UnitBounds,
    retry: Mapping[tuple[str, int], Sequence[int]] | None,
) -> Iterator[_Cut]:
    if file.state == "bad":
        yield _Cut(_unit(file, NO_ROW_GROUP, 0, 0, 0))
    if file.state != "good":
        return
    runs = list(_runs(inputs.footers[file.uri].groups, columns, inputs.columns.content, bounds))
    for run in runs:
        wanted = [] if retry is None else list(_rows_to_retry(file, run, retry))
        parts = bounds.parts(run)
        whole = run if len(runs) == parts == 1 else None
        for start, count in _even_ranges(run.rows, parts):
            unit = _unit(file, run.first, start, count, run.num_bytes * count // run.rows)
            if len(run.group_rows) > 1:
                unit = replace(unit, group_rows=run.group_rows)
            if retry is None:
                yield _Cut(unit, whole)
                continue
            rows = wanted[bisect_left(wanted, start) : bisect_left(wanted, start + count)]
            if rows:
                yield _Cut(unit if len(rows) == count else _narrowed(unit, rows), whole)


def _join_files(cut: Iterable[_Cut], bounds: UnitBounds) -> Iterator[Unit]:
    """Combines consecutive files that are one unit each, up to the bounds."""
    files: list[_Cut] = []
    total: _Run | None = None
    for one in cut:
        both = None if total is None or one.whole is None else total.and_then(one.whole)
        if both is not None and bounds.join and bounds.parts(both) == 1:
            files.append(one)
            total = both
            continue
        if files:
            yield _joined(files)
        files, total = [one], one.whole
    if files:
        yield _joined(files)


def _joined(cut: Sequence[_Cut]) -> Unit:
    """Returns the files as one unit, whose rows are numbered across all of them."""
    first = cut[0].unit
    if len(cut) == 1:
        return first
    before = 0
    rows: list[int] = []
    files = []
    for one in cut:
        unit, whole = one.unit, one.whole
        assert whole is not None
        files.append(
            UnitFile(
                uri=unit.uri,
                version=unit.version,
                name=unit.name,
                row_group=unit.row_group,
                group_rows=whole.group_rows,
            )
        )
        rows += [before + row for row in unit.rows]
        before += whole.rows
    joined = replace(
        first,
        num_bytes=sum(one.unit.num_bytes for one in cut),
        group_rows=files[0].group_rows,
        more=tuple(files[1:]),
    )
    return _narrowed(joined, rows, retry=any(one.unit.retry_rows is not None for one in cut))


def _runs(groups: Sequence[RowGroup], columns: Sequence[str], content: str, bounds: UnitBounds) -> Iterator[_Run]:
    """Yields a file's row groups in order, small ones combined; empty groups are skipped or inside a combined run."""
    run: _Run | None = None
    for index, group in enumerate(groups):
        num_bytes = sum(group.column_bytes.get(name, 0) for name in columns)
        one = _Run(index, (group.rows,), group.rows, num_bytes, group.column_bytes.get(content, 0))
        if run is not None and bounds.join and bounds.parts(run.and_then(one)) == 1:
            run = run.and_then(one)
            continue
        if run is not None:
            yield run
        run = one if group.rows else None
    if run is not None:
        yield run


def _rows_to_retry(file: InputFile, run: _Run, retry: Mapping[tuple[str, int], Sequence[int]]) -> Iterator[int]:
    """Yields the wanted rows of these row groups, counted from the first row of the first group."""
    before = 0
    for index, rows in enumerate(run.group_rows, run.first):
        yield from (before + row for row in retry.get((file.public_name, index), ()))
        before += rows


def _unit(file: InputFile, row_group: int, start: int, count: int, num_bytes: int) -> Unit:
    return Unit(
        unit_id="",
        uri=file.uri,
        name=file.name,
        version=file.version,
        row_group=row_group,
        row_start=start,
        row_count=count,
        num_bytes=num_bytes,
    )


def _narrowed(unit: Unit, rows: Sequence[int], *, retry: bool = True) -> Unit:
    """Returns the unit with only these of its rows, and the smallest range that includes them."""
    retry_rows = tuple(rows) if retry else None
    return replace(unit, row_start=rows[0], row_count=rows[-1] - rows[0] + 1, retry_rows=retry_rows)


def _even_ranges(total: int, parts: int) -> Iterator[tuple[int, int]]:
    for part in range(parts):
        start, end = total * part // parts, total * (part + 1) // parts
        yield start, end - start


def _take_rows(cut: Iterable[_Cut], limit: int) -> Iterator[_Cut]:
    for one in cut:
        unit, rows = one.unit, planned_rows(one.unit)
        if rows <= limit:
            yield one
        elif limit > 0 and unit.retry_rows is not None:
            yield replace(one, unit=_narrowed(unit, unit.retry_rows[:limit]))
        elif limit > 0:
            num_bytes = unit.num_bytes * limit // unit.row_count
            yield replace(one, unit=replace(unit, row_count=limit, num_bytes=num_bytes))
        limit -= rows
        if limit <= 0:  # the units after these needn't be cut: a row group may have millions
            return


def _named(units: Sequence[Unit]) -> Iterator[Unit]:
    """Assigns ids to units: the position in the plan, then a hash of the rest, so that ids sort in plan order."""
    width = max(6, len(str(len(units))))
    for position, unit in enumerate(units):
        rows = [unit.row_group, unit.row_start, unit.row_count, unit.retry_rows, unit.group_rows]
        more = [(file.uri, file.version, file.row_group, file.group_rows) for file in unit.more]
        rest = repr([unit.uri, unit.version, *rows, *more])
        digest = hashlib.sha256(rest.encode()).hexdigest()[:8]
        yield replace(unit, unit_id=f"{position:0{width}d}-{digest}")
