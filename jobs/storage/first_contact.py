"""The first request to a remote storage: whether anything answers there. Imports aiohttp, which takes a while."""

from __future__ import annotations

import asyncio
import os
import socket
import threading
import time
from urllib.parse import urlsplit

import aiohttp
import aiohttp.abc

_PAUSES_S = (0.5, 1.0, 2.0)  # before each repetition of a request that failed at once


class FirstContact:
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
