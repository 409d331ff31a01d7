"""Heart or pulse rate from beats, by one stated rule.

The rule: 60 over the mean of the intervals that end in the last ten seconds. A plain mean, as
bedside monitors do over some 8 to 16 beats (IEC 60601-2-27 has the maker disclose the rule): it is
exact in arrhythmia, where medians and trimmed means are biased. It is not robust against a wrong
beat; that is the business of the quality, which withholds the value.
"""

from __future__ import annotations

from collections import deque
from typing import Final

import numpy as np

from processors.dsp.state import MalformedStateError, State, translated_errors
from processors.vitals.reasons import NoValueReason

_KIND = "beat_rate"
_VERSION = 1

WINDOW_NS: Final = 10_000_000_000
SILENCE_NS: Final = 4_000_000_000
"""No beat for this long on a connected lead: asystole, or QRS complexes that are not seen."""
N_INTERVALS_MIN: Final = 2
AVERAGING: Final = "60 over the mean of the intervals that end in the last 10 s, each second"

_NS_PER_MIN: Final = 60_000_000_000


class BeatRate:
    """The rule above, in whole nanoseconds; ``reset`` at a gap, so that no interval spans it.

    Parameters
    ----------
    silence
        What it is called when there is no beat for ``SILENCE_NS``.
    """

    def __init__(self, silence: NoValueReason = NoValueReason.ASYSTOLE_SUSPECTED) -> None:
        self._silence = silence
        self._beats_ns: deque[int] = deque()
        self._start_ns = 0

    def reset(self, start_ns: int) -> None:
        """Forget the beats; the signal starts at ``start_ns``."""
        self._start_ns = start_ns
        self._beats_ns.clear()

    def add_beat(self, t_ns: int) -> float | None:
        """Take the next beat, later than the one before; give the interval it ends, in seconds."""
        beats_ns = self._beats_ns
        interval_s = (t_ns - beats_ns[-1]) / 1e9 if beats_ns else None
        beats_ns.append(t_ns)
        return interval_s

    def at(self, t_ns: int) -> tuple[float | None, NoValueReason | None, float]:
        """Give rate per minute, why there is none, and seconds since the newest beat.

        All beats up to ``t_ns``, which ascends, are known. The seconds are those since the start
        where there is no beat.
        """
        beats_ns = self._beats_ns
        # The beat that begins the oldest interval stays, and so does the newest beat.
        while len(beats_ns) > 1 and beats_ns[1] <= t_ns - WINDOW_NS:
            beats_ns.popleft()
        newest_ns = beats_ns[-1] if beats_ns else self._start_ns
        age_ns = t_ns - newest_ns
        if age_ns > SILENCE_NS:
            return None, self._silence, age_ns / 1e9
        n_intervals = len(beats_ns) - 1
        if n_intervals < N_INTERVALS_MIN:
            young = t_ns - self._start_ns < WINDOW_NS
            reason = NoValueReason.WARMING_UP if young else NoValueReason.TOO_FEW_BEATS
            return None, reason, age_ns / 1e9
        return n_intervals * _NS_PER_MIN / (newest_ns - beats_ns[0]), None, age_ns / 1e9

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"start_ns": self._start_ns, "silence": str(self._silence)},
            arrays={"beats_ns": np.array(self._beats_ns, dtype=np.int64)},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> BeatRate:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(NoValueReason(str(kept.scalars["silence"])))
        restored._start_ns = kept.integer("start_ns")
        beats_ns = kept.int_array("beats_ns")
        if (np.diff(beats_ns) <= 0).any():
            raise MalformedStateError(f"{_KIND}: beats do not ascend")
        restored._beats_ns.extend(beats_ns.tolist())
        return restored
