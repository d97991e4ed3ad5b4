from __future__ import annotations

import functools
import hashlib
import itertools
import tempfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import storage
from jobs.finalize.shard_plan import ShardPlanner, Stretch, divide
from jobs.finalize.shards import EncodedPart, MergeSpec, MergeTask, count_groups, encode_part, merge_shard
from jobs.ledger import commits
from jobs.ledger.blocks import BlockSizes
from jobs.ledger.commits import CommitRecord, FileRecord
from jobs.plan.units import read_plan
from jobs.storage.folders import JobFolder
from jobs.storage.parquet import WRITING_ONCE
from tests.jobs import toy


def test_attempts_with_other_row_groups_are_merged_into_the_same_bytes(tmp_path, monkeypatch):
    digests = set()
    for number, group_bytes in enumerate((1, 1 << 30)):
        monkeypatch.setattr("jobs.ledger.commits._ROW_GROUP_BYTES", group_bytes)
        job_dir = toy.make_job(str(tmp_path / str(number)), [["some text", "reject", "more text"] * 40])
        (unit,) = read_plan(job_dir)
        with storage.open_input(unit.uri) as file:
            table = pq.read_table(file)
        parts = [
            toy.ToyWork({}).run(unit, table.slice(start, 7), list(range(start, min(start + 7, table.num_rows))))
            for start in range(0, table.num_rows, 7)
        ]
        record = commits.commit_unit(job_dir, unit, "a", iter(parts), config_hash=toy.CONFIG_HASH)
        path = job_dir.join(record.files["kept"].path)
        assert pq.read_metadata(path).num_row_groups == (len(parts) if number == 0 else 1)
        planner = ShardPlanner(10**9)
        planner.add(record)
        spec = MergeSpec(job_dir=job_dir, plan_id=planner.write(job_dir).plan_id, schema=toy.OUTPUT_SCHEMA)
        digests.add(merge_shard(spec, "train", 0).sha256)
    assert len(digests) == 1


NULLABLE = pa.schema(
    [
        pa.field("text", pa.large_string()),
        pa.field("is_good", pa.bool_()),
        pa.field("count", pa.int64()),
        *(pa.field(f"flag {number}", pa.bool_()) for number in range(30)),
        pa.field("parts", pa.list_(pa.struct([pa.field("path", pa.large_string()), pa.field("is_whole", pa.bool_())]))),
    ]
)


@functools.cache
def nullable_rows(rows: int) -> pa.Table:
    """Rows with values that are null now and then, those of the flags in one row only."""
    return pa.Table.from_pylist(
        [
            {
                "text": None if row % 5 == 3 else "x" * (row % 3),
                "is_good": None if row < rows / 2 and row % 3 else row % 2 == 0,
                "count": None if row == 7 else row,
                **{f"flag {number}": None if row == 10 * number else True for number in range(30)},
                "parts": None if row % 11 == 0 else [{"path": "p", "is_whole": None}] * (row % 2),
            }
            for row in range(rows)
        ],
        NULLABLE,
    )


def shard_of_cut(table: pa.Table, bounds: list[int], folder: str) -> str:
    """The hash of the shard of one unit whose attempt has row groups between these bounds."""
    path = Path(folder) / "a.kept.parquet"
    with pq.ParquetWriter(path, table.schema, **WRITING_ONCE) as writer:
        for start, end in itertools.pairwise([0, *bounds, table.num_rows]):
            if end > start:
                writer.write_table(table.slice(start, end - start))
    data = path.read_bytes()
    file = FileRecord(path=path.name, rows=table.num_rows, bytes=len(data), sha256=hashlib.sha256(data).hexdigest())
    planner = ShardPlanner(1 << 40)
    planner.add(
        CommitRecord(
            unit_id="000000",
            attempt_id="a",
            status="done",
            rows_in=table.num_rows,
            config_hash="",
            files={"kept": file},
        )
    )
    plan = planner.write(JobFolder(folder))
    return merge_shard(MergeSpec(job_dir=JobFolder(folder), plan_id=plan.plan_id, schema=NULLABLE), "train", 0).sha256


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, 2000), max_size=5), group_bytes=st.integers(20_000, 60_000))
def test_a_shards_bytes_do_not_depend_on_an_attempts_cuts_where_values_are_null(cuts, group_bytes):
    table = nullable_rows(2000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.finalize.shards.ROW_GROUP_BYTES", group_bytes)
        with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as cut:
            assert shard_of_cut(table, [], whole) == shard_of_cut(table, sorted(cuts), cut)


def units_of(table: pa.Table, bounds: list[int], folder: str, *, known: bool = True) -> MergeSpec:
    """A job of units with the rows between these bounds, all in one shard."""
    planner = ShardPlanner(1 << 40)
    schema = NULLABLE.with_metadata({"schema_version": "1"})
    for number, (start, end) in enumerate(itertools.pairwise([0, *bounds, table.num_rows])):
        rows = table.slice(start, end - start)
        path = Path(folder) / f"{number:06d}.kept.parquet"
        pq.write_table(rows, path, **WRITING_ONCE)
        sizes = BlockSizes()
        sizes.add(rows)
        data, blocks = path.read_bytes(), sizes.finish() if known else ()
        digest = hashlib.sha256(data).hexdigest()
        file = FileRecord(path=path.name, rows=rows.num_rows, bytes=len(data), sha256=digest, blocks=blocks)
        unit = f"{number:06d}"
        planner.add(
            CommitRecord(unit_id=unit, attempt_id="a", status="done", rows_in=0, config_hash="", files={"kept": file})
        )
    plan = planner.write(JobFolder(folder))
    return MergeSpec(job_dir=JobFolder(folder), plan_id=plan.plan_id, schema=schema)


def encoded_parts(spec: MergeSpec, groups: int) -> list[EncodedPart]:
    count = -(-count_groups(spec, "train", 0) // groups)
    return [encode_part(spec, MergeTask("train", 0, groups, part)) for part in range(count)]


def bytes_of(spec: MergeSpec, parts: list[EncodedPart] | None = None, groups: int = 0) -> bytes:
    record = merge_shard(spec, "train", 0, encoded=parts or [], groups=groups)
    assert pq.read_metadata(spec.job_dir.join(record.path)).num_rows == record.rows
    return Path(spec.job_dir.join(record.path)).read_bytes()


@settings(max_examples=10, deadline=None)
@given(
    cuts=st.lists(st.integers(1, 999), max_size=5, unique=True),
    group_bytes=st.integers(5_000, 60_000),
    groups=st.integers(1, 4),
)
def test_a_shard_put_together_from_parts_has_the_bytes_of_one_that_is_merged_whole(cuts, group_bytes, groups):
    table = nullable_rows(1000)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.finalize.shards.ROW_GROUP_BYTES", group_bytes)
        with tempfile.TemporaryDirectory() as whole, tempfile.TemporaryDirectory() as divided:
            spec = units_of(table, sorted(cuts), divided)
            parts = encoded_parts(spec, groups)
            made = bytes_of(spec, parts, groups)
            assert made == bytes_of(units_of(table, sorted(cuts), whole, known=False))
            assert pq.ParquetFile(pa.BufferReader(made)).num_row_groups == count_groups(spec, "train", 0)
            assert not any(Path(divided, part.path).exists() for part in parts)


@pytest.mark.parametrize("fault", ["gone", "cut short", "another"])
def test_a_part_that_is_not_what_was_written_is_encoded_anew(tmp_path, monkeypatch, fault):
    monkeypatch.setattr("jobs.finalize.shards.ROW_GROUP_BYTES", 20_000)
    (tmp_path / "whole").mkdir()
    (tmp_path / "divided").mkdir()
    whole = bytes_of(units_of(nullable_rows(2000), [700], str(tmp_path / "whole")))
    spec = units_of(nullable_rows(2000), [700], str(tmp_path / "divided"))
    parts = encoded_parts(spec, 2)
    path = Path(spec.job_dir.join(parts[1].path))
    if fault == "gone":
        path.unlink()
    else:
        path.write_bytes(
            path.read_bytes()[:-1] if fault == "cut short" else Path(spec.job_dir.join(parts[0].path)).read_bytes()
        )
    assert bytes_of(spec, parts, 2) == whole


def test_a_shard_of_units_without_known_sizes_is_not_divided(tmp_path):
    assert count_groups(units_of(nullable_rows(200), [70], str(tmp_path), known=False), "train", 0) == 0


def test_a_shard_whose_rows_are_copied_is_not_divided(tmp_path):
    assert divide([Stretch({"is_final": True}, 0, 64, (5,))], 1, 1) == []


@given(
    sizes=st.lists(st.lists(st.integers(1, 20), min_size=1, max_size=6), max_size=8),
    group_bytes=st.integers(1, 40),
    groups=st.integers(1, 5),
)
def test_parts_hold_every_row_once_and_end_where_row_groups_end(sizes, group_bytes, groups):
    units = [Stretch({"is_final": False, "unit": n}, 0, 64 * len(of) - n % 64, tuple(of)) for n, of in enumerate(sizes)]
    parts = divide(units, group_bytes, groups)
    assert sum(stretch.end - stretch.first for part in parts for stretch in part) == sum(unit.end for unit in units)
    ends = [stretch for part in parts for stretch in part]
    for one, other in itertools.pairwise(ends):
        assert other.first == (one.end if other.source is one.source else 0)
    for part in parts[:-1]:
        total = count = 0
        for size in (size for stretch in part for size in stretch.sizes):
            total += size
            if total >= group_bytes:
                total, count = 0, count + 1
        assert (total, count) == (0, groups)
