"""One connected peripheral through bleak: subscribe, start streams, wait, stop them. A shell.

Notifications are stamped in the callback and nothing else; decoding is somebody else's time.
"""

import asyncio
import time
from collections.abc import Callable
from typing import Any, Final

import structlog
from bleak import BleakClient
from bleak.backends.device import BLEDevice
from bleak.exc import BleakError
from bleak_retry_connector import establish_connection

from devices import uuids
from devices.catalogue import DeviceModel, PmdStream
from devices.device_information import decode_string
from devices.errors import DecodeError
from devices.polar_pmd import (
    GetSettingsRequest,
    PmdOpCode,
    PmdRequest,
    PmdResponse,
    PmdSettings,
    PmdStatus,
    StartRequest,
    StopRequest,
    decode_indication,
    decode_settings,
    encode_request,
    join_parameters,
)
from edge.errors import DeviceRefusedError, LinkLostError
from edge.radio import Radio

log = structlog.get_logger()

RESPONSE_S_MAX: Final = 5.0
"""A control point answers within tens of milliseconds; after this it will not."""

N_RESPONSES_MAX: Final = 8
"""Parts of one answer; more is a device that never ends."""

OnPayload = Callable[[str, bytes, int], None]
"""Characteristic UUID, payload, UTC of its arrival in nanoseconds."""


class Link:
    """A connected peripheral. Every failure of the link is a LinkLostError."""

    def __init__(self, client: BleakClient, lost: asyncio.Event, on_payload: OnPayload) -> None:
        self._client = client
        self._on_payload = on_payload
        self._responses: asyncio.Queue[bytes] = asyncio.Queue(N_RESPONSES_MAX)
        self._started: list[int] = []
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

    async def subscribe(self, model: DeviceModel) -> list[str]:
        """Ask for the notifications of the model's characteristics; give those not there."""
        missing = [uuid for uuid in model.characteristics if not self.offers(uuid)]
        for uuid in model.characteristics:
            if uuid not in missing:
                await self._notify(uuid)
        return missing

    async def read(self, uuid: str) -> bytes:
        """Read a characteristic."""
        return bytes(await self._call(self._client.read_gatt_char, uuid))

    async def open_streams(self) -> None:
        """Subscribe to the measurement data service, its control point first.

        Answers come as indications of the control point: subscribed to late, they would be lost.
        """
        if not self.offers(uuids.PMD_CONTROL_POINT) or not self.offers(uuids.PMD_DATA):
            raise DeviceRefusedError("no measurement data service, though its model has one")
        await self._call(self._client.start_notify, uuids.PMD_CONTROL_POINT, self._take_response)
        await self._notify(uuids.PMD_DATA)

    async def choose_settings(self, row: PmdStream) -> PmdSettings:
        """Ask which settings a stream has; give one of each, the catalogue's where offered."""
        response = await self.request(GetSettingsRequest(measurement=row.measurement))
        return chosen_settings(row.settings, decode_settings(response.parameters))

    async def start_stream(self, row: PmdStream, settings: PmdSettings) -> PmdResponse:
        """Start a stream; one that runs already is stopped first, so that its settings are ours.

        Raises
        ------
        DeviceRefusedError, LinkLostError
        """
        request = StartRequest(measurement=row.measurement, settings=settings)
        try:
            response = await self.request(request)
        except DeviceRefusedError:
            await self.request(StopRequest(measurement=row.measurement))
            response = await self.request(request)
        self._started.append(row.measurement)
        return response

    async def stop_streams(self) -> None:
        """Stop what was started: a strap left running would empty its battery."""
        for measurement in reversed(self._started):
            await self.request(StopRequest(measurement=measurement))
        self._started.clear()

    async def request(self, request: PmdRequest) -> PmdResponse:
        """Write to the control point and wait for the whole answer.

        Raises
        ------
        DeviceRefusedError
            The answer is an error, or none that can be understood.
        LinkLostError
        """
        while not self._responses.empty():
            self._responses.get_nowait()
        await self._call(
            self._client.write_gatt_char,
            uuids.PMD_CONTROL_POINT,
            encode_request(request),
            response=True,
        )
        parts = [await self._response(request)]
        while parts[-1].more and len(parts) < N_RESPONSES_MAX:
            parts.append(await self._response(request))
        status = parts[0].status
        if status != PmdStatus.SUCCESS:
            name = PmdStatus(status).name if status in set(PmdStatus) else str(status)
            raise DeviceRefusedError(f"{request}: {name}")
        return PmdResponse(
            op_code=parts[0].op_code,
            measurement=parts[0].measurement,
            status=status,
            parameters=join_parameters(*parts),
        )

    async def disconnect(self) -> None:
        """End the link; a link that is gone already is as good."""
        try:
            async with asyncio.timeout(RESPONSE_S_MAX):
                await self._client.disconnect()
        except (BleakError, TimeoutError, OSError, EOFError) as error:
            log.info("disconnect_failed", error=str(error))

    async def _response(self, request: PmdRequest) -> PmdResponse:
        op_code = _OP_CODES[type(request)]
        try:
            async with asyncio.timeout(RESPONSE_S_MAX):
                while True:
                    indication = decode_indication(await self._responses.get())
                    if (
                        isinstance(indication, PmdResponse)
                        and indication.op_code == op_code
                        and indication.measurement == request.measurement
                    ):
                        return indication
        except TimeoutError as error:
            if self.lost.is_set():
                raise LinkLostError("the link was lost while a request waited") from error
            raise DeviceRefusedError(f"{request}: no answer in {RESPONSE_S_MAX} s") from error
        except DecodeError as error:
            raise DeviceRefusedError(f"{request}: answer not understood: {error}") from error

    def _take_response(self, _characteristic: object, payload: bytearray) -> None:
        if not self._responses.full():
            self._responses.put_nowait(bytes(payload))

    async def _notify(self, uuid: str) -> None:
        def stamp(_characteristic: object, payload: bytearray) -> None:
            self._on_payload(uuid, bytes(payload), time.time_ns())

        await self._call(self._client.start_notify, uuid, stamp)

    async def _call(self, method: Callable[..., Any], *args: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        """Call bleak; translate what goes wrong."""
        try:
            async with asyncio.timeout(RESPONSE_S_MAX * 2):
                return await method(*args, **kwargs)
        except (BleakError, TimeoutError, OSError, EOFError) as error:
            raise LinkLostError(f"{method.__name__}: {error!r}") from error


_OP_CODES: Final = {
    GetSettingsRequest: PmdOpCode.GET_SETTINGS,
    StartRequest: PmdOpCode.START,
    StopRequest: PmdOpCode.STOP,
}


def chosen_settings(wanted: PmdSettings, offered: PmdSettings) -> PmdSettings:
    """Take one value of each offered setting: the wanted one where it is offered, else the first.

    A recording behind a virtual strap offers its own rate only, and an old firmware may lack one
    of the catalogue's.
    """

    def choose(wanted_values: tuple[int, ...], values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple(value for value in wanted_values if value in values)[:1] or values[:1]

    return PmdSettings(
        sample_rates_hz=choose(wanted.sample_rates_hz, offered.sample_rates_hz),
        resolutions_bits=choose(wanted.resolutions_bits, offered.resolutions_bits),
        ranges=choose(wanted.ranges, offered.ranges),
        ranges_milliunit=choose(wanted.ranges_milliunit, offered.ranges_milliunit),
        n_channels=choose(wanted.n_channels, offered.n_channels),
    )


async def connect(
    peripheral: Callable[[], BLEDevice],
    name: str,
    radio: Radio,
    on_payload: OnPayload,
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
    return Link(client, lost, on_payload)
