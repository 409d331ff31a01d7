"""Chevet Virtual Scale: a SIMULATED weight and body composition, indicated at intervals."""

from collections.abc import Coroutine, Iterable
from random import Random
from typing import Any, Final

from bumble.gatt import Characteristic, Service

from devices import uuids
from devices.body_composition import (
    BodyCompositionFeature,
    BodyCompositionFeatures,
    BodyCompositionMeasurement,
    encode_body_composition,
    encode_body_composition_feature,
)
from devices.body_measures import HeightResolution, MassResolution, Resolutions
from devices.weight_scale import (
    BmiAndHeight,
    WeightMeasurement,
    WeightScaleFeature,
    WeightScaleFeatures,
    encode_weight,
    encode_weight_scale_feature,
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
from edge.virtual.player import Clock, ticks
from edge.virtual.wall_clock import WallClockService

MODEL: Final = "Virtual Scale"
PERIOD_S_DEFAULT: Final = 60.0

_HEIGHT_M: Final = 1.75
_WEIGHT_KG: Final = 72.0
_WEIGHT_NOISE_KG: Final = 0.2
_FAT_PERCENT: Final = 22.0
_FAT_NOISE_PERCENT: Final = 0.3
_WATER_OF_FAT_FREE: Final = 0.73
"""Share of water in what is not fat."""
_IMPEDANCE_OHM: Final = 480.0
_STEPS_PER_KG: Final = 20
"""It weighs in steps of 0.05 kg."""
_RESOLUTIONS: Final = Resolutions(
    mass=MassResolution.KG_0_05_OR_LB_0_1, height=HeightResolution.M_0_01_OR_IN_1
)


class Scale(Peripheral):
    """A person who steps on a scale again and again; nothing of it is recorded.

    The weight is indicated first, then the body composition, both with the same time. What nobody
    confirms is lost: this scale does not store.

    Parameters
    ----------
    ether, identity, clock, advertising_interval_ms
        See ``Peripheral``.
    period_s
        Seconds between two weighings.
    user_id
        Which of the scale's users it is.
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
        user_id: int = 1,
        seed: int = 0,
        advertising_interval_ms: float = ADVERTISING_INTERVAL_MS_DEFAULT,
    ) -> None:
        super().__init__(ether, identity, clock, advertising_interval_ms=advertising_interval_ms)
        self._period_s = period_s
        self._user_id = user_id
        self._seed = seed
        self._indicating = False
        self.wall_clock = WallClockService(clock)
        """What weighings are dated by: UTC until it is set."""
        self._weight = _indicating(uuids.WEIGHT_MEASUREMENT)
        self._composition = _indicating(uuids.BODY_COMPOSITION_MEASUREMENT)
        self.readings["weight"] = Counters()
        self.readings["body_composition"] = Counters()

    @property
    def advertised_services(self) -> tuple[str, ...]:
        """UUIDs in the advertisement."""
        return (uuids.WEIGHT_SCALE_SERVICE, uuids.BODY_COMPOSITION_SERVICE)

    def services(self) -> Iterable[Service]:
        """Give the Weight Scale, the Body Composition and the Current Time service."""
        scale = WeightScaleFeatures(
            features=WeightScaleFeature.TIMESTAMP
            | WeightScaleFeature.MULTIPLE_USERS
            | WeightScaleFeature.BMI,
            resolutions=_RESOLUTIONS,
        )
        composition = BodyCompositionFeatures(
            features=BodyCompositionFeature.TIMESTAMP
            | BodyCompositionFeature.MULTIPLE_USERS
            | BodyCompositionFeature.BODY_WATER_MASS
            | BodyCompositionFeature.IMPEDANCE,
            resolutions=_RESOLUTIONS,
        )
        return (
            Service(
                bumble_uuid(uuids.WEIGHT_SCALE_SERVICE),
                [
                    self._weight,
                    readable(uuids.WEIGHT_SCALE_FEATURE, encode_weight_scale_feature(scale)),
                ],
            ),
            Service(
                bumble_uuid(uuids.BODY_COMPOSITION_SERVICE),
                [
                    self._composition,
                    readable(
                        uuids.BODY_COMPOSITION_FEATURE, encode_body_composition_feature(composition)
                    ),
                ],
            ),
            self.wall_clock.service,
        )

    def jobs(self) -> Iterable[Coroutine[Any, Any, None]]:
        """Give what weighs."""
        return (self._measure(),)

    async def _measure(self) -> None:
        async for t_ns in ticks(self.clock, self.clock.now_ns(), self._period_s):
            if self._indicating:
                # The last one is not confirmed: the peer is silent, and this one is passed over.
                for kind in ("weight", "body_composition"):
                    self.readings[kind].produced += 1
                    self.readings[kind].unsent += 1
            else:
                self._indicating = True
                self.spawn(self._indicate_weighing(t_ns))

    async def _indicate_weighing(self, t_ns: int) -> None:
        weight = encode_weight(self.weight(t_ns))
        composition = encode_body_composition(self.body_composition(t_ns))
        try:
            await self.indicate(self._weight, weight, [(self.readings["weight"], 1)])
            await self.indicate(
                self._composition, composition, [(self.readings["body_composition"], 1)]
            )
        finally:
            self._indicating = False

    def weight(self, t_ns: int) -> WeightMeasurement:
        """Return the simulated weight at an instant."""
        weight_kg = self._weight_kg(t_ns)
        return WeightMeasurement(
            weight=weight_kg,
            measured_at=self.wall_clock.date_time(t_ns),
            user_id=self._user_id,
            bmi_and_height=BmiAndHeight(
                bmi_kg_per_m2=round(weight_kg / _HEIGHT_M**2, 1), height=_HEIGHT_M
            ),
        )

    def body_composition(self, t_ns: int) -> BodyCompositionMeasurement:
        """Return the simulated body composition at an instant: 16 bytes, fit for any link."""
        noise = Random(f"fat:{self._seed}:{t_ns}")  # noqa: S311 - simulated
        fat_percent = round(_FAT_PERCENT + noise.gauss(0.0, _FAT_NOISE_PERCENT), 1)
        fat_free_kg = self._weight_kg(t_ns) * (1 - fat_percent / 100)
        return BodyCompositionMeasurement(
            body_fat_percent=fat_percent,
            measured_at=self.wall_clock.date_time(t_ns),
            user_id=self._user_id,
            body_water_mass=_in_steps(fat_free_kg * _WATER_OF_FAT_FREE),
            impedance_ohm=_IMPEDANCE_OHM,
        )

    def _weight_kg(self, t_ns: int) -> float:
        noise = Random(f"weight:{self._seed}:{t_ns}")  # noqa: S311 - simulated
        return _in_steps(_WEIGHT_KG + noise.gauss(0.0, _WEIGHT_NOISE_KG))


def _in_steps(mass_kg: float) -> float:
    return round(mass_kg * _STEPS_PER_KG) / _STEPS_PER_KG


def _indicating(uuid: str) -> "Characteristic[bytes]":
    return Characteristic(bumble_uuid(uuid), Properties.INDICATE, Permissions(0), b"")
