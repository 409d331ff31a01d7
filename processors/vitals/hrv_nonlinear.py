"""Heart rate variability: entropy, scaling and the Poincaré plot.

Where libraries differ, ours are: sample entropy of Richman and Moorman (Am J Physiol Heart Circ
Physiol 278:H2039-H2049, 2000) with m = 2 and r = 0.2 standard deviations, the same templates for m
and m + 1 values, apart no further than r counting as a match; detrended fluctuation analysis of
Peng et al. (Chaos 5:82-87, 1995) over boxes of every length from 4 to 16 and 16 to 64 beats, end to
end without overlap, a straight line in each; the Poincaré plot's axes of Brennan, Palaniswami and
Kamen (IEEE Trans Biomed Eng 48:1342-1347, 2001), as standard deviations along them.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.vitals import hrv_kernel
from processors.vitals.nn_intervals import TooFewIntervalsError

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

ENTROPY_LENGTH: Final = 2
ENTROPY_TOLERANCE: Final = 0.2
ALPHA1_BEATS: Final = (4, 16)
ALPHA2_BEATS: Final = (16, 64)

_MS_PER_S = 1e3
_N_DEVIATION_MIN = 2


def all_follow(n_intervals: int) -> Bools:
    """Say of a series without anything left out that each interval follows the one before it."""
    follows = np.ones(n_intervals, dtype=np.bool_)
    follows[:1] = False
    return follows


def poincare_ms(nn_s: Floats, follows: Bools | None = None) -> tuple[float, float]:
    """Give SD1 and SD2: across and along the line of identity, in milliseconds.

    Parameters
    ----------
    nn_s : shape (n_intervals,)
        NN intervals in seconds.
    follows : shape (n_intervals,)
        Whether an interval follows the one before it; the first does not. Without it, all do.

    Raises
    ------
    TooFewIntervalsError
        Fewer than two pairs.
    """
    joined = (all_follow(nn_s.size) if follows is None else follows)[1:]
    before_s, after_s = nn_s[:-1][joined], nn_s[1:][joined]
    if before_s.size < _N_DEVIATION_MIN:
        raise TooFewIntervalsError(
            figure="Poincaré plot", needed=_N_DEVIATION_MIN + 1, available=before_s.size + 1
        )
    sd1_s = float(np.std(after_s - before_s, ddof=1)) / math.sqrt(2.0)
    sd2_s = float(np.std(after_s + before_s, ddof=1)) / math.sqrt(2.0)
    return _MS_PER_S * sd1_s, _MS_PER_S * sd2_s


def sample_entropy(nn_s: Floats, follows: Bools | None = None) -> float:
    """Give the negative logarithm of how often what was alike for 2 beats is so for a third.

    Templates do not span what was left out. Not a number where nothing is alike.

    Parameters
    ----------
    nn_s, follows
        As in ``poincare_ms``.

    Raises
    ------
    TooFewIntervalsError
        Fewer than four intervals.
    """
    if nn_s.size < ENTROPY_LENGTH + 2:
        raise TooFewIntervalsError(
            figure="sample entropy", needed=ENTROPY_LENGTH + 2, available=nn_s.size
        )
    joined = all_follow(nn_s.size) if follows is None else follows
    tolerance_s = ENTROPY_TOLERANCE * float(np.std(nn_s, ddof=1))
    n_short, n_long = hrv_kernel.count_matches(
        nn_s, joined.astype(np.int64), ENTROPY_LENGTH, tolerance_s
    )
    return -math.log(n_long / n_short) if n_long else math.nan


class FluctuationBoxes:
    """Detrended fluctuation analysis of a series that comes in pieces: cut anyhow, the same."""

    def __init__(self, beats: tuple[int, int]) -> None:
        self._n_min, n_max = beats
        n_scales = n_max - self._n_min + 1
        self.boxes = np.zeros((n_scales, hrv_kernel.BOX_FIELDS))
        self.residual_s2 = np.zeros(n_scales)
        self.n_boxes = np.zeros(n_scales, dtype=np.int64)

    def add(self, nn_s: Floats, follows: Bools) -> None:
        """Take the next intervals; one that does not follow the last begins new boxes."""
        hrv_kernel.fill_boxes(
            nn_s,
            follows.astype(np.int64),
            self._n_min,
            self.boxes,
            self.residual_s2,
            self.n_boxes,
        )


def scaling_exponent(
    beats: tuple[int, int], residual_s2: Floats, n_boxes: NDArray[np.int64]
) -> float:
    """Slope of the logarithm of the fluctuation over that of the box length.

    Parameters
    ----------
    beats
        Shortest and longest box.
    residual_s2, n_boxes : shape (n_scales,)
        Sum of squares around the lines, and the boxes that it comes from, by box length.

    Returns
    -------
    float
        Not a number where a series has no fluctuation.

    Raises
    ------
    TooFewIntervalsError
        Not one box of some length.
    """
    if int(n_boxes.min()) < 1:
        raise TooFewIntervalsError(figure="fluctuation", needed=beats[1], available=0)
    if float(residual_s2.min()) <= 0.0:
        return math.nan
    length = np.arange(beats[0], beats[1] + 1, dtype=np.float64)
    log_length = np.log(length)
    log_fluctuation = 0.5 * np.log(residual_s2 / (n_boxes * length))
    from_mean = log_length - log_length.mean()
    return float((from_mean * log_fluctuation).sum() / (from_mean * from_mean).sum())


def dfa_exponent(nn_s: Floats, beats: tuple[int, int], follows: Bools | None = None) -> float:
    """Give the scaling exponent between two box lengths (alpha 1: 4, 16; alpha 2: 16, 64).

    Boxes do not span what was left out.

    Parameters
    ----------
    nn_s, follows
        As in ``poincare_ms``.
    beats
        Shortest and longest box, both included.

    Raises
    ------
    TooFewIntervalsError
        Not one box of some length.
    """
    whole = FluctuationBoxes(beats)
    whole.add(nn_s, all_follow(nn_s.size) if follows is None else follows)
    return scaling_exponent(beats, whole.residual_s2, whole.n_boxes)
