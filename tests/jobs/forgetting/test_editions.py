"""`codemill forget` in a dataset of several editions: all of them lose the rows, and later ones never get them back."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import signal
from collections import Counter
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jobs.forgetting.command
import jobs.forgetting.retention  # noqa: F401 - registers the failpoints
from jobs import cli
from jobs.storage import failpoints
from tests.jobs import uppercase

SECRET = "zqxjkv"  # in every text that is to be forgotten
POINTS = failpoints.names("rewrite.")
FLAGS = ["--policy", "none", "--no-decontaminate", "--no-quality", "--progress", "none", "--unit_rows", "3"]


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)
    monkeypatch.setattr("jobs.driver.runners.LocalRunner.read_footers", lambda self, files: uppercase.read_here(files))
    monkeypatch.setattr("jobs.driver.runners.LocalRunner.prepare", lambda self, orders: None)


def code(word: str) -> str:
    return f"def {word}(first):\n    return first + 1\n" if word else ""


def write(path: Path, *files: str) -> None:
    """A corpus file of `repository:path=word` each."""
    rows = [(*one.partition("=")[0].split(":"), code(one.partition("=")[2])) for one in files]
    repositories, paths, contents = zip(*rows, strict=True)
    path.parent.mkdir(parents=True, exist_ok=True)
    table = pa.table({"content": list(contents), "path": list(paths), "repo_name": list(repositories)})
    pq.write_table(table, path, row_group_size=2)


def grow(folder: Path, *more: str, output: str = "out") -> int:
    argv = ["filter", "--input", str(folder / "in"), "--output", str(folder / output), *FLAGS, "--grow", *more]
    return cli.main(argv)


def make(folder: Path) -> None:
    """Three editions: the first has a shard that later ones don't, each has rows and a record to be forgotten."""
    write(folder / "in/a.parquet", "in/a:a.py=one", f"out/a:b.py={SECRET}1", f"out/a:c.py={SECRET}2", "out/a:d.py=")
    write(folder / "in/b.parquet", "in/a:e.py=two", "in/a:f.py=")
    assert grow(folder) == 0
    write(folder / "in/a.parquet", "in/a:a.py=other", f"out/a:b.py={SECRET}3", f"out/a:c.py={SECRET}2", "out/a:d.py=")
    assert grow(folder) == 0
    write(folder / "in/c.parquet", "in/b:g.py=three", f"out/b:h.py={SECRET}4", "out/b:i.py=")
    (folder / "in/b.parquet").unlink()
    assert grow(folder, "--drop_gone") == 0


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("made")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
        patch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)
        make(folder / "here")
    shutil.copytree(folder / "here", folder / "saved")
    return folder


@pytest.fixture
def folder(made) -> Path:
    """A copy at the place of the original, since plans have absolute paths."""
    shutil.rmtree(made / "here")
    shutil.copytree(made / "saved", made / "here")
    return made / "here"


def forget(folder: Path, *words: str | Path) -> int:
    return cli.main(["forget", str(folder / "out"), *map(str, words)])


def listed(folder: Path, *lines: str) -> Path:
    path = folder / "list.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def editions(folder: Path) -> dict[int, dict[str, Counter[str]]]:
    """What each edition has, by its manifest, and the newest by COMPLETED as well: the sizes are right."""
    out, found = folder / "out", {}
    done = json.loads((out / "COMPLETED").read_text())
    manifests = {int(path.parent.name): json.loads(path.read_text()) for path in out.glob("_editions/*/manifest.json")}
    assert manifests[done["edition"]]["files"] == done["files"]
    for number, manifest in sorted(manifests.items()):
        found[number] = {"data": Counter(), "rejected": Counter()}
        for name, size in manifest["files"].items():
            assert (out / name).stat().st_size == size, name
            for row in pq.read_table(out / name).to_pylist():
                found[number][name.split("/")[-2]][_told(row)] += 1
    named = {name for manifest in manifests.values() for name in manifest["files"]}
    there = {path.relative_to(out).as_posix() for part in ("data", "rejected") for path in out.rglob(f"{part}/*.parq*")}
    assert named == {name for name in there if not name.startswith("_job/")}
    return found


def _told(row: dict[str, Any]) -> str:
    word = f"={row['content'].split('(')[0].removeprefix('def ')}" if "content" in row else ""
    return f"{row['path']}{word}"


def holds(output: Path, word: str) -> list[str]:
    """The files of an output that have the word, in Parquet's columns too."""
    found = []
    for path in output.rglob("*"):
        if path.is_file():
            data = path.read_bytes() + (
                repr(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else b""
            )
            if word.encode() in data:
                found.append(path.relative_to(output).as_posix())
    return found


def without(before: dict[int, dict[str, Counter[str]]], *paths: str) -> dict[int, dict[str, Counter[str]]]:
    return {
        number: {
            part: Counter({one: n for one, n in rows.items() if one.partition("=")[0] not in paths})
            for part, rows in parts.items()
        }
        for number, parts in before.items()
    }


ALL_OUT = ("b.py", "c.py", "d.py", "h.py", "i.py")


def test_every_edition_loses_the_rows_and_nothing_of_them_is_left(folder, capsys):
    before = editions(folder)
    assert before[1]["data"] == Counter(["a.py=one", f"b.py={SECRET}1", f"c.py={SECRET}2", "e.py=two"])
    assert len(holds(folder / "out", SECRET)) > 2
    assert forget(folder, "--opt_out", listed(folder, "out")) == 0
    told = capsys.readouterr().err
    assert "removed 3 rows and 2 rejected records in" in told and ", and of earlier editions " in told
    assert editions(folder) == without(before, *ALL_OUT)
    assert holds(folder / "out", SECRET) == []
    (removal,) = json.loads((folder / "out/REMOVALS.json").read_text())
    assert removal["rows"] == {"data": 3, "rejected": 2} and sum(removal["rows_of_earlier_editions"].values()) >= 2


def test_summaries_of_all_editions_tell_what_is_left(folder):
    assert forget(folder, "--opt_out", listed(folder, "out")) == 0
    has = editions(folder)
    summary = uppercase.summary(folder / "out")
    assert summary["rows"] == {
        "planned": 11, "kept": 2, "rejected": 0, "in_failed_units": 0, "output": 2, "removed": 9
    }  # fmt: skip
    assert summary["rejected"] == [] and summary["shards"]["data"]["rows"] == 2
    assert "11 = 2 kept + 0 rejected + 0 in failed units + 9 removed" in (folder / "out/README.md").read_text()
    assert "Of all 2 rows." in (folder / "out/report.html").read_text()
    for number in (1, 2):
        own = json.loads((folder / f"out/_editions/{number:04d}/summary.json").read_text())
        rows = own["rows"]
        assert (rows["output"], rows["rejected"]) == tuple(has[number][part].total() for part in ("data", "rejected"))
        assert rows["planned"] == rows["kept"] + rows["rejected"] + rows["removed"]
        assert own["shards"]["data"]["rows"] == rows["output"]
    assert [one.get("rows_output") for one in summary["editions"]] == [None, 2, 2]


def test_a_content_that_only_an_earlier_edition_has_goes(folder, capsys):
    before = editions(folder)
    content = hashlib.sha256(code(f"{SECRET}1").encode()).hexdigest()
    assert forget(folder, "--content_hash", content, "--dry_run") == 0
    told = capsys.readouterr().err
    assert "would remove 0 rows and 0 rejected records in 0 files, and of earlier editions 1 row and 0 " in told
    assert editions(folder) == before
    assert forget(folder, "--content_hash", content) == 0
    before[1]["data"].subtract([f"b.py={SECRET}1"])
    assert editions(folder) == {number: {p: +rows for p, rows in parts.items()} for number, parts in before.items()}
    assert not [name for name in holds(folder / "out", f"{SECRET}1") if not name.startswith("_job/")]
    assert uppercase.summary(folder / "out")["rows"]["output"] == before[3]["data"].total()


@pytest.mark.parametrize("words", [["--opt_out", "list.txt"], ["--path", "c.py", "i.py"], ["--path", "a.py"]])
def test_the_newest_edition_published_again_tells_the_same(folder, words):
    listed(folder, "out")
    assert forget(folder, *(str(folder / word) if word == "list.txt" else word for word in words)) == 0
    has, summary = editions(folder), uppercase.summary(folder / "out")
    (folder / "out/README.md").unlink()
    assert grow(folder, "--drop_gone") == 0
    assert editions(folder) == has
    again = uppercase.summary(folder / "out")
    assert again["editions"][-1].pop("finished") and summary["editions"][-1].pop("finished")
    for name in ("rows", "targets", "shards", "editions"):
        assert again[name] == summary[name], name
    assert [(one["reason"], one["count"]) for one in again["rejected"]] == [
        (one["reason"], one["count"]) for one in summary["rejected"]
    ]


def test_a_shard_that_is_lost_is_written_again_from_an_earlier_edition_without_the_rows(folder):
    assert forget(folder, "--path", "b.py", "c.py") == 0
    has, summary = editions(folder), uppercase.summary(folder / "out")
    (lost,) = [path for path in (folder / "out/rejected").iterdir() if "-r0003" in path.name]
    lost.unlink()
    assert grow(folder, "--drop_gone") == 0
    assert editions(folder) == has and uppercase.summary(folder / "out")["rows"] == summary["rows"]


def test_no_later_edition_brings_a_row_back(folder):
    assert forget(folder, "--opt_out", listed(folder, "out/a"), "--path", "h.py") == 0
    write(
        folder / "in/a.parquet", "in/a:a.py=fourth", f"out/a:b.py={SECRET}3", f"out/a:new.py={SECRET}5", "out/a:d.py="
    )
    write(folder / "in/c.parquet", "in/b:g.py=three", f"out/b:h.py={SECRET}6", "out/b:i.py=")
    for last in ("last", "last of all"):
        write(folder / "in/d.parquet", "in/b:j.py=" + last.replace(" ", "_"))
        assert grow(folder, "--drop_gone") == 0
    has = editions(folder)
    assert has[5]["data"] == Counter(["a.py=fourth", "g.py=three", "j.py=last_of_all"])
    assert has[5]["rejected"] == Counter(["i.py"])
    assert holds(folder / "out", SECRET) == []
    rows = uppercase.summary(folder / "out")["rows"]
    assert rows["planned"] == rows["kept"] + rows["rejected"] + rows["removed"] and rows["output"] == 3


def test_lists_of_rows_lose_those_that_are_forgotten(folder):
    assert forget(folder, "--opt_out", listed(folder, "out")) == 0
    job = folder / "out/_job/editions/0003"
    left = [
        row for path in [job / "live.parquet", *(job / "rows").iterdir()] for row in pq.read_table(path).to_pylist()
    ]
    assert Counter(row["name"] for row in left) == {"a.parquet": 1, "c.parquet": 1}
    first = [row for path in (folder / "out/_job/rows").iterdir() for row in pq.read_table(path).to_pylist()]
    assert Counter(row["name"] for row in first) == {"a.parquet": 1, "b.parquet": 2}
    assert not (folder / "out/_job/editions/0002/live.parquet").exists()


def test_an_earlier_edition_without_any_row_left_goes_as_a_whole(tmp_path, capsys):
    write(tmp_path / "in/a.parquet", f"out/a:b.py={SECRET}1", "in/a:d.py=")
    assert grow(tmp_path) == 0
    write(tmp_path / "in/b.parquet", "in/a:e.py=two")
    assert grow(tmp_path) == 0
    assert forget(tmp_path, "--path", "b.py", "--dry_run") == 0
    assert forget(tmp_path, "--path", "b.py") == 0
    assert capsys.readouterr().err.count("; edition 1, of which no row is left, as a whole") == 2
    assert editions(tmp_path) == {2: {"data": Counter(["e.py=two"]), "rejected": Counter(["d.py"])}}
    assert holds(tmp_path / "out", SECRET) == []
    (tmp_path / "out/README.md").unlink()
    assert grow(tmp_path) == 0
    assert editions(tmp_path)[2]["data"] == Counter(["e.py=two"])


def test_a_list_that_names_all_rows_of_the_newest_edition_is_refused(folder, capsys):
    before = editions(folder)
    assert forget(folder, "--opt_out", listed(folder, "out", "in")) == 2
    assert "all of its 5 rows would be removed" in capsys.readouterr().err
    assert editions(folder) == before


# --- what is refused, and what interrupts ----------------------------------------------------------


def test_an_edition_that_is_planned_but_not_complete_is_refused(folder, monkeypatch, capsys):
    write(folder / "in/d.parquet", "in/a:x.py=ten")

    def fail(*args: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("jobs.execution.supervisor.run_units", fail)
    assert grow(folder, "--drop_gone") == 130
    assert forget(folder, "--path", "b.py") == 2
    assert "has an edition 4 that isn't complete; run the job's own command again first" in capsys.readouterr().err


def test_an_earlier_edition_that_lacks_a_shard_is_refused(folder, capsys):
    lost = next((folder / "out/_editions/0001/data").iterdir())
    lost.unlink()
    assert forget(folder, "--path", "b.py") == 2
    told = capsys.readouterr().err
    assert f"lacks _editions/0001/data/{lost.name} of edition 1" in told and "codemill retain" in told
    assert cli.main(["retain", str(folder / "out"), "--editions", "1"]) == 0
    assert forget(folder, "--path", "b.py") == 0
    assert set(editions(folder)) == {3}


@pytest.mark.parametrize(
    "name", [*failpoints.names("rewrite."), "rewrite.after_first_file:3", "rewrite.inside_shard:3"]
)
def test_wherever_it_is_killed_the_same_command_ends_it(folder, name, forker):
    before = editions(folder)
    words = ["forget", str(folder / "out"), "--opt_out", str(listed(folder, "out"))]
    assert os.WTERMSIG(forker.run(words, f"{name}=kill", is_command=True)) == signal.SIGKILL
    assert cli.main(words) == 0
    assert editions(folder) == without(before, *ALL_OUT)
    assert holds(folder / "out", SECRET) == []
    assert not [path for path in folder.glob("out/_job/rewrites/**/*") if path.is_file()]


def test_a_full_disk_changes_nothing(folder, forker):
    before = {path: path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}
    words = ["forget", str(folder / "out"), "--path", "b.py"]
    assert os.WEXITSTATUS(forker.run(words, "rewrite.inside_shard:2=enospc", is_command=True)) == 2
    after = {path: path.read_bytes() for path in (folder / "out").rglob("*") if path.is_file()}
    assert {path for path in after if after[path] != before.get(path)} <= set((folder / "out/_job/lock").rglob("*"))


# --- with `retain` ---------------------------------------------------------------------------------


def test_old_editions_may_be_dropped_before_and_after(folder):
    before = editions(folder)
    assert cli.main(["retain", str(folder / "out"), "--editions", "2"]) == 0
    assert forget(folder, "--opt_out", listed(folder, "out/a")) == 0
    assert editions(folder) == without({number: before[number] for number in (2, 3)}, "b.py", "c.py", "d.py")
    assert not holds(folder / "out", f"{SECRET}1")
    assert cli.main(["retain", str(folder / "out"), "--editions", "1"]) == 0
    assert forget(folder, "--path", "h.py") == 0
    assert editions(folder) == {3: without(before, *ALL_OUT[:4])[3]}
    assert holds(folder / "out", SECRET) == []
    rows = uppercase.summary(folder / "out")["rows"]
    (folder / "out/README.md").unlink()
    assert grow(folder, "--drop_gone") == 0
    assert uppercase.summary(folder / "out")["rows"] == rows


@pytest.mark.parametrize("name", ["rewrite.after_intent", "rewrite.after_files", "rewrite.after_completed"])
def test_retain_goes_on_after_a_removal_that_was_killed(folder, name, forker, capsys):
    before = editions(folder)
    words = ["forget", str(folder / "out"), "--opt_out", str(listed(folder, "out"))]
    assert os.WTERMSIG(forker.run(words, f"{name}=kill", is_command=True)) == signal.SIGKILL
    retain = ["retain", str(folder / "out"), "--editions", "2"]
    assert cli.main([*retain, "--dry_run"]) == 2
    assert "has a change that was interrupted; finish it first, without --dry_run" in capsys.readouterr().err
    assert cli.main(retain) == 0
    told = capsys.readouterr().err
    assert "finished a change that was interrupted" in told and "dropped edition 1" in told
    after = without(before, *ALL_OUT)
    assert editions(folder) == {number: after[number] for number in (2, 3)}


def test_shards_that_a_killed_retain_has_left_go_with_the_rows(folder, forker):
    retain = ["retain", str(folder / "out"), "--editions", "1"]
    status = forker.run(retain, "retain.after_manifest:2=kill", is_command=True)
    assert os.WTERMSIG(status) == signal.SIGKILL and list((folder / "out/_editions/0001/data").iterdir())
    assert forget(folder, "--opt_out", listed(folder, "out")) == 0
    assert holds(folder / "out", SECRET) == []
    assert set(editions(folder)) == {3}


# --- datasets that were made of it -----------------------------------------------------------------


def test_a_cascade_reaches_all_editions_of_a_grown_dataset(tmp_path, capsys):
    """The second dataset has editions of its own, and rows that the first has in an earlier edition only."""
    write(tmp_path / "in/a.parquet", "in/a:a.py=one", f"out/a:b.py={SECRET}1")
    second = ["filter", "--input", str(tmp_path / "out"), "--output", str(tmp_path / "second"), *FLAGS, "--grow"]
    for number in (1, 2, 3):
        assert grow(tmp_path) == 0
        assert cli.main(second) == 0
        write(tmp_path / "in/a.parquet", "in/a:a.py=one", f"out/a:b.py={SECRET}{number + 1}")
    assert holds(tmp_path / "second", f"{SECRET}1") and holds(tmp_path / "second", f"{SECRET}3")
    content = hashlib.sha256(code(f"{SECRET}1").encode()).hexdigest()
    assert forget(tmp_path, "--content_hash", content, "--cascade", tmp_path / "second") == 0
    for name in ("out", "second"):
        found = [path for path in holds(tmp_path / name, f"{SECRET}1") if not path.startswith("_job/")]
        assert not found and holds(tmp_path / name, f"{SECRET}2") and holds(tmp_path / name, f"{SECRET}3")
    assert forget(tmp_path, "--opt_out", listed(tmp_path, "out"), "--cascade", tmp_path / "second") == 0
    assert not holds(tmp_path / "out", SECRET) and not holds(tmp_path / "second", SECRET)
    assert cli.main(second) == 0
    assert not holds(tmp_path / "second", SECRET)
