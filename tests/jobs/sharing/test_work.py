"""`codemill work` and the driver that waits for it: the rows of one machine, whoever is killed."""

from __future__ import annotations

import dataclasses
import json
import os
import re
import signal
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from jobs import storage, work
from jobs.execution.orders import Orders
from jobs.ledger import commits
from jobs.ledger.heartbeat import read_heartbeats
from jobs.options.work import WorkOptions
from jobs.plan import job_file
from jobs.sharing import invitation as invitations
from jobs.sharing.invitation import Invitation, invitation_of, other_versions, read_invitation
from jobs.sharing.joining import run_claimed_units
from jobs.storage.folders import JobFolder, OutputFolder
from model.errors import ConfigError
from tests.jobs import uppercase
from tests.jobs.sharing.hosts import wait_until

WORK = ["-m", "jobs", "work"]


def start(*words: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", *words],
        cwd=uppercase.ROOT,
        env={**os.environ, "PYTHONPATH": str(uppercase.ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


@pytest.fixture
def corpus(tmp_path) -> Path:
    for number in range(3):
        uppercase.write_corpus(tmp_path / "in" / f"{number}.parquet", 40, seed=number)
    return tmp_path


def flags(home: Path, output: str, *more: str) -> list[str]:
    words = ["--input", str(home / "in"), "--output", str(home / output), "--unit_rows", "5", "--progress", "none"]
    return [*words, "--workers", "1", *more]


def driver(home: Path, *more: str) -> subprocess.Popen[str]:
    return start("-m", uppercase.NAME, *flags(home, "out", "--claim_timeout_s", "4", *more))


def assert_same_rows(home: Path) -> None:
    assert uppercase.command_line(flags(home, "alone")) == 0
    assert uppercase.dataset(home / "out") == uppercase.dataset(home / "alone")


def committed(home: Path) -> int:
    return len(commits.list_commits(JobFolder(str(home / "out" / "_job"))))


def test_a_driver_waits_for_two_hosts_and_tells_what_they_do(corpus):
    waiting = driver(corpus, "--run_units", "elsewhere", "--pause_s", "0.2")
    hosts = [start(*WORK, str(corpus / "out"), "--name", name, "--workers", "1") for name in ("one", "two")]
    said = waiting.communicate(timeout=240)[1]
    assert waiting.returncode == 0, said
    for host in hosts:
        told = host.communicate(timeout=240)[1]
        assert host.returncode == 0, told
        assert "no unit of" in told and "is left" in told
    for name in ("one", "two"):
        assert f"{name} joined: 1 worker" in said
        assert f"{name} has finished: " in said or re.search(rf"{name}: [0-9]+ units", said)
    assert_same_rows(corpus)
    left = os.listdir(corpus / "out" / "_job")
    assert "claims" not in left and "logs" not in left


def test_a_driver_that_shares_and_is_killed_is_resumed_while_its_hosts_go_on(corpus):
    killed = driver(corpus, "--run_units", "shared", "--pause_s", "0.5")
    host = start(*WORK, str(corpus / "out"), "--name", "host", "--workers", "1", "--stay")
    wait_until(lambda: committed(corpus) >= 3, "three commits")
    killed.kill()
    killed.communicate()
    before = committed(corpus)
    wait_until(lambda: committed(corpus) > before + 1, "further commits without a driver")
    resumed = driver(corpus, "--run_units", "shared", "--pause_s", "0.5")
    assert resumed.wait(timeout=240) == 0, resumed.communicate()[1]
    assert host.wait(timeout=240) == 0, host.communicate()[1]
    assert_same_rows(corpus)


def test_a_host_that_is_killed_is_told_of_with_its_last_lines_and_another_goes_on(corpus):
    waiting = driver(corpus, "--run_units", "elsewhere", "--pause_s", "1")
    killed = start(*WORK, str(corpus / "out"), "--name", "killed", "--workers", "1")
    wait_until(lambda: committed(corpus) >= 1, "a commit")
    logs = corpus / "out" / "_job" / "logs"
    logs.mkdir(exist_ok=True)
    (claimant,) = os.listdir(corpus / "out" / "_job" / "claimants")
    os.kill(killed.pid, signal.SIGKILL)
    killed.communicate()
    (logs / claimant.replace(".json", ".txt")).write_text("first\nWARNING the last words\n")
    other = start(*WORK, str(corpus / "out"), "--name", "other", "--workers", "1")
    said = waiting.communicate(timeout=240)[1]
    assert waiting.returncode == 0 and other.wait(timeout=240) == 0, said
    assert "killed has been silent for" in said and "  | WARNING the last words" in said
    assert_same_rows(corpus)


def test_a_host_that_is_terminated_says_so_and_ends_as_other_commands_do(corpus):
    waiting = driver(corpus, "--run_units", "elsewhere", "--pause_s", "0.5")
    host = start(*WORK, str(corpus / "out"), "--name", "host", "--workers", "1")
    wait_until(lambda: committed(corpus) >= 1, "a commit")
    host.terminate()
    told = host.communicate(timeout=240)[1]
    assert host.returncode == 128 + signal.SIGTERM
    assert "codemill work: terminated; committed work is kept" in told and "Traceback" not in told
    other = start(*WORK, str(corpus / "out"), "--workers", "1")
    said = waiting.communicate(timeout=240)[1]
    assert waiting.returncode == 0 and other.wait(timeout=240) == 0, said
    assert "host left: " in said
    assert_same_rows(corpus)


# --- what is refused ---------------------------------------------------------------------------------


def planned(home: Path, where: str = "shared") -> OutputFolder:
    """A job of which nothing has run: as a driver leaves it that is killed at once."""
    options, beam_args = uppercase.parse(uppercase.Options, flags(home, "out", "--run_units", where), prog="")
    assert beam_args == []
    output = OutputFolder(options.output)
    job = uppercase.build_work(uppercase.all_options(options))
    from jobs.plan.freezing import freeze, plan_job

    freeze(plan_job(options, job), uppercase.NAME, options, "")
    orders = Orders(job_name=uppercase.NAME, options=uppercase.all_options(options))
    found = invitation_of(orders, options, output.job, is_shared=where != "here", stale_s=60, run_id="night-5")
    invitations.write_invitation(output.job, found)
    return output


def test_a_thread_of_a_runners_worker_can_run_what_is_left(corpus):
    output = planned(corpus)
    done: list[int] = []
    thread = threading.Thread(target=lambda: done.append(run_claimed_units(output, changes={"workers": 1})))
    thread.start()
    thread.join(timeout=240)
    assert done == [24] and committed(corpus) == 24
    assert {beat.run_id for beat in read_heartbeats(output.job)} == {"night-5"}


def test_another_version_of_codemill_is_refused_in_one_line_that_names_both(corpus, monkeypatch):
    output = planned(corpus)
    there = json.loads(storage.read_bytes(output.job.orders))
    there["versions"]["codemill"] = "0.0.7"
    storage.write_bytes(output.job.orders, json.dumps(there).encode())
    ours = job_file.installed_versions()["codemill"]
    with pytest.raises(ConfigError, match=rf"planned by codemill 0\.0\.7 with .*has codemill {ours} with"):
        run_claimed_units(output)


def test_another_schema_version_is_refused_in_one_line_that_names_both(corpus, monkeypatch):
    output = planned(corpus)
    monkeypatch.setattr(invitations, "SCHEMA_VERSION", "99")
    with pytest.raises(
        ConfigError, match=rf"schema version {job_file.SCHEMA_VERSION}, .* with 99; install the driver's version here"
    ):
        run_claimed_units(output)


def test_other_versions_of_libraries_get_a_line():
    theirs = {**job_file.installed_versions(), "jax": "0.0.1"}
    found = Invitation(orders=Orders(job_name="filter", options={}), is_shared=True, versions=theirs)
    (line,) = other_versions(found)
    assert line.startswith("the driver has jax 0.0.1, this host ")


def test_an_invitation_names_the_paths_of_options(tmp_path):
    from jobs.filter import Options

    policy = tmp_path / "policy.yaml"
    policy.write_text("")
    options = Options(input=("in",), output="out", policy=os.path.relpath(policy))
    orders = Orders(job_name="filter", options={"policy": "x"})
    found = invitation_of(orders, options, OutputFolder(str(tmp_path / "out")).job, is_shared=True)
    assert found.needs == (("--policy", str(policy), ""),) and found.orders.options["policy"] == str(policy)


def test_an_input_that_a_host_cant_see_is_refused_before_its_units_fail(corpus):
    output = planned(corpus)
    (corpus / "in").rename(corpus / "elsewhere")
    with pytest.raises(ConfigError, match=r"can't see --input .*/in/0.parquet of the driver on "):
        run_claimed_units(output)
    assert committed(corpus) == 0


def test_a_driver_that_runs_all_units_itself_isnt_disturbed(corpus):
    with pytest.raises(ConfigError, match="runs all units itself; run its command with --run_units shared"):
        run_claimed_units(planned(corpus, "here"))


def test_without_a_plan_a_host_waits_and_then_says_what_to_check(tmp_path, capsys):
    options = WorkOptions(output=str(tmp_path / "nothing"), wait_s=0.1)
    with pytest.raises(ConfigError, match=r"no job was planned in .*/nothing within 0 s; check that its driver runs"):
        work.run(options)
    assert "codemill work: waiting for a driver to plan" in capsys.readouterr().err


def test_a_complete_output_leaves_nothing_to_do(corpus, capsys):
    assert uppercase.command_line(flags(corpus, "out")) == 0
    capsys.readouterr()
    assert work.run(WorkOptions(output=str(corpus / "out"))) == 0
    assert "is complete; nothing to do" in capsys.readouterr().err


def test_an_invitation_is_read_as_it_was_written(corpus):
    output = planned(corpus)
    found = read_invitation(output.job)
    assert found is not None and found.orders.job_name == uppercase.NAME
    assert found == dataclasses.replace(found)
    assert found.stale_s == 60 and found.is_shared


def test_beams_flags_and_shared_units_exclude_each_other(corpus, capsys):
    words = flags(corpus, "out", "--run_units", "shared")
    assert uppercase.command_line([*words, "--", "--runner", "FnApiRunner"]) == 2
    assert "--run_units shared can't be combined with Beam's flags" in capsys.readouterr().err
