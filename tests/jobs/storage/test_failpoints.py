from __future__ import annotations

import errno
import subprocess
import sys

import pytest

from jobs.ledger.commits import AFTER_ATTEMPT
from jobs.storage import failpoints
from model.errors import ConfigError


@pytest.fixture(autouse=True)
def fresh_counts():
    failpoints._hits.clear()


def test_a_failpoint_without_the_variable_does_nothing(monkeypatch):
    monkeypatch.delenv(failpoints.VARIABLE, raising=False)
    failpoints.failpoint(AFTER_ATTEMPT)


def test_only_the_named_failpoint_fires_at_the_nth_time_and_once(monkeypatch):
    monkeypatch.setenv(failpoints.VARIABLE, f"{AFTER_ATTEMPT}:2=raise")
    failpoints.failpoint("commit.before_attempt")
    failpoints.failpoint(AFTER_ATTEMPT)
    with pytest.raises(failpoints.InjectedFault):
        failpoints.failpoint(AFTER_ATTEMPT)
    failpoints.failpoint(AFTER_ATTEMPT)


def test_a_full_disk_can_be_played(monkeypatch):
    monkeypatch.setenv(failpoints.VARIABLE, f"{AFTER_ATTEMPT}=enospc")
    with pytest.raises(OSError) as caught:
        failpoints.failpoint(AFTER_ATTEMPT)
    assert caught.value.errno == errno.ENOSPC


def test_kill_leaves_no_time_for_anything():
    program = (
        "from jobs.storage.failpoints import failpoint\ntry: failpoint('x')\nfinally: print('too late', flush=True)"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], env={failpoints.VARIABLE: "x=kill", "PYTHONPATH": "."}, capture_output=True
    )
    assert (done.returncode, done.stdout) == (-9, b"")


@pytest.mark.parametrize("setting", ["x=explode", "=kill", "x:first=kill", "x"])
def test_a_setting_that_means_nothing_is_refused(monkeypatch, setting):
    monkeypatch.setenv(failpoints.VARIABLE, setting)
    with pytest.raises(ConfigError, match="expected NAME"):
        failpoints.failpoint("x")


def test_every_failpoint_can_be_enumerated():
    assert AFTER_ATTEMPT in failpoints.names("commit.")
    assert all(name.startswith("commit.") for name in failpoints.names("commit."))
