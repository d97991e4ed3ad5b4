"""Slots: hosts of a runner that spreads elements once, which claim their units themselves."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from jobs.beam.runners import moves_work, number_of_slots
from jobs.execution.pipeline import ClaimUnits
from jobs.hosts.checks import driver_facts
from jobs.hosts.slots import work_in_slot
from jobs.hosts.stopping import read_reason
from jobs.ledger import commits, journal
from model.errors import ConfigError
from tests.jobs import toy
from tests.jobs.execution.test_pipeline import host_spec, rows_ran


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
    with pytest.raises(ConfigError):
        work_in_slot(host_spec(job_dir, refuse_on_open=True))
    assert read_reason(job_dir) is not None


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
