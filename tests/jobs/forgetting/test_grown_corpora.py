"""`codemill forget` in a corpus of several editions: all of them lose the rows, and later ones never get them back."""

from __future__ import annotations

import hashlib
import json
import shutil
import tarfile
from collections import Counter
from collections.abc import Iterator
from io import BytesIO
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq
import pytest

import jobs.finalize.rewriting  # noqa: F401 - registers failpoints
from jobs.storage import failpoints
from tests.jobs.growth.nights import SIGKILL, Nights
from transforms.corpus.rows import git_blob_id

SECRET = "zqxjkv"  # in every file that is to be forgotten
LATIN = f"# -*- coding: latin-1 -*-\n# é {SECRET}latin\n".encode("latin-1")
Dataset = dict[int, dict[str, Counter[str]]]


def code(word: str) -> bytes:
    return f"def {word}(first):\n    return first + 1\n".encode()


NIGHTS: list[dict[str, dict[str, bytes]]] = [
    {
        "kept": {"a.py": code("one"), "e.py": code("two"), "x.bin": b"\0one"},
        "out": {"b.py": code(f"{SECRET}1"), "c.py": code(f"{SECRET}2"), f"{SECRET}.bin": b"\0\1"},
    },
    {
        "kept": {"a.py": code("other"), "e.py": code("two"), "x.bin": b"\0two"},
        "out": {"b.py": code(f"{SECRET}3"), "c.py": code(f"{SECRET}2"), f"{SECRET}.bin": b"\0\1"},
    },
    {
        "kept": {"a.py": code("other"), "g.py": code("three"), "x.bin": b"\0two", "l.py": LATIN},
        "out": {"b.py": code(f"{SECRET}3"), "c.py": code(f"{SECRET}2"), "h.py": code(f"{SECRET}4")},
    },
]


@pytest.fixture(scope="module")
def nights() -> Iterator[Nights]:
    forker = Nights("corpus")
    yield forker
    forker.close()


def write(folder: Path, sources: dict[str, dict[str, bytes]]) -> None:
    for name, files in sources.items():
        shutil.rmtree(folder / "in" / name, ignore_errors=True)
        (folder / "in" / name).mkdir(parents=True)
        for path, content in files.items():
            (folder / "in" / name / path).write_bytes(content)


def grow(nights: Nights, folder: Path, *more: str, failpoint: str = "none=raise") -> None:
    sources = sorted(str(path) for path in (folder / "in").iterdir())
    argv = ["corpus", *sources, "--output", str(folder / "out"), "--progress", "none", "--workers", "1", "--grow"]
    wanted = -SIGKILL if failpoint.endswith("=kill") else 0
    assert nights.call(folder, [*argv, *more], failpoint=failpoint) == wanted, (folder / "log").read_text()


@pytest.fixture(scope="module")
def made(nights, tmp_path_factory) -> Path:
    """Three editions: the first has shards that later ones don't, each has rows and a record to be forgotten."""
    folder = tmp_path_factory.mktemp("made")
    for sources in NIGHTS:
        write(folder / "here", sources)
        grow(nights, folder / "here", "--drop_gone")
    shutil.copytree(folder / "here", folder / "saved")
    return folder


@pytest.fixture
def folder(made) -> Path:
    """A copy at the place of the original, since sources are known by their paths."""
    shutil.rmtree(made / "here")
    shutil.copytree(made / "saved", made / "here")
    return made / "here"


def forget(nights: Nights, folder: Path, *words: str, failpoint: str = "none=raise") -> tuple[int, str]:
    (folder / "log").unlink(missing_ok=True)
    code = nights.call(folder, ["forget", str(folder / "out"), *words], failpoint=failpoint)
    return code, (folder / "log").read_text()


def editions(folder: Path) -> Dataset:
    """What each edition has, by its manifest; the files, their sizes and the numbers of summaries are right."""
    out, found = folder / "out", {}
    manifests = {int(path.parent.name): json.loads(path.read_text()) for path in out.glob("_editions/*/manifest.json")}
    done = json.loads((out / "COMPLETED").read_text())
    assert manifests[done["edition"]]["files"] == done["files"]
    for number, manifest in sorted(manifests.items()):
        found[number] = {"data": Counter[str](), "rejected": Counter[str]()}
        rows: list[dict[str, Any]] = []
        for name, size in manifest["files"].items():
            assert (out / name).stat().st_size == size, name
            table = pq.read_table(out / name).to_pylist()
            found[number][name.split("/")[-2]].update(row["path"] for row in table)
            rows += table
        own = out if number == done["edition"] else out / "_editions" / f"{number:04d}"
        check(json.loads((own / "summary.json").read_text()), rows)
    named = {name for manifest in manifests.values() for name in manifest["files"]}
    assert named == {path.relative_to(out).as_posix() for path in out.rglob("*-of-*.parquet")}
    return found


def check(summary: dict[str, Any], rows: list[dict[str, Any]]) -> None:
    """The summary is that of these rows, kept and rejected ones."""
    kept, rejected = ([row for row in rows if ("content" in row) == is_kept] for is_kept in (True, False))
    assert summary["rows_kept"] == len(kept) and summary["rows_rejected"] == len(rejected)
    assert summary["files_seen"] == len(rows) + summary.get("rows_removed", 0)
    assert summary["bytes_kept"] == sum(row["length_bytes"] for row in kept)
    assert summary["languages"] == Counter(row["language"] for row in kept)
    assert summary["rejected"] == Counter(row["reason"] for row in rejected)
    assert summary["repositories"] == len({row["repo_name"] for row in kept})


def without(before: Dataset, *paths: str) -> Dataset:
    return {
        number: {part: Counter({one: n for one, n in rows.items() if one not in paths}) for part, rows in parts.items()}
        for number, parts in before.items()
    }


def holds(output: Path, word: str) -> list[str]:
    """The files of an output that have the word, in Parquet's columns too."""
    found = []
    for path in output.rglob("*"):
        if path.is_file() and path.name != "forgotten.json":
            rows = repr(pq.read_table(path).to_pylist()).encode() if path.suffix == ".parquet" else b""
            if word.encode() in path.read_bytes() + rows:
                found.append(path.relative_to(output).as_posix())
    return found


BY_PATH = ["--path", "b.py", "c.py", "h.py", "l.py", f"{SECRET}.bin"]


def test_every_edition_loses_the_rows_and_nothing_of_them_is_left(nights, folder):
    before = editions(folder)
    assert before[1]["data"] == Counter(["a.py", "e.py", "b.py", "c.py"]) and len(holds(folder / "out", SECRET)) > 2
    assert forget(nights, folder, *BY_PATH, "--dry_run")[0] == 0 and editions(folder) == before
    code, told = forget(nights, folder, *BY_PATH)
    assert code == 0 and "removed 4 rows and 0 rejected records in" in told and ", and of earlier editions " in told
    assert editions(folder) == without(before, *BY_PATH)
    assert holds(folder / "out", SECRET) == []
    (removal,) = json.loads((folder / "out/REMOVALS.json").read_text())
    assert removal["rows"] == {"data": 4, "rejected": 0}
    assert removal["rows_of_earlier_editions"]["rejected"] >= 1


@pytest.mark.parametrize("by", ["path", "blob", "content_hash", "opt_out"])
def test_no_later_edition_brings_a_file_back(nights, folder, by):
    before = editions(folder)
    gone = {"b.py": code(f"{SECRET}3"), "c.py": code(f"{SECRET}2"), "h.py": code(f"{SECRET}4")}
    (folder / "list.txt").write_text("local/out\nout\n")
    words = {
        "path": [*gone, "l.py"],
        "blob": [*map(git_blob_id, gone.values()), git_blob_id(LATIN)],
        # Of the text in UTF-8, as the corpus has it.
        "content_hash": [hashlib.sha256(one).hexdigest() for one in (*gone.values(), LATIN.decode("latin-1").encode())],
        "opt_out": [str(folder / "list.txt")],
    }[by]
    if by == "opt_out":
        gone["l.py"] = b""
        assert forget(nights, folder, "--path", "l.py")[0] == 0
    assert forget(nights, folder, f"--{by}", *words)[0] == (3 if by == "opt_out" else 0)  # records have no repository
    write(folder, {"kept": {**NIGHTS[2]["kept"], "new.py": code("fourth")}})
    grow(nights, folder)
    has = editions(folder)
    assert has[4]["data"] == Counter({**without(before, *gone, "l.py")[3]["data"], "new.py": 1})
    assert [holds(folder / "out", f"{SECRET}{one}") for one in (2, 3, 4, "latin")] == [[]] * 4


def test_an_archive_never_brings_back_one_of_two_files_of_a_path(nights, tmp_path):
    (tmp_path / "in").mkdir()

    def pack(**members: tuple[bytes, ...]) -> None:
        with tarfile.open(tmp_path / "in/x.tar", "w") as archive:
            for name, contents in members.items():
                for content in contents:
                    member = tarfile.TarInfo(f"{name}.py")
                    member.size = len(content)
                    archive.addfile(member, BytesIO(content))

    pack(a=(code(f"{SECRET}1"),), b=(code("one"),))
    grow(nights, tmp_path)
    pack(a=(code(f"{SECRET}1"), code("two")), b=(code("one"),), c=(code("three"),))
    assert forget(nights, tmp_path, "--blob", git_blob_id(code(f"{SECRET}1")))[0] == 0
    grow(nights, tmp_path)
    assert holds(tmp_path / "out", SECRET) == []
    assert editions(tmp_path)[2]["data"] == Counter(["b.py", "c.py"])


def test_an_earlier_edition_without_any_row_left_goes_as_a_whole(nights, tmp_path):
    write(tmp_path, {"in": {"b.py": code(f"{SECRET}1"), "d.bin": b"\0\1"}})
    grow(nights, tmp_path)
    write(tmp_path, {"in": {"b.py": code(f"{SECRET}1"), "d.bin": b"\0\1", "e.py": code("two")}})
    grow(nights, tmp_path)
    told = forget(nights, tmp_path, "--path", "b.py")[1]
    assert "; edition 1, of which no row is left, as a whole" in told
    assert editions(tmp_path) == {2: {"data": Counter(["e.py"]), "rejected": Counter(["d.bin"])}}
    assert holds(tmp_path / "out", SECRET) == []
    grow(nights, tmp_path)
    assert set(editions(tmp_path)) == {2}


def test_what_was_made_of_a_grown_corpus_forgets_the_same(nights, folder):
    shutil.rmtree(folder / "clean", ignore_errors=True)
    argv = ["filter", "--input", str(folder / "out/data"), "--output", str(folder / "clean"), "--policy", "none"]
    more = ["--no-decontaminate", "--no-quality", "--progress", "none"]
    assert nights.call(folder, [*argv, *more]) == 0, (folder / "log").read_text()
    assert holds(folder / "clean", f"{SECRET}3")
    words = ["--blob", git_blob_id(code(f"{SECRET}3")), "--cascade", str(folder / "clean")]
    assert forget(nights, folder, *words)[0] == 0
    assert holds(folder / "clean", f"{SECRET}3") == holds(folder / "out", f"{SECRET}3") == []
    assert holds(folder / "clean", f"{SECRET}2") and holds(folder / "out", f"{SECRET}2")


def test_what_it_cannot_do_is_refused_and_changes_nothing(nights, folder):
    before = editions(folder)
    code, told = forget(nights, folder, *BY_PATH, "a.py", "g.py")
    assert code == 2 and "all of its 6 rows would be removed" in told
    lost = next((folder / "out/_editions/0001/data").iterdir())
    lost.rename(folder / "lost")
    code, told = forget(nights, folder, *BY_PATH)
    assert code == 2 and f"lacks _editions/0001/data/{lost.name} of edition 1" in told
    (folder / "lost").rename(lost)
    assert editions(folder) == before
    next((folder / "out/data").iterdir()).unlink()
    code, told = forget(nights, folder, *BY_PATH)
    assert code == 2 and "restore it, since a corpus that grew can't be made again" in told


@pytest.mark.parametrize("name", [*failpoints.names("rewrite."), "rewrite.after_first_file:3"])
def test_wherever_it_is_killed_the_same_command_ends_it(nights, folder, name):
    before = editions(folder)
    assert forget(nights, folder, *BY_PATH, failpoint=f"{name}=kill")[0] == -SIGKILL
    assert forget(nights, folder, *BY_PATH)[0] == 0
    assert editions(folder) == without(before, *BY_PATH)
    assert holds(folder / "out", SECRET) == []
    assert not [path for path in folder.glob("out/_job/rewrites/**/*") if path.is_file()]


def test_a_growth_finishes_a_removal_that_was_interrupted(nights, folder):
    before = editions(folder)
    assert forget(nights, folder, *BY_PATH, failpoint="rewrite.after_first_file=kill")[0] == -SIGKILL
    grow(nights, folder)
    assert editions(folder) == without(before, *BY_PATH)


def test_a_removal_finishes_a_growth_that_was_interrupted(nights, folder):
    (folder / "in/out/b.py").write_bytes(code(f"{SECRET}5"))
    grow(nights, folder, failpoint="rewrite.after_first_file=kill")
    ended, told = forget(nights, folder, *BY_PATH)
    assert (ended, "finished a change that was interrupted\n" in told) == (0, True)
    assert list(editions(folder)) == [1, 2, 3, 4]
    assert holds(folder / "out", SECRET) == []
