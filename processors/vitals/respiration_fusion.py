"""One respiratory rate from chest movement, heart beats and what devices say themselves.

Impedance and belts see the chest move; beats see what breathing does to heart and vessels, less
exactly and with half a minute's patience. So a good chest signal outweighs the beats, the beats
stand in where it is missing, and an apnoea that the chest shows is not covered by a rate which the
beats still remember.
"""

from __future__ import annotations

from collections.abc import Mapping
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
    preferred_side,
    said_by,
    voices_of,
    withheld,
)

_KIND = "respiration_fusion"


class BreathSource(StrEnum):
    """How a source sees breathing; the order is that of preference."""

    CHEST = "chest"
    """Our rate from impedance or a belt."""
    BEATS = "beats"
    """Our rate from heart beats."""
    DEVICE = "device"
    """A device's own figure."""


STANDINGS: Final[Mapping[BreathSource, Standing]] = MappingProxyType(
    {
        BreathSource.CHEST: Standing(),
        BreathSource.BEATS: Standing(trust=0.45),
        BreathSource.DEVICE: Standing(belief=0.4, trust=0.4, from_device=True),
    }
)
"""A good chest signal is right when the others differ: beats follow a change half a minute late.
Where there are only beats they are believed as far as they say."""
AGE_S_MAX: Final = 5.0
AGREEMENT: Final = Agreement(rate=2.0, share=0.15)
"""Two rates agree within 2 per minute or 15 %, whichever is more."""
SOURCES_MAX: Final = 8
"""The source that has been silent longest gives way."""

ALGORITHM: Final = Algorithm(
    name="respiration_fusion",
    version=2,
    method="Mean of the sources that agree with the best supported one (within 2 per minute or "
    "15 %), each by the odds that it is right, so that a good chest signal is hardly moved by the "
    "others. Against each other, beats and a device's own figure count less than half of a chest "
    "signal.",
    source="Own",
    delay_s=0.0,
    averaging="That of its sources; each second.",
    validity="apnoea_suspected when a chest signal says so; sources_disagree when two sides differ "
    "and neither has twice the weight of the other; no_samples when no source is young enough; "
    "otherwise the reason of the best source.",
)


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
                return [withheld(said.reason, codes.RESPIRATORY_RATE, ALGORITHM, t_ns)]
        voices = voices_of(current, STANDINGS, t_ns)
        if not voices:
            reason = best_reason([said for _, _, said in current])
            return [withheld(reason, codes.RESPIRATORY_RATE, ALGORITHM, t_ns)]
        side = preferred_side(voices, AGREEMENT)
        if side is None:
            reason = NoValueReason.SOURCES_DISAGREE
            return [withheld(reason, codes.RESPIRATORY_RATE, ALGORITHM, t_ns)]
        return [said_by(side, codes.RESPIRATORY_RATE, ALGORITHM, t_ns)]

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return self._words.to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> RespirationFusion:
        """Continue where ``to_bytes`` stood; raises StateError."""
        restored = cls()
        restored._words.restore(state)
        return restored
