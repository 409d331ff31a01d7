"""Chevet Virtual Movesense: a sensor that speaks the GSP, on a recorded person."""

import asyncio
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from fractions import Fraction
from http import HTTPStatus
from typing import Any, Final

import numpy as np
from bumble.att import ATT_INVALID_ATTRIBUTE_LENGTH_ERROR, ATT_Error
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service
from numpy.typing import NDArray

from devices import uuids
from devices.errors import DecodeError
from devices.movesense import (
    GspCommand,
    GspData,
    GspDataPart,
    GspGetCommand,
    GspHello,
    GspHelloCommand,
    GspPutUtcTimeCommand,
    GspResponse,
    GspResult,
    GspSubscribeCommand,
    GspUnsubscribeCommand,
    decode_gsp_command,
    encode_gsp_hello,
    encode_gsp_notification,
    encode_gsp_result,
)
from devices.movesense_data import (
    ECG_RATES_HZ,
    HEART_RATE_PATH,
    IMU_RATES_HZ,
    LAYOUTS,
    TEMPERATURE_PATH,
    GspFrame,
    GspHeartRate,
    GspKind,
    GspTemperature,
    encode_gsp_frame,
    encode_gsp_heart_rate,
    encode_gsp_temperature,
    gsp_packet_samples,
    gsp_path,
    gsp_whole_bytes,
)
from edge.virtual.ether import Ether
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
    ChannelCounters,
    Counters,
    Identity,
    Permissions,
    Properties,
    bumble_uuid,
    notifying,
)
from edge.virtual.player import NS_PER_S, Body, Clock, SampleGrid, SampleTable, StreamPlayer, ticks
from edge.virtual.pmd import whole_rate_hz
from edge.virtual.recorded import RecordedPeripheral
from edge.virtual.strap import microvolts, still_person_mg
from ingest.errors import RecordingError

MODEL: Final = "Virtual Movesense"
BEATS_PERIOD_S: Final = 1.0
TEMPERATURE_PERIOD_S: Final = 5.0
PART_BYTES_MAX: Final = 158
"""Chosen: a real sensor cuts a packet of nine axes at 104 Hz in two; where is not known."""
BATTERY_PATH: Final = "/System/Energy/Level"

_ADVERTISED_SERVICE: Final = uuids.sig_uuid(0xFDF3)
"""What a Movesense advertises, as a public client looks for it."""
_ATT_HEADER_BYTES: Final = 3
_COMMAND_BYTES_MIN: Final = 2
_PROTOCOL_VERSION: Final = 1
_NS_PER_MS: Final = 1_000_000
_UPTIME_MS: Final = 1 << 32
_MICROVOLTS_PER_COUNT: Final = 0.381469726563
_STANDARD_GRAVITY: Final = 9.80665
_S16_MAX: Final = (1 << 15) - 1
_IMU_KINDS: Final = (GspKind.ACC, GspKind.IMU6, GspKind.IMU9)
_TURNING_DPS: Final = 0.5
_FIELD_UT: Final = (20.0, -5.0, 43.0)
_KELVIN: Final = 306.9


@dataclass(frozen=True, slots=True)
class _Offer:
    """A waveform at one rate, and where its values come from."""

    kind: GspKind
    rate_hz: int
    table: Callable[[], NDArray[np.float64]]

    @property
    def n_per_packet(self) -> int:
        """Samples of a packet: all have the same number."""
        return gsp_packet_samples(self.kind, self.rate_hz)


@dataclass(slots=True)
class _Subscription:
    path: str
    started_by: Connection
    player: StreamPlayer | None = None
    channels: tuple[str, ...] = ()


class Movesense(RecordedPeripheral):
    """A sensor that speaks the GSP.

    ECG and beats are the recording's. Motion and temperature are SIMULATED: the still person of the
    virtual strap, hardly turning, in a steady magnetic field. Subscriptions end with their link.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    body
        Who wears it. The first ECG channel of the recording is sent, at its own rate.
    seed
        Of the simulated motion.

    Raises
    ------
    RecordingError
        The recording has no ECG, or one at a rate that the sensor does not offer.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        body: Body,
        *,
        seed: int = 0,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(
            ether, identity, clock, body, advertising_interval_ms=advertising_interval_ms
        )
        self._seed = seed
        self._boot_ns = clock.now_ns()
        self.utc_us_set: int | None = None
        """What the last central set the clock to."""
        self.parts = Counters()
        """Notifications of data, whole or parted."""
        self._subscriptions: dict[int, _Subscription] = {}
        self._offers = {gsp_path(one.kind, one.rate_hz): one for one in self._all_offers()}
        for offer in self._offers.values():
            columns = LAYOUTS[offer.kind].columns
            self.channels |= {name: self.channels.get(name, ChannelCounters()) for name in columns}
        self.readings |= {
            "heart_rate": Counters(),
            "rr_interval": Counters(),
            "device_temperature": Counters(),
        }
        # A central gets one answer before the next command is obeyed.
        self._answering = asyncio.Lock()
        self._data = notifying(uuids.GSP_DATA)
        self._command: Characteristic[bytes] = Characteristic(
            bumble_uuid(uuids.GSP_COMMAND),
            Properties.WRITE,
            Permissions.WRITEABLE,
            CharacteristicValue(write=self._on_write),
        )

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (_ADVERTISED_SERVICE,)

    @property
    def subscribed(self) -> dict[int, str]:
        """Paths by the reference of their subscription."""
        return {reference: one.path for reference, one in self._subscriptions.items()}

    def services(self) -> Iterable[Service]:
        """Give the GSP service."""
        return (Service(bumble_uuid(uuids.GSP_SERVICE), [self._command, self._data]),)

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give what sends the beats and the temperature."""
        return (self._send_beats(), self._send_temperature())

    def heart_rates_at(self, t_ns: int) -> tuple[GspHeartRate, ...]:
        """List the events of the last second, one for each beat that ends an interval."""
        if self._beats is None:
            return ()
        until_s = self._body.elapsed_s(t_ns)
        after_s = self._body.elapsed_s(t_ns - round(BEATS_PERIOD_S * NS_PER_S))
        average_bpm = float(np.float32(self._beats.rate_bpm(until_s) or 0.0))
        return tuple(
            GspHeartRate(average_bpm=average_bpm, rr_intervals_ms=(round(1000 * interval_s),))
            for interval_s in self._beats.rr_intervals_s(after_s, until_s)
        )

    def temperature_at(self, t_ns: int) -> GspTemperature:
        """Return the simulated temperature, which does not change."""
        kelvin = float(np.float32(_KELVIN))
        return GspTemperature(temperature_kelvin=kelvin, timestamp_ms=self.uptime_ms(t_ns))

    def uptime_ms(self, t_ns: int) -> int:
        """Return the sensor's time: milliseconds since it started, 32 bits."""
        return round((t_ns - self._boot_ns) / _NS_PER_MS) % _UPTIME_MS

    def values_of(self, path: str) -> NDArray[np.float64]:
        """Return what a waveform's values repeat, as they are sent: (n_samples, n_columns)."""
        return self._offers[path].table()

    # Commands

    def _on_write(self, connection: Connection, value: bytes) -> None:
        if len(value) < _COMMAND_BYTES_MIN:
            raise ATT_Error(ATT_INVALID_ATTRIBUTE_LENGTH_ERROR)
        self.spawn(self._answer(connection, bytes(value)))

    async def _answer(self, connection: Connection, value: bytes) -> None:
        async with self._answering:
            begun = None
            try:
                body, begun = await self._obey(connection, decode_gsp_command(value))
            except DecodeError:
                body = _result(HTTPStatus.BAD_REQUEST)
            answer = GspResponse(reference=value[1], body=body)
            await self.notify(self._data, encode_gsp_notification(answer), ())
            if begun is not None:
                self.spawn(begun.run())

    async def _obey(
        self, connection: Connection, command: GspCommand
    ) -> tuple[bytes, StreamPlayer | None]:
        match command:
            case GspHelloCommand():
                return encode_gsp_hello(self._hello()), None
            case GspSubscribeCommand():
                return self._subscribe(connection, command)
            case GspUnsubscribeCommand():
                return _result(await self._unsubscribe(command.reference)), None
            case GspGetCommand():
                return self._get(command.path), None
            case GspPutUtcTimeCommand():
                self.utc_us_set = command.utc_us
                return _result(HTTPStatus.OK), None

    def _hello(self) -> GspHello:
        return GspHello(
            protocol_version=_PROTOCOL_VERSION,
            serial_number=self.identity.serial,
            product_name=self.identity.model,
            dfu_address=self.identity.address,
            app_name="Chevet",
            app_version="virtual",
        )

    def _get(self, path: str) -> bytes:
        if path == TEMPERATURE_PATH:
            temperature = encode_gsp_temperature(self.temperature_at(self.clock.now_ns()))
            return _result(HTTPStatus.OK, temperature)
        if path == BATTERY_PATH:
            return _result(HTTPStatus.OK, bytes([self._battery_percent]))
        return _result(HTTPStatus.NOT_FOUND)

    def _subscribe(
        self, connection: Connection, command: GspSubscribeCommand
    ) -> tuple[bytes, StreamPlayer | None]:
        offer = self._offers.get(command.path)
        status = self._refusal(connection, command, offer)
        if status is not None:
            return _result(status), None
        subscription = _Subscription(command.path, connection)
        if offer is not None:
            self._prepare(command.reference, subscription, offer)
        if not any(one.started_by is connection for one in self._subscriptions.values()):
            connection.once(Connection.EVENT_DISCONNECTION, lambda _: self._on_lost(connection))
        self._subscriptions[command.reference] = subscription
        return _result(HTTPStatus.OK), subscription.player

    def _refusal(
        self, connection: Connection, command: GspSubscribeCommand, offer: _Offer | None
    ) -> HTTPStatus | None:
        if command.reference in self._subscriptions:
            return HTTPStatus.CONFLICT
        if offer is None:
            events = (HEART_RATE_PATH, TEMPERATURE_PATH)
            return None if command.path in events else HTTPStatus.NOT_FOUND
        columns = {name for one in self._subscriptions.values() for name in one.channels}
        if columns & set(LAYOUTS[offer.kind].columns):
            # One rate at a time for what one part measures.
            return HTTPStatus.CONFLICT
        if gsp_whole_bytes(offer.kind, offer.rate_hz) > 2 * self._part_bytes(connection):
            return HTTPStatus.REQUEST_ENTITY_TOO_LARGE
        return None

    async def _unsubscribe(self, reference: int) -> HTTPStatus:
        subscription = self._subscriptions.pop(reference, None)
        if subscription is None:
            return HTTPStatus.NOT_FOUND
        if subscription.player is not None:
            await subscription.player.stop()
        return HTTPStatus.OK

    def _on_lost(self, connection: Connection) -> None:
        for reference, one in tuple(self._subscriptions.items()):
            if one.started_by is connection:
                self.spawn(self._forget(reference))

    async def _forget(self, reference: int) -> None:
        await self._unsubscribe(reference)

    # Waveforms

    def _prepare(self, reference: int, subscription: _Subscription, offer: _Offer) -> None:
        async def send(i_first: int, samples: NDArray[np.int32]) -> None:
            # A packet always holds the same number of samples: what is over at the end is dropped.
            if len(samples) == offer.n_per_packet:
                t_ns = player.grid.time_ns(i_first)
                await self._send_samples(reference, offer, t_ns, values[samples[:, 0]])

        values = offer.table()
        indices = np.arange(len(values), dtype=np.int32).reshape(-1, 1)
        loops = self._body.loops if offer.kind not in _IMU_KINDS else True
        player = StreamPlayer(
            self.clock,
            SampleGrid(self._body.start_ns, Fraction(offer.rate_hz)),
            SampleTable(indices, loops=loops),
            offer.n_per_packet,
            send,
        )
        subscription.player = player
        subscription.channels = LAYOUTS[offer.kind].columns
        for counters in self._counters(offer):
            counters.n_starts += 1
            counters.sampling_rate_hz = float(offer.rate_hz)
            if counters.i_first is None:
                counters.i_first = player.i_first
                counters.first_sample_utc_ns = player.grid.time_ns(player.i_first)

    async def _send_samples(
        self, reference: int, offer: _Offer, t_ns: int, values: NDArray[np.float64]
    ) -> None:
        vectors = offer.kind in _IMU_KINDS
        frame = GspFrame(
            kind=offer.kind,
            timestamp_ms=self.uptime_ms(t_ns),
            samples=values.astype(np.float32) if vectors else values.astype(np.int32),
        )
        counts = [(counters, len(values)) for counters in self._counters(offer)]
        await self._send_data(reference, encode_gsp_frame(frame), counts)

    async def _send_data(
        self, reference: int, body: bytes, counts: Iterable[tuple[Counters, int]]
    ) -> None:
        """Send data in one notification or two, and count them as sent if all of them were."""
        connection = self.connection
        n_first = len(body) if connection is None else self._part_bytes(connection)
        first, rest = body[:n_first], body[n_first:]
        whole = encode_gsp_notification(GspData(reference=reference, body=first))
        if not rest:
            await self.notify(self._data, whole, [(self.parts, 1), *counts])
            return
        began = Counters()
        await self.notify(self._data, whole, [(self.parts, 1), (began, 1)])
        part = encode_gsp_notification(GspDataPart(reference=reference, body=rest))
        # The parts stay in order: once the first is on the link, the last decides.
        await self.notify(self._data, part, [(self.parts, 1), *(counts if began.sent else ())])
        if not began.sent:
            for counters, n_values in counts:
                counters.produced += n_values
                counters.unsent += n_values

    def _part_bytes(self, connection: Connection) -> int:
        notification_bytes = min(connection.att_mtu - _ATT_HEADER_BYTES, PART_BYTES_MAX)
        return notification_bytes - len(("response", "reference"))

    def _counters(self, offer: _Offer) -> list[ChannelCounters]:
        return [self.channels[name] for name in LAYOUTS[offer.kind].columns]

    # Events

    async def _send_beats(self) -> None:
        async for t_ns in ticks(self.clock, self._body.start_ns, BEATS_PERIOD_S):
            for reference in self._references(HEART_RATE_PATH):
                for heart_rate in self.heart_rates_at(t_ns):
                    counts = [(self.readings["heart_rate"], 1), (self.readings["rr_interval"], 1)]
                    await self._send_data(reference, encode_gsp_heart_rate(heart_rate), counts)

    async def _send_temperature(self) -> None:
        async for t_ns in ticks(self.clock, self._body.start_ns, TEMPERATURE_PERIOD_S):
            for reference in self._references(TEMPERATURE_PATH):
                counts = [(self.readings["device_temperature"], 1)]
                body = encode_gsp_temperature(self.temperature_at(t_ns))
                await self._send_data(reference, body, counts)

    def _references(self, path: str) -> list[int]:
        return [reference for reference, one in self._subscriptions.items() if one.path == path]

    # What is measured

    def _all_offers(self) -> Iterable[_Offer]:
        signal = self._body.recording.first("ecg")
        if signal is None:
            raise RecordingError(
                f"recording {self.record_name} has no ECG: a Movesense cannot play it; choose "
                "another"
            )
        rate_hz = whole_rate_hz(signal.sampling_rate, f"ECG of {self.record_name}")
        if rate_hz not in ECG_RATES_HZ:
            raise RecordingError(
                f"ECG of {self.record_name} has {rate_hz} samples per second; a Movesense offers "
                f"{', '.join(map(str, ECG_RATES_HZ))} only"
            )
        whole_uv = microvolts(signal).astype(np.float64)
        counts = np.rint(whole_uv / _MICROVOLTS_PER_COUNT)
        yield _Offer(GspKind.ECG, rate_hz, lambda: counts)
        if np.abs(whole_uv).max() <= _S16_MAX:
            yield _Offer(GspKind.ECG_MV, rate_hz, lambda: whole_uv)
        for kind in _IMU_KINDS:
            for imu_hz in IMU_RATES_HZ:
                if _is_served(kind, imu_hz):
                    yield _Offer(kind, imu_hz, _motion(kind, imu_hz, self._seed))


def _motion(kind: GspKind, rate_hz: int, seed: int) -> Callable[[], NDArray[np.float64]]:
    def values() -> NDArray[np.float64]:
        return still_person(rate_hz, seed)[:, : len(LAYOUTS[kind].columns)]

    return values


def still_person(rate_hz: int, seed: int) -> NDArray[np.float64]:
    """Simulate a minute of a still person: acceleration, angular velocity, magnetic field.

    Shape ``(n_samples, 9)``, m/s2, deg/s and uT, each a number of 32 bits.
    """
    acceleration = still_person_mg(rate_hz, seed) * (_STANDARD_GRAVITY / 1000)
    rng = np.random.default_rng([seed, rate_hz])
    turning = rng.normal(0.0, _TURNING_DPS, acceleration.shape)
    field = np.broadcast_to(_FIELD_UT, acceleration.shape)
    columns = np.hstack([acceleration, turning, field])
    return columns.astype(np.float32).astype(np.float64)


def _is_served(kind: GspKind, rate_hz: int) -> bool:
    try:
        gsp_whole_bytes(kind, rate_hz)
    except ValueError:
        return False
    return True


def _result(status: HTTPStatus, content: bytes = b"") -> bytes:
    return encode_gsp_result(GspResult(status=status, content=content))
