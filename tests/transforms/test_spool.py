from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from transforms.spool import TextSpool, scratch_folder


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


@given(st.lists(st.text(max_size=40), max_size=20), st.randoms())
def test_a_spool_gives_each_text_back_in_any_order(texts, draw):
    with tempfile.TemporaryDirectory() as folder:
        spool = TextSpool(folder)
        extents = [spool.add(text) for text in texts]
        spool.ready()
        for index in draw.sample(range(len(texts)), len(texts)):
            assert spool.read(extents[index]) == texts[index]
        spool.close()
