"""Heartbeats that can't be written."""

from __future__ import annotations

import aiohttp
import pytest

from jobs import storage
from jobs.ledger.heartbeat import HeartbeatWriter
from jobs.storage.folders import JobFolder


@pytest.mark.parametrize(
    ("error", "tracebacks"), [(aiohttp.ServerDisconnectedError(), 0), (OSError("full"), 0), (ValueError("a bug"), 1)]
)
def test_a_heartbeat_that_the_storage_does_not_take_is_one_line(tmp_path, monkeypatch, caplog, error, tracebacks):
    def fail(*args, **kwargs):
        raise error

    monkeypatch.setattr(storage, "write_bytes", fail)
    writer = HeartbeatWriter(JobFolder(str(tmp_path)), "s", lambda: (0, 0), dict)
    writer.start()
    writer.stop()
    assert "can't write the heartbeat" in caplog.text
    assert sum(record.exc_info is not None for record in caplog.records) == 2 * tracebacks
