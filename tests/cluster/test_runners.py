"""The jobs on runners with workers in processes of their own: the rows are those of the local run, byte for byte."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from benchmarks.kill_checks import different_files
from tests.cluster import machines, perilous
from tests.cluster.commands import Command, rows_sha256
from tests.cluster.spark import SparkCluster

pytestmark = [pytest.mark.cluster, pytest.mark.timeout(900)]  # on a machine that does other work

JOBS = {
    "filter": ("filter", "--unit_rows", "25"),
    "dedup": ("dedup", "--unit_rows", "40"),
    "pack": ("pack", "--context_length", "2048"),
    "infill": (
        *("infill", "--limit", "6", "--unit_rows", "3", "--determinism", "exact", "--spans_per_file", "1"),
        *("--slots", "4", "--max_prompt_tokens", "128", "--max_new_tokens", "16", "--workers", "1"),
    ),
}
# Flink runs all of them; the others are checks of conformance, and share the keyed jobs and the simple one.
RUNS = [
    *(("cluster", job) for job in JOBS),
    *(("python_service", job) for job in ("filter", "pack")),
    *(("spark", job) for job in ("filter", "dedup")),
    *(("prism", job) for job in ("filter", "dedup")),
]


def jids(service):
    """What a cluster says of its jobs, by id; nothing for other services."""
    if isinstance(service, SparkCluster):
        return {one["id"]: one for one in service.applications()}
    found = service.jobs() if isinstance(service, machines.FlinkCluster) else []
    return {one["jid"]: {key: one[key] for key in ("jid", "state", "duration")} for one in found}


@pytest.mark.parametrize(("runner", "job"), RUNS)
def test_a_runner_gives_the_rows_of_this_machine(runner, job, request, corpus, place, boot, local_run, record):
    service = request.getfixturevalue(runner)
    words = (*JOBS[job], "--input", str(corpus))
    before = jids(service)
    command = Command(words, place / f"{runner}-{job}", service.beam_flags(boot))
    assert command.wait() == 0, command.said
    seconds, reference = command.seconds, local_run(*words)
    found, wanted = rows_sha256(command.output), rows_sha256(reference)
    entry = {"runner": runner, "job": job, "seconds": round(seconds, 1), "rows_sha256": found, "local": wanted}
    answer = [one for key, one in jids(service).items() if key not in before]
    record.add("runs", **entry, equal=found == wanted, answer=answer)
    assert found == wanted
    for part in ("data", "rejected"):
        assert not list(different_files(command.output / part, reference / part))


def test_a_worker_without_codemill_is_one_line(place, python_service):
    """As where a TaskManager's Python lacks it: the harness starts, and can't read the pipeline."""
    program = place / "bare-worker"
    blocked = (
        "import sys; sys.modules['jobs'] = None; from apache_beam.runners.worker import sdk_worker_main as harness"
    )
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -P -c "{blocked}; harness.main([])"\n')
    program.chmod(0o755)
    perilous.write_input(place / "bare-input", 4)
    flags = [
        *("--runner=PortableRunner", f"--job_endpoint=localhost:{python_service.port}"),
        *("--environment_type=beam:env:harness_subprocess_python:v1", f"--environment_config={program}"),
    ]
    words = ("tests.cluster.perilous", "--input", str(place / "bare-input"))
    command = Command(words, place / "bare", flags)
    assert command.wait() == 2, command.said
    assert "a worker of the runner can't import codemill" in command.said
    assert "Traceback" not in command.said


@pytest.mark.parametrize("job", JOBS)
def test_a_cluster_that_doesnt_answer_is_one_line(job, corpus, place):
    flags = ["--runner=PortableRunner", f"--job_endpoint=localhost:{machines.free_port()}"]
    command = Command((*JOBS[job], "--input", str(corpus)), place / f"nobody-{job}", flags)
    assert command.wait() == 2, command.said
    lines = [line for line in command.said.splitlines() if line.startswith(f"codemill {job}: error: --job_endpoint")]
    assert len(lines) == 1 and "nothing answers there (Connection refused)" in lines[0]
    assert not Path(place / f"nobody-{job}").exists()
