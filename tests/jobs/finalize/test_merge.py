"""Merges in threads of the driver, and what is noticed of those that hang."""

from __future__ import annotations

import dataclasses
import threading

import pyarrow as pa
import pytest

from jobs.finalize import merge, shards
from jobs.finalize.merge import merge_all
from jobs.finalize.merge_watch import MergeWatch
from jobs.finalize.shard_plan import ShardPlan, ShardPlanner
from jobs.finalize.shards import MergeSpec, read_shard_record
from jobs.ledger import commits
from jobs.storage import failpoints
from jobs.storage.folders import JobFolder
from model.errors import ConfigError
from tests.jobs import toy


@pytest.fixture
def planned(tmp_path) -> tuple[MergeSpec, ShardPlan]:
    """A shard a unit."""
    job_dir = toy.make_job(str(tmp_path), [[f"{group} {row}" for row in range(3)] for group in range(5)])
    toy.run_here(job_dir)
    planner = ShardPlanner(1)
    for record in commits.read_commits(job_dir):
        planner.add(record)
    plan = planner.write(job_dir)
    return MergeSpec(job_dir=job_dir, plan_id=plan.plan_id, schema=toy.OUTPUT_SCHEMA, row_timeout_s=1.0), plan


def rows(spec: MergeSpec, plan: ShardPlan) -> int:
    records = [read_shard_record(spec, *shard) for shard in plan.items()]
    return sum(record.rows for record in records if record is not None)


def hang(monkeypatch, times: int, *, for_s: float | None = None) -> None:
    """So many row groups are never written; after a while their writers are told so, if at all."""
    lock, left = threading.Lock(), [times]

    def failpoint_in(path: str, name: str) -> None:
        if name != shards.INSIDE_SHARD:
            return
        with lock:
            left[0] -= 1
            hangs = left[0] >= 0
        if hangs:
            threading.Event().wait(for_s)
            raise TimeoutError("a request that the storage had forgotten")

    monkeypatch.setattr(shards, "failpoint_in", failpoint_in)


def test_all_shards_are_merged(planned):
    spec, plan = planned
    merge_all(spec, plan.items())
    assert rows(spec, plan) == 15


def test_a_merge_that_hangs_is_begun_again(planned, monkeypatch, caplog):
    spec, plan = planned
    hang(monkeypatch, 1)
    merge_all(spec, plan.items())
    assert rows(spec, plan) == 15
    assert caplog.text.count("made no progress; it is begun again") == 1


def test_the_late_error_of_a_merge_that_was_given_up_is_not_that_of_the_job(planned, monkeypatch, caplog):
    spec, plan = planned
    monkeypatch.setattr(merge, "MERGES_AT_ONCE", 1)
    spec = dataclasses.replace(spec, row_timeout_s=0.5)
    hang(monkeypatch, 1, for_s=0.8)
    done = shards.merge_shard

    def slow(*given, **more):
        result = done(*given, **more)
        threading.Event().wait(0.3)  # so that the late error comes while others are under way
        return result

    monkeypatch.setattr(merge, "merge_shard", slow)
    merge_all(spec, plan.items())
    assert rows(spec, plan) == 15
    assert "made no progress; it is begun again" in caplog.text


def test_a_merge_that_hangs_twice_is_one_line(planned, monkeypatch):
    spec, plan = planned
    hang(monkeypatch, 99)
    with pytest.raises(ConfigError, match=r"^merging shard train-0000\d made no progress for 1 s, twice"):
        merge_all(spec, plan.items())


def test_the_first_error_ends_the_others(planned, monkeypatch):
    spec, plan = planned
    monkeypatch.setattr(failpoints, "_hits", failpoints.Counter())
    monkeypatch.setenv(failpoints.VARIABLE, f"{shards.INSIDE_SHARD}=raise")
    monkeypatch.setattr(merge, "MERGES_AT_ONCE", 1)
    with pytest.raises(failpoints.InjectedFault):
        merge_all(spec, plan.items())
    assert rows(spec, plan) == 0


def test_only_a_merge_without_progress_counts_as_hung():
    time = [0.0]
    watch = MergeWatch(100.0, now=lambda: time[0])
    for index in range(3):
        watch.begin(("train", index))
    time[0] = 90.0
    watch.progress(("train", 1))
    watch.end(("train", 2))
    time[0] = 110.0
    assert watch.hung() == [("train", 0)]
    assert watch.hung() == []
    time[0] = 191.0
    assert watch.hung() == [("train", 1)]
    watch.progress(("train", 1))  # of an attempt that nobody waits for
    time[0] = 1000.0
    assert watch.hung() == []
    watch.begin(("train", 0))
    time[0] = 1101.0
    with pytest.raises(ConfigError, match="merging shard train-00000 made no progress for 100 s, twice"):
        watch.hung()


def test_a_process_may_take_a_minute_to_start():
    time = [0.0]
    watch = MergeWatch(1.0, now=lambda: time[0])
    watch.begin(("train", 0))
    time[0] = 59.0
    assert watch.hung() == []
    watch.progress(("train", 0))
    time[0] = 60.5
    assert watch.hung() == [("train", 0)]


def tasks_of(monkeypatch, groups: list[int], processes: int, *, bucket: bool = False) -> merge.MergeTasks:
    """The tasks for shards of kept rows with so many row groups, and one of rejected records."""
    monkeypatch.setattr(merge, "count_groups", lambda spec, kind, index: groups[index])
    spec = MergeSpec(job_dir=JobFolder("gs://b/out/_job" if bucket else "/out/_job"), plan_id="0", schema=pa.schema([]))
    return merge.MergeTasks(spec, [*(("train", index) for index in range(len(groups))), ("rejected", 0)], processes)


def all_of(tasks: merge.MergeTasks) -> list[tuple]:
    return [(task.kind, task.index, task.part) for task in iter(lambda: tasks.take() if len(tasks) else None, None)]


def test_a_large_shard_is_divided_so_that_each_process_has_several_parts(monkeypatch):
    found = all_of(tasks_of(monkeypatch, [16], 2))
    assert found == [*(("train", 0, part) for part in range(8)), ("rejected", 0, None)]


@pytest.mark.parametrize(
    ("groups", "processes", "bucket"),
    [([16], 1, False), ([3], 2, False), ([0], 2, False), ([16] * 8, 2, False), ([16], 2, True)],
    ids=["one process", "a small one", "unknown groups", "shards enough", "a bucket"],
)
def test_shards_stay_whole_where_dividing_them_helps_nobody(monkeypatch, groups, processes, bucket):
    found = all_of(tasks_of(monkeypatch, groups, processes, bucket=bucket))
    assert found == [*(("train", index, None) for index in range(len(groups))), ("rejected", 0, None)]


def test_a_shard_is_put_together_in_order_once_all_its_parts_are_there(monkeypatch):
    tasks = tasks_of(monkeypatch, [5], 2)
    taken = [tasks.take() for _ in range(len(tasks))]
    for task in reversed(taken[1:]):
        tasks.end(task, None if task.part is None else shards.EncodedPart(f"part {task.part}", 0))
    assert not len(tasks)
    tasks.give_back(taken[0])
    assert tasks.take() == taken[0]
    tasks.end(taken[0], shards.EncodedPart("part 0", 0))
    (last,) = [tasks.take()]
    assert last.part is None
    assert [part.path for part in last.encoded] == [f"part {number}" for number in range(5)]
