"""Fixtures of the job framework's tests."""

from __future__ import annotations

import contextlib
import os
import subprocess
from collections.abc import Iterator

import pytest

from jobs.driver.runners import LocalRunner
from tests.jobs import uppercase


@pytest.fixture(autouse=True)
def _footers_are_read_here(request, monkeypatch):
    """A child for each of hundreds of small jobs would take minutes; tests of the child ask for it by its marker."""
    if request.node.get_closest_marker("reading_child"):
        return
    monkeypatch.setattr(LocalRunner, "read_footers", lambda self, files: uppercase.read_here(files))
    monkeypatch.setattr(LocalRunner, "prepare", lambda self, orders: None)
    monkeypatch.setattr(LocalRunner, "sample", lambda self, *asked: uppercase.sample_here(*asked))
    monkeypatch.setattr("jobs.plan.inputs.open_reader", lambda: contextlib.nullcontext(uppercase.read_here))


@pytest.fixture
def full_disk(tmp_path) -> Iterator[str]:
    """A mounted disk of 256 KB, soon full."""
    folder = tmp_path / "disk"
    folder.mkdir()
    if os.geteuid() != 0:
        pytest.skip("mounting a small disk needs root")
    done = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=256k", "tmpfs", str(folder)], capture_output=True)
    if done.returncode:
        pytest.skip(f"no small disk can be mounted here: {done.stderr.decode().strip()}")
    yield str(folder)
    subprocess.run(["umount", "-l", str(folder)], check=True)
