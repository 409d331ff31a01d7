"""What the page's sockets have in common: what they share, how they write, and how they end."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from aiohttp import WSCloseCode, web

from processors.sinks.live.hub import LiveHub
from processors.sinks.live.protocol import Heartbeat, encode_text, ms_from_ns
from processors.sinks.live.system_state import Condition, system_message

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


async def close_sockets(app: web.Application) -> None:
    """End all sockets: the server stops."""
    ended = set(app[SHARED].sockets)
    app[SHARED].sockets.clear()
    for socket in ended:
        await socket.close(code=WSCloseCode.GOING_AWAY, message=b"server stops")


class SocketWriter:
    """Writes to one page until it ends, and knows why it did. What is written is its heir's."""

    def __init__(self, request: web.Request, socket: web.WebSocketResponse) -> None:
        self.reason = "page closed"
        self._request = request
        self._socket = socket
        self._shared = request.app[SHARED]
        self._told: tuple[Condition, ...] = ()

    async def serve(self) -> None:
        """Write until the page or the writer ends."""
        async with asyncio.TaskGroup() as tasks:
            writing = tasks.create_task(self._run(), name="live-write")
            # Reading answers pings and sees the end; what a page says is not listened to.
            async for _ in self._socket:
                pass
            writing.cancel()

    async def _run(self) -> None:
        try:
            await self._write()
        except (ConnectionError, TimeoutError):
            self.reason = "page gone"
            await self._socket.close()  # ends the reader too

    async def _write(self) -> None:
        raise NotImplementedError

    async def _close(self, code: int, reason: str) -> None:
        self.reason = reason
        await self._socket.close(code=code, message=reason.encode())

    async def _send_heartbeat(self, subject_id: str, heard_ms: float | None) -> None:
        """Say that the server lives; before that what is wrong behind it, where that changed."""
        conditions = self._shared.hub.system.conditions(subject_id)
        if conditions != self._told:
            self._told = conditions
            await self._send(encode_text(system_message(conditions)))
        await self._send(encode_text(Heartbeat(server_ms=self._now_ms(), heard_ms=heard_ms)))

    def _now_ms(self) -> float:
        return ms_from_ns(self._shared.clock_ns())

    async def _send(self, message: str | bytes) -> None:
        async with asyncio.timeout(SEND_TIMEOUT_S):
            if isinstance(message, str):
                await self._socket.send_str(message)
            else:
                await self._socket.send_bytes(message)
