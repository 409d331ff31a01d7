"""Every second pulse may be missing: what light alone cannot know, and for how long it matters.

In bigeminy, and where strong and weak beats alternate, every second beat may move no blood into the
fingertip. The pulse then halves at once, and light shows half the rate of the heart, regular and
clear. A tachycardia that ends, and a block of every second beat, look the same. After half a minute
the rate is shown, because it is that of the pulses; but it is not called good while it stays at
half of what it was, for as long as one expects a resting heart to keep its mean rate.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

from processors.dsp.state import State
from processors.vitals.ppg_quality import QUALITY_MIN, Assessment
from processors.vitals.reasons import NoValueReason

_KIND = "pulse_deficit"
_VERSION = 1

LASTING_NS: Final = 300_000_000_000
"""The length of recording over which a resting heart is taken to be stationary (Task Force of the
ESC and NASPE, Circulation 93:1043-1065, 1996)."""
HALF: Final = (1.7, 2.4)
"""Intervals of two beats over those of one, while the heart itself goes on nearly as before."""
QUALITY_MAX: Final = 0.89
"""Enough to be shown, and less than what is called good."""


class PulseDeficit:
    """Remembers the intervals before the pulse halved."""

    def __init__(self) -> None:
        self._before_samples = 0.0
        self._end_ns = 0

    def temper(self, t_ns: int, judged: Assessment) -> Assessment:
        """Take what is said of the ten seconds before ``t_ns``, ascending; doubt it if need be."""
        interval = judged.interval_samples
        if judged.halved_from_samples is not None:
            # Anew each second: the first ones still have intervals of before among theirs.
            self._before_samples = judged.halved_from_samples
            if t_ns >= self._end_ns:
                self._end_ns = t_ns + LASTING_NS
            if judged.reason is NoValueReason.POOR_SIGNAL:
                return replace(judged, reason=NoValueReason.PULSE_DEFICIT_SUSPECTED)
            return judged
        if t_ns >= self._end_ns or interval is None or judged.quality < QUALITY_MIN:
            return judged
        low, high = (times * self._before_samples for times in HALF)
        if not low <= interval <= high:
            self._end_ns = t_ns
            return judged
        return replace(judged, quality=min(judged.quality, QUALITY_MAX))

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        scalars = {"before_samples": self._before_samples, "end_ns": self._end_ns}
        return State(kind=_KIND, version=_VERSION, scalars=scalars).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> PulseDeficit:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls()
        restored._before_samples = kept.number("before_samples")
        restored._end_ns = kept.integer("end_ns")
        return restored
