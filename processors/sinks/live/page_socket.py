"""The socket of one subject: what its subscription holds, and a heartbeat every second."""

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import WSCloseCode, web

from processors.sinks.live.access_gate import closing_of, is_same_origin, require, watching
from processors.sinks.live.hub import LiveHub, TooManyPagesError
from processors.sinks.live.protocol import (
    HEARTBEAT_S,
    Heartbeat,
    encode_text,
    ms_from_ns,
    stamp_sent,
)
from processors.sinks.live.subscription import Subscription
from processors.sinks.live.system_state import Condition, system_message

SUBJECT_CHARS_MAX: Final = 256
CLIENT_BYTES_MAX: Final = 1_024
"""A page has nothing to say; one message longer than this ends its connection."""
SEND_TIMEOUT_S: Final = 10.0
"""A page that takes nothing for so long is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shared:
    """What the handlers share."""

    hub: LiveHub
    clock_ns: Callable[[], int]
    sockets: set[web.WebSocketResponse] = field(default_factory=set)


SHARED: Final = web.AppKey("shared", Shared)


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
            await _serve_page(writer)
            is_served = socket in shared.sockets
            watch.reason = writer.reason if is_served else "server stops"
        finally:
            shared.sockets.discard(socket)
            shared.hub.unsubscribe(page)
    return socket


async def close_sockets(app: web.Application) -> None:
    """End all sockets: the server stops."""
    ended = set(app[SHARED].sockets)
    app[SHARED].sockets.clear()
    for socket in ended:
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"server stops")


class _PageWriter:
    """Sends to one page what its subscription holds, and a heartbeat every second."""

    def __init__(
        self,
        request: web.Request,
        socket: web.WebSocketResponse,
        page: Subscription,
        ready: asyncio.Event,
    ) -> None:
        self.socket = socket
        self.reason = "page closed"
        self._request = request
        self._page = page
        self._ready = ready
        self._shared = request.app[SHARED]
        self._told: tuple[Condition, ...] = ()

    async def run(self) -> None:
        try:
            await self._write()
        except (ConnectionError, TimeoutError):
            self.reason = "page gone"
            await self.socket.close()  # ends the reader too

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
                await self._send_heartbeat()
                heartbeat_at = loop.time() + HEARTBEAT_S
            # Only the waiting is cut short: a message is sent whole.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout_at(heartbeat_at):
                    await self._ready.wait()
        await self._close(WSCloseCode.TRY_AGAIN_LATER, "too slow")

    async def _close(self, code: int, reason: str) -> None:
        self.reason = reason
        await self.socket.close(code=code, message=reason.encode())

    async def _send_heartbeat(self) -> None:
        shared = self._shared
        heard_ms = shared.hub.heard_ms(self._page.subject_id)
        conditions = shared.hub.system.conditions(self._page.subject_id)
        if conditions != self._told:
            self._told = conditions
            await self._send(encode_text(system_message(conditions)))
        await self._send(
            encode_text(Heartbeat(server_ms=ms_from_ns(shared.clock_ns()), heard_ms=heard_ms))
        )

    async def _send_waiting(self) -> None:
        texts, samples = self._page.take()
        for text in texts:
            await self._send(text)
        for payload in samples:
            await self._send(stamp_sent(payload, self._shared.clock_ns()))

    async def _send(self, message: str | bytes) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            if isinstance(message, str):
                await self.socket.send_str(message)
            else:
                await self.socket.send_bytes(message)


async def _serve_page(writer: _PageWriter) -> None:
    async with asyncio.TaskGroup() as tasks:
        writing = tasks.create_task(writer.run(), name="live-write")
        # Reading answers pings and sees the end; what a page says is not listened to.
        async for _ in writer.socket:
            pass
        writing.cancel()
