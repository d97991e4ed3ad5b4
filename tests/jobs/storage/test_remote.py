"""Buckets that can't be reached, that don't exist, or that forget an upload."""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
import time

import pytest

from jobs import storage
from jobs.errors import UploadLost
from jobs.storage import first_contact, remote
from model.errors import ConfigError
from tests.fault_proxy import FaultProxy
from tests.jobs.uppercase import ROOT

LARGE = 12 << 20  # three requests of an upload session


@pytest.fixture
def proxy(gcs_emulator, monkeypatch):
    made = FaultProxy(gcs_emulator, share=0.0)
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", made.url)
    yield made
    made.close()


def write(path: str, data: bytes) -> None:
    with storage.open_output(path) as file:
        for begin in range(0, len(data), 1 << 20):
            file.write(data[begin : begin + (1 << 20)])


# --- uploads -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("faults", [["session_gone"], ["", "session_gone"], ["", "session_gone_after"]])
def test_an_upload_whose_session_is_gone_is_lost_and_not_a_missing_bucket(gcs_root, proxy, faults):
    proxy.for_sessions = faults
    with pytest.raises(UploadLost, match=f"the storage no longer knows the upload of {gcs_root}/x"):
        write(f"{gcs_root}/x", os.urandom(LARGE))
    assert not storage.exists(f"{gcs_root}/x")


def test_a_lost_upload_is_repeated_under_a_new_name(gcs_root, proxy):
    proxy.for_sessions = ["", "session_gone", "", "session_gone_after"]
    data, paths = os.urandom(LARGE), []

    def attempt() -> str:
        paths.append(f"{gcs_root}/{len(paths)}")
        write(paths[-1], data)
        return paths[-1]

    assert storage.with_new_attempts(attempt) == f"{gcs_root}/2"
    assert storage.read_bytes(paths[2]) == data


def test_an_upload_that_is_lost_every_time_ends_the_attempts():
    calls = []

    def attempt() -> None:
        calls.append(1)
        raise UploadLost("x")

    with pytest.raises(UploadLost):
        storage.with_new_attempts(attempt)
    assert 1 < len(calls) < 20


def test_an_upload_of_which_only_the_last_answer_is_lost_is_complete(gcs_root, proxy):
    data = os.urandom(LARGE)
    proxy.for_sessions = ["", "", "session_gone_after"]
    write(f"{gcs_root}/x", data)
    assert proxy.faults["session_gone_after"] == 1
    assert storage.read_bytes(f"{gcs_root}/x") == data


def test_a_chunk_that_is_sent_again_after_a_lost_answer_is_stored_once(gcs_root, proxy):
    data = os.urandom(LARGE)
    proxy.for_sessions = ["reset_after", "unavailable_after"]
    write(f"{gcs_root}/x", data)
    assert storage.read_bytes(f"{gcs_root}/x") == data


def test_an_upload_into_a_missing_bucket_is_the_users_mistake(gcs_emulator):
    with pytest.raises(ConfigError, match="does the bucket exist"):
        write("gs://no-such-bucket-here/x", os.urandom(LARGE))
    with pytest.raises(ConfigError, match="does the bucket exist"):
        storage.glob("gs://no-such-bucket-here/*.parquet")


def test_whether_a_bucket_exists_is_known_or_open(gcs_root, proxy, monkeypatch):
    assert remote.bucket_exists(f"{gcs_root}/any/thing") is True
    assert remote.bucket_exists("gs://no-such-bucket-here/x") is False

    def forbidden(*args, **kwargs):
        raise OSError("Forbidden: b/x/o")

    monkeypatch.setattr(remote, "file_system", lambda path: type("Files", (), {"call": staticmethod(forbidden)}))
    assert remote.bucket_exists("gs://private/x") is None
    assert remote.bucket_exists("s3://other/x") is None


# --- first contact -----------------------------------------------------------------------------------


@contextlib.contextmanager
def server(answer):
    """A server at an address of this machine that does with each connection what `answer` does."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            with contextlib.suppress(OSError):
                while True:
                    connection, _ = listening.accept()
                    threading.Thread(target=answer, args=(connection,), daemon=True).start()

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"


def closed_port() -> str:
    with socket.create_server(("127.0.0.1", 0)) as listening:
        return f"http://127.0.0.1:{listening.getsockname()[1]}"


def answer_with(status: str, delay_s: float = 0.0, requests: list[bytes] | None = None):
    """Answers each request with `status`; `requests` takes what was asked."""

    def answer(connection) -> None:
        with connection:
            request = connection.recv(65536)
            if requests is not None:
                requests.append(request)
            time.sleep(delay_s)
            connection.sendall(f"HTTP/1.1 {status}\r\nContent-Length: 0\r\n\r\n".encode())

    return answer


@pytest.mark.parametrize("status", ["200 OK", "401 Unauthorized", "404 Not Found", "429 Busy", "503 Unavailable"])
def test_any_answer_proves_that_a_bucket_can_be_reached(monkeypatch, status):
    requests: list[bytes] = []
    with server(answer_with(status, requests=requests)) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        storage.check_reachable(["gs://b/x"])
    assert requests


def test_a_slow_answer_is_an_answer(monkeypatch):
    requests: list[bytes] = []
    with server(answer_with("200 OK", delay_s=1.5, requests=requests)) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        storage.check_reachable(["/local", "gs://b/x"])
    assert requests


def test_a_first_connection_that_is_reset_is_repeated(gcs_root, proxy):
    proxy.share, proxy._kinds = 1.0, ("reset",)

    def heal() -> None:
        while not proxy.requests:
            time.sleep(0.01)
        proxy.share = 0.0

    threading.Thread(target=heal, daemon=True).start()
    storage.check_reachable([f"{gcs_root}/x"])
    assert proxy.requests >= 2


def test_a_server_that_never_answers_is_one_line(monkeypatch):
    with server(lambda connection: time.sleep(30)) as url:
        monkeypatch.setenv("STORAGE_EMULATOR_HOST", url)
        with pytest.raises(ConfigError, match=r"can't reach gs://b/x: 127.0.0.1:\d+ does not answer \(nothing within"):
            storage.check_reachable(["gs://b/x"], limit_s=1.0)


def test_a_port_that_refuses_is_one_line(monkeypatch):
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", closed_port())
    with pytest.raises(ConfigError, match=r"does not answer \(Connection refused\); check the network"):
        storage.check_reachable(["gs://b/x"], limit_s=1.0)


def test_a_name_that_is_never_resolved_is_one_line(monkeypatch):
    def hang(*args, **kwargs):
        resolved.wait()
        raise socket.gaierror(socket.EAI_NONAME, "no such name")

    resolved = threading.Event()
    monkeypatch.setenv("STORAGE_EMULATOR_HOST", "http://storage.invalid")
    monkeypatch.setattr(socket, "getaddrinfo", hang)
    with pytest.raises(ConfigError, match=r"storage.invalid does not answer \(its name is not resolved in time\)"):
        storage.check_reachable(["gs://b/x"], limit_s=0.5)
    resolved.set()


def test_local_paths_are_not_asked_for(monkeypatch):
    monkeypatch.setattr(first_contact, "FirstContact", None)
    storage.check_reachable(["/a", "file:///b", "relative", "s3://b/x"])


@pytest.mark.parametrize("option", ["--input", "--output"])
def test_a_command_on_a_bucket_that_cant_be_reached_ends_with_one_line(tmp_path, option):
    paths = {"--input": str(tmp_path), "--output": str(tmp_path / "out"), option: "gs://bucket/x"}
    flags = [word for pair in paths.items() for word in pair]
    done = subprocess.run(
        [sys.executable, "-m", "jobs", "filter", *flags],
        env={**os.environ, "STORAGE_EMULATOR_HOST": closed_port(), "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 2
    assert done.stderr.startswith("codemill filter: error: can't reach gs://bucket/x: ")
    assert done.stderr.count("\n") == 1
