"""The parts of a host that need no process: units pushed by several threads, and hosts that share a machine."""

from __future__ import annotations

import dataclasses
import socket
import subprocess
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given
from hypothesis import strategies as st

from jobs.execution.orders import from_text, to_text
from jobs.hosts import host as host_module
from jobs.hosts.host import close_host, release_host, shared_host
from jobs.hosts.neighbors import Neighbors
from jobs.hosts.pushed import PushedUnits
from jobs.hosts.stopping import read_reason
from jobs.ledger import commits
from jobs.ledger.journal import Suspect
from jobs.plan.units import read_plan
from jobs.storage.folders import JobFolder
from jobs.system.child_process import Bell
from model.errors import ConfigError
from tests.jobs import toy
from tests.jobs.execution.test_dispatch import units_of
from tests.jobs.execution.test_pipeline import host_spec
from tests.jobs.uppercase import ROOT


def pushed(*, in_flight: int = 1, room: int = 100) -> PushedUnits:
    return PushedUnits(Bell(), in_flight=in_flight, room=room)


def said(unit_id: str) -> dict:
    return {"done": unit_id, "status": "done", "counts": {"rows_in": 1}}


def test_a_unit_that_is_pushed_twice_before_it_has_finished_runs_once():
    queue = pushed()
    (unit,) = units_of(1)
    first, second = queue.push(unit), queue.push(unit)
    assert queue.next_for(0) == unit
    assert queue.next_for(1) is None
    queue.note(said(unit.unit_id))
    queue.finish(0, unit.unit_id)
    assert first.result(0) == second.result(0) == {"status": "done", "counts": {"rows_in": 1}}


def test_whoever_pushes_waits_while_there_is_no_room():
    queue = pushed(room=1)
    first, second = units_of(1, 1)
    queue.push(first)
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(queue.push, second)
        time.sleep(0.1)
        assert not later.done()
        queue.next_for(0)
        queue.finish(0, first.unit_id)
        assert not later.result(10).done()


def test_an_error_reaches_all_who_wait_and_all_who_push():
    queue = pushed(room=1)
    first, second = units_of(1, 1)
    future = queue.push(first)
    with ThreadPoolExecutor(1) as pool:
        later = pool.submit(queue.push, second)
        queue.fail(ValueError("over"))
        for waiting in (future, later):
            with pytest.raises(ValueError, match="over"):
                waiting.result(10)
    with pytest.raises(ValueError, match="over"):
        _ = queue.is_done


def test_it_is_done_when_it_is_closed_and_all_has_finished():
    queue = pushed()
    (unit,) = units_of(1)
    assert not queue.is_done, "more may be pushed"
    queue.push(unit)
    queue.close()
    assert not queue.is_done
    queue.next_for(0)
    assert not queue.is_done
    queue.finish(0, unit.unit_id)
    assert queue.is_done


def test_a_unit_that_its_dead_worker_had_committed_is_told_without_counts():
    queue = pushed()
    (unit,) = units_of(1)
    future = queue.push(unit)
    queue.next_for(0)
    queue.take_back(0, {unit.unit_id: Suspect(1)}, committed={unit.unit_id})
    assert future.result(0) == {}


def test_what_other_hosts_have_seen_die_runs_alone():
    queue = pushed(in_flight=4)
    units = units_of(1, 1, 1)
    queue.learn({units[0].unit_id: Suspect(2)})
    for unit in units:
        queue.push(unit)
    assert [queue.next_for(0), queue.next_for(0), queue.next_for(0)] == [units[1], units[2], None]
    queue.finish(0, units[1].unit_id)
    queue.finish(0, units[2].unit_id)
    assert queue.next_for(0) == units[0]
    assert queue.suspicion_of(units[0]) == Suspect(2)


def test_older_news_of_other_hosts_dont_clear_a_unit_of_the_suspicion_that_it_came_under_here():
    queue = pushed()
    (unit,) = units_of(1)
    queue.push(unit)
    queue.next_for(0)
    queue.learn({unit.unit_id: Suspect(1), "another": Suspect(1)})  # read before the second death
    queue.take_back(0, {unit.unit_id: Suspect(2)})
    assert queue.next_for(0) == unit
    assert queue.suspicion_of(unit) == Suspect(2)


def test_units_of_a_row_group_that_come_in_any_order_are_handed_out_in_order():
    queue = pushed()
    units = units_of(3, 2)
    for number in (4, 2, 0, 3, 1):
        queue.push(units[number])
    order = []
    while (unit := queue.next_for(0)) is not None:
        order.append(units.index(unit))
        queue.finish(0, unit.unit_id)
    assert order == [3, 4, 0, 1, 2]


@given(st.lists(st.integers(1, 4), min_size=1, max_size=5), st.integers(1, 3), st.integers(1, 4))
def test_units_pushed_by_several_threads_all_finish(sizes, workers, room):
    queue = pushed(room=room)
    units = units_of(*sizes)
    ended = threading.Event()

    def supervise() -> None:
        while not queue.is_done:
            for worker in range(workers):
                queue.next_for(worker)
                for unit in queue.in_flight(worker):
                    queue.note(said(unit.unit_id))
                    queue.finish(worker, unit.unit_id)
        ended.set()

    supervisor = threading.Thread(target=supervise, daemon=True)
    supervisor.start()
    with ThreadPoolExecutor(3) as pool:
        futures = list(pool.map(queue.push, units))
    queue.close()
    assert all(future.result(10)["status"] == "done" for future in futures)
    assert ended.wait(10)


# --- the process's host -------------------------------------------------------------------------------


def test_a_host_without_users_is_closed_after_a_while_and_made_anew(tmp_path, monkeypatch):
    monkeypatch.setattr(host_module, "_LINGER_S", 0.05)
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    told = host_spec(job_dir)
    first = shared_host(told)
    assert shared_host(told) is first
    release_host(first)
    time.sleep(0.2)
    assert shared_host(told) is first, "one of its users is left"
    release_host(first)
    release_host(first)
    deadline = time.monotonic() + 30
    while first._thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.05)
    second = shared_host(told)
    assert second is not first
    (unit,) = read_plan(job_dir)
    future = second.submit(unit)
    assert future is not None and future.result(60)["status"] == "done"
    assert close_host() is None


def test_another_run_gets_another_host(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    first = shared_host(host_spec(job_dir, die_on_open=True))
    second = shared_host(host_spec(job_dir))
    assert second is not first
    (unit,) = read_plan(job_dir)
    future = second.submit(unit)
    assert future is not None and future.result(60)["status"] == "done"
    assert second.submit(unit) is None, "it is committed"
    assert commits.list_commits(job_dir) == {unit.unit_id}
    assert close_host() is None


def test_workers_run_in_the_drivers_folder_where_they_see_it(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    told = host_spec(job_dir, log="log")  # a relative path, as an option may name
    monkeypatch.chdir("/")  # the worker of a runner is somewhere else
    host = shared_host(from_text(to_text(told)))
    (unit,) = read_plan(job_dir)
    future = host.submit(unit)
    assert future is not None and future.result(60)["status"] == "done"
    assert (tmp_path / "log").exists()
    assert close_host() is None


def test_a_storage_that_cant_be_read_for_a_while_ends_no_bundle(tmp_path, monkeypatch, caplog):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    host = shared_host(host_spec(job_dir))

    def stalls(*args, **more):
        raise OSError(116, "Stale file handle")

    monkeypatch.setattr(host_module.journal, "read_deaths", stalls)
    host.refresh()
    assert "can't read what other hosts have done: [Errno 116] Stale file handle" in caplog.text
    (unit,) = read_plan(job_dir)
    future = host.submit(unit)
    assert future is not None and future.result(60)["status"] == "done"
    assert close_host() is None


def test_an_error_of_another_machine_is_told_with_its_name(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    told = dataclasses.replace(host_spec(job_dir, refuse_on_open=True), driver_host="elsewhere", driver_folder="/none")
    host = shared_host(told)
    (unit,) = read_plan(job_dir)
    with pytest.raises(ConfigError, match="no batteries"):
        future = host.submit(unit)
        assert future is not None
        future.result(60)
    reason = read_reason(job_dir)
    assert reason is not None and reason["message"].endswith(f"(on the worker {socket.gethostname()})")
    assert isinstance(close_host(), ConfigError)


# --- hosts of one machine -----------------------------------------------------------------------------

WAITING = """
import sys
from jobs.hosts.neighbors import Neighbors
from jobs.storage.folders import JobFolder
neighbors = Neighbors(JobFolder("/out/_job"), sys.argv[1])
neighbors.join()
print(neighbors.count(), flush=True)
sys.stdin.readline()
"""


def test_hosts_of_a_job_on_one_machine_count_each_other_and_not_those_that_ended(tmp_path):
    mine = Neighbors(JobFolder("/out/_job"), str(tmp_path))
    other_job = Neighbors(JobFolder("/other/_job"), str(tmp_path))
    mine.join()
    other_job.join()
    assert mine.count() == 1
    program = [sys.executable, "-c", WAITING, str(tmp_path)]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"2\n"
        assert (mine.count(), other_job.count()) == (2, 1)
        other.kill()
        other.wait()
    assert mine.count() == 1
    other_job.leave()
    mine.leave()
    assert list(tmp_path.iterdir()) == []


def test_a_host_that_can_write_no_file_counts_itself(tmp_path):
    (tmp_path / "file").touch()
    alone = Neighbors(JobFolder("/out/_job"), str(tmp_path / "file" / "below"))
    alone.join()
    assert alone.count() == 1
    alone.leave()
