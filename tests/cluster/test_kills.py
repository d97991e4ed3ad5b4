"""Deaths on a Flink cluster of two TaskManagers: the rows stay those of the local run."""

from __future__ import annotations

import os
import shutil
import signal
import socket

import pytest

from benchmarks.kill_checks import different_files
from jobs.plan import job_file
from tests.cluster import machines, perilous
from tests.cluster.commands import (
    BOOT,
    CHILD,
    HARNESS,
    MARK,
    Command,
    are_gone,
    commits_in,
    rows_sha256,
    until,
    workers,
)
from tests.jobs import uppercase

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]  # on a machine that does other work

ROWS = 60


@pytest.fixture(scope="module")
def words(place):
    perilous.write_input(place / "rows", ROWS)
    return ("tests.cluster.perilous", "--unit_rows", "1", "--pause_s", "0.4", "--input", str(place / "rows"))


@pytest.fixture
def strike(mark, record):
    """Sends SIGKILL to a process of a worker, once there is one, and waits until it is gone."""

    def send(part: str, what: str) -> None:
        until(lambda: bool(workers(mark, part)))
        victim = workers(mark, part)[0]
        os.kill(victim, signal.SIGKILL)
        record.add("kills", what=what, hit=victim)
        until(lambda: are_gone([victim]))

    return send


def check(command: Command, reference, record, **entry) -> None:
    found, wanted = rows_sha256(command.output), rows_sha256(reference)
    record.add("runs", **entry, seconds=round(command.seconds, 1), rows_sha256=found, equal=found == wanted)
    assert found == wanted
    assert not list(different_files(command.output / "data", reference / "data"))


def test_a_harness_a_task_manager_and_the_driver_may_die(words, cluster, boot, mark, place, local_run, record, strike):
    command = Command(words, place / "killed", cluster.beam_flags(boot))
    command.wait_for_commits(2)
    strike(HARNESS, "a harness")
    command.wait_for_commits(6)

    before = workers(mark, BOOT)
    victim = cluster.task_managers.pop(0)
    victim.kill()
    record.add("kills", what="a TaskManager", hit=victim.pid)
    cluster.add_task_manager()
    until(lambda: any(are_gone([pid]) for pid in before))  # its worker ends with it
    until(lambda: cluster.overview()["slots-total"] == 2)
    command.wait_for_commits(10)

    command.kill()
    record.add("kills", what="the driver", hit=command.output.name)
    again = Command(words, place / "killed", cluster.beam_flags(boot))
    assert again.wait() == 0, again.said
    check(again, local_run(*words), record, runner="cluster", job="perilous", after="harness, TaskManager, driver")


def test_a_worker_of_another_version_is_one_line_that_names_both_and_loses_nothing(
    words, cluster, boot, mark, place, local_run, record
):
    output = place / "versions"
    command = Command(words, output, cluster.beam_flags(boot))
    command.wait_for_commits(2)
    command.kill()
    cluster.cancel_all()
    until(lambda: not workers(mark, ""))
    before = commits_in(output)

    # A copy of the code without what an editable install leaves beside it, which would tell the version first.
    tree = place / "other-version"
    for name in ("jobs", "transforms", "model", "tests"):
        shutil.copytree(machines.ROOT / name, tree / name, ignore=shutil.ignore_patterns("__pycache__"))
    info = tree / "codemill-99.1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: codemill\nVersion: 99.1\n")
    (folder := place / "other-boot").mkdir()
    other = machines.write_boot(folder, **{MARK: mark, "JAX_PLATFORMS": "cpu", "PYTHONPATH": str(tree)})
    said = command.said
    refused = Command(words, output, cluster.beam_flags(other))
    assert refused.wait() == 2, refused.said
    lines = [line for line in refused.said.removeprefix(said).splitlines() if ": error: " in line]
    ours = job_file.installed_versions()["codemill"]
    assert len(lines) == 1 and f"codemill 99.1, the driver on {socket.gethostname()} has {ours};" in lines[0], lines
    record.add("kills", what="a worker of another version", hit=lines[0], commits=(after := commits_in(output)))
    assert after == before
    until(lambda: not workers(mark, ""))
    assert all(job["state"] in ("FINISHED", "FAILED", "CANCELED") for job in cluster.jobs()), cluster.jobs()

    again = Command(words, output, cluster.beam_flags(boot))
    assert again.wait() == 0, again.said
    check(again, local_run(*words), record, runner="cluster", job="perilous", after="a worker of another version")


def test_a_child_may_die_and_a_poison_row_costs_one_row(cluster, boot, place, record, strike):
    perilous.write_input(place / "poison", ROWS, poison=33)
    words = ("tests.cluster.perilous", "--unit_rows", "5", "--pause_s", "0.4", "--input", str(place / "poison"))
    command = Command(words, place / "poisoned", cluster.beam_flags(boot))
    command.wait_for_commits(2)
    strike(CHILD, "a child of a harness")
    assert command.wait() == 0, command.said
    found = uppercase.dataset(command.output)
    record.add("kills", what="a poison row", hit=[row["reason"] for row in found["rejected"]])
    assert [(row["row"], row["reason"]) for row in found["rejected"]] == [(33, "crashed_worker")]
    assert [row["content"] for row in found["data"]] == [f"row {number}" for number in range(ROWS) if number != 33]
