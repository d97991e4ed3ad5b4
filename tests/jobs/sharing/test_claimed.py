"""Several hosts with one plan: they share the work, and what stops one of them costs no row and blames none."""

from __future__ import annotations

import io
import os
import signal
import threading
from pathlib import Path

import pytest

from jobs.ledger import commits, journal
from jobs.ledger.claimants import list_claimants, new_claimant, read_claimant
from jobs.ledger.claims import Claims
from jobs.plan.ranges import PlannedUnits
from jobs.sharing import claimed
from jobs.sharing.claimed import ClaimedUnits
from jobs.sharing.last_lines import LastLines
from jobs.storage import failpoints
from tests.fault_proxy import FaultProxy
from tests.jobs import toy
from tests.jobs.sharing.hosts import Hosts, run_host

GROUPS = [[f"sleep {group} {row}" if row else f"{group} reject" for row in range(3)] for group in range(8)]
SLOW = {"sleep_s": 0.3}


def assert_same_rows(job_dir, tmp_path, groups=GROUPS) -> None:
    expected = toy.make_job(str(tmp_path / "expected"), groups, unit_rows=1)
    toy.run_here(expected, sleep_s=0)
    assert toy.outcome(job_dir) == toy.outcome(expected)


def units_by_host(job_dir) -> dict[str, int]:
    found = (read_claimant(job_dir, claimant_id) for claimant_id in list_claimants(job_dir))
    return {claimant.name: claimant.units_done for _, claimant in filter(None, found)}


def test_two_hosts_share_the_units_and_their_rows_are_those_of_one(tmp_path):
    job_dir = toy.make_job(str(tmp_path), GROUPS, unit_rows=1)
    with Hosts(job_dir) as hosts:
        hosts.start("one", options=SLOW)
        hosts.start("two", options=SLOW, clock_s=3600.0)
        assert hosts.wait("one", "two") == [0, 0]
    assert_same_rows(job_dir, tmp_path)
    done = units_by_host(job_dir)
    assert min(done.values()) > 0
    assert sum(done.values()) <= 24 + 2, "hardly any unit ran twice"
    assert journal.read_deaths(job_dir) == []


def test_a_host_in_a_thread_runs_units_and_leaves(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    thread = threading.Thread(target=run_host, args=(job_dir, "thread"))
    thread.start()
    thread.join(timeout=240)
    assert len(commits.list_commits(job_dir)) == 2
    ((_, claimant),) = [read_claimant(job_dir, one) for one in list_claimants(job_dir)]
    assert (claimant.ended, claimant.units_done, claimant.rows_done, claimant.holds) == ("done", 2, 2, {})


def test_a_row_that_kills_a_worker_costs_that_row_and_is_judged_by_its_own_host(tmp_path):
    groups = [["a", "kill me", "b"], *[[f"sleep {group}"] for group in range(6)]]
    job_dir = toy.make_job(str(tmp_path), groups)
    with Hosts(job_dir) as hosts:
        for name in ("one", "two"):
            hosts.start(name, options={"sleep_s": 1.0})
        assert hosts.wait("one", "two") == [0, 0]
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == [row for group in groups for row in group if row != "kill me"]
    assert [(group, row, reason) for _, group, row, _, reason, _ in rejected] == [(0, 1, "crashed_worker")]
    assert {start.unit_id for death in journal.read_deaths(job_dir) for start in death.open} == {"000000-toy"}


def test_the_units_of_a_host_that_is_killed_in_the_middle_of_a_unit_go_to_another_and_nobody_is_blamed(tmp_path):
    job_dir = toy.make_job(str(tmp_path), GROUPS, unit_rows=1)
    with Hosts(job_dir) as hosts:
        hosts.start("killed", options={"sleep_s": 600}, stale_s=3)
        hosts.wait_until_busy("killed")
        hosts.start("other", options=SLOW, stale_s=3)
        hosts.wait_until_busy("other")
        hosts.signal("killed", signal.SIGKILL)
        assert hosts.wait("killed", "other") == [-signal.SIGKILL, 0]
    assert_same_rows(job_dir, tmp_path)
    assert journal.read_deaths(job_dir) == []


def test_a_machine_that_leaves_in_the_middle_of_a_commit_costs_no_row(tmp_path):
    job_dir = toy.make_job(str(tmp_path), GROUPS, unit_rows=1)
    with Hosts(job_dir) as hosts:
        # The worker dies between its files and its commit, and the rest of the machine with it.
        fault = {failpoints.VARIABLE: f"{commits.AFTER_ATTEMPT}:2=kill"}
        hosts.start("leaves", options={"sleep_s": 0}, stale_s=3, dies_with_worker=True, environment=fault)
        assert hosts.wait("leaves") == [-signal.SIGKILL]
        assert len(commits.list_commits(job_dir)) == 1 and len(os.listdir(job_dir.attempts)) == 2
        hosts.start("other", options={"sleep_s": 0}, stale_s=3)
        assert hosts.wait("other") == [0]
    assert_same_rows(job_dir, tmp_path)
    assert journal.read_deaths(job_dir) == []


def test_a_host_that_is_told_to_stop_gives_its_claims_up_at_once(tmp_path):
    job_dir = toy.make_job(str(tmp_path), GROUPS, unit_rows=1)
    with Hosts(job_dir) as hosts:
        # Far longer than the test may take: the other one can't have waited for it.
        hosts.start("told", options={"sleep_s": 600}, stale_s=100_000)
        hosts.wait_until_busy("told")
        hosts.signal("told", signal.SIGTERM)
        hosts.wait("told")
        seen = hosts.seen("told")
        assert seen is not None and (seen.ended, seen.holds) == ("stopped", {})
        hosts.start("other", options={"sleep_s": 0}, stale_s=100_000)
        assert hosts.wait("other") == [0]
    assert_same_rows(job_dir, tmp_path)
    assert journal.read_deaths(job_dir) == []


def test_a_host_that_stops_for_longer_than_a_claim_lasts_and_goes_on_costs_no_row(tmp_path):
    job_dir = toy.make_job(str(tmp_path), GROUPS, unit_rows=1)
    with Hosts(job_dir) as hosts:
        hosts.start("zombie", options={"sleep_s": 2.0}, stale_s=2)
        hosts.wait_until_busy("zombie")
        hosts.signal("zombie", signal.SIGSTOP)
        hosts.start("other", options={"sleep_s": 0.0}, stale_s=2)
        assert hosts.wait("other") == [0]
        hosts.signal("zombie", signal.SIGCONT)
        assert hosts.wait("zombie") == [0]
    assert_same_rows(job_dir, tmp_path)
    assert journal.read_deaths(job_dir) == []


def test_a_bucket_that_answers_429_and_503_costs_time_and_no_row(gcs_emulator, gcs_root, tmp_path):
    proxy = FaultProxy(gcs_emulator, share=0.1, seed=7, kinds=("too_many", "unavailable"))
    job_dir = toy.make_job(gcs_root, GROUPS[:3], unit_rows=1)
    try:
        with Hosts(job_dir) as hosts:
            for name in ("one", "two"):
                hosts.start(name, options=SLOW, environment={"STORAGE_EMULATOR_HOST": proxy.url})
            assert hosts.wait("one", "two") == [0, 0]
    finally:
        proxy.close()
    assert proxy.faults
    assert_same_rows(job_dir, tmp_path, GROUPS[:3])


def test_a_storage_that_stays_silent_ends_the_host_with_its_error(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    monkeypatch.setattr(claimed, "GIVE_UP_S", 0.0)

    def silent(self):
        raise ConnectionError("no answer")

    monkeypatch.setattr(claimed.Claims, "claim", silent)
    with pytest.raises(ConnectionError, match="no answer"):
        run_host(job_dir, "host")
    ((_, claimant),) = [read_claimant(job_dir, one) for one in list_claimants(job_dir)]
    assert claimant.ended == "error" and "no answer" in claimant.failure["message"]


def test_a_storage_that_is_silent_for_a_moment_costs_nothing(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    right, faults = claimed.Claims.claim, [ConnectionError("no answer")]

    def unsteady(self):
        if faults:
            raise faults.pop()
        return right(self)

    monkeypatch.setattr(claimed.Claims, "claim", unsteady)
    run_host(job_dir, "host")
    assert len(commits.list_commits(job_dir)) == 2 and not faults


def test_units_that_were_claimed_before_the_storage_failed_are_run(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    right, faults = journal.read_deaths, [ConnectionError("no answer")] * 2

    def unsteady(folder):
        # Deaths are read again once a range has been claimed of what others have given up.
        if threading.current_thread().name == "claims" and faults:
            raise faults.pop()
        return right(folder)

    monkeypatch.setattr(claimed.journal, "read_deaths", unsteady)
    monkeypatch.setattr(Claims, "is_dry", True)
    thread = threading.Thread(target=run_host, args=(job_dir, "host"), daemon=True)
    thread.start()
    thread.join(timeout=60)
    assert not faults
    assert len(commits.list_commits(job_dir)) == 2


def test_a_unit_that_another_host_took_over_is_given_away_whoever_read_of_it_and_whatever_failed(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    mine, other = (
        Claims(job_dir, new_claimant(name), PlannedUnits(job_dir), now=lambda: 0.0) for name in ("mine", "other")
    )
    mine.open()
    held = sorted(mine.claim() + mine.claim())
    assert held == [0, 1]
    other.open()
    for position in held:
        span = next(span for span in other._spans if position in range(span.begin, span.end))
        while other._read_next(span):
            pass
        assert other._append(span, position, position + 1) == [position]
    right, asked = Claims._read_next, []

    def unsteady(self, span):
        asked.append(span)
        if len(asked) == 3:
            raise ConnectionError("no answer")
        return right(self, span)

    monkeypatch.setattr(Claims, "_read_next", unsteady)
    with pytest.raises(ConnectionError):
        mine.look_at_mine()
    assert sorted(mine.look_at_mine()) == held
    assert mine.holds() == {}


def test_a_host_that_fails_has_written_its_last_lines_before_it_says_so(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    lines_at_the_end = []
    right = claimed.storage.write_bytes

    def write(path, data, **how):
        if b'"ended": "error"' in data:
            names = os.listdir(job_dir.logs) if os.path.exists(job_dir.logs) else []
            lines_at_the_end.extend(Path(job_dir.logs, name).read_text() for name in names)
        right(path, data, **how)

    monkeypatch.setattr(claimed.storage, "write_bytes", write)
    lines = LastLines(io.StringIO())
    with (
        pytest.raises(ValueError, match="a bug"),
        ClaimedUnits(job_dir, new_claimant("host"), workers=1, in_flight=1, last_lines=lines),
    ):
        lines.write("the last words")
        raise ValueError("a bug")
    assert lines_at_the_end == ["the last words"]


def test_a_host_whose_last_lines_cannot_be_written_says_that_it_has_left(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    right = claimed.storage.write_bytes

    def write(path, data, **how):
        if path.startswith(job_dir.logs):
            raise OSError("no answer")
        right(path, data, **how)

    monkeypatch.setattr(claimed.storage, "write_bytes", write)
    with ClaimedUnits(job_dir, new_claimant("host"), workers=1, in_flight=1, last_lines="words"):
        pass
    ((_, claimant),) = [read_claimant(job_dir, one) for one in list_claimants(job_dir)]
    assert claimant.ended == "done"
