"""Chevet Virtual Patch: a Generic Health Sensor whose vital signs are SIMULATED.

Once started by its control point it notifies, every second, a bundle of numbers (heart rate,
respiratory rate, body temperature) and a sample array (a plethysmogram), each cut into segments.
Its clock can be read and set by the Elapsed Time service.
"""

import math
from collections.abc import Coroutine, Iterable
from typing import Any, Final

import numpy as np
from bumble.att import ATT_INVALID_ATTRIBUTE_LENGTH_ERROR, ATT_Error
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service
from numpy.typing import NDArray

from devices import codes, generic_health_sensor
from devices.current_time import TimeSource
from devices.elapsed_time import (
    CURRENT_ELAPSED_TIME,
    ELAPSED_TIME_SERVICE,
    EPOCH_UNIX_NS,
    CurrentElapsedTime,
    ElapsedTime,
    ElapsedTimeError,
    TimeKind,
    TimeResolution,
    decode_elapsed_time,
    encode_current_elapsed_time,
)
from devices.errors import DecodeError
from devices.generic_health_sensor import (
    COMMAND_NOT_SUPPORTED,
    GhsControlPointCode,
    HealthSensorFeatures,
    decode_ghs_control_point,
    encode_ghs_control_point,
    encode_health_sensor_features,
)
from devices.ghs_header import ObservationHeader, ObservationStatus
from devices.ghs_observation import (
    HealthObservation,
    Observation,
    ObservationBundle,
    encode_health_observation,
)
from devices.ghs_samples import SampleArrayValue
from devices.ghs_segments import SEGMENT_COUNTERS, cut_into_segments
from devices.ghs_values import NumericValue
from edge.virtual.ether import Ether
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
    ChannelCounters,
    Counters,
    Counts,
    Identity,
    Peripheral,
    Permissions,
    Properties,
    bumble_uuid,
    notifying,
    readable,
)
from edge.virtual.player import NS_PER_S, Clock, ticks

MODEL: Final = "Virtual Patch"
PERIOD_S: Final = 1.0
PLETH_HZ: Final = 50
SEGMENT_BYTES_DEFAULT: Final = 60
"""Small, so that observations take several notifications."""

_ATT_HEADER_BYTES: Final = 3
_ATT_MTU_MIN: Final = 23
_CCCD_IMPROPERLY_CONFIGURED: Final = 0xFD
"""ATT error of the Core Specification Supplement, part B."""
_NS_PER_MS: Final = 10**6
_NUMERICS: Final = (codes.HEART_RATE, codes.RESPIRATORY_RATE, codes.BODY_TEMPERATURE)
_UNITS: Final = {
    codes.HEART_RATE: 2720,
    codes.RESPIRATORY_RATE: 2784,
    codes.BODY_TEMPERATURE: 6048,
    codes.PLETH: 512,
}
"""Terms of ``devices.ghs_units``."""


class HealthSensor(Peripheral):
    """A patch that measures nothing: its values follow from the time alone.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    segment_bytes_max
        The longest notification, 2 or more; the link may allow less.
    clock_ahead_s
        How far its clock is ahead of the true time until it is set.
    status
        What it says of every observation; test data by default, for that is what it sends.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        *,
        segment_bytes_max: int = SEGMENT_BYTES_DEFAULT,
        clock_ahead_s: float = 0.0,
        status: ObservationStatus | None = ObservationStatus.TEST_DATA,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(ether, identity, clock, advertising_interval_ms=advertising_interval_ms)
        self._segment_bytes_max = segment_bytes_max
        self._ahead_ns = round(clock_ahead_s * NS_PER_S)
        self._needs_set = True
        self._status = status
        self._live_to: Connection | None = None
        self._segment_counter = 0
        self._live = notifying(generic_health_sensor.LIVE_HEALTH_OBSERVATIONS)
        self._control_point: Characteristic[bytes] = Characteristic(
            bumble_uuid(generic_health_sensor.GHS_CONTROL_POINT),
            Properties.WRITE | Properties.INDICATE,
            Permissions.WRITEABLE,
            CharacteristicValue(write=self._on_command),
        )
        self._time: Characteristic[bytes] = Characteristic(
            bumble_uuid(CURRENT_ELAPSED_TIME),
            Properties.READ | Properties.WRITE | Properties.INDICATE,
            Permissions.READABLE | Permissions.WRITEABLE,
            CharacteristicValue(read=self._read_time, write=self._set_time),
        )
        self.readings |= {quantity.name: Counters() for quantity in _NUMERICS}
        self.readings["segment"] = Counters()
        self.channels["pleth"] = ChannelCounters(sampling_rate_hz=float(PLETH_HZ))

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (generic_health_sensor.GENERIC_HEALTH_SENSOR_SERVICE,)

    @property
    def record_name(self) -> None:
        """None: all is simulated."""
        return

    def services(self) -> Iterable[Service]:
        """Give the Generic Health Sensor and Elapsed Time services."""
        features = HealthSensorFeatures(
            observation_types=tuple(quantity.mdc for quantity in _UNITS)
        )
        return (
            Service(
                bumble_uuid(generic_health_sensor.GENERIC_HEALTH_SENSOR_SERVICE),
                [
                    readable(
                        generic_health_sensor.HEALTH_SENSOR_FEATURES,
                        encode_health_sensor_features(features),
                    ),
                    self._live,
                    self._control_point,
                ],
            ),
            Service(bumble_uuid(ELAPSED_TIME_SERVICE), [self._time]),
        )

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give what notifies the observations."""
        return (self._measure(),)

    # What it measures

    def numbers(self, t_ns: int) -> dict[str, float]:
        """Return the simulated numbers of an instant, by the names of their quantities."""
        phase = 2 * math.pi * t_ns / NS_PER_S / 60
        return {
            codes.HEART_RATE.name: float(round(72 + 8 * math.sin(phase))),
            codes.RESPIRATORY_RATE.name: float(round(14 + 2 * math.cos(phase))),
            codes.BODY_TEMPERATURE.name: round(36.8 + 0.2 * math.sin(phase), 2),
        }

    def pleth_counts(self, t_ns: int) -> NDArray[np.uint16]:
        """Return the simulated plethysmogram of the second that begins at an instant."""
        i_samples = t_ns * PLETH_HZ // NS_PER_S + np.arange(PLETH_HZ)
        return (i_samples * 97 % 4001).astype("<u2")

    def device_time(self, t_ns: int) -> ElapsedTime:
        """Give what its clock shows at an instant."""
        return ElapsedTime(
            count=(t_ns + self._ahead_ns - EPOCH_UNIX_NS) // _NS_PER_MS,
            resolution=TimeResolution.MILLISECOND,
            kind=TimeKind.UTC,
            source=TimeSource.UNKNOWN if self._needs_set else TimeSource.NETWORK_TIME_PROTOCOL,
        )

    async def _measure(self) -> None:
        async for t_ns in ticks(self.clock, self.clock.now_ns(), PERIOD_S):
            if self._live_to is not None and self._live_to is self.connection:
                numbers = self.numbers(t_ns)
                counts = [(self.readings[name], 1) for name in numbers]
                await self._send(self._bundle(t_ns, numbers), counts)
                pleth = self._pleth(t_ns - round(PERIOD_S * NS_PER_S))
                await self._send(pleth, [(self.channels["pleth"], PLETH_HZ)])

    def _bundle(self, t_ns: int, numbers: dict[str, float]) -> ObservationBundle:
        return ObservationBundle(
            header=ObservationHeader(time=self.device_time(t_ns), status=self._status),
            observations=tuple(
                HealthObservation(
                    header=ObservationHeader(observation_type=quantity.mdc),
                    value=NumericValue(unit=_UNITS[quantity], value=numbers[quantity.name]),
                )
                for quantity in _NUMERICS
            ),
        )

    def _pleth(self, t_ns: int) -> HealthObservation:
        """Give the second that begins at an instant; it is sent when it is over."""
        return HealthObservation(
            header=ObservationHeader(
                observation_type=codes.PLETH.mdc,
                time=self.device_time(t_ns),
                status=self._status,
            ),
            value=SampleArrayValue(
                unit=_UNITS[codes.PLETH],
                scale=0.001,
                offset=0.0,
                period_s=1 / PLETH_HZ,
                sample_bytes=2,
                samples=self.pleth_counts(t_ns).tobytes(),
            ),
        )

    # How it is sent

    async def _send(self, observation: Observation, counts: Counts) -> None:
        """Send an observation; its values are sent if each of its segments is."""
        counts = tuple(counts)
        segments = self.readings["segment"]
        payloads = self._cut(encode_health_observation(observation))
        n_unsent = segments.unsent
        for payload in payloads[:-1]:
            await self.notify(self._live, payload, [(segments, 1)])
        if segments.unsent == n_unsent:
            await self.notify(self._live, payloads[-1], [(segments, 1), *counts])
            return
        await self.notify(self._live, payloads[-1], [(segments, 1)])
        for counters, n_values in counts:
            counters.produced += n_values
            counters.unsent += n_values

    def _cut(self, encoded: bytes) -> list[bytes]:
        mtu = _ATT_MTU_MIN if self.connection is None else self.connection.att_mtu
        payload_bytes_max = min(self._segment_bytes_max, mtu - _ATT_HEADER_BYTES)
        payloads = list(
            cut_into_segments(
                encoded, counter=self._segment_counter, payload_bytes_max=payload_bytes_max
            )
        )
        self._segment_counter = (self._segment_counter + len(payloads)) % SEGMENT_COUNTERS
        return payloads

    # What it is told

    def _on_command(self, connection: Connection, value: bytes) -> None:
        if not self.is_subscribed(self._control_point):
            raise ATT_Error(_CCCD_IMPROPERLY_CONFIGURED)
        try:
            code = decode_ghs_control_point(bytes(value))
        except DecodeError as error:
            raise ATT_Error(ATT_INVALID_ATTRIBUTE_LENGTH_ERROR) from error
        if code == GhsControlPointCode.START_LIVE_OBSERVATIONS:
            if self._live_to is not connection:
                self._segment_counter = 0
            self._live_to = connection
        elif code == GhsControlPointCode.STOP_LIVE_OBSERVATIONS:
            self._live_to = None
        else:
            raise ATT_Error(COMMAND_NOT_SUPPORTED)
        success = encode_ghs_control_point(GhsControlPointCode.SUCCESS)
        self.spawn(self.indicate(self._control_point, success, ()))

    def _read_time(self, _connection: Connection) -> bytes:
        return encode_current_elapsed_time(
            CurrentElapsedTime(
                time=self.device_time(self.clock.now_ns()), needs_set=self._needs_set
            )
        )

    def _set_time(self, _connection: Connection, value: bytes) -> None:
        try:
            utc_ns = decode_elapsed_time(bytes(value)).utc_ns
        except DecodeError:
            utc_ns = None
        if utc_ns is None:
            raise ATT_Error(ElapsedTimeError.INCORRECT_TIME_FORMAT)
        self._ahead_ns = utc_ns - self.clock.now_ns()
        self._needs_set = False
