from __future__ import annotations

import dataclasses
import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from jobs import storage
from jobs.errors import UnreadableUnit
from jobs.execution import cursors
from jobs.execution.cursors import MAX_BATCH_ROWS, close_cursors
from jobs.execution.reading import read_piece, read_unit
from jobs.plan.cutting import UnitBounds, make_plan
from jobs.plan.inputs import read_inputs
from jobs.plan.schemas import (
    SchemaMismatch,
    fit_table,
    schema_from_text,
    schema_to_text,
    unify_schemas,
    unify_types,
)
from jobs.plan.units import planned_rows
from transforms.rows.columns import ColumnOverrides
from transforms.work import Unit

SCHEMA = pa.schema([("content", pa.large_string()), ("stars", pa.int64())])


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    path = tmp_path / "corpus.parquet"
    table = pa.table(
        {
            "content": [f"row {n}" for n in range(1000)],
            "stars": pa.array(range(1000), pa.int32()),
            "unused": ["x" * 50] * 1000,
        }
    )
    pq.write_table(table, path, row_group_size=600)
    return path


def unit_of(path: Path, row_group: int, start: int, count: int, retry: tuple[int, ...] | None = None) -> Unit:
    _, version = storage.file_info(str(path))
    return Unit(
        unit_id="00000000-aa",
        uri=str(path),
        version=version,
        row_group=row_group,
        row_start=start,
        row_count=count,
        num_bytes=1,
        retry_rows=retry,
    )


@pytest.mark.parametrize(("group", "start", "count"), [(0, 0, 600), (0, 0, 1), (0, 255, 3), (0, 599, 1), (1, 100, 300)])
def test_a_unit_is_its_row_range_in_the_schema_of_the_job(corpus, group, start, count):
    table, rows = read_unit(unit_of(corpus, group, start, count), SCHEMA)
    assert table.schema == SCHEMA
    assert rows == list(range(start, start + count))
    assert table["stars"].to_pylist() == [group * 600 + row for row in rows]


def test_a_retry_unit_reads_only_the_rows_that_were_rejected(corpus):
    table, rows = read_unit(unit_of(corpus, 0, 10, 300, retry=(10, 270, 309)), SCHEMA)
    assert rows == [10, 270, 309] and table["stars"].to_pylist() == rows


def test_a_column_that_the_file_lacks_is_null(corpus):
    schema = pa.schema([pa.field("license", pa.large_string()), *SCHEMA])
    table, _ = read_unit(unit_of(corpus, 1, 0, 2), schema)
    assert table.to_pylist() == [
        {"license": None, "content": "row 600", "stars": 600},
        {"license": None, "content": "row 601", "stars": 601},
    ]


def test_a_file_that_was_only_touched_or_copied_is_the_same(corpus):
    unit = unit_of(corpus, 0, 0, 10)
    copy = corpus.read_bytes()
    corpus.unlink()
    corpus.write_bytes(copy)
    os.utime(corpus, ns=(1, 1))
    assert read_unit(unit, SCHEMA)[0].num_rows == 10


def test_a_file_that_changed_since_it_was_planned_is_refused(corpus):
    unit = unit_of(corpus, 0, 0, 10)
    table = pq.read_table(corpus).slice(1)
    pq.write_table(table, corpus)
    with pytest.raises(UnreadableUnit, match="has changed since it was planned") as error:
        read_unit(unit, SCHEMA)
    assert error.value.reason == "input_changed"


def test_a_file_that_is_gone_is_named(corpus):
    unit = unit_of(corpus, 0, 0, 10)
    corpus.unlink()
    with pytest.raises(UnreadableUnit, match=r"corpus\.parquet is gone"):
        read_unit(unit, SCHEMA)


def test_damaged_pages_are_the_files_fault(corpus):
    data = bytearray(corpus.read_bytes())
    data[4:2000] = b"\xff" * 1996
    corpus.write_bytes(data)
    with pytest.raises(UnreadableUnit) as error:
        read_unit(unit_of(corpus, 0, 0, 600), SCHEMA)
    assert error.value.reason == "damaged_input" and "\n" not in error.value.detail


@pytest.mark.parametrize(
    ("left", "right", "both"),
    [
        (pa.int32(), pa.int64(), pa.int64()),
        (pa.uint8(), pa.int8(), pa.int16()),
        (pa.float32(), pa.float64(), pa.float64()),
        (pa.string(), pa.large_string(), pa.large_string()),
        (pa.dictionary(pa.int32(), pa.string()), pa.string(), pa.large_string()),
        (pa.string(), pa.binary(), pa.large_binary()),
        (pa.null(), pa.int8(), pa.int8()),
        (pa.list_(pa.string()), pa.list_(pa.null()), pa.list_(pa.field("element", pa.large_string()))),
        (pa.struct([("a", pa.int8())]), pa.struct([("b", pa.int8())]), pa.struct([("a", pa.int8()), ("b", pa.int8())])),
    ],
)
def test_types_unify_where_no_value_changes(left, right, both):
    assert unify_types(left, right) == unify_types(right, left) or pa.types.is_struct(both)
    assert unify_types(left, right) == both


@pytest.mark.parametrize(
    ("left", "right"), [(pa.int64(), pa.large_string()), (pa.int64(), pa.uint64()), (pa.int64(), pa.float64())]
)
def test_types_that_do_not_unify_name_the_column_and_both(left, right):
    with pytest.raises(SchemaMismatch, match=f"column stars: {right} where other files have"):
        unify_schemas(pa.schema([("stars", left)]), pa.schema([("stars", right)]))


kinds = st.sampled_from(
    [pa.int8(), pa.int32(), pa.int64(), pa.uint16(), pa.string(), pa.large_binary(), pa.float32(), pa.null()]
)


@given(kinds, kinds)
def test_a_unified_type_holds_every_value_of_both(left, right):
    try:
        both = unify_types(left, right)
    except SchemaMismatch:
        return
    for kind in (left, right):
        values = ["a", None] if pa.types.is_string(kind) else [b"a"] if pa.types.is_large_binary(kind) else [1, None]
        table = pa.table({"a": pa.array([None] if pa.types.is_null(kind) else values, kind)})
        fitted = fit_table(table, pa.schema([("a", both)]))
        as_bytes = [v.encode() if isinstance(v, str) else v for v in fitted["a"].to_pylist()]
        assert as_bytes == [v.encode() if isinstance(v, str) else v for v in table["a"].to_pylist()]


def test_a_schema_survives_its_text():
    schema = SCHEMA.with_metadata({"schema_version": "1"})
    assert schema_from_text(schema_to_text(schema)).equals(schema, check_metadata=True)


# --- ranges of one row group -----------------------------------------------------------------------


@pytest.fixture
def decoded(monkeypatch):
    """How many rows were decoded, counted as they come out of Parquet."""
    rows = []
    iter_batches = pq.ParquetFile.iter_batches

    def counting(self, *args, **kwargs):
        for batch in iter_batches(self, *args, **kwargs):
            rows.append(batch.num_rows)
            yield batch

    monkeypatch.setattr(pq.ParquetFile, "iter_batches", counting)
    # As for several units at a time, whatever a worker of another test has set.
    monkeypatch.setattr("jobs.execution.cursors._max_cursors", 8)
    monkeypatch.setattr("jobs.execution.cursors._max_kept_bytes", 64 << 20)
    close_cursors()
    return rows


def ranges(total: int, count: int) -> list[tuple[int, int]]:
    return [(start, min(count, total - start)) for start in range(0, total, count)]


def test_a_row_group_is_decoded_once_whatever_number_of_units_is_cut_out_of_it(corpus, decoded):
    for start, count in ranges(600, 50):
        table, _ = read_unit(unit_of(corpus, 0, start, count), SCHEMA)
        assert table["stars"].to_pylist() == list(range(start, start + count))
    assert sum(decoded) == 600


@given(st.permutations(ranges(600, 50)))
@settings(max_examples=20, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
def test_units_read_in_any_order_get_their_own_rows_and_decode_nothing_twice(corpus, decoded, order):
    close_cursors()
    decoded.clear()
    for start, count in order:
        table, rows = read_unit(unit_of(corpus, 0, start, count), SCHEMA)
        assert table["stars"].to_pylist() == rows == list(range(start, start + count))
    assert sum(decoded) == 600


def test_units_read_at_once_by_several_threads_get_their_own_rows(corpus, decoded):
    with ThreadPoolExecutor(6) as pool:
        read = pool.map(lambda one: read_unit(unit_of(corpus, 0, *one), SCHEMA), ranges(600, 20))
        assert [row for _, rows in read for row in rows] == list(range(600))
    assert sum(decoded) == 600


def test_ranges_that_are_no_longer_kept_are_decoded_again_and_right(corpus, decoded, monkeypatch):
    monkeypatch.setattr("jobs.execution.cursors._max_kept_bytes", 0)
    for start, count in reversed(ranges(600, 50)):
        table, _ = read_unit(unit_of(corpus, 0, start, count), SCHEMA)
        assert table["stars"].to_pylist() == list(range(start, start + count))
    assert sum(decoded) > 600


def test_a_row_group_that_was_read_to_its_end_holds_no_reader(corpus, decoded):
    for start, count in ranges(600, 50):
        read_unit(unit_of(corpus, 0, start, count), SCHEMA)
    (cursor,) = cursors._cursors
    assert cursor.next_row == cursor.end and cursor.file.closed
    assert next(cursor.batches, None) is None
    read_unit(unit_of(corpus, 0, 550, 50), SCHEMA)  # what was kept is still there
    assert sum(decoded) == 600


def test_what_cursors_keep_is_bounded_by_bytes(corpus, monkeypatch):
    monkeypatch.setattr("jobs.execution.cursors._max_kept_bytes", 2000)
    for start, count in ranges(600, 50):
        read_unit(unit_of(corpus, 0, start, count), SCHEMA)
        assert 0 < cursors._kept_bytes <= 2000
    close_cursors()
    assert cursors._kept_bytes == 0


def test_a_process_that_reads_one_unit_at_a_time_keeps_one_row_group_open(tmp_path, decoded, monkeypatch):
    cursors.expect_units(1)  # `decoded` restores what this sets
    path = tmp_path / "groups.parquet"
    pq.write_table(pa.table({"content": ["x" * 100] * 600, "stars": range(600)}), path, row_group_size=100)
    for group in range(6):
        for start, count in ranges(100, 30):
            table, _ = read_unit(unit_of(path, group, start, count), SCHEMA)
            assert table["stars"].to_pylist() == [group * 100 + row for row in range(start, start + count)]
            assert len(cursors._cursors) == 1
            assert cursors._kept_bytes <= MAX_BATCH_ROWS * 200
    assert sum(decoded) == 600


# --- several row groups in one unit, and pieces ----------------------------------------------------


def test_a_unit_of_several_row_groups_is_read_across_them_with_the_place_of_each_row(tmp_path):
    path = tmp_path / "tiny.parquet"
    pq.write_table(pa.table({"content": [f"row {n}" for n in range(10)], "stars": range(10)}), path, row_group_size=3)
    unit = dataclasses.replace(unit_of(path, 1, 1, 5), group_rows=(3, 3))
    table, rows = read_unit(unit, SCHEMA)
    assert table["stars"].to_pylist() == [4, 5, 6, 7, 8]
    assert [unit.place(row)[1:] for row in rows] == [(1, 1), (1, 2), (2, 0), (2, 1), (2, 2)]
    retried = dataclasses.replace(unit, retry_rows=(1, 5))
    assert read_unit(retried, SCHEMA)[0]["stars"].to_pylist() == [4, 8]


def test_rows_that_a_dictionary_made_small_come_in_pieces_of_what_they_are_decoded(tmp_path, decoded):
    path = tmp_path / "repeated.parquet"
    pq.write_table(pa.table({"content": ["x" * 10_000] * 500, "stars": range(500)}), path)
    assert pq.read_metadata(path).row_group(0).total_byte_size < 50_000
    unit = unit_of(path, 0, 0, 500)
    rows: list[int] = []
    while len(rows) < 500:
        table, more = read_piece(unit, SCHEMA, done=len(rows), max_bytes=1_000_000)
        assert table.nbytes <= 1_000_000 + MAX_BATCH_ROWS * 10_100
        assert table["stars"].to_pylist() == more
        rows += more
    assert rows == list(range(500)) and sum(decoded) == 500


def test_a_file_with_none_of_the_columns_still_has_its_rows(tmp_path):
    path = tmp_path / "other.parquet"
    pq.write_table(pa.table({"other": range(7)}), path)
    table, rows = read_unit(unit_of(path, 0, 2, 4), SCHEMA)
    assert rows == [2, 3, 4, 5] and table["content"].to_pylist() == [None] * 4


@given(
    st.lists(st.integers(0, 40), min_size=1, max_size=12),
    st.integers(1, 60),
    st.sampled_from([1, 2000, float("inf")]),
    st.randoms(use_true_random=False),
)
@settings(max_examples=25, deadline=None)
def test_however_units_and_pieces_are_cut_each_row_is_read_once_with_its_place(
    tmp_path_factory, groups, unit_rows, max_bytes, rng
):
    path = tmp_path_factory.mktemp("in") / "a.parquet"
    with pq.ParquetWriter(path, SCHEMA) as writer:
        for group, rows in enumerate(groups):
            numbers = [group * 1000 + row for row in range(rows)]
            writer.write_table(pa.table({"content": [str(n) for n in numbers], "stars": numbers}, SCHEMA))
    inputs = read_inputs([str(path)], ColumnOverrides())
    units = list(make_plan(inputs, columns=SCHEMA.names, bounds=UnitBounds(rows=unit_rows)).units)
    found = {}
    for unit in rng.sample(units, len(units)):
        done = 0
        while done < planned_rows(unit):
            table, rows = read_piece(unit, SCHEMA, done=done, max_bytes=max_bytes)
            done += len(rows)
            for row, stars in zip(rows, table["stars"].to_pylist(), strict=True):
                assert unit.place(row) not in found
                found[unit.place(row)] = stars
    expected = [(group, row) for group, rows in enumerate(groups) for row in range(rows)]
    assert found == {(path.name, group, row): group * 1000 + row for group, row in expected}
