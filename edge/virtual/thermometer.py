"""Chevet Virtual Thermometer: a SIMULATED body temperature, indicated every few seconds."""

import math
from collections.abc import Coroutine, Iterable
from random import Random
from typing import Any, Final

from bumble.gatt import Characteristic, Service

from devices import uuids
from devices.thermometer import TemperatureMeasurement, TemperatureSite, encode_temperature
from edge.virtual.ether import Ether
from edge.virtual.peripheral import (
    ADVERTISING_INTERVAL_MS_DEFAULT,
    Counters,
    Identity,
    Peripheral,
    Permissions,
    Properties,
    bumble_uuid,
)
from edge.virtual.player import NS_PER_S, Clock, ticks

MODEL: Final = "Virtual Thermometer"
PERIOD_S_DEFAULT: Final = 5.0

_MEAN_CELSIUS: Final = 36.8
_DAILY_SWING_CELSIUS: Final = 0.3
_NOISE_CELSIUS: Final = 0.02
_DAY_S: Final = 86_400
_WARMEST_S: Final = 18 * 3600
_N_DECIMALS: Final = 2


class Thermometer(Peripheral):
    """A body temperature that follows the time of day; nothing of it is recorded.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    period_s
        Seconds between two indications.
    site
        Where it says that it measures.
    seed
        Of the noise.
    """

    def __init__(
        self,
        ether: Ether,
        identity: Identity,
        clock: Clock,
        *,
        period_s: float = PERIOD_S_DEFAULT,
        site: TemperatureSite = TemperatureSite.EAR,
        seed: int = 0,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(ether, identity, clock, advertising_interval_ms=advertising_interval_ms)
        self._period_s = period_s
        self._site = site
        self._seed = seed
        self._indicating = False
        self._temperature: Characteristic[bytes] = Characteristic(
            bumble_uuid(uuids.TEMPERATURE_MEASUREMENT), Properties.INDICATE, Permissions(0), b""
        )
        self.readings["temperature"] = Counters()

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (uuids.HEALTH_THERMOMETER_SERVICE,)

    def services(self) -> Iterable[Service]:
        """Give the Health Thermometer service."""
        return (Service(bumble_uuid(uuids.HEALTH_THERMOMETER_SERVICE), [self._temperature]),)

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give what indicates the temperature."""
        return (self._measure(),)

    async def _measure(self) -> None:
        async for t_ns in ticks(self.clock, self.clock.now_ns(), self._period_s):
            if self._indicating:
                # The last one is not confirmed: the peer is silent, and this one is passed over.
                counters = self.readings["temperature"]
                counters.produced += 1
                counters.unsent += 1
            else:
                self._indicating = True
                self.spawn(self._indicate_temperature(t_ns))

    async def _indicate_temperature(self, t_ns: int) -> None:
        measurement = TemperatureMeasurement(
            temperature=self.temperature_celsius(t_ns), site=self._site
        )
        try:
            await self.indicate(
                self._temperature,
                encode_temperature(measurement),
                [(self.readings["temperature"], 1)],
            )
        finally:
            self._indicating = False

    def temperature_celsius(self, t_ns: int) -> float:
        """Return the simulated temperature at an instant, in whole hundredths."""
        day_phase = 2 * math.pi * (t_ns / NS_PER_S - _WARMEST_S) / _DAY_S
        noise = Random(f"{self._seed}:{t_ns}").gauss(0.0, _NOISE_CELSIUS)  # noqa: S311 - simulated
        return round(
            _MEAN_CELSIUS + _DAILY_SWING_CELSIUS * math.cos(day_phase) + noise, _N_DECIMALS
        )
