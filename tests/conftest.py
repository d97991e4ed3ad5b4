"""Fixtures that tests of several layers share."""

from __future__ import annotations

import signal
from typing import Any

import pytest
from hypothesis import settings

from tests.dataflow import submission  # noqa: F401
from tests.gcs import gcs_emulator, gcs_root  # noqa: F401 (pytest finds fixtures by name)

# No test asserts how long something takes: a loaded machine is no fault of the code.
settings.register_profile("codemill", deadline=None)
settings.load_profile("codemill")

# A shell starts what it puts in the background with Ctrl-C ignored, and every child would inherit that: the tests that
# interrupt a job would wait for nothing.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Any) -> Any:
    """Groups of tests for `--dist loadgroup`; any other way stays xdist's."""
    if config.getoption("dist") != "loadgroup":
        return None
    from tests.groups import Scheduling  # xdist isn't needed where one process runs all

    return Scheduling(config, log)
