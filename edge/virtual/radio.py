"""Adapters on the virtual air, served to other processes as HCI over TCP."""

import asyncio
import logging
from types import TracebackType
from typing import Final, Self

from bumble import core
from bumble.transport.common import PacketParser

from edge.virtual.ether import CentralController, Ether

HCI_BACKLOG_BYTES_MAX: Final = 4 * 1024 * 1024
"""Unread HCI bytes after which an agent that has stopped reading is cut off: minutes of ten
sensors."""

_logger = logging.getLogger(__name__)


class VirtualRadio:
    """A row of adapters on one air, served as HCI over TCP on this machine only.

    Each connection gets a controller of its own, so that several agents can run at once. When it
    ends, however abruptly, the controller is gone and its peripherals lose their links and
    advertise again.

    Parameters
    ----------
    ether
        The air that the controllers share.
    port
        TCP port on 127.0.0.1; 0 takes a free one.
    place
        Where the adapters are: `Ether.set_rssi` says how well a peripheral is heard there.
    """

    def __init__(self, ether: Ether, port: int = 0, place: str = "") -> None:
        self._ether = ether
        self._place = place
        self._port = port
        self._server: asyncio.Server | None = None
        self._sessions: set[_HciSession] = set()

    @property
    def port(self) -> int:
        """The TCP port in use."""
        return self._port

    @property
    def transport_spec(self) -> str:
        """How ``bleak_bumble.backend`` reaches this radio."""
        return f"tcp-client:127.0.0.1:{self._port}"

    @property
    def n_sessions(self) -> int:
        """Connected agents."""
        return len(self._sessions)

    def deafen(self) -> None:
        """Let the adapters in use hang: they hear nothing any more, until they lose power."""
        for session in self._sessions:
            session.deafen()

    async def unplug(self) -> None:
        """Pull the adapters out: every agent loses its controller, and finds none."""
        if self._server is not None:
            server, self._server = self._server, None
            server.close()
            for session in list(self._sessions):
                session.abort()
            await server.wait_closed()

    async def plug_in(self) -> None:
        """Put the adapters back, at the same port."""
        self._server = await asyncio.get_running_loop().create_server(
            lambda: _HciSession(self._ether, self._sessions, self._place), "127.0.0.1", self._port
        )
        self._port = self._server.sockets[0].getsockname()[1]

    async def __aenter__(self) -> Self:
        await self.plug_in()
        return self

    async def __aexit__(
        self,
        exc_type: type[BaseException] | None,
        exc: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        await self.unplug()


class _HciSession(asyncio.Protocol):
    """One agent's HCI byte stream and its controller."""

    def __init__(self, ether: Ether, sessions: "set[_HciSession]", place: str) -> None:
        self._ether = ether
        self._place = place
        self._sessions = sessions
        self._parser = PacketParser()
        self._controller: CentralController | None = None
        self._transport: asyncio.Transport | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        if not isinstance(transport, asyncio.Transport):
            raise TypeError(f"HCI needs a byte stream, not {type(transport).__name__}")
        self._transport = transport
        transport.set_write_buffer_limits(high=HCI_BACKLOG_BYTES_MAX)
        self._controller = CentralController("agent", self._ether, self._place)
        self._controller.set_packet_sink(self)
        self._parser.set_packet_sink(self._controller)
        self._sessions.add(self)

    def data_received(self, data: bytes) -> None:
        try:
            self._parser.feed_data(data)
        except core.InvalidPacketError as error:
            _logger.warning("HCI stream is not HCI, closed: %s", error)
            self.abort()

    def on_packet(self, packet: bytes) -> None:
        """Pass a packet of the controller to the agent."""
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(packet)

    def pause_writing(self) -> None:
        """Cut off an agent that does not read: what waits for it has reached the limit."""
        _logger.warning("agent does not read its HCI stream, cut off")
        self.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        self._sessions.discard(self)
        if self._controller is not None:
            self._controller.close()

    def deafen(self) -> None:
        """Let the controller hear nothing any more."""
        if self._controller is not None:
            self._controller.deaf = True

    def abort(self) -> None:
        """Cut the connection without flushing."""
        if self._transport is not None:
            self._transport.abort()
