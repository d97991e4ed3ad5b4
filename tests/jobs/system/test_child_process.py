from __future__ import annotations

import os
import tempfile

import pytest

from jobs.execution import child
from jobs.system import child_process
from jobs.system.child_process import ChildProcess, end_ahead, new_child, next_ahead, started_ahead, tell_ahead


class FakeChild(ChildProcess):
    """A child without a process."""

    def __init__(self) -> None:
        self._environment = child_process.own_environment()
        self.sent: list[object] = []
        self.is_closed = False

    def send(self, value) -> None:
        self.sent.append(value)

    def close(self) -> None:
        self.is_closed = True


@pytest.fixture
def fake_children(monkeypatch):
    monkeypatch.setattr(child_process, "ChildProcess", FakeChild)


def test_a_child_that_was_started_ahead_is_taken_once_and_is_told_what_has_changed(fake_children, monkeypatch):
    monkeypatch.setenv("CODEMILL_OLD", "gone soon")
    with started_ahead(["json.tool"]):
        monkeypatch.setenv("TMPDIR", "/new")
        monkeypatch.delenv("CODEMILL_OLD")
        first, second = new_child(), new_child()
    assert isinstance(first, FakeChild) and isinstance(second, FakeChild)
    assert first.sent == [{"preload": ["json.tool"]}, {"environment": {"TMPDIR": "/new", "CODEMILL_OLD": None}}]
    assert second.sent == [] and not first.is_closed


def test_a_child_that_was_started_ahead_and_not_taken_is_ended(fake_children):
    with started_ahead([]):
        (waiting,) = child_process._ahead
    assert isinstance(waiting, FakeChild) and waiting.is_closed
    assert not child_process._ahead


def test_children_that_were_started_ahead_are_taken_in_turn_with_the_environment_they_are_to_have(fake_children):
    with started_ahead(["json.tool"], 3):
        first = new_child()
        tell_ahead({"prepare": "orders"})
        second = next_ahead({"CODEMILL_NEW": "1"})
        (third,) = child_process._ahead
        end_ahead()
        assert next_ahead() is None
    assert first.sent == [{"preload": ["json.tool"]}]
    assert second.sent[:2] == [{"preload": ["json.tool"]}, {"prepare": "orders"}]
    assert second.sent[2]["environment"]["CODEMILL_NEW"] == "1" and second._environment == {"CODEMILL_NEW": "1"}
    assert third.sent[1:] == [{"prepare": "orders"}]
    assert [one.is_closed for one in (first, second, third)] == [False, False, True]


def test_a_child_adopts_its_parents_environment(monkeypatch):
    monkeypatch.setenv("CODEMILL_OLD", "1")
    monkeypatch.setenv("TMPDIR", "/old")
    monkeypatch.setattr(tempfile, "tempdir", "/old")
    child._adopt({"TMPDIR": "/new", "CODEMILL_OLD": None})
    assert os.environ["TMPDIR"] == "/new" and "CODEMILL_OLD" not in os.environ
    assert tempfile.tempdir is None


@pytest.mark.reading_child
@pytest.mark.parametrize("modules", [[], ["no_such_module"]])
def test_a_child_started_ahead_answers_like_any_even_if_an_import_fails(modules):
    with started_ahead(modules):
        found = new_child()
        found.send({"read": [[0, "/there/is/none.parquet", "none.parquet"]]})
        said = found.hear(60)
        found.close()
    assert said is not None and [number for number, _ in said["answers"]] == [0]
