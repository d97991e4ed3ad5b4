"""The outcome of one unit, whatever goes wrong in it."""

from __future__ import annotations

import dataclasses
import os
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from jobs import storage
from jobs.errors import LedgerBroken, UploadLost
from jobs.execution import attempt, pieces
from jobs.execution.attempt import FaultStreak, UnitRunner, WorkBroken
from jobs.execution.cursors import MAX_BATCH_ROWS
from jobs.execution.worker import RunSpec, Worker
from jobs.ledger import commits, journal
from jobs.plan.cutting import UnitBounds, make_plan
from jobs.plan.inputs import read_inputs
from jobs.plan.units import plan_to_parquet, read_plan
from jobs.storage.folders import JobFolder, OutputFolder
from model.errors import ConfigError
from tests.jobs import toy
from tests.jobs.uppercase import read_here
from transforms.rows.columns import ColumnMap, ColumnOverrides
from transforms.work import Unit


@pytest.fixture(autouse=True)
def no_delay(monkeypatch):
    monkeypatch.setattr(pieces, "_READ_DELAY_S", 0.0)


def reasons(job_dir: JobFolder) -> list[tuple]:
    return [(row, stage, reason) for _, _, row, stage, reason, _ in toy.outcome(job_dir)[1]]


def test_only_the_rows_that_raise_are_rejected_and_their_text_is_not_recorded(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a", "raise top secret", "b", "c", "refuse", "d", "reject"]])
    (record,) = toy.run_here(job_dir)
    assert reasons(job_dir) == [(1, "run", "stage_error"), (4, "run", "toy_refused"), (6, "toy", "toy_rejected")]
    assert [row for _, row, _, _ in toy.outcome(job_dir)[0]] == [0, 2, 3, 5]
    assert "secret" not in str(toy.outcome(job_dir)[1]) + str(record)
    assert toy.outcome(job_dir)[1][0][-1] == "ValueError in tests.jobs.toy"
    assert record.counts["rejected_row/run/stage_error"] == 1


def test_a_unit_whose_upload_is_lost_is_attempted_again_under_a_new_name(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a", "reject"]])
    paths = []
    opened = storage.open_output

    def lost_once(path, **options):
        paths.append(path)
        if len(paths) == 1:
            raise UploadLost(path)
        return opened(path, **options)

    monkeypatch.setattr(storage, "open_output", lost_once)
    (record,) = toy.run_here(job_dir)
    assert [row for _, row, _, _ in toy.outcome(job_dir)[0]] == [0]
    assert len(set(paths)) == 3 and record.attempt_id in paths[1] and record.attempt_id not in paths[0]


def test_all_files_of_an_attempt_are_durable_before_its_commit_has_its_name(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a", "reject"]])
    (unit,) = read_plan(job_dir)
    done: list[str] = []
    fsync, link = os.fsync, os.link
    monkeypatch.setattr(os, "fsync", lambda file: (done.append(os.readlink(f"/proc/self/fd/{file}")), fsync(file)))
    monkeypatch.setattr(os, "link", lambda old, new: (done.append(f"link {new}"), link(old, new)))
    runner = UnitRunner(
        job_dir=job_dir,
        work=toy.ToyWork({}),
        schema=toy.SCHEMA,
        config_hash=toy.CONFIG_HASH,
        journal=journal.Journal(job_dir, journal.new_session(supervised=True)),
        identified_by=ColumnMap(content="content"),
    )
    record = runner.run(unit)
    before = set(done[: done.index(f"link {job_dir.commit(unit.unit_id)}")])
    files = [job_dir.join(file.path) for file in record.files.values()]
    files.append(job_dir.rows_of(unit.unit_id, record.attempt_id))
    assert len(files) == 3
    assert {*files, *(os.path.dirname(file) for file in files)} <= before


@given(st.lists(st.sampled_from(["a", "raise x", "refuse", "reject"]), min_size=1, max_size=24))
@settings(max_examples=25, deadline=None)
def test_whichever_rows_raise_every_row_ends_in_one_state(tmp_path_factory, contents):
    job_dir = toy.make_job(str(tmp_path_factory.mktemp("job")), [contents])
    (record,) = toy.run_here(job_dir)
    kept, rejected = toy.outcome(job_dir)
    assert [row for _, row, _, _ in kept] == [row for row, content in enumerate(contents) if content == "a"]
    assert [row[2] for row in rejected] == [row for row, content in enumerate(contents) if content != "a"]
    assert record.counts["rows_in"] == len(contents)


def test_when_row_after_row_raises_the_job_stops_and_nothing_is_committed(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["raise x"] * (attempt.MAX_FAULTS_IN_A_ROW + 1)])
    with pytest.raises(WorkBroken, match="100 consecutive rows raised, the last one ValueError"):
        toy.run_here(job_dir)
    assert commits.list_commits(job_dir) == set()


def test_a_row_that_comes_out_ends_the_streak():
    streak = FaultStreak(limit=2)
    streak.add(ValueError())
    streak.end()
    streak.add(ValueError())
    with pytest.raises(WorkBroken):
        streak.add(ValueError())


def test_a_work_that_says_it_is_broken_rejects_no_row_and_nothing_is_committed(tmp_path, monkeypatch):
    def broken(work, unit, table, rows):
        raise WorkBroken("the engine is dead")

    job_dir = toy.make_job(str(tmp_path), [["a", "b"]])
    monkeypatch.setattr(toy.ToyWork, "run", broken)
    with pytest.raises(WorkBroken, match="engine is dead"):
        toy.run_here(job_dir)
    assert commits.list_commits(job_dir) == set()


def test_an_input_that_is_gone_or_changed_fails_its_units_with_the_reason(tmp_path):
    for name, spoil, reason in (
        ("gone", lambda path: os.unlink(path), "input_missing"),
        ("changed", lambda path: os.truncate(path, 10), "input_changed"),
    ):
        job_dir = toy.make_job(str(tmp_path / name), [["a"], ["b"]])
        spoil(next(read_plan(job_dir)).uri)
        records = toy.run_here(job_dir)
        assert [(record.status, record.reason, record.rows_in) for record in records] == [("failed", reason, 1)] * 2


def test_a_local_disk_that_cant_be_read_fails_the_unit_after_some_tries(tmp_path, monkeypatch):
    tries = []

    def broken(unit, schema, **how):
        tries.append(unit)
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(pieces, "read_piece", broken)
    (record,) = toy.run_here(toy.make_job(str(tmp_path), [["a"]]))
    assert (record.status, record.reason, len(tries)) == ("failed", "input_unreadable", 3)
    assert "Input/output error" in record.detail


def try_later() -> Exception:
    from gcsfs.retry import HttpError  # once jobs.storage has set it up

    return HttpError({"code": 503, "message": "try later"})


@pytest.mark.parametrize(
    "answer",
    [lambda: TimeoutError("no answer"), try_later, lambda: OSError("Forbidden: it was revoked")],
    ids=["silence", "an error of the client's own", "no permission any more"],
)
def test_a_remote_storage_that_gives_no_answer_stops_the_job_and_fails_nothing(gcs_root, monkeypatch, answer):
    def silent(unit, schema, **how):
        raise answer()

    monkeypatch.setattr(pieces, "_READ_DELAY_S", 0)
    monkeypatch.setattr(pieces, "read_piece", silent)
    job_dir = toy.make_job(gcs_root, [["a"]])
    with pytest.raises(ConfigError, match="run the same command again when the storage is available"):
        toy.run_here(job_dir)
    assert commits.list_commits(job_dir) == set()


def test_counts_that_dont_add_up_are_found_before_anything_is_committed(tmp_path, monkeypatch):
    run = toy.ToyWork.run

    def forgetful(self, unit, table, rows):
        result = run(self, unit, table, rows)
        result.counts.subtract(Counter(rows_kept=1))
        return result

    monkeypatch.setattr(toy.ToyWork, "run", forgetful)
    job_dir = toy.make_job(str(tmp_path), [["a", "b"]])
    with pytest.raises(LedgerBroken, match="2 rows planned, 2 counted in, 1 out"):
        toy.run_here(job_dir)
    assert commits.list_commits(job_dir) == set()


def record_death(job_dir: JobFolder, *starts: journal.Start) -> None:
    session = journal.new_session(supervised=True)
    for start in starts:
        storage.write_bytes(job_dir.join("journal", "open", session, start.to_name()), b"")
    journal.record_death(job_dir, session, "SIGKILL")


def alone(unit_id: str, begin: int, end: int, phase: journal.Phase = "rows") -> journal.Start:
    return journal.Start(unit_id=unit_id, attempt_id="x", begin=begin, end=end, phase=phase, alone=True)


def test_the_row_that_crashed_is_rejected_without_being_run_and_the_others_come_out(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a", "kill", "b", "c"]])
    for begin, end in ((0, 4), (0, 4), (0, 2), (1, 2)):
        record_death(job_dir, alone("000000-toy", begin, end))
    (record,) = toy.run_here(job_dir)  # this very process would be killed
    assert reasons(job_dir) == [(1, "run", "crashed_worker")]
    assert [content for _, _, content, _ in toy.outcome(job_dir)[0]] == ["a", "b", "c"]
    assert record.attempts == 5


def test_the_smallest_pieces_run_first_since_they_may_crash(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a", "b", "c", "d"]])
    for begin, end in ((0, 4), (0, 4), (2, 4)):
        record_death(job_dir, alone("000000-toy", begin, end))
    log = tmp_path / "log"
    toy.run_here(job_dir, log=str(log))
    assert [line.split(":")[1] for line in log.read_text().split()] == ["2", "3", "0", "1"]
    assert [row for _, row, _, _ in toy.outcome(job_dir)[0]] == [0, 1, 2, 3]


def test_a_unit_that_crashed_its_worker_while_it_was_read_fails_without_being_read(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    for _ in range(journal.ALONE_DEATHS):
        record_death(job_dir, alone("000000-toy", 0, 0, "read"))
    first, second = toy.run_here(job_dir)
    assert (first.status, first.reason) == ("failed", "crashed_on_read")
    assert second.status == "done"


def test_a_death_inside_a_range_that_raises_as_a_whole_is_still_narrowed_down(tmp_path):
    """The full range raises, its first half crashes: the half must be split although the full range never died."""
    job_dir = toy.make_job(str(tmp_path), [["kill", "a", "raise x", "b"]])
    record_death(job_dir, alone("000000-toy", 0, 2))
    suspect = journal.diagnose(journal.read_deaths(job_dir))["000000-toy"]
    assert suspect.halves(0, 4) == [(0, 1, False), (1, 2, False), (2, 4, False)]
    record_death(job_dir, alone("000000-toy", 0, 1))
    suspect = journal.diagnose(journal.read_deaths(job_dir))["000000-toy"]
    assert suspect.halves(0, 4) == [(0, 1, True), (1, 2, False), (2, 4, False)]


def test_a_journal_that_cant_be_written_is_not_the_rows_fault(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a", "b"]])

    def silent(path, data, durable=True):
        raise TimeoutError("no answer")

    monkeypatch.setattr(storage, "write_bytes", silent)
    with pytest.raises(TimeoutError):
        toy.run_here(job_dir)
    monkeypatch.undo()
    monkeypatch.setattr(storage, "remove", lambda path: silent(path, b""))
    toy.run_here(job_dir)
    assert [row for _, row, _, _ in toy.outcome(job_dir)[0]] == [0, 1]


def test_no_start_record_stays_behind_after_a_run(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a", "raise x"], ["b"]])
    toy.run_here(job_dir)
    opened = job_dir.join("journal", "open")
    assert [storage.list_names(storage.join(opened, session)) for session in storage.list_names(opened)] == [[]]


# --- pieces, and several row groups in one unit -----------------------------------------------------


def runner_of(job_dir: JobFolder, **how) -> attempt.UnitRunner:
    session = journal.new_session(supervised=True)
    return attempt.UnitRunner(
        job_dir=job_dir,
        work=toy.ToyWork({}),
        schema=toy.SCHEMA,
        config_hash=toy.CONFIG_HASH,
        journal=journal.Journal(job_dir, session),
        suspects=journal.diagnose(journal.read_deaths(job_dir)),
        **how,
    )


def test_a_unit_that_decodes_to_more_than_its_share_is_worked_on_in_pieces(tmp_path, monkeypatch):
    """A dictionary makes 3.2 MB of text a few kilobytes in the footer, and in the plan."""
    sizes = []
    run = toy.ToyWork.run

    def measuring(self, unit, table, rows):
        sizes.append(table.nbytes)
        return run(self, unit, table, rows)

    monkeypatch.setattr(toy.ToyWork, "run", measuring)
    contents = ["x" * 10_000, "reject " + "y" * 10_000] * 160
    job_dir = toy.make_job(str(tmp_path), [contents])
    (unit,) = read_plan(job_dir)
    assert unit.num_bytes < 50_000
    record = runner_of(job_dir, max_bytes=500_000).run(unit)
    assert len(sizes) > 1 and max(sizes) <= 500_000 + MAX_BATCH_ROWS * 11_000
    kept, rejected = toy.outcome(job_dir)
    assert [row for _, row, _, _ in kept] == list(range(0, 320, 2))
    assert [row for _, _, row, *_ in rejected] == list(range(1, 320, 2))
    assert record.counts["rows_in"] == 320


def test_a_worker_without_an_engine_works_through_a_unit_in_small_pieces(tmp_path, monkeypatch):
    sizes = []
    run = toy.ToyWork.run

    def measuring(self, unit, table, rows):
        sizes.append(table.nbytes)
        return run(self, unit, table, rows)

    monkeypatch.setattr(toy.ToyWork, "run", measuring)
    monkeypatch.setattr("jobs.execution.worker.PIECE_BYTES", 500_000)
    job_dir = toy.make_job(str(tmp_path), [[f"{row} " + "x" * 20_000 for row in range(150)]])
    (unit,) = read_plan(job_dir)
    spec = RunSpec(job_dir=job_dir, schema=toy.SCHEMA, config_hash=toy.CONFIG_HASH, max_units_in_flight=1)
    worker = Worker(spec, toy.ToyWork({}))
    worker.open()
    worker.submit(unit).result()
    worker.close()
    assert len(sizes) > 1 and max(sizes) <= 500_000 + MAX_BATCH_ROWS * 21_000
    assert [row for _, row, _, _ in toy.outcome(job_dir)[0]] == list(range(150))


@given(
    st.lists(st.sampled_from(["a", "raise x", "refuse", "reject"]), min_size=33, max_size=150),
    st.sets(st.integers(0, 150), max_size=3),
)
@settings(max_examples=10, deadline=None)
def test_in_pieces_too_crashes_are_narrowed_down_and_every_row_ends_in_one_state(tmp_path_factory, contents, crashing):
    crashing = {row for row in crashing if row < len(contents)}
    job_dir = toy.make_job(str(tmp_path_factory.mktemp("job")), [contents])
    (unit,) = read_plan(job_dir)
    run = toy.ToyWork.run

    class Killed(BaseException):
        pass

    def mortal(self, unit, table, rows):
        if crashing & set(rows):
            raise Killed
        return run(self, unit, table, rows)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(toy.ToyWork, "run", mortal)
        patch.setattr(storage, "remove", lambda path: None)  # as in a death, start records stay
        for _ in range(100):
            runner = runner_of(job_dir, max_bytes=1)
            try:
                runner.run(unit)
                break
            except Killed:
                session = runner.journal._folder.rpartition("/")[2]
                last = max(journal.open_starts(job_dir, session), key=lambda one: started_last(job_dir, session, one))
                record_death(job_dir, dataclasses.replace(last, alone=True))
    kept, rejected = toy.outcome(job_dir)
    assert [row for _, row, _, _ in kept] == [
        row for row, content in enumerate(contents) if content == "a" and row not in crashing
    ]
    assert {row for _, _, row, _, reason, _ in rejected if reason == "crashed_worker"} == crashing
    assert len(kept) + len(rejected) == len(contents)


def started_last(job_dir: JobFolder, session: str, start: journal.Start) -> int:
    return os.stat(job_dir.join("journal", "open", session, start.to_name())).st_mtime_ns


def test_of_a_unit_of_several_row_groups_only_the_damaged_ones_are_lost(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [[f"{group} {row}" for row in range(50)] for group in range(3)])
    units = list(read_plan(job_dir))
    spoil(units[0].uri, 1)
    _, version = storage.file_info(units[0].uri)
    joined = dataclasses.replace(units[0], version=version, row_start=10, row_count=120, group_rows=(50, 50, 50))
    record = runner_of(job_dir).run(joined)
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == [f"{n // 50} {n % 50}" for n in (*range(10, 50), *range(100, 130))]
    assert [row[1:5] for row in rejected] == [(1, row, "read", "damaged_input") for row in range(50)]
    assert (record.status, record.counts["rows_in"], record.counts["rows_rejected"]) == ("done", 120, 50)


def test_a_unit_of_several_row_groups_that_are_all_damaged_fails(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [[f"{group} {row}" for row in range(50)] for group in range(2)])
    (unit, _) = read_plan(job_dir)
    for group in range(2):
        spoil(unit.uri, group)
    _, version = storage.file_info(unit.uri)
    record = runner_of(job_dir).run(dataclasses.replace(unit, version=version, row_count=100, group_rows=(50, 50)))
    assert (record.status, record.reason, record.rows_in) == ("failed", "damaged_input", 100)


def spoil(uri: str, row_group: int) -> None:
    """Overwrites a row group's pages."""
    column = pq.read_metadata(uri).row_group(row_group).column(0)
    with open(uri, "r+b") as file:
        file.seek(column.dictionary_page_offset or column.data_page_offset)
        file.write(b"\xff" * column.total_compressed_size)


# --- several files in one unit -----------------------------------------------------------------------


def make_files(folder: Path, *counts: int) -> tuple[JobFolder, Unit]:
    """A job whose only unit holds files of so many rows, each row with its file's name and number."""
    paths = []
    for name, count in zip("abcdefgh", counts, strict=False):
        paths.append(str(folder / f"{name}.parquet"))
        contents = [f"{name}{row}" for row in range(count)]
        pq.write_table(pa.table({"content": contents}, schema=toy.SCHEMA), paths[-1], row_group_size=2)
    plan = make_plan(read_inputs(paths, ColumnOverrides(), read=read_here), columns=["content"], bounds=UnitBounds())
    job_dir = OutputFolder(str(folder / "out")).job
    storage.write_bytes(job_dir.plan, plan_to_parquet(plan.units))
    (unit,) = read_plan(job_dir)
    return job_dir, unit


def outcome_of(job_dir: JobFolder) -> tuple[list[str], list[tuple]]:
    """The texts kept; file, rows and reason of what was rejected."""
    (record,) = commits.read_commits(job_dir)
    table = pq.read_table(job_dir.join(record.files["rejected"].path))
    rejected = Counter((row["uri"], row["stage"], row["reason"]) for row in table.to_pylist())
    return [content for _, _, content, _ in toy.outcome(job_dir)[0]], sorted(rejected.items())


GOOD = ["a0", "a1", "a2", "b0", "b1", "b2", "d0"]


@pytest.mark.parametrize(
    ("spoiled", "reason"),
    [
        (os.unlink, "input_missing"),
        (lambda path: os.truncate(path, 10), "input_changed"),
        (lambda path: spoil_all(path), "damaged_input"),
    ],
)
def test_a_file_that_cant_be_read_costs_only_its_own_rows(tmp_path, spoiled, reason):
    job_dir, unit = make_files(tmp_path, 3, 3, 4, 1)
    spoiled(unit.more[1].uri)
    (record,) = toy.run_here(job_dir)
    assert (record.status, record.rows_in) == ("done", 11)
    assert outcome_of(job_dir) == (GOOD, [(("c.parquet", "read", reason), 4)])


def test_a_disk_error_in_one_file_costs_only_its_own_rows(tmp_path, monkeypatch):
    job_dir, unit = make_files(tmp_path, 3, 3, 4, 1)
    opened = storage.open_input

    def broken(path):
        if path == unit.more[1].uri:
            raise OSError(5, "Input/output error")
        return opened(path)

    monkeypatch.setattr(storage, "open_input", broken)
    runner_of(job_dir).run(unit)
    assert outcome_of(job_dir) == (GOOD, [(("c.parquet", "read", "input_unreadable"), 4)])


def test_of_a_damaged_file_the_other_row_groups_come_out_beside_the_other_files(tmp_path):
    job_dir, unit = make_files(tmp_path, 3, 3, 4, 1)
    spoil_all(unit.more[1].uri, groups=[1])
    toy.run_here(job_dir)
    kept = sorted([*GOOD, "c0", "c1"])
    assert outcome_of(job_dir) == (kept, [(("c.parquet", "read", "damaged_input"), 2)])


def test_a_unit_none_of_whose_files_is_left_fails(tmp_path):
    job_dir, unit = make_files(tmp_path, 3, 3)
    for _, file in unit.by_file():
        os.unlink(file.uri)
    (record,) = toy.run_here(job_dir)
    assert (record.status, record.reason, record.rows_in) == ("failed", "input_missing", 6)


def test_rows_of_a_unit_with_an_unreadable_file_still_run_together(tmp_path, monkeypatch):
    sizes = []
    run = toy.ToyWork.run
    monkeypatch.setattr(toy.ToyWork, "run", lambda *args: (sizes.append(len(args[3])), run(*args))[1])
    job_dir, unit = make_files(tmp_path, 3, 3, 4, 1, 1)
    os.unlink(unit.more[1].uri)
    toy.run_here(job_dir)
    assert sizes == [6, 2]


@pytest.mark.parametrize("hung", [False, True])
def test_a_file_whose_reading_kills_the_worker_is_found_and_the_others_come_out(tmp_path, hung):
    job_dir, unit = make_files(tmp_path, 3, 3, 4, 1)
    poison = {unit.more[0].uri, unit.more[2].uri}

    class Killed(BaseException):
        pass

    opened = storage.open_input

    def mortal(path):
        if path in poison:
            raise Killed
        return opened(path)

    deaths = 0
    started: list[journal.Start] = []
    begin = journal.Journal.started
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(storage, "open_input", mortal)
        patch.setattr(journal.Journal, "started", lambda self, start: (started.append(start), begin(self, start))[1])
        for _ in range(10):
            try:
                runner_of(job_dir).run(unit)
                break
            except Killed:
                deaths += 1
                (record_hang if hung else record_death)(job_dir, started[-1])
    assert deaths == 1 + 2 * journal.ALONE_DEATHS
    reason = "timeout" if hung else "crashed_on_read"
    assert outcome_of(job_dir) == (
        ["a0", "a1", "a2", "c0", "c1", "c2", "c3"],
        [(("b.parquet", "read", reason), 3), (("d.parquet", "read", reason), 1)],
    )


def spoil_all(path: str, groups: Sequence[int] = (0, 1)) -> None:
    """Damages these row groups; the file's size and time stay, as if the disk had done it."""
    status = os.stat(path)
    for group in groups:
        spoil(path, group)
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns))


def record_shortage(job_dir: JobFolder, start: journal.Start) -> None:
    session = journal.new_session(supervised=True)
    storage.write_bytes(job_dir.join("journal", "open", session, start.to_name()), b"")
    journal.record_death(job_dir, session, "SIGKILL, the control group ran out of memory", short=True)


def test_a_row_that_takes_all_memory_is_rejected_for_that(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a", "b", "c"]])
    for begin, end in [(0, 3), (0, 3), (1, 3), (1, 2)]:
        record_shortage(job_dir, alone("000000-toy", begin, end))
    toy.run_here(job_dir)
    assert [row[2:5] for row in toy.outcome(job_dir)[1]] == [(1, "run", "out_of_memory")]


def test_a_row_whose_last_worker_died_otherwise_is_not_said_to_have_taken_all_memory(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    record_shortage(job_dir, alone("000000-toy", 0, 1))
    record_death(job_dir, alone("000000-toy", 0, 1))
    toy.run_here(job_dir)
    assert [row[2:5] for row in toy.outcome(job_dir)[1]] == [(0, "run", "crashed_worker")]


def test_a_unit_whose_reading_takes_all_memory_fails_with_that_reason(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    for _ in range(journal.ALONE_DEATHS):
        record_shortage(job_dir, alone("000000-toy", 0, 0, "read"))
    (record,) = toy.run_here(job_dir)
    assert (record.status, record.reason) == ("failed", "out_of_memory")


# --- rows that hang ---------------------------------------------------------------------------------


def record_hang(job_dir: JobFolder, *starts: journal.Start) -> None:
    session = journal.new_session(supervised=True)
    for start in starts:
        storage.write_bytes(job_dir.join("journal", "open", session, start.to_name()), b"")
    journal.record_death(job_dir, session, "no progress for 5 s", hung=True)


def test_a_hung_unit_runs_row_by_row_and_the_row_that_hangs_again_is_rejected(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a", "hang", "b"], ["c"]])
    log = tmp_path / "log"
    record_hang(job_dir, dataclasses.replace(alone("000000-toy", 0, 3), alone=False))
    suspect = journal.diagnose(journal.read_deaths(job_dir))["000000-toy"]
    assert suspect.pieces(0, 3) == [(0, 1, False), (1, 2, False), (2, 3, False)]
    record_hang(job_dir, alone("000000-toy", 1, 2))
    toy.run_here(job_dir, log=str(log))  # this very process would hang
    assert [row[2:5] for row in toy.outcome(job_dir)[1]] == [(1, "run", "timeout")]
    assert [content for _, _, content, _ in toy.outcome(job_dir)[0]] == ["a", "b", "c"]
    assert "000000-toy:1" not in log.read_text().split()


def test_a_unit_whose_reading_hangs_twice_fails_with_that_reason(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    for _ in range(journal.ALONE_DEATHS):
        record_hang(job_dir, alone("000000-toy", 0, 0, "read"))
    (record,) = toy.run_here(job_dir)
    assert (record.status, record.reason) == ("failed", "timeout")


def test_what_is_forgiven_is_tried_as_if_nothing_had_happened(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    for _ in range(journal.ALONE_DEATHS):
        record_hang(job_dir, alone("000000-toy", 0, 0, "read"))
        record_death(job_dir, alone("000001-toy", 0, 0, "read"))
    journal.forgive(job_dir, {"000000-toy"})
    first, second = toy.run_here(job_dir)
    assert (first.status, second.status) == ("done", "failed")
