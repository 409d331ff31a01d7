"""Polar's measurement data service (PMD) on a virtual peripheral: control point and streams."""

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from bumble.att import ATT_INVALID_ATTRIBUTE_LENGTH_ERROR, ATT_Error
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service
from numpy.typing import NDArray

from devices import uuids
from devices.errors import DecodeError
from devices.polar_frames import PMD_EPOCH_UNIX_NS, encode_frame, find_layout
from devices.polar_pmd import (
    GetSettingsRequest,
    PmdFeatures,
    PmdMeasurement,
    PmdOpCode,
    PmdRequest,
    PmdResponse,
    PmdSettings,
    PmdSettingType,
    PmdStatus,
    StartRequest,
    StopRequest,
    decode_request,
    encode_indication,
    encode_settings,
)
from edge.virtual.peripheral import (
    ChannelCounters,
    Peripheral,
    Permissions,
    Properties,
    bumble_uuid,
    notifying,
)
from edge.virtual.player import SampleGrid, SampleTable, StreamPlayer
from ingest.errors import RecordingError

FRAME_BYTES_MAX: Final = 229
"""What a Polar H10 sends: 73 ECG samples."""
FRAME_S: Final = 0.2
RATE_HZ_MAX: Final = 0xFFFF
_HEADER_BYTES: Final = 10
_ATT_HEADER_BYTES: Final = 3
_REQUEST_BYTES_MIN: Final = 2
_CCCD_IMPROPERLY_CONFIGURED: Final = 0xFD
"""ATT error of the Core Specification Supplement, part B."""

_REFUSALS: Final[Mapping[PmdSettingType, PmdStatus]] = {
    PmdSettingType.SAMPLE_RATE: PmdStatus.INVALID_SAMPLE_RATE,
    PmdSettingType.RESOLUTION: PmdStatus.INVALID_RESOLUTION,
    PmdSettingType.RANGE: PmdStatus.INVALID_RANGE,
    PmdSettingType.RANGE_MILLIUNIT: PmdStatus.INVALID_RANGE,
    PmdSettingType.CHANNELS: PmdStatus.INVALID_NUMBER_OF_CHANNELS,
    PmdSettingType.FACTOR: PmdStatus.INVALID_PARAMETER,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamOffer:
    """A stream that a peripheral can start."""

    measurement: PmdMeasurement
    frame_type: int
    settings: PmdSettings
    """What is offered; ``sample_rates_hz`` has at least one."""
    channels: tuple[str, ...]
    """Names of the columns that are wired, as in the catalogue."""
    start_ns: int
    """When sample 0 is taken."""
    table_at: Callable[[int], SampleTable]
    """Samples at an offered rate, in samples per second."""

    @property
    def row_bytes(self) -> int:
        """Bytes of a sample of all columns."""
        columns = find_layout(self.measurement, self.frame_type, compressed=False).columns
        return sum(column.n_bytes for column in columns)

    def n_per_frame(self, rate_hz: int) -> int:
        """Count the samples of a full frame: about a fifth of a second, never too long to send."""
        return max(1, min(round(FRAME_S * rate_hz), self.n_per_frame_max))

    @property
    def n_per_frame_max(self) -> int:
        """Samples that fit a frame."""
        return (FRAME_BYTES_MAX - _HEADER_BYTES) // self.row_bytes

    def frame_bytes(self, rate_hz: int) -> int:
        """Count the bytes of a full frame."""
        return _HEADER_BYTES + self.n_per_frame(rate_hz) * self.row_bytes


@dataclass(slots=True)
class _Stream:
    player: StreamPlayer
    rate_hz: int
    started_by: Connection


def whole_rate_hz(rate: Fraction, what: str) -> int:
    """Return a sampling rate as PMD can state it.

    Raises
    ------
    RecordingError
    """
    if rate.denominator != 1 or not 1 <= rate <= RATE_HZ_MAX:
        raise RecordingError(
            f"{what} has {float(rate):g} samples per second; a sensor of this kind can offer whole "
            f"numbers from 1 to {RATE_HZ_MAX} only"
        )
    return int(rate)


class PmdService:
    """The service: answers the control point, plays the streams that were started.

    A stream lives on without a central: once started, samples are taken on the same grid until a
    stop command, as a body does not wait for a listener. A central that comes back may start the
    running stream again, and then simply hears it.
    """

    def __init__(self, peripheral: Peripheral, offers: Iterable[StreamOffer]) -> None:
        self._peripheral = peripheral
        self._offers = {offer.measurement: offer for offer in offers}
        self._streams: dict[PmdMeasurement, _Stream] = {}
        # A central gets one answer before the next command is obeyed.
        self._answering = asyncio.Lock()
        self._control_point: Characteristic[bytes] = Characteristic(
            bumble_uuid(uuids.PMD_CONTROL_POINT),
            Properties.READ | Properties.WRITE | Properties.INDICATE,
            Permissions.READABLE | Permissions.WRITEABLE,
            CharacteristicValue(read=self._read_features, write=self._on_write),
        )
        self._data = notifying(uuids.PMD_DATA)
        self.service = Service(bumble_uuid(uuids.PMD_SERVICE), [self._control_point, self._data])
        for offer in self._offers.values():
            peripheral.channels |= {name: ChannelCounters() for name in offer.channels}

    @property
    def running(self) -> frozenset[PmdMeasurement]:
        """Measurements that are being taken."""
        return frozenset(self._streams)

    def _read_features(self, _connection: Connection) -> bytes:
        return encode_indication(PmdFeatures(measurements=frozenset(self._offers)))

    def _on_write(self, connection: Connection, value: bytes) -> None:
        if not self._peripheral.is_subscribed(self._control_point):
            raise ATT_Error(_CCCD_IMPROPERLY_CONFIGURED)
        if len(value) < _REQUEST_BYTES_MIN:
            raise ATT_Error(ATT_INVALID_ATTRIBUTE_LENGTH_ERROR)
        self._peripheral.spawn(self._answer(connection, bytes(value)))

    async def _answer(self, connection: Connection, value: bytes) -> None:
        async with self._answering:
            try:
                response = await self._obey(connection, decode_request(value))
            except DecodeError:
                known = value[0] in set(PmdOpCode)
                status = PmdStatus.INVALID_PARAMETER if known else PmdStatus.INVALID_OP_CODE
                response = _response(value[0], value[1], status)
            await self._peripheral.indicate(self._control_point, encode_indication(response), ())

    async def _obey(self, connection: Connection, request: PmdRequest) -> PmdResponse:
        offer = next(
            (o for o in self._offers.values() if o.measurement == request.measurement), None
        )
        match request:
            case GetSettingsRequest():
                op_code = PmdOpCode.GET_SETTINGS
            case StartRequest():
                op_code = PmdOpCode.START
            case StopRequest():
                op_code = PmdOpCode.STOP
        if offer is None:
            return _response(op_code, request.measurement, PmdStatus.INVALID_MEASUREMENT_TYPE)
        parameters = b""
        match request:
            case GetSettingsRequest():
                status, parameters = PmdStatus.SUCCESS, encode_settings(offer.settings)
            case StartRequest():
                status = await self._start(connection, offer, request.settings)
            case StopRequest():
                status = await self._stop(offer)
        return _response(op_code, request.measurement, status, parameters)

    async def _start(
        self, connection: Connection, offer: StreamOffer, chosen: PmdSettings
    ) -> PmdStatus:
        refusal = _refusal(offer.settings, chosen)
        if refusal is not None:
            return refusal
        rate_hz = (chosen.sample_rates_hz or offer.settings.sample_rates_hz)[0]
        if connection.att_mtu - _ATT_HEADER_BYTES < offer.frame_bytes(rate_hz):
            return PmdStatus.INVALID_MTU
        stream = self._streams.get(offer.measurement)
        if stream is not None and stream.started_by is connection:
            return PmdStatus.ALREADY_IN_STATE
        if stream is not None and stream.rate_hz == rate_hz:
            stream.started_by = connection
            return PmdStatus.SUCCESS
        await self._stop(offer)
        self._begin(connection, offer, rate_hz)
        return PmdStatus.SUCCESS

    def _begin(self, connection: Connection, offer: StreamOffer, rate_hz: int) -> None:
        async def send(i_first: int, samples: NDArray[np.int32]) -> None:
            await self._send(offer, player.grid, i_first, samples)

        player = StreamPlayer(
            self._peripheral.clock,
            SampleGrid(offer.start_ns, Fraction(rate_hz)),
            offer.table_at(rate_hz),
            offer.n_per_frame(rate_hz),
            send,
        )
        for counters in self._counters(offer):
            counters.n_starts += 1
            counters.sampling_rate_hz = float(rate_hz)
            if counters.i_first is None:
                counters.i_first = player.i_first
                counters.first_sample_utc_ns = player.grid.time_ns(player.i_first)
        self._streams[offer.measurement] = _Stream(player, rate_hz, connection)
        self._peripheral.spawn(player.run())

    async def _stop(self, offer: StreamOffer) -> PmdStatus:
        stream = self._streams.pop(offer.measurement, None)
        if stream is None:
            return PmdStatus.ALREADY_IN_STATE
        await stream.player.stop()
        return PmdStatus.SUCCESS

    async def _send(
        self, offer: StreamOffer, grid: SampleGrid, i_first: int, samples: NDArray[np.int32]
    ) -> None:
        i_last = i_first + len(samples) - 1
        payload = encode_frame(
            measurement=offer.measurement,
            timestamp_ns=grid.time_ns(i_last) - PMD_EPOCH_UNIX_NS,
            samples=samples,
            frame_type=offer.frame_type,
        )
        counts = [(counters, len(samples)) for counters in self._counters(offer)]
        await self._peripheral.notify(self._data, payload, counts)

    def _counters(self, offer: StreamOffer) -> list[ChannelCounters]:
        return [self._peripheral.channels[name] for name in offer.channels]


def _refusal(offered: PmdSettings, chosen: PmdSettings) -> PmdStatus | None:
    """Return why the chosen settings are refused: one value of each kind, from those offered."""
    by_type = offered.by_type()
    for kind, values in chosen.by_type().items():
        if len(values) > 1:
            return PmdStatus.INVALID_PARAMETER
        if not set(values) <= set(by_type[kind]):
            return _REFUSALS[kind]
    return None


def _response(
    op_code: int, measurement: int, status: PmdStatus, parameters: bytes = b""
) -> PmdResponse:
    return PmdResponse(
        op_code=op_code, measurement=measurement, status=status, parameters=parameters
    )
