from __future__ import annotations

import errno
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from model.errors import ConfigError
from transforms.spool import scratch_folder, scratch_for_process


@pytest.fixture
def place(tmp_path, monkeypatch):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    return tmp_path


def test_a_scratch_folder_goes_with_its_block(place):
    with scratch_folder() as folder:
        Path(folder, "rows").write_bytes(b"x")
    assert list(place.iterdir()) == []


def test_what_a_killed_process_left_is_removed_and_what_a_live_one_holds_is_not(place):
    hold = "import sys, time; from transforms.spool import scratch_folder\n"
    hold += "with scratch_folder() as folder: print(folder, flush=True); time.sleep(60)"
    root = Path(__file__).parents[2]
    with subprocess.Popen(
        [sys.executable, "-c", hold],
        stdout=subprocess.PIPE,
        text=True,
        cwd=root,
        env={**os.environ, "TMPDIR": str(place)},
    ) as process:
        assert process.stdout is not None
        theirs = process.stdout.readline().strip()
        with scratch_folder() as folder:
            assert Path(theirs).is_dir() and Path(folder).is_dir()
        process.send_signal(signal.SIGKILL)
    assert Path(theirs).is_dir()
    with scratch_folder():
        assert not Path(theirs).exists()
    assert list(place.iterdir()) == []


def test_a_folder_that_could_not_be_removed_yet_is_removed_by_the_next_process(place, monkeypatch):
    left = place / "codemill-scratch-left"
    left.mkdir()
    left.with_suffix(".lock").touch()
    with monkeypatch.context() as patch:
        patch.setattr("transforms.spool.shutil.rmtree", lambda folder, ignore_errors: None)  # somebody writes into it
        with scratch_folder() as folder:
            pass
    os.rmdir(folder)
    with scratch_folder():
        assert not left.exists()
    assert list(place.iterdir()) == []


def test_a_fifo_with_the_name_of_a_lock_file_is_left_alone(place, caplog):
    fifo = place / "codemill-scratch-theirs.lock"
    os.mkfifo(fifo)
    with scratch_folder() as folder:
        assert Path(folder).is_dir()
    assert list(place.iterdir()) == [fifo] and str(fifo) in caplog.text


def test_a_lock_file_that_is_a_link_is_not_followed(place, tmp_path_factory):
    target = tmp_path_factory.mktemp("elsewhere") / "kept"
    target.touch()
    (place / "codemill-scratch-x.lock").symlink_to(target)
    with scratch_folder():
        assert target.exists()


@pytest.mark.parametrize("made", [lambda path: None, lambda path: path.touch()], ids=["missing", "a file"])
def test_a_folder_for_temporary_files_that_cant_be_used_is_named(made, tmp_path, monkeypatch):
    asked = tmp_path / "asked"
    made(asked)
    monkeypatch.setenv("TMPDIR", str(asked))
    monkeypatch.setattr(tempfile, "tempdir", None)
    with pytest.raises(ConfigError, match=f"can't write temporary files in {asked}: "), scratch_folder():
        pass


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EDQUOT])
def test_a_full_folder_for_temporary_files_is_named(code, place):
    with pytest.raises(ConfigError, match=f"in {place}: .*; free some space there, or set TMPDIR"), scratch_folder():
        raise OSError(code, os.strerror(code))
    assert list(place.iterdir()) == []


def test_other_errors_in_a_scratch_folder_stay_as_they_are(place):
    with pytest.raises(FileNotFoundError), scratch_folder() as folder:
        Path(folder, "missing").read_bytes()


def test_temporary_files_of_children_go_with_the_scratch_of_the_process(place):
    leave = "import os, tempfile; print(tempfile.mkdtemp())"
    with scratch_for_process():
        left = subprocess.run([sys.executable, "-c", leave], stdout=subprocess.PIPE, text=True, check=True).stdout
        assert Path(left.strip()).is_dir() and place in Path(left.strip()).parents
        assert place in Path(tempfile.mkdtemp()).parents
    assert list(place.iterdir()) == [] and tempfile.gettempdir() == str(place)
