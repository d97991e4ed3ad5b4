"""The pure parts of `benchmarks/kills.py`: what a trial draws, and what counts as a difference."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.kill_checks import faults_of, unbalanced
from benchmarks.kill_trials import STAGES, Outcome, Strike, explains, stage_of, strikes_of
from benchmarks.kills import JOBS, shares_of, table
from benchmarks.processes import with_environment

BALANCED = {
    "rows": {"planned": 3, "kept": 1, "rejected": 1, "in_failed_units": 1},
    "targets": {"chosen": 2, "accepted": 1, "rejected": 1},
    "rejected": [{"kind": "row", "count": 1}, {"kind": "target", "count": 1}],
    "shards": {"data": {"rows": 1}, "rejected": {"rows": 2}},
    "units": {"all": 2, "restarted": 0},
}
ORPHANS = (
    "_job/grouped/0.parquet",
    "_job/attempts/0-ab/fedcba.kept.parquet",
    "_job/journal/open/supervised-0/0-ab~cafe~0-1~rows~shared",
    "_job/shards/0123/train-00000.0123456789abcdef.parquet",
    "data/.train-00000-of-00001.parquet.00.tmp",
)


def finished(folder: Path, restarted: int = 0) -> Path:
    """A finished output of two units, one of which has an attempt that its commit names."""
    for name, rows in (("data/train-00000-of-00001.parquet", 1), ("rejected/rejected-00000-of-00001.parquet", 2)):
        (folder / name).parent.mkdir(parents=True)
        pq.write_table(pa.table({"row": list(range(rows))}), folder / name)
    summary = {**BALANCED, "units": {"all": 2, "restarted": restarted}, "finished": str(folder)}
    (folder / "summary.json").write_text(json.dumps(summary))
    attempt = "attempts/0-ab/0123.kept.parquet"
    commit = json.dumps({"files": {"kept": {"path": attempt}}})
    for name, text in ((attempt, "rows"), ("commits/0-ab.json", commit), ("lock/000001.json", "{}")):
        (folder / "_job" / name).parent.mkdir(parents=True)
        (folder / "_job" / name).write_text(text)
    (folder / "COMPLETED").touch()
    (folder.parent / f"{folder.name}-tmp").mkdir()
    return folder


@pytest.fixture
def pair(tmp_path):
    return finished(tmp_path / "ours", restarted=1), finished(tmp_path / "theirs")


def faults(pair) -> list[str]:
    ours, theirs = pair
    return faults_of(ours, theirs, ours.parent / f"{ours.name}-tmp")


@given(st.sampled_from(sorted(JOBS)), st.integers(), st.integers(0, 10_000))
def test_a_trial_draws_the_same_strikes_each_time_and_never_blames_a_row(name, seed, number):
    strikes = strikes_of(name, JOBS[name], seed, number)
    assert strikes == strikes_of(name, JOBS[name], seed, number) and 1 <= len(strikes) <= 3
    targets = Counter(strike.target for strike in strikes)
    assert targets["pool"] <= 1 and targets["worker"] <= 2
    assert set(targets) <= {"driver", "all", *JOBS[name].targets}
    assert all(strike.stage is None or strike.stage in STAGES for strike in strikes)


@given(st.sets(st.sampled_from(sorted(JOBS)), min_size=1), st.integers(0, 1000))
def test_the_trials_of_all_jobs_add_up(names, trials):
    shares = shares_of(sorted(names), trials)
    assert sum(shares.values()) == trials and set(shares) == names


def test_a_stage_is_known_by_what_was_written(tmp_path):
    seen = [stage_of(tmp_path)]
    for name in ("_job/grouped/0", "_job/grouped.json", "_job/job.json", "_job/shards/0", "data/0", "COMPLETED"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
        seen.append(stage_of(tmp_path))
    assert tuple(seen) == STAGES


@pytest.mark.parametrize(
    ("target", "number", "code", "wanted"),
    [
        ("driver", signal.SIGKILL, -9, True),
        ("driver", signal.SIGINT, 130, True),
        ("driver", signal.SIGTERM, 3, True),  # it was at its end
        ("driver", signal.SIGTERM, 130, False),
        ("driver", signal.SIGTERM, 1, False),
        ("worker", signal.SIGKILL, 3, True),
        ("worker", signal.SIGKILL, -9, False),
    ],
)
def test_an_exit_code_is_explained_by_its_signal_or_not_at_all(target, number, code, wanted):
    assert explains(Strike(target, number, 0.5), code, usual=3) == wanted


def test_equal_outputs_have_no_faults_though_times_and_restarts_differ(pair):
    assert faults(pair) == []


def test_other_bytes_are_a_fault_that_tells_which_rows_differ(pair):
    path = pair[0] / "rejected/rejected-00000-of-00001.parquet"
    pq.write_table(pa.table({"row": [0, 7]}), path)
    assert faults(pair) == [f"rejected/{path.name} has other bytes, rows [1] differ"]
    pq.write_table(pa.table({"row": [0, 1]}), path, compression="none")
    assert faults(pair) == [f"rejected/{path.name} has other bytes, but equal rows"]


def test_missing_and_added_files_are_faults(pair):
    shard = pair[0] / "data/train-00000-of-00001.parquet"
    shard.rename(shard.with_name("train-00000-of-00002.parquet"))
    assert [fault.split("/")[1] for fault in faults(pair)] == [
        "train-00000-of-00001.parquet is missing",
        "train-00000-of-00002.parquet is not in the reference",
    ]


@pytest.mark.parametrize("name", ORPHANS)
def test_a_file_that_a_killed_run_left_is_a_fault(pair, name):
    (pair[0] / name).parent.mkdir(parents=True, exist_ok=True)
    (pair[0] / name).touch()
    assert any("left in the output" in fault for fault in faults(pair))


def test_what_is_left_in_tmpdir_is_a_fault(pair):
    (pair[0].parent / "ours-tmp" / "codemill-scratch-x").mkdir()
    assert faults(pair) == ["left in TMPDIR: codemill-scratch-x"]


def test_an_output_that_is_not_complete_is_a_fault(pair):
    (pair[0] / "COMPLETED").unlink()
    assert faults(pair) == ["there is no COMPLETED"]


@pytest.mark.parametrize("ledger", ["rows", "targets"])
def test_a_ledger_that_is_off_is_a_fault(ledger):
    assert not list(unbalanced(BALANCED))
    assert list(unbalanced({**BALANCED, ledger: {**BALANCED[ledger], "rejected": 2}}))


def test_processes_are_found_by_their_environment():
    setting = f"CODEMILL_KILLS_TEST={os.getpid()}"
    name, _, value = setting.partition("=")
    child = subprocess.Popen(
        [sys.executable, "-c", "print(flush=True); input()"],
        env={**os.environ, name: value}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    )  # fmt: skip
    try:
        assert child.stdout.readline()
        assert list(with_environment(setting)) == [child.pid] and not with_environment(f"{setting}0")
    finally:
        child.communicate(b"\n")
    assert not with_environment(setting)


def test_the_table_counts_signals_by_kind_and_stage():
    strike = Strike("driver", signal.SIGKILL, 0.5)
    trials = [Outcome([(strike, "units"), (strike, "merge")]), Outcome([(strike, "units")], ["left in TMPDIR: x"])]
    assert table({"filter": trials}).splitlines()[-1] == (
        "| filter | 2 | 3 | SIGKILL to driver 3 | units 2, merge 1 | 1 of 2 |"
    )
