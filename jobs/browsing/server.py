"""The server of `codemill browse`: aiohttp on the loopback address; searches run in two threads beside it."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final
from urllib.parse import parse_qs, urlencode

from aiohttp import web

from jobs.browsing.access import HEADERS, HOST, TOKEN, Access
from jobs.browsing.pages import BROWSE_STYLE, list_page, message_page, row_page
from jobs.browsing.request import Asked, read_asked, read_number, read_table
from jobs.browsing.store import Store
from model.errors import ConfigError

_THREADS: Final = 2
_MAX_QUERY_CHARS: Final = 16_000
_MAX_FIELDS: Final = 60
_ROW: Final = "/row"

_log = logging.getLogger(__name__)
Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


def serve(store: Store, port: int, on_ready: Callable[[str], None]) -> None:
    """Serves pages until SIGINT or SIGTERM.

    Args:
        store: The dataset.
        port: The port; 0 takes one that is free.
        on_ready: Gets the address once it answers.

    Raises:
        ConfigError: The port is taken.
    """
    asyncio.run(_serve(store, port, on_ready))


async def _serve(store: Store, port: int, on_ready: Callable[[str], None]) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, ended.set)
    server = await loop.create_server(asyncio.Protocol, HOST, 0) if port == 0 else None
    if server is not None:  # the rules need the port before the first request
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
    access = Access(port)
    with ThreadPoolExecutor(_THREADS, thread_name_prefix="browse") as pool:
        logger = logging.getLogger(f"{__name__}.requests")
        logger.setLevel(logging.CRITICAL)  # who sends what is no request gets 400, and no place in this terminal
        runner = web.AppRunner(application(store, access, pool), access_log=None, handle_signals=False, logger=logger)
        await runner.setup()
        try:
            await web.TCPSite(runner, HOST, port).start()
        except OSError as error:
            await runner.cleanup()
            raise ConfigError(f"--port {port} can't be used ({error.strerror}); pass another") from None
        on_ready(access.address)
        await ended.wait()
        store.interrupt()  # first, as the cleanup waits for the answers
        await runner.cleanup()
        store.interrupt()


def application(store: Store, access: Access, pool: ThreadPoolExecutor) -> web.Application:
    """The pages as an aiohttp application."""
    pages = _Pages(store, pool)
    app = web.Application(middlewares=[_guard(access)], client_max_size=1)
    app.router.add_get("/", pages.list)
    app.router.add_get(_ROW, pages.row)
    app.router.add_get("/style.css", pages.style)
    return app


def _guard(access: Access) -> Any:
    @web.middleware
    async def guard(request: web.Request, handler: Handler) -> web.StreamResponse:
        response = await _guarded(access, request, handler)
        response.headers.update(HEADERS)
        return response

    return guard


async def _guarded(access: Access, request: web.Request, handler: Handler) -> web.StreamResponse:
    if (refused := access.refusal(request.method, request.headers)) is not None:
        return _answer(message_page("Refused", refused[1]), refused[0])
    if len(request.query_string) > _MAX_QUERY_CHARS:
        return _answer(message_page("Refused", "the address is too long"), 414)
    if access.has_token(request.query.get(TOKEN)):
        left = [(name, value) for name, value in request.query.items() if name != TOKEN]
        place = _ROW if request.path == _ROW else "/"
        response: web.StreamResponse = web.Response(status=303, headers={"Location": f"{place}?{urlencode(left)}"})
        response.set_cookie(access.cookie, access.token, httponly=True, samesite="Lax", path="/")
        return response
    if not access.has_token(request.cookies.get(access.cookie)):
        text = "open the address that codemill browse printed: it has a token that this browser doesn't have yet"
        return _answer(message_page("Not allowed", text), 403)
    try:
        return await handler(request)
    except web.HTTPException as error:
        return _answer(message_page(error.reason, "there is no such page"), error.status)
    except Exception:
        _log.exception("a page could not be made")
        return _answer(message_page("Error", "a bug of codemill; the terminal has the traceback"), 500)


class _Pages:
    def __init__(self, store: Store, pool: ThreadPoolExecutor):
        self._store, self._pool = store, pool

    async def list(self, request: web.Request) -> web.Response:
        asked = Asked()
        try:
            asked = read_asked(_parameters(request))
            text = await self._run(lambda: list_page(self._store, asked, self._store.page(asked)))
            return _answer(text)
        except ConfigError as error:
            return _answer(list_page(self._store, asked, None, str(error)), 400)

    async def row(self, request: web.Request) -> web.Response:
        try:
            values = _parameters(request)
            table, number = read_table(values), read_number(values, "number")
            text = await self._run(lambda: row_page(self._store, table, number, self._store.row(table, number)))
            return _answer(text)
        except ConfigError as error:
            return _answer(message_page("No such row", str(error)), 404)

    async def style(self, request: web.Request) -> web.Response:
        return web.Response(text=BROWSE_STYLE, content_type="text/css")

    async def _run(self, make: Callable[[], str]) -> str:
        return await asyncio.get_running_loop().run_in_executor(self._pool, make)


def _parameters(request: web.Request) -> Mapping[str, list[str]]:
    try:
        return parse_qs(request.rel_url.raw_query_string, keep_blank_values=True, max_num_fields=_MAX_FIELDS)
    except ValueError as error:
        raise ConfigError(f"the address can't be read: {error}") from None


def _answer(text: str, status: int = 200) -> web.Response:
    return web.Response(text=text, status=status, content_type="text/html", charset="utf-8")
