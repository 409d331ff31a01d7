"""A run of ventricular beats: how long, how fast, and whether it can be believed in noise."""

from __future__ import annotations

from typing import Final

import numpy as np

from processors.dsp.state import State
from processors.vitals.derived import Beat, BeatClass

_KIND = "ventricular_run"
_VERSION = 1

N_RUN: Final = 3
"""Beats that make a tachycardia: by definition three or more in a row (Buxton et al., 2006)."""
N_LONG: Final = 5
"""Monitors speak from the fifth or sixth beat on; the rate is that of so many beats at most."""
N_AROUND: Final = 4
"""Beats in front of a run that tell whether it begins in a readable signal."""
_HOLD_NS: Final = 1_000_000_000
"""What was seen between two whole seconds is said on the second one."""
_SHORT_CONFIDENCE: Final = 0.7
_AROUND_MIN: Final = 0.7
_RUN_MIN: Final = 0.4
"""Qualities. An index that knows the normal complexes calls those of a tachycardia poor; but it
begins among good ones, and noise does not."""


class VentricularRun:
    """The run that goes on, or that ended just now.

    Parameters
    ----------
    limit_bpm
        A run is a tachycardia above this rate.
    """

    def __init__(self, limit_bpm: float) -> None:
        self.limit_bpm = limit_bpm
        self.n_classed = 0
        """Beats of known class since the start or the gap, up to `N_LONG`."""
        self._times_ns: list[int] = []
        self._qualities: list[float] = []
        self._around: list[float] = []
        self._seen_ns: int | None = None
        self._confidence = 0.0
        self._believed = False
        self._long_ns: int | None = None

    def add_beat(self, beat: Beat) -> None:
        """Take the next beat; one of unknown class neither counts nor ends a run."""
        if beat.beat_class is BeatClass.VENTRICULAR:
            self._extend(beat)
        else:
            known = beat.beat_class is not BeatClass.UNKNOWN
            self._around.append(beat.quality if known else 0.0)
            del self._around[:-N_AROUND]
            if not known:
                return
            if self._times_ns:
                self._times_ns.clear()
                self._qualities.clear()
                self._long_ns = None
        if self.n_classed < N_LONG:
            self.n_classed += 1

    def _extend(self, beat: Beat) -> None:
        self._times_ns = [*self._times_ns, beat.t_ns][-N_LONG:]
        self._qualities = [*self._qualities, beat.quality][-N_LONG:]
        n = len(self._times_ns)
        span_s = (self._times_ns[-1] - self._times_ns[0]) / 1e9
        if n < N_RUN or span_s * self.limit_bpm >= 60.0 * (n - 1):
            return
        if n == N_LONG and self._long_ns is None:
            self._long_ns = beat.t_ns
        mean = sum(self._qualities) / n
        self._seen_ns = beat.t_ns
        self._confidence = mean if n == N_LONG else _SHORT_CONFIDENCE * mean
        readable = len(self._around) == N_AROUND and min(self._around) >= _AROUND_MIN
        self._believed = readable and mean >= _RUN_MIN

    def seen(self, t_ns: int) -> bool:
        """Tell whether there was a tachycardia within the second up to ``t_ns``."""
        return self._seen_ns is not None and t_ns - self._seen_ns < _HOLD_NS

    def became_long(self, t_ns: int) -> bool:
        """Tell whether the run that goes on became long within the second up to ``t_ns``."""
        return self._long_ns is not None and t_ns - self._long_ns < _HOLD_NS

    @property
    def confidence(self) -> float:
        """0..1: of the run seen last; a short one may be a salvo of something else."""
        return self._confidence

    @property
    def believed(self) -> bool:
        """Whether the run seen last stands even where the signal is poor."""
        return self._believed

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "limit_bpm": self.limit_bpm,
                "n_classed": self.n_classed,
                "seen_ns": self._seen_ns,
                "confidence": self._confidence,
                "believed": self._believed,
                "long_ns": self._long_ns,
            },
            arrays={
                "times_ns": np.array(self._times_ns, dtype=np.int64),
                "qualities": np.array(self._qualities, dtype=np.float64),
                "around": np.array(self._around, dtype=np.float64),
            },
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> VentricularRun:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        restored = cls(kept.number("limit_bpm"))
        restored.n_classed = kept.integer("n_classed")
        restored._seen_ns = kept.optional_integer("seen_ns")
        restored._confidence = kept.number("confidence")
        restored._believed = kept.flag("believed")
        restored._long_ns = kept.optional_integer("long_ns")
        restored._times_ns = kept.int_array("times_ns").tolist()
        n = len(restored._times_ns)
        restored._qualities = kept.float_array("qualities", (n,)).tolist()
        restored._around = kept.float_array("around", (None,)).tolist()
        return restored
