"""Which of the things that streams say go into which step across streams."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import ClassVar, Final

from devices import codes
from ingest.frame import NS_PER_S
from processors.across import BEATS
from processors.dsp.state import State
from processors.items import Item
from processors.vitals import beat_respiration, ecg, ppg, respiration, wrist_rate
from processors.vitals.beat_respiration import BeatRespiration
from processors.vitals.derived import Beat, Derived, without_value
from processors.vitals.fusion import HeartRateFusion, RateKind
from processors.vitals.readings import DEVICE_READING
from processors.vitals.reasons import NoValueReason
from processors.vitals.respiration_fusion import BreathSource, RespirationFusion

RATE_MAX: Final = 500.0
"""Per minute. No heart beats faster, and no device should say so."""

_RATE_KINDS: Final[Mapping[tuple[str, str], RateKind]] = MappingProxyType(
    {
        (codes.HEART_RATE.name, ecg.HEART_RATE.name): RateKind.ECG,
        (codes.PULSE_RATE.name, ppg.PULSE_RATE.name): RateKind.PULSE,
        (codes.PULSE_RATE.name, wrist_rate.ALGORITHM.name): RateKind.PULSE,
        (codes.HEART_RATE.name, DEVICE_READING.name): RateKind.DEVICE_ECG,
        (codes.PULSE_RATE.name, DEVICE_READING.name): RateKind.DEVICE_PULSE,
    }
)

_BREATH_SOURCES: Final[Mapping[str, BreathSource]] = MappingProxyType(
    {
        respiration.RATE.name: BreathSource.CHEST,
        beat_respiration.ALGORITHM.name: BreathSource.BEATS,
        DEVICE_READING.name: BreathSource.DEVICE,
    }
)


class FusedHeartRate:
    """One heart rate from ECG, pulse wave and the devices' own figures."""

    hears: ClassVar[frozenset[str]] = frozenset({codes.HEART_RATE.name, codes.PULSE_RATE.name})

    def __init__(self, fusion: HeartRateFusion | None = None) -> None:
        self._fusion = fusion or HeartRateFusion()

    def add(self, _modality: str, source: str, item: Item) -> None:
        """Take what a stream, or a step that judged it, said; only rates count."""
        if isinstance(item, Beat):
            return
        kind = _RATE_KINDS.get((item.quantity.name, item.algorithm.name))
        if kind is not None:
            named = item.sources[0] if item.sources else source
            self._fusion.add(named, kind, _believable(item))

    def at(self, t_ns: int) -> list[Derived]:
        """Give the fused rate on a whole second."""
        return self._fusion.at(t_ns)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return self._fusion.to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> FusedHeartRate:
        """Continue where ``to_bytes`` stood; raises StateError."""
        return cls(HeartRateFusion.from_bytes(state))


def _believable(rate: Derived) -> Derived:
    """Withhold what no body does: averaged with others it would look like a rate."""
    if rate.value is None or 0.0 < rate.value <= RATE_MAX:
        return rate
    return without_value(rate, NoValueReason.OUT_OF_RANGE)


WALKED_NS: Final = 40 * NS_PER_S
"""A window of 32 s, and what is left of the ten seconds in which steps are counted."""


class BreathingInBeats:
    """Respiratory rate from the beats of the ECG and of the pulse wave.

    Withheld while the person walks: in their beats steps look like breaths.
    """

    hears: ClassVar[frozenset[str]] = frozenset({BEATS, codes.STEP_RATE.name})

    def __init__(self, respiration: BeatRespiration | None = None) -> None:
        self._respiration = respiration or BeatRespiration()
        self._begun = respiration is not None
        self._walked_ns: int | None = None

    def add(self, modality: str, _source: str, item: Item) -> None:
        """Take what a stream said; only beats count, and steps."""
        if not isinstance(item, Beat):
            if item.quantity is codes.STEP_RATE and item.value:
                self._walked_ns = item.t_ns
            return
        if not self._begun:
            self._respiration.reset(item.t_ns)
            self._begun = True
        if modality == "ecg":
            if item.interval_s is None:
                self._respiration.reset_ecg()
            self._respiration.add_ecg_beat(item)
        else:
            if item.interval_s is None:
                self._respiration.reset_pulse()
            self._respiration.add_pulse(item)

    def at(self, t_ns: int) -> list[Derived]:
        """Give the rate on a whole second; nothing where no beat was ever heard."""
        said = self._respiration.at(t_ns) if self._begun else []
        if self._walked_ns is None or t_ns - self._walked_ns > WALKED_NS:
            return said
        return [without_value(one, NoValueReason.MOVING) for one in said]

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        children = {"respiration": self._respiration.to_bytes()} if self._begun else {}
        scalars = {"walked_ns": self._walked_ns}
        return State(
            kind="breathing_in_beats", version=1, scalars=scalars, children=children
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> BreathingInBeats:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind="breathing_in_beats", version=1)
        respiration = None
        if "respiration" in kept.children:
            respiration = BeatRespiration.from_bytes(kept.child("respiration"))
        restored = cls(respiration)
        restored._walked_ns = kept.optional_integer("walked_ns")
        return restored


class FusedRespiration:
    """One respiratory rate from the chest, the beats, and the devices' own figures."""

    hears: ClassVar[frozenset[str]] = frozenset({codes.RESPIRATORY_RATE.name})

    def __init__(self, fusion: RespirationFusion | None = None) -> None:
        self._fusion = fusion or RespirationFusion()
        self._heard = fusion is not None

    def add(self, _modality: str, source: str, item: Item) -> None:
        """Take what a stream or the beats said; only respiratory rates count."""
        if isinstance(item, Beat) or item.quantity is not codes.RESPIRATORY_RATE:
            return
        kind = _BREATH_SOURCES.get(item.algorithm.name)
        if kind is not None:
            self._fusion.add(source, kind, _believable(item))
            self._heard = True

    def at(self, t_ns: int) -> list[Derived]:
        """Give the fused rate on a whole second; nothing where no source was ever heard."""
        return self._fusion.at(t_ns) if self._heard else []

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return self._fusion.to_bytes() if self._heard else b""

    @classmethod
    def from_bytes(cls, state: bytes) -> FusedRespiration:
        """Continue where ``to_bytes`` stood; raises StateError."""
        return cls(RespirationFusion.from_bytes(state)) if state else cls()
