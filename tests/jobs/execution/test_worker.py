"""One worker process: what it admits, and what of it is in flight together."""

from __future__ import annotations

import dataclasses
import gc
import threading
import time
import weakref
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs import storage
from jobs.errors import StorageFull
from jobs.execution.cursors import MAX_BATCH_ROWS
from jobs.execution.orders import from_text, to_text
from jobs.execution.worker import Admission, RunSpec, Worker
from jobs.ledger import commits, heartbeat, journal
from jobs.plan.units import read_plan
from jobs.storage.folders import JobFolder
from model.errors import ConfigError
from tests.jobs import toy


def spec_for(job_dir: JobFolder, **changes) -> RunSpec:
    spec = RunSpec(
        job_dir=job_dir,
        config_hash=toy.CONFIG_HASH,
        schema=toy.SCHEMA,
        max_units_in_flight=2,
        max_bytes_in_flight=10**9,
        session=journal.new_session(supervised=True),
    )
    return dataclasses.replace(spec, **changes)


def run_all(spec: RunSpec, work: toy.ToyWork, units=None) -> list[commits.CommitRecord]:
    """Opens a worker, submits units as they come, and closes it."""
    worker = Worker(spec, work)
    worker.open()
    try:
        futures = [worker.submit(unit) for unit in units or read_plan(spec.job_dir)]
        return [future.result() for future in futures]
    finally:
        worker.close()


class MeetingWork(toy.ToyWork):
    """Units wait for each other: they end only if `parties` of them are in flight concurrently."""

    def __init__(self, parties: int):
        super().__init__({})
        self.meeting = threading.Barrier(parties)
        self.opened = 0

    def open(self):
        self.opened += 1

    def run(self, unit, table, rows):
        self.meeting.wait(timeout=20)
        return super().run(unit, table, rows)


def test_units_are_in_flight_together_and_the_work_opens_once(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]] * 4)
    work = MeetingWork(2)
    run_all(spec_for(job_dir), work)
    assert len(commits.list_commits(job_dir)) == 4
    assert work.opened == 1


def test_after_the_disk_was_full_no_further_unit_is_started(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a"]] * 20)
    log = tmp_path / "log"

    def full(path, data):
        raise StorageFull("no space left")

    monkeypatch.setattr(storage, "create_if_absent", full)
    with pytest.raises(StorageFull):
        run_all(spec_for(job_dir), toy.ToyWork({"log": str(log)}))
    assert len(log.read_text().split()) <= 4


def test_a_worker_says_what_it_is_doing(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    spec = spec_for(job_dir)
    run_all(spec, toy.ToyWork({}))
    (beat,) = heartbeat.read_heartbeats(job_dir)
    assert (beat.session, beat.units_done, beat.units_in_flight) == (spec.session, 2, 0)
    assert beat.figures == {"tokens_out": 7.0}


class CyclicWork(toy.ToyWork):
    """Leaves an exception in a cycle for each unit, whose traceback leads to the unit's table."""

    def __init__(self):
        super().__init__({})
        self.tables: list[weakref.ref] = []
        self.most = 0

    def run(self, unit, table, rows):
        self.most = max(self.most, sum(found() is not None for found in self.tables))
        self.tables.append(weakref.ref(table))
        try:
            raise ValueError
        except ValueError as error:
            kept = error
        assert kept.__traceback__ is not None
        return super().run(unit, table, rows)


def test_a_cycle_that_a_unit_leaves_keeps_no_table_of_it(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]] * 8)
    work = CyclicWork()
    thresholds = gc.get_threshold()
    try:
        run_all(spec_for(job_dir, max_units_in_flight=1), work)
    finally:
        gc.set_threshold(*thresholds)
    assert len(work.tables) == 8
    assert work.most == 0


class WeighingWork(toy.ToyWork):
    """Measures the total bytes of all units in flight."""

    def __init__(self):
        super().__init__({})
        self.lock = threading.Lock()
        self.bytes = self.most = 0

    def run(self, unit, table, rows):
        with self.lock:
            self.bytes += table.nbytes
            self.most = max(self.most, self.bytes)
        try:
            time.sleep(0.02)
            return super().run(unit, table, rows)
        finally:
            with self.lock:
                self.bytes -= table.nbytes


def test_the_bound_on_bytes_in_flight_holds_if_footers_state_a_hundredth_of_them(tmp_path):
    """Three megabytes of text per unit, encoded in ten kilobytes; the bound is two megabytes for three units."""
    job_dir = toy.make_job(str(tmp_path), [[f"{group}" * 10_000] * 300 for group in range(6)])
    units = list(read_plan(job_dir))
    assert all(unit.num_bytes <= 30_000 for unit in units)
    work = WeighingWork()
    run_all(spec_for(job_dir, max_units_in_flight=3, max_bytes_in_flight=2_000_000), work, units)
    assert 700_000 < work.most <= 2_000_000 + 3 * MAX_BATCH_ROWS * 10_100
    assert len(toy.outcome(job_dir)[0]) == 1800


def enter_in_a_thread(admission: Admission, num_bytes: int, alone: bool = False) -> threading.Event:
    inside = threading.Event()

    def enter() -> None:
        admission.enter(num_bytes, alone)
        inside.set()

    threading.Thread(target=enter, daemon=True).start()
    return inside


def test_units_in_flight_are_bounded_by_number_and_by_bytes():
    admission = Admission(max_units=2, max_bytes=100)
    admission.enter(60, alone=False)
    too_big = enter_in_a_thread(admission, 60)
    assert not too_big.wait(0.05)
    admission.leave(60)
    assert too_big.wait(5)
    admission.enter(10, alone=False)
    too_many = enter_in_a_thread(admission, 1)
    assert not too_many.wait(0.05)
    admission.leave(60)
    assert too_many.wait(5)


def test_a_unit_above_the_bytes_runs_by_itself():
    admission = Admission(max_units=2, max_bytes=100)
    admission.enter(500, alone=False)
    assert not enter_in_a_thread(admission, 1).wait(0.05)


def test_one_that_must_be_alone_waits_for_the_others_and_keeps_them_out():
    admission = Admission(max_units=4, max_bytes=100)
    admission.enter(1, alone=False)
    alone = enter_in_a_thread(admission, 1, alone=True)
    assert not alone.wait(0.05)
    late = enter_in_a_thread(admission, 1)
    assert not late.wait(0.05)
    admission.leave(1)
    assert alone.wait(5)
    assert not late.wait(0.05)
    admission.leave(1)
    assert late.wait(5)


def test_suspects_never_share_the_process(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]] * 12)
    units = list(read_plan(job_dir))
    session = journal.new_session(supervised=True)
    for unit in units[::3]:
        start = journal.Start(unit_id=unit.unit_id, attempt_id="x", begin=0, end=1, phase="rows", alone=False)
        storage.write_bytes(job_dir.join("journal", "open", session, start.to_name()), b"")
    journal.record_death(job_dir, session, "SIGKILL")
    suspects = {unit.unit_id for unit in units[::3]}
    running: set[str] = set()
    shared: list[set[str]] = []

    class Watching(toy.ToyWork):
        def run(self, unit, table, rows):
            running.add(unit.unit_id)
            time.sleep(0.005)
            shared.append(set(running))
            running.discard(unit.unit_id)
            return super().run(unit, table, rows)

    worker = Worker(spec_for(job_dir, max_units_in_flight=4), Watching({}))
    worker.open()

    def submit(part) -> None:
        for future in [worker.submit(unit) for unit in part]:
            future.result()

    with ThreadPoolExecutor(3) as pool:
        list(pool.map(submit, [units[:4], units[4:8], units[8:]]))
    worker.close()
    assert len(commits.list_commits(job_dir)) == 12
    assert all(len(together) == 1 for together in shared if together & suspects)


def test_a_spec_survives_the_way_to_the_child():
    spec = spec_for(JobFolder("gs://b/out/_job"), session="x")
    assert from_text(to_text(spec)) == spec


@pytest.mark.parametrize(("weights", "phase"), [("c0ffee", "loading the model"), ("", "starting")])
def test_a_worker_tells_what_it_does_while_its_work_opens(tmp_path, weights, phase):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    seen = []

    class Opening(toy.ToyWork):
        def open(self):
            seen.extend(heartbeat.read_heartbeats(job_dir))

    run_all(spec_for(job_dir, run_id="night-1"), Opening({"weights": weights}))
    assert [(beat.phase, beat.run_id) for beat in seen] == [(phase, "night-1")]
    assert [beat.phase for beat in heartbeat.read_heartbeats(job_dir)] == [""]


def test_a_work_that_cannot_be_opened_ends_its_heartbeat(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    before = set(threading.enumerate())
    worker = Worker(spec_for(job_dir), toy.ToyWork({"refuse_on_open": True}))
    with pytest.raises(ConfigError):
        worker.open()
    assert not [thread for thread in set(threading.enumerate()) - before if thread.name == "heartbeat"]
