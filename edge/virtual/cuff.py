"""Chevet Virtual Cuff: a SIMULATED blood pressure, taken at intervals as a cuff takes it."""

import math
from collections.abc import Coroutine, Iterable
from datetime import UTC, datetime
from random import Random
from typing import Any, Final

from bumble.gatt import Characteristic, Service

from devices import uuids
from devices.blood_pressure import (
    BloodPressureMeasurement,
    IntermediateCuffPressure,
    PressureFeature,
    PressureStatus,
    encode_blood_pressure,
    encode_blood_pressure_feature,
    encode_cuff_pressure,
)
from devices.date_time import DeviceDateTime
from edge.virtual.ether import Ether
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
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
from edge.virtual.wall_clock import WallClockService

MODEL: Final = "Virtual Cuff"
PERIOD_S_DEFAULT: Final = 60
DEFLATION_S: Final = 20
"""How long the cuff lets out air, and tells its pressure each second, before it has a result."""

_INFLATED_MMHG: Final = 180.0
_DEFLATION_MMHG_PER_S: Final = 6.0
_CUFF_PRESSURE_PERIOD_S: Final = 1.0

_SYSTOLIC_MMHG: Final = 122.0
_DIASTOLIC_MMHG: Final = 78.0
_PULSE_RATE_BPM: Final = 66.0
_DAILY_SWING: Final = 6.0
_NOISE: Final = 2.0
_DAY_S: Final = 86_400
_HIGHEST_S: Final = 11 * 3600


class Cuff(Peripheral):
    """A blood pressure that follows the time of day; nothing of it is recorded.

    A result that nobody confirms is lost: this cuff does not store.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    period_s
        Seconds from the start of one measurement to that of the next; more than `DEFLATION_S`.
    user_id
        Which of the cuff's users wears it.
    seed
        Of the noise.

    Raises
    ------
    ValueError
        A measurement would begin before the last one has ended.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        *,
        period_s: int = PERIOD_S_DEFAULT,
        user_id: int = 1,
        seed: int = 0,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        if period_s <= DEFLATION_S:
            raise ValueError(f"a measurement takes {DEFLATION_S} s: not one every {period_s} s")
        super().__init__(ether, identity, clock, advertising_interval_ms=advertising_interval_ms)
        self._period_s = period_s
        self._user_id = user_id
        self._seed = seed
        self._indicating = False
        self.wall_clock = WallClockService(clock, uuid=uuids.DATE_TIME)
        """What its results are dated by: UTC until it is set."""
        self._result: Characteristic[bytes] = Characteristic(
            bumble_uuid(uuids.BLOOD_PRESSURE_MEASUREMENT), Properties.INDICATE, Permissions(0), b""
        )
        self._cuff_pressure = notifying(uuids.INTERMEDIATE_CUFF_PRESSURE)
        self.readings["blood_pressure"] = Counters()
        self.readings["cuff_pressure"] = Counters()

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (uuids.BLOOD_PRESSURE_SERVICE,)

    def services(self) -> Iterable[Service]:
        """Give the Blood Pressure service, and the clock."""
        features = encode_blood_pressure_feature(
            PressureFeature.BODY_MOVEMENT_DETECTION | PressureFeature.CUFF_FIT_DETECTION
        )
        characteristics = [
            self._result,
            self._cuff_pressure,
            readable(uuids.BLOOD_PRESSURE_FEATURE, features),
        ]
        return (
            Service(bumble_uuid(uuids.BLOOD_PRESSURE_SERVICE), characteristics),
            self.wall_clock.service,
        )

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give what measures."""
        return (self._measure(),)

    async def _measure(self) -> None:
        begins_ns = self.clock.now_ns()
        async for t_ns in ticks(self.clock, begins_ns, _CUFF_PRESSURE_PERIOD_S):
            elapsed_s = (t_ns - begins_ns) // NS_PER_S % self._period_s
            if elapsed_s < DEFLATION_S:
                await self._notify_cuff_pressure(elapsed_s)
            elif elapsed_s == DEFLATION_S:
                self._give_result(t_ns)

    async def _notify_cuff_pressure(self, elapsed_s: int) -> None:
        payload = encode_cuff_pressure(
            IntermediateCuffPressure(cuff_pressure=cuff_pressure_mmhg(elapsed_s))
        )
        await self.notify(self._cuff_pressure, payload, [(self.readings["cuff_pressure"], 1)])

    def _give_result(self, t_ns: int) -> None:
        if self._indicating:
            # The last one is not confirmed: the peer is silent, and this one is passed over.
            counters = self.readings["blood_pressure"]
            counters.produced += 1
            counters.unsent += 1
        else:
            self._indicating = True
            self.spawn(self._indicate_result(t_ns))

    async def _indicate_result(self, t_ns: int) -> None:
        try:
            payload = encode_blood_pressure(self.blood_pressure(t_ns))
            await self.indicate(self._result, payload, [(self.readings["blood_pressure"], 1)])
        finally:
            self._indicating = False

    def blood_pressure(self, t_ns: int) -> BloodPressureMeasurement:
        """Return the simulated result of a measurement that ends at an instant, in mm[Hg]."""
        noise = Random(f"{self._seed}:{t_ns}")  # noqa: S311 - simulated
        day_phase = 2 * math.pi * (t_ns / NS_PER_S - _HIGHEST_S) / _DAY_S
        swing = _DAILY_SWING * math.cos(day_phase)
        systolic = round(_SYSTOLIC_MMHG + swing + noise.gauss(0.0, _NOISE))
        diastolic = round(_DIASTOLIC_MMHG + swing + noise.gauss(0.0, _NOISE))
        return BloodPressureMeasurement(
            systolic=float(systolic),
            diastolic=float(diastolic),
            mean_arterial=float(round(diastolic + (systolic - diastolic) / 3)),
            measured_at=self.wall_clock.date_time(t_ns),
            pulse_rate_bpm=float(round(_PULSE_RATE_BPM + swing + noise.gauss(0.0, _NOISE))),
            user_id=self._user_id,
            status=PressureStatus(0),
        )


def cuff_pressure_mmhg(elapsed_s: float) -> float:
    """Return the pressure in the cuff so long after it was inflated."""
    return max(0.0, _INFLATED_MMHG - _DEFLATION_MMHG_PER_S * elapsed_s)


def device_time(t_ns: int) -> DeviceDateTime:
    """Return what a device's clock that keeps UTC shows at an instant."""
    shown = datetime.fromtimestamp(t_ns // NS_PER_S, tz=UTC)
    return DeviceDateTime(
        year=shown.year,
        month=shown.month,
        day=shown.day,
        hour=shown.hour,
        minute=shown.minute,
        second=shown.second,
    )
