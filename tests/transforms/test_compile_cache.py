"""Compiled programs are shared by processes that may be killed at any time, and only whole ones are taken."""

from __future__ import annotations

import os
import socket
import stat
from pathlib import Path

import pytest
import zstandard
from hypothesis import given
from hypothesis import strategies as st

from transforms import compile_cache
from transforms.compile_cache import CompileCache, _is_whole

PROGRAM = zstandard.ZstdCompressor().compress(b"machine code" * 99)


@pytest.fixture(autouse=True)
def home(tmp_path, monkeypatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(compile_cache, "PERIOD_S", 3600.0)
    return tmp_path


def opened(monkeypatch, pid: int) -> CompileCache:
    """The folder of another process."""
    monkeypatch.setattr(compile_cache.os, "getpid", lambda: pid)
    monkeypatch.setattr(compile_cache, "_remove_abandoned", lambda store: None)
    found = CompileCache.open()
    assert found is not None
    return found


def write(cache: CompileCache, name: str, data: bytes) -> None:
    Path(cache.folder, name).write_bytes(data)


def store_of(cache: CompileCache) -> Path:
    return Path(cache.folder).parent


def test_what_one_process_compiles_others_find(monkeypatch):
    first, second = opened(monkeypatch, 1), opened(monkeypatch, 2)
    write(first, "jit_f-1-cache", PROGRAM)
    write(second, "jit_f-1-cache", PROGRAM)
    first.publish()
    second.publish()
    third = opened(monkeypatch, 3)
    assert os.listdir(third.folder) == ["jit_f-1-cache"]
    assert Path(third.folder, "jit_f-1-cache").read_bytes() == PROGRAM
    first.close()
    assert not Path(first.folder).exists() and Path(third.folder, "jit_f-1-cache").exists()


def test_half_a_program_waits_until_it_is_whole(monkeypatch):
    first = opened(monkeypatch, 1)
    write(first, "jit_f-1-cache", PROGRAM[:-3])
    first.publish()
    assert os.listdir(opened(monkeypatch, 2).folder) == []
    write(first, "jit_f-1-cache", PROGRAM)
    first.publish()
    assert os.listdir(opened(monkeypatch, 3).folder) == ["jit_f-1-cache"]


@given(st.integers(0, len(PROGRAM) - 1))
def test_no_part_of_a_program_is_whole(end):
    assert _is_whole(PROGRAM) and not _is_whole(PROGRAM[:end])


def test_a_damaged_program_is_removed_and_made_again(monkeypatch):
    first = opened(monkeypatch, 1)
    write(first, "jit_f-1-cache", PROGRAM)
    first.close()
    (entry,) = (path for path in store_of(first).iterdir() if "-cache." in path.name)
    entry.write_bytes(PROGRAM[::-1])
    second = opened(monkeypatch, 2)
    assert os.listdir(second.folder) == [] and not entry.exists()
    write(second, "jit_f-1-cache", PROGRAM)
    second.close()
    assert os.listdir(opened(monkeypatch, 3).folder) == ["jit_f-1-cache"]


def test_the_folder_of_a_process_that_was_killed_is_removed():
    cache = CompileCache.open()
    assert cache is not None
    dead = store_of(cache) / f".process-{socket.gethostname()}-{2**22 + 1}"
    elsewhere = store_of(cache) / ".process-another-host-1"
    for folder in (dead, elsewhere):
        folder.mkdir()
    assert CompileCache.open() is not None
    assert not dead.exists() and elsewhere.exists()


def test_programs_that_were_not_used_for_longest_go_first(monkeypatch):
    first = opened(monkeypatch, 1)
    for number in range(3):
        write(first, f"jit_{number}-1-cache", zstandard.ZstdCompressor().compress(os.urandom(1000)))
    first.close()
    for path in store_of(first).glob("jit_*"):
        at = 1000 * (1 + int(path.name[4]))
        os.utime(path, (at, at))
    monkeypatch.setattr(compile_cache, "MAX_BYTES", 2500)
    assert sorted(os.listdir(opened(monkeypatch, 2).folder)) == ["jit_1-1-cache", "jit_2-1-cache"]


def test_a_folder_that_others_may_write_is_not_used(monkeypatch, home):
    cache = opened(monkeypatch, 1)
    assert stat.S_IMODE(os.stat(store_of(cache)).st_mode) == 0o700
    store_of(cache).chmod(0o777)
    assert CompileCache.open() is None


def test_without_a_place_there_is_no_cache(monkeypatch, home):
    (home / "codemill").write_text("a file")
    assert CompileCache.open() is None
