from __future__ import annotations

import dataclasses
import itertools

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs import storage
from jobs.finalize.shard_plan import ShardPlanner, plan_with_rows
from jobs.ledger import commits
from jobs.ledger.blocks import BLOCK_ROWS, BlockSizes, blocks_of, num_blocks
from jobs.plan.units import read_plan
from tests.jobs import toy
from transforms.rows.sizes import size_of


@given(st.integers(0, 300), st.lists(st.integers(0, 300), max_size=6))
def test_the_blocks_of_a_unit_do_not_depend_on_its_row_groups(rows, cuts):
    table = pa.table({"row": range(rows), "text": [f"text {row}" for row in range(rows)]})
    bounds = [0, *sorted(min(cut, rows) for cut in cuts), rows]
    groups = [table.slice(start, end - start) for start, end in itertools.pairwise(bounds)]
    blocks = list(blocks_of(group for group in groups if group.num_rows))
    assert [block.num_rows for block in blocks[:-1]] == [BLOCK_ROWS] * (len(blocks) - 1)
    assert all(0 < block.num_rows <= BLOCK_ROWS and block.column(0).num_chunks == 1 for block in blocks)
    assert pa.concat_tables([table.slice(0, 0), *blocks]).equals(table)


@given(st.integers(0, 300), st.lists(st.integers(0, 300), max_size=6))
def test_the_sizes_of_blocks_do_not_depend_on_how_rows_come(rows, cuts):
    table = pa.table({"row": range(rows), "text": [None if row % 7 == 3 else "x" * row for row in range(rows)]})
    bounds = [0, *sorted(min(cut, rows) for cut in cuts), rows]
    pieces = [table.slice(start, end - start) for start, end in itertools.pairwise(bounds)]
    sizes = BlockSizes()
    for piece in pieces:
        if piece.num_rows:
            sizes.add(piece)
    joined = BlockSizes()
    joined.add(pa.concat_tables([table.slice(0, 0), *pieces]))
    assert sizes.finish() == joined.finish() == tuple(map(size_of, blocks_of([table] if rows else [])))
    assert num_blocks(rows) == len(list(blocks_of([table] if rows else [])))


@pytest.fixture
def committed(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [[*["some text", "reject"] * 50, "one more"], ["a"] * 3])
    toy.run_here(job_dir)
    return job_dir


def test_a_commit_has_the_sizes_of_its_blocks_as_they_are_read_back(committed):
    for unit in read_plan(committed):
        (record,) = commits.read_commits(committed, [unit.unit_id])
        kept = record.files["kept"]
        with storage.open_input(committed.join(kept.path)) as file:
            table = pq.read_table(file)
        assert kept.blocks == tuple(map(size_of, blocks_of([table])))
        assert record.files.get("rejected", kept).blocks in ((), kept.blocks)


def test_a_commit_without_sizes_can_be_read(committed):
    (record, _) = commits.read_commits(committed)
    data = record.to_json().replace(b'"blocks"', b'"bytes"')
    assert commits.CommitRecord.from_json(data).files["kept"].blocks == ()


def test_a_file_that_lost_rows_has_no_sizes_in_commits_and_plans_alike(committed):
    records = list(commits.read_commits(committed))
    planner = ShardPlanner(10**9)
    for record in records:
        planner.add(record)
    plan = planner.write(committed)
    first = records[0]
    changed, _ = plan_with_rows(
        committed, plan, lambda unit, kind, rows: rows - (unit == first.unit_id and kind == "train")
    )
    kept = first.files["kept"]
    left = dataclasses.replace(first, files={**first.files, "kept": kept.with_rows(kept.rows - 1)})
    again = ShardPlanner(10**9)
    for record in (left, *records[1:]):
        again.add(record)
    assert again.write(committed).plan_id == changed.plan_id != plan.plan_id
