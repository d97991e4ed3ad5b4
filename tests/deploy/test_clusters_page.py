"""docs/clusters.md against the code: its commands parse, its table of accelerators is the code's, its paths exist."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import pytest

from jobs.beam.accelerators import ACCELERATORS
from jobs.beam.dataflow import PLAIN_MACHINE
from jobs.beam.flags import check_flags
from jobs.catalog import options_of
from jobs.options import parse

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/clusters.md").read_text(encoding="utf-8")


def codemill_commands() -> list[str]:
    blocks = re.findall(r"^```sh\n(.*?)^```", PAGE, re.M | re.S)
    lines = [line for block in blocks for line in block.replace("\\\n", " ").splitlines()]
    return [line for line in lines if line.startswith("codemill ")]


@pytest.mark.parametrize("line", codemill_commands())
def test_every_command_shown_parses(line):
    _, job, *words = shlex.split(line)
    _, beam_args = parse(options_of(job), words)
    check_flags(beam_args)


def test_the_table_of_accelerators_is_the_codes():
    rows = re.findall(r"^\| `(v\d\w+-\d)` \| (\d) \| `([\w-]+)` \| (.*) \|$", PAGE, re.M)
    assert [name for name, *_ in rows] == list(ACCELERATORS)
    defaults = ACCELERATORS["v5e-1"].environment
    for name, chips, machine, arguments in rows:
        accelerator = ACCELERATORS[name]
        assert (int(chips), machine) == (accelerator.chips, accelerator.machine_type)
        told = dict(one.split("=") for one in re.findall(r"`([^`]+)`", arguments))
        assert defaults | told == accelerator.environment


def test_the_plain_machine_is_the_codes():
    assert f"eight cores (`{PLAIN_MACHINE}`)" in PAGE


def test_every_file_named_exists():
    named = set(re.findall(r"deploy/[\w./-]+\w", PAGE))
    assert named
    for path in named:
        assert (ROOT / path).exists(), path


def test_each_recipe_of_the_table_is_a_section():
    slugs = {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in re.findall(r"^#+ (.+)$", PAGE, re.M)}
    links = re.findall(r"\]\(#([\w-]+)\)", PAGE)
    assert links and set(links) <= slugs
