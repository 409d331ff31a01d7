"""One controller and the bumble host on it: what bleak calls an adapter."""

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Iterator
from typing import ClassVar, Final, Protocol

from bleak.exc import (
    BleakBluetoothNotAvailableError,
    BleakBluetoothNotAvailableReason,
    BleakError,
    BleakGATTProtocolError,
)
from bumble import core, hci
from bumble.att import ATT_Error
from bumble.device import (
    Advertisement,
    Connection,
    ConnectionParametersPreferences,
    Device,
    DeviceConfiguration,
)
from bumble.pairing import PairingConfig, PairingDelegate
from bumble.transport import open_transport
from bumble.transport.common import Transport, TransportLostError

MAX_CONNECTIONS_DEFAULT: Final = 7
"""Links of a typical USB dongle."""
SUPERVISION_TIMEOUT_MS: Final = 4000
CONNECTION_INTERVAL_MS: Final = (15.0, 30.0)
POWER_ON_TIMEOUT_S: Final = 10.0
DISCONNECT_TIMEOUT_S: Final = 5.0
"""A controller answers a disconnect command within the supervision timeout."""
ABANDON_TIMEOUT_S: Final = 5.0
CLOSE_TIMEOUT_S: Final = 1.0
TransportOpener = Callable[[], Awaitable[Transport]]

_CONNECTION_PARAMETERS: Final = {
    hci.Phy.LE_1M: ConnectionParametersPreferences(
        connection_interval_min=CONNECTION_INTERVAL_MS[0],
        connection_interval_max=CONNECTION_INTERVAL_MS[1],
        supervision_timeout=SUPERVISION_TIMEOUT_MS,
    )
}


@contextlib.contextmanager
def bleak_errors(what: str) -> Iterator[None]:
    """Translate bumble's errors, so that none crosses bleak's API."""
    try:
        yield
    except ATT_Error as error:
        raise BleakGATTProtocolError(int(error.error_code)) from error
    except TransportLostError as error:
        raise not_available(f"{what}: {error}") from error
    except core.BaseBumbleError as error:
        raise BleakError(f"{what}: {type(error).__name__} {error}") from error


def not_available(message: str) -> BleakBluetoothNotAvailableError:
    """Build the error that says that there is no radio."""
    return BleakBluetoothNotAvailableError(message, BleakBluetoothNotAvailableReason.NO_BLUETOOTH)


class AdvertisementListener(Protocol):
    """What an adapter passes advertisements to."""

    active: bool
    """Whether scan responses are wanted."""

    def on_advertisement(self, advertisement: Advertisement) -> None:
        """Take an advertisement."""


class Adapter:
    """One controller and the host on it, shared by its scanners and clients.

    A lost transport is a pulled-out dongle: links end, and the next use tries to open it again.
    """

    registry: ClassVar[dict[str, "Adapter"]] = {}
    """Open adapters by name, as in ``/sys/class/bluetooth``."""

    def __init__(
        self,
        name: str,
        open_controller: TransportOpener,
        max_connections: int = MAX_CONNECTIONS_DEFAULT,
    ) -> None:
        self.name = name
        self.max_connections = max_connections
        self.n_lost = 0
        self._open_controller = open_controller
        self._transport: Transport | None = None
        self._device: Device | None = None
        self._closed = False
        self._opening = asyncio.Lock()
        # A controller makes one connection at a time.
        self._connecting = asyncio.Lock()
        self._scanning = asyncio.Lock()
        self._scanners: set[AdvertisementListener] = set()

    @classmethod
    def named(cls, name: str) -> "Adapter":
        """Return an open adapter.

        Raises
        ------
        BleakBluetoothNotAvailableError
        """
        try:
            return cls.registry[name]
        except KeyError:
            raise not_available(f"no adapter {name!r}; open are {sorted(cls.registry)}") from None

    @property
    def n_connections(self) -> int:
        """Links in use."""
        return 0 if self._device is None else len(self._device.connections)

    async def device(self) -> Device:
        """Return the powered host, opening the controller if it is not open.

        Raises
        ------
        BleakBluetoothNotAvailableError
        """
        async with self._opening:
            if self._closed:
                raise not_available(f"{self.name} is closed")
            if self._device is None:
                self._device = await self._power_on()
            return self._device

    async def close(self) -> None:
        """End all links and release the controller."""
        self._closed = True
        if self.registry.get(self.name) is self:
            del self.registry[self.name]
        device, transport = self._device, self._transport
        self._device = self._transport = None
        await _release(device, transport)

    async def power_cycle(self) -> None:
        """End all links, release the controller and open it anew; its scanners are forgotten.

        Raises
        ------
        BleakBluetoothNotAvailableError
            It cannot be opened any more.
        """
        device, transport = self._device, self._transport
        self._device = self._transport = None
        self._scanners.clear()
        await _release(device, transport)
        await self.device()

    async def connect(self, address: hci.Address) -> Connection:
        """Make a connection; wait without end, the caller has the timeout.

        Raises
        ------
        BleakError
        """
        device = await self.device()
        async with self._connecting:
            if device is not self._device:
                raise not_available(f"{self.name} was lost while others were connecting")
            # Within the lock, or connects in parallel overrun the limit.
            if len(device.connections) >= self.max_connections:
                raise BleakError(
                    f"no available connection slot on {self.name}: "
                    f"{len(device.connections)} of {self.max_connections} are in use"
                )
            attempt = asyncio.create_task(
                device.connect(
                    address,
                    connection_parameters_preferences=_CONNECTION_PARAMETERS,
                    timeout=None,
                ),
                name=f"connect {address}",
            )
            try:
                await asyncio.wait({attempt})
            except asyncio.CancelledError:
                await asyncio.shield(asyncio.create_task(_abandon(device, attempt)))
                raise
        with bleak_errors(f"connection to {address}"):
            if attempt.cancelled():
                raise not_available(f"{self.name} was lost while connecting")
            return attempt.result()

    async def start_scanner(self, scanner: AdvertisementListener) -> None:
        """Let a scanner hear advertisements; the controller scans while there is one.

        Raises
        ------
        BleakBluetoothNotAvailableError
        """
        device = await self.device()
        async with self._scanning:
            self._scanners.add(scanner)
            active = any(one.active for one in self._scanners)
            if device.is_scanning and device.scanning_is_passive == active:
                await device.stop_scanning()
            if not device.is_scanning:
                with bleak_errors("scan"):
                    await device.start_scanning(active=active, filter_duplicates=False)

    async def stop_scanner(self, scanner: AdvertisementListener) -> None:
        """End a scanner's hearing; the controller stops with the last one."""
        async with self._scanning:
            self._scanners.discard(scanner)
            device = self._device
            if device is not None and device.is_scanning and not self._scanners:
                with bleak_errors("end of scan"):
                    await device.stop_scanning()

    async def forget_bond(self, address: hci.Address) -> None:
        """Delete the keys of a peripheral, if there are any."""
        device = await self.device()
        if device.keystore is not None:
            with contextlib.suppress(KeyError):
                await device.keystore.delete(str(address))

    async def _power_on(self) -> Device:
        try:
            transport = await self._open_controller()
        except (OSError, core.BaseBumbleError) as error:
            raise not_available(f"{self.name} cannot be opened: {error}") from error
        device = Device.from_config_with_hci(
            DeviceConfiguration(name=self.name, address=hci.Address.generate_static_address()),
            transport.source,
            transport.sink,
        )
        device.pairing_config_factory = lambda _: PairingConfig(
            sc=True, mitm=False, bonding=True, delegate=PairingDelegate()
        )
        device.on(Device.EVENT_FLUSH, lambda: self._on_transport_lost(device))
        device.on("advertisement", self._on_advertisement)
        try:
            async with asyncio.timeout(POWER_ON_TIMEOUT_S):
                await device.power_on()
        except (TimeoutError, core.BaseBumbleError) as error:
            await transport.close()
            raise not_available(f"{self.name} does not answer: {error!r}") from error
        self._transport = transport
        return device

    def _on_transport_lost(self, device: Device) -> None:
        if self._device is device:
            self._device = self._transport = None
            self.n_lost += 1
            self._scanners.clear()

    def _on_advertisement(self, advertisement: Advertisement) -> None:
        for scanner in list(self._scanners):
            scanner.on_advertisement(advertisement)


async def _release(device: Device | None, transport: Transport | None) -> None:
    if device is not None:
        for connection in list(device.connections.values()):
            await hang_up(device, connection)
    if transport is not None:
        await transport.close()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(CLOSE_TIMEOUT_S):
                await asyncio.shield(transport.source.terminated)


async def _abandon(device: Device, attempt: "asyncio.Task[Connection]") -> None:
    """End a connection attempt for good: cancelled only here, it would connect later."""
    with contextlib.suppress(core.BaseBumbleError, TimeoutError):
        await device.send_sync_command(hci.HCI_LE_Create_Connection_Cancel_Command())
    await asyncio.wait({attempt}, timeout=ABANDON_TIMEOUT_S)
    attempt.cancel()
    with contextlib.suppress(core.BaseBumbleError, asyncio.CancelledError):
        await hang_up(device, await attempt)


async def hang_up(device: Device, connection: Connection) -> None:
    """End a link and wait until it has ended, or until the controller has had its time."""
    with contextlib.suppress(core.BaseBumbleError, TimeoutError):
        async with asyncio.timeout(DISCONNECT_TIMEOUT_S):
            await device.disconnect(
                connection, hci.HCI_ErrorCode.REMOTE_USER_TERMINATED_CONNECTION_ERROR
            )


async def open_adapter(
    transport_spec: str | TransportOpener,
    name: str = "hci0",
    max_connections: int = MAX_CONNECTIONS_DEFAULT,
) -> Adapter:
    """Open a controller under a name; `Adapter.close` takes the name out again.

    Parameters
    ----------
    transport_spec
        bumble's name of a controller, ``tcp-client:127.0.0.1:9001``, ``usb:0``,
        ``serial:/dev/ttyACM0``; or what opens one.
    name
        Must not be in use.
    max_connections
        Links that the controller can hold; a further one is refused.

    Raises
    ------
    BleakBluetoothNotAvailableError
    """
    if name in Adapter.registry:
        raise not_available(f"adapter {name!r} is open already")

    def open_by_spec() -> Awaitable[Transport]:
        return open_transport(str(transport_spec))

    opener = transport_spec if callable(transport_spec) else open_by_spec
    adapter = Adapter(name, opener, max_connections)
    await adapter.device()
    Adapter.registry[name] = adapter
    return adapter
