"""A proxy before a GCS emulator that injects faults, and that keeps upload sessions as the real service does.

    client -> proxy -> emulator           every fifth request, say, meets one of `FAULTS`

Two behaviors of the real service that the emulator lacks are added: bytes of an upload that are sent again after a
lost answer are not appended twice, and a complete upload that is asked for again answers with its object.
"""

from __future__ import annotations

import http.client
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

FAULTS = ("reset", "too_many", "internal", "unavailable", "truncated", "slow", "session_gone", "unauthorized")
_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "host", "accept-encoding"}
_RANGE = re.compile(r"bytes (\d+)-(\d+)/(\d+|\*)")
_REFUSALS = {
    "too_many": (429, "rate limit exceeded"),
    "internal": (500, "backend error"),
    "unavailable": (503, "service unavailable"),
    "unauthorized": (401, "Invalid Credentials"),
    "session_gone": (404, "upload session not found"),
}


@dataclass
class Answer:
    status: int
    headers: list[tuple[str, str]]
    body: bytes


@dataclass
class _Session:
    """An upload session: the bytes that the emulator has, its last answer, and whether the service has forgotten it."""

    persisted: int = 0
    answer: Answer | None = None
    is_gone: bool = False
    lock: threading.Lock = field(default_factory=threading.Lock)


class FaultProxy:
    """Serves on `url` until `close`; `requests` and `faults` count what passed.

    Args:
        upstream: The emulator's URL.
        share: Share of the requests that meet a fault.
        seed: Of the generator that draws them.
        kinds: The faults to draw from.
        slow_s: How long a slow answer takes, in seconds.
    """

    def __init__(
        self, upstream: str, *, share: float = 0.2, seed: int = 0, kinds: Iterable[str] = FAULTS, slow_s: float = 1.0
    ):
        self.share = share
        self.for_sessions: list[str] = []
        """What the next requests of upload sessions meet: "", or a fault, with `_after` if it takes effect first."""
        self.requests = 0
        self.faults: Counter[str] = Counter()
        self._kinds = tuple(kinds)
        self._slow_s = slow_s
        self._upstream = urlsplit(upstream).netloc
        self._draw = random.Random(seed)
        self._lock = threading.Lock()
        self._sessions: dict[str, _Session] = {}
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_any(self) -> None:
                proxy.handle(self)

            do_GET = do_POST = do_PUT = do_DELETE = do_PATCH = handle_any

            def log_message(self, *args) -> None:
                pass

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 256

            def handle_error(self, request, client_address) -> None:
                pass  # a killed client

        self._server = Server(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_port}"
        threading.Thread(target=self._server.serve_forever, name="fault-proxy", daemon=True).start()

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()

    def wait_for(self, requests: int, *, unless: Callable[[], bool]) -> None:
        """Waits until so many requests have passed, or until `unless` is true."""
        while self.requests < requests and not unless():
            time.sleep(0.01)

    def handle(self, client: BaseHTTPRequestHandler) -> None:
        """Passes one request on, or lets it fail."""
        body = client.rfile.read(int(client.headers.get("Content-Length") or 0))
        upload_id = parse_qs(urlsplit(client.path).query).get("upload_id", [""])[0]
        fault, is_after = self._next_fault(client.command, is_session=bool(upload_id))
        if fault in _REFUSALS and not is_after:
            if fault == "session_gone":
                self._session(upload_id).is_gone = True
            return self._refuse(client, fault)
        if fault == "reset" and not is_after:
            return self._drop(client)
        if fault == "slow":
            time.sleep(self._slow_s)
        answer = self._ask(client, body, upload_id)
        if fault == "session_gone":  # the request took effect, its answer is lost, and so is the session
            self._session(upload_id).is_gone = True
            return self._drop(client)
        if fault == "reset":
            return self._drop(client)
        if fault in _REFUSALS:
            return self._refuse(client, fault)
        self._send(client, answer, cut=fault == "truncated" and len(answer.body) > 1)

    def _next_fault(self, method: str, *, is_session: bool) -> tuple[str | None, bool]:
        """The fault of the next request, if it meets one, and whether the request takes effect all the same."""
        with self._lock:
            self.requests += 1
            if is_session and self.for_sessions:
                fault = self.for_sessions.pop(0)
                self.faults[fault] += 1
                return fault.removesuffix("_after") or None, fault.endswith("_after")
            if self._draw.random() >= self.share:
                return None, False
            # Requests of upload sessions are few, so half of their faults are the one that only they can meet.
            kinds = [kind for kind in self._kinds if is_session or kind != "session_gone"]
            if is_session and "session_gone" in kinds and self._draw.random() < 0.5:
                kinds = ["session_gone"]
            if not kinds:
                return None, False
            fault = self._draw.choice(kinds)
            is_after = fault in ("reset", "unavailable", "session_gone") and self._draw.random() < 0.5
            self.faults[fault + ("_after" if is_after else "")] += 1
            return fault, is_after

    def _session(self, upload_id: str) -> _Session:
        with self._lock:
            return self._sessions.setdefault(upload_id, _Session())

    def _ask(self, client: BaseHTTPRequestHandler, body: bytes, upload_id: str) -> Answer:
        if not upload_id or client.command == "DELETE":
            return self._forward(client, body)
        session = self._session(upload_id)
        with session.lock:
            if session.is_gone:
                return _error(*_REFUSALS["session_gone"])
            found = _RANGE.fullmatch(client.headers.get("Content-Range", ""))
            if session.answer is not None and (not found or int(found[2]) < session.persisted):
                return session.answer  # sent again: nothing is appended
            session.answer = self._forward(client, body)
            if found and session.answer.status < 400:
                session.persisted = int(found[2]) + 1
            return session.answer

    def _forward(self, client: BaseHTTPRequestHandler, body: bytes) -> Answer:
        connection = http.client.HTTPConnection(self._upstream, timeout=60)
        try:
            headers = {name: value for name, value in client.headers.items() if name.lower() not in _HOP}
            connection.request(client.command, client.path, body, headers)
            answer = connection.getresponse()
            content = answer.read()
            kept = [
                (name, value.replace(f"http://{self._upstream}", self.url))
                for name, value in answer.getheaders()
                if name.lower() not in _HOP
            ]
            return Answer(answer.status, kept, content)
        finally:
            connection.close()

    def _refuse(self, client: BaseHTTPRequestHandler, fault: str) -> None:
        self._send(client, _error(*_REFUSALS[fault]))

    def _send(self, client: BaseHTTPRequestHandler, answer: Answer, *, cut: bool = False) -> None:
        client.send_response_only(answer.status)
        for name, value in answer.headers:
            client.send_header(name, value)
        client.send_header("Content-Length", str(len(answer.body)))
        client.end_headers()
        client.wfile.write(answer.body[: len(answer.body) // 2] if cut else answer.body)
        if cut:
            self._drop(client)

    def _drop(self, client: BaseHTTPRequestHandler) -> None:
        client.close_connection = True
        with suppress(OSError):
            client.connection.shutdown(2)


def _error(status: int, message: str) -> Answer:
    body = json.dumps({"error": {"code": status, "message": message}}).encode()
    return Answer(status, [("Content-Type", "application/json")], body)
