"""Heartbeats that can't be written."""

from __future__ import annotations

import time

import aiohttp
import pytest

from jobs import storage
from jobs.ledger import heartbeat
from jobs.ledger.heartbeat import HeartbeatWriter
from jobs.storage.folders import JobFolder, OutputFolder


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


def test_many_short_steps_of_a_process_write_one_heartbeat_a_period(tmp_path, monkeypatch):
    monkeypatch.setattr(heartbeat, "PERIOD_S", 0.2)
    job_dir = OutputFolder(str(tmp_path)).job
    writes, write = [], storage.write_bytes

    def counted(path, data, **more):
        writes.append(time.monotonic())
        write(path, data, **more)

    monkeypatch.setattr(storage, "write_bytes", counted)
    began = time.monotonic()
    while len(writes) < 4 and time.monotonic() < began + 60:
        with heartbeat.signs_of_life(job_dir):
            assert heartbeat.read_heartbeats(job_dir)
    assert len(writes) >= 4 and writes[3] - writes[1] >= 2 * 0.2
    before = len(writes)
    with heartbeat.signs_of_life(job_dir):  # and a long one isn't silent
        assert holds(lambda: len(writes) > before)
    assert holds(lambda: job_dir.path not in heartbeat._Signs._by_job), "the writer ends some time after the last step"


def holds(what) -> bool:
    """Whether something holds within a minute."""
    until = time.monotonic() + 60
    while not what() and time.monotonic() < until:
        time.sleep(0.02)
    return what()
