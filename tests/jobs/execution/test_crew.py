"""The worker processes beyond units: merges spread over them, and a dry run's sample."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import storage
from jobs.errors import DamagedAttempt
from jobs.execution.crew import MAX_DEATHS_IN_MERGE, Crew
from jobs.execution.orders import Orders
from jobs.execution.sample import sample_in
from jobs.execution.supervisor import run_units
from jobs.execution.worker import RunSpec
from jobs.finalize import shards
from jobs.finalize.shard_plan import ShardPlan, ShardPlanner
from jobs.finalize.shards import MergeSpec, merge_again, read_shard_record
from jobs.ledger import commits
from jobs.plan.reader import FooterReader
from jobs.plan.units import read_plan
from jobs.storage import failpoints
from jobs.storage.folders import JobFolder
from jobs.system.child_process import own_environment
from model.errors import ConfigError
from tests.jobs import toy

pytestmark = pytest.mark.reading_child


@pytest.fixture
def merge(tmp_path) -> tuple[MergeSpec, ShardPlan]:
    """A job whose units are committed, with a shard plan of one shard a unit."""
    job_dir = toy.make_job(str(tmp_path), [[f"{group} {row}" for row in range(3)] for group in range(5)])
    toy.run_here(job_dir)
    planner = ShardPlanner(1)
    for record in commits.read_commits(job_dir):
        planner.add(record)
    plan = planner.write(job_dir)
    return MergeSpec(job_dir=job_dir, plan_id=plan.plan_id, schema=toy.OUTPUT_SCHEMA), plan


def merged_rows(spec: MergeSpec, plan: ShardPlan) -> list[str]:
    found = []
    for kind, index in plan.items():
        record = read_shard_record(spec, kind, index)
        assert record is not None
        data = storage.read_bytes(spec.job_dir.join(record.path))
        found += pq.read_table(pa.BufferReader(data)).column("content").to_pylist()
    return found


def close(crew: Crew) -> int:
    count = len(crew.children)
    crew.close()
    return count


def test_merges_are_spread_over_the_processes(merge) -> None:
    spec, plan = merge
    crew = Crew(2)
    crew.merge(spec, plan.items())
    assert close(crew) == 2
    assert merged_rows(spec, plan) == [f"{group} {row}" for group in range(5) for row in range(3)]


def test_a_merge_that_ends_its_process_is_made_again_in_another(merge, monkeypatch) -> None:
    spec, plan = merge
    monkeypatch.setenv(failpoints.VARIABLE, f"{shards.INSIDE_SHARD}:2=kill")
    crew = Crew(1)
    crew.merge(spec, plan.items())
    close(crew)
    assert len(merged_rows(spec, plan)) == 15


def test_a_merge_that_always_ends_its_process_is_one_line(merge, monkeypatch) -> None:
    spec, plan = merge
    monkeypatch.setenv(failpoints.VARIABLE, f"{shards.INSIDE_SHARD}=kill")
    crew = Crew(1)
    monkeypatch.setattr(crew, "_environment", own_environment)
    with pytest.raises(ConfigError, match=rf"ended its process {MAX_DEATHS_IN_MERGE} times \(SIGKILL\).*--workers"):
        crew.merge(spec, plan.items())
    close(crew)


def test_a_merge_that_hangs_is_ended_and_made_again_in_another_process(merge, monkeypatch, caplog) -> None:
    spec, plan = merge
    monkeypatch.setenv(failpoints.VARIABLE, f"{shards.INSIDE_SHARD}:2=hang")
    crew = Crew(2)
    crew.merge(dataclasses.replace(spec, row_timeout_s=2.0), plan.items())
    close(crew)
    assert len(merged_rows(spec, plan)) == 15
    assert caplog.text.count("made no progress; it is begun again") == 1


def test_a_merge_that_hangs_twice_is_one_line(merge, monkeypatch) -> None:
    spec, plan = merge
    monkeypatch.setenv(failpoints.VARIABLE, f"{shards.INSIDE_SHARD}=hang")
    crew = Crew(1)
    monkeypatch.setattr(crew, "_environment", own_environment)
    with pytest.raises(ConfigError, match=r"^merging shard .* made no progress for 2 s, twice; .* --row_timeout_s"):
        crew.merge(dataclasses.replace(spec, row_timeout_s=2.0), plan.items())
    assert close(crew) == 0


@pytest.fixture(scope="module")
def large_job(tmp_path_factory) -> JobFolder:
    """A job of 80 MB of kept rows, in five units of one row group of a shard each."""
    texts = [[f"{group} {row} {'x' * 262_144}" for row in range(64)] for group in range(5)]
    job_dir = toy.make_job(str(tmp_path_factory.mktemp("large")), texts)
    toy.run_here(job_dir)
    return job_dir


@pytest.fixture
def large(large_job) -> Iterator[tuple[MergeSpec, ShardPlan]]:
    """Its merge into one shard."""
    planner = ShardPlanner(1 << 40)
    for record in commits.read_commits(large_job):
        planner.add(record)
    plan = planner.write(large_job)
    yield MergeSpec(job_dir=large_job, plan_id=plan.plan_id, schema=toy.OUTPUT_SCHEMA), plan
    storage.remove_tree(large_job.shards)


def test_one_shard_is_divided_among_the_processes_and_has_the_same_bytes(large, monkeypatch) -> None:
    spec, plan = large
    (whole,) = (merge_again(spec, *shard) for shard in plan.items())
    storage.remove(spec.job_dir.shard(spec.plan_id, "train-00000.json"))
    crew = Crew(2)
    crew.merge(spec, plan.items())
    assert close(crew) == 2
    record = read_shard_record(spec, "train", 0)
    assert record is not None and record.path != whole.path
    assert (record.sha256, record.rows) == (whole.sha256, 320)
    assert not [name for name in storage.list_names(spec.job_dir.shard(spec.plan_id)) if name.endswith(".part")]


@pytest.mark.parametrize("fault", ["kill", "hang"])
def test_a_part_whose_process_is_lost_is_encoded_again(large, monkeypatch, fault) -> None:
    spec, plan = large
    monkeypatch.setenv(failpoints.VARIABLE, f"{shards.INSIDE_PART}:2={fault}")
    crew = Crew(2)
    crew.merge(dataclasses.replace(spec, row_timeout_s=2.0), plan.items())
    close(crew)
    assert [text[:4] for text in merged_rows(spec, plan)[::64]] == [f"{group} 0 " for group in range(5)]


def test_a_damaged_attempt_is_told_as_what_it_is(merge) -> None:
    spec, plan = merge
    (record, *_) = commits.read_commits(spec.job_dir)
    path = Path(spec.job_dir.join(record.files["kept"].path))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    crew = Crew(2)
    with pytest.raises(DamagedAttempt, match="differs from what unit 000000-toy committed"):
        crew.merge(spec, plan.items())
    close(crew)


def test_after_a_merge_has_failed_the_crew_runs_the_unit_again_and_merges_anew(merge) -> None:
    """Several are damaged and others are under way when the first one fails: none of it is heard of later."""
    spec, plan = merge
    records = list(commits.read_commits(spec.job_dir))
    for record in records[:2]:
        path = Path(spec.job_dir.join(record.files["kept"].path))
        path.write_bytes(path.read_bytes()[:-1] + b"?")
    crew = Crew(2)
    with pytest.raises(DamagedAttempt):
        crew.merge(spec, plan.items())
    for record in records[:2]:
        commits.void_commit(spec.job_dir, record, "damaged")
    run_units(
        RunSpec(job_dir=spec.job_dir, schema=toy.SCHEMA, config_hash=toy.CONFIG_HASH),
        Orders(job_name="tests.jobs.toy", options={}),
        crew,
    )
    planner = ShardPlanner(1)
    for record in commits.read_commits(spec.job_dir):
        planner.add(record)
    again = planner.write(spec.job_dir)
    new = MergeSpec(job_dir=spec.job_dir, plan_id=again.plan_id, schema=toy.OUTPUT_SCHEMA)
    crew.merge(new, again.items())
    close(crew)
    assert len(merged_rows(new, again)) == 15


def test_processes_get_the_folder_of_temporary_files_that_is_set_when_they_start(monkeypatch) -> None:
    crew = Crew(2)
    monkeypatch.setenv("TMPDIR", "/somewhere/else")
    assert crew._environment()["TMPDIR"] == "/somewhere/else"


def sample_of(tmp_path, row: str):
    job_dir = toy.make_job(str(tmp_path), [["a", row]])
    reader = FooterReader()
    try:
        return sample_in(reader.child, Orders(job_name="tests.jobs.toy", options={}), [*read_plan(job_dir)], toy.SCHEMA)
    finally:
        reader.close()


def test_a_dry_runs_sample_is_measured_in_the_child(tmp_path) -> None:
    sample = sample_of(tmp_path, "b")
    assert sample.counts["rows_in"] == 2
    assert sample.faults == ()


def test_a_row_of_the_sample_that_raises_is_no_bug_of_the_job(tmp_path) -> None:
    sample = sample_of(tmp_path, "raise me")
    assert sample.faults == (
        "sample   " + str(tmp_path / "in.parquet") + ": a row raised ValueError; the job would reject it",
    )


def test_a_sample_that_ends_its_process_says_so(tmp_path) -> None:
    assert sample_of(tmp_path, "kill me").faults == ("sample   it ended the process that ran it (SIGKILL)",)


def test_a_sample_whose_work_refuses_is_the_users_one_line(tmp_path) -> None:
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    reader = FooterReader()
    orders = Orders(job_name="tests.jobs.toy", options={"refuse_on_open": True})
    with pytest.raises(ConfigError, match="no batteries"):
        sample_in(reader.child, orders, [*read_plan(job_dir)], toy.SCHEMA)
    reader.close()
