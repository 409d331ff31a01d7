"""One respiratory rate from chest movement, heart beats and what devices say themselves.

Impedance and belts see the chest move; beats see what breathing does to heart and vessels, less
exactly and with half a minute's patience. So a good chest signal outweighs the beats, the beats
stand in where it is missing, and an apnoea that the chest shows is not covered by a rate which the
beats still remember.
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

_KIND = "respiration_fusion"


class BreathSource(StrEnum):
    """How a source sees breathing; the order is that of preference."""

    CHEST = "chest"
    """Our rate from impedance or a belt."""
    BEATS = "beats"
    """Our rate from heart beats."""
    DEVICE = "device"
    """A device's own figure."""


TRUST: Final[Mapping[BreathSource, float]] = MappingProxyType(
    {BreathSource.CHEST: 1.0, BreathSource.BEATS: 0.45, BreathSource.DEVICE: 0.4}
)
"""What a quality is multiplied by: a good chest signal is right when the others differ."""
AGE_S_MAX: Final = 5.0
AGREEMENT: Final = 2.0
AGREEMENT_SHARE: Final = 0.15
"""Two rates agree within 2 per minute or 15 %, whichever is more."""
PREFERENCE: Final = 2.0
"""One side is preferred when its weight is this many times that of the other."""
QUALITY_MIN: Final = 0.05
SOURCES_MAX: Final = 8
"""The source that has been silent longest gives way."""

ALGORITHM: Final = Algorithm(
    name="respiration_fusion",
    version=1,
    method="Mean of the sources that agree with the best supported one (within 2 per minute or "
    "15 %), weighted by the square of their quality; beats and a device's own figure count less "
    "than half of a chest signal.",
    source="Own",
    delay_s=0.0,
    averaging="That of its sources; each second.",
    validity="apnoea_suspected when a chest signal says so; sources_disagree when two sides differ "
    "and neither has twice the weight of the other; no_samples when no source is young enough; "
    "otherwise the reason of the best source.",
)


@dataclass(frozen=True, slots=True)
class _Voice:
    """A source that has a value at the instant of fusion."""

    source: str
    rate: float
    weight: float
    age_s: float

    def agrees(self, other: _Voice) -> bool:
        mean = (self.rate + other.rate) / 2
        return abs(self.rate - other.rate) <= max(AGREEMENT, AGREEMENT_SHARE * mean)


class RespirationFusion:
    """The sources of one subject; ``add`` what they say, ask ``at`` whole seconds."""

    def __init__(self) -> None:
        ages_s = dict.fromkeys(BreathSource, AGE_S_MAX)
        self._words = LastWords(_KIND, ages_s, SOURCES_MAX)

    def add(self, source: str, kind: BreathSource, derived: Derived) -> None:
        """Take what ``source`` says; what is not after its last word is passed over.

        A source that changes its kind starts anew.
        """
        self._words.add(source, kind, derived)

    def at(self, t_ns: int) -> list[Derived]:
        """Give the respiratory rate at ``t_ns``, or why there is none; nothing without a source.

        ``t_ns`` is a whole second up to which the sources have spoken, ascending.
        """
        if not self._words:
            return []
        current = self._words.current(t_ns)
        for _, kind, said in current:
            if kind is BreathSource.CHEST and said.reason is NoValueReason.APNOEA_SUSPECTED:
                return [_withheld(t_ns, said.reason)]
        voices = [
            _Voice(
                source,
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
    def from_bytes(cls, state: bytes) -> RespirationFusion:
        """Continue where ``to_bytes`` stood; raises StateError."""
        restored = cls()
        restored._words.restore(state)
        return restored


def _withheld(t_ns: int, reason: NoValueReason) -> Derived:
    return Derived(
        quantity=codes.RESPIRATORY_RATE,
        algorithm=ALGORITHM,
        t_ns=t_ns,
        value=None,
        reason=reason,
        quality=0.0,
    )


def _fused(t_ns: int, voices: Sequence[_Voice]) -> Derived:
    best = max(voices, key=lambda voice: _weight(_side(voice, voices)))
    side = _side(best, voices)
    others = [voice for voice in voices if voice not in side]
    if others and _weight(side) < PREFERENCE * _weight(others):
        return _withheld(t_ns, NoValueReason.SOURCES_DISAGREE)
    doubt = 1.0
    for voice in side:
        doubt *= 1.0 - voice.weight
    squares = [voice.weight**2 for voice in side]
    return Derived(
        quantity=codes.RESPIRATORY_RATE,
        algorithm=ALGORITHM,
        t_ns=t_ns,
        value=sum(v.rate * square for v, square in zip(side, squares, strict=True)) / sum(squares),
        quality=1.0 - doubt,
        age_s=min(voice.age_s for voice in side),
        sources=tuple(voice.source for voice in side),
    )


def _side(voice: _Voice, voices: Sequence[_Voice]) -> list[_Voice]:
    return [other for other in voices if voice.agrees(other)]


def _weight(side: Sequence[_Voice]) -> float:
    return sum(voice.weight for voice in side)
