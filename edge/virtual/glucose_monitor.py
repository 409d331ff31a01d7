"""Chevet Virtual Glucose Monitor: a SIMULATED interstitial glucose, sent live and stored."""

import math
from collections.abc import Coroutine, Iterable
from dataclasses import dataclass
from typing import Any, Final

from bumble.device import Connection
from bumble.gatt import CharacteristicValue, Service

from devices import uuids
from devices.continuous_glucose import (
    CgmCalTemp,
    CgmFeature,
    CgmFeatures,
    CgmMeasurement,
    CgmSensorStatus,
    CgmStatus,
    CgmWarning,
    encode_cgm_features,
    encode_cgm_measurements,
    encode_cgm_status,
)
from devices.continuous_glucose_session import CgmSessionStart, encode_cgm_session_start
from devices.glucose import SampleLocation, SampleType
from edge.virtual.cuff import device_time
from edge.virtual.ether import Ether
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
    Counters,
    Identity,
    Peripheral,
    bumble_uuid,
    notifying,
    readable,
)
from edge.virtual.player import NS_PER_S, Clock, ticks
from edge.virtual.record_store import RecordStore

MODEL: Final = "Virtual Glucose Monitor"
_MEAN_MG_PER_DL: Final = 110.0
_SWING_MG_PER_DL: Final = 30.0
_PERIOD_MIN: Final = 240
_MIN_S: Final = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class MonitorSettings:
    """How a monitor is worn."""

    period_s: float = 60.0
    """Seconds between two measurements; each counts as a minute of the session."""
    n_stored: int = 0
    """Minutes of the session that are over at the start."""
    clock_ahead_s: float = 0.0
    """How far its clock is ahead of UTC."""
    states_zone: bool = True
    """Whether it says that its clock shows UTC."""


class GlucoseMonitor(Peripheral):
    """A monitor that measures once a minute, with check sums, and keeps all of its session.

    ``readings["cgm"]`` counts notified records: one that is asked for twice counts twice.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    settings
        How it is worn.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        settings: MonitorSettings | None = None,
        *,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(ether, identity, clock, advertising_interval_ms=advertising_interval_ms)
        self._settings = settings or MonitorSettings()
        self.readings["cgm"] = Counters()
        self._measurement = notifying(uuids.CGM_MEASUREMENT)
        self.store = RecordStore(self, self._notify)
        self.start_ns = 0
        """UTC of the start of the session."""
        self.begin_session(self._settings.n_stored)

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (uuids.CGM_SERVICE,)

    def services(self) -> Iterable[Service]:
        """Give the Continuous Glucose Monitoring service."""
        features = CgmFeatures(
            features=CgmFeature.E2E_CRC | CgmFeature.TREND,
            sample_type=SampleType.INTERSTITIAL_FLUID,
            sample_location=SampleLocation.SUBCUTANEOUS_TISSUE,
        )
        characteristics = [
            self._measurement,
            readable(uuids.CGM_FEATURE, encode_cgm_features(features)),
            readable(uuids.CGM_STATUS, CharacteristicValue(read=self._read_status)),
            readable(uuids.CGM_SESSION_START_TIME, CharacteristicValue(read=self._read_start)),
            self.store.control_point,
        ]
        return (Service(bumble_uuid(uuids.CGM_SERVICE), characteristics),)

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give what measures."""
        return (self._measure(),)

    def begin_session(self, n_minutes: int = 0) -> None:
        """Begin a session, of which so many minutes are over; the records of another are gone."""
        self.start_ns = self.clock.now_ns() - n_minutes * _MIN_S * NS_PER_S
        self.store.records.clear()
        for minute in range(n_minutes):
            self._keep(minute)

    def glucose_mg_per_dl(self, minute: int) -> float:
        """Return the simulated glucose of a minute of the session."""
        phase = 2 * math.pi * minute / _PERIOD_MIN
        return float(round(_MEAN_MG_PER_DL + _SWING_MG_PER_DL * math.sin(phase)))

    def _keep(self, minute: int) -> bytes:
        record = CgmMeasurement(
            glucose_mg_per_dl=self.glucose_mg_per_dl(minute),
            time_offset_min=minute,
            trend_mg_per_dl_per_min=0.0,
        )
        payload = encode_cgm_measurements([record], e2e_crc=True)
        self.store.records[minute] = payload
        return payload

    async def _measure(self) -> None:
        first_ns = self.clock.now_ns() + round(self._settings.period_s * NS_PER_S)
        async for _ in ticks(self.clock, first_ns, self._settings.period_s):
            await self._notify(self._keep(len(self.store.records)))

    async def _notify(self, payload: bytes) -> None:
        await self.notify(self._measurement, payload, [(self.readings["cgm"], 1)])

    def _read_status(self, _connection: Connection) -> bytes:
        elapsed_min = (self.clock.now_ns() - self.start_ns) // (_MIN_S * NS_PER_S)
        status = CgmSensorStatus(
            time_offset_min=elapsed_min,
            status=CgmStatus(0),
            cal_temp=CgmCalTemp(0),
            warning=CgmWarning(0),
        )
        return encode_cgm_status(status, e2e_crc=True)

    def _read_start(self, _connection: Connection) -> bytes:
        zone_min = 0 if self._settings.states_zone else None
        ahead_ns = round(self._settings.clock_ahead_s * NS_PER_S)
        session = CgmSessionStart(
            start=device_time(self.start_ns + ahead_ns),
            time_zone_min=zone_min,
            dst_offset_min=zone_min,
        )
        return encode_cgm_session_start(session, e2e_crc=True)
