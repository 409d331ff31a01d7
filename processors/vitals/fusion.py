"""One heart rate from several sources: ECG, pulse wave, and what the devices say themselves.

The rate of the ECG is that of the heart; a pulse rate is that of the beats that reach the vessel.
In atrial fibrillation and with early beats some do not: the pulse deficit. So an ECG of good
quality is right when the pulse is slower. A pulse faster than the ECG is another matter: behind
every pulse is a beat, so one of the two is wrong, and unless a third source speaks for one of
them, nobody knows which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from devices import codes
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.last_words import LastWords, best_reason
from processors.vitals.reasons import NoValueReason

_KIND = "heart_rate_fusion"


class RateKind(StrEnum):
    """What a source counts; the order is that of preference."""

    ECG = "ecg"
    """Our heart rate from R peaks."""
    PULSE = "pulse"
    """Our rate from pulse waves."""
    DEVICE_ECG = "device_ecg"
    """A device's own heart rate from an ECG (chest strap)."""
    DEVICE_PULSE = "device_pulse"
    """A device's own rate from a pulse wave (oximeter, watch)."""


TRUST: Final[Mapping[RateKind, float]] = MappingProxyType(
    {
        RateKind.ECG: 1.0,
        RateKind.PULSE: 0.9,
        RateKind.DEVICE_ECG: 0.45,
        RateKind.DEVICE_PULSE: 0.4,
    }
)
"""What the quality of each kind is multiplied by. Ours are calibrated; a device says neither how it
averages nor how sure it is, so that a good ECG or pulse wave of ours outweighs it twice over."""
AGE_S_MAX: Final[Mapping[RateKind, float]] = MappingProxyType(
    {
        RateKind.ECG: 3.0,
        RateKind.PULSE: 3.0,
        RateKind.DEVICE_ECG: 5.0,
        RateKind.DEVICE_PULSE: 5.0,
    }
)
"""Older than this a source does not count: ours come every second, a device's may miss some."""
AGREEMENT_BPM: Final = 5.0
AGREEMENT_SHARE: Final = 0.1
"""Two rates agree within 5/min or 10 %, whichever is more: what IEC 60601-2-27 allows a meter."""
PREFERENCE: Final = 2.0
"""One side is preferred when its weight is this many times that of the other."""
QUALITY_MIN: Final = 0.05
"""A source of less quality says nothing."""
GOOD: Final = 0.9
"""Of an ECG: its rate is right in 99 % and more."""
SOURCES_MAX: Final = 16
"""The source that has been silent longest gives way."""

ALGORITHM: Final = Algorithm(
    name="heart_rate_fusion",
    version=1,
    method="Mean of the sources that agree with the best supported one (within 5/min or 10 %), "
    "weighted by quality; a device's own figure counts less than half. When the pulse is slower "
    "than an ECG of good quality the ECG is right (pulse deficit).",
    source="IEC 60601-2-27 (agreement)",
    delay_s=0.0,
    averaging="That of its sources; each second.",
    validity="sources_disagree when two sides differ and neither has twice the weight of the "
    "other; no_samples when no source is young enough; otherwise the reason of the best source.",
)


@dataclass(frozen=True, slots=True)
class _Voice:
    """A source that has a value at the instant of fusion."""

    source: str
    kind: RateKind
    rate: float
    weight: float
    age_s: float

    def agrees(self, other: _Voice) -> bool:
        mean = (self.rate + other.rate) / 2
        return abs(self.rate - other.rate) <= max(AGREEMENT_BPM, AGREEMENT_SHARE * mean)


class HeartRateFusion:
    """The sources of one subject; ``add`` what they say, ask ``at`` whole seconds."""

    def __init__(self) -> None:
        self._words = LastWords(_KIND, AGE_S_MAX, SOURCES_MAX)

    def add(self, source: str, kind: RateKind, derived: Derived) -> None:
        """Take what ``source`` says; what is not after its last word is passed over.

        A source that changes its kind starts anew.
        """
        self._words.add(source, kind, derived)

    def at(self, t_ns: int) -> list[Derived]:
        """Give the heart rate at ``t_ns``, or why there is none; nothing while no source is known.

        ``t_ns`` is a whole second up to which the sources have spoken, ascending.
        """
        if not self._words:
            return []
        current = self._words.current(t_ns)
        voices = [
            _Voice(
                source,
                kind,
                said.rate,
                TRUST[kind] * said.quality,
                said.age_s + (t_ns - said.t_ns) / 1e9,
            )
            for source, kind, said in current
            if said.rate is not None and said.quality >= QUALITY_MIN
        ]
        if not voices:
            return [_withheld(t_ns, best_reason([said for _, _, said in current]))]
        return [_fused(t_ns, voices)]

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return self._words.to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> HeartRateFusion:
        """Continue where ``to_bytes`` stood; raises StateError."""
        restored = cls()
        restored._words.restore(state)
        return restored


def _withheld(t_ns: int, reason: NoValueReason) -> Derived:
    return Derived(
        quantity=codes.HEART_RATE,
        algorithm=ALGORITHM,
        t_ns=t_ns,
        value=None,
        reason=reason,
        quality=0.0,
    )


def _fused(t_ns: int, voices: Sequence[_Voice]) -> Derived:
    """Weigh ``voices``, the best kind first."""
    best = max(voices, key=lambda voice: _weight(_side(voice, voices)))
    side = _side(best, voices)
    others = [voice for voice in voices if voice not in side]
    if others and _weight(side) < PREFERENCE * _weight(others):
        ecg = _right_in_deficit(voices)
        if ecg is None:
            return _withheld(t_ns, NoValueReason.SOURCES_DISAGREE)
        side = _side(ecg, voices)
    doubt = 1.0
    for voice in side:
        doubt *= 1.0 - voice.weight
    return Derived(
        quantity=codes.HEART_RATE,
        algorithm=ALGORITHM,
        t_ns=t_ns,
        value=sum(voice.rate * voice.weight for voice in side) / _weight(side),
        quality=1.0 - doubt,
        age_s=min(voice.age_s for voice in side),
        sources=tuple(voice.source for voice in side),
    )


def _side(voice: _Voice, voices: Sequence[_Voice]) -> list[_Voice]:
    return [other for other in voices if voice.agrees(other)]


def _weight(side: Sequence[_Voice]) -> float:
    return sum(voice.weight for voice in side)


def _right_in_deficit(voices: Sequence[_Voice]) -> _Voice | None:
    """Find an ECG of good quality from which nothing differs but slower pulses."""
    for voice in voices:
        if voice.kind is not RateKind.ECG or voice.weight < GOOD * TRUST[RateKind.ECG]:
            continue
        others = [other for other in voices if not voice.agrees(other)]
        pulses = (RateKind.PULSE, RateKind.DEVICE_PULSE)
        if all(other.kind in pulses and other.rate < voice.rate for other in others):
            return voice
    return None
