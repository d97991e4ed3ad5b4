"""Slots: hosts of a runner that spreads elements once, which claim their units themselves."""

from __future__ import annotations

import dataclasses
import itertools
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.beam.runners import moves_work, number_of_slots
from jobs.execution import supervisor
from jobs.execution.pipeline import ClaimUnits
from jobs.execution.processes import PerHost
from jobs.hosts import slots
from jobs.hosts.checks import driver_facts
from jobs.hosts.neighbors import Neighbors
from jobs.hosts.slots import work_in_slot
from jobs.hosts.stopping import read_reason
from jobs.ledger import commits, journal
from jobs.ledger.claimants import new_claimant, read_claimant
from jobs.sharing.claimed import ClaimedUnits
from model.errors import ConfigError
from tests.jobs import toy
from tests.jobs.execution.test_pipeline import host_spec, rows_ran
from tests.jobs.hosts.test_host import WAITING
from tests.jobs.uppercase import ROOT


def test_one_slot_of_a_harness_runs_the_units_and_the_others_end_at_once(tmp_path):
    log = tmp_path / "log"
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"], ["c"], ["d"]])
    told = host_spec(job_dir, log=str(log))
    with ThreadPoolExecutor(4) as pool:
        done = sorted(pool.map(work_in_slot, [told] * 4))
    assert done == [0, 0, 0, 4]
    assert len(commits.list_commits(job_dir)) == 4
    assert len(rows_ran(log)) == 4


def test_a_slot_that_runs_again_finds_what_is_committed(tmp_path):
    log = tmp_path / "log"
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    do_fn = ClaimUnits(host_spec(job_dir, log=str(log)), driver_facts(job_dir))
    do_fn.setup()
    for slot in range(3):
        do_fn.process(slot)
    assert len(rows_ran(log)) == 2


def test_a_row_that_kills_its_process_costs_one_row(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a", "exit", "b"], ["c"]])
    assert work_in_slot(host_spec(job_dir)) == 2
    records = list(commits.read_commits(job_dir, sorted(commits.list_commits(job_dir))))
    assert sum(record.counts["rows_kept"] for record in records) == 3
    assert sum(record.rows_in for record in records) == 4
    assert len(journal.read_deaths(job_dir)) >= 2


def test_what_ends_the_job_is_left_for_the_driver(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    told = dataclasses.replace(host_spec(job_dir, refuse_on_open=True), driver_host="elsewhere")
    with pytest.raises(ConfigError):
        work_in_slot(told)
    reason = read_reason(job_dir)
    assert reason is not None and reason["message"].endswith(f"(on the worker {socket.gethostname()})")


def test_a_slot_takes_its_part_of_the_machine_while_another_host_of_the_job_is_there(tmp_path, monkeypatch):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    parts: list[int] = []
    neighbor = Neighbors(job_dir)

    def run_claimed(spec, orders, crew, me, *, workers) -> int:
        parts.append(workers())
        program = [sys.executable, "-c", WAITING.replace("sys.argv[1]", "None").replace("/out/_job", job_dir.path)]
        with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=ROOT) as other:
            assert other.stdout is not None
            assert other.stdout.readline() == b"2\n", "it counts the slot"
            parts.append(workers())
        parts.append(workers())
        return 0

    monkeypatch.setattr(slots, "run_claimed", run_claimed)
    work_in_slot(host_spec(job_dir, workers=4))
    assert parts == [4, 2, 4]
    assert neighbor.count() == 1, "the slot has left"


def test_a_slot_whose_number_of_workers_changes_runs_all_units(tmp_path, monkeypatch):
    monkeypatch.setattr(supervisor, "LOOK_S", 0.0)
    job_dir = toy.make_job(str(tmp_path), [["sleep"] for _ in range(8)])
    told, asked = host_spec(job_dir, sleep_s=0.1), itertools.count()
    monkeypatch.setattr(PerHost, "workers", lambda self, sharers=1: 1 + min(2, next(asked) // 4))
    assert work_in_slot(told) == 8


def test_a_host_that_gets_more_workers_tells_what_they_do(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    me = new_claimant(None)
    with ClaimedUnits(job_dir, me, workers=1, in_flight=1) as source:
        assert source.wait()
        unit = source.next_for(2)
        assert unit is not None
        source._beat()
        found = read_claimant(job_dir, me.claimant_id)
        assert found is not None and (found[1].workers, found[1].in_flight) == (3, (unit.unit_id,))


@pytest.mark.parametrize(
    ("flags", "moves"),
    [
        ([], True),
        (["--runner", "DataflowRunner"], True),
        (["--runner=apache_beam.runners.portability.fn_api_runner.FnApiRunner"], True),
        (["--runner=FlinkRunner"], False),
        (["--runner", "PortableRunner"], False),
        (["--runner", "prism"], False),
    ],
)
def test_units_are_elements_only_where_the_runner_gives_them_to_idle_workers(flags, moves):
    assert moves_work(flags) is moves


def test_there_are_several_slots_for_each_place_that_a_runner_has():
    assert number_of_slots(["--parallelism", "64"]) == 256
    assert number_of_slots(["--parallelism=-1"]) == number_of_slots([]) == 64
