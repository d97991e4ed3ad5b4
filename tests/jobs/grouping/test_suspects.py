"""A file that kills the process that reads it is left out after the second time, and no other is."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

from jobs.grouping.suspects import Suspects, died_reading

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
