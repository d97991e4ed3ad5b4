"""Jobs on Beam's portable runner: a job service in Python, with a worker process of its own for each job."""

from __future__ import annotations

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from jobs.beam import waiting
from jobs.driver import beam_runner
from jobs.driver.beam_runner import BeamRunner
from jobs.execution.orders import Orders
from jobs.execution.processes import PerHost
from jobs.execution.worker import RunSpec
from jobs.ledger import commits, heartbeat, journal
from jobs.storage.folders import JobFolder, OutputFolder
from model.errors import ConfigError
from tests.jobs import toy, uppercase

pytestmark = [
    pytest.mark.timeout(900),
    # Beam's threads end with the streams of a job that is canceled.
    pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning"),
]
WORKER = f"exec {sys.executable} -m apache_beam.runners.worker.sdk_worker_main"


@pytest.fixture(scope="module")
def endpoint(tmp_path_factory) -> Iterator[str]:
    """The address of a job service."""
    port_file = tmp_path_factory.mktemp("service") / "port"
    program = [sys.executable, "-m", "apache_beam.runners.portability.local_job_service_main"]
    environment = {**os.environ, "PYTHONPATH": str(uppercase.ROOT)}
    with subprocess.Popen(
        [*program, "--job_port", "0", "--port_file", str(port_file)], stderr=subprocess.DEVNULL, env=environment
    ) as service:
        wait_until(lambda: port_file.exists() and port_file.read_text().strip(), "the job service")
        yield f"localhost:{port_file.read_text().strip()}"
        service.kill()


def wait_until(condition: Callable[[], object], what: str) -> None:
    deadline = time.monotonic() + 240
    while not condition():
        assert time.monotonic() < deadline, f"waited too long: {what}"
        time.sleep(0.05)


def flags(endpoint: str, worker: str = WORKER) -> list[str]:
    return [
        *("--runner", "PortableRunner", "--job_endpoint", endpoint),
        *("--environment_type", "beam:env:harness_subprocess_python:v1", "--environment_config", worker),
    ]


def run_toy(job_dir: JobFolder, beam_flags: list[str], *, row_timeout_s: float = 1800.0, **options) -> None:
    orders = Orders(job_name="tests.jobs.toy", options=options, row_timeout_s=row_timeout_s)
    spec = RunSpec(job_dir=job_dir, schema=toy.SCHEMA, config_hash=toy.CONFIG_HASH)
    BeamRunner(tuple(beam_flags), PerHost(2, need_mb=1)).run_units(spec, orders)


def test_rows_that_end_their_process_or_hang_cost_one_row_each_and_no_worker_of_the_runner(tmp_path, endpoint):
    groups = [["a", "kill me", "b"], ["exit", "c"], ["segfault"], ["d", "hang forever"], ["sleep", "e"]]
    job_dir, alone = (toy.make_job(str(tmp_path / name), groups) for name in ("runner", "alone"))
    run_toy(job_dir, flags(endpoint), row_timeout_s=5)
    toy.run_supervised(alone, workers=2, row_timeout_s=5)
    assert toy.outcome(job_dir) == toy.outcome(alone)
    kept, rejected = toy.outcome(job_dir)
    assert [content for _, _, content, _ in kept] == ["a", "b", "c", "d", "sleep", "e"]
    assert [(group, row, reason) for _, group, row, _, reason, _ in rejected] == [
        (0, 1, "crashed_worker"),
        (1, 0, "crashed_worker"),
        (2, 0, "crashed_worker"),
        (3, 1, "timeout"),
    ]
    assert not os.path.exists(job_dir.runner_job), "the runner's job has ended"


def test_what_the_work_refuses_on_a_worker_is_the_users_one_line(tmp_path, endpoint, capsys, caplog):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    with pytest.raises(ConfigError, match=r"^the toy has no batteries; put some in$"):
        run_toy(job_dir, flags(endpoint), refuse_on_open=True)
    assert "Traceback" not in capsys.readouterr().err + caplog.text


def test_a_worker_that_doesnt_see_the_folder_is_told_with_host_and_path(tmp_path, endpoint):
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    elsewhere = f"echo another folder of the same name > {job_dir.probe}; {WORKER}"
    with pytest.raises(ConfigError, match=rf"the worker on \S+ doesn't see the job's folder {job_dir.path} of the"):
        run_toy(job_dir, flags(endpoint, elsewhere))
    assert commits.list_commits(job_dir) == set()


def test_a_worker_with_another_version_is_told_with_both(tmp_path, endpoint):
    info = tmp_path / "other" / "codemill-99.1.dist-info"
    info.mkdir(parents=True)
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: codemill\nVersion: 99.1\n")
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    with pytest.raises(ConfigError, match=r"has codemill 99\.1, the driver on \S+ has \S+; install the same version"):
        # A safe path: else what an editable install left in the working folder (codemill.egg-info) is found first.
        run_toy(job_dir, flags(endpoint, f"PYTHONSAFEPATH=1 PYTHONPATH={tmp_path}/other:$PYTHONPATH {WORKER}"))
    assert commits.list_commits(job_dir) == set()


def test_a_worker_that_doesnt_see_the_input_is_one_line_and_no_unit_fails(tmp_path, endpoint, capsys):
    corpus, out = uppercase.write_corpus(tmp_path / "in" / "a.parquet", 20, group=5), tmp_path / "out"
    argv = ["--input", str(corpus), "--unit_rows", "5", "--content_column", "content", "--workers", "1"]
    blind = f"mv {corpus} {corpus}.on-the-driver; {WORKER}"
    assert uppercase.command_line([*argv, "--output", str(out), "--", *flags(endpoint, blind)]) == 2
    said = capsys.readouterr().err
    assert f"can't see --input {corpus} of the driver on" in said and "Traceback" not in said
    assert commits.list_commits(OutputFolder(str(out)).job) == set()
    os.rename(f"{corpus}.on-the-driver", corpus)
    assert uppercase.command_line([*argv, "--output", str(out), "--", *flags(endpoint)]) == 0
    assert uppercase.command_line([*argv, "--output", str(tmp_path / "alone")]) == 0
    assert uppercase.dataset(out) == uppercase.dataset(tmp_path / "alone")


def test_a_worker_that_doesnt_see_the_model_is_one_line_with_host_and_path(tmp_path, endpoint):
    model = tmp_path / "model"
    shutil.copytree(uppercase.ROOT / "model" / "embedded", model)
    corpus, out = uppercase.write_corpus(tmp_path / "in" / "a.parquet", 4), tmp_path / "out"
    words = ["infill", "--input", str(corpus), "--output", str(out), "--model", str(model), "--content_column=content"]
    blind = f"mv {model} {model}.on-the-driver; {WORKER}"
    command = [sys.executable, "-m", "jobs", *words, "--", *flags(endpoint, blind)]
    done = subprocess.run(command, cwd=uppercase.ROOT, capture_output=True, text=True, timeout=600)
    assert done.returncode == 2, done.stderr
    assert f"can't see --model {model} of the driver on {socket.gethostname()}; put it at the same path" in done.stderr
    assert "Traceback" not in done.stderr
    assert commits.list_commits(OutputFolder(str(out)).job) == set()


def parent_of(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def living_workers(job_dir: JobFolder) -> list[int]:
    return [beat.pid for beat in heartbeat.read_heartbeats(job_dir) if Path(f"/proc/{beat.pid}").exists()]


def test_the_kill_of_a_child_costs_no_row_and_that_of_a_worker_puts_none_under_suspicion(tmp_path, endpoint, caplog):
    corpus, out = uppercase.write_corpus(tmp_path / "in" / "a.parquet", 60, group=5), tmp_path / "out"
    argv = ["--input", str(corpus), "--unit_rows", "5", "--content_column", "content", "--workers", "1"]
    on_runner = [*argv, "--output", str(out), "--pause_s", "15", "--", *flags(endpoint)]
    job_dir = OutputFolder(str(out)).job
    driver = subprocess.Popen(
        [sys.executable, "-m", "tests.jobs.uppercase", *on_runner], cwd=uppercase.ROOT, stderr=subprocess.DEVNULL
    )
    wait_until(lambda: commits.list_commits(job_dir), "the first commit")
    (first,) = heartbeat.read_heartbeats(job_dir)
    os.kill(first.pid, signal.SIGKILL)
    wait_until(lambda: journal.read_deaths(job_dir), "the record of the child's death")
    wait_until(lambda: len(heartbeat.read_heartbeats(job_dir)) > 1, "another child")
    second = max(heartbeat.read_heartbeats(job_dir), key=lambda beat: beat.at)
    harness = parent_of(second.pid)
    os.kill(harness, signal.SIGKILL)
    wait_until(lambda: not Path(f"/proc/{second.pid}").exists(), "the end of the child with its parent")
    assert len(commits.list_commits(job_dir)) < 12
    driver.send_signal(signal.SIGKILL)  # this job service never learns that its worker has gone
    driver.wait()
    assert [death.session for death in journal.read_deaths(job_dir)] == [first.session]
    assert json.loads(Path(job_dir.runner_job).read_text())["job_endpoint"] == endpoint
    assert uppercase.command_line([*argv, "--output", str(out), "--", *flags(endpoint)]) == 0
    assert "which an earlier run of this command left behind, was canceled" in caplog.text
    assert not os.path.exists(job_dir.claims), "units are no longer claimed"
    assert uppercase.command_line([*argv, "--output", str(tmp_path / "alone")]) == 0
    assert uppercase.dataset(out) == uppercase.dataset(tmp_path / "alone")


def test_a_worker_that_is_killed_without_the_runners_notice_is_noticed_by_the_driver(tmp_path, endpoint, monkeypatch):
    monkeypatch.setattr(waiting, "SILENT_S", 30)
    groups = [["a"], ["stuck_once", "b"], ["kill me", "c"], ["d"]]
    job_dir, alone = (toy.make_job(str(tmp_path / name), groups) for name in ("runner", "alone"))
    with ThreadPoolExecutor(1) as pool:
        job = pool.submit(run_toy, job_dir, flags(endpoint), seen=str(tmp_path / "seen"))
        wait_until(lambda: (tmp_path / "seen").exists(), "the row that is stuck")
        wait_until(lambda: living_workers(job_dir), "a heartbeat of the worker that is stuck")
        os.kill(parent_of(living_workers(job_dir)[0]), signal.SIGKILL)
        job.result(timeout=600)
    toy.run_supervised(alone, options={"seen": str(tmp_path / "seen")})
    assert toy.outcome(job_dir) == toy.outcome(alone)


def test_an_address_where_nothing_answers_is_one_line(tmp_path, monkeypatch):
    monkeypatch.setattr(beam_runner, "_PAUSE_S", 0)
    job_dir = toy.make_job(str(tmp_path), [["a"]])
    with pytest.raises(ConfigError) as told:
        run_toy(job_dir, [*flags("localhost:1"), "--job_server_timeout", "2"])
    assert "localhost:1" in str(told.value) and "\n" not in str(told.value)
