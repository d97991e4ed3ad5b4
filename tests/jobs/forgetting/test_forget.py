"""`codemill forget`: what is gone, what stays, what is said, and that no kill leaves anything between."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jobs.forgetting.command  # noqa: F401 - registers the failpoints
from jobs import cli
from jobs.finalize.shard_plan import ShardPlanner
from jobs.forgetting.searching import Found, search_rejected
from jobs.ledger.completed import has_pending
from jobs.ledger.lock import acquire
from jobs.storage import failpoints
from jobs.storage.folders import OutputFolder
from tests.jobs import uppercase
from transforms.corpus.rows import git_blob_id
from transforms.duplicates.known_text import Copy
from transforms.opt_out.lists import parse_opt_out
from transforms.opt_out.selection import File, FileColumns, Selection

REPOS = ["in/a", "out/a", "in/b", "Out/b"]
SECRET = "zqxjkv"  # in every text that is to be forgotten


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


def text(number: int, repo: str) -> str:
    word = SECRET if repo.lower().startswith("out/") else "plain"
    return f"def {word}_{number}(first, second):\n    total = first * {number} + second\n    return total\n"


def write_input(path: Path, rows: int = 40) -> Path:
    repos = [REPOS[number % len(REPOS)] for number in range(rows)]
    table = {
        "content": [text(number, repo) if number % 7 else None for number, repo in enumerate(repos)],
        "path": [f"src/{number}.py" for number in range(rows)],
        "repo_name": repos,
    }
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.table(table), path, row_group_size=7)
    return path


def run(job: str, source: Path, output: Path, *more: str) -> int:
    flags = ["--input", str(source), "--output", str(output)]
    return cli.main([job, *flags, *([] if job == "index" else ["--progress", "none", "--unit_rows", "5"]), *more])


@pytest.fixture
def output(tmp_path) -> Path:
    write_input(tmp_path / "in" / "a.parquet")
    assert run("filter", tmp_path / "in", tmp_path / "out", "--no-quality") == 0
    return tmp_path / "out"


def forget(*words: str | Path) -> int:
    return cli.main(["forget", *map(str, words)])


def listed(folder: Path, *lines: str) -> Path:
    path = folder / "list.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def bytes_of(output: Path) -> dict[str, bytes]:
    return {path.relative_to(output).as_posix(): path.read_bytes() for path in output.rglob("*") if path.is_file()}


def holds(output: Path, word: str) -> list[str]:
    """The files of an output that have the word, in Parquet's columns too."""
    found = []
    for path in output.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".parquet":
                data += repr(pq.read_table(path).to_pylist()).encode()
            if word.encode() in data:
                found.append(path.relative_to(output).as_posix())
    return found


def rows_of(output: Path) -> list[dict[str, Any]]:
    return uppercase.dataset(output)["data"]


def test_rows_of_a_listed_repository_are_gone_and_nothing_of_them_is_left(output, tmp_path, capsys):
    before = rows_of(output)
    assert holds(output, SECRET)
    assert forget(output, "--opt_out", listed(tmp_path, "out")) == 0
    assert "removed 17 rows and 3 rejected records in 2 files" in capsys.readouterr().err
    assert rows_of(output) == [row for row in before if row["repo_name"].startswith("in/")]
    assert holds(output, SECRET) == []
    summary = uppercase.summary(output)
    assert summary["rows"] == {
        "planned": 40, "kept": 17, "rejected": 3, "in_failed_units": 0, "output": 17, "removed": 20
    }  # fmt: skip
    assert "40 = 17 kept + 3 rejected + 0 in failed units + 20 removed" in (output / "README.md").read_text()
    report = (output / "report.html").read_text()
    assert "20 removed" in report and "Of all 17 rows." in report and "Samples of kept rows" in report


def test_removals_are_told_by_hash_only(output, tmp_path):
    assert forget(output, "--opt_out", listed(tmp_path, "out/a"), "--path", "src/2.py") == 0
    (removal,) = json.loads((output / "REMOVALS.json").read_text())
    assert removal["rows"] == {"data": 10, "rejected": 1}
    assert removal["asked"] == {
        "repositories": [hashlib.sha256(b"out/a").hexdigest()],
        "paths": [hashlib.sha256(b"src/2.py").hexdigest()],
    }
    assert forget(output, "--path", "src/3.py") == 0
    assert len(json.loads((output / "REMOVALS.json").read_text())) == 2
    published = [name for name in holds(output, "out/a") if not name.startswith("_job/")]
    assert published == []


@pytest.mark.parametrize("how", ["path", "blob", "content_hash"])
def test_a_single_file_is_found_by_path_blob_or_content(how, output, tmp_path):
    if how == "blob":  # needs the column
        table = pq.read_table(tmp_path / "in" / "a.parquet")
        blobs = [git_blob_id((content or "").encode()) for content in table["content"].to_pylist()]
        pq.write_table(table.append_column("blob_id", pa.array(blobs)), tmp_path / "in" / "a.parquet")
        shutil.rmtree(output)
        assert run("filter", tmp_path / "in", output, "--no-quality") == 0
    data = text(6, REPOS[2]).encode()
    value = {"path": "src/6.py", "blob": git_blob_id(data), "content_hash": hashlib.sha256(data).hexdigest()}[how]
    before = rows_of(output)
    assert forget(output, f"--{how}", value) == 0
    assert rows_of(output) == [row for row in before if row["path"] != "src/6.py"] and len(before) == 34


def test_a_rejected_record_goes_by_its_path(output):
    assert forget(output, "--path", "src/7.py") == 0
    assert uppercase.summary(output)["rows"]["removed"] == 1
    assert [row["path"] for row in uppercase.dataset(output)["rejected"]] == [
        f"src/{number}.py" for number in (0, 14, 21, 28, 35)
    ]


def test_a_dry_run_says_what_would_go_and_changes_nothing(output, tmp_path, capsys):
    before = bytes_of(output)
    assert forget(output, "--opt_out", listed(tmp_path, "out"), "--dry_run") == 0
    assert "would remove 17 rows and 3 rejected records in 2 files" in capsys.readouterr().err
    assert bytes_of(output) == before


def test_what_matches_nothing_changes_no_shard_and_says_so(output, capsys):
    before = bytes_of(output / "data")
    assert forget(output, "--path", "no/where.py") == 0
    assert "nothing matches" in capsys.readouterr().err
    assert bytes_of(output / "data") == before and not (output / "REMOVALS.json").exists()


def test_a_list_that_names_everything_is_refused(output, tmp_path, capsys):
    before = bytes_of(output / "data")
    assert forget(output, "--opt_out", listed(tmp_path, "out", "in")) == 2
    assert "all of its 34 rows would be removed" in capsys.readouterr().err
    assert bytes_of(output / "data") == before


def test_the_repository_of_a_record_whose_input_is_gone_is_known_by_the_lists_of_rows(output, tmp_path, capsys):
    (tmp_path / "in" / "a.parquet").unlink()
    assert forget(output, "--opt_out", listed(tmp_path, "out")) == 0
    assert "removed 17 rows and 3 rejected records" in capsys.readouterr().err
    assert [row["path"] for row in uppercase.dataset(output)["rejected"]] == ["src/0.py", "src/14.py", "src/28.py"]


def test_records_whose_input_is_gone_are_counted_and_the_exit_code_is_3(output, tmp_path, capsys):
    (tmp_path / "in" / "a.parquet").unlink()
    shutil.rmtree(output / "_job" / "rows")  # as of a job that can't grow
    assert forget(output, "--opt_out", listed(tmp_path, "out")) == 3
    told = capsys.readouterr().err
    assert "removed 17 rows and 0 rejected records" in told
    assert "6 rejected records can't be compared with the list" in told


def test_a_rejected_record_goes_by_the_blob_of_its_source(tmp_path):
    content = [text(number, "in/a") for number in range(3)] + [f"# {SECRET}\x00" * 9]
    blobs = [git_blob_id(one.encode()) for one in content]
    columns = {"content": content, "path": ["a.py", "b.py", "c.py", "d.py"], "repo_name": ["in/a"] * 4}
    columns["blob_id"] = blobs
    (tmp_path / "in").mkdir()
    pq.write_table(pa.table(columns), tmp_path / "in" / "a.parquet")
    output = tmp_path / "out"
    assert run("filter", tmp_path / "in", output) == 0
    assert [row["path"] for row in uppercase.dataset(output)["rejected"]] == ["d.py"]
    assert forget(output, "--blob", blobs[3], blobs[0]) == 0
    assert not uppercase.dataset(output)["rejected"]
    assert uppercase.summary(output)["rows"]["removed"] == 2


def test_a_blob_that_no_row_could_tell_is_refused(output, capsys):
    before = bytes_of(output)
    assert forget(output, "--blob", git_blob_id(text(1, "out/a").encode())) == 2
    assert "don't tell blobs (blob_id)" in capsys.readouterr().err
    assert bytes_of(output / "data") == {n.removeprefix("data/"): b for n, b in before.items() if n.startswith("data/")}


def test_answers_in_records_that_can_not_be_compared_are_told(tmp_path):
    record = {"uri": ["gone"], "row_group": [0], "row": [0], "content_sha256": [""], "path": ["a.py"], "answer": ["x"]}
    (tmp_path / "rejected").mkdir()
    pq.write_table(pa.table(record), tmp_path / "rejected" / "r.parquet")
    found = Found()
    selection = Selection(blobs=frozenset(["0" * 40]), opt_out=parse_opt_out([("list", b"out")]))
    search_rejected(OutputFolder(str(tmp_path)), ["rejected/r.parquet"], selection, found, (), FileColumns())
    assert (found.unknown, found.unknown_answers) == (1, 1)


@pytest.mark.parametrize(
    "selection",
    [
        Selection(opt_out=parse_opt_out([("list", b"out/b")])),
        Selection(paths=frozenset(["lib/b c.py"])),
        Selection(files=frozenset([File(("Out/b",), "lib/b c.py", "ab")])),
    ],
)
def test_records_of_answers_that_repeat_a_file_go_with_it(selection, tmp_path):
    detail = Copy("lib/b c.py", "out/b", ("MIT", "X (or Y)"), "ab", 24).told()
    record = {"uri": ["a"] * 3, "row_group": [0] * 3, "row": [0, 1, 2], "content_sha256": ["cd"] * 3}
    record |= {"path": ["a.py"] * 3, "answer": ["x"] * 3, "detail": [detail, detail, "24 tokens of in/c a.py (MIT)"]}
    record["reason"] = ["verbatim_copy", "other", "verbatim_copy"]
    (tmp_path / "rejected").mkdir()
    pq.write_table(pa.table(record), tmp_path / "rejected" / "r.parquet")
    found = Found()
    search_rejected(OutputFolder(str(tmp_path)), ["rejected/r.parquet"], selection, found, (), FileColumns())
    assert found.gone["rejected/r.parquet"].tolist() == [True, False, False] and not found.listed[1]


def test_an_output_that_is_locked_incomplete_or_none_is_refused(output, tmp_path, capsys):
    with acquire(OutputFolder(str(output)).job):
        assert forget(output, "--path", "src/1.py") == 2
        assert "is being written by process" in capsys.readouterr().err
    (output / "COMPLETED").unlink()
    assert forget(output, "--path", "src/1.py") == 2
    assert "is not the complete output of a job" in capsys.readouterr().err
    assert forget(tmp_path / "in", "--path", "src/1.py") == 2
    assert "is no output of codemill" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["summary.json", "data/train-00000-of-00001.parquet"])
def test_an_output_that_lacks_a_file_is_refused(name, output, capsys):
    (output / name).unlink()
    before = bytes_of(output / "data")
    assert forget(output, "--path", "src/1.py") == 2
    assert f"lacks {name}; run the job's own command again first" in capsys.readouterr().err
    assert bytes_of(output / "data") == before and (output / "COMPLETED").exists()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        ([], "nothing to forget; pass --opt_out, --path, --blob or --content_hash"),
        (["--blob", "12ab"], "--blob '12ab' is no hash; pass git's SHA-1 of a file, 40 hexadecimal digits"),
        (["--content_hash", "x" * 64], "is no hash; pass the SHA-256 of a content, 64 hexadecimal digits"),
    ],
)
def test_what_names_nothing_is_refused(output, capsys, words, said):
    assert forget(output, *words) == 2
    assert said in capsys.readouterr().err


# --- afterward -------------------------------------------------------------------------------------


def test_the_job_is_complete_afterward_and_another_shard_size_has_the_rows_that_are_left(output, tmp_path, capsys):
    assert forget(output, "--opt_out", listed(tmp_path, "out")) == 0
    before = uppercase.dataset(output)
    more = ("--no-quality", "--shard_mb", "7")
    assert run("filter", tmp_path / "in", output, "--no-quality") == 0
    assert "nothing to do" in capsys.readouterr().err
    assert run("filter", tmp_path / "in", output, *more) == 0
    assert uppercase.dataset(output) == before
    assert uppercase.summary(output)["rows"]["removed"] == 20


def test_units_that_run_again_bring_nothing_back(output, tmp_path):
    assert forget(output, "--opt_out", listed(tmp_path, "out/a"), "--path", "src/2.py") == 0
    before = uppercase.dataset(output)
    shutil.rmtree(output / "data")
    (output / "COMPLETED").unlink()
    assert run("filter", tmp_path / "in", output, "--no-quality") == 0
    assert uppercase.dataset(output) == before
    assert uppercase.summary(output)["rows"]["removed"] == 11


@pytest.mark.parametrize("more", [("--shard_mb", "7"), ("--grow",)])
def test_a_removal_that_is_killed_while_a_job_waits_for_the_lock_is_not_undone(
    more, output, tmp_path, capsys, monkeypatch
):
    monkeypatch.setattr("jobs.finalize.rewriting._apply", lambda *args: None)
    assert forget(output, "--path", "src/1.py") == 0  # decided, and as if killed then
    monkeypatch.undo()
    write_input(tmp_path / "in" / "b.parquet", rows=1)
    answers = iter([False])  # the job looks before it is decided
    monkeypatch.setattr("jobs.driver.driver.has_pending", lambda folder: next(answers, True) and has_pending(folder))
    command = ("filter", tmp_path / "in", output, "--no-quality", "--grow", *more)
    assert run(*command) == 2
    assert "codemill forget was interrupted" in capsys.readouterr().err
    monkeypatch.undo()
    assert run(*command) == 0
    assert "src/1.py" not in [row["path"] for row in rows_of(output)]


def test_forgetting_twice_is_forgetting_both_at_once(output, tmp_path):
    other = tmp_path / "other"
    shutil.copytree(output, other)
    assert forget(output, "--opt_out", listed(tmp_path, "out/a")) == 0
    assert forget(output, "--path", "src/2.py", "src/7.py") == 0
    assert forget(other, "--opt_out", listed(tmp_path, "out/a"), "--path", "src/2.py", "src/7.py") == 0
    assert uppercase.dataset(output) == uppercase.dataset(other)
    assert uppercase.summary(output)["rows"] == uppercase.summary(other)["rows"]


def test_a_shard_all_of_whose_rows_go_is_removed_and_the_others_keep_their_names(output, tmp_path, monkeypatch):
    monkeypatch.setattr("jobs.finalize.finalize.ShardPlanner", lambda size: ShardPlanner(12_000))
    assert run("filter", tmp_path / "in", output, "--no-quality", "--shard_mb", "7") == 0
    shards = sorted((output / "data").iterdir())
    paths = pq.read_table(shards[1])["path"].to_pylist()
    before, others = rows_of(output), {path.name: path.read_bytes() for path in shards if path != shards[1]}
    assert len(shards) > 2 and forget(output, "--path", *paths) == 0
    assert {path.name: path.read_bytes() for path in (output / "data").iterdir()} == others
    left = [row for row in before if row["path"] not in paths]
    assert rows_of(output) == left
    assert uppercase.summary(output)["shards"]["data"]["files"] == len(others)
    assert run("filter", tmp_path / "in", output, "--no-quality", "--shard_mb", "7") == 0  # complete
    (output / "README.md").unlink()
    assert run("filter", tmp_path / "in", output, "--no-quality", "--shard_mb", "7") == 0  # finalized again
    assert rows_of(output) == left and len(list((output / "data").iterdir())) == len(others)
    monkeypatch.setattr("jobs.finalize.finalize.ShardPlanner", ShardPlanner)
    assert run("filter", tmp_path / "in", output, "--no-quality", "--shard_mb", "8") == 0
    assert rows_of(output) == left and uppercase.summary(output)["rows"]["removed"] == len(paths)


# --- kills -----------------------------------------------------------------------------------------

KILLED = [*failpoints.names("rewrite."), "storage.create_after_temp", "storage.create_after_link"]


@pytest.fixture(scope="module")
def whole(tmp_path_factory) -> Iterator[tuple[Path, Path]]:
    """An output, and the same after a removal that nothing interrupted."""
    folder = tmp_path_factory.mktemp("whole")
    write_input(folder / "in" / "a.parquet")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
        patch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)
        assert run("filter", folder / "in", folder / "out", "--no-quality") == 0
        shutil.copytree(folder / "out", folder / "after")
        assert forget(folder / "after", "--opt_out", listed(folder, "out")) == 0
    yield folder / "out", folder / "after"


@pytest.mark.parametrize("by", ["forget", "filter"])
@pytest.mark.parametrize("name", KILLED)
def test_killed_anywhere_the_removal_is_done_or_not_begun(name, by, whole, tmp_path, forker):
    before, after = whole
    output = tmp_path / "out"
    shutil.copytree(before, output)
    words = ["forget", str(output), "--opt_out", str(listed(tmp_path, "out"))]
    assert os.WTERMSIG(forker.run(words, f"{name}=kill", is_command=True)) == signal.SIGKILL
    shards = [uppercase.dataset(folder)["data"] for folder in (before, output, after)]
    assert shards[1] in (shards[0], shards[2])
    if by == "forget":
        assert cli.main(words) == 0
        assert uppercase.dataset(output) == uppercase.dataset(after)
        assert uppercase.summary(output)["rows"] == uppercase.summary(after)["rows"]
        assert holds(output, SECRET) == [] and len(json.loads((output / "REMOVALS.json").read_text())) == 1
    else:  # the job itself finishes what is decided
        assert run("filter", before.parent / "in", output, "--no-quality") == 0
        left = uppercase.dataset(output)
        assert left in (uppercase.dataset(before), uppercase.dataset(after))
    assert (output / "COMPLETED").exists() and not list((output / "_job").glob("rewrites/*.json"))


@pytest.mark.parametrize("name", ["rewrite.inside_shard", "rewrite.inside_shard:2"])
def test_a_full_disk_in_the_middle_changes_nothing_and_the_same_command_goes_on(name, whole, tmp_path, forker):
    before, after = whole
    output = tmp_path / "out"
    shutil.copytree(before, output)
    words = ["forget", str(output), "--opt_out", str(listed(tmp_path, "out"))]
    shards = bytes_of(output / "data")
    assert os.waitstatus_to_exitcode(forker.run(words, f"{name}=enospc", is_command=True)) == 2
    assert bytes_of(output / "data") == shards and (output / "COMPLETED").exists()
    assert not list((output / "_job" / "rewrites").rglob("*.parquet"))
    assert cli.main(words) == 0
    assert uppercase.dataset(output) == uppercase.dataset(after)


def test_the_notice_names_no_repository_of_which_no_row_is_left(tmp_path):
    for name in ("kept", "gone"):
        (tmp_path / "src" / name).mkdir(parents=True)
        for number in range(3):
            (tmp_path / "src" / name / f"{number}.py").write_text(f"# Copyright 2020 {name} authors\nx = {number}\n")
    corpus, clean = tmp_path / "corpus", tmp_path / "clean"
    sources = [str(tmp_path / "src" / name) for name in ("kept", "gone")]
    assert cli.main(["corpus", *sources, "--output", str(corpus), "--progress", "none"]) == 0
    assert run("filter", corpus / "data", clean, "--no-quality") == 0
    for output in (corpus, clean):
        assert pq.read_table(output / "NOTICE.parquet")["repo_name"].to_pylist() == ["gone", "kept"]
        assert forget(output, "--opt_out", listed(tmp_path, "gone")) == 0
        notice = pq.read_table(output / "NOTICE.parquet").to_pylist()
        assert [(row["repo_name"], row["rows"]) for row in notice] == [("kept", 3)]
        assert holds(output, "gone authors") == []
    assert json.loads((corpus / "summary.json").read_text())["repositories"] == 1
