"""The socket of the ward: all subjects at once, once a second.

A page that takes its time gets the state of the moment when it has taken it: nothing waits for it.
"""

import asyncio

from aiohttp import web

from processors.sinks.live.access_gate import allowed, closing_of, is_same_origin, watching
from processors.sinks.live.hub import TooManyPagesError
from processors.sinks.live.page_socket import CLIENT_BYTES_MAX, SEND_TIMEOUT_S, SHARED
from processors.sinks.live.protocol import (
    HEARTBEAT_S,
    Heartbeat,
    Hello,
    encode_text,
    ms_from_ns,
)
from processors.sinks.live.system_state import Condition, system_message
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
            async with asyncio.TaskGroup() as tasks:
                writing = tasks.create_task(writer.run(), name="ward-write")
                # Reading answers pings and sees the end; what a page says is not listened to.
                async for _ in socket:
                    pass
                writing.cancel()
            watch.reason = writer.reason if socket in shared.sockets else "server stops"
        finally:
            shared.sockets.discard(socket)
            shared.hub.close_ward(page)
    return socket


class _WardWriter:
    """Tells one page each second what has changed, what is wrong, and that the server lives."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse, page: WardPage) -> None:
        self.reason = "page closed"
        self._request = request
        self._socket = socket
        self._page = page
        self._shared = request.app[SHARED]
        self._told: tuple[Condition, ...] = ()

    async def run(self) -> None:
        try:
            hello = Hello(subject="", server_ms=self._now_ms(), heard_ms=None)
            await self._send(encode_text(hello))
            while (closing := closing_of(self._request, None)) is None:
                await self._tell()
                await asyncio.sleep(HEARTBEAT_S)
            self.reason = closing.reason
            await self._socket.close(code=closing.code, message=closing.reason.encode())
        except (ConnectionError, TimeoutError):
            self.reason = "page gone"
            await self._socket.close()  # ends the reader too

    async def _tell(self) -> None:
        hub = self._shared.hub
        may_watch = allowed(self._request).may_watch
        message = hub.ward_message(self._page, self._shared.clock_ns(), may_watch)
        if message is not None:
            await self._send(message)
        # What is wrong behind all pages; of a single subject its tile says it.
        conditions = hub.system.conditions("")
        if conditions != self._told:
            self._told = conditions
            await self._send(encode_text(system_message(conditions)))
        await self._send(encode_text(Heartbeat(server_ms=self._now_ms(), heard_ms=None)))

    def _now_ms(self) -> float:
        return ms_from_ns(self._shared.clock_ns())

    async def _send(self, message: str) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            await self._socket.send_str(message)
