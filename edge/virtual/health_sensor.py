"""Chevet Virtual Patch: a Generic Health Sensor whose vital signs are SIMULATED.

Once started by its control point it notifies, every second, a bundle of numbers (heart rate,
respiratory rate, body temperature) and a sample array (a plethysmogram), each cut into segments.
While nobody hears it, it keeps a bundle a minute, and gives what it has kept when it is asked.
Its clock can be read and set by the Elapsed Time service.
"""

import math
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from bumble.att import ATT_INVALID_ATTRIBUTE_LENGTH_ERROR, ATT_Error
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue, Service
from numpy.typing import NDArray

from devices import codes, uuids
from devices.current_time import TimeSource
from devices.elapsed_time import (
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
    ObservationBundle,
    encode_health_observation,
)
from devices.ghs_samples import SampleArrayValue
from devices.ghs_values import NumericValue
from devices.uuids import CURRENT_ELAPSED_TIME, ELAPSED_TIME_SERVICE
from edge.virtual.ether import Ether
from edge.virtual.health_store import HealthStore
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
    ChannelCounters,
    Counters,
    Identity,
    Peripheral,
    Permissions,
    Properties,
    bumble_uuid,
    notifying,
    readable,
)
from edge.virtual.player import NS_PER_S, Clock, ticks
from edge.virtual.segments import SEGMENT_BYTES_DEFAULT, SegmentSender

MODEL: Final = "Virtual Patch"
PERIOD_S: Final = 1.0
PLETH_HZ: Final = 50
STORE_PERIOD_S_DEFAULT: Final = 60.0

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


@dataclass(frozen=True, slots=True, kw_only=True)
class PatchSettings:
    """What kind of patch it is."""

    segment_bytes_max: int = SEGMENT_BYTES_DEFAULT
    """The longest notification, 2 or more; the link may allow less."""
    store_period_s: float = STORE_PERIOD_S_DEFAULT
    """Seconds between two records of its store, while nobody hears it live."""
    clock_ahead_s: float = 0.0
    """How far its clock is ahead of the true time until it is set."""
    status: ObservationStatus | None = ObservationStatus.TEST_DATA
    """What it says of every observation: by default that it is test data, for so it is."""


_PATCH: Final = PatchSettings()


class HealthSensor(Peripheral):
    """A patch that measures nothing: its values follow from the time alone.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    settings
        What kind of patch it is.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        *,
        settings: PatchSettings = _PATCH,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(ether, identity, clock, advertising_interval_ms=advertising_interval_ms)
        self._settings = settings
        self._ahead_ns = round(settings.clock_ahead_s * NS_PER_S)
        self._needs_set = True
        self._live_to: Connection | None = None
        self._live = notifying(uuids.LIVE_HEALTH_OBSERVATIONS)
        self._control_point: Characteristic[bytes] = Characteristic(
            bumble_uuid(uuids.GHS_CONTROL_POINT),
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
        self._sender = SegmentSender(
            self, self._live, self.readings["segment"], settings.segment_bytes_max
        )
        self.store = HealthStore(self, settings.segment_bytes_max)
        """Numbers that were taken while nobody heard it live."""
        self.channels["pleth"] = ChannelCounters(sampling_rate_hz=float(PLETH_HZ))

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (uuids.GENERIC_HEALTH_SENSOR_SERVICE,)

    def services(self) -> Iterable[Service]:
        """Give the Generic Health Sensor and Elapsed Time services."""
        features = HealthSensorFeatures(
            observation_types=tuple(quantity.mdc for quantity in _UNITS)
        )
        return (
            Service(
                bumble_uuid(uuids.GENERIC_HEALTH_SENSOR_SERVICE),
                [
                    readable(
                        uuids.HEALTH_SENSOR_FEATURES,
                        encode_health_sensor_features(features),
                    ),
                    self._live,
                    self._control_point,
                    *self.store.characteristics,
                ],
            ),
            Service(bumble_uuid(ELAPSED_TIME_SERVICE), [self._time]),
        )

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give what notifies the observations, and what keeps them."""
        return (self._measure(), self._keep())

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

    @property
    def _is_heard(self) -> bool:
        return self._live_to is not None and self._live_to is self.connection

    async def _measure(self) -> None:
        async for t_ns in ticks(self.clock, self.clock.now_ns(), PERIOD_S):
            if self._is_heard:
                bundle = encode_health_observation(self._bundle(t_ns))
                await self._sender.send(bundle, [(self.readings[q.name], 1) for q in _NUMERICS])
                pleth = encode_health_observation(self._pleth(t_ns - round(PERIOD_S * NS_PER_S)))
                await self._sender.send(pleth, [(self.channels["pleth"], PLETH_HZ)])

    async def _keep(self) -> None:
        async for t_ns in ticks(self.clock, self.clock.now_ns(), self._settings.store_period_s):
            if not self._is_heard:
                self.store.keep(self._bundle(t_ns))

    def _bundle(self, t_ns: int) -> ObservationBundle:
        numbers = self.numbers(t_ns)
        return ObservationBundle(
            header=ObservationHeader(time=self.device_time(t_ns), status=self._settings.status),
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
                status=self._settings.status,
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

    # What it is told

    def _on_command(self, connection: Connection, value: bytes) -> None:
        if not self.is_subscribed(self._control_point):
            raise ATT_Error(_CCCD_IMPROPERLY_CONFIGURED)
        try:
            code = decode_ghs_control_point(bytes(value))
        except DecodeError as error:
            raise ATT_Error(ATT_INVALID_ATTRIBUTE_LENGTH_ERROR) from error
        if code == GhsControlPointCode.START_LIVE_OBSERVATIONS:
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
        self.store.leave_timeline()
