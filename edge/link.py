"""One connected peripheral through bleak: what it has, what it sends, what is written. A shell.

Notifications are stamped in the callback and nothing else; decoding is somebody else's time.
"""

import asyncio
from collections.abc import Callable
from typing import Any, Final

import structlog
from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError
from bleak_retry_connector import establish_connection

from devices import uuids
from devices.device_information import decode_string
from devices.errors import DecodeError
from edge.clocks import read_clocks
from edge.errors import LinkLostError
from edge.inbox import Door
from edge.radio import Radio

log = structlog.get_logger()

RESPONSE_S_MAX: Final = 5.0
"""A control point answers within tens of milliseconds; after this it will not."""


class Link:
    """A connected peripheral. Every failure of the link is a LinkLostError."""

    def __init__(self, client: BleakClient, lost: asyncio.Event) -> None:
        self._client = client
        self.lost = lost

    async def identity(self) -> dict[str, str]:
        """Read the Device Information strings that the peripheral has, by characteristic UUID."""
        found: dict[str, str] = {}
        for uuid in (uuids.MANUFACTURER_NAME, uuids.MODEL_NUMBER, uuids.SERIAL_NUMBER):
            if self._client.services.get_characteristic(uuid) is None:
                continue
            try:
                found[uuid] = decode_string(
                    bytes(await self._call(self._client.read_gatt_char, uuid))
                )
            except DecodeError as error:
                log.warning("device_information_undecodable", uuid=uuid, error=str(error))
        return found

    def offers(self, uuid: str) -> bool:
        """Tell whether the peripheral has a characteristic."""
        return self._client.services.get_characteristic(uuid) is not None

    def service_uuids(self) -> list[str]:
        """List the services that the peripheral has."""
        return [service.uuid for service in self._client.services]

    async def notify(self, uuid: str, door: Door) -> None:
        """Ask for the notifications or indications of a characteristic, stamped on arrival."""

        def stamp(_characteristic: object, payload: bytearray) -> None:
            arrival = read_clocks()
            door(bytes(payload), arrival)

        await self._call(self._client.start_notify, uuid, stamp)

    async def read(self, uuid: str) -> bytes:
        """Read a characteristic."""
        return bytes(await self._call(self._client.read_gatt_char, uuid))

    async def write(self, uuid: str, payload: bytes) -> None:
        """Write to a characteristic and wait until the peripheral has it."""
        await self._call(self._client.write_gatt_char, uuid, payload, response=True)

    async def disconnect(self) -> None:
        """End the link; a link that is gone already is as good."""
        try:
            async with asyncio.timeout(RESPONSE_S_MAX):
                await self._client.disconnect()
        except (BleakError, TimeoutError, OSError, EOFError) as error:
            log.info("disconnect_failed", error=str(error))

    async def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Call bleak; translate what goes wrong."""
        try:
            async with asyncio.timeout(RESPONSE_S_MAX * 2):
                return await method(*args, **kwargs)
        except (BleakError, TimeoutError, OSError, EOFError) as error:
            raise LinkLostError(f"{method.__name__}: {error!r}") from error


async def connect(
    peripheral: Callable[[], BLEDevice],
    name: str,
    radio: Radio,
    *,
    timeout_s: float,
) -> Link:
    """Connect to a peripheral.

    Parameters
    ----------
    peripheral
        Gives the newest advertisement of the device: addresses change.

    Raises
    ------
    LinkLostError
        No link came about.
    """
    lost = asyncio.Event()

    def on_lost(_client: BleakClient) -> None:
        lost.set()

    kwargs: dict[str, Any] = {} if radio.client is None else {"backend": radio.client}
    try:
        async with asyncio.timeout(timeout_s):
            client = await establish_connection(
                BleakClient,
                peripheral(),
                name,
                on_lost,
                max_attempts=2,
                ble_device_callback=peripheral,
                **kwargs,
            )
    except (BleakError, TimeoutError, OSError, EOFError) as error:
        raise LinkLostError(f"no link: {error!r}") from error
    return Link(client, lost)
