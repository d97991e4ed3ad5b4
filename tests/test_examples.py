"""The examples are options of their jobs, and the changelog speaks of the version that setup.py has."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pyarrow.parquet as pq
import pytest

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


def pipelines() -> list[str]:
    """The names of all examples that are pipelines."""
    found = (path for path in (ROOT / "examples").glob("*.yaml") if "\nsteps:\n" in path.read_text(encoding="utf-8"))
    return sorted(path.name for path in found)


@pytest.fixture(scope="module")
def ran(tmp_path_factory) -> dict[str, Path]:
    """The folder that each example of a pipeline has written."""
    folders = {}
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(ROOT)
        for name in pipelines():
            folders[name] = tmp_path_factory.mktemp("pipeline")
            assert cli.main(["pipeline", f"examples/{name}", "--output", str(folders[name])]) == 0
    return folders


def test_all_examples_of_pipelines_run(ran):
    assert list(ran) == ["pipeline.yaml", "pipeline_fused.yaml"]
    out = ran["pipeline.yaml"]
    kept = {step: pq.read_table(out / step / "data").num_rows for step in ("corpus", "clean", "unique", "packed")}
    assert kept["corpus"] >= kept["clean"] >= kept["unique"] > 10 and kept["packed"] > 5


def test_the_fused_example_writes_no_copy_of_the_text_and_reckons_all_rows_up(ran):
    out = ran["pipeline_fused.yaml"]
    assert sorted(folder.name for folder in out.iterdir()) == ["corpus", "filled"]
    summary = json.loads((out / "filled" / "summary.json").read_text())
    rows, (clean, unique) = summary["rows"], summary["fused_steps"]
    assert rows["planned"] == clean["rows"]["in"] == 8 and unique["rows"]["in"] == clean["rows"]["kept"]
    assert rows["kept"] + rows["rejected"] == 8 and unique["rows"]["kept"] >= rows["kept"]
