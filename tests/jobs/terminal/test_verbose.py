"""`--verbose`, and warnings beside `--log_file`."""

from __future__ import annotations

import contextlib
import logging
import os

import pytest

from jobs.terminal.log_file import log_kept
from jobs.terminal.verbose import log_as_parent, more_told


@contextlib.contextmanager
def no_handlers():
    """As in a command: no handler but Python's own; pytest has some while a test runs."""
    root = logging.getLogger()
    before, root.handlers = root.handlers, []
    try:
        yield
        assert root.handlers == []
    finally:
        root.handlers = before


@pytest.mark.parametrize("is_wanted", [False, True])
def test_what_is_logged_below_warnings_is_printed_only_if_it_is_wanted(capsys, is_wanted):
    log = logging.getLogger("jobs.test")
    with no_handlers(), more_told(is_wanted):
        log.info("compiled")
        logging.getLogger("another.package").info("not ours")
        assert bool(os.environ.get("CODEMILL_VERBOSE")) == is_wanted, "children are told"
    with no_handlers():
        log.info("later")
    assert capsys.readouterr().err == ("compiled\n" if is_wanted else "")
    assert "CODEMILL_VERBOSE" not in os.environ


def test_a_worker_logs_as_much_as_its_parent(monkeypatch):
    log = logging.getLogger("transforms.test")
    monkeypatch.setattr(logging.getLogger("transforms"), "level", logging.NOTSET)
    log_as_parent()
    assert not log.isEnabledFor(logging.INFO)
    with more_told(True):
        log_as_parent()
        assert log.isEnabledFor(logging.INFO)


def test_warnings_are_printed_and_kept(tmp_path, capsys):
    with no_handlers(), log_kept(str(tmp_path / "log")):
        logging.getLogger("jobs.test").warning("the worker died")
    assert capsys.readouterr().err == "the worker died\n"
    assert "the worker died (WARNING, jobs.test)" in (tmp_path / "log").read_text()
