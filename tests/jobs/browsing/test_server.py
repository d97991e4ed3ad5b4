"""How the server of `codemill browse` ends."""

from __future__ import annotations

import http.client
import os
import signal
import threading
from urllib.parse import urlsplit

import pytest

pytest.importorskip("duckdb", reason="the extra browse is not installed")

from jobs.browsing.server import serve
from jobs.browsing.store import Store
from model.errors import ConfigError


def test_a_signal_ends_a_search_that_is_running(dataset, tmp_path, monkeypatch):
    store, interrupted, outcomes = Store(str(dataset), 64, str(tmp_path)), threading.Event(), []

    def page(asked):
        os.kill(os.getpid(), signal.SIGINT)
        outcomes.append(interrupted.wait(timeout=30))
        raise ConfigError("ended")

    def ask(address: str) -> None:
        parts = urlsplit(address)
        cookie = f"codemill_browse_{parts.port}={parts.query.removeprefix('token=')}"
        connection = http.client.HTTPConnection("127.0.0.1", parts.port, timeout=60)
        connection.request("GET", "/", headers={"Cookie": cookie})
        connection.getresponse().read()
        connection.close()

    monkeypatch.setattr(store, "page", page)
    monkeypatch.setattr(store, "interrupt", interrupted.set)
    serve(store, 0, lambda address: threading.Thread(target=ask, args=(address,), daemon=True).start())
    assert outcomes == [True]
