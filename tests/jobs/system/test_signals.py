"""SIGINT and SIGTERM end the command with one line, whatever is being imported when they come."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]

# Raises a signal at the n-th import after the command's first line, or at the import of a module by its name.
HOOK = """
import _signal, os, sys
at, number = os.environ.pop("SIGNAL_AT_IMPORT"), int(os.environ.pop("SIGNAL_NUMBER"))
class Finder:
    count = 0
    def find_spec(self, name, path=None, target=None):
        self.count += self.count > 0 or name == "jobs.system.signals"
        if at in (str(self.count), name):
            _signal.raise_signal(number)
sys.meta_path.insert(0, Finder())
"""
SIGNALS = (signal.SIGINT, signal.SIGTERM)
WORDS = {signal.SIGINT: "interrupted", signal.SIGTERM: "terminated"}
EARLY = [str(number) for number in range(1, 31, 3)]
LATER = [
    "jobs.options",
    "jobs.infill",
    "jobs.storage",
    "numpy",
    "jobs.driver",
    "pyarrow",
    "pyarrow.lib",
    "jobs.execution",
]


@pytest.fixture(scope="module")
def run_with_signal(tmp_path_factory):
    folder = tmp_path_factory.mktemp("hook")
    (folder / "sitecustomize.py").write_text(HOOK)

    def run(words: list[str], at: str, number: int, shell: tuple[str, ...] = ()) -> subprocess.CompletedProcess[str]:
        env = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
        return subprocess.run(
            [*shell, sys.executable, *words, "infill", "--input", "missing.parquet", "--output", str(folder / "out")],
            env={**env, "SIGNAL_AT_IMPORT": at, "SIGNAL_NUMBER": str(int(number))},
            capture_output=True,
            text=True,
        )

    return run


@pytest.mark.parametrize("at", EARLY + LATER)
@pytest.mark.parametrize("number", SIGNALS, ids=WORDS.get)
def test_a_signal_during_an_import_is_one_line(run_with_signal, at, number):
    done = run_with_signal(["-m", "jobs"], at, number)
    assert (done.stderr, done.returncode) == (f"codemill infill: {WORDS[number]}\n", 128 + number)


@pytest.mark.parametrize("number", SIGNALS, ids=WORDS.get)
def test_the_installed_command_starts_in_the_same_way(run_with_signal, number):
    assert '"codemill = jobs.__main__:main"' in (ROOT / "setup.py").read_text(encoding="utf-8")
    done = run_with_signal(["-c", "import sys; from jobs.__main__ import main; sys.exit(main())"], "5", number)
    assert (done.stderr, done.returncode) == (f"codemill infill: {WORDS[number]}\n", 128 + number)


def test_an_interrupt_that_the_shell_has_ignored_stays_ignored(run_with_signal):
    # A shell, not `preexec_fn`: that forks this process, which may have threads of JAX.
    shell = ("sh", "-c", "trap '' INT; exec \"$@\"", "sh")
    done = run_with_signal(["-m", "jobs"], "5", signal.SIGINT, shell)
    assert done.returncode == 2 and "missing.parquet" in done.stderr
