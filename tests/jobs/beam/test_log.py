"""Which of Beam's messages a user sees."""

from __future__ import annotations

import logging
import sys

import aiohttp
import pytest

from jobs.beam.log import quiet_beam
from model.errors import ConfigError


@pytest.mark.parametrize(
    ("error", "is_shown"),
    [(ConfigError("told"), False), (aiohttp.ServerDisconnectedError(), False), (ValueError("a bug"), True)],
)
def test_only_bugs_keep_their_tracebacks(caplog, error, is_shown):
    quiet_beam()
    try:
        raise error
    except Exception:
        logging.getLogger("apache_beam.runners.common").error("failed", exc_info=sys.exc_info())
    assert ("failed" in caplog.text) is is_shown
