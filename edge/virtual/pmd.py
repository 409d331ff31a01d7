"""Polar's measurement data service (PMD) on a virtual peripheral: control point and streams."""

import asyncio
from collections.abc import Iterable
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
from devices.polar_frames import encode_frame, pulse_interval_samples
from devices.polar_pmd import (
    NO_MEASUREMENT,
    GetSdkSettingsRequest,
    GetSettingsRequest,
    PmdCommand,
    PmdFeatures,
    PmdMeasurement,
    PmdOpCode,
    PmdQuery,
    PmdRequest,
    PmdResponse,
    PmdSettings,
    PmdStatus,
    StartRequest,
    StopRequest,
    decode_request,
    encode_indication,
    encode_settings,
)
from devices.polar_queries import MeasurementStatus, encode_measurement_status, encode_sdk_mode
from edge.virtual.peripheral import (
    ChannelCounters,
    Counters,
    Mend,
    Peripheral,
    Permissions,
    Properties,
    bumble_uuid,
    notifying,
)
from edge.virtual.player import NS_PER_S, SampleGrid, SampleTable, StreamPlayer
from edge.virtual.pmd_offers import (
    DeviceClock,
    IntervalOffer,
    Offer,
    StreamOffer,
    completed,
    refusal,
    whole_rate_hz,
)

__all__ = ["IntervalOffer", "PmdService", "StreamOffer", "whole_rate_hz"]

_ATT_HEADER_BYTES: Final = 3
_CCCD_IMPROPERLY_CONFIGURED: Final = 0xFD
"""ATT error of the Core Specification Supplement, part B."""
_OP_CODES_OF_SDK_MODE: Final = frozenset(
    {
        PmdOpCode.GET_SDK_SETTINGS,
        PmdOpCode.GET_MEASUREMENT_STATUS,
        PmdOpCode.GET_SDK_MODE_STATUS,
    }
)
"""A Polar H10, which has no SDK mode, does not know these."""

_Outcome = tuple[PmdStatus, bytes]
"""Status and parameters of an answer."""


@dataclass(slots=True)
class _Stream:
    player: StreamPlayer
    settings: PmdSettings
    started_by: Connection


class PmdService:
    """The service: answers the control point, plays the streams that were started.

    A stream lives on without a central: once started, samples are taken on the same grid until a
    stop command, as a body does not wait for a listener. A central that comes back may start the
    running stream again, and then simply hears it.

    Parameters
    ----------
    peripheral
        Whose service it is.
    offers
        What can be started.
    drift_ppm
        Of the device's clock, which times the frames and paces the samples.
    """

    def __init__(
        self, peripheral: Peripheral, offers: Iterable[Offer], *, drift_ppm: float = 0.0
    ) -> None:
        self._peripheral = peripheral
        self._offers = {offer.measurement: offer for offer in offers}
        self._streams: dict[PmdMeasurement, _Stream] = {}
        self._has_sdk_mode = any(o.sdk_settings is not None for o in self._offers.values())
        self._sdk_mode = False
        self._clock = DeviceClock(peripheral.clock.now_ns(), drift_ppm)
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
            if isinstance(offer, StreamOffer):
                peripheral.channels |= {name: ChannelCounters() for name in offer.channels}
            else:
                peripheral.readings[offer.name] = Counters()

    @property
    def running(self) -> frozenset[PmdMeasurement]:
        """Measurements that are being taken."""
        return frozenset(self._streams)

    @property
    def sdk_mode(self) -> bool:
        """Whether SDK mode is on."""
        return self._sdk_mode

    def reset_clock(self) -> None:
        """Let the device's clock fall back to its default time; the streams go on."""
        self._clock.reset(self._peripheral.clock.now_ns())

    async def lose_power(self) -> None:
        """Let the battery contact break for a moment: no link, no streams, the default time.

        Samples that were taken and not sent are lost, and counted as unsent.
        """
        connection = self._peripheral.connection
        if connection is not None:
            await connection.disconnect()
        for measurement in self.running:
            await self._stop(measurement)
        self._sdk_mode = False
        self.reset_clock()

    # The control point

    def _read_features(self, _connection: Connection) -> bytes:
        sdk_mode = {PmdMeasurement.SDK_MODE} if self._has_sdk_mode else set[PmdMeasurement]()
        return encode_indication(PmdFeatures(measurements=frozenset({*self._offers, *sdk_mode})))

    def _on_write(self, connection: Connection, value: bytes) -> None:
        if not self._peripheral.is_subscribed(self._control_point):
            raise ATT_Error(_CCCD_IMPROPERLY_CONFIGURED)
        if not value:
            raise ATT_Error(ATT_INVALID_ATTRIBUTE_LENGTH_ERROR)
        self._peripheral.spawn(self._answer(connection, bytes(value)))

    async def _answer(self, connection: Connection, value: bytes) -> None:
        async with self._answering:
            op_code, measurement = value[0], value[1] if len(value) > 1 else NO_MEASUREMENT
            parameters = b""
            try:
                status, parameters = await self._obey(connection, decode_request(value))
            except DecodeError:
                known = op_code in set(PmdOpCode)
                status = PmdStatus.INVALID_PARAMETER if known else PmdStatus.INVALID_OP_CODE
            response = PmdResponse(
                op_code=op_code, measurement=measurement, status=status, parameters=parameters
            )
            await self._peripheral.indicate(self._control_point, encode_indication(response), ())

    async def _obey(self, connection: Connection, command: PmdCommand) -> _Outcome:
        if command.op_code in _OP_CODES_OF_SDK_MODE and not self._has_sdk_mode:
            return PmdStatus.INVALID_OP_CODE, b""
        if isinstance(command, PmdQuery):
            return PmdStatus.SUCCESS, self._state(command)
        if command.measurement == PmdMeasurement.SDK_MODE and self._has_sdk_mode:
            return self._switch_sdk_mode(command), b""
        for offer in self._offers.values():
            if offer.measurement == command.measurement:
                return await self._obey_about(connection, offer, command)
        return PmdStatus.INVALID_MEASUREMENT_TYPE, b""

    async def _obey_about(
        self, connection: Connection, offer: Offer, command: PmdRequest
    ) -> _Outcome:
        if isinstance(command, StopRequest):
            return await self._stop(offer.measurement), b""
        in_sdk_mode = self._sdk_mode or isinstance(command, GetSdkSettingsRequest)
        settings = offer.sdk_settings if in_sdk_mode else offer.settings
        if settings is None:
            return PmdStatus.NOT_SUPPORTED, b""
        if isinstance(command, StartRequest):
            return await self._start(connection, offer, settings, command.settings)
        return PmdStatus.SUCCESS, encode_settings(settings)

    def _state(self, query: PmdQuery) -> bytes:
        if query.op_code is PmdOpCode.GET_SDK_MODE_STATUS:
            return encode_sdk_mode(enabled=self._sdk_mode)
        return encode_measurement_status(
            MeasurementStatus(measurement=measurement, online=measurement in self._streams)
            for measurement in self._offers
        )

    def _switch_sdk_mode(self, command: PmdRequest) -> PmdStatus:
        if isinstance(command, GetSettingsRequest | GetSdkSettingsRequest):
            return PmdStatus.NOT_SUPPORTED
        wanted = isinstance(command, StartRequest)
        if self._streams:
            return PmdStatus.INVALID_STATE
        if self._sdk_mode == wanted:
            return PmdStatus.ALREADY_IN_STATE
        self._sdk_mode = wanted
        return PmdStatus.SUCCESS

    # Streams

    async def _start(
        self, connection: Connection, offer: Offer, offered: PmdSettings, chosen: PmdSettings
    ) -> _Outcome:
        refused = refusal(offered, chosen)
        if refused is not None:
            return refused, b""
        settings = completed(offered, chosen)
        if connection.att_mtu - _ATT_HEADER_BYTES < offer.frame_bytes(settings):
            return PmdStatus.INVALID_MTU, b""
        factor = offer.factor(settings)
        parameters = b"" if factor is None else encode_settings(PmdSettings(factors=(factor,)))
        stream = self._streams.get(offer.measurement)
        if stream is not None and stream.started_by is connection:
            return PmdStatus.ALREADY_IN_STATE, b""
        if stream is not None and stream.settings == settings:
            stream.started_by = connection
            return PmdStatus.SUCCESS, parameters
        await self._stop(offer.measurement)
        player = (
            self._sample_player(offer, settings)
            if isinstance(offer, StreamOffer)
            else self._interval_player(offer)
        )
        self._streams[offer.measurement] = _Stream(player, settings, connection)
        self._peripheral.mended(Mend.START)
        self._peripheral.spawn(player.run())
        return PmdStatus.SUCCESS, parameters

    async def _stop(self, measurement: PmdMeasurement) -> PmdStatus:
        stream = self._streams.pop(measurement, None)
        if stream is None:
            return PmdStatus.ALREADY_IN_STATE
        await stream.player.stop()
        return PmdStatus.SUCCESS

    def _sample_player(self, offer: StreamOffer, settings: PmdSettings) -> StreamPlayer:
        async def send(i_first: int, samples: NDArray[np.int32]) -> None:
            i_last = i_first + len(samples) - 1
            payload = encode_frame(
                measurement=offer.measurement,
                timestamp_ns=self._clock.device_ns(player.grid.time_ns(i_last)),
                samples=offer.counts(samples, settings),
                frame_type=offer.frame_type,
                compressed=offer.compressed,
            )
            counts = [(counters, len(samples)) for counters in self._counters(offer)]
            for counters, _ in counts:
                counters.i_end = i_last + 1
            await self._peripheral.keep_pace()
            await self._peripheral.notify(self._data, payload, counts)

        (rate_hz,) = settings.sample_rates_hz
        player = StreamPlayer(
            self._peripheral.clock,
            SampleGrid(offer.start_ns, self._clock.rate(rate_hz)),
            offer.table_at(rate_hz),
            offer.n_per_frame(rate_hz),
            send,
        )
        for counters in self._counters(offer):
            counters.n_starts += 1
            counters.sampling_rate_hz = float(rate_hz)
            if counters.i_end is not None:
                counters.n_between += player.i_first - counters.i_end
            if counters.i_first is None:
                counters.i_first = player.i_first
                counters.first_sample_utc_ns = player.grid.time_ns(player.i_first)
        return player

    def _interval_player(self, offer: IntervalOffer) -> StreamPlayer:
        """Play a grid of the instants at which intervals are sent, one for a frame."""
        period_ns = round(offer.period_s * NS_PER_S)
        first_ns = self._peripheral.clock.now_ns() + round(offer.warm_up_s * NS_PER_S)

        async def send(i_first: int, _ticks: NDArray[np.int32]) -> None:
            t_ns = player.grid.time_ns(i_first)
            await self._send_intervals(offer, t_ns - period_ns, t_ns)

        player = StreamPlayer(
            self._peripheral.clock,
            SampleGrid(first_ns, Fraction(NS_PER_S, period_ns)),
            SampleTable(np.zeros((1, 1), dtype=np.int32)),
            1,
            send,
        )
        return player

    async def _send_intervals(self, offer: IntervalOffer, after_ns: int, until_ns: int) -> None:
        intervals = offer.intervals(after_ns, until_ns)
        for i_first in range(0, len(intervals), offer.n_per_frame_max):
            part = intervals[i_first : i_first + offer.n_per_frame_max]
            # An interval is no sample of one instant: such frames tell no time.
            payload = encode_frame(
                measurement=offer.measurement,
                timestamp_ns=0,
                samples=pulse_interval_samples(part),
            )
            counts = [(self._peripheral.readings[offer.name], len(part))]
            await self._peripheral.notify(self._data, payload, counts)

    def _counters(self, offer: StreamOffer) -> list[ChannelCounters]:
        return [self._peripheral.channels[name] for name in offer.channels]
