"""What the driver tells of its hosts, by its own clock."""

from __future__ import annotations

import dataclasses

import pytest

from jobs import storage
from jobs.ledger.claimants import Claimant, Judge, new_claimant
from jobs.sharing.last_lines import MAX_CHARS, MAX_LINES, LastLines
from jobs.sharing.watching import MAX_FAILED, STATUS_S, HostWatch
from jobs.storage.folders import JobFolder
from model.errors import ConfigError


class Watched:
    """A job's folder whose driver is asked now and then."""

    def __init__(self, folder: str):
        self.job_dir = JobFolder(folder)
        self.said: list[str] = []
        self.time = 0.0
        self.watch = HostWatch(self.job_dir, 60.0, self.said.append, now=lambda: self.time)

    def beat(self, claimant: Claimant, **changes) -> Claimant:
        claimant = dataclasses.replace(claimant, beats=claimant.beats + 1, **changes)
        storage.write_bytes(self.job_dir.claimant(claimant.claimant_id), claimant.to_json())
        return claimant

    def poll(self, seconds: float = 0.0) -> list[str]:
        self.time += seconds
        self.said.clear()
        self.watch.poll()
        return list(self.said)


@pytest.fixture
def watched(tmp_path) -> Watched:
    return Watched(str(tmp_path / "_job"))


def test_a_host_joins_works_and_leaves(watched):
    host = watched.beat(new_claimant("node"), workers=2)
    assert watched.poll() == ["node joined: 2 workers"]
    host = watched.beat(host, units_done=3, rows_done=600, in_flight=("000007-ab",))
    assert watched.poll(30) == []
    host = watched.beat(host, units_done=6, rows_done=1200)
    watched.poll(20)
    assert watched.poll(STATUS_S - 50) == [
        "node: 6 units, 1,200 rows, 20 rows/s, works on 000007-ab, last beat 10 s ago"
    ]
    watched.beat(host, ended="done")
    assert watched.poll(5) == ["node has finished: 6 units, 1,200 rows"]
    assert watched.watch.working == []


def test_a_silent_host_is_told_of_once_with_its_last_lines_and_again_when_it_is_back(watched):
    host = watched.beat(new_claimant("node"))
    watched.poll()
    storage.write_bytes(watched.job_dir.log(host.claimant_id), b"one\ntwo\n")
    assert watched.poll(59) == []
    assert watched.poll(2)[:3] == [
        "node has been silent for 61 s: others take over its units",
        "  | one",
        "  | two",
    ]
    assert watched.watch.working == []
    assert not any("silent" in line for line in watched.poll(100))
    watched.beat(host)
    assert "node is back after 162 s" in watched.poll(1)
    assert [claimant.name for claimant in watched.watch.working] == ["node"]


def test_hosts_of_an_earlier_run_are_not_told_of(tmp_path):
    watched = Watched(str(tmp_path / "_job"))
    watched.beat(new_claimant("old"), ended="done")
    again = Watched(str(tmp_path / "_job"))
    assert again.poll() == []
    assert again.poll(STATUS_S) == ["no host works on this job: start some with codemill work OUTPUT"]


def test_when_all_hosts_fail_the_driver_ends_with_what_the_last_one_said(watched):
    failure = {"kind": "ConfigError", "message": "the toy has no batteries"}
    for number in range(MAX_FAILED):
        watched.watch.check_failures()
        watched.beat(new_claimant(f"node{number}"), ended="error", failure=failure)
        assert f"node{number} failed after 0 units, 0 rows: the toy has no batteries" in watched.poll(1)
    with pytest.raises(ConfigError, match=r"the toy has no batteries \(on node2\)"):
        watched.watch.check_failures()


def test_a_host_that_commits_shows_that_failures_of_others_were_their_own(watched):
    failure = {"kind": "ConfigError", "message": "no disk"}
    host = watched.beat(new_claimant("good"))
    for number in range(MAX_FAILED - 1):
        watched.beat(new_claimant(f"node{number}"), ended="error", failure=failure)
    watched.poll(1)
    watched.beat(host, units_done=1)
    watched.poll(1)
    watched.beat(host, units_done=1, ended="done")
    watched.beat(new_claimant("last"), ended="error", failure=failure)
    watched.poll(1)
    watched.watch.check_failures()


def test_a_host_whose_last_lines_cannot_be_read_at_once_is_told_of_when_they_can(watched, monkeypatch):
    host = watched.beat(new_claimant("node"))
    watched.poll()
    storage.write_bytes(watched.job_dir.log(host.claimant_id), b"the last words\n")
    watched.beat(host, ended="error", failure={"kind": "ConfigError", "message": "no disk"})
    right, faults = storage.read_bytes, [OSError("no answer")]

    def unsteady(path, *more):
        if path == watched.job_dir.log(host.claimant_id) and faults:
            raise faults.pop()
        return right(path, *more)

    monkeypatch.setattr(storage, "read_bytes", unsteady)
    with pytest.raises(OSError, match="no answer"):
        watched.poll(1)
    assert watched.poll(1) == ["node failed after 0 units, 0 rows: no disk", "  | the last words"]


def test_a_claim_is_stale_by_the_observers_clock_alone():
    judge = Judge(60.0)
    host = dataclasses.replace(new_claimant("node"), holds={"a": (0, 1)})

    def is_stale(now: float, span: str = "a") -> bool:
        return judge.is_stale((host.to_json(), host), now, claimant_id=host.claimant_id, span=span)

    assert not is_stale(1000.0) and not is_stale(1060.0)
    assert is_stale(1061.0)
    host = dataclasses.replace(host, beats=1)
    assert not is_stale(1062.0), "it is back"
    assert not is_stale(1062.0, "b")
    host = dataclasses.replace(host, beats=2)
    assert is_stale(1123.0, "b"), "it beats, and does not vouch for this range"
    host = dataclasses.replace(host, ended="stopped", beats=3)
    assert is_stale(1123.0)


def test_a_host_without_a_heartbeat_is_stale_after_as_long():
    judge = Judge(60.0)
    assert not judge.is_stale(None, 0.0, claimant_id="x", span="a")
    assert judge.is_stale(None, 61.0, claimant_id="x", span="a")


def test_a_claimant_is_named_for_its_host_and_its_task(monkeypatch):
    monkeypatch.setattr("jobs.ledger.claimants.socket.gethostname", lambda: "node7")
    monkeypatch.setenv("SLURM_ARRAY_TASK_ID", "12")
    found = new_claimant()
    assert found.name == "node7-12" and found.claimant_id.startswith("node7-12-")
    assert new_claimant("../a b").claimant_id.startswith("_a_b-")
    assert Claimant.from_json(found.to_json()) == found


def test_the_last_lines_are_few_and_short(tmp_path):
    with open(tmp_path / "all", "w+") as stream:
        lines = LastLines(stream)
        for number in range(100):
            lines.write(f"line {number} {'x' * 500}\n")
        lines.write("no end")
        kept = str(lines)
        assert kept.endswith("no end") and "line 99" in kept and len(kept) <= MAX_CHARS
        assert len(kept.splitlines()) <= MAX_LINES + 1
        stream.seek(0)
        assert len(stream.readlines()) == 101
