from __future__ import annotations

import multiprocessing
import os
import time
from pathlib import Path

import pytest

from model import user_cache
from model.user_cache import read_entry, write_entry

NAME = "things-0123"


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "codemill"


def test_what_was_written_is_read(folder):
    assert read_entry(NAME) is None
    write_entry(NAME, b"some bytes")
    assert read_entry(NAME) == b"some bytes"
    write_entry(NAME, b"")
    assert read_entry(NAME) == b""


def test_only_its_owner_can_open_the_cache(folder):
    write_entry(NAME, b"some bytes")
    assert folder.stat().st_mode & 0o777 == 0o700
    assert (folder / NAME).stat().st_mode & 0o777 == 0o600
    assert [path.name for path in folder.iterdir()] == [NAME]


@pytest.mark.parametrize(
    "damage", [lambda data: data[:-1], lambda data: data[:20], lambda data: b"", lambda data: data + b"x"]
)
def test_a_damaged_entry_is_none_and_is_written_again(folder, damage):
    write_entry(NAME, b"some bytes")
    path = folder / NAME
    path.write_bytes(damage(path.read_bytes()))
    assert read_entry(NAME) is None
    write_entry(NAME, b"some bytes")
    assert read_entry(NAME) == b"some bytes"


def test_each_changed_byte_is_noticed(folder):
    write_entry(NAME, b"some bytes")
    sound = (folder / NAME).read_bytes()
    for at in range(len(sound)):
        (folder / NAME).write_bytes(sound[:at] + bytes([sound[at] ^ 1]) + sound[at + 1 :])
        assert read_entry(NAME) is None


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_an_entry_that_others_may_write_is_not_read(folder, mode):
    write_entry(NAME, b"some bytes")
    (folder / NAME).chmod(mode)
    assert read_entry(NAME) is None


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_a_folder_that_others_may_write_is_not_used(folder, mode):
    write_entry(NAME, b"some bytes")
    folder.chmod(mode)
    assert read_entry(NAME) is None
    write_entry("other", b"more")
    assert not (folder / "other").exists()


def test_what_another_user_owns_is_not_used(folder, monkeypatch):
    write_entry(NAME, b"some bytes")
    monkeypatch.setattr(os, "geteuid", lambda uid=os.geteuid(): uid + 1)
    assert read_entry(NAME) is None
    write_entry("other", b"more")
    assert not (folder / "other").exists()


def test_links_are_not_followed(folder, tmp_path):
    write_entry(NAME, b"some bytes")
    (folder / NAME).rename(tmp_path / "elsewhere")
    (folder / NAME).symlink_to(tmp_path / "elsewhere")
    assert read_entry(NAME) is None
    write_entry(NAME, b"some bytes")  # replaces the link, not what it points to
    assert read_entry(NAME) == b"some bytes" and not (folder / NAME).is_symlink()
    folder.rename(tmp_path / "moved")
    folder.symlink_to(tmp_path / "moved")
    assert read_entry(NAME) is None


def test_a_pipe_or_a_folder_in_an_entrys_place_does_no_harm(folder):
    write_entry("other", b"more")
    os.mkfifo(folder / NAME, 0o600)
    assert read_entry(NAME) is None  # and does not wait for a writer
    (folder / NAME).unlink()
    (folder / NAME).mkdir()
    assert read_entry(NAME) is None
    write_entry(NAME, b"some bytes")
    assert read_entry(NAME) is None
    assert sorted(path.name for path in folder.iterdir()) == ["other", NAME]


@pytest.mark.parametrize("place", ["/dev/null", "/proc/nowhere", "/dev/null/below"])
def test_a_place_that_cannot_be_written_is_no_cache(monkeypatch, place):
    monkeypatch.setenv("XDG_CACHE_HOME", place)
    write_entry(NAME, b"some bytes")
    assert read_entry(NAME) is None


def test_a_file_in_the_folders_place_is_no_cache(folder):
    folder.parent.mkdir()
    folder.write_bytes(b"")
    write_entry(NAME, b"some bytes")
    assert read_entry(NAME) is None


def test_the_home_folder_has_it_unless_an_absolute_path_is_given(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    write_entry(NAME, b"some bytes")
    assert (tmp_path / ".cache" / "codemill" / NAME).exists()


@pytest.mark.parametrize("home", ["", "relative", "/nonexistent/home"])
def test_without_a_usable_home_there_is_no_cache(monkeypatch, tmp_path, home):
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setenv("HOME", home)
    monkeypatch.setattr(os, "makedirs", lambda *_args, **_kwargs: (_ for _ in ()).throw(PermissionError()))
    write_entry(NAME, b"some bytes")
    assert read_entry(NAME) is None
    assert list(tmp_path.iterdir()) == []


def test_a_user_without_a_home_folder_has_no_cache(monkeypatch):
    def no_home() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    monkeypatch.setattr(Path, "home", no_home)
    write_entry(NAME, b"some bytes")
    assert read_entry(NAME) is None


def test_a_full_disk_leaves_nothing_behind(folder, monkeypatch):
    def full(*_args, **_kwargs):
        raise OSError(28, "No space left on device")

    write_entry("other", b"more")
    monkeypatch.setattr(os, "rename", full)
    write_entry(NAME, b"some bytes")
    assert [path.name for path in folder.iterdir()] == ["other"]


def test_the_entries_that_were_used_last_stay(folder, monkeypatch):
    monkeypatch.setattr(user_cache, "MAX_ENTRIES", 3)
    long_ago = time.time() - 1e6
    for number in range(3):
        write_entry(f"old-{number}", b"bytes")
        os.utime(folder / f"old-{number}", (long_ago + number, long_ago + number))
    assert read_entry("old-0") == b"bytes"  # the oldest is used again
    write_entry("new", b"bytes")
    assert sorted(path.name for path in folder.iterdir()) == ["new", "old-0", "old-2"]


def test_the_cache_does_not_grow_beyond_its_bytes(folder, monkeypatch):
    monkeypatch.setattr(user_cache, "MAX_BYTES", 1000)
    for number in range(10):
        write_entry(f"entry-{number}", bytes(300))
        os.utime(folder / f"entry-{number}", (number + 1, number + 1))
    assert sum(path.stat().st_size for path in folder.iterdir()) <= 1000 + 32
    write_entry("too-large", bytes(1001))
    assert read_entry("too-large") is None


def test_what_killed_processes_left_is_removed_later(folder):
    write_entry(NAME, b"some bytes")
    left, at_work = folder / f"{NAME}-00.new", folder / f"{NAME}-01.new"
    left.write_bytes(b"half")
    at_work.write_bytes(b"half")
    os.utime(left, (1, 1))
    write_entry(NAME, b"some bytes")
    assert not left.exists() and at_work.exists()


def _write_and_read(seed: int) -> list[bytes | None]:
    found = []
    for number in range(50):
        write_entry(NAME, bytes([seed]) * (1000 + number))
        found.append(read_entry(NAME))
    return found


def test_processes_that_write_at_once_read_whole_entries(folder):
    with multiprocessing.get_context("spawn").Pool(4) as pool:
        found = [data for results in pool.map(_write_and_read, range(4)) for data in results]
    assert all(data is not None and len(set(data)) == 1 and len(data) >= 1000 for data in found)
