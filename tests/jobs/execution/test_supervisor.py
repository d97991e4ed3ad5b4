"""Whole runs in child processes, some of which die."""

from __future__ import annotations

import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from jobs.errors import StorageFull, WorkerFailed
from jobs.execution import supervisor
from jobs.execution.dispatch import Dispatcher
from jobs.execution.orders import Orders
from jobs.execution.worker import RunSpec
from jobs.ledger import commits, heartbeat, journal
from jobs.sharing.driving import UntilOpened
from jobs.storage import failpoints
from model.errors import ConfigError
from tests.jobs import toy
from transforms.out_of_memory import OomKills


def test_a_row_that_kills_its_worker_is_rejected_and_everything_else_comes_out(tmp_path, caplog):
    # The two units are in flight together: one crashes the worker, the other must be kept.
    job_dir = toy.make_job(str(tmp_path), [["a", "kill me"], ["sleep", "b"]])
    toy.run_supervised(job_dir)
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["a", "sleep", "b"]
    assert [(group, row, reason) for _, group, row, _, reason, _ in rejected] == [(0, 1, "crashed_worker")]
    deaths = journal.read_deaths(job_dir)
    assert [death.how for death in deaths] == ["SIGKILL"] * len(deaths)
    assert "the worker died (SIGKILL); units in flight: 000000-toy (rows 0 to 1)" in caplog.text


def test_a_row_that_hangs_is_rejected_and_everything_else_comes_out(tmp_path, caplog):
    job_dir = toy.make_job(str(tmp_path), [["a", "hang forever", "b"], ["c"], ["d"]])
    toy.run_supervised(job_dir, row_timeout_s=5)
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["a", "b", "c", "d"]
    assert [(group, row, reason) for _, group, row, _, reason, _ in rejected] == [(0, 1, "timeout")]
    assert "the worker died (no progress for 5 s, --row_timeout_s); units in flight: 000000-toy" in caplog.text
    assert all(death.hung for death in journal.read_deaths(job_dir))


def test_a_kill_that_the_control_group_counted_is_said_to_be_for_lack_of_memory(tmp_path, caplog, monkeypatch):
    counts = itertools.count()
    monkeypatch.setattr(supervisor, "count_oom_kills", lambda: OomKills(next(counts), "memory.events"))
    job_dir = toy.make_job(str(tmp_path), [["a", "kill me"]])
    toy.run_supervised(job_dir, options={"slots": 8, "workers": 2, "other": 1})
    assert (
        "the worker died (SIGKILL, probably out of memory: memory.events counted an OOM kill); units in flight: "
        "000000-toy (rows 0 to 1); restarting; lower --workers, --slots"
    ) in caplog.text
    assert "memory" in journal.read_deaths(job_dir)[0].how


def test_memory_that_runs_out_beside_other_units_is_no_rows_fault(tmp_path, capsys):
    job_dir = toy.make_job(str(tmp_path), [["a", "memory_once"], ["sleep", "b"], ["c"]])
    toy.run_supervised(job_dir, options={"seen": str(tmp_path / "seen")})
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["a", "memory_once", "sleep", "b", "c"]
    assert rejected == []
    assert "memory ran out while unit 000000-toy was in flight with others" in capsys.readouterr().err


def test_a_row_for_which_memory_runs_out_alone_too_is_rejected_for_it(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a", "memory", "b"], ["c"]])
    toy.run_supervised(job_dir)
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["a", "b", "c"]
    assert [(row, reason) for _, _, row, _, reason, _ in rejected] == [(1, "out_of_memory")]


def lines_of(path) -> list[tuple[str, str]]:
    return [tuple(line.split()) for line in path.read_text().splitlines()]


def test_several_workers_share_the_units_and_each_row_group_stays_with_one(tmp_path):
    log = tmp_path / "processes"
    groups = [[f"sleep {group} {row}" for row in range(4)] for group in range(6)]
    job_dir = toy.make_job(str(tmp_path), groups, unit_rows=1)
    toy.run_supervised(job_dir, workers=3, max_units_in_flight=1, options={"processes": str(log), "sleep_s": 0.3})
    assert [content for _, _, content, _ in toy.outcome(job_dir)[0]] == [row for group in groups for row in group]
    lines = lines_of(log)
    assert sum(what == "open" for what, _ in lines) == 3
    ran = {unit_id: pid for unit_id, pid in lines if unit_id.endswith("-toy")}
    assert len(set(ran.values())) == 3
    # Four units a group, in plan order; a group is only split for a worker that would be idle.
    owners = [{ran[f"{4 * group + row:06d}-toy"] for row in range(4)} for group in range(3)]
    assert all(len(pids) == 1 for pids in owners)


def test_a_row_that_kills_its_worker_costs_the_units_of_other_workers_nothing(tmp_path):
    log = tmp_path / "processes"
    job_dir = toy.make_job(str(tmp_path), [["a", "kill me", "b"], ["sleep 1"], ["sleep 2"], ["sleep 3"]])
    toy.run_supervised(job_dir, workers=2, max_units_in_flight=1, options={"processes": str(log)})
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["a", "b", "sleep 1", "sleep 2", "sleep 3"]
    assert [(row, reason) for _, _, row, _, reason, _ in rejected] == [(1, "crashed_worker")]
    assert {start.unit_id for death in journal.read_deaths(job_dir) for start in death.open} == {"000000-toy"}
    ran = [unit_id for unit_id, _ in lines_of(log) if unit_id in {f"00000{n}-toy" for n in (1, 2, 3)}]
    assert sorted(ran) == sorted(set(ran)), "no unit but the first ran twice"


def test_a_worker_that_cant_start_is_told_though_another_commits(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["sleep"] for _ in range(300)])
    options = {"others_die_on_open": str(tmp_path / "mark"), "sleep_s": 0.02}
    with pytest.raises(ConfigError, match=r"died 2 times in a row \(exit code 71\) before starting any unit"):
        toy.run_supervised(job_dir, workers=2, max_units_in_flight=1, options=options)
    assert commits.list_commits(job_dir), "what the first worker committed is kept"


def test_where_the_first_open_makes_something_the_others_wait_for_it(tmp_path):
    log = tmp_path / "processes"
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"], ["sleep"], ["sleep"]])
    toy.run_supervised(job_dir, workers=2, options={"processes": str(log), "open_s": 0.5}, opens_first=True)
    assert [what for what, _ in lines_of(log) if "open" in what][:3] == ["opens", "open", "opens"]


def test_workers_that_wait_for_the_first_one_are_told_once_what_to_import(tmp_path):
    class Child(list):
        send = list.append

    class Waiting(supervisor.Crew):
        def child(self, number):
            return self.children.setdefault(number, Child())

    job_dir = toy.make_job(str(tmp_path), [["a"]])
    orders = Orders(job_name="tests.jobs.toy", options={}, opens_first=True)
    spec = RunSpec(job_dir=job_dir, schema=toy.SCHEMA, config_hash=toy.CONFIG_HASH)
    crew = Waiting(3)
    run = supervisor._Run(crew, spec, orders, Dispatcher([], {}), 3, None, None)
    run._start_missing()
    run._start_missing()
    assert [list(said) for child in crew.children.values() for said in child] == [["open"], ["prepare"], ["prepare"]]


def test_a_source_that_is_done_once_it_was_asked_is_not_waited_for(tmp_path):
    """Nothing would be said until the next look for hung workers, up to 15 s."""
    waits: list[str] = []

    class Child(list):
        pid = 1
        send = list.append

    class Crew(supervisor.Crew):
        def child(self, number):
            return self.children.setdefault(number, Child())

        def hear(self, numbers, timeout_s, bell=None):
            ((kind, _),) = self.children[0][-1].items()
            waits.append(kind)
            return [(0, {"opened": True} if kind == "open" else {"closed": True})]

    job_dir = toy.make_job(str(tmp_path), [["a"]])
    spec = RunSpec(job_dir=job_dir, schema=toy.SCHEMA, config_hash=toy.CONFIG_HASH)
    supervisor.run_source(spec, Orders(job_name="tests.jobs.toy", options={}), Crew(1), UntilOpened(), workers=1)
    assert waits == ["open", "close"]


def test_a_worker_that_ran_out_of_memory_isnt_replaced_and_its_unit_gets_the_machine(tmp_path, caplog, monkeypatch):
    log = tmp_path / "processes"
    counts = iter([0, 1])
    monkeypatch.setattr(supervisor, "count_oom_kills", lambda: OomKills(next(counts, 1), "memory.events"))
    job_dir = toy.make_job(str(tmp_path), [["kill_once"], ["sleep 1"], ["sleep 2"], ["sleep 3"]])
    options = {"seen": str(tmp_path / "seen"), "processes": str(log)}
    toy.run_supervised(job_dir, workers=2, max_units_in_flight=1, options=options)
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["kill_once", "sleep 1", "sleep 2", "sleep 3"]
    assert rejected == []
    assert "it is not replaced; lower" in caplog.text or "it is not replaced; give the job more memory" in caplog.text
    assert "the job goes on with 1 of 2 workers" in caplog.text
    assert lines_of(log)[-1][0] == "000000-toy", "it ran last, with nothing beside it"


def test_the_number_of_workers_follows_what_is_needed(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "LOOK_S", 0.2)
    log = tmp_path / "processes"
    groups = [[f"sleep {group}"] for group in range(40)]
    job_dir = toy.make_job(str(tmp_path), groups)

    def needed() -> int:
        """Three after the fifth unit, until the thirtieth."""
        return 3 if 5 <= len(commits.list_commits(job_dir)) < 30 else 1

    options = {"processes": str(log), "sleep_s": 0.5}
    toy.run_supervised(job_dir, workers=needed, max_units_in_flight=1, options=options)
    assert [content for _, _, content, _ in toy.outcome(job_dir)[0]] == [row for (row,) in groups]
    ran = [pid for unit_id, pid in lines_of(log) if unit_id.endswith("-toy")]
    assert len(set(ran)) == 3
    assert set(ran[-3:]) == {ran[0]}, "the first worker stays, the others have ended"
    assert journal.read_deaths(job_dir) == []


def test_workers_killed_one_by_one_cost_no_row(tmp_path):
    groups = [[f"sleep {group}"] for group in range(60)]
    job_dir = toy.make_job(str(tmp_path), groups)
    program = [sys.executable, "-m", "tests.jobs.toy", job_dir, "supervised", json.dumps({"sleep_s": 0.2}), "3"]
    driver = subprocess.Popen(program, env={**os.environ}, stderr=subprocess.DEVNULL)
    killed: set[int] = set()
    while len(killed) < 3:
        wait_until(lambda: len(living(job_dir) - killed) >= 1 or driver.poll() is not None, "a worker")
        assert driver.poll() is None, "it ended before three workers were killed"
        killed.add(victim := min(living(job_dir) - killed))
        os.kill(victim, signal.SIGKILL)
        wait_until(lambda: len(journal.read_deaths(job_dir)) >= len(killed), "the record of the death")
    assert driver.wait(timeout=120) == 0
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == [row for (row,) in groups]
    assert rejected == []


def living(job_dir) -> set[int]:
    return {beat.pid for beat in heartbeat.read_heartbeats(job_dir) if is_running(beat.pid)}


def test_a_worker_that_cant_start_ends_the_job_with_one_line(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    with pytest.raises(ConfigError, match=r"died 2 times in a row \(exit code 71\) before starting any unit"):
        toy.run_supervised(job_dir, options={"die_on_open": True})


def test_what_the_work_refuses_is_the_users_one_line(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    with pytest.raises(ConfigError, match="the toy has no batteries; put some in"):
        toy.run_supervised(job_dir, options={"refuse_on_open": True})
    assert journal.read_deaths(job_dir) == []


def test_weights_that_changed_while_the_job_ran_stop_it(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    with pytest.raises(ConfigError, match=r"weights changed during the job \(SHA-256 was old, is now new\)"):
        toy.run_supervised(job_dir, options={"weights": "new"}, checkpoint_sha256="old")
    assert commits.list_commits(job_dir) == set()


def test_a_bug_is_no_death_and_its_traceback_is_shown(tmp_path, capsys):
    job_dir = toy.make_job(str(tmp_path), [["raise x"] * 101])
    with pytest.raises(WorkerFailed, match="WorkBroken"):
        toy.run_supervised(job_dir)
    assert "ValueError" in capsys.readouterr().err
    assert journal.read_deaths(job_dir) == []


def test_a_worker_killed_inside_a_commit_is_replaced_and_no_row_is_rejected_for_it(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a", "reject"], ["b"], ["c"]])
    monkeypatch.setenv(failpoints.VARIABLE, f"{commits.AFTER_ATTEMPT}:2=kill")
    toy.run_supervised(job_dir)
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["a", "b", "c"]
    assert [reason for *_, reason, _ in rejected] == ["toy_rejected"]
    assert len(journal.read_deaths(job_dir)) == 1


def test_a_disk_full_in_the_worker_reaches_the_user_as_one_line(tmp_path, monkeypatch, capsys):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    monkeypatch.setenv(failpoints.VARIABLE, f"{commits.AFTER_KEPT}=enospc")
    with pytest.raises(StorageFull, match="no space left"):
        toy.run_supervised(job_dir)
    assert "Traceback" not in capsys.readouterr().err
    monkeypatch.delenv(failpoints.VARIABLE)
    toy.run_here(job_dir)
    assert [content for _, _, content, _ in toy.outcome(job_dir)[0]] == ["a", "b"]


def test_a_finished_job_starts_no_worker(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    toy.run_here(job_dir)
    toy.run_supervised(job_dir, options={"die_on_open": True})  # a worker that opened would end this with an error
    assert journal.read_deaths(job_dir) == []


def wait_until(condition, what: str) -> None:
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline, f"waited too long: {what}"
        time.sleep(0.05)


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii", errors="replace") as file:
            return file.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


def test_a_whole_job_killed_under_gcs_ends_its_worker_leaves_no_suspects_and_resumes(gcs_root, tmp_path):
    groups = [["a"], ["b", "reject"], *[["sleep", str(number)] for number in range(6)]]
    job_dir = toy.make_job(gcs_root, groups)
    expected = toy.make_job(str(tmp_path), groups)
    program = [sys.executable, "-m", "tests.jobs.toy", job_dir, "supervised", json.dumps({"sleep_s": 2})]
    driver = subprocess.Popen(program, env={**os.environ}, stderr=subprocess.DEVNULL)
    wait_until(lambda: len(commits.list_commits(job_dir)) >= 3, "the first commits")
    (beat,) = heartbeat.read_heartbeats(job_dir)
    driver.send_signal(signal.SIGKILL)
    driver.wait()
    wait_until(lambda: not is_running(beat.pid), "the worker's end")
    before = {record.unit_id: record for record in commits.read_commits(job_dir)}
    assert len(before) < 8

    toy.run_supervised(job_dir)
    toy.run_here(expected, sleep_s=0)
    assert toy.outcome(job_dir) == toy.outcome(expected)
    assert journal.read_deaths(job_dir) == []
    assert {record.unit_id: record for record in commits.read_commits(job_dir, before)} == before


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_workers_killed_at_random_moments_are_replaced_and_no_row_is_rejected_for_it(tmp_path):
    groups = [[f"{group} {row}" if row % 5 else "sleep a little" for row in range(10)] for group in range(60)]
    job_dir, expected = (toy.make_job(str(tmp_path / name), groups) for name in ("killed", "undisturbed"))
    program = [sys.executable, "-m", "tests.jobs.toy", job_dir, "supervised", json.dumps({"sleep_s": 0.05})]
    driver = subprocess.Popen(program, env={**os.environ}, stderr=subprocess.DEVNULL)
    random_s = random.Random(0)
    for kill in range(4):
        done = len(commits.list_commits(job_dir))
        wait_until(lambda done=done: len(commits.list_commits(job_dir)) > done, "a commit")
        time.sleep(random_s.uniform(0, 0.5))
        os.kill(heartbeat.read_heartbeats(job_dir)[-1].pid, signal.SIGKILL)
        wait_until(lambda kill=kill: len(journal.read_deaths(job_dir)) > kill, "the record of the death")
    assert driver.wait(timeout=600) == 0
    toy.run_here(expected, sleep_s=0)
    assert toy.outcome(job_dir) == toy.outcome(expected)
    assert len(journal.read_deaths(job_dir)) == 4
