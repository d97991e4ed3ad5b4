"""A file of groups that were encoded by themselves is, to the byte, the one that Arrow's writer makes."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from transforms.rows import row_groups
from transforms.rows.row_groups import GroupFile, encode_group

SCHEMA = pa.schema(
    [
        pa.field("blob_id", pa.string(), nullable=False),
        pa.field("name", pa.string()),
        pa.field("content", pa.large_string(), nullable=False),
        pa.field("size", pa.int64()),
        pa.field("is_odd", pa.bool_(), nullable=False),
        pa.field("words", pa.list_(pa.field("element", pa.string())), nullable=False),
        pa.field("score", pa.float64()),
    ],
    metadata={"schema_version": "2"},
)
rows = st.fixed_dictionaries(
    {
        "blob_id": st.text("0123456789abcdef", min_size=4, max_size=4),
        "name": st.none() | st.sampled_from(["a", "b", "é"]),
        "content": st.text(max_size=40),
        "size": st.none() | st.integers(-(2**63), 2**63 - 1),
        "is_odd": st.booleans(),
        "words": st.lists(st.text(max_size=3), max_size=3),
        "score": st.none() | st.floats(allow_nan=False),
    }
)


def table_of(found: list[dict]) -> pa.Table:
    return pa.Table.from_pylist(found, SCHEMA)


def put_together(tables: list[pa.Table]) -> bytes:
    sink = io.BytesIO()
    file = GroupFile(sink, tables[0].schema if tables else SCHEMA)
    for table in tables:
        file.append(encode_group(table))
    file.close()
    return sink.getvalue()


def as_arrow_writes(tables: list[pa.Table]) -> bytes:
    sink = io.BytesIO()
    dictionary = row_groups._repetitive(SCHEMA)
    with pq.ParquetWriter(sink, SCHEMA, compression="zstd", use_dictionary=dictionary) as writer:
        for table in tables:
            writer.write_table(table, row_group_size=table.num_rows)
    return sink.getvalue()


@given(st.lists(st.lists(rows, min_size=1, max_size=4), max_size=5))
def test_groups_put_together_are_the_bytes_that_arrow_writes(groups):
    tables = [table_of(group) for group in groups]
    assert put_together(tables) == as_arrow_writes(tables)


def test_more_groups_than_a_short_list_holds_and_offsets_of_several_bytes():
    tables = [table_of([{"blob_id": str(n), "content": "x" * n * 999, "is_odd": n % 2 == 1, "words": []}] * 7)
              for n in range(1, 40)]  # fmt: skip
    whole = put_together(tables)
    assert whole == as_arrow_writes(tables)
    found = pq.ParquetFile(io.BytesIO(whole))
    assert found.num_row_groups == 39
    assert found.read() == pa.concat_tables(tables)
    assert found.metadata.row_group(38).column(2).file_path == ""


def test_the_pieces_of_a_table_do_not_show():
    table = table_of([{"blob_id": str(n), "content": "é" * n, "is_odd": False, "words": ["a"]} for n in range(30)])
    pieces = pa.concat_tables([table.slice(0, 7), table.slice(7, 1), table.slice(8)])
    assert encode_group(pieces) == encode_group(table)
