"""`codemill pipeline`: steps in order, resumed, chosen, and stopped by what must stop them."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from jobs import cli
from tests.jobs import uppercase
from transforms.rows.row import content_sha256

ROOT = Path(__file__).parents[3]
STEPS = """\
output: {out}
common: {{progress: none, workers: 1}}
steps:
  corpus: {{source: [{src}]}}
  clean: {{job: filter, input: corpus, min_yield: {least}}}
  unique: {{job: dedup, input: clean}}
"""


@pytest.fixture
def pipeline(tmp_path) -> Path:
    (tmp_path / "src").mkdir()
    for number in range(3):
        (tmp_path / "src" / f"{number}.py").write_text(f"def f{number}(a):\n    return a + {number} * {number}\n")
    (tmp_path / "p.yaml").write_text(STEPS.format(out=tmp_path / "out", src=tmp_path / "src", least=0.5))
    return tmp_path / "p.yaml"


def run(pipeline: Path, *more: str) -> int:
    return cli.main(["pipeline", str(pipeline), *more])


def rows(pipeline: Path, step: str) -> int:
    return pq.read_table(pipeline.parent / "out" / step / "data").num_rows


def test_steps_run_in_order_and_the_same_command_finds_them_complete(pipeline, capsys):
    assert run(pipeline, "--dry_run") == 0
    told = capsys.readouterr().err
    assert "clean: codemill filter -> " in told and ": new, reads corpus" in told
    assert "unique: can be planned once clean is complete" in told
    assert not (pipeline.parent / "out").exists()
    assert run(pipeline) == 0
    assert [rows(pipeline, step) for step in ("corpus", "clean", "unique")] == [3, 3, 3]
    capsys.readouterr()
    assert run(pipeline) == 0
    assert capsys.readouterr().err.count("nothing to do") == 2
    assert run(pipeline, "--dry_run") == 0
    assert capsys.readouterr().err.count(": complete") == 3


def test_steps_can_be_chosen_if_what_they_read_is_there(pipeline, capsys):
    assert run(pipeline, "--from_step", "unique") == 2
    assert "step unique reads the output of clean, which is not complete" in capsys.readouterr().err
    assert run(pipeline, "--only", "corpus", "clean") == 0
    assert not (pipeline.parent / "out" / "unique").exists()
    assert run(pipeline, "--from_step", "unique") == 0 and rows(pipeline, "unique") == 3
    assert run(pipeline, "--only", "unik") == 2
    assert "no step is called unik; the steps are corpus, clean, unique" in capsys.readouterr().err


def test_a_yield_that_is_too_low_stops_and_news_of_the_input_do_not(pipeline, capsys):
    text = pipeline.read_text()
    (pipeline.parent / "src" / "long.py").write_text("x = 1  # " + "word " * 400 + "\n")
    pipeline.write_text(text.replace("0.5", "0.9"))
    assert run(pipeline) == 5
    assert "stopped: step clean ended with exit code 5; left: unique" in capsys.readouterr().err
    pipeline.write_text(text)
    assert run(pipeline) == 0 and rows(pipeline, "unique") == 3
    data = pipeline.parent / "out" / "corpus" / "data"
    pq.write_table(pq.read_table(data).slice(1), next(data.iterdir()))
    assert run(pipeline) == 4
    # To the corpus, the file whose row is lost is new.
    assert "with their exit codes: corpus 4, clean 4, unique 0" in capsys.readouterr().err


def test_an_index_is_found_complete_as_other_steps_are(pipeline, capsys):
    pipeline.write_text(pipeline.read_text() + "  known: {job: index, input: unique}\n")
    assert run(pipeline) == run(pipeline) == 0
    assert "known is complete already" in capsys.readouterr().out


def test_a_step_that_stops_before_its_end_ends_the_pipeline(pipeline, monkeypatch, capsys):
    monkeypatch.setattr("jobs.pipelines.running.run_options", lambda job, options: 0)  # as train --stop_after_s
    assert run(pipeline) == 3
    assert "step corpus is not complete yet; the same command goes on with it" in capsys.readouterr().err


def test_nothing_can_follow_two_dashes(pipeline, capsys):
    assert run(pipeline, "--", "--runner", "FlinkRunner") == 2
    assert "nothing can follow --" in capsys.readouterr().err


def test_a_signal_stops_the_pipeline_with_the_steps_line_and_it_resumes(pipeline):
    big = "".join(f"def g{i}(a, b):\n    return a * {i} + b - {i * 7}\n\n\n" for i in range(20_000))
    (pipeline.parent / "src" / "big.py").write_text(big)
    command = [sys.executable, "-m", "jobs", "pipeline", str(pipeline)]
    with subprocess.Popen(command, cwd=ROOT, stderr=subprocess.PIPE, text=True) as started:
        while "step 2 of 3" not in (line := started.stderr.readline()):
            assert line
        time.sleep(0.3)
        started.send_signal(signal.SIGTERM)
        told = started.stderr.read()
    if started.returncode:  # it may have been done already
        assert started.returncode == 143 and "Traceback" not in told
        assert "the same command resumes" in told or "terminated" in told
    assert run(pipeline) == 0
    assert rows(pipeline, "unique") == uppercase.summary(pipeline.parent / "out" / "unique")["rows"]["kept"]


def test_all_steps_that_can_grow_take_in_what_is_new(pipeline):
    assert run(pipeline) == 0
    first = (pipeline.parent / "src" / "0.py").read_text()
    (pipeline.parent / "src" / "copy.py").write_text(first)
    (pipeline.parent / "src" / "new.py").write_text("def new(a, b):\n    return [a, b, a, b]\n")
    assert run(pipeline) == 4
    assert run(pipeline, "--grow") == 0
    assert [rows(pipeline, step) for step in ("corpus", "clean", "unique")] == [5, 5, 4]
    assert run(pipeline) == run(pipeline, "--grow") == 0


def test_packed_rows_grow_with_the_steps_before_them(pipeline):
    more = "policy: none, context_length: 256, grow: true, drop_gone: true"
    pipeline.write_text(f"{pipeline.read_text()}  packed: {{job: pack, input: unique, {more}}}\n")
    assert run(pipeline, "--grow") == 0
    source = pipeline.parent / "src"
    (source / "new.py").write_text("def new(a, b):\n    return [a, b, a, b]\n")
    (source / "copy.py").write_text((source / "0.py").read_text())
    (source / "1.py").write_text("def other(a):\n    return {a: [a, a]}\n")
    assert run(pipeline) == 4
    assert run(pipeline, "--grow") == 0
    packed = pq.read_table(pipeline.parent / "out" / "packed" / "data").to_pylist()
    parts = sorted((part["path"], part["content_sha256"]) for one in packed for part in one["parts"])
    kept = pq.read_table(pipeline.parent / "out" / "unique" / "data").to_pylist()
    assert parts == sorted((one["path"], content_sha256(one["content"])) for one in kept) and len(parts) == 4
    assert run(pipeline) == run(pipeline, "--grow") == 0


def test_every_line_and_summary_of_a_run_has_its_name(pipeline, capsys, monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    assert run(pipeline, "--run_id", "night-7", "--log_format", "json") == 0
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert {line["run_id"] for line in lines} == {"night-7"}
    assert {line["job"] for line in lines} == {"pipeline", "corpus", "filter", "dedup"}
    assert [line["event"] for line in lines].count("end") == 3
    for step in ("clean", "unique"):
        assert uppercase.summary(pipeline.parent / "out" / step)["run_id"] == "night-7"
    text = pipeline.read_text()
    pipeline.write_text(text.replace("output:", "#").replace("steps:", f"output: {pipeline.parent}/new\nsteps:"))
    assert run(pipeline, "--only", "corpus", "clean") == 0
    assert uppercase.summary(pipeline.parent / "new" / "clean")["run_id"] not in ("", "night-7")


def test_steps_are_runs_of_their_own_in_a_catalog_started_by_the_pipelines(pipeline, monkeypatch):
    pytest.importorskip("openlineage.client", reason="the extra openlineage is not installed")
    path = pipeline.parent / "events.json"
    for name, value in {"TYPE": "file", "LOG_FILE_PATH": str(path), "APPEND": "true"}.items():
        monkeypatch.setenv(f"OPENLINEAGE__TRANSPORT__{name}", value)
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    pipeline.write_text(pipeline.read_text().replace("workers: 1", "workers: 1, openlineage: true"))
    assert run(pipeline, "--run_id", "night-7", "--only", "corpus", "clean") == 0
    assert run(pipeline, "--run_id", "night-7", "--only", "unique") == 0
    events = [json.loads(line)["run"] for line in path.read_text().splitlines()]
    assert len({event["runId"] for event in events}) == len(events) / 2 >= 2
    assert len({json.dumps(event["facets"]["parent"], sort_keys=True) for event in events}) == 1
