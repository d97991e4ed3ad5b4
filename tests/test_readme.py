"""Checks the README against the code: the commands, jobs and flags that it names exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from jobs.catalog import JOBS, options_of
from jobs.options import parse

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
HEAD = "\n".join(README.splitlines()[:40])
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")
TARGETS = set(re.findall(r"^([a-z][a-z-]*):", MAKEFILE, re.M))


def shell_lines() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", README, re.M | re.S)
    return [line for block in blocks for line in block.splitlines() if line]


def test_the_first_forty_lines_hold_the_two_commands_and_every_job_with_its_line():
    assert "make demo" in HEAD and "make test" in HEAD
    table = dict(re.findall(r"^\| `codemill (\w+)` \| (.+) \|$", HEAD, re.M))
    assert table == JOBS


def test_every_make_target_named_exists():
    named = set(re.findall(r"\bmake ([a-z-]+)", README))
    assert named and named <= TARGETS


@pytest.mark.parametrize("line", [line for line in shell_lines() if line.startswith("codemill ")])
def test_every_command_shown_parses(line):
    _, name, *words = shlex.split(line)
    parse(options_of(name), words)


@pytest.mark.parametrize("line", re.findall(r"\$\(BIN\)/codemill ((?:.*\\\n)*.*)", MAKEFILE))
def test_every_command_of_the_makefile_parses(line):
    name, *words = shlex.split(line.replace("\\\n", " "))
    parse(options_of(name), words)


def test_every_flag_named_is_one_of_some_job():
    fields = {"config"}
    for name in JOBS:
        fields |= set(options_of(name).__dataclass_fields__)
    named = set(re.findall(r"`--([a-z_]+)", README))
    assert named and named <= fields


def test_every_path_named_exists():
    for path in re.findall(r"`((?:docs|model|jobs|transforms|tests|benchmarks)/[\w./]*)`", README):
        assert (ROOT / path).exists(), path


def test_ci_calls_the_readmes_own_commands():
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")
    assert re.findall(r"^step make (\w+)$", script, re.M) == ["demo", "check", "toolchains", "test"]
