"""Heart rate variability in the time domain: figures of a series of NN intervals.

Definitions: Task Force of the ESC and NASPE, Circulation 93:1043-1065 (1996). Standard deviations
are those of a sample (n - 1). Everywhere ``nn_s`` is shape (n_intervals,), in seconds; ``follows``,
of the same shape, says whether an interval follows the one before it (the first does not): only
then is there a difference. Without it, all follow. Each raises TooFewIntervalsError.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.vitals.hrv_nonlinear import all_follow
from processors.vitals.nn_intervals import TooFewIntervalsError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]
Ints = NDArray[np.int64]

BINS_PER_S: Final = 128
"""The histogram's bins are 7.8125 ms wide, as those of the Task Force."""

_MS_PER_S = 1e3
_PERCENT = 100.0
_ROUNDING_S = 1e-9
"""A difference of exactly 50 ms is not above 50 ms, whatever binary fractions make of it."""


def mean_nn_ms(nn_s: Floats) -> float:
    """Mean."""
    _need("mean", nn_s, 1)
    return _MS_PER_S * float(nn_s.mean())


def sdnn_ms(nn_s: Floats) -> float:
    """Give SDNN, the standard deviation; of 5-minute means it is SDANN."""
    _need("SDNN", nn_s, 2)
    return _MS_PER_S * float(np.std(nn_s, ddof=1))


def differences_s(nn_s: Floats, follows: Bools | None = None) -> Floats:
    """Differences of intervals that follow each other, in seconds, in order."""
    joined = all_follow(nn_s.size) if follows is None else follows
    return np.diff(nn_s)[joined[1:]]


def rmssd_ms(nn_s: Floats, follows: Bools | None = None) -> float:
    """Root mean square of the differences."""
    steps_s = differences_s(nn_s, follows)
    _need("RMSSD", steps_s, 1)
    return _MS_PER_S * math.sqrt(float((steps_s * steps_s).mean()))


def sdsd_ms(nn_s: Floats, follows: Bools | None = None) -> float:
    """Give the standard deviation of the differences."""
    steps_s = differences_s(nn_s, follows)
    _need("SDSD", steps_s, 2)
    return _MS_PER_S * float(np.std(steps_s, ddof=1))


def pnn_percent(nn_s: Floats, limit_ms: float, follows: Bools | None = None) -> float:
    """Share of the differences that are above a limit, up or down; 50 ms: pNN50."""
    steps_s = differences_s(nn_s, follows)
    _need("pNN", steps_s, 1)
    return _PERCENT * n_above(steps_s, limit_ms) / steps_s.size


def n_above(steps_s: Floats, limit_ms: float) -> int:
    """Count the differences above a limit, up or down."""
    return int(np.count_nonzero(np.abs(steps_s) > limit_ms / _MS_PER_S + _ROUNDING_S))


def histogram(nn_s: Floats, n_bins: int = 0) -> Ints:
    """Count the intervals in bins of 1/128 s, the first from 0, at least ``n_bins`` of them."""
    return np.bincount(np.floor(nn_s * BINS_PER_S).astype(np.int64), minlength=n_bins)


def triangular_index(nn_s: Floats) -> float:
    """Give the HRV triangular index: all intervals over those in the fullest bin of 1/128 s."""
    _need("triangular index", nn_s, 1)
    return nn_s.size / int(histogram(nn_s).max())


def _need(figure: str, values: Floats, needed: int) -> None:
    if values.size < needed:
        raise TooFewIntervalsError(figure=figure, needed=needed, available=values.size)
