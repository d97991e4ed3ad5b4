"""Remote storage: the file system behind a URL, whether it can be reached, and whether a bucket exists.

gcsfs repeats failed requests for up to a minute each, which is right in the middle of a job and wrong at its start,
where a name that can't be resolved or a network that drops everything is a mistake in the setup. `check_reachable`
therefore sends one request before anything else. Any answer will do, including an error: it proves that there is a
server, and later errors are repeated as usual. The request is anonymous, because the search for credentials itself
waits for servers that may not exist. It is written to a plain socket, so that no command has to load an HTTP client
(0.2 s) that it doesn't need.
"""

from __future__ import annotations

import contextlib
import errno
import logging
import os
import socket
import ssl
import threading
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import SplitResult, quote, urlsplit

import fsspec

from model.errors import ConfigError

# Without this, gcsfs queries each bucket's layout before an operation, which may stall for half a minute each time
# outside Google's network. gcsfs reads the variable when it is imported.
os.environ.setdefault("GCSFS_EXPERIMENTAL_ZB_HNS_SUPPORT", "false")

# gcsfs logs each request that it gives up on with a traceback and then raises the same error, which gets one line.
if "GCSFS_DEBUG" not in os.environ:
    logging.getLogger("gcsfs").setLevel(logging.CRITICAL)

FIRST_ANSWER_S = 8.0
_PAUSES_S = (0.5, 1.0, 2.0)  # before each repetition of a first request that failed at once
_GCS = ("gs", "gcs")


def file_system(path: str) -> Any:
    """The fsspec file system of a URL. Listings are never cached: other processes write here too."""
    scheme = path.split("://", 1)[0]
    # An emulator has no accounts, and searching for credentials takes long if there are none.
    account = {"token": "anon"} if scheme in _GCS and os.environ.get("STORAGE_EMULATOR_HOST") else {}
    try:
        return fsspec.filesystem(scheme, use_listings_cache=False, **account)
    except (ValueError, ImportError) as error:
        raise ConfigError(f"{path}: storage scheme {scheme}:// is not supported ({error})") from error


def bucket_exists(path: str) -> bool | None:
    """Whether the bucket of a `gs://` URL exists: one listing of one object. None: can't tell."""
    if path.split("://", 1)[0] not in _GCS:
        return None
    files = file_system(path)
    try:
        # Listing needs fewer permissions than reading the bucket's own properties.
        files.call("GET", "b/{}/o", _bucket(path), maxResults=1)
    except FileNotFoundError:
        return False
    except Exception:  # no permission, no answer: neither says that the bucket is missing
        return None
    return True


def check_reachable(paths: Iterable[str], *, limit_s: float = FIRST_ANSWER_S) -> None:
    """Checks that the storage of the `gs://` URLs among `paths` answers; local paths cost nothing.

    Raises:
        ConfigError: There was no answer within `limit_s` seconds.
    """
    remote = [path for path in paths if path.split("://", 1)[0] in _GCS]
    if not remote:
        return
    base = fsspec.filesystem("gs", token="anon").base
    contact = _FirstContact(f"{base}b/{quote(_bucket(remote[0]), safe='')}?fields=name", limit_s)
    if fault := contact.fault():
        raise ConfigError(
            f"can't reach {remote[0]}: {urlsplit(base).netloc} does not answer ({fault}); check the network and "
            "STORAGE_EMULATOR_HOST, then run the same command again"
        )


def _bucket(path: str) -> str:
    return path.split("://", 1)[1].partition("/")[0]


class _FirstContact:
    """Requests a URL until anything answers, in a thread that nobody has to wait for: a resolver can't be stopped."""

    def __init__(self, url: str, limit_s: float):
        self._url = url
        self._limit_s = limit_s
        self._end = time.monotonic() + limit_s
        self._last = "connecting takes too long"
        self._answered = threading.Event()
        self._over = threading.Event()

    def fault(self) -> str | None:
        """Why there is no answer; None if there was one."""
        threading.Thread(target=self._try_all, name="first-contact", daemon=True).start()
        self._over.wait(self._limit_s + 0.5)
        return None if self._answered.is_set() else self._last

    def _try_all(self) -> None:
        for pause_s in (*_PAUSES_S, 0.0):
            try:
                self._request(urlsplit(self._url))
            except ssl.SSLError:
                pass  # a server answered; what is wrong with its certificate is told by the first real request
            except TimeoutError:
                self._last = f"nothing within {self._limit_s:.0f} s"
                break
            except (OSError, ValueError) as error:
                self._last = _reason(error)
                if time.monotonic() + pause_s >= self._end:
                    break
                time.sleep(pause_s)
                continue
            self._answered.set()
            break
        self._over.set()

    def _request(self, url: SplitResult) -> None:
        """Sends the request to each address of the host until one answers. Raises what the last one failed with."""
        self._last = "its name is not resolved in time"
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self._last = "connecting takes too long"
        request = f"GET {url.path}?{url.query} HTTP/1.1\r\nHost: {url.netloc}\r\nConnection: close\r\n\r\n".encode()
        failure: OSError = OSError(errno.EADDRNOTAVAIL, os.strerror(errno.EADDRNOTAVAIL))
        for family, kind, protocol, _, address in found:
            try:
                with contextlib.ExitStack() as opened:
                    connection = opened.enter_context(socket.socket(family, kind, protocol))
                    self._set_timeout(connection)
                    connection.connect(address)
                    if url.scheme == "https":
                        context = ssl.create_default_context()
                        connection = opened.enter_context(context.wrap_socket(connection, server_hostname=host))
                    connection.sendall(request)
                    self._set_timeout(connection)
                    if connection.recv(1):
                        return
                failure = ConnectionResetError(errno.ECONNRESET, os.strerror(errno.ECONNRESET))
            except (ssl.SSLError, TimeoutError):
                raise
            except OSError as error:
                failure = error
        raise failure

    def _set_timeout(self, connection: socket.socket) -> None:
        connection.settimeout(max(0.1, self._end - time.monotonic()))


def _reason(error: BaseException) -> str:
    """The operating system's words, if there are any."""
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:  # a resolver's errors have negative numbers
        return os.strerror(number)
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
