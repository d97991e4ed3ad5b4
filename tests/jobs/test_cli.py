from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import types
from dataclasses import dataclass

import pytest

from jobs import cli
from jobs.options import OptionSet, option
from jobs.system import exit_codes
from jobs.system.signals import SIGNALS, raise_on_signals
from model.errors import ConfigError

HEAVY = ("apache_beam", "jax", "flax", "pyarrow", "numpy", "sentencepiece", "tree_sitter", "rich")


@dataclass(frozen=True, kw_only=True)
class FakeOptions(OptionSet):
    """A job for tests."""

    size: int = option(1, help="A size.")


@pytest.fixture
def fake_job(monkeypatch):
    """A job `fake` whose `run` is replaced by the test."""
    module = types.ModuleType("jobs.fake")
    module.Options = FakeOptions
    module.run = lambda options, beam_args: cli.DONE
    monkeypatch.setitem(sys.modules, module.__name__, module)
    monkeypatch.setitem(cli.JOBS, "fake", "for tests")
    return module


def raising(error):
    def run(options, beam_args):
        raise error

    return run


def test_a_job_gets_its_options_and_beams_and_gives_the_exit_code(fake_job):
    seen = []
    fake_job.run = lambda options, beam_args: seen.append((options, beam_args)) or exit_codes.FAILED_UNITS
    assert cli.main(["fake", "--size", "3", "--", "--runner", "X"]) == exit_codes.FAILED_UNITS
    assert seen == [(FakeOptions(size=3), ["--runner", "X"])]


def test_the_users_mistake_is_one_line_without_a_traceback(fake_job, capsys):
    fake_job.run = raising(ConfigError("no such folder"))
    assert cli.main(["fake"]) == cli.USER_ERROR
    assert capsys.readouterr().err == "codemill fake: error: no such folder\n"


def test_a_bug_shows_its_traceback(fake_job, capsys):
    fake_job.run = raising(KeyError("lost"))
    assert cli.main(["fake"]) == cli.BUG
    shown = capsys.readouterr().err
    assert "Traceback" in shown and "KeyError: 'lost'" in shown


def test_an_interrupt_is_no_traceback(fake_job, capsys):
    fake_job.run = raising(KeyboardInterrupt())
    assert cli.main(["fake"]) == 130
    assert "Traceback" not in capsys.readouterr().err


def test_an_unknown_job_names_the_nearest(capsys):
    assert cli.main(["infil"]) == cli.USER_ERROR
    assert capsys.readouterr().err == "codemill: error: unknown job infil; did you mean infill?\n"


def test_without_a_job_the_help_comes_and_the_exit_code_says_so(capsys):
    assert cli.main([]) == cli.USER_ERROR
    assert "usage: codemill JOB" in capsys.readouterr().err


def test_help_lists_every_job(capsys):
    assert cli.main(["--help"]) == cli.DONE
    shown = capsys.readouterr().out
    assert all(f"  {name} " in shown for name in cli.JOBS)


@pytest.mark.parametrize("name", cli.JOBS)
@pytest.mark.parametrize("words", [["--help"], ["--no_such_flag"]])
def test_help_and_flag_errors_import_nothing_heavy(name, words):
    program = (
        "import sys; from jobs.cli import main\n"
        "try:\n    code = main(sys.argv[1:])\nexcept SystemExit as end:\n    code = end.code\n"
        f"heavy = [name for name in {HEAVY!r} if name in sys.modules]\n"
        "assert not heavy, heavy\nsys.exit(code)"
    )
    done = subprocess.run([sys.executable, "-c", program, name, *words], capture_output=True, text=True, check=False)
    assert "AssertionError" not in done.stderr, done.stderr
    if words == ["--help"]:
        assert done.returncode == cli.DONE, done.stderr
        assert done.stdout.startswith(f"usage: codemill {name} ")
    else:
        assert done.returncode == cli.USER_ERROR
        assert done.stderr.startswith(f"codemill {name}: error: unknown flag --no_such_flag")


def test_the_module_runs_as_the_command_does():
    done = subprocess.run([sys.executable, "-m", "jobs", "--version"], capture_output=True, text=True, check=False)
    assert done.returncode == cli.DONE and done.stdout.startswith("codemill ")


def test_a_reader_that_has_gone_is_not_a_fault():
    program = "from jobs.cli import main; import sys; sys.exit(main(['--help']))"
    process = subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    process.stdout.close()
    _, errors = process.communicate()
    assert errors == b""
    assert process.returncode == cli.READER_GONE


def test_a_broken_pipe_inside_a_job_is_a_bug(fake_job, capsys):
    fake_job.run = raising(BrokenPipeError(32, "a worker has gone"))
    assert cli.main(["fake"]) == cli.BUG
    assert "a worker has gone" in capsys.readouterr().err


def test_sigterm_ends_any_job_with_one_line(monkeypatch, capfd):
    before = [signal.getsignal(number) for number in SIGNALS]

    def run(options, beam_args):
        raise_on_signals()
        os.kill(os.getpid(), signal.SIGTERM)
        time.sleep(10)
        return 0

    monkeypatch.setattr("jobs.corpus.run", run)
    assert cli.main(["corpus", "src", "--output", "out"]) == 128 + signal.SIGTERM
    assert capfd.readouterr().err == "codemill corpus: terminated\n"
    assert [signal.getsignal(number) for number in SIGNALS] == before
