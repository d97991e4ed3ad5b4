"""What a user sees of a hostile config, task, policy or rule file: one line with its place, and exit code 2."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from jobs.cli import main
from jobs.system.exit_codes import USER_ERROR
from tests.jobs.hostile_files.configs import CONFIGS
from tests.jobs.hostile_files.policies import POLICIES, RULES
from tests.jobs.hostile_files.tasks import TASKS
from transforms import bounded, user_files
from transforms.scanning import rule_check

MAX_LINE_CHARS = 1600  # the longest lists all validators
MAX_ECHO_CHARS = 100  # of the user's text
KINDS = [("config", CONFIGS), ("task", TASKS), ("policy", POLICIES), ("rules", RULES)]
Refused = Callable[[str, Path], str]


@pytest.fixture(autouse=True)
def short_limits(monkeypatch):
    monkeypatch.setattr(bounded, "CHECK_CPU_S", 0.5)
    monkeypatch.setattr(rule_check, "CPU_S", 2.0)
    monkeypatch.setattr(user_files, "_PIPE_TIMEOUT_S", 1)


@pytest.fixture
def refused(tmp_path, capfd) -> Refused:
    """The line that a command prints which is given a file; asserts that it is one line, and exit code 2."""

    def run(kind: str, path: Path) -> str:
        if kind == "rules":
            policy = tmp_path / "policy.yaml"
            policy.write_text(f"rule_files: [{path.name}]\n")
            kind, path = "policy", policy
        job = "annotate" if kind == "task" else "filter"
        others = [] if kind == "config" else ["--input", "nowhere.parquet", "--output", str(tmp_path / "out")]
        code = main([job, f"--{kind}", str(path), *others])
        out, line = capfd.readouterr()
        assert (code, out) == (USER_ERROR, "")
        assert line.count("\n") == 1 and line[:-1].isprintable()
        assert not (tmp_path / "out").exists()
        return line

    return run


def hostile_files():
    return [pytest.param(kind, *case, id=f"{kind}: {name}") for kind, files in KINDS for name, case in files.items()]


@pytest.mark.parametrize(("kind", "content", "wanted"), hostile_files())
def test_a_hostile_file_is_refused_in_one_short_line(kind, content, wanted, tmp_path, refused):
    path = tmp_path / ("own.toml" if kind == "rules" else "own.yaml")
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    line = refused(kind, path)
    assert wanted and wanted in line
    assert len(line) < MAX_LINE_CHARS
    assert not any(char * (MAX_ECHO_CHARS + 1) in line for char in "ax9(")


EVERY = pytest.mark.parametrize("kind", ["config", "task", "policy"])


@EVERY
def test_a_folder_instead_of_a_file_is_refused(kind, tmp_path, refused):
    assert "Is a directory" in refused(kind, tmp_path)


@EVERY
def test_a_pipe_into_which_nobody_writes_is_refused(kind, tmp_path, refused):
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR)  # held open, so that reading would wait
    assert "is a pipe into which nothing was written for 1 s" in refused(kind, tmp_path / "pipe")
    os.close(writer)


@EVERY
def test_a_device_without_end_is_refused(kind, refused):
    assert "is larger than 1048576 bytes" in refused(kind, Path("/dev/zero"))


@EVERY
def test_a_name_that_is_too_long_is_refused(kind, refused):
    line = refused(kind, Path("x" * 5000))
    assert "File name too long" in line
    assert len(line) < 1500


def test_a_config_may_come_from_a_pipe(tmp_path, refused):
    os.mkfifo(tmp_path / "pipe")
    writer = os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK)
    os.write(writer, b"unit_rows: many\n")
    reader = os.open(tmp_path / "pipe", os.O_RDONLY | os.O_NONBLOCK)
    os.close(writer)
    assert ":1: unit_rows: expected an integer, got 'many'" in refused("config", Path(f"/dev/fd/{reader}"))
    os.close(reader)


def test_a_number_on_the_command_line_has_the_limits_of_a_config(capsys):
    for word in ("9" * 5000, "9" * 30):
        assert main(["filter", "--unit_rows", word, "--input", "x", "--output", "y"]) == USER_ERROR
        line = capsys.readouterr().err
        assert "--unit_rows: expected an integer" in line and len(line) < MAX_LINE_CHARS
