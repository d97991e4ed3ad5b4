"""How a job ends, for what has started it: exit codes, the summary, a yield that is too low."""

from __future__ import annotations

import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from tests.jobs import uppercase


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


@pytest.fixture
def corpus(tmp_path) -> Path:
    texts = ["def f(a):\n    return a\n", "", "", ""]
    pq.write_table(pa.table({"content": texts, "repo_name": ["a/b"] * 4}), tmp_path / "in.parquet")
    return tmp_path / "in.parquet"


def run(corpus: Path, *more: str) -> int:
    argv = ["filter", "--input", str(corpus), "--output", str(corpus.parent / "out"), "--progress", "none"]
    return cli.main([*argv, *more])


def codes(corpus: Path) -> list[int]:
    return json.loads((corpus.parent / "out" / "summary.json").read_text())["exit_codes"]


def test_a_yield_that_is_too_low_ends_with_5_and_names_the_reason(corpus, capsys):
    assert run(corpus, "--min_yield", "0.26") == 5
    told = "--min_yield 0.26: 1 of 4 rows kept (25.00%); most often empty_content (3 rows)"
    assert told in capsys.readouterr().err and codes(corpus) == [5]
    assert run(corpus, "--min_yield", "0.25") == 0
    assert codes(corpus) == []


def test_the_first_of_several_exit_codes_is_returned_and_the_summary_lists_all(corpus):
    (corpus.parent / "list.txt").write_text("no/where\n")
    more = ("--opt_out", str(corpus.parent / "list.txt"), "--min_yield", "0.9")
    assert run(corpus, *more) == 5
    pq.write_table(pa.table({"content": ["x = 1\n"], "repo_name": ["a/b"]}), corpus)
    assert run(corpus, *more) == 5 and codes(corpus) == [5, 4]
    assert run(corpus, *more, "--strict_opt_out") == 2 and codes(corpus) == [2, 5, 4]
    assert run(corpus, *more[:2], "--input_frozen") == 0 and codes(corpus) == []


def test_an_output_without_rows_always_warns(corpus, capsys):
    pq.write_table(pa.table({"content": ["", ""]}), corpus)
    assert run(corpus) == 0
    assert "warning: 0 of 2 rows kept (0.00%); most often empty_content (2 rows)" in capsys.readouterr().err


def test_the_summary_is_printed_alone_or_written_beside_the_output(corpus, capsys):
    assert run(corpus, "--summary", "-") == 0
    printed = json.loads(capsys.readouterr().out)
    assert printed["rows"]["kept"] == 1 and printed["exit_codes"] == []
    assert run(corpus, "--summary", str(corpus.parent / "told.json")) == 0
    told = json.loads((corpus.parent / "told.json").read_text())
    assert told.pop("run_id") != printed.pop("run_id"), "each copy is of its run"
    assert told == printed
    assert "rows: 4 = 1 kept" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("path", "why"),
    [
        ("absent/told.json", "there is no folder"),
        (".", "pass a file in a folder"),
        ("gs://bucket/told.json", "is a URL"),
        ("/proc/told.json", "No such file"),  # only seen when it is written
    ],
)
def test_a_summary_that_cannot_be_written_is_one_line_with_code_2(corpus, capsys, monkeypatch, path, why):
    monkeypatch.chdir(corpus.parent)
    monkeypatch.setattr("jobs.cli._check_reachable", lambda options: None)
    assert run(corpus, "--summary", path) == 2
    told = capsys.readouterr().err
    assert f"error: --summary {path} " in told and why in told and "Traceback" not in told
    assert (corpus.parent / "out").exists() == path.startswith("/proc") and not (corpus.parent / "absent").exists()


def test_a_complete_output_of_an_earlier_version_is_not_written_again(corpus):
    assert run(corpus) == 0
    path = corpus.parent / "out" / "summary.json"
    summary = json.loads(path.read_text())
    assert summary.pop("exit_codes") == []
    path.write_text(json.dumps(summary))
    before = path.stat().st_mtime_ns, path.read_bytes()
    assert run(corpus) == 0
    assert (path.stat().st_mtime_ns, path.read_bytes()) == before


def test_a_complete_output_that_can_only_be_read_keeps_its_exit_code(corpus, monkeypatch, capsys):
    assert run(corpus) == 0
    pq.write_table(pa.table({"content": ["x = 1\n"], "repo_name": ["a/b"]}), corpus)

    def refuse(path, data, **more):
        raise PermissionError(13, "Permission denied", path)

    monkeypatch.setattr("jobs.storage.write_bytes", refuse)
    capsys.readouterr()
    assert run(corpus, "--summary", "-") == 4
    told = capsys.readouterr()
    assert json.loads(told.out)["exit_codes"] == [4] and "the exit codes in it are not those of this run" in told.err
