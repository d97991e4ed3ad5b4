"""Opt-out lists in the jobs that read a corpus: nobody's rows stay because an entry was silently not understood."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from jobs import cli
from tests.jobs import uppercase

REPOS = ["in/a", "out/a", "Out/b", "in/b", "", "gone/x"]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


@pytest.fixture
def corpus(tmp_path) -> Path:
    texts = [f"def f{i}(a):\n    return a + {i} * {i}\n" for i in range(len(REPOS))]
    rows = {"content": texts, "path": [f"{i}.py" for i in range(len(REPOS))], "repo_name": REPOS}
    pq.write_table(pa.table(rows), tmp_path / "in.parquet", row_group_size=2)
    return tmp_path / "in.parquet"


def run(job: str, corpus: Path, output: Path, entries: str, *more: str) -> int:
    (output.parent / "list.txt").write_text(entries)
    flags = ["--input", str(corpus), "--output", str(output), "--opt_out", str(output.parent / "list.txt")]
    return cli.main([job, *flags, *([] if job == "index" else ["--progress", "none"]), *more])


def repositories(output: Path) -> list[str]:
    return [row["repo_name"] for row in uppercase.dataset(output)["data"]]


@pytest.mark.parametrize("job", ["filter", "dedup"])
def test_rows_of_listed_repositories_are_rejected_and_counted_by_entry(job, corpus, tmp_path, capsys):
    assert run(job, corpus, tmp_path / "out", "https://github.com/out\nGONE/x.git\nno/where\n") == 0
    assert repositories(tmp_path / "out") == ["in/a", "in/b", ""]
    rejected = uppercase.dataset(tmp_path / "out")["rejected"]
    assert [(r["row_group"], r["row"], r["stage"], r["reason"]) for r in rejected] == [
        (0, 1, "opt_out", "repository_opted_out"),
        (1, 0, "opt_out", "repository_opted_out"),
        (2, 1, "opt_out", "repository_opted_out"),
    ]
    told = capsys.readouterr().err
    assert "opt-out: 3 rows left out by 3 entries" in told
    assert "1 of 3 entries matched nothing: no/where" in told
    assert "1 row without a repository, which no entry can match" in told
    matches = json.loads((tmp_path / "out" / "_job" / "opt_out.json").read_text())
    assert matches == {"github.com/out/*": 2, "gone/x": 1}
    for name in ("summary.json", "README.md", "report.html"):  # these are published
        assert "gone/x" not in (tmp_path / "out" / name).read_text()


def test_strict_lists_end_with_2_each_time_and_keep_the_rows(corpus, tmp_path, capsys):
    for _ in range(2):
        assert run("filter", corpus, tmp_path / "out", "out\nno/where\n", "--strict_opt_out") == 2
        assert "matched nothing: no/where" in capsys.readouterr().err
    assert repositories(tmp_path / "out") == ["in/a", "in/b", "", "gone/x"]
    assert run("filter", corpus, tmp_path / "other", "out\n", "--strict_opt_out") == 0


def test_other_entries_are_refused_on_the_same_output_and_other_spellings_are_not(corpus, tmp_path, capsys):
    assert run("filter", corpus, tmp_path / "out", "out/a\n") == 0
    assert run("filter", corpus, tmp_path / "out", "# those who asked\nhttps://github.com/out/a\n") == 2
    assert "the entries of --opt_out changed" in capsys.readouterr().err  # one host is less than all
    assert run("filter", corpus, tmp_path / "out", "# those who asked\n'Out/A.git'\n") == 0
    assert run("filter", corpus, tmp_path / "out", "out/a\nin/a\n") == 2
    assert "the entries of --opt_out changed" in capsys.readouterr().err


@pytest.mark.parametrize("job", ["filter", "dedup", "index"])
def test_an_input_without_repositories_and_a_list_with_other_lines_are_refused(job, corpus, tmp_path, capsys):
    assert run(job, corpus, tmp_path / "out", "out/a\nnot a repository\n") == 2
    assert "line 2: 'not a repository' is no repository" in capsys.readouterr().err
    pq.write_table(pq.read_table(corpus).drop(["repo_name"]), corpus)
    assert run(job, corpus, tmp_path / "out", "out/a\n") == 2
    assert "no column of the input says which repository" in capsys.readouterr().err
    assert not (tmp_path / "out").exists() or not list((tmp_path / "out").rglob("*.parquet"))


def test_a_copy_of_what_has_opted_out_is_nobodys_duplicate(tmp_path):
    text = "def add(first, second):\n    total = first + second\n    return total\n" * 3
    rows = {"content": [text, text], "path": ["a.py", "b.py"], "repo_name": ["out/a", "in/a"]}
    pq.write_table(pa.table(rows), tmp_path / "in.parquet")
    assert run("dedup", tmp_path / "in.parquet", tmp_path / "out", "out\n") == 0
    assert repositories(tmp_path / "out") == ["in/a"]


def test_an_index_holds_nothing_of_what_has_opted_out(corpus, tmp_path, capsys):
    assert run("index", corpus, tmp_path / "out", "out\ngone\n") == 0
    told = capsys.readouterr()
    assert "3 files of 6 rows" in told.out and "opt-out: 3 rows left out by 2 entries" in told.err


def test_packing_leaves_them_out_and_so_does_filtering_packed_rows(tmp_path):
    repos = [name for name in REPOS if name]
    texts = [f"def f{i}(a):\n    return a + {i} * {i}\n" * 20 for i in range(len(repos))]
    rows = {"content": texts, "path": [f"{i}.py" for i in range(len(repos))], "repo_name": repos}
    pq.write_table(pa.table(rows), tmp_path / "in.parquet")

    def packed(output: Path) -> set[str]:
        return {part["repo_name"] for row in uppercase.dataset(output)["data"] for part in row["parts"]}

    assert run("pack", tmp_path / "in.parquet", tmp_path / "out", "out\n", "--context_length", "128") == 0
    assert packed(tmp_path / "out") == {"in/a", "in/b", "gone/x"}
    more = ("--content_column", "text", "--no-quality")
    assert run("filter", tmp_path / "out" / "data", tmp_path / "again", "gone/x\n", *more) == 0
    assert "gone/x" not in packed(tmp_path / "again")


def test_a_corpus_rejects_the_files_of_a_source_that_has_opted_out(tmp_path, capsys):
    for name in ("one", "two"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "a.py").write_text(f"{name} = 1\n")
    (tmp_path / "list.txt").write_text("two\nthree/x\n")
    sources = [str(tmp_path / name) for name in ("one", "two")]
    argv = ["corpus", *sources, "--output", str(tmp_path / "out"), "--opt_out", str(tmp_path / "list.txt")]
    assert cli.main(argv) == 0
    told = capsys.readouterr()
    assert "2 files seen = 1 kept + 1 rejected (1 repository_opted_out)" in told.out
    assert "opt-out: 1 row left out by 2 entries" in told.err and "matched nothing: three/x" in told.err
    assert cli.main([*argv, "--strict_opt_out"]) == 2
    assert repositories(tmp_path / "out") == ["one"]


def test_a_list_that_is_a_pipe_or_absent_is_refused(corpus, tmp_path, capsys):
    os.mkfifo(tmp_path / "pipe")
    for path in ("pipe", "absent", "."):
        argv = ["filter", "--input", str(corpus), "--output", str(tmp_path / "out"), "--opt_out", str(tmp_path / path)]
        assert cli.main(argv) == 2
        assert "can't be read: not a file; name a file that is there" in capsys.readouterr().err


def test_an_index_reads_cells_of_several_repositories_as_other_jobs_do(tmp_path, capsys):
    for number, repos in enumerate((["in/a,out/a", "in/b", None], [["in/a", "out/a"], ["in/b"], None])):
        texts = [f"def f{i}(a):\n    return a + {i} * {i}\n" for i in range(3)]
        pq.write_table(pa.table({"content": texts, "repo_name": repos}), tmp_path / f"{number}.parquet")
        assert run("index", tmp_path / f"{number}.parquet", tmp_path / f"out{number}", "out\n") == 0
        told = capsys.readouterr()
        assert "2 files of 3 rows" in told.out and "1 row left out by 1 entry" in told.err
        assert "1 row without a repository" in told.err


def test_the_same_index_again_is_complete_and_another_one_is_refused(corpus, tmp_path, capsys):
    assert run("index", corpus, tmp_path / "out", "out\nno/where\n", "--strict_opt_out") == 2
    assert run("index", corpus, tmp_path / "out", "no/where\nout/*\n", "--strict_opt_out") == 2
    told = capsys.readouterr()
    assert "is complete already" in told.out and "error: --strict_opt_out: 1 entry matched nothing" in told.err
    assert run("index", corpus, tmp_path / "other", "out\n") == 0
    assert run("index", corpus, tmp_path / "other", "in\n") == 2
    assert "was made with other options: the entries of --opt_out changed" in capsys.readouterr().err
    pq.write_table(pq.read_table(corpus).slice(1), corpus)
    assert run("index", corpus, tmp_path / "other", "out\n") == 4
    assert "1 has changed since this job was planned; none of it is in" in capsys.readouterr().err
