"""The socket of one subject: what its subscription holds, and a heartbeat every second."""

import asyncio
import contextlib
from typing import Final

from aiohttp import WSCloseCode, web

from processors.sinks.live.access_gate import closing_of, is_same_origin, require, watching
from processors.sinks.live.hub import TooManyPagesError
from processors.sinks.live.protocol import HEARTBEAT_S, stamp_sent
from processors.sinks.live.socket_writer import CLIENT_BYTES_MAX, SHARED, SocketWriter
from processors.sinks.live.subscription import Subscription

SUBJECT_CHARS_MAX: Final = 256


async def get_socket(request: web.Request) -> web.WebSocketResponse:
    """Serve ``GET /ws?subject=ID``."""
    subject_id = request.query.get("subject", "")
    if not 0 < len(subject_id) <= SUBJECT_CHARS_MAX:
        raise web.HTTPBadRequest(text="which subject? /ws?subject=ID\n")
    if not is_same_origin(request):
        raise web.HTTPForbidden(text="a page of another origin may not listen\n")
    viewer = await require(request, subject_id, "socket")
    shared = request.app[SHARED]
    socket = web.WebSocketResponse(max_msg_size=CLIENT_BYTES_MAX, compress=False, timeout=1.0)
    async with watching(request, viewer, subject_id) as watch:
        ready = asyncio.Event()
        try:
            page = shared.hub.subscribe(subject_id, ready.set, shared.clock_ns())
        except TooManyPagesError as error:
            watch.reason = "too many pages"
            raise web.HTTPServiceUnavailable(text=f"{error}\n") from error
        try:
            await socket.prepare(request)
            shared.sockets.add(socket)
            writer = _PageWriter(request, socket, page, ready)
            await writer.serve()
            is_served = socket in shared.sockets
            watch.reason = writer.reason if is_served else "server stops"
        finally:
            shared.sockets.discard(socket)
            shared.hub.unsubscribe(page)
    return socket


class _PageWriter(SocketWriter):
    """Sends to one page what its subscription holds, and a heartbeat every second."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        page: Subscription,
        ready: asyncio.Event,
    ) -> None:
        super().__init__(request, socket)
        self._page = page
        self._ready = ready

    async def _write(self) -> None:
        loop = asyncio.get_running_loop()
        heartbeat_at = loop.time()
        while not self._page.overrun:
            is_due = loop.time() >= heartbeat_at
            closing = closing_of(self._request, self._page.subject_id) if is_due else None
            if closing is not None:
                await self._close(closing.code, closing.reason)
                return
            self._ready.clear()
            await self._send_waiting()
            if is_due:
                subject_id = self._page.subject_id
                await self._send_heartbeat(subject_id, self._shared.hub.heard_ms(subject_id))
                heartbeat_at = loop.time() + HEARTBEAT_S
            # Only the waiting is cut short: a message is sent whole.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(heartbeat_at):
                    await self._ready.wait()
        await self._close(WSCloseCode.TRY_AGAIN_LATER, "too slow")

    async def _send_waiting(self) -> None:
        texts, samples = self._page.take()
        for text in texts:
            await self._send(text)
        for payload in samples:
            await self._send(stamp_sent(payload, self._shared.clock_ns()))
