"""What fused steps made of rows in a first pass, kept for the second; without the texts that the input has.

    _job/fused/<step>/<unit>.<first row>       one file per piece of a unit that was read in the first pass
        an Arrow stream    of the kept rows: the columns that the step added, and what it changed in the input's; of a
                           text column only the texts that differ
        an Arrow stream    the rejected records

Dedup reads all rows before the units run. Steps before it would otherwise run twice over each row. The results are
found again if the second pass reads the same rows, which it does unless something went wrong; otherwise the steps run
again. They are removed when the job is complete.

Cost: about 200 bytes a row.
"""

from __future__ import annotations

import io
import json
from collections import Counter
from collections.abc import Sequence
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from jobs import storage
from jobs.storage.failpoints import failpoint, register
from jobs.storage.folders import OutputFolder
from transforms.fused_work import places_left
from transforms.rows.types import is_text_type
from transforms.work import Unit, UnitResult

AFTER_RESULT = register("fused.after_result")

_FACTS: Final = b"codemill"
_COMPRESSED: Final = pa.ipc.IpcWriteOptions(compression="zstd")
_NUMBER: Final = "number"


class ResultsInJob:
    """Results in a job's folder; see `transforms.fused_work.KeptResults`.

    Args:
        output: The job's output folder.
    """

    def __init__(self, output: str):
        self._output = output

    def _path(self, step: str, unit: Unit, row: int) -> str:
        return OutputFolder(self._output).job.fused_result(step, unit.unit_id, row)

    def keep(self, step: str, unit: Unit, table: pa.Table, rows: Sequence[int], result: UnitResult) -> None:
        """Writes a step's result for these rows of a unit."""
        if rows:
            # Not durable: what a power loss takes is made again.
            storage.write_bytes(self._path(step, unit, rows[0]), to_bytes(unit, table, rows, result), durable=False)
            failpoint(AFTER_RESULT)

    def find(self, step: str, unit: Unit, table: pa.Table, rows: Sequence[int], schema: pa.Schema) -> UnitResult | None:
        """Returns the result for these rows; None unless it was kept for pieces that make up just these rows."""
        parts: list[UnitResult] = []
        done = 0
        while done < len(rows):
            try:
                data = storage.read_bytes(self._path(step, unit, rows[done]))
                found = from_bytes(data, unit, table.slice(done), rows[done:], schema)
            except (FileNotFoundError, pa.ArrowException, ValueError):
                return None
            if found is None:
                return None
            parts.append(found)
            done += found.counts["rows_in"]
        counts: Counter[str] = Counter()
        for part in parts:
            counts.update(part.counts)
        kept, rejected = ([getattr(part, name) for part in parts] for name in ("kept", "rejected"))
        return UnitResult(pa.concat_tables(kept), pa.concat_tables(rejected), counts)


def to_bytes(unit: Unit, table: pa.Table, rows: Sequence[int], result: UnitResult) -> bytes:
    """A result without what can be taken from the rows that it was made of.

    Args:
        unit: Their unit.
        table: The rows.
        rows: Their numbers in the unit.
        result: The result.
    """
    places = places_left(unit, rows, result)
    taken = table.take(pa.array(places, pa.int64()))
    # The first column keeps the number of rows if no other is left.
    columns: dict[str, Any] = {_NUMBER: pa.array(range(len(places)), pa.int32())}
    partly = []
    for position, field in enumerate(result.kept.schema):
        column: Any = result.kept.column(position)
        before = _as(taken.column(position), field.type) if position < table.num_columns else None
        if before is not None and column.equals(before):
            continue
        if before is not None and is_text_type(field.type) and not column.null_count:
            is_same = pc.fill_null(pc.equal(column, before), False)
            column = pc.if_else(is_same, pa.scalar(None, field.type), column)
            partly.append(position)
        columns[str(position)] = column
    is_range = len(rows) == rows[-1] - rows[0] + 1
    numbers = [rows[0], rows[-1] + 1] if is_range else list(rows)
    facts = {"rows": numbers, "is_range": is_range, "partly": partly, "counts": dict(result.counts)}
    sink = io.BytesIO()
    for part in (pa.table(columns).replace_schema_metadata({_FACTS: json.dumps(facts)}), result.rejected):
        with pa.ipc.new_stream(sink, part.schema, options=_COMPRESSED) as writer:
            writer.write_table(part)
    return sink.getvalue()


def from_bytes(data: bytes, unit: Unit, table: pa.Table, rows: Sequence[int], schema: pa.Schema) -> UnitResult | None:
    """Reads what `to_bytes` wrote of the first of these rows; None if it is of others.

    Args:
        data: The bytes.
        unit: The rows' unit.
        table: The rows, and others that follow them.
        rows: Their numbers in the unit.
        schema: The columns of the step's rows.
    """
    source = pa.BufferReader(data)
    with pa.ipc.open_stream(source) as reader:
        stored = reader.read_all()
    with pa.ipc.open_stream(source) as reader:
        rejected = reader.read_all()
    facts = json.loads(stored.schema.metadata[_FACTS])
    its_rows = list(range(*facts["rows"])) if facts["is_range"] else facts["rows"]
    if list(rows[: len(its_rows)]) != its_rows:
        return None
    result = UnitResult(stored, rejected, Counter(facts["counts"]))
    taken = table.take(pa.array(places_left(unit, its_rows, result), pa.int64()))
    columns = []
    for position, field in enumerate(schema):
        name = str(position)
        if name not in stored.column_names:
            columns.append(_as(taken.column(position), field.type))
        elif position in facts["partly"]:
            columns.append(pc.coalesce(stored.column(name), _as(taken.column(position), field.type)))
        else:
            columns.append(stored.column(name).cast(field.type))
    return UnitResult(pa.Table.from_arrays(columns, schema=schema), rejected, result.counts)


def _as(column: Any, kind: pa.DataType) -> Any:
    """The column in another type; None if it can't be."""
    try:
        return column.cast(kind)
    except pa.ArrowException:
        return None
