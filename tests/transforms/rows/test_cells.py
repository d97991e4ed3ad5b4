from __future__ import annotations

import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from transforms.rows.cells import usable_texts
from transforms.rows.columns import ColumnMap, RowLimits, table_to_rows
from transforms.rows.row import Row
from transforms.work import Unit

CELLS = st.none() | st.sampled_from([b"", b"a", b"a\0", b"\xff", b"\xed\xa0\x80", "é".encode(), b"too long a text"])


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(CELLS, CELLS), max_size=8), st.integers(0, 3), st.booleans())
def test_the_usable_texts_are_those_of_the_rows_that_are_not_rejected(cells, skipped, is_chunked):
    contents, paths = (pa.array([pair[place] for pair in cells], pa.binary()) for place in (0, 1))
    # As Parquet without a check: text columns whose bytes need not be UTF-8.
    others = pa.Array.from_buffers(pa.string(), len(paths), paths.buffers())
    table = pa.table({"content": contents, "path": others})
    if is_chunked and len(cells) > 1:
        table = pa.concat_tables([table.slice(0, 1), table.slice(1)])
    table = table.slice(skipped)
    unit = Unit(unit_id="0", uri="a", version="", row_group=0, row_start=0, row_count=len(table), num_bytes=0)
    columns, limits = ColumnMap(content="content"), RowLimits(max_content_bytes=8)
    rows = table_to_rows(table, unit, list(range(len(table))), columns, limits)
    expected = [row.content.encode() if isinstance(row, Row) else None for row in rows]
    assert usable_texts(table, "content", 8).to_pylist() == expected
