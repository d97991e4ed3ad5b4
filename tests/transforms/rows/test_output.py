from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.rows.columns import RowLimits, resolve_columns, table_to_rows
from transforms.rows.output import SOURCE_FIELDS, OutputRow, output_schema, output_table, source_lineage
from transforms.rows.row import Row, SourceRef
from transforms.work import Unit

RESULTS = [pa.field("stars", pa.int64(), nullable=False), pa.field("word", pa.string())]
UNIT = Unit(unit_id="0-a", uri="a.parquet", version="", row_group=0, row_start=0, row_count=9, num_bytes=1)


def table_of(contents: list[str]) -> pa.Table:
    places = range(len(contents))
    paths, stars = [f"{n}.py" for n in places], pa.array(places, pa.int32())
    return pa.table({"path": pa.array(paths, pa.string()), "content": pa.array(contents, pa.string()), "stars": stars})


@given(st.lists(st.text(max_size=5), max_size=6), st.data())
def test_every_row_and_column_survives_with_the_content_and_the_results_of_the_row(contents, data):
    table = table_of(contents)
    column_map = resolve_columns(table.schema)
    indices = data.draw(st.lists(st.integers(0, len(contents) - 1), max_size=8)) if contents else []
    rows = [OutputRow(index, f"now {index}", {"word": str(n), "stars": n}) for n, index in enumerate(indices)]
    schema = output_schema(table.schema, column_map, RESULTS)
    made = output_table(table, column_map, schema, rows)
    made.validate(full=True)
    assert made.schema == schema
    assert made.to_pylist() == [
        {"path": f"{i}.py", "content": f"now {i}", "input_stars": i, "stars": n, "word": str(n)}
        for n, i in enumerate(indices)
    ]


def test_results_come_last_and_an_input_column_of_their_name_is_renamed():
    table = table_of(["x"])
    names = output_schema(table.schema, resolve_columns(table.schema), RESULTS).names
    assert names == ["path", "content", "input_stars", "stars", "word"]


@pytest.mark.parametrize("kind", [pa.large_string(), pa.binary(), pa.dictionary(pa.int32(), pa.string())])
def test_the_content_is_text_whatever_its_column_was(kind):
    table = table_of(["x", "yé"]).set_column(1, "content", pa.array(["x", "yé"]).cast(kind))
    column_map = resolve_columns(table.schema)
    items = table_to_rows(table, UNIT, [0, 1], column_map, RowLimits())
    rows = [OutputRow(index, item.content, {"stars": 0, "word": ""}) for index, item in enumerate(items)]
    made = output_table(table, column_map, output_schema(table.schema, column_map, RESULTS), rows)
    assert made.column("content").type == pa.large_string() and made.column("content").to_pylist() == ["x", "yé"]


def test_a_lineage_begins_with_the_rows_place_and_the_hash_of_its_raw_content():
    row = Row(SourceRef("a", 1, 2), "now", "raw", "redacted")
    lineage = source_lineage(row)
    assert lineage == {"source_uri": "a", "source_row_group": 1, "source_row": 2, "content_sha256": "raw"}
    assert list(lineage) == [field.name for field in SOURCE_FIELDS]
