"""Row groups that are copied behind one another are the rows of all files, in order."""

from __future__ import annotations

import io

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.storage import thrift
from jobs.storage.parquet import WRITING
from jobs.storage.parquet_join import ParquetJoiner

SCHEMA = pa.schema(
    [
        pa.field("text", pa.large_string()),
        pa.field("ids", pa.list_(pa.field("item", pa.int32(), nullable=False)), nullable=False),
        pa.field("parts", pa.list_(pa.struct([pa.field("path", pa.string()), pa.field("share", pa.float64())]))),
        pa.field("is_good", pa.bool_()),
    ],
    {b"vocabulary": b"a hash"},
)
PARTS = st.fixed_dictionaries({"path": st.text(max_size=5), "share": st.floats(allow_nan=False)})
ROWS = st.fixed_dictionaries(
    {
        "text": st.none() | st.text(max_size=20),
        "ids": st.lists(st.integers(-(2**31), 2**31 - 1), max_size=5),
        "parts": st.none()
        | st.lists(
            st.fixed_dictionaries({"path": st.text(max_size=5), "share": st.floats(allow_nan=False)}), max_size=3
        ),
        "is_good": st.none() | st.booleans(),
    }
)


def file_of(table, **more):
    sink = io.BytesIO()
    pq.write_table(table, sink, **{**WRITING, **more})
    return sink.getvalue()


def joined(files, schema=SCHEMA):
    sink = io.BytesIO()
    joiner = ParquetJoiner(sink, schema)
    for data in files:
        assert joiner.takes(data)
        joiner.add(data)
    joiner.finish()
    return sink.getvalue()


@settings(max_examples=60, deadline=None)
@given(tables=st.lists(st.lists(ROWS, max_size=30), max_size=5), size=st.integers(1, 20))
def test_joined_files_have_the_rows_of_all_in_order(tables, size):
    tables = [pa.Table.from_pylist(rows, SCHEMA) for rows in tables]
    data = joined([file_of(table, row_group_size=size) for table in tables])
    found = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    expected = pq.read_table(pa.BufferReader(file_of(pa.concat_tables([SCHEMA.empty_table(), *tables]))))
    assert found.schema.equals(expected.schema, check_metadata=True)
    assert found.equals(expected)
    parquet = pq.ParquetFile(pa.BufferReader(data))
    assert parquet.metadata.num_rows == sum(table.num_rows for table in tables)
    for group in range(parquet.num_row_groups):  # each by itself, from where the footer says that it is
        assert parquet.read_row_group(group).num_rows == parquet.metadata.row_group(group).num_rows


@settings(max_examples=60, deadline=None)
@given(rows=st.lists(ROWS, max_size=30), size=st.integers(1, 20))
def test_a_footer_that_was_read_is_written_to_the_same_bytes(rows, size):
    data = file_of(pa.Table.from_pylist(rows, SCHEMA), row_group_size=size)
    footer = data[len(data) - 8 - int.from_bytes(data[-8:-4], "little") : -8]
    assert thrift.to_bytes(thrift.Reader(footer).struct()) == footer


def test_the_metadata_of_the_result_is_that_of_its_schema():
    table = pa.Table.from_pylist([], SCHEMA).replace_schema_metadata({b"other": b"x"})
    assert pq.read_schema(pa.BufferReader(joined([file_of(table)]))).metadata == SCHEMA.metadata


@pytest.mark.parametrize(
    "data",
    [
        file_of(pa.table({"text": pa.array(["x"], pa.large_string())})),
        file_of(SCHEMA.empty_table().append_column("more", pa.array([], pa.int8()))),
        file_of(pa.Table.from_pylist([{"ids": []}], SCHEMA), write_page_index=True),
        b"PAR1 no footer PAR1",
        b"",
        file_of(SCHEMA.empty_table())[:-9] + b"\x00\xff\xff\xff\x7fPAR1",
    ],
    ids=["fewer columns", "more columns", "a page index", "no footer", "empty", "a damaged length"],
)
def test_a_file_that_cannot_be_copied_is_not_taken(data):
    assert not ParquetJoiner(io.BytesIO(), SCHEMA).takes(data)


def test_a_file_with_small_row_groups_is_not_taken_where_large_ones_are_asked_for():
    small, large = (pa.Table.from_pylist([{"text": "x" * size, "ids": []}], SCHEMA) for size in (10, 10_000))
    joiner = ParquetJoiner(io.BytesIO(), SCHEMA)
    assert [joiner.takes(file_of(table), least_bytes=5_000) for table in (small, large)] == [False, True]
    both = file_of(pa.concat_tables([large, small]), row_group_size=1)
    assert not joiner.takes(both, least_bytes=5_000)
