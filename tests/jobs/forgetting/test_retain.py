"""`codemill retain`: which files go with an edition, and that a kill leaves no edition half there."""

from __future__ import annotations

import json
import os
import shutil
import signal
from pathlib import Path

import pytest

import jobs.forgetting.retention  # noqa: F401 - registers the failpoints
from jobs import cli
from jobs.ledger.lock import acquire
from jobs.storage import failpoints
from jobs.storage.folders import OutputFolder

FILES = {
    1: ["_editions/0001/data/a.parquet", "_editions/0001/rejected/r.parquet", "_editions/0002/data/b.parquet"],
    2: ["_editions/0002/data/b.parquet", "data/c.parquet"],
    3: ["data/c.parquet", "data/d.parquet"],
}


@pytest.fixture
def output(tmp_path) -> Path:
    """A grown dataset of three editions."""
    folder = tmp_path / "out"
    for number, files in FILES.items():
        for name in files:
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            (folder / name).write_bytes(name.encode())
        manifest = folder / "_editions" / f"{number:04d}" / "manifest.json"
        manifest.parent.mkdir(parents=True, exist_ok=True)
        manifest.write_text(json.dumps({"edition": number, "files": {name: len(name) for name in files}}))
    (folder / "_job").mkdir()
    (folder / "COMPLETED").write_text(json.dumps({"files": {}}))
    return folder


def retain(output: Path, editions: int, *more: str) -> int:
    return cli.main(["retain", str(output), "--editions", str(editions), *more])


def present(output: Path) -> set[str]:
    return {path.relative_to(output).as_posix() for path in output.rglob("*.parquet")}


def readable(output: Path) -> list[int]:
    """The editions that have a manifest all of whose files are there."""
    found = []
    for manifest in sorted(output.glob("_editions/*/manifest.json")):
        told = json.loads(manifest.read_text())
        assert all((output / name).exists() for name in told["files"]), manifest
        found.append(told["edition"])
    return found


@pytest.mark.parametrize(
    ("editions", "left"), [(1, {3}), (2, {2, 3}), (3, {1, 2, 3}), (9, {1, 2, 3})], ids=["1", "2", "3", "9"]
)
def test_the_newest_editions_stay_and_the_files_that_no_other_has_go(output, editions, left, capsys):
    assert retain(output, editions) == 0
    assert set(readable(output)) == left
    assert present(output) == {name for number in left for name in FILES[number]}
    assert ("dropped no edition" in capsys.readouterr().err) == (len(left) == 3)


def test_a_dry_run_drops_nothing(output, capsys):
    before = present(output)
    assert retain(output, 1, "--dry_run") == 0
    assert "would drop editions 1, 2: 3 files" in capsys.readouterr().err
    assert present(output) == before and readable(output) == [1, 2, 3]


def test_an_output_that_never_grew_stays_as_it_is(output):
    for path in sorted((output / "_editions").rglob("*"), reverse=True):
        path.unlink() if path.is_file() else path.rmdir()
    before = present(output)
    assert retain(output, 1) == 0
    assert present(output) == before


def test_a_corpus_that_never_grew_has_no_edition_to_drop(output, capsys):
    shutil.rmtree(output / "_editions")
    (output / "COMPLETED").write_bytes(b"")  # as `corpus` writes it
    assert retain(output, 1) == retain(output, 1, "--dry_run") == 0
    assert "dropped no edition: 0 files" in capsys.readouterr().err


def test_an_output_that_is_locked_or_incomplete_is_refused(output, capsys):
    with acquire(OutputFolder(str(output)).job):
        assert retain(output, 1) == 2
        assert "is being written by process" in capsys.readouterr().err
    (output / "COMPLETED").unlink()
    assert retain(output, 1) == 2
    assert "is not a complete output" in capsys.readouterr().err


@pytest.mark.parametrize("name", [*failpoints.names("retain."), "retain.after_manifest:2", "retain.after_file:2"])
def test_killed_anywhere_no_edition_is_half_there_and_the_same_command_ends_it(output, name, forker):
    words = ["retain", str(output), "--editions", "1"]
    assert os.WTERMSIG(forker.run(words, f"{name}=kill", is_command=True)) == signal.SIGKILL
    assert readable(output)[-1] == 3
    assert retain(output, 1) == 0
    assert readable(output) == [3] and present(output) == set(FILES[3])
