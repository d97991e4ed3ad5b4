"""The examples are options of their jobs, and the changelog speaks of the version that setup.py has."""

from __future__ import annotations

import re
from pathlib import Path

import pyarrow.parquet as pq

from jobs import cli
from jobs.catalog import options_of
from jobs.options import parse

ROOT = Path(__file__).parents[1]


def test_the_example_is_a_config_of_the_job_that_it_names():
    path = ROOT / "examples/job.yaml"
    (job,) = re.findall(r"codemill (\w+) --config examples/job.yaml", path.read_text(encoding="utf-8"))
    options, beam_args = parse(options_of(job), ["--config", str(path)])
    assert options.output.startswith("out/") and beam_args == []


def test_the_example_reads_what_make_demo_leaves():
    options, _ = parse(options_of("infill"), ["--config", str(ROOT / "examples/job.yaml")])
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (demo,) = re.findall(r"^DEMO +:= (\S+)$", makefile, re.M)
    assert options.input == (f"{demo}/corpus/data",)


def test_the_example_of_a_pipeline_runs(tmp_path, monkeypatch):
    monkeypatch.chdir(ROOT)
    assert cli.main(["pipeline", "examples/pipeline.yaml", "--output", str(tmp_path)]) == 0
    kept = {step: pq.read_table(tmp_path / step / "data").num_rows for step in ("corpus", "clean", "unique", "packed")}
    assert kept["corpus"] >= kept["clean"] >= kept["unique"] > 10 and kept["packed"] > 5


def test_the_changelog_knows_the_version():
    (version,) = re.findall(r'^    version="(.+)",$', (ROOT / "setup.py").read_text(encoding="utf-8"), re.M)
    titles = re.findall(r"^## (\S+)", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.M)
    assert titles[0] == "Unreleased" and version in titles
