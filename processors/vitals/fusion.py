"""One heart rate from several sources: ECG, pulse wave, and what the devices say themselves.

The rate of the ECG is that of the heart; a pulse rate is that of the beats that reach the vessel.
In atrial fibrillation and with early beats some do not: the pulse deficit. So an ECG of good
quality is right when the pulse is slower. A pulse faster than the ECG is another matter: behind
every pulse is a beat, so one of the two is wrong, and unless a third source speaks for one of
them, nobody knows which.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from enum import StrEnum
from types import MappingProxyType
from typing import Final

from devices import codes
from processors.vitals.derived import Algorithm, Derived
from processors.vitals.last_words import LastWords, best_reason
from processors.vitals.reasons import NoValueReason
from processors.vitals.sides import (
    Agreement,
    Standing,
    Voice,
    preferred_side,
    said_by,
    side_of,
    voices_of,
    withheld,
)

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


STANDINGS: Final[Mapping[RateKind, Standing]] = MappingProxyType(
    {
        RateKind.ECG: Standing(),
        RateKind.PULSE: Standing(belief=0.9, trust=0.9),
        RateKind.DEVICE_ECG: Standing(belief=0.45, trust=0.45, from_device=True),
        RateKind.DEVICE_PULSE: Standing(belief=0.4, trust=0.4, from_device=True),
    }
)
"""Ours are calibrated; a device says neither how it averages nor how sure it is, so that a good ECG
or pulse wave of ours outweighs it twice over."""
AGE_S_MAX: Final[Mapping[RateKind, float]] = MappingProxyType(
    {
        RateKind.ECG: 3.0,
        RateKind.PULSE: 3.0,
        RateKind.DEVICE_ECG: 5.0,
        RateKind.DEVICE_PULSE: 5.0,
    }
)
"""Older than this a source does not count: ours come every second, a device's may miss some."""
AGREEMENT: Final = Agreement(rate=5.0, share=0.1)
"""Two rates agree within 5/min or 10 %, whichever is more: what IEC 60601-2-27 allows a meter."""
GOOD: Final = 0.9
"""Of an ECG: its rate is right in 99 % and more."""
SOURCES_MAX: Final = 16
"""The source that has been silent longest gives way."""

ALGORITHM: Final = Algorithm(
    name="heart_rate_fusion",
    version=2,
    method="Mean of the sources that agree with the best supported one (within 5/min or 10 %), "
    "each by the odds that it is right, so that a good ECG is hardly moved by the others. A "
    "device's own figure counts less than half, and several of them as one. When the pulse is "
    "slower than an ECG of good quality the ECG is right (pulse deficit).",
    source="IEC 60601-2-27 (agreement)",
    delay_s=0.0,
    averaging="That of its sources; each second.",
    validity="sources_disagree when two sides differ and neither has twice the weight of the "
    "other; no_samples when no source is young enough; otherwise the reason of the best source.",
)


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
        voices = voices_of(current, STANDINGS, t_ns)
        if not voices:
            reason = best_reason([said for _, _, said in current])
            return [withheld(reason, codes.HEART_RATE, ALGORITHM, t_ns)]
        side = preferred_side(voices, AGREEMENT) or _right_in_deficit(voices)
        if side is None:
            reason = NoValueReason.SOURCES_DISAGREE
            return [withheld(reason, codes.HEART_RATE, ALGORITHM, t_ns)]
        return [said_by(side, codes.HEART_RATE, ALGORITHM, t_ns)]

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return self._words.to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> HeartRateFusion:
        """Continue where ``to_bytes`` stood; raises StateError."""
        restored = cls()
        restored._words.restore(state)
        return restored


_PULSES: Final = (RateKind.PULSE, RateKind.DEVICE_PULSE)


def _right_in_deficit(voices: Sequence[Voice]) -> list[Voice] | None:
    """Find the side of an ECG of good quality from which nothing differs but slower pulses."""
    for voice in voices:
        if voice.kind != RateKind.ECG or voice.weight < GOOD:
            continue
        others = [other for other in voices if not AGREEMENT(voice, other)]
        if all(other.kind in _PULSES and other.rate < voice.rate for other in others):
            return side_of(voice, voices, AGREEMENT)
    return None
