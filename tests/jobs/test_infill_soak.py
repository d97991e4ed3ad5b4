"""The main job, killed: at every failpoint once, and at twenty random moments. Minutes, so `make soak` runs it.

In `exact` mode the dataset of a killed and resumed job equals that of an uninterrupted one, row for row; in `fast`
mode a resumed job never changes a committed row.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import subprocess
import sys
import sysconfig
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs.ledger.heartbeat import read_heartbeats
from jobs.storage import failpoints
from jobs.storage.folders import JobFolder

pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]

FILES = ("json/*.py", "textwrap.py", "csv.py", "shlex.py")
FINISHED = 3  # with a failed unit: one file of the corpus is bad
ENVIRONMENT = {**os.environ, "JAX_PLATFORMS": "cpu"}


def command(corpus, output, *flags, determinism="exact", data=None):
    """Each file is a unit, and programs are compiled once for all runs: what is killed here are the jobs."""
    return [
        *(sys.executable, "-m", "jobs.cli", "infill", "--input", str(data or corpus / "data")),
        *("--output", str(output)),
        *("--determinism", determinism, "--unit_rows", "1", "--progress", "none", "--max_new_tokens", "32"),
        *("--max_prompt_tokens", "256", "--slots", "8", "--shard_mb", "1"),
        *("--compile_cache", str(corpus / "programs"), *flags),
    ]


def finish(words, **environment):
    done = subprocess.run(words, env={**ENVIRONMENT, **environment}, capture_output=True, text=True)
    return done


def kill_group(words, after_s):
    """Starts the job in a separate process group and kills that group, if it still runs by then."""
    process = subprocess.Popen(
        words, env=ENVIRONMENT, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        process.wait(after_s)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return process.returncode


def rows(output, part):
    files = sorted((output / part).glob("*.parquet"))
    assert files, f"no shard in {output / part}"
    return [row for file in files for row in pq.read_table(file).to_pylist()]


def assert_same_dataset(output, reference):
    for part in ("data", "rejected"):
        assert rows(output, part) == rows(reference, part)
    assert (output / "COMPLETED").exists()
    ours, theirs = (json.loads((folder / "summary.json").read_text()) for folder in (output, reference))
    assert ours["rows"] == theirs["rows"] and ours["targets"] == theirs["targets"]


@pytest.fixture(scope="module")
def corpus(tmp_path_factory):
    output = tmp_path_factory.mktemp("soak") / "corpus"
    words = [sys.executable, "-m", "jobs.cli", "corpus", sysconfig.get_path("stdlib"), "--output", str(output)]
    done = finish([*words, "--include", *FILES])
    assert done.returncode == 0, done.stderr
    # A bad file on purpose, so that its failpoint is passed as well; hence the exit code of all runs.
    (output / "data" / "zero.parquet").write_bytes(b"")
    return output


@pytest.fixture(scope="module")
def reference(corpus, tmp_path_factory):
    output = tmp_path_factory.mktemp("soak") / "reference"
    started = time.monotonic()
    done = finish(command(corpus, output))
    assert done.returncode == FINISHED, done.stderr
    return output, time.monotonic() - started


def test_two_uninterrupted_runs_give_the_same_bytes(corpus, reference, tmp_path):
    assert finish(command(corpus, tmp_path / "again")).returncode == FINISHED
    for file in sorted((reference[0] / "data").glob("*.parquet")):
        assert file.read_bytes() == (tmp_path / "again" / "data" / file.name).read_bytes()


def without_its_last_step(finished, output):
    """A copy of a finished output whose units are all committed, before its finalization starts."""
    shutil.copytree(finished, output)
    for folder in ("data", "rejected", "_job/shards"):
        shutil.rmtree(output / folder)
    for page in ("COMPLETED", "summary.json", "README.md", "report.html"):
        (output / page).unlink()


@pytest.mark.parametrize(
    "name", [name for part in ("plan.", "commit.", "finalize.") for name in failpoints.names(part)]
)
def test_a_job_killed_at_a_failpoint_and_resumed_gives_the_same_dataset(name, corpus, reference, tmp_path):
    output = tmp_path / "killed"
    if name.startswith("finalize."):
        without_its_last_step(reference[0], output)
    # The driver commits the bad file's unit itself: the second commit of a process is the worker's.
    nth = 2 if name == "commit.after_commit" else 1
    killed = finish(command(corpus, output), CODEMILL_FAILPOINT=f"{name}:{nth}=kill")
    if name.startswith("commit."):  # the worker died, and the supervisor started another
        assert killed.returncode == FINISHED and "the worker died (SIGKILL)" in killed.stderr
    else:
        assert killed.returncode == -signal.SIGKILL, killed.stderr
    resumed = finish(command(corpus, output))
    assert resumed.returncode == FINISHED, resumed.stderr
    assert_same_dataset(output, reference[0])


def test_a_job_killed_at_twenty_random_moments_gives_the_same_dataset(corpus, reference, tmp_path):
    output = tmp_path / "killed"
    moments = random.Random(20)
    kills = 0
    while kills < 20:
        if kill_group(command(corpus, output), moments.uniform(0.5, 1.1 * reference[1])) != -signal.SIGKILL:
            assert (output / "COMPLETED").exists()
            assert_same_dataset(output, reference[0])
            shutil.rmtree(output)  # it came through before we struck: strike on a fresh one
            continue
        kills += 1
    resumed = finish(command(corpus, output))
    assert resumed.returncode == FINISHED, resumed.stderr
    assert_same_dataset(output, reference[0])


def test_in_fast_mode_a_resumed_job_never_changes_a_committed_row(corpus, reference, tmp_path):
    output = tmp_path / "fast"
    words = command(corpus, output, determinism="fast")
    kill_group(words, 0.6 * reference[1])
    before = {file.name: file.read_bytes() for file in Path(output, "_job", "commits").glob("*.json")}
    resumed = finish(words)
    assert resumed.returncode == FINISHED, resumed.stderr
    for name, commit in before.items():
        assert (output / "_job" / "commits" / name).read_bytes() == commit


def peaks_of(words):
    """Runs a job; the largest resident memory of driver and of its worker, in megabytes."""
    peaks = {}
    job = subprocess.Popen(words, env=ENVIRONMENT, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    output = words[words.index("--output") + 1]
    while job.poll() is None:
        workers = [("worker", beat.pid) for beat in read_heartbeats(JobFolder(f"{output}/_job"))]
        for who, pid in [("driver", job.pid), *workers]:
            peaks[who] = max(peaks.get(who, 0.0), peak_mb(pid))
        time.sleep(0.2)
    assert job.returncode == FINISHED, job.stderr.read()
    return peaks


def peak_mb(pid):
    try:
        status = Path("/proc", str(pid), "status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0.0
    return next((int(line.split()[1]) / 1024 for line in status.splitlines() if line.startswith("VmHWM")), 0.0)


def test_memory_stays_where_it_is_when_the_corpus_is_ten_times_as_large(corpus, tmp_path):
    (shard,) = (corpus / "data").glob("train-*.parquet")
    many = tmp_path / "many" / "data"
    many.mkdir(parents=True)
    shutil.copy(corpus / "data" / "zero.parquet", many)
    for number in range(10):
        shutil.copy(shard, many / f"{number}.parquet")
    once = peaks_of(command(corpus, tmp_path / "once"))
    ten_times = peaks_of(command(corpus, tmp_path / "ten", data=many))
    print(f"peak memory, MB: {once} for the corpus, {ten_times} for ten of it")
    assert len(rows(tmp_path / "ten", "data")) == 10 * len(rows(tmp_path / "once", "data"))
    for who in ("driver", "worker"):
        assert ten_times[who] < 1.15 * once[who]
