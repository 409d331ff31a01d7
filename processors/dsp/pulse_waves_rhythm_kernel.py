"""What the rhythm says: whether a rise is one pulse too many, or an interval has one too few."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from processors.dsp.kernel import kernel
from processors.dsp.pulse_waves_layout import N_LEFT_OUT, N_LEVELS, N_SHAPE
from processors.dsp.pulse_waves_levels_kernel import HIGH_RANK, ranked
from processors.dsp.pulse_waves_shape_kernel import bent_likeness, outline

N_INTERVALS_MIN: Final = 3
ON_TIME: Final = 0.2
"""A beat comes when it is due if its interval is the usual one but for a fifth (logarithm)."""
_MISSED: Final = 1.5
_MISSED_POWER: Final = 4.0
"""An interval half as long again as the longer ones of late probably has a beat without a pulse in
it; with one of twice the length it is as good as sure."""
_OUTER_RANK: Final = 0.15
_EVEN: Final = 0.25
"""Six of the last eight intervals differ by no more than a quarter of the usual one: an even
rhythm, with the breathing that is in it. A fibrillating one is not."""
_DUE: Final = 0.1
_DUE_HEIGHT: Final = 0.3
"""In an even rhythm the next beat comes within a tenth of its time (logarithm). It may be weak."""
_TALL: Final = 1.1
_LIKE: Final = 0.9
"""A heart that beats early has had less time to fill, and its pulse is no higher than the others.
It has the form of a pulse wave, riding on the falling limb of the one before: of ninety-nine in a
hundred pulses that belong to a heart beat the form is as much alike."""


@kernel
def is_even(state: np.void, rr_s: float) -> bool:
    """Tell whether one can say when the next beat is due."""
    n = state["n_intervals"]
    if n < N_INTERVALS_MIN:
        return False
    shortest = ranked(state["intervals"], n, _OUTER_RANK)
    longest = ranked(state["intervals"], n, 1.0 - _OUTER_RANK)
    return bool(longest - shortest <= _EVEN * rr_s)


@kernel
def is_followed(
    state: np.void, design: np.void, k_top: float, since_s: float, rr_s: float, height: float
) -> bool:
    """Tell whether a rise of some height waits that comes when the beat after the last one is due.

    Parameters
    ----------
    k_top, since_s
        Of the rise that is decided on: where it is, and how long after the last beat.
    """
    for j in range(state["n_pending"]):
        later = state["pending"][j]
        later_s = since_s + (later["k_top"] - k_top) / design["fs_low_hz"]
        if later["height"] >= height and abs(math.log(later_s / rr_s)) < _DUE:
            return True
    return False


@kernel
def is_between(
    state: np.void,
    design: np.void,
    k_top: float,
    rise: float,
    since_s: float,
    rr_s: float,
    beat: float,
) -> bool:
    """Tell whether a rise stands between two beats of an even rhythm, and is none itself.

    Fingers move at any time; a heart that beats once more between two beats and keeps its rhythm
    (an interpolated beat) is rare, and moves less blood. So a rise that comes early, while the beat
    that is due follows, must look like a pulse wave and be no higher than one. A heart that doubles
    its rate at once looks the same at first: no more than `N_LEFT_OUT` rises in `N_LEVELS` beats
    are left out.
    """
    if since_s >= rr_s or abs(math.log(since_s / rr_s)) < ON_TIME or not is_even(state, rr_s):
        return False
    if not is_followed(state, design, k_top, since_s, rr_s, _DUE_HEIGHT * beat):
        return False
    shape = np.zeros(N_SHAPE)
    outline(state, design, k_top, shape)
    likeness = max(bent_likeness(shape, state["template"]), bent_likeness(shape, state["shape"]))
    if likeness >= _LIKE and rise < _TALL * beat:
        return False
    for j in range(N_LEFT_OUT):
        if state["left_out"][j] <= state["n_beats"]:
            state["left_out"][j] = state["n_beats"] + N_LEVELS
            return True
    return False


@kernel
def timing(state: np.void, since_s: float) -> float:
    """Tell how well an interval can be one among the recent ones, and not two."""
    if state["n_intervals"] < N_INTERVALS_MIN:
        return 1.0
    longest_s = _MISSED * ranked(state["intervals"], state["n_intervals"], HIGH_RANK)
    return math.pow(min(1.0, longest_s / since_s), _MISSED_POWER)
