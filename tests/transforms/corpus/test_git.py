"""What git knows of a work tree is told as far as it may be published."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from transforms.corpus.git import provenance_of, public_url
from transforms.corpus.sources import open_source


def git(folder: Path, *words: str) -> str:
    who = ["-c", "user.name=A", "-c", "user.email=a@example.org", "-c", "init.defaultBranch=main"]
    done = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, check=True, text=True)
    return done.stdout.strip()


@pytest.fixture
def origin(tmp_path) -> Path:
    folder = tmp_path / "origin"
    folder.mkdir()
    git(folder, "init", "-q")
    (folder / "a.py").write_text("a = 1\n")
    git(folder, "add", "a.py")
    git(folder, "commit", "-qm", "A")
    return folder


@pytest.fixture
def clone(origin, tmp_path) -> Path:
    git(tmp_path, "clone", "-q", str(origin), "clone")
    return tmp_path / "clone"


@pytest.mark.parametrize(
    ("address", "url"),
    [
        ("https://github.com/owner/name.git", "https://github.com/owner/name"),
        ("https://user:word@github.com:8443/owner/name/?token=1", "https://github.com/owner/name"),
        ("ssh://git@gitlab.com/group/sub/name.git", "https://gitlab.com/group/sub/name"),
        ("git@GitHub.com:owner/name.git", "https://github.com/owner/name"),
        ("/home/someone/name.git", None),
        ("file:///home/someone/name.git", None),
        ("git@buildbox:name.git", None),
        ("https://[broken", None),
        ("", None),
    ],
)
def test_an_address_is_told_by_host_and_path_alone(address, url):
    assert public_url(address) == url


def test_a_clone_tells_its_commit_and_when_it_was_made(clone, origin):
    found = provenance_of(str(clone), "git@github.com:owner/name.git")
    assert found.revision_id == git(origin, "rev-parse", "HEAD")
    assert found.repo_url == "https://github.com/owner/name"
    assert found.retrieved_ms == 1000 * int(git(clone, "reflog", "--format=%gd", "--date=unix")[6:-1])


def test_a_fetch_is_a_later_retrieval(clone):
    git(clone, "fetch", "-q")
    os.utime(clone / ".git" / "FETCH_HEAD", (2_000_000_000, 2_000_000_000))
    assert provenance_of(str(clone), "").retrieved_ms == 2_000_000_000_000


def test_what_git_does_not_know_is_none(origin, tmp_path):
    assert provenance_of(str(origin), "").retrieved_ms is None  # made here, not retrieved
    empty = tmp_path / "empty"
    empty.mkdir()
    git(empty, "init", "-q")
    found = provenance_of(str(empty), "")
    assert (found.revision_id, found.repo_url, found.retrieved_ms) == (None, None, None)


def test_files_that_git_does_not_track_have_no_commit(clone):
    assert open_source(str(clone)).provenance.revision_id is not None
    assert open_source(str(clone), untracked=True).provenance.revision_id is None


def test_a_time_of_retrieval_that_is_given_goes_before_others(clone, tmp_path):
    archive = tmp_path / "a.zip"
    archive.write_bytes(b"PK\x05\x06" + bytes(18))
    os.utime(archive, (1_900_000_000, 1_900_000_000))
    assert open_source(str(archive)).provenance.retrieved_ms == 1_900_000_000_000
    assert open_source(str(archive), retrieved_at=5).provenance.retrieved_ms == 5
    assert open_source(str(clone), retrieved_at=5).provenance.retrieved_ms == 5
