"""What is derived from what: the table of the pipeline. A new derived value is one row here."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final, Protocol

from devices import codes
from processors import vitals
from processors.across import CrossStep
from processors.cross_steps import BreathingInBeats, FusedHeartRate, FusedRespiration
from processors.dsp.sample_clock import SampleClock
from processors.light_in_motion import LightInMotion
from processors.sources import Modality
from processors.vitals import atrial_fibrillation, ecg, ectopy, hrv, motion, ppg, respiration, spo2
from processors.vitals.arrhythmia import ArrhythmiaSuspicion
from processors.vitals.calibration import CURVES
from processors.vitals.derived import Algorithm, Beat, Derived
from processors.vitals.posture import MOUNTS
from processors.vitals.reasons import NoValueReason


class BeatStep(Protocol):
    """Something that follows from the heart beats."""

    def reset(self, start_ns: int) -> None:
        """Begin at the start or behind a gap; no interval spans it."""
        ...

    def add_beat(self, beat: Beat) -> None:
        """Take the next beat, in order of time."""
        ...

    def at(self, t_ns: int, signal: NoValueReason | None, /) -> list[Derived]:
        """Say what is due on a whole second; all beats up to it are known.

        ``signal`` is why the signal gives no heart rate just then, or None.
        """
        ...

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        ...


MICROVOLTS: Final[Mapping[str, float]] = MappingProxyType({"uV": 1.0, "mV": 1e3, "V": 1e6})
"""Factor to microvolts by UCUM unit."""

_G: Final[Mapping[str, float]] = MappingProxyType({"[g]": 1.0, "m/s2": 1 / 9.80665})


def _ecg(
    fs_hz: float, clock: SampleClock, mdc_codes: tuple[int, ...], _: str | None
) -> ecg.EcgChain:
    return ecg.EcgChain(fs_hz, clock, n_leads=len(mdc_codes))


def _ppg(
    fs_hz: float, clock: SampleClock, mdc_codes: tuple[int, ...], _: str | None
) -> ppg.PpgChain:
    # Raw light falls with each pulse, and its constant part is light; a pleth says neither.
    return ppg.PpgChain(fs_hz, clock, has_dc=mdc_codes[0] in RAW_LIGHT)


def _oximetry(
    fs_hz: float, clock: SampleClock, _: tuple[int, ...], model: str | None
) -> spo2.Spo2Chain:
    return spo2.Spo2Chain(fs_hz, clock, CURVES.get(model or ""))


def _respiration(
    fs_hz: float, clock: SampleClock, _codes: tuple[int, ...], _model: str | None
) -> respiration.RespirationChain:
    return respiration.RespirationChain(fs_hz, clock)


def _motion(
    fs_hz: float, clock: SampleClock, _: tuple[int, ...], model: str | None
) -> motion.MotionChain:
    mount = MOUNTS.get(model or "")
    # Whose mounting on the chest is known is worn there; others are worn anywhere.
    return motion.MotionChain(fs_hz, clock, "unknown" if mount is None else "chest", mount)


RAW_LIGHT: Final = frozenset({codes.PPG.mdc, codes.PPG_INFRARED.mdc, codes.PPG_RED.mdc})
"""What a photodiode sees."""


ECG: Final = Modality(
    name="ecg",
    ranks={
        quantity.mdc: 0
        for name, quantity in codes.QUANTITIES.items()
        if name == "ecg" or name.startswith("ecg_")
    },
    build=_ecg,
    restore=ecg.EcgChain.from_bytes,
    units=MICROVOLTS,
    n_channels_max=2,
    rate_hz_min=100.0,
)
PPG: Final = Modality(
    name="ppg",
    # Of raw light, infrared reaches deepest; red moves least with the pulse.
    ranks={
        codes.PLETH.mdc: 0,
        codes.PPG.mdc: 1,
        codes.PPG_INFRARED.mdc: 2,
        codes.PPG_RED.mdc: 3,
    },
    build=_ppg,
    restore=ppg.PpgChain.from_bytes,
    rate_hz_min=20.0,
    rate_hz_max=1000.0,
)
OXIMETRY: Final = Modality(
    name="oximetry",
    ranks={codes.PPG_RED.mdc: 0, codes.PPG_INFRARED.mdc: 1, codes.PPG_AMBIENT.mdc: 2},
    build=_oximetry,
    restore=spo2.Spo2Chain.from_bytes,
    by_model=True,
    n_channels_min=2,
    n_channels_max=3,
    rate_hz_min=spo2.FS_HZ_MIN,
    rate_hz_max=spo2.FS_HZ_MAX,
)
RESPIRATION: Final = Modality(
    name="respiration",
    ranks={codes.RESPIRATION_IMPEDANCE.mdc: 0},
    build=_respiration,
    restore=respiration.RespirationChain.from_bytes,
    rate_hz_min=4.0,
    rate_hz_max=500.0,
)
MOTION: Final = Modality(
    name="motion",
    ranks={codes.ACC_X.mdc: 0, codes.ACC_Y.mdc: 1, codes.ACC_Z.mdc: 2},
    build=_motion,
    restore=motion.MotionChain.from_bytes,
    by_model=True,
    units=_G,
    n_channels_min=3,
    n_channels_max=3,
    rate_hz_min=10.0,
    rate_hz_max=400.0,
    value_max=1e3,
)
MODALITIES: Final = (ECG, PPG, OXIMETRY, RESPIRATION, MOTION)
"""In the order in which those of one second are processed."""

BEAT_STEPS: Final[tuple[tuple[Callable[[], BeatStep], Callable[[bytes], BeatStep]], ...]] = (
    (hrv.HeartRateVariability, hrv.HeartRateVariability.from_bytes),
    (ArrhythmiaSuspicion, ArrhythmiaSuspicion.from_bytes),
    (
        atrial_fibrillation.AtrialFibrillation,
        atrial_fibrillation.AtrialFibrillation.from_bytes,
    ),
    (ectopy.Ectopy, ectopy.Ectopy.from_bytes),
)
"""What follows from the heart beats: how a step is made, and how it is restored."""

CROSS_STEPS: Final[tuple[tuple[Callable[[], CrossStep], Callable[[bytes], CrossStep]], ...]] = (
    (LightInMotion, LightInMotion.from_bytes),
    (FusedHeartRate, FusedHeartRate.from_bytes),
    (BreathingInBeats, BreathingInBeats.from_bytes),
    (FusedRespiration, FusedRespiration.from_bytes),
)
"""What needs several streams: how a step is made, and how it is restored; in order."""


def _algorithms() -> dict[str, Algorithm]:
    modules = [
        importlib.import_module(f"{vitals.__name__}.{module.name}")
        for module in pkgutil.iter_modules(vitals.__path__)
    ]
    constants = [one for module in modules for one in vars(module).values()]
    return {one.name: one for one in constants if isinstance(one, Algorithm)}


ALGORITHMS: Final[Mapping[str, Algorithm]] = MappingProxyType(_algorithms())
"""By name: every constant in ``processors.vitals``. What docs/signals.md describes."""
