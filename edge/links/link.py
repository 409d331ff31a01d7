"""One connected peripheral through bleak: what it has, what it sends, what is written. A shell.

Notifications are stamped in the callback and nothing else; decoding is somebody else's time.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from bleak.backends.device import BLEDevice
from bleak.backends.service import BleakGATTServiceCollection
from bleak_retry_connector import BleakClientWithServiceCache, establish_connection

from devices import uuids
from devices.device_information import decode_string
from devices.errors import DecodeError
from edge.clocks.clocks import read_clocks
from edge.errors import DeviceRefusedError
from edge.inbox import Door
from edge.links.ble_errors import (
    BLE_ERRORS,
    call_error,
    certain_error,
    connect_error,
    describe,
    pair_error,
)
from edge.links.radio import RadioAdapter

log = structlog.get_logger()

RESPONSE_S_MAX: Final = 5.0
"""A control point answers within tens of milliseconds; after this it will not."""
PAIR_S_MAX: Final = 30.0
"""The Security Manager gives up after so long. Core 5.4 Vol 3 H 3.4."""
N_ATTEMPTS_MAX: Final = 2
_ATT_HEADER_BYTES: Final = 3
_CANNOT_PAIR: Final = "Bluetooth here pairs in the system's own settings only: pair there"


class Link:
    """A connected peripheral. Every failure of the link is a LinkLostError."""

    def __init__(
        self, client: BleakClientWithServiceCache, lost: asyncio.Event, adapter: RadioAdapter
    ) -> None:
        self._client = client
        self._adapter = adapter
        self._callbacks: dict[str, Callable[[object, bytearray], None]] = {}
        self.lost = lost

    @property
    def mtu_bytes(self) -> int:
        """The ATT MTU, as far as the system tells: 23 where it does not."""
        writable = [
            one.max_write_without_response_size for one in self._services.characteristics.values()
        ]
        return max(writable, default=20) + _ATT_HEADER_BYTES

    async def identity(self) -> dict[str, str]:
        """Read the Device Information strings that the peripheral has, by characteristic UUID."""
        found: dict[str, str] = {}
        for uuid in (uuids.MANUFACTURER_NAME, uuids.MODEL_NUMBER, uuids.SERIAL_NUMBER):
            if self._services.get_characteristic(uuid) is None:
                continue
            try:
                found[uuid] = decode_string(
                    bytes(await self._call(self._client.read_gatt_char, uuid))
                )
            except DecodeError as error:
                # Its text would quote the serial number.
                log.warning("device_information_undecodable", uuid=uuid, error=type(error).__name__)
        return found

    def offers(self, uuid: str) -> bool:
        """Tell whether the peripheral has a characteristic."""
        return self._services.get_characteristic(uuid) is not None

    def can_read(self, uuid: str) -> bool:
        """Tell whether the peripheral has a characteristic that may be read."""
        found = self._services.get_characteristic(uuid)
        return found is not None and "read" in found.properties

    def can_write(self, uuid: str) -> bool:
        """Tell whether the peripheral has a characteristic that may be written to."""
        found = self._services.get_characteristic(uuid)
        return found is not None and "write" in found.properties

    def service_uuids(self) -> list[str]:
        """List the services that the peripheral has."""
        return [service.uuid for service in self._services]

    @property
    def _services(self) -> BleakGATTServiceCollection:
        """What the peripheral has; bleak forgets it in the moment in which the link is lost."""
        try:
            return self._client.services
        except BLE_ERRORS as error:
            raise call_error("services", error) from error

    async def notify(self, uuid: str, door: Door) -> None:
        """Ask for the notifications or indications of a characteristic, stamped on arrival."""

        def stamp(_characteristic: object, payload: bytearray) -> None:
            arrival = read_clocks()
            door(bytes(payload), arrival)

        self._callbacks[uuid] = stamp
        await self._call(self._client.start_notify, uuid, stamp)

    async def notify_again(self, uuid: str) -> None:
        """Subscribe anew to a characteristic that was subscribed to: its payloads go on as before.

        Raises
        ------
        KeyError
            It never was.
        LinkLostError
        """
        stamp = self._callbacks[uuid]
        await self._call(self._client.stop_notify, uuid)
        await self._call(self._client.start_notify, uuid, stamp)

    async def read(self, uuid: str) -> bytes:
        """Read a characteristic."""
        return bytes(await self._call(self._client.read_gatt_char, uuid))

    async def write(self, uuid: str, payload: bytes) -> None:
        """Write to a characteristic and wait until the peripheral has it."""
        await self._call(self._client.write_gatt_char, uuid, payload, response=True)

    async def write_unanswered(self, uuid: str, payload: bytes) -> None:
        """Write to a characteristic that does not say whether it has it."""
        await self._call(self._client.write_gatt_char, uuid, payload, response=False)

    async def pair(self) -> None:
        """Encrypt the link; pair and bond where the two have no key in common yet.

        Raises
        ------
        BondLostError
            We have a key, and the peripheral has it no more. It is not replaced here: whoever
            stands there could be another device.
        DeviceRefusedError
            The system does not pair at a program's request.
        LinkLostError
        """
        try:
            async with asyncio.timeout(PAIR_S_MAX):
                await self._client.pair()
        except NotImplementedError as error:
            raise DeviceRefusedError(_CANNOT_PAIR) from error
        except BLE_ERRORS as error:
            raise pair_error(error) from error

    async def unpair(self) -> None:
        """Forget the key that is shared with the peripheral; an operator has consented.

        Raises
        ------
        DeviceRefusedError
            The system does not do so at a program's request.
        LinkLostError
        """
        try:
            await self._call(self._client.unpair)
        except NotImplementedError as error:
            raise DeviceRefusedError(_CANNOT_PAIR) from error

    async def forget_services(self) -> None:
        """Let the system forget what it remembers of the services: they are not true."""
        try:
            async with asyncio.timeout(RESPONSE_S_MAX):
                await self._adapter.recovery.forget_services(self._client.address)
        except BLE_ERRORS as error:
            log.info("services_not_forgotten", error=describe(error))

    async def disconnect(self) -> None:
        """End the link; a link that is gone already is as good."""
        try:
            async with asyncio.timeout(RESPONSE_S_MAX):
                await self._client.disconnect()
        except BLE_ERRORS as error:
            log.info("disconnect_failed", error=describe(error))

    async def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Call bleak; translate what goes wrong."""
        try:
            async with asyncio.timeout(RESPONSE_S_MAX * 2):
                return await method(*args, **kwargs)
        except BLE_ERRORS as error:
            raise call_error(method.__name__, error) from error


class _Client(BleakClientWithServiceCache):
    """bleak's client; what another attempt would not change ends the attempts at once.

    bleak-retry-connector would try nine times for a slot, and hold the adapter for all that time.
    """

    async def connect(self, **kwargs: Any) -> None:  # noqa: ANN401 - bleak's own arguments
        try:
            await super().connect(**kwargs)
        except BLE_ERRORS as error:
            if (certain := certain_error(error)) is not None:
                raise certain from error
            raise


async def connect(
    peripheral: Callable[[], BLEDevice],
    label: str,
    adapter: RadioAdapter,
    *,
    timeout_s: float,
    fresh_services: bool = False,
) -> Link:
    """Connect to a peripheral.

    Parameters
    ----------
    peripheral
        Gives the newest advertisement of the device on this adapter: addresses change.
    label
        For messages: no name and no address.
    adapter
        The one that has heard it.
    timeout_s
        For all attempts together.
    fresh_services
        Read the services from the peripheral, whatever is remembered of them.

    Raises
    ------
    LinkLostError
        No link came about: DeviceNotFoundError, ConnectAbortedError, OutOfSlotsError where the
        reason is known.
    RadioUnavailableError
        The adapter is gone or off.
    """
    lost = asyncio.Event()

    def on_lost(_client: object) -> None:
        lost.set()

    try:
        async with asyncio.timeout(timeout_s):
            client = await establish_connection(
                _Client,
                peripheral(),
                label,
                on_lost,
                max_attempts=N_ATTEMPTS_MAX,
                ble_device_callback=peripheral,
                use_services_cache=not fresh_services,
                **adapter.client_arguments,
            )
    except BLE_ERRORS as error:
        raise connect_error(error) from error
    return Link(client, lost, adapter)
