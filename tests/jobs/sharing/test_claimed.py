"""Several hosts with one plan: they share the work, and what stops one of them costs no row and blames none."""

from __future__ import annotations

import os
import signal
import threading

import pytest

from jobs.ledger import commits, journal
from jobs.ledger.claimants import list_claimants, read_claimant
from jobs.sharing import claimed
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
