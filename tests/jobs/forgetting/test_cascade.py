"""Forgetting in a corpus, in what was made of it step by step, and in an index of its text."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import jobs.forgetting.command  # noqa: F401 - registers the failpoints
from jobs import cli
from jobs.forgetting.families import family
from jobs.storage import failpoints
from tests.jobs import uppercase
from transforms.duplicates.known_text import KnownText

SECRET = "zqxjkv"


@pytest.fixture(autouse=True)
def in_this_process(monkeypatch):
    monkeypatch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
    monkeypatch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)


def code(word: str, number: int) -> str:
    return "".join(
        f"def {word}_{number}_{line}(first, second):\n    return first * {line} + second - {number}\n"
        for line in range(9)
    )


def write_sources(folder: Path) -> list[str]:
    """Two repositories: one of them has a file whose text the other has as well."""
    for name, word in (("kept", "plain"), ("gone", SECRET)):
        (folder / name).mkdir(parents=True)
        for number in range(4):
            (folder / name / f"f{number}.py").write_text(code(word, number))
        (folder / name / "same.py").write_text(code("shared", 0))
        (folder / name / "bad.py").write_bytes(b"\0\1\2" * 100)
    return [str(folder / "kept"), str(folder / "gone")]


@pytest.fixture(scope="module")
def made(tmp_path_factory) -> Path:
    """corpus -> clean -> packed, and corpus -> known."""
    folder = tmp_path_factory.mktemp("made")
    sources = write_sources(folder / "src")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("jobs.execution.supervisor.run_units", uppercase.inline_units_of_any_job)
        patch.setattr("jobs.finalize.merge.merge_all", uppercase.inline_merges)
        out = folder / "out"
        assert cli.main(["corpus", *sources, "--output", f"{out}/corpus", "--progress", "none", "--workers", "1"]) == 0
        run = ["--progress", "none", "--unit_rows", "4"]
        clean = ["--input", f"{out}/corpus/data", "--output", f"{out}/clean", "--no-quality", *run]
        assert cli.main(["filter", *clean]) == 0
        packed = ["--input", f"{out}/clean/data", "--output", f"{out}/packed", "--context_length", "512", *run]
        assert cli.main(["pack", *packed]) == 0
        assert cli.main(["index", "--input", f"{out}/corpus/data", "--output", f"{out}/known", "--workers", "1"]) == 0
    return folder


@pytest.fixture
def out(made, tmp_path) -> Path:
    """A copy at the place of the original, since plans have absolute paths."""
    saved = made / "saved"
    if not saved.exists():
        shutil.copytree(made / "out", saved)
    shutil.rmtree(made / "out")
    shutil.copytree(saved, made / "out")
    return made / "out"


def forget(*words: str | Path) -> int:
    return cli.main(["forget", *map(str, words)])


def listed(folder: Path, *lines: str) -> Path:
    path = folder / "list.txt"
    path.write_text("".join(f"{line}\n" for line in lines))
    return path


def texts(output: Path) -> list[str]:
    return [row.get("content") or row["text"] for row in uppercase.dataset(output)["data"]]


def parts(output: Path) -> set[tuple[str, str]]:
    rows = uppercase.dataset(output)["data"]
    return {(part["repo_name"], part["path"]) for row in rows for part in row["parts"]}


def known(folder: Path) -> list[dict[str, Any]]:
    with pa.memory_map(str(folder / "files.arrow")) as file:
        return pa.ipc.open_file(file).read_all().to_pylist()


def test_datasets_are_found_by_what_they_were_made_of_each_after_its_origin(out):
    found = family(str(out / "corpus"), [str(out)])
    assert sorted(found) == [str(out / name) for name in ("clean", "known", "packed")]
    assert found.index(str(out / "clean")) < found.index(str(out / "packed"))
    assert family(str(out / "clean"), [str(out)]) == [str(out / "packed")]
    assert family(str(out / "packed"), [str(out)]) == []


def test_datasets_are_found_where_links_lead(out, tmp_path):
    (tmp_path / "link").symlink_to(out)
    assert family(f"{tmp_path}/link/clean", [str(tmp_path / "link")]) == [f"{tmp_path}/link/packed"]


def test_a_named_dataset_that_was_made_of_others_is_left_and_told(out, capsys):
    assert forget(out / "clean", "--path", "f1.py", "--cascade", out / "known", out / "packed", "--dry_run") == 0
    told = capsys.readouterr().err
    assert f"{out / 'known'}: left as it is, since its input isn't in {out / 'clean'}" in told
    assert f"{out / 'packed'}: would remove" in told and f"{out / 'packed'}: left" not in told


def test_a_repository_leaves_all_that_was_made_of_its_corpus_and_its_twins_stay(out, tmp_path, capsys):
    assert forget(out / "corpus", "--opt_out", listed(tmp_path, "gone"), "--cascade", out) in (0, 3)
    told = capsys.readouterr().err
    for name in ("corpus", "clean", "packed", "known"):
        assert f"{out / name}: removed" in told
    for name in ("corpus", "clean", "packed"):
        assert texts(out / name) and not any(SECRET in text for text in texts(out / name))
    assert {row["repo_name"] for row in uppercase.dataset(out / "corpus")["data"]} == {"kept"}
    assert ("kept", "same.py") in parts(out / "packed") and not any(repo == "gone" for repo, _ in parts(out / "packed"))
    assert [(row["repo_name"], row["path"]) for row in known(out / "known")] == [
        ("kept", f"{name}.py") for name in ("f0", "f1", "f2", "f3", "same")
    ]


def test_a_blob_of_the_corpus_is_followed_through_what_has_no_blobs(out):
    (row,) = [
        row for row in uppercase.dataset(out / "corpus")["data"] if (row["repo_name"], row["path"]) == ("gone", "f1.py")
    ]
    assert ("gone", "f1.py") in parts(out / "packed")
    assert forget(out / "corpus", "--blob", row["blob_id"], "--cascade", out) == 0
    for name in ("corpus", "clean"):
        assert ("gone", "f1.py") not in {(r["repo_name"], r["path"]) for r in uppercase.dataset(out / name)["data"]}
    assert ("gone", "f1.py") not in parts(out / "packed")
    assert ("gone", "f1.py") not in {(r["repo_name"], r["path"]) for r in known(out / "known")}


def test_a_corpus_tells_what_is_left_and_is_not_made_again(out, made, tmp_path, capsys):
    before = json.loads((out / "corpus" / "summary.json").read_text())
    assert forget(out / "corpus", "--path", "f1.py", "bad.py") == 0
    after = json.loads((out / "corpus" / "summary.json").read_text())
    assert (before["rows_kept"] - after["rows_kept"], before["rows_rejected"] - after["rows_rejected"]) == (2, 2)
    assert after["files_seen"] == after["rows_kept"] + after["rows_rejected"] + after["rows_removed"]
    assert after["languages"] == {"Python": after["rows_kept"]} and after["rejected"] == {}
    assert after["bytes_kept"] == sum(row["length_bytes"] for row in uppercase.dataset(out / "corpus")["data"])
    command = [
        "corpus",
        str(made / "src/kept"),
        str(made / "src/gone"),
        "--output",
        str(out / "corpus"),
        "--progress",
        "none",
    ]
    capsys.readouterr()
    assert cli.main(command) == 0
    assert "is complete already" in capsys.readouterr().out
    next((out / "corpus" / "data").iterdir()).unlink()
    assert cli.main(command) == 2
    assert "made again it would have rows that were forgotten" in capsys.readouterr().err


def test_an_index_without_some_files_has_the_bytes_of_one_that_was_made_without_them(out, tmp_path):
    rows = [row for row in uppercase.dataset(out / "corpus")["data"] if row["path"] != "f2.py"]
    schema = pq.read_schema(next((out / "corpus" / "data").iterdir()))
    pq.write_table(pa.Table.from_pylist(rows, schema=schema), tmp_path / "left.parquet")
    assert (
        cli.main(["index", "--input", f"{tmp_path}/left.parquet", "--output", f"{tmp_path}/anew", "--workers", "1"])
        == 0
    )
    assert forget(out / "known", "--path", "f2.py") == 0
    for name in ("hashes.npy", "owners.npy", "files.arrow", "index.json"):
        assert (out / "known" / name).read_bytes() == (tmp_path / "anew" / name).read_bytes(), name
    assert KnownText(out / "known").copies_of(code("plain", 1)) and not KnownText(out / "known").copies_of(
        code("plain", 2)
    )
    made = json.loads((out / "known" / "made.json").read_text())
    assert made["removals"][0]["rows"] == 2 and "f2.py" not in json.dumps(made["removals"])


@pytest.mark.parametrize("name", failpoints.names("forget."))
def test_an_index_is_whole_wherever_its_removal_is_killed(out, name, forker):
    words = ["forget", str(out / "known"), "--path", "f2.py"]
    assert os.WTERMSIG(forker.run(words, f"{name}=kill", is_command=True)) == signal.SIGKILL
    assert cli.main(words) == 0
    assert len(known(out / "known")) == 8 and KnownText(out / "known").copies_of(code("plain", 1))
    assert not [entry for entry in os.listdir(out) if entry.startswith(".")]


@pytest.mark.parametrize("name", failpoints.names("forget."))
def test_an_index_in_a_cascade_is_whole_wherever_its_removal_is_killed(out, name, forker):
    shutil.rmtree(out / "clean")
    shutil.rmtree(out / "packed")
    words = ["forget", str(out / "corpus"), "--path", "f2.py", "--cascade", str(out)]
    assert os.WTERMSIG(forker.run(words, f"{name}=kill", is_command=True)) == signal.SIGKILL
    assert cli.main(words) == 0
    assert "f2.py" not in {row["path"] for row in (*known(out / "known"), *uppercase.dataset(out / "corpus")["data"])}
    assert not [entry for entry in os.listdir(out) if entry.startswith(".")]


def test_a_dry_run_asks_to_finish_the_removal_in_an_index_first(out, forker, capsys):
    words = ["forget", str(out / "known"), "--path", "f2.py"]
    assert os.WTERMSIG(forker.run(words, "forget.between_indexes=kill", is_command=True)) == signal.SIGKILL
    assert cli.main([*words, "--dry_run"]) == 2
    assert "has a change that was interrupted; finish it first" in capsys.readouterr().err


def test_killed_between_two_datasets_the_same_command_finds_the_rest(out, forker):
    (row,) = [
        row for row in uppercase.dataset(out / "corpus")["data"] if (row["repo_name"], row["path"]) == ("gone", "f1.py")
    ]
    words = ["forget", str(out / "corpus"), "--blob", row["blob_id"], "--cascade", str(out)]
    for name in ("rewrite.after_ended", "rewrite.after_ended:2"):
        assert os.WTERMSIG(forker.run(words, f"{name}=kill", is_command=True)) == signal.SIGKILL
    assert cli.main(words) == 0
    assert ("gone", "f1.py") not in parts(out / "packed")
    for name in ("corpus", "clean"):
        assert ("gone", "f1.py") not in {(r["repo_name"], r["path"]) for r in uppercase.dataset(out / name)["data"]}


def test_a_folder_without_outputs_is_refused(out, tmp_path, capsys):
    assert forget(out / "corpus", "--path", "f1.py", "--cascade", tmp_path) == 2
    assert "neither it nor a folder in it is an output of codemill" in capsys.readouterr().err
