from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from model.errors import ConfigError
from transforms.corpus.entries import ArchiveLimits, File
from transforms.corpus.sources import Selection, open_source


def tree(root: Path, files: dict[str, str | bytes]) -> Path:
    for name, data in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(data.encode() if isinstance(data, str) else data)
    return root


def outcome(path: Path, **how) -> list[tuple[str, str]]:
    """(path, content or reason) in order."""
    entries = open_source(str(path), **how).read()
    return [(entry.path, entry.data.decode() if isinstance(entry, File) else entry.reason) for entry in entries]


def git(folder: Path, *words: str) -> str:
    identity = ["-c", "user.name=t", "-c", "user.email=t@example.com", "-c", "commit.gpgsign=false"]
    done = subprocess.run(["git", "-C", str(folder), *identity, *words], check=True, capture_output=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def work_tree(tmp_path):
    folder = tree(
        tmp_path / "tool", {"a.py": "a", "lib/b.py": "b", "build/out.py": "generated", ".gitignore": "build/"}
    )
    git(folder, "init", "--quiet")
    git(folder, "add", ".")
    git(folder, "commit", "--quiet", "-m", "first")
    return folder


def test_a_folder_gives_every_file_in_one_order(tmp_path):
    root = tree(tmp_path / "src", {"b.py": "1", "a/z.py": "2", "a/y.py": "3", "c.py": "4", "a.py": "5", ".hidden": "6"})
    names = [path for path, _ in outcome(root)]
    assert names == [".hidden", "a.py", "b.py", "c.py", "a/y.py", "a/z.py"]


def test_gits_own_folder_is_passed_over(tmp_path):
    root = tree(tmp_path / "src", {"a.py": "1", "sub/.git/config": "x", "other/.git": "gitdir: elsewhere"})
    assert [path for path, _ in outcome(root, untracked=True)] == ["a.py"]


def test_links_are_refused_and_not_followed(tmp_path):
    root = tree(tmp_path / "src", {"a.py": "1"})
    (root / "file.py").symlink_to("/etc/passwd")
    (root / "folder").symlink_to("/etc")
    (root / "broken").symlink_to("nowhere")
    assert outcome(root) == [("a.py", "1"), ("broken", "dangling_link"), ("file.py", "link"), ("folder", "link")]


def test_a_pipe_is_refused_without_waiting_for_it(tmp_path):
    root = tree(tmp_path / "src", {"a.py": "1"})
    os.mkfifo(root / "pipe")
    assert outcome(root) == [("a.py", "1"), ("pipe", "not_a_file")]


def test_a_name_that_is_not_utf8_is_refused_in_printable_form(tmp_path):
    root = tree(tmp_path / "src", {"a.py": "1"})
    with open(os.path.join(os.fsencode(root), b"b\xff.py"), "w"):
        pass
    assert outcome(root) == [("a.py", "1"), ("b\\udcff.py", "unsafe_path")]


def test_a_file_beyond_the_limit_is_refused_with_the_flag_to_raise(tmp_path):
    root = tree(tmp_path / "src", {"a.py": "x" * 11, "b.py": "x" * 10})
    refused, kept = open_source(str(root), limits=ArchiveLimits(max_entry_bytes=10)).read()
    assert (refused.path, refused.reason) == ("a.py", "content_too_large") and "--max_content_mb" in refused.detail
    assert kept.path == "b.py"


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads what it may not")
def test_a_file_that_may_not_be_read_is_refused(tmp_path):
    root = tree(tmp_path / "src", {"a.py": "1"})
    (root / "a.py").chmod(0)
    assert outcome(root) == [("a.py", "unreadable")]


def test_a_selection_says_what_is_seen_at_all(tmp_path):
    root = tree(tmp_path / "src", {"a.py": "1", "a.txt": "2", "t/b.py": "3", "u/b.py": "4"})
    selection = Selection(include=("*.py",), exclude=("t/*",))
    assert [path for path, _ in outcome(root, selection=selection)] == ["a.py", "u/b.py"]


def test_a_git_work_tree_gives_its_tracked_files_as_they_stand(work_tree):
    (work_tree / "untracked.py").write_text("u")
    (work_tree / "a.py").write_text("changed")
    assert outcome(work_tree) == [(".gitignore", "build/"), ("a.py", "changed"), ("lib/b.py", "b")]


def test_untracked_files_come_when_they_are_asked_for(work_tree):
    names = [path for path, _ in outcome(work_tree, untracked=True)]
    assert "build/out.py" in names and not any(name.startswith(".git/") for name in names)


def test_a_tracked_file_that_is_gone_is_refused_not_forgotten(work_tree):
    (work_tree / "a.py").unlink()
    assert ("a.py", "unreadable") in outcome(work_tree)


def test_a_repositorys_own_monitor_program_is_not_run(work_tree, tmp_path):
    program = tmp_path / "monitor"
    program.write_text(f"#!/bin/sh\ntouch {tmp_path}/was-run\n")
    program.chmod(0o755)
    git(work_tree, "config", "core.fsmonitor", str(program))
    assert len(outcome(work_tree)) == 3
    assert not (tmp_path / "was-run").exists()


@pytest.mark.parametrize(
    ("address", "name"),
    [
        ("https://github.com/owner/tool.git", "owner/tool"),
        ("git@github.com:owner/tool.git", "owner/tool"),
        ("https://user:word@git.example.com/owner/tool/", "owner/tool"),
        ("https://user:word@git.example.com", "tool"),
        ("/somewhere/local", "tool"),
    ],
)
def test_a_work_tree_is_named_by_its_origin_and_never_by_a_password(work_tree, address, name):
    git(work_tree, "remote", "add", "origin", address)
    assert open_source(str(work_tree)).repo_name == name


def test_folder_and_archive_name_the_repository_unless_the_user_does(tmp_path):
    root = tree(tmp_path / "tool", {"a.py": "1"})
    assert open_source(str(root)).repo_name == "tool"
    assert open_source(str(root), repo_name="me/mine").repo_name == "me/mine"


def test_a_single_file_is_a_source(tmp_path):
    root = tree(tmp_path / "src", {"a.py": "1"})
    assert outcome(root / "a.py") == [("a.py", "1")]


def test_licences_are_read_from_the_whole_source_whatever_is_selected(tmp_path):
    text = (Path(__file__).parents[3] / "LICENSE").read_text(encoding="utf-8")
    root = tree(tmp_path / "src", {"a.py": "1", "LICENSE": text})
    source = open_source(str(root), selection=Selection(include=("*.py",)))
    assert source.licenses() == {"": ("Apache-2.0",)}
    assert [entry.path for entry in source.read()] == ["a.py"]


def test_a_source_that_is_not_there_is_one_line():
    with pytest.raises(ConfigError, match=r"^nowhere: no such file or folder$"):
        open_source("nowhere")


def test_a_broken_work_tree_says_how_to_go_on(tmp_path):
    root = tree(tmp_path / "src", {"a.py": "1", ".git": "gitdir: /nowhere"})
    with pytest.raises(ConfigError, match="--untracked takes all files"):
        outcome(root)
