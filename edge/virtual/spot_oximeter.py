"""Chevet Virtual Spot Oximeter: SIMULATED spot-checks, indicated as they are taken and stored."""

from collections.abc import Coroutine, Iterable
from dataclasses import replace
from typing import Any, Final

from bumble.gatt import Characteristic, Service

from devices import uuids
from devices.pulse_oximeter import (
    MeasurementStatus,
    PlxFeature,
    PlxFeatures,
    PlxSpotCheck,
    SpO2PulseRate,
    encode_plx_features,
    encode_plx_spot_check,
)
from edge.virtual.ether import Ether
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
    Counters,
    Identity,
    Peripheral,
    Permissions,
    Properties,
    bumble_uuid,
    readable,
)
from edge.virtual.player import Clock
from edge.virtual.record_store import RecordStore
from edge.virtual.wall_clock import WallClockService

MODEL: Final = "Virtual Spot Oximeter"


class SpotOximeter(Peripheral):
    """An oximeter that is put on a finger now and then, and keeps what it has measured.

    ``readings["spot_check"]`` counts those that a central has confirmed.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    clock_ahead_s
        How far its clock is ahead of UTC until it is set.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        *,
        clock_ahead_s: float = 0.0,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(ether, identity, clock, advertising_interval_ms=advertising_interval_ms)
        self.readings["spot_check"] = Counters()
        self.wall_clock = WallClockService(clock, ahead_s=clock_ahead_s)
        self._spot_check: Characteristic[bytes] = Characteristic(
            bumble_uuid(uuids.PLX_SPOT_CHECK), Properties.INDICATE, Permissions(0), b""
        )
        self.store = RecordStore(self, self._indicate_one)

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (uuids.PULSE_OXIMETER_SERVICE,)

    def services(self) -> Iterable[Service]:
        """Give the Pulse Oximeter and the Current Time service."""
        features = PlxFeatures(
            features=PlxFeature.SPOT_CHECK_STORAGE | PlxFeature.SPOT_CHECK_TIMESTAMP
        )
        characteristics = [
            self._spot_check,
            readable(uuids.PLX_FEATURES, encode_plx_features(features)),
            self.store.control_point,
        ]
        return (
            Service(bumble_uuid(uuids.PULSE_OXIMETER_SERVICE), characteristics),
            self.wall_clock.service,
        )

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give nothing: it measures when it is told to."""
        return ()

    def measure(self, spo2_percent: int, t_ns: int) -> None:
        """Take a spot-check: keep it, and indicate it to whoever listens."""
        spot_check = PlxSpotCheck(
            normal=SpO2PulseRate(spo2_percent=float(spo2_percent), pulse_rate_bpm=60.0),
            measured_at=self.wall_clock.date_time(t_ns),
            measurement_status=MeasurementStatus.VALIDATED,
        )
        stored = replace(
            spot_check,
            measurement_status=MeasurementStatus.VALIDATED | MeasurementStatus.FROM_STORAGE,
        )
        self.store.records[len(self.store.records)] = encode_plx_spot_check(stored)
        if self.connected:
            self.spawn(self._indicate_one(encode_plx_spot_check(spot_check)))

    async def _indicate_one(self, payload: bytes) -> None:
        await self.indicate(self._spot_check, payload, [(self.readings["spot_check"], 1)])
