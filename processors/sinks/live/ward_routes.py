"""The socket of the ward: all subjects at once, once a second.

A page that takes its time gets the state of the moment when it has taken it: nothing waits for it.
"""

import asyncio

from aiohttp import web

from processors.sinks.live.access_gate import allowed, closing_of, is_same_origin, watching
from processors.sinks.live.hub import TooManyPagesError
from processors.sinks.live.protocol import HEARTBEAT_S, Hello, encode_text
from processors.sinks.live.socket_writer import CLIENT_BYTES_MAX, SHARED, SocketWriter
from processors.sinks.live.ward import WardPage


def add_ward_route(app: web.Application) -> None:
    """Add ``GET /ws/ward``, which tells of those subjects only that the viewer may watch."""
    app.router.add_get("/ws/ward", _get_socket)


async def _get_socket(request: web.Request) -> web.WebSocketResponse:
    if not is_same_origin(request):
        raise web.HTTPForbidden(text="a page of another origin may not listen\n")
    viewer = allowed(request)
    shared = request.app[SHARED]
    socket = web.WebSocketResponse(max_msg_size=CLIENT_BYTES_MAX, compress=False, timeout=1.0)
    async with watching(request, viewer, None) as watch:
        try:
            page = shared.hub.open_ward()
        except TooManyPagesError as error:
            watch.reason = "too many pages"
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
        try:
            await socket.prepare(request)
            shared.sockets.add(socket)
            writer = _WardWriter(request, socket, page)
            await writer.serve()
            watch.reason = writer.reason if socket in shared.sockets else "server stops"
        finally:
            shared.sockets.discard(socket)
            shared.hub.close_ward(page)
    return socket


class _WardWriter(SocketWriter):
    """Tells one page each second what has changed, what is wrong, and that the server lives."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, page: WardPage) -> None:
        super().__init__(request, socket)
        self._page = page

    async def _write(self) -> None:
        hello = Hello(subject="", server_ms=self._now_ms(), heard_ms=None)
        await self._send(encode_text(hello))
        while (closing := closing_of(self._request, None)) is None:
            await self._tell()
            await asyncio.sleep(HEARTBEAT_S)
        await self._close(closing.code, closing.reason)

    async def _tell(self) -> None:
        may_watch = allowed(self._request).may_watch
        message = self._shared.hub.ward_message(self._page, self._shared.clock_ns(), may_watch)
        if message is not None:
            await self._send(message)
        # What is wrong behind all pages; of a single subject its tile says it.
        await self._send_heartbeat("", None)
