"""Heart rate on whole seconds of event time.

The rule: 60 over the mean of the RR intervals that end in the last ten seconds. A plain mean, as
bedside monitors do over some 8 to 16 beats (IEC 60601-2-27 has the maker disclose the rule): it is
exact in arrhythmia, where medians and trimmed means are biased. It is not robust against a wrong
beat; that is the business of the quality, which withholds the value.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from processors.dsp.state import State
from processors.vitals.ecg_events import HeartRate
from processors.vitals.quality import Assessment
from processors.vitals.reasons import NoValueReason

_KIND = "heart_rate"
_VERSION = 1

WINDOW_NS: Final = 10_000_000_000
SILENCE_NS: Final = 4_000_000_000
"""No beat for this long on a connected lead: asystole, or QRS complexes that are not seen."""
N_INTERVALS_MIN: Final = 3

_DISCONNECTED: Final = frozenset(
    {NoValueReason.LEAD_OFF, NoValueReason.SATURATED, NoValueReason.NO_SAMPLES}
)


class HeartRateAverage:
    """The rule above; ``reset`` at a gap, so that no interval spans it."""

    def __init__(self) -> None:
        self._ends_ns: list[int] = []
        self._rrs_s: list[float] = []
        self.reset(0)

    def reset(self, start_ns: int) -> None:
        """Forget the beats; the signal starts at ``start_ns``."""
        self._start_ns = start_ns
        self._last_ns: int | None = None
        self._ends_ns.clear()
        self._rrs_s.clear()

    def add_beat(self, t_ns: int) -> float | None:
        """Take the next R peak; give the RR interval that it ends, in seconds."""
        rr_s = None if self._last_ns is None else (t_ns - self._last_ns) / 1e9
        self._last_ns = t_ns
        if rr_s is not None:
            self._ends_ns.append(t_ns)
            self._rrs_s.append(rr_s)
        return rr_s

    def at(self, t_ns: int, assessment: Assessment) -> HeartRate:
        """Give the rate at ``t_ns``, all beats up to it being known; ``t_ns`` ascends."""
        if assessment.reason in _DISCONNECTED:
            self.reset(t_ns)  # no interval spans it
        while self._ends_ns and self._ends_ns[0] <= t_ns - WINDOW_NS:
            del self._ends_ns[0], self._rrs_s[0]
        reason = self._reason(t_ns, assessment)
        n_beats = len(self._rrs_s)
        mean_s = sum(self._rrs_s) / n_beats if n_beats else 0.0
        return HeartRate(
            t_ns=t_ns,
            heart_rate_bpm=60.0 / mean_s if reason is None else None,
            reason=reason,
            quality=assessment.quality,
            n_beats=n_beats,
            age_s=None if self._last_ns is None else (t_ns - self._last_ns) / 1e9,
        )

    def _reason(self, t_ns: int, assessment: Assessment) -> NoValueReason | None:
        if assessment.reason in _DISCONNECTED:
            return assessment.reason
        since_ns = t_ns - (self._start_ns if self._last_ns is None else self._last_ns)
        if since_ns > SILENCE_NS:
            return NoValueReason.ASYSTOLE_SUSPECTED
        if len(self._rrs_s) < N_INTERVALS_MIN:
            young = t_ns - self._start_ns < WINDOW_NS
            return NoValueReason.WARMING_UP if young else NoValueReason.TOO_FEW_BEATS
        return assessment.reason

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"start_ns": self._start_ns, "last_ns": self._last_ns},
            arrays={
                "ends_ns": np.array(self._ends_ns, dtype=np.int64),
                "rrs_s": np.array(self._rrs_s, dtype=np.float64),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> HeartRateAverage:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls()
        restored._start_ns = kept.integer("start_ns")
        restored._last_ns = kept.optional_integer("last_ns")
        restored._ends_ns = kept.int_array("ends_ns").tolist()
        restored._rrs_s = kept.float_array("rrs_s", (len(restored._ends_ns),)).tolist()
        return restored
