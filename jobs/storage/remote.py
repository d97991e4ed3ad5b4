"""Remote storage: the file system behind a URL, whether it can be reached, and whether a bucket exists.

gcsfs repeats failed requests for up to a minute each, which is right in the middle of a job and wrong at its start,
where a name that can't be resolved or a network that drops everything is a mistake in the setup. `check_reachable`
therefore sends one request before anything else. Any answer will do, including an error: it proves that there is a
server, and later errors are repeated as usual. The request is anonymous, because the search for credentials itself
waits for servers that may not exist.
"""

from __future__ import annotations

import asyncio
import logging
import os
import socket
import threading
import time
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote, urlsplit

import aiohttp
import aiohttp.abc
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
                asyncio.run(self._request(self._addresses()))
            except aiohttp.ClientSSLError:
                pass  # a server answered; what is wrong with its certificate is told by the first real request
            except TimeoutError:
                self._last = f"nothing within {self._limit_s:.0f} s"
                break
            except (OSError, ValueError, aiohttp.ClientError) as error:
                self._last = _reason(error)
                if time.monotonic() + pause_s >= self._end:
                    break
                time.sleep(pause_s)
                continue
            self._answered.set()
            break
        self._over.set()

    def _addresses(self) -> list[aiohttp.abc.ResolveResult]:
        """Resolves the name here: the event loop would do so in a thread for which the interpreter waits at its end."""
        self._last = "its name is not resolved in time"
        url = urlsplit(self._url)
        host, port = url.hostname or "", url.port or (443 if url.scheme == "https" else 80)
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        self._last = "connecting takes too long"
        return [
            aiohttp.abc.ResolveResult(
                hostname=host, host=str(address[0]), port=port, family=family, proto=proto, flags=socket.AI_NUMERICHOST
            )
            for family, _, proto, _, address in found
        ]

    async def _request(self, addresses: list[aiohttp.abc.ResolveResult]) -> None:
        # Without a threshold for rounding, the client would wait up to a second longer than told.
        limits = aiohttp.ClientTimeout(total=max(0.1, self._end - time.monotonic()), ceil_threshold=self._limit_s)
        connector = aiohttp.TCPConnector(resolver=_Known(addresses))
        async with (
            aiohttp.ClientSession(connector=connector, timeout=limits) as session,
            session.get(self._url, allow_redirects=False),
        ):
            pass


class _Known(aiohttp.abc.AbstractResolver):
    """Resolves to addresses that are known already."""

    def __init__(self, addresses: list[aiohttp.abc.ResolveResult]):
        self._addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[aiohttp.abc.ResolveResult]:
        return self._addresses

    async def close(self) -> None:
        pass


def _reason(error: BaseException) -> str:
    """The operating system's words, if there are any, without the client's around them."""
    while isinstance(inner := getattr(error, "os_error", None), OSError):
        error = inner
    number = getattr(error, "errno", None)
    if isinstance(number, int) and number > 0:  # a resolver's errors have negative numbers
        return os.strerror(number)
    return getattr(error, "strerror", None) or " ".join(str(error).split()) or type(error).__name__
