from __future__ import annotations

import itertools

import pyarrow as pa
import pyarrow.parquet as pq
from hypothesis import given
from hypothesis import strategies as st

from jobs import storage
from jobs.finalize.shards import _BLOCK_ROWS, MergeSpec, ShardPlanner, _blocks, merge_shard
from jobs.ledger import commits
from jobs.plan.units import read_plan
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
