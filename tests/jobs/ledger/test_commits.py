from __future__ import annotations

import random
import subprocess
import sys
import time

import pyarrow.parquet as pq
import pytest

from jobs import storage
from jobs.errors import StorageFull
from jobs.ledger import commits
from jobs.plan.units import read_plan
from jobs.storage import failpoints
from jobs.storage.folders import JobFolder
from tests.jobs import toy

GROUPS = [["a", "bb", "reject", "ccc"], ["d", "e"], ["f", "reject"]]
COMMIT_FAILPOINTS = [*failpoints.names("commit."), *failpoints.names("storage.")]


@pytest.fixture
def job_dir(tmp_path) -> JobFolder:
    return toy.make_job(str(tmp_path), GROUPS)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory) -> tuple[list[tuple], list[tuple]]:
    job_dir = toy.make_job(str(tmp_path_factory.mktemp("undisturbed")), GROUPS)
    toy.run_here(job_dir)
    return toy.outcome(job_dir)


def unit_and_result(job_dir: JobFolder):
    unit = next(read_plan(job_dir))
    with storage.open_input(unit.uri) as file:
        table = pq.ParquetFile(file).read_row_group(0)
    return unit, toy.ToyWork({}).run(unit, table, list(range(table.num_rows)))


def test_a_commit_comes_back_as_it_was_written(job_dir):
    unit, result = unit_and_result(job_dir)
    record = commits.commit_unit(
        job_dir, unit, "a1", result, config_hash="c", wall_s=1.23456, attempts=2, is_final=True
    )
    assert next(commits.read_commits(job_dir, [unit.unit_id]), None) == record
    assert commits.CommitRecord.from_json(record.to_json()) == record
    assert (record.rows_in, record.wall_s, record.attempts, record.is_final) == (4, 1.235, 2, True)
    assert record.files["kept"].rows == 3
    assert record.files["rejected"].rows == 1
    with storage.open_input(job_dir.join(record.files["kept"].path)) as file:
        assert pq.read_table(file) == result.kept


def test_the_first_attempt_wins_and_the_second_gets_its_record(job_dir):
    unit, result = unit_and_result(job_dir)
    first = commits.commit_unit(job_dir, unit, "a1", result, config_hash="c")
    assert commits.commit_unit(job_dir, unit, "a2", result, config_hash="c") == first
    assert commits.commit_failed(job_dir, unit, "a3", "input_missing", config_hash="c") == first
    assert commits.list_commits(job_dir) == {unit.unit_id}


def test_a_create_whose_response_was_lost_is_recognized_as_a_success(job_dir, monkeypatch):
    unit, result = unit_and_result(job_dir)
    create = storage.create_if_absent

    def forgetful(path: str, data: bytes) -> bool:
        create(path, data)
        return False

    monkeypatch.setattr(storage, "create_if_absent", forgetful)
    assert commits.commit_unit(job_dir, unit, "a1", result, config_hash="c").attempt_id == "a1"


def test_a_failed_unit_records_why_and_how_many_rows_are_missing(job_dir):
    unit = next(read_plan(job_dir))
    record = commits.commit_failed(job_dir, unit, "a1", "input_missing", "in.parquet is gone", config_hash="c")
    assert (record.status, record.reason, record.rows_in) == ("failed", "input_missing", unit.row_count)
    assert dict(record.counts) == {"rows_in": unit.row_count}
    assert commits.verify_commit(job_dir, record, full=True) is None


def test_commits_are_read_in_the_requested_order(job_dir):
    toy.run_here(job_dir)
    ids = [unit.unit_id for unit in read_plan(job_dir)]
    assert [record.unit_id for record in commits.read_commits(job_dir)] == ids
    assert [record.unit_id for record in commits.read_commits(job_dir, ids[::-1])] == ids[::-1]


@pytest.mark.parametrize(
    "damage, cheap, full",
    [
        (lambda data: None, "is missing", "is missing"),
        (lambda data: data[:-1], "its commit records", "its commit records"),
        (lambda data: data[:-1] + b"X", None, "differs from what was committed"),
    ],
    ids=["gone", "cut", "changed"],
)
def test_damage_to_a_committed_file_is_found_and_the_unit_can_run_again(job_dir, undisturbed, damage, cheap, full):
    record = toy.run_here(job_dir)[0]
    path = job_dir.join(record.files["kept"].path)
    damaged = damage(storage.read_bytes(path))
    storage.remove(path)
    if damaged is not None:
        storage.write_bytes(path, damaged)
    for is_full, expected in ((False, cheap), (True, full)):
        fault = commits.verify_commit(job_dir, record, full=is_full)
        assert (fault is None) if expected is None else (fault and expected in fault)
    commits.void_commit(job_dir, record, full)
    assert [again.unit_id for again in toy.run_here(job_dir)] == [record.unit_id]
    assert toy.outcome(job_dir) == undisturbed


@pytest.mark.parametrize("name", COMMIT_FAILPOINTS)
def test_a_kill_at_any_step_of_a_commit_loses_and_doubles_nothing(job_dir, undisturbed, name, monkeypatch):
    # The second unit: the one before it is complete, the one after it isn't started.
    nth = 3 if name == commits.INSIDE_KEPT else 2
    monkeypatch.setenv(failpoints.VARIABLE, f"{name}:{nth}=kill")
    killed = subprocess.run([sys.executable, "-m", "tests.jobs.toy", job_dir, "here", "{}"], capture_output=True)
    assert killed.returncode == -9, killed.stderr.decode()
    monkeypatch.delenv(failpoints.VARIABLE)
    before = {record.unit_id: record for record in commits.read_commits(job_dir)}
    assert 0 < len(before) < len(GROUPS)
    toy.run_here(job_dir)
    assert toy.outcome(job_dir) == undisturbed
    assert {record.unit_id: record for record in commits.read_commits(job_dir, before)} == before


@pytest.mark.parametrize("name", COMMIT_FAILPOINTS)
def test_a_disk_that_fills_up_at_any_step_of_a_commit_stops_the_job_whole(job_dir, undisturbed, name, monkeypatch):
    failpoints._hits.clear()
    monkeypatch.setenv(failpoints.VARIABLE, f"{name}:2=enospc")
    with pytest.raises(StorageFull, match=r"no space left.*run the same command again"):
        toy.run_here(job_dir)
    toy.run_here(job_dir)
    assert toy.outcome(job_dir) == undisturbed


def test_a_disk_that_is_really_full_stops_the_job_and_space_lets_it_resume(full_disk):
    # Text that compresses badly, more than 256 KB of it even then.
    random_bytes = random.Random(0).randbytes
    groups = [["x" + random_bytes(24_000).hex()] for _ in range(16)]
    job_dir = toy.make_job(full_disk.removesuffix("disk"), groups)
    small = JobFolder(storage.join(full_disk, "out", "_job"))
    storage.write_bytes(small.plan, storage.read_bytes(job_dir.plan))
    with pytest.raises(StorageFull):
        toy.run_here(small)
    assert 0 < len(commits.list_commits(small)) < len(groups)
    subprocess.run(["mount", "-o", "remount,size=8m", full_disk], check=True)
    toy.run_here(small)
    toy.run_here(job_dir)
    assert toy.outcome(small) == toy.outcome(job_dir)


@pytest.mark.slow
def test_twenty_kills_at_random_moments_lose_and_double_nothing(tmp_path):
    groups = [[f"{group} {row}" if row % 7 else "reject" for row in range(20)] for group in range(400)]
    job_dir, expected = (toy.make_job(str(tmp_path / name), groups) for name in ("killed", "undisturbed"))
    random_s = random.Random(0)
    seen: dict[str, commits.CommitRecord] = {}
    for _ in range(20):
        driver = subprocess.Popen([sys.executable, "-m", "tests.jobs.toy", job_dir, "here", "{}"])
        before = len(seen)
        deadline = time.monotonic() + 60
        while len(commits.list_commits(job_dir)) == before and time.monotonic() < deadline:
            time.sleep(0.001)
        time.sleep(random_s.uniform(0, 0.1))
        driver.kill()
        driver.wait()
        now = {record.unit_id: record for record in commits.read_commits(job_dir)}
        assert all(now[unit_id] == record for unit_id, record in seen.items())
        seen = now
    assert len(seen) < len(groups), "the job was over before it was killed for the last time"
    toy.run_here(job_dir)
    toy.run_here(expected)
    assert toy.outcome(job_dir) == toy.outcome(expected)


def test_a_client_that_gets_no_answer_is_asked_again(job_dir, monkeypatch):
    from gcsfs.retry import HttpError  # once jobs.storage has set it up

    create, answers = storage.create_if_absent, [HttpError({"code": 503, "message": "try later"})]

    def unsteady(path, data):
        if answers:
            raise answers.pop()
        return create(path, data)

    monkeypatch.setattr(storage, "create_if_absent", unsteady)
    monkeypatch.setattr(commits, "_RETRY_DELAY_S", 0)
    unit, result = unit_and_result(job_dir)
    assert commits.commit_unit(job_dir, unit, "a1", result, config_hash="c").attempt_id == "a1"


@pytest.mark.parametrize("where", ["local", "bucket"])
def test_the_commits_of_a_few_units_are_found_without_the_others(where, tmp_path, request):
    root = str(tmp_path) if where == "local" else request.getfixturevalue("gcs_root")
    job_dir = JobFolder(f"{root}/_job")
    ids = [f"{number:06d}-x" for number in range(8)]
    for number in (0, 2, 3, 5, 7):
        storage.write_bytes(job_dir.commit(ids[number]), b"{}")
    assert commits.committed_among(job_dir, ids[2:6]) == {ids[2], ids[3], ids[5]}
    assert commits.committed_among(job_dir, ids[1:2]) == set()
    assert storage.list_names(job_dir.commits, first=f"{ids[3]}.json", last=f"{ids[5]}.json") == [
        f"{ids[3]}.json",
        f"{ids[5]}.json",
    ]
