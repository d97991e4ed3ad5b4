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
from jobs.finalize.shard_plan import ShardPlanner
from jobs.finalize.shards import _BLOCK_ROWS, MergeSpec, _blocks, merge_shard
from jobs.ledger import commits
from jobs.ledger.commits import CommitRecord, FileRecord
from jobs.plan.units import read_plan
from jobs.storage.folders import JobFolder
from jobs.storage.parquet import WRITING_ONCE
from tests.jobs import toy


@given(st.integers(0, 300), st.lists(st.integers(0, 300), max_size=6))
def test_the_blocks_of_a_unit_do_not_depend_on_its_row_groups(rows, cuts):
    table = pa.table({"row": range(rows), "text": [f"text {row}" for row in range(rows)]})
    bounds = [0, *sorted(min(cut, rows) for cut in cuts), rows]
    groups = [table.slice(start, end - start) for start, end in itertools.pairwise(bounds)]
    blocks = list(_blocks(group for group in groups if group.num_rows))
    assert [block.num_rows for block in blocks[:-1]] == [_BLOCK_ROWS] * (len(blocks) - 1)
    assert all(0 < block.num_rows <= _BLOCK_ROWS and block.column(0).num_chunks == 1 for block in blocks)
    assert pa.concat_tables([table.slice(0, 0), *blocks]).equals(table)


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
