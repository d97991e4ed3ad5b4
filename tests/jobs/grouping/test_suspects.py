"""A file that kills the process that reads it is left out after the second time, and no other is."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import pytest

from jobs.grouping import ordering
from jobs.grouping.items import WriteItem
from jobs.grouping.reading import GroupSettings
from jobs.grouping.suspects import Suspects, died_reading
from transforms.row_pool import CRASHED

FILES = 6


def read_all(path, deadly):
    """Reads files in a process of its own, which ends at a deadly one; at its end it says which were left out."""
    left_out = []
    with Suspects(path) as suspects:
        for number in range(FILES):
            if suspects.is_cause(number):
                left_out.append(number)
                continue
            suspects.reading(number)
            if number in deadly:
                os._exit(3)
    assert suspects.causes == len(left_out)
    Path(f"{path}.out").write_text(repr(left_out))


def run(path, deadly):
    """Returns how the process ended, and what it left out."""
    process = multiprocessing.get_context("spawn").Process(target=read_all, args=(path, deadly))
    process.start()
    process.join()
    said = Path(f"{path}.out")
    return process.exitcode, said.read_text() if said.exists() else ""


def test_a_file_is_left_out_after_two_deaths(tmp_path):
    path = str(tmp_path / "item")
    assert not died_reading(path)
    ends = [run(path, {2, 4})[0] for _ in range(4)]
    assert ends == [3, 3, 3, 3] and died_reading(path)
    assert run(path, {2, 4}) == (0, "[2, 4]")
    assert not died_reading(path)


def test_a_file_whose_process_was_ended_once_for_another_reason_is_read(tmp_path):
    path = str(tmp_path / "item")
    assert run(path, {3})[0] == 3
    assert run(path, set()) == (0, "[]")


def test_a_record_goes_with_its_item(tmp_path):
    with Suspects(str(tmp_path / "item")) as suspects:
        suspects.reading(1)
    suspects.remove()
    suspects.remove()
    assert not list(tmp_path.iterdir())


class DyingPool:
    """A pool in which an item's process dies so many times before it begins."""

    def __init__(self, deaths):
        self.deaths = deaths

    def apply(self, method, items):
        self.deaths -= 1
        return lambda: [CRASHED if self.deaths >= 0 else "done"]


@pytest.mark.parametrize("deaths", [0, 1, 2, 3])
def test_an_item_whose_processes_die_before_they_begin_is_tried_three_times(tmp_path, deaths):
    writing = ordering._Writing(DyingPool(deaths), GroupSettings(), (), str(tmp_path), lambda *numbers: "output")
    item = WriteItem("output", (), (), str(tmp_path / "absent"))
    if deaths < 3:
        assert writing._apply("write", item)() == "done"
    else:
        with pytest.raises(RuntimeError, match="run the same command again"):
            writing._apply("write", item)()
