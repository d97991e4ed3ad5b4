from __future__ import annotations

import os
import socket
import stat
import subprocess
import threading
from pathlib import Path

import pytest

from model.errors import ConfigError, RecordError
from transforms.corpus import folders as module
from transforms.corpus.entries import File
from transforms.corpus.folders import Folders, is_bare_repository, walk
from transforms.corpus.sources import open_source

SECRET = "from outside"


def outcome(path: Path, **how) -> dict[str, str]:
    """Content or reason by path."""
    found = {}
    for entry in open_source(str(path), **how).read():
        found[entry.path] = entry.data.decode() if isinstance(entry, File) else entry.reason
    return found


def git(folder: Path, *words: str) -> None:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True)


@pytest.fixture
def outside(tmp_path) -> Path:
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "hostname").write_text(SECRET)
    return folder


@pytest.fixture
def work_tree(tmp_path) -> Path:
    folder = tmp_path / "tool"
    (folder / "e").mkdir(parents=True)
    (folder / "e/hostname").write_text("inside")
    (folder / "a.py").write_text("a")
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


# --- links -----------------------------------------------------------------------------------------------


def test_a_tracked_file_below_a_folder_that_became_a_link_is_not_read_from_outside(work_tree, outside):
    (work_tree / "e/hostname").unlink()
    (work_tree / "e").rmdir()
    (work_tree / "e").symlink_to(outside)
    assert outcome(work_tree) == {"a.py": "a", "e/hostname": "link"}
    assert outcome(work_tree, untracked=True) == {"a.py": "a", "e": "link"}


@pytest.mark.parametrize("depth", [1, 2, 5])
def test_a_link_in_any_component_is_not_followed(tmp_path, outside, depth):
    root = tmp_path / "root"
    parts = [f"d{index}" for index in range(depth)]
    (root / "/".join(parts)).mkdir(parents=True)
    for index in range(depth):
        link = root / "/".join(parts[:index]) / "link"
        link.symlink_to(outside)
        with Folders(str(root)) as folders, pytest.raises(RecordError) as caught:
            folders.read("/".join([*parts[:index], "link", "hostname"]), 100)
        assert caught.value.reason == "link"


def test_the_root_itself_may_be_a_link(tmp_path, work_tree):
    (tmp_path / "link").symlink_to(work_tree)
    assert outcome(tmp_path / "link") == {"a.py": "a", "e/hostname": "inside"}


@pytest.mark.parametrize("is_git", [True, False])
def test_a_folder_that_becomes_a_link_while_it_is_listed_and_read_gives_nothing_from_outside(
    work_tree, outside, tmp_path, is_git
):
    aside, link = tmp_path / "aside", tmp_path / "link"
    link.symlink_to(outside)
    stop = threading.Event()

    def swap() -> None:
        while not stop.is_set():
            os.rename(work_tree / "e", aside)
            os.rename(link, work_tree / "e")
            os.rename(work_tree / "e", link)
            os.rename(aside, work_tree / "e")

    swapping = threading.Thread(target=swap)
    swapping.start()
    try:
        seen = [tracked(work_tree) if is_git else outcome(work_tree, untracked=True) for _ in range(300)]
    finally:
        stop.set()
        swapping.join()
    contents = {content for found in seen for content in found.values()}
    assert SECRET not in contents
    assert "a" in contents and contents <= {"a", "inside", "link", "dangling_link", "not_a_file", "unreadable"}


def tracked(work_tree: Path) -> dict[str, str]:
    """As with git's list, without asking git each time."""
    found = {}
    with Folders(str(work_tree)) as folders:
        for path in ("a.py", "e/hostname"):
            try:
                found[path] = folders.read(path, 100).decode()
            except RecordError as error:
                found[path] = error.reason
    return found


def test_a_link_that_takes_the_folders_place_between_its_check_and_its_use_is_not_followed(
    tmp_path, outside, monkeypatch
):
    root = tmp_path / "root"
    (root / "e").mkdir(parents=True)
    (root / "e/hostname").write_text("inside")
    opened = os.open

    def swapping(path, flags, *args, **how):
        if path == "e":
            os.rename(root / "e", tmp_path / "aside")
            (root / "e").symlink_to(outside)
        return opened(path, flags, *args, **how)

    monkeypatch.setattr(module.os, "open", swapping)
    with Folders(str(root)) as folders, pytest.raises(RecordError) as caught:
        folders.read("e/hostname", 100)
    assert caught.value.reason == "link"


def test_descriptors_are_closed_however_many_folders_there_are(tmp_path):
    for index in range(200):
        (tmp_path / f"root/d{index}/deep").mkdir(parents=True)
        (tmp_path / f"root/d{index}/deep/a.py").write_text("x")
    before = len(os.listdir("/proc/self/fd"))
    with Folders(str(tmp_path / "root")) as folders:
        paths = [path for path in walk(folders) if isinstance(path, str)]
        assert [folders.read(path, 10) for path in paths] == [b"x"] * 200
        for index in range(50):
            with pytest.raises(RecordError):
                folders.read(f"d{index}/none/x", 10)
        assert len(os.listdir("/proc/self/fd")) < before + 25
    assert len(os.listdir("/proc/self/fd")) == before


# --- what a listing meets ----------------------------------------------------------------------------------


def test_whatever_is_no_file_is_told_with_its_kind(tmp_path):
    root = tmp_path / "root"
    root.mkdir()
    os.mkfifo(root / "pipe.py")
    (root / "gone.py").symlink_to("../blobs/0123")
    (root / "link.py").symlink_to("a.py")
    (root / "loop.py").symlink_to("loop.py")
    (root / "a.py").write_text("a")
    with open(os.path.join(os.fsencode(root), b"\xff.py"), "w"):
        pass
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(str(root / "socket.py"))
        assert outcome(root) == {
            "a.py": "a",
            "gone.py": "dangling_link",
            "link.py": "link",
            "loop.py": "dangling_link",
            "pipe.py": "not_a_file",
            "socket.py": "not_a_file",
            "\\udcff.py": "unsafe_path",
        }


def test_a_folder_that_cannot_be_listed_is_told_whatever_is_selected(tmp_path, monkeypatch):
    from transforms.corpus.sources import Selection

    root = tmp_path / "root"
    for name in ("good", "locked"):
        (root / name).mkdir(parents=True)
        (root / name / "a.py").write_text("x")
    names = Folders.names

    def locked(self, folder):
        if folder == "locked":
            raise RecordError("unreadable", "the folder can't be listed: Permission denied")
        return names(self, folder)

    monkeypatch.setattr(Folders, "names", locked)
    selection = Selection(include=("*.py",))
    assert outcome(root, selection=selection) == {"good/a.py": "x", "locked/": "unreadable"}


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads what it may not")
def test_a_locked_folder_is_a_refusal(tmp_path):
    (tmp_path / "root/locked").mkdir(parents=True)
    (tmp_path / "root/locked").chmod(0)
    assert outcome(tmp_path / "root") == {"locked/": "unreadable"}


def test_a_root_that_goes_away_is_a_refusal(tmp_path):
    (tmp_path / "root").mkdir()
    source = open_source(str(tmp_path / "root"))
    (tmp_path / "root").rmdir()
    (entry,) = source.read()
    assert (entry.path, entry.reason) == ("", "unreadable")


def test_a_file_that_grows_while_it_is_read_stays_within_the_limit(tmp_path, monkeypatch):
    (tmp_path / "a.py").write_bytes(b"x" * 200)
    status = os.fstat

    def before_it_grew(descriptor: int) -> os.stat_result:
        found = list(status(descriptor))
        found[stat.ST_SIZE] = min(found[stat.ST_SIZE], 10)
        return os.stat_result(found)

    monkeypatch.setattr(module.os, "fstat", before_it_grew)
    with Folders(str(tmp_path)) as folders:
        assert len(folders.read("a.py", 300)) == 200
        with pytest.raises(RecordError) as caught:
            folders.read("a.py", 100)
    assert caught.value.reason == "content_too_large"


# --- git's own folders ---------------------------------------------------------------------------------------


@pytest.fixture(params=["--bare", "--mirror"])
def clone(request, work_tree, tmp_path) -> Path:
    folder = tmp_path / "all/mirrored"
    subprocess.run(["git", "clone", "--quiet", request.param, str(work_tree), str(folder)], check=True)
    with open(folder / "config", "a") as config:
        config.write("[remote]\n\turl = https://me:pass-word@git.example.com/x\n")
    return folder


@pytest.mark.parametrize("below", ["", "hooks", "objects/info"])
def test_a_bare_or_mirror_clone_is_refused_with_the_way_to_go(clone, below):
    with pytest.raises(ConfigError, match=r"mirrored is a bare or mirror clone .*git clone, or git worktree add$"):
        open_source(str(clone / below))


def test_gits_own_folder_of_a_work_tree_is_refused_too(work_tree):
    with pytest.raises(ConfigError, match="bare or mirror clone"):
        open_source(str(work_tree / ".git"))


def test_a_folder_that_holds_a_bare_clone_gives_the_rest_and_says_so_once(clone):
    (clone.parent / "a.py").write_text("a")
    assert is_bare_repository(str(clone)) and not is_bare_repository(str(clone.parent))
    (refused,) = [entry for entry in open_source(str(clone.parent)).read() if not isinstance(entry, File)]
    assert (refused.path, refused.reason) == ("mirrored/", "bare_repository") and "git worktree add" in refused.detail
    assert outcome(clone.parent) == {"a.py": "a", "mirrored/": "bare_repository"}


def test_a_bare_clone_below_a_work_tree_is_not_read_even_where_it_is_tracked(work_tree, tmp_path):
    inside = work_tree / "fixture"
    subprocess.run(["git", "clone", "--quiet", "--bare", str(work_tree), str(inside)], check=True)
    git(work_tree, "add", ".")
    found = outcome(work_tree)
    assert found["a.py"] == "a"
    assert {reason for path, reason in found.items() if path.startswith("fixture/")} == {"bare_repository"}
    assert outcome(work_tree, untracked=True)["fixture/"] == "bare_repository"
