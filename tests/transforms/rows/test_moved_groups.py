"""Row groups that are copied behind one another are the rows of all files, in order."""

from __future__ import annotations

import gc
import io
import tracemalloc

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs.storage.parquet import WRITING
from transforms.rows.footers import read_footer
from transforms.rows.row_groups import MAX_GROUPS, GroupFile, read_groups

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
    file = GroupFile(sink, schema, is_numbered=False)
    for data in files:
        groups = read_groups(data, schema)
        assert groups is not None
        file.append(groups)
    file.close()
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
    footer = read_footer(memoryview(data))
    assert footer.num_rows == len(rows)
    entries = [group.entry.placed(0, number) for number, group in enumerate(footer.groups)]
    assert footer.with_groups(footer.num_rows, entries) == data[footer.start :]
    metadata = pq.read_metadata(pa.BufferReader(data))
    assert [group.num_bytes for group in footer.groups] == [
        metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups)
    ]


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
    assert read_groups(data, SCHEMA) is None


@settings(max_examples=60, deadline=None)
@given(place=st.integers(0, 10**6), byte=st.integers(0, 255))
def test_a_damaged_footer_is_read_or_refused(place, byte):
    data = bytearray(file_of(pa.Table.from_pylist([{"text": "x", "ids": [1]}], SCHEMA)))
    start = read_footer(memoryview(bytes(data))).start
    data[start + place % (len(data) - start)] = byte
    read_groups(bytes(data), SCHEMA)


def test_a_file_with_small_row_groups_is_not_taken_where_large_ones_are_asked_for():
    small, large = (pa.Table.from_pylist([{"text": "x" * size, "ids": []}], SCHEMA) for size in (10, 10_000))
    found = [read_groups(file_of(table), SCHEMA, least_bytes=5_000) for table in (small, large)]
    assert found[0] is None and found[1] is not None
    both = file_of(pa.concat_tables([large, small]), row_group_size=1)
    assert read_groups(both, SCHEMA, least_bytes=5_000) is None


def test_a_file_can_have_more_groups_than_sixteen_bits_number():
    table = pa.table({"row": pa.array([1], pa.int8())})
    groups = read_groups(file_of(table), table.schema)
    sink = io.BytesIO()
    file = GroupFile(sink, table.schema, is_numbered=False)
    for _ in range(MAX_GROUPS + 2):
        file.append(groups)
    file.close()
    found = pq.ParquetFile(pa.BufferReader(sink.getvalue()))
    assert found.num_row_groups == found.metadata.num_rows == MAX_GROUPS + 2
    assert found.read_row_group(MAX_GROUPS + 1).to_pylist() == [{"row": 1}]


def test_little_is_kept_of_groups_that_are_written():
    """About four kilobytes of each, whatever is in it."""
    data = file_of(pa.Table.from_pylist([{"text": "x" * 10_000, "ids": [1] * 10_000}], SCHEMA))

    class Nowhere:
        def write(self, data):
            pass

    file = GroupFile(Nowhere(), SCHEMA, is_numbered=False)
    file.append(read_groups(data, SCHEMA))
    tracemalloc.start()
    try:
        for _ in range(50):
            file.append(read_groups(data, SCHEMA))
        gc.collect()
        assert tracemalloc.get_traced_memory()[0] < 50 * 4_000
    finally:
        tracemalloc.stop()
