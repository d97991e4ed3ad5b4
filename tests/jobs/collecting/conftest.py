"""Small chunks, workers from the first file on, and a way to have workers do what no file should make them do."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.collecting import chunks, collect


@pytest.fixture
def small_chunks(monkeypatch):
    """Workers are started at once, and work on chunks of four files."""
    monkeypatch.setattr(chunks, "CHUNK_FILES", 4)
    monkeypatch.setattr(collect, "START_FILES", 0)
    monkeypatch.setattr(collect, "START_ARCHIVE_BYTES", 0)


@pytest.fixture
def in_workers(monkeypatch, tmp_path):
    """Has each worker run some code before it starts."""

    def install(code: str) -> Path:
        folder = tmp_path / "site"
        folder.mkdir()
        guarded = "".join(f"    {line}\n" for line in code.splitlines())
        (folder / "sitecustomize.py").write_text(
            f"import sys\nif 'jobs.collecting.child' in sys.orig_argv:\n    import os, signal, time\n{guarded}"
        )
        monkeypatch.setenv("PYTHONPATH", os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")]))
        return folder

    return install


@pytest.fixture
def no_work_here(monkeypatch):
    """Nothing is done in this process: it waits for the workers."""
    monkeypatch.setattr("jobs.collecting.workers.Workers.is_ready", property(until_ready))


def until_ready(workers) -> bool:
    while workers.is_started and not any(worker.is_ready for worker in workers._workers):
        workers.wait()
    return workers.is_started
