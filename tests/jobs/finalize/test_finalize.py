"""Finalize, killed at every step and started again.

A kill is real: SIGKILL to a process forked from one that has imported everything, so that a case takes a fraction of a
second.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jobs.driver.driver
import jobs.finalize.finalize
import jobs.finalize.shards
import jobs.plan.freezing
from jobs.errors import DamagedAttempt, IncompleteJob, LedgerBroken
from jobs.finalize.finalize import finalize
from jobs.finalize.shard_plan import ShardPlanner
from jobs.finalize.shards import MergeSpec, merge_shard, read_shard_record
from jobs.ledger.commits import CommitRecord, FileRecord, read_commits
from jobs.plan.job_file import SCHEMA_VERSION, read_job
from jobs.storage import failpoints
from jobs.storage.folders import JobFolder, OutputFolder
from tests.jobs import uppercase

GROUP_BYTES = 800
"""Of row groups, so that merges are divided."""
FAILPOINTS = failpoints.names("finalize.") + failpoints.names("plan.")


@pytest.fixture(scope="module")
def forker() -> Iterator[uppercase.Forker]:
    made = uppercase.Forker(GROUP_BYTES)
    yield made
    made.close()


@pytest.fixture(scope="module")
def corpus(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("corpus")
    uppercase.write_corpus(folder / "a.parquet", 60)
    uppercase.write_corpus(folder / "b.parquet", 30)
    (folder / "c.parquet").write_bytes(b"")
    return folder


def flags(corpus: Path, output: Path, *more: str) -> list[str]:
    return ["--input", str(corpus), "--output", str(output), "--unit_rows", "7", "--progress", "none", *more]


@pytest.fixture
def inline(monkeypatch):
    """Units and merges in this process: these tests are about what comes after them."""
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)
    monkeypatch.setattr("jobs.finalize.shards.ROW_GROUP_BYTES", GROUP_BYTES)


@pytest.fixture
def finished(corpus, tmp_path, inline) -> Path:
    output = tmp_path / "out"
    assert uppercase.command_line(flags(corpus, output)) == 3
    return output


@pytest.fixture(scope="module")
def uninterrupted(corpus, forker, tmp_path_factory) -> Path:
    output = tmp_path_factory.mktemp("whole") / "out"
    assert os.waitstatus_to_exitcode(forker.run(flags(corpus, output))) == 3
    return output


@pytest.fixture
def unmerged(corpus, tmp_path, forker) -> Path:
    """An output whose units are all committed and of which no shard is merged."""
    output = tmp_path / "out"
    forker.run(flags(corpus, output), "finalize.after_plan=kill")
    return output


def hashes(output: Path) -> dict[str, str]:
    return {
        path.relative_to(output).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for folder in ("data", "rejected")
        for path in sorted((output / folder).iterdir())
    }


def finalize_again(output: Path, shard_mb: int = 256) -> dict:
    job = read_job(OutputFolder(str(output)))
    assert job is not None
    return finalize(OutputFolder(str(output)), job, shard_mb=shard_mb, options={}, merge=uppercase.inline_merges)


# --- kills -----------------------------------------------------------------------------------------


def test_every_step_has_a_failpoint():
    assert len(failpoints.names("finalize.")) >= 12 and len(failpoints.names("plan.")) >= 4


@pytest.mark.parametrize("name", FAILPOINTS)
def test_killed_anywhere_and_resumed_the_dataset_is_that_of_an_uninterrupted_run(
    name, corpus, uninterrupted, forker, tmp_path
):
    output = tmp_path / "out"
    assert os.WTERMSIG(forker.run(flags(corpus, output), f"{name}=kill")) == signal.SIGKILL
    assert (output / "COMPLETED").exists() == (name == "finalize.after_completed")
    assert os.waitstatus_to_exitcode(forker.run(flags(corpus, output))) == 3
    assert hashes(output) == hashes(uninterrupted)
    assert not list(output.glob("_job/shards/*/*-00000.*.parquet"))  # merges, published by now
    assert not list(output.glob("_job/shards/*/*.part"))
    assert uppercase.summary(output)["rows"] == uppercase.summary(uninterrupted)["rows"]
    assert (output / "COMPLETED").exists()


def test_two_uninterrupted_runs_give_the_same_bytes(corpus, uninterrupted, finished):
    assert hashes(finished) == hashes(uninterrupted)


# --- shards ----------------------------------------------------------------------------------------


def test_every_shard_has_the_one_schema_with_its_version(finished, monkeypatch):
    job = read_job(OutputFolder(str(finished)))
    for path in (finished / "data").iterdir():
        schema = pq.read_schema(path)
        assert schema.equals(job.final_schema)
        assert schema.metadata[b"schema_version"] == SCHEMA_VERSION.encode()
        assert schema.field("content").type == pa.large_string()


def test_temporary_files_of_killed_processes_are_collected_and_nothing_else_is(corpus, finished):
    left = [finished / folder / f".x.parquet.{'0a' * 16}.tmp" for folder in ("", "data", "rejected", "_job/commits")]
    mine = finished / "data" / ".keep.tmp"
    for path in (*left, mine):
        path.write_bytes(b"")
    finalize_again(finished)
    assert mine.exists() and not any(path.exists() for path in left)


def test_a_copied_output_is_finished_from_its_own_files(corpus, tmp_path, inline, forker):
    output, copy = tmp_path / "out", tmp_path / "copy"
    forker.run(flags(corpus, output), "finalize.after_merge=kill")
    shutil.copytree(output, copy)
    assert uppercase.command_line(flags(corpus, copy)) == 3
    originals = {path.stat().st_ino for path in output.rglob("*.parquet")}
    assert not originals & {path.stat().st_ino for path in copy.rglob("*.parquet")}


def test_another_shard_size_splits_the_same_rows_again_and_leaves_no_stale_shard(finished, monkeypatch):
    before = uppercase.dataset(finished)
    monkeypatch.setattr("jobs.finalize.finalize.ShardPlanner", lambda size: ShardPlanner(9_000))
    finalize_again(finished)
    names = sorted(path.name for path in (finished / "data").iterdir())
    assert len(names) > 2 and names[-1] == f"train-{len(names) - 1:05d}-of-{len(names):05d}.parquet"
    assert uppercase.dataset(finished) == before


def test_files_that_are_not_shards_are_left_alone(finished):
    note = finished / "data" / "notes.txt"
    note.write_text("mine")
    finalize_again(finished)
    assert note.read_text() == "mine"


def test_finalizing_twice_changes_nothing_but_the_time(finished):
    before, told = hashes(finished), uppercase.summary(finished)
    finalize_again(finished)
    after = uppercase.summary(finished)
    assert hashes(finished) == before
    of_a_run = ("finished", "seconds", "last_session", "exit_codes", "run_id")
    assert {k: v for k, v in told.items() if k not in of_a_run} == {k: v for k, v in after.items() if k not in of_a_run}


def test_a_complete_output_has_no_second_copy_of_its_rows(finished):
    assert not list(finished.glob("_job/attempts/*")) and not list(finished.glob("_job/shards/*/*-0*.parquet"))


def test_a_lost_shard_is_refused_by_name_and_its_units_run_again_where_that_is_wanted(finished, corpus, capfd):
    before = hashes(finished)
    shutil.rmtree(finished / "data")
    assert uppercase.command_line(flags(corpus, finished)) == 2
    said = capfd.readouterr().err
    assert "is missing data/train-00000-of-00001.parquet, and with it the rows of 18 units" in said
    assert f"or remove {finished}/COMPLETED and run the same command" in said
    (finished / "COMPLETED").unlink()
    assert uppercase.command_line(flags(corpus, finished)) == 3
    assert hashes(finished) == before


def test_only_the_units_of_a_lost_shard_run_again(finished, corpus, monkeypatch, capfd):
    before = uppercase.dataset(finished)
    monkeypatch.setattr("jobs.finalize.finalize.ShardPlanner", lambda size: ShardPlanner(9_000))
    assert uppercase.command_line(flags(corpus, finished, "--shard_mb", "1")) == 3
    shards = sorted((finished / "data").iterdir())
    shards[0].unlink()
    (finished / "COMPLETED").unlink()
    capfd.readouterr()
    assert uppercase.command_line(flags(corpus, finished, "--shard_mb", "1")) == 3
    assert 0 < capfd.readouterr().err.count("rerunning its unit") < 13
    assert uppercase.dataset(finished) == before


def test_a_damaged_shard_is_refused_and_nothing_is_published(finished, corpus, monkeypatch, capfd):
    (shard,) = (finished / "data").iterdir()
    flip_a_byte(shard)
    left = shard.read_bytes()
    monkeypatch.setattr("jobs.finalize.finalize.ShardPlanner", lambda size: ShardPlanner(9_000))
    assert uppercase.command_line(flags(corpus, finished, "--shard_mb", "1")) == 2
    said = capfd.readouterr().err
    assert f"{shard} is not what was published (SHA-256), and nothing else has the rows of its 18 units" in said
    assert (finished / "COMPLETED").exists() and shard.read_bytes() == left
    shard.unlink()
    (finished / "COMPLETED").unlink()
    assert uppercase.command_line(flags(corpus, finished, "--shard_mb", "1")) == 3


@pytest.mark.parametrize("name", ["finalize.after_merge", "finalize.after_first_published", "finalize.after_stale",
                                  "finalize.inside_collect", "finalize.before_completed"])  # fmt: skip
@pytest.mark.parametrize("then", ["1", "256"])
def test_killed_while_it_is_cut_to_other_shards_it_has_all_rows_whatever_size_comes_next(
    name, then, corpus, uninterrupted, finished, forker, monkeypatch
):
    small = lambda size: ShardPlanner(9_000 if size == 1_000_000 else size)
    monkeypatch.setattr("jobs.finalize.finalize.ShardPlanner", small)
    monkeypatch.setenv(failpoints.VARIABLE, f"{name}=raise")
    monkeypatch.setattr("jobs.storage.failpoints._hits", Counter())
    with pytest.raises(failpoints.InjectedFault):
        uppercase.command_line(flags(corpus, finished, "--shard_mb", "1"))
    monkeypatch.delenv(failpoints.VARIABLE)
    assert uppercase.command_line(flags(corpus, finished, "--shard_mb", then)) == 3
    assert uppercase.dataset(finished) == uppercase.dataset(uninterrupted)
    if then == "256":
        assert hashes(finished) == hashes(uninterrupted)


def test_killed_while_attempts_are_deleted_it_is_finished_from_what_is_left(corpus, uninterrupted, forker, tmp_path):
    output = tmp_path / "out"
    forker.run(flags(corpus, output), "finalize.after_stale=kill")
    for unit in sorted((output / "_job" / "attempts").iterdir())[::2]:
        shutil.rmtree(unit)
    assert os.waitstatus_to_exitcode(forker.run(flags(corpus, output))) == 3
    assert hashes(output) == hashes(uninterrupted)


def test_a_job_that_kept_nothing_has_no_file_and_says_so(tmp_path, inline, capfd):
    pq.write_table(pa.table({"content": pa.array([None, None], pa.string())}), tmp_path / "nulls.parquet")
    output = tmp_path / "out"
    assert uppercase.command_line(flags(tmp_path / "nulls.parquet", output)) == 0
    assert not list(output.glob("data/*"))
    assert "There are no rows, so there is no file in `data/`" in (output / "README.md").read_text()
    assert uppercase.command_line(flags(tmp_path / "nulls.parquet", output)) == 0  # it is complete
    assert uppercase.command_line(flags(output, tmp_path / "next")) == 2
    assert f"--input: {output} has no rows: the job that wrote it kept none" in capfd.readouterr().err
    assert [row["reason"] for row in uppercase.dataset(output)["rejected"]] == ["null_content", "null_content"]


def test_attempts_of_workers_that_were_slower_are_collected(finished):
    late = finished / "_job" / "attempts" / "000000-ab" / "0123456789abcdef.kept.parquet"
    late.parent.mkdir(parents=True)
    late.write_bytes(b"of a worker that was slower")
    finalize_again(finished)
    assert not late.exists()


def test_what_killed_writers_left_is_swept_up(finished):
    left = [
        folder / f".{name}.{'0' * 32}.tmp"
        for folder in [finished, *(finished / "_job" / name for name in ("commits", "heartbeats", "lock", "shards"))]
        for name in ("x.json", "y")
    ]
    mark = finished / "_job" / "journal" / "open" / "supervised-killed" / "000001-ab~cafe~0-8~rows~shared"
    mark.parent.mkdir(parents=True)
    mine = finished / "_job" / ".notes"
    for path in (*left, mark, mine):
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(b"")
    finalize_again(finished)
    assert not any(path.exists() for path in (*left, mark)) and mine.exists()


def test_claims_and_last_lines_of_hosts_do_not_stay_behind(finished):
    for name in ("claims/000000-000004.1", "logs/host-1.txt"):
        path = finished / "_job" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text("x")
    finalize_again(finished)
    left = os.listdir(finished / "_job")
    assert "claims" not in left and "logs" not in left


def test_a_driver_that_lost_its_lock_publishes_nothing(finished):
    (finished / "COMPLETED").unlink()
    job = read_job(OutputFolder(str(finished)))
    shutil.rmtree(finished / "data")
    with pytest.raises(Exception, match="another driver took over"):
        finalize(
            OutputFolder(str(finished)),
            job,
            shard_mb=256,
            options={},
            merge=uppercase.inline_merges,
            still_held=lambda: False,
        )
    assert not (finished / "data").exists() and not (finished / "COMPLETED").exists()


def test_a_merge_holds_one_row_group_at_a_time_whatever_the_shards_size(tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.finalize.shards.ROW_GROUP_BYTES", 1 << 20)
    fit = jobs.finalize.shards.fit_table
    held: list[int] = []

    def watch(table: pa.Table, schema: pa.Schema) -> pa.Table:
        held.append(pa.total_allocated_bytes())  # Arrow's own count of allocated bytes
        return fit(table, schema)

    monkeypatch.setattr("jobs.finalize.shards.fit_table", watch)
    peaks = []
    for units in (8, 80):
        spec = write_fake_job(tmp_path / str(units) / "_job", units, text="x" * 4096, rows=100)
        held.clear()
        before = pa.total_allocated_bytes()
        assert merge_shard(spec, "train", 0).rows == units * 100
        peaks.append(max(held) - before)
    assert peaks[1] < peaks[0] * 1.5, peaks


@pytest.mark.parametrize("least_bytes", [0, 1 << 40], ids=["copied", "encoded again"])
def test_a_merge_has_the_rows_of_all_units_whether_it_copies_or_encodes(tmp_path, monkeypatch, least_bytes):
    monkeypatch.setattr("jobs.finalize.shards.COPIED_BYTES", least_bytes)
    spec = write_fake_job(tmp_path / "_job", 5, text="x" * 50, rows=9, is_final=True)
    record = merge_shard(spec, "train", 0)
    parquet = pq.ParquetFile(spec.job_dir.join(record.path), page_checksum_verification=True)
    assert record.rows == 45 and parquet.num_row_groups == (1 if least_bytes else 5)
    assert parquet.schema_arrow.metadata == spec.schema.metadata
    contents = [f"{number} {'x' * 50}" for number in range(5) for _ in range(9)]
    assert parquet.read().column("content").to_pylist() == contents


def test_only_attempts_that_are_written_as_they_are_published_are_copied(tmp_path, monkeypatch):
    """A job that an earlier version began has attempts of another form, whatever is written now."""
    monkeypatch.setattr("jobs.finalize.shards.COPIED_BYTES", 0)
    groups = []
    for is_final in (False, True):
        spec = write_fake_job(tmp_path / str(is_final) / "_job", 5, text="x" * 50, rows=9, is_final=is_final)
        record = merge_shard(spec, "train", 0)
        groups.append(pq.read_metadata(spec.job_dir.join(record.path)).num_row_groups)
    assert groups == [1, 5]
    old = json.loads(CommitRecord(unit_id="0", attempt_id="a", status="done", rows_in=1, config_hash="").to_json())
    del old["is_final"]
    assert not CommitRecord.from_json(json.dumps(old).encode()).is_final


def write_fake_job(job_dir: Path, units: int, text: str, rows: int, *, is_final: bool = False) -> MergeSpec:
    schema = pa.schema([pa.field("content", pa.large_string())], metadata={"schema_version": "1"})
    planner = ShardPlanner(1 << 40)
    for number in range(units):
        path = job_dir / "attempts" / f"{number:06d}" / "a.kept.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(pa.table({"content": [f"{number} {text}"] * rows}, schema=schema), path, compression="none")
        data = path.read_bytes()
        file = FileRecord(
            path=path.relative_to(job_dir).as_posix(),
            rows=rows,
            bytes=len(data),
            sha256=hashlib.sha256(data).hexdigest(),
        )
        planner.add(
            CommitRecord(
                unit_id=f"{number:06d}",
                attempt_id="a",
                status="done",
                rows_in=rows,
                config_hash="",
                files={"kept": file},
                is_final=is_final,
            )
        )
    plan = planner.write(JobFolder(str(job_dir)))
    return MergeSpec(job_dir=JobFolder(str(job_dir)), plan_id=plan.plan_id, schema=schema)


def test_merges_are_told_when_they_count_as_hung(unmerged):
    told = []

    def merge(spec: MergeSpec, shards: list) -> None:
        told.append(spec.row_timeout_s)
        uppercase.inline_merges(spec, shards)

    output = OutputFolder(str(unmerged))
    finalize(output, read_job(output), shard_mb=256, options={"row_timeout_s": 7}, merge=merge)
    assert told == [7.0]


def test_two_merges_of_a_shard_agree_on_one(tmp_path):
    spec = write_fake_job(tmp_path / "_job", 3, "x", 5)
    first = merge_shard(spec, "train", 0)
    assert merge_shard(spec, "train", 0) == first == read_shard_record(spec, "train", 0)


# --- ledgers ---------------------------------------------------------------------------------------


def spoil_commit(output: Path, change) -> None:
    path = sorted((output / "_job" / "commits").iterdir())[0]
    record = json.loads(path.read_text())
    change(record)
    path.write_text(json.dumps(record))
    (output / "COMPLETED").unlink(missing_ok=True)


def test_a_row_that_got_lost_fails_the_job_with_both_sums(unmerged, inline, corpus, capfd):
    spoil_commit(unmerged, lambda record: record["counts"].update(rows_kept=record["counts"]["rows_kept"] - 1))
    assert uppercase.command_line(flags(corpus, unmerged)) == 1
    said = capfd.readouterr().err
    assert "90 rows planned, but 77 kept + 12 rejected + 0 in failed units = 89" in said
    assert "Traceback" not in said
    assert not (unmerged / "COMPLETED").exists() and not (unmerged / "data").exists()


def test_a_target_that_got_lost_fails_the_job_with_both_sums(finished):
    spoil_commit(finished, lambda record: record["counts"].update(targets=99))
    with pytest.raises(LedgerBroken, match=r"\d+ targets chosen, but \d+ accepted \+ \d+ rejected = \d+"):
        finalize_again(finished)


def test_output_files_that_hold_other_rows_than_the_commits_fail_the_job(finished):
    def swap(record):
        record["counts"].update(
            rows_rejected=record["counts"]["rows_rejected"] + 1, rows_kept=record["counts"]["rows_kept"] - 1
        )

    spoil_commit(finished, swap)
    with pytest.raises(LedgerBroken, match="rejected rows: 12 in the output files, 13 in the commits"):
        finalize_again(finished)


def test_a_commit_of_other_rows_than_planned_fails_the_job(finished):
    spoil_commit(finished, lambda record: record.update(rows_in=99))
    with pytest.raises(LedgerBroken, match="rows planned, but its commit counts 99"):
        finalize_again(finished)


def test_a_unit_without_a_commit_is_never_published(finished):
    sorted((finished / "_job" / "commits").iterdir())[1].unlink()
    with pytest.raises(IncompleteJob):
        finalize_again(finished)


# --- damage ----------------------------------------------------------------------------------------


def flip_a_byte(path: Path) -> None:
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 0xFF
    path.write_bytes(data)


def damage(output: Path) -> Path:
    """Damages a unit's file after the fact, its size unchanged."""
    record = next(r for r in read_commits(JobFolder(str(output / "_job"))) if "kept" in r.files)
    path = output / "_job" / record.files["kept"].path
    flip_a_byte(path)
    return path


def test_a_damaged_attempt_is_found_by_its_hash(unmerged, inline):
    path = damage(unmerged)
    with pytest.raises(DamagedAttempt, match=str(path)):
        finalize_again(unmerged)


def test_a_unit_whose_file_was_damaged_runs_again_and_the_dataset_is_whole(
    unmerged, uninterrupted, inline, corpus, capfd
):
    damage(unmerged)
    assert uppercase.command_line(flags(corpus, unmerged)) == 3
    assert "rerunning its unit" in capfd.readouterr().err
    assert hashes(unmerged) == hashes(uninterrupted)
