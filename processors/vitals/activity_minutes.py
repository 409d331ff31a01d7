"""Activity counts minute by minute of event time, with what was missing of each."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from devices import codes
from processors.dsp.state import State
from processors.vitals.activity_counts import ACTIVITY, COUNTS_HZ, ActivityCounter
from processors.vitals.derived import Derived
from processors.vitals.gravity import MovedSecond
from processors.vitals.reasons import NoValueReason

_KIND = "activity_minutes"
_VERSION = 1

_MINUTE_S: Final = 60
_MINUTE_NS: Final = _MINUTE_S * 1_000_000_000
_MEASURED_MIN: Final = 0.95
_RAILED_MAX: Final = 0.05


class ActivityMinutes:
    """Sums the counts of each minute; a minute that was not measured whole has a reason instead.

    Parameters
    ----------
    fs_hz
        Sampling rate, 10..400.
    """

    def __init__(self, fs_hz: float) -> None:
        self._counter = ActivityCounter(fs_hz)
        self._end_ns = 0
        self._n_samples = 0
        self._n_railed = 0.0
        self._has_gap = False

    def start(self, start_ns: int) -> None:
        """Begin with the first sample."""
        self._begin(start_ns)

    def process(self, chunk_g: NDArray[np.float64], i_begin: int, i_end: int) -> None:
        """Take the columns ``i_begin..i_end - 1`` of ``(3, n_samples)`` in g."""
        self._counter.process(chunk_g, i_begin, i_end)

    def pass_gap(self, start_ns: int) -> list[Derived]:
        """Go on behind a gap, with the sample at ``start_ns``."""
        self._counter.reset()
        self._has_gap = True
        if self._end_ns >= start_ns:
            return []
        missing = self._value(self._end_ns, None, NoValueReason.NO_SAMPLES)
        self._begin(start_ns)
        return [missing]

    def at(self, t_ns: int, moved: MovedSecond) -> list[Derived]:
        """Take what a whole second brought, and give the minute that ends with it."""
        self._n_samples += moved.n_samples
        self._n_railed += moved.railed_share * moved.n_samples
        if t_ns != self._end_ns:
            return []
        share = self._counter.n_counts / (COUNTS_HZ * _MINUTE_S)
        counts = math.hypot(*self._counter.take())
        reason: NoValueReason | None = None
        if share < _MEASURED_MIN:
            reason = NoValueReason.NO_SAMPLES if self._has_gap else NoValueReason.WARMING_UP
        elif self._n_railed > _RAILED_MAX * self._n_samples:
            reason = NoValueReason.SATURATED
        self._begin(t_ns + 1)
        return [self._value(t_ns, counts if reason is None else None, reason)]

    def _begin(self, start_ns: int) -> None:
        self._end_ns = -(-start_ns // _MINUTE_NS) * _MINUTE_NS
        self._counter.take()
        self._n_samples = 0
        self._n_railed = 0.0
        self._has_gap = False

    @staticmethod
    def _value(t_ns: int, counts: float | None, reason: NoValueReason | None) -> Derived:
        return Derived(
            quantity=codes.ACTIVITY_COUNTS,
            algorithm=ACTIVITY,
            t_ns=t_ns,
            value=counts,
            reason=reason,
            quality=float(reason is None),
        )

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={
                "end_ns": self._end_ns,
                "n_samples": self._n_samples,
                "n_railed": self._n_railed,
                "has_gap": self._has_gap,
            },
            children={"counter": self._counter.to_bytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> ActivityMinutes:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        counter = ActivityCounter.from_bytes(kept.child("counter"))
        restored = cls(counter.fs_hz)
        restored._counter = counter
        restored._end_ns = kept.integer("end_ns")
        restored._n_samples = kept.integer("n_samples")
        restored._n_railed = kept.number("n_railed")
        restored._has_gap = kept.flag("has_gap")
        return restored
