"""The intervals of one window: what of them is NN, and whether that suffices for a figure."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.vitals.nn_intervals import (
    ECTOPIC_KINDS,
    INTERVAL_S_MAX,
    Interval,
    IntervalKind,
    TooFewIntervalsError,
)
from processors.vitals.reasons import NoValueReason

COVERED_MIN: Final = 0.9
"""Share of the window that intervals cover."""
NN_SHARE_MIN: Final = 0.9
"""Share of the intervals that are NN: beyond that, what is left out makes the figure."""
STEP_SHARE_MAX: Final = 0.15
"""Median absolute difference, as a share of the mean: no sinus node makes every other interval so
different from the one before it. Atrial fibrillation does, and bigeminy where only timing is known;
what looks like variability there is none of the autonomic nervous system's."""

_NS_PER_S = 1e9


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """Intervals that end within ``start_ns < t_ns <= end_ns``."""

    start_ns: int
    end_ns: int
    t_s: NDArray[np.float64]
    """Shape (n_nn,): end of each NN interval, since the start of the window."""
    nn_s: NDArray[np.float64]
    """Shape (n_nn,)."""
    follows: NDArray[np.bool_]
    """Shape (n_nn,): whether it follows the one before it; the first does not."""
    n_intervals: int
    n_ectopic: int
    """Not NN for a cause in the heart."""
    covered_s: float
    """Sum of the intervals of a length that a heart can have."""
    quality: float
    """0..1: mean of the NN intervals, times their share."""
    enters: bool
    """The first interval is NN and follows one before the window."""
    leaves: bool
    """The last interval is NN."""

    @property
    def window_s(self) -> float:
        """Length of the window."""
        return (self.end_ns - self.start_ns) / _NS_PER_S

    @property
    def nn_share(self) -> float:
        """Share of the intervals that are NN, 0..1."""
        return self.nn_s.size / self.n_intervals if self.n_intervals else 0.0

    def coverage_reason(self, fresh_ns: int) -> NoValueReason | None:
        """Why there are too few intervals of any kind; ``fresh_ns``: start, or end of last gap."""
        if self.covered_s >= COVERED_MIN * self.window_s:
            return None
        if fresh_ns > self.start_ns:
            return NoValueReason.WARMING_UP
        return NoValueReason.TOO_FEW_BEATS

    def reason(self, fresh_ns: int) -> NoValueReason | None:
        """Why there are no figures; None: there are."""
        few = self.coverage_reason(fresh_ns)
        if few is not None:
            return few
        if self._irregular():
            return NoValueReason.IRREGULAR
        if self.nn_share >= NN_SHARE_MIN:
            return None
        n_left_out = self.n_intervals - self.nn_s.size
        if 2 * self.n_ectopic >= n_left_out:
            return NoValueReason.ECTOPY
        return NoValueReason.POOR_SIGNAL

    def _irregular(self) -> bool:
        steps_s = np.abs(np.diff(self.nn_s)[self.follows[1:]])
        if 2 * steps_s.size < self.n_intervals:  # what few are left say nothing of the rhythm
            return False
        return bool(np.median(steps_s) > STEP_SHARE_MAX * self.nn_s.mean())


def window_of(intervals: Sequence[Interval], start_ns: int, end_ns: int) -> Window:
    """Cut a window out of intervals in order of time."""
    inside = [interval for interval in intervals if start_ns < interval.t_ns <= end_ns]
    is_nn = [interval.kind is IntervalKind.NN for interval in inside]
    nn = [interval for interval, normal in zip(inside, is_nn, strict=True) if normal]
    follows = [
        i > 0 and is_nn[i - 1] and interval.follows for i, interval in enumerate(inside) if is_nn[i]
    ]
    quality = math.fsum(interval.quality for interval in nn) / max(1, len(inside))
    return Window(
        start_ns=start_ns,
        end_ns=end_ns,
        t_s=np.array([(interval.t_ns - start_ns) / _NS_PER_S for interval in nn]),
        nn_s=np.array([interval.interval_s for interval in nn]),
        follows=np.array(follows, dtype=np.bool_),
        n_intervals=len(inside),
        n_ectopic=sum(interval.kind in ECTOPIC_KINDS for interval in inside),
        covered_s=math.fsum(i.interval_s for i in inside if i.interval_s <= INTERVAL_S_MAX),
        quality=quality,
        enters=bool(inside) and is_nn[0] and inside[0].follows,
        leaves=bool(inside) and is_nn[-1],
    )


def figure_or_reason(figure: Callable[[], float]) -> float | NoValueReason:
    """Compute a figure; where it cannot be had, say why."""
    try:
        value = figure()
    except TooFewIntervalsError:
        return NoValueReason.TOO_FEW_BEATS
    return value if math.isfinite(value) else NoValueReason.OUT_OF_RANGE
