"""Files of large folders: each is found once, whatever links lead to it, and compared with what it was."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from jobs.plan import news
from jobs.plan.footers import InputFile
from jobs.plan.input_paths import expand
from jobs.storage import file_info

MANY = 70  # more than are each asked whether they are links


@pytest.fixture
def folder(tmp_path) -> Path:
    (tmp_path / "in").mkdir()
    for number in range(MANY):
        (tmp_path / "in" / f"{number:02d}.parquet").write_bytes(b"%d" % number)
    return tmp_path


def test_a_link_to_a_file_of_a_large_folder_is_no_second_file(folder):
    plain = expand([str(folder / "in")])
    assert len(plain) == MANY
    (folder / "in" / "a_longer_name.parquet").symlink_to(folder / "in" / "00.parquet")
    assert expand([str(folder / "in")]) == plain


def test_a_large_folder_that_a_link_leads_to_is_no_second_folder(folder):
    plain = expand([str(folder / "in")])
    (folder / "a_longer_name").symlink_to(folder / "in")
    assert expand([str(folder / "in"), str(folder / "a_longer_name")]) == plain


@pytest.mark.parametrize("at_once_s", [0.0, 1.0], ids=["threads", "alone"])
def test_changed_files_are_found_with_threads_and_without(folder, monkeypatch, at_once_s):
    monkeypatch.setattr(news, "_AT_ONCE_S", at_once_s)
    uris = expand([str(folder / "in")])
    files = [InputFile(uri=uri, version=file_info(uri)[1]) for uri in uris]
    for number in (0, 40, MANY - 1):
        Path(uris[number]).write_bytes(b"another length")
    os.unlink(uris[3])
    found = news.compare(files, expand([str(folder / "in")]))
    assert [file.uri for file in found.changed] == [uris[0], uris[40], uris[MANY - 1]]
    assert [file.uri for file in found.gone] == [uris[3]] and len(found.same) == MANY - 4 and not found.new
