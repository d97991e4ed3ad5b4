"""The pipeline on Beam's local runner, whose worker is this process: its units run in children of it."""

from __future__ import annotations

import uuid
from collections import Counter

import pytest

from jobs import storage
from jobs.beam.runners import names_a_runner
from jobs.execution.orders import Orders
from jobs.execution.pipeline import ReadPlan, RunUnits, open_first, run_pipeline
from jobs.execution.processes import PerHost
from jobs.execution.worker import RunSpec
from jobs.hosts.checks import driver_facts
from jobs.hosts.host import close_host
from jobs.hosts.machine import HostSpec
from jobs.hosts.stopping import read_reason
from jobs.ledger import commits, journal
from jobs.plan.units import read_plan
from jobs.storage.folders import JobFolder
from model.errors import ConfigError
from tests.jobs import toy


@pytest.fixture(autouse=True)
def a_new_process():
    """Each test is a separate worker process."""
    yield
    close_host(at_once=True)


def host_spec(job_dir: JobFolder, *, workers: int = 1, row_timeout_s: float = 1800.0, **options) -> HostSpec:
    spec = RunSpec(job_dir=job_dir, config_hash=toy.CONFIG_HASH, schema=toy.SCHEMA, max_units_in_flight=2)
    orders = Orders(job_name="tests.jobs.toy", options=options, row_timeout_s=row_timeout_s)
    return HostSpec(run=uuid.uuid4().hex, spec=spec, orders=orders, per_host=PerHost(workers, need_mb=1))


def do_fn_of(told: HostSpec) -> RunUnits:
    return RunUnits(told, driver_facts(told.spec.job_dir))


def do_bundle(do_fn: RunUnits, units) -> None:
    do_fn.setup()
    do_fn.start_bundle()
    for unit in units:
        do_fn.process(unit)
    do_fn.finish_bundle()


def rows_ran(log) -> list[str]:
    return log.read_text().split() if log.exists() else []


def test_the_pipeline_commits_every_unit_and_counts_what_it_did(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a", "raise x"], ["reject"], ["b", "c"]])
    result = run_pipeline(host_spec(job_dir))
    assert len(commits.list_commits(job_dir)) == 3
    counters = Counter({c.key.metric.name: c.committed for c in result.metrics().query()["counters"]})
    assert [counters[name] for name in ("units_done", "rows_in", "rows_kept", "rows_rejected")] == [3, 5, 3, 2]


def test_a_stage_that_is_computed_again_sees_the_same_units(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"], ["c"]])
    ids = [unit.unit_id for unit in read_plan(job_dir)]
    commits.commit_failed(job_dir, next(read_plan(job_dir)), "x", "input_missing", config_hash="c")
    assert [unit.unit_id for unit in ReadPlan().process(job_dir.path)] == ids


def test_what_the_first_worker_makes_is_made_once_and_by_no_unit(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    log = tmp_path / "processes"
    open_first(host_spec(job_dir, processes=str(log), workers=3))
    assert sum(line.startswith("open ") for line in log.read_text().splitlines()) == 1
    assert commits.list_commits(job_dir) == set()
    with pytest.raises(Exception, match="no batteries"):
        open_first(host_spec(job_dir, refuse_on_open=True))
    reason = read_reason(job_dir)
    assert reason is not None and "no batteries" in reason["message"]


def test_units_that_are_committed_arent_run_again(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"]])
    log = tmp_path / "log"
    first, second = read_plan(job_dir)
    toy.run_here(job_dir, only={first.unit_id})
    told = host_spec(job_dir, log=str(log))
    do_bundle(do_fn_of(told), [first, second, second])
    do_bundle(do_fn_of(told), [first, second])
    assert rows_ran(log) == [f"{second.unit_id}:0"]


def test_bundles_and_instances_share_one_process_that_opens_its_work_once(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"], ["b"], ["c"]])
    log = tmp_path / "processes"
    told = host_spec(job_dir, processes=str(log))
    for unit in read_plan(job_dir):
        do_bundle(do_fn_of(told), [unit])
    assert len(commits.list_commits(job_dir)) == 3
    assert sum(line.startswith("open ") for line in log.read_text().splitlines()) == 1


@pytest.mark.parametrize("row", ["kill me", "exit", "segfault"])
def test_a_row_that_ends_its_process_costs_one_row(tmp_path, row):
    groups = [["a", row, "b"], ["sleep", "c"], ["d"]]
    job_dir, alone = (toy.make_job(str(tmp_path / name), groups) for name in ("runner", "alone"))
    run_pipeline(host_spec(job_dir, workers=2, sleep_s=0.1))
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["a", "b", "sleep", "c", "d"]
    assert [(group, number, reason) for _, group, number, _, reason, _ in rejected] == [(0, 1, "crashed_worker")]
    toy.run_supervised(alone, options={"sleep_s": 0.1})
    assert toy.outcome(job_dir) == toy.outcome(alone)


def test_a_row_that_hangs_costs_one_row(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a", "hang forever", "b"], ["c"]])
    run_pipeline(host_spec(job_dir, row_timeout_s=5))
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["a", "b", "c"]
    assert [(group, number, reason) for _, group, number, _, reason, _ in rejected] == [(0, 1, "timeout")]


def test_an_error_that_ends_the_job_comes_out_of_the_pipeline_as_itself(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    with pytest.raises(ConfigError, match="no batteries"):
        run_pipeline(host_spec(job_dir, refuse_on_open=True))
    run_pipeline(host_spec(job_dir))  # and the process is none the worse
    assert len(commits.list_commits(job_dir)) == 1


def test_a_retried_unit_that_was_in_flight_in_a_death_on_another_host_runs_alone(tmp_path):
    job_dir = toy.make_job(str(tmp_path), [["kill me", "b"], ["sleep"]])
    told = host_spec(job_dir, workers=1)
    first, second = read_plan(job_dir)
    do_bundle(do_fn_of(told), [second])
    for session in ("supervised-x", "supervised-y"):
        start = journal.Start(unit_id=first.unit_id, attempt_id="x", begin=0, end=1, phase="rows", alone=True)
        storage.write_bytes(job_dir.join("journal", "open", session, start.to_name()), b"")
        journal.record_death(job_dir, session, "SIGKILL")
    do_bundle(do_fn_of(told), [first])
    mine = [death for death in journal.read_deaths(job_dir) if not death.session.endswith(("-x", "-y"))]
    assert all(start.alone for death in mine for start in death.open)
    assert [number for _, _, number, *_ in toy.outcome(job_dir)[1]] == [0]


def test_a_runner_is_named_by_either_form_of_the_flag():
    assert names_a_runner(["--runner", "X"])
    assert names_a_runner(["--runner=X"])
    assert not names_a_runner(["--runner_x=1"])
