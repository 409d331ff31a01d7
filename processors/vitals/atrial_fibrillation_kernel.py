"""Figures of a window of RR intervals that tell atrial fibrillation from what resembles it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import kernel

Floats = NDArray[np.float64]

N_FIGURES: Final = 5

_ALIKE: Final = 0.06
"""Two intervals this share of the mean apart count as the same: 50 ms at 70 per minute, more than
the sampling and respiration of a resting adult, less than the spread of fibrillation."""
_TAIL: Final = 10
"""The tails begin a tenth of the intervals from either end."""


@kernel
def _entropies(rr: Floats, run: Floats, alike: float, figures: Floats) -> None:
    """Fill figures 1 and 2: how far an interval follows from the one and the two before it.

    Sample entropy (Richman and Moorman, 2000), one count added so that it is always finite.
    """
    same_1 = 0
    next_1 = 0
    same_2 = 0
    next_2 = 0
    for i in range(1, rr.size):
        if run[i] < 1.0:
            continue
        for j in range(i + 1, rr.size):
            if run[j] < 1.0 or abs(rr[i - 1] - rr[j - 1]) > alike:
                continue
            follows = 1 if abs(rr[i] - rr[j]) <= alike else 0
            same_1 += 1
            next_1 += follows
            if run[i] > 1.0 and run[j] > 1.0 and abs(rr[i - 2] - rr[j - 2]) <= alike:
                same_2 += 1
                next_2 += follows
    figures[1] = -math.log((next_1 + 0.5) / (same_1 + 1.0))
    figures[2] = -math.log((next_2 + 0.5) / (same_2 + 1.0))


@kernel
def _skewness(rr: Floats, valid: Floats, kept: Floats) -> float:
    """Return how much longer the upper tail is than the lower one, -1..1."""
    n = 0
    for i in range(rr.size):
        if valid[i] > 0.0:
            at = n
            while at > 0 and kept[at - 1] > rr[i]:
                kept[at] = kept[at - 1]
                at -= 1
            kept[at] = rr[i]
            n += 1
    lower: float = kept[n // 2] - kept[n // _TAIL]
    upper: float = kept[n - 1 - n // _TAIL] - kept[n // 2]
    return (upper - lower) / (upper + lower + 1e-9)


@kernel
def measure_rhythm(rr: Floats, valid: Floats, run: Floats, kept: Floats, figures: Floats) -> int:
    """Fill ``figures`` of intervals in seconds, oldest first; give the number of valid pairs.

    ``valid`` is 1 for an interval between two normal beats that follow one another. ``run`` and
    ``kept`` are scratch of the same size. Figures: mean interval, entropy after one and after two
    intervals, autocorrelation at lag one, skewness by tails.
    """
    n = 0
    n_pairs = 0
    mean = 0.0
    for i in range(rr.size):
        run[i] = 0.0
        if valid[i] > 0.0:
            n += 1
            mean += rr[i]
            if i > 0 and valid[i - 1] > 0.0:
                n_pairs += 1
                run[i] = run[i - 1] + 1.0
    if n_pairs == 0:
        return 0
    mean /= n
    power = 1e-9
    product = 0.0
    for i in range(rr.size):
        if valid[i] > 0.0:
            power += (rr[i] - mean) * (rr[i] - mean)
            if run[i] > 0.0:
                product += (rr[i] - mean) * (rr[i - 1] - mean)
    figures[0] = mean
    _entropies(rr, run, _ALIKE * mean, figures)
    figures[3] = (product / n_pairs) / (power / n)
    figures[4] = _skewness(rr, valid, kept)
    return n_pairs
