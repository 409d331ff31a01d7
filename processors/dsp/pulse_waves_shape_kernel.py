"""The loop of the pulse wave's shape: foot, height, and likeness to the waves before."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import kernel
from processors.dsp.pulse_waves_layout import N_LOW, N_SHAPE

Floats = NDArray[np.float64]

_TEMPLATE_WEIGHT: Final = 0.15
_SHAPE_BEFORE_S: Final = 0.1
_SHAPE_S: Final = 0.4


@kernel
def compare(state: np.void, design: np.void, k_top: float, shape: Floats) -> float:
    """Describe the wave around ``k_top`` in ``shape``, ``(N_SHAPE,)``; give its likeness, 0..1."""
    smooth = state["smooth"]
    polarity = state["polarity"]
    mean = 0.0
    for j in range(N_SHAPE):
        at = k_top - 0.5 * design["n_lag"]
        at += (_SHAPE_S * j / (N_SHAPE - 1) - _SHAPE_BEFORE_S) * design["fs_low_hz"]
        whole = math.floor(at)
        rest = at - whole
        left, right = smooth[whole & (N_LOW - 1)], smooth[(whole + 1) & (N_LOW - 1)]
        shape[j] = polarity * (left + rest * (right - left))
        mean += shape[j]
    mean /= N_SHAPE
    norm = 0.0
    for j in range(N_SHAPE):
        shape[j] -= mean
        norm += shape[j] * shape[j]
    norm = math.sqrt(norm)
    with_template, with_last = 0.0, 0.0
    for j in range(N_SHAPE):
        if norm > 0.0:
            shape[j] /= norm
        with_template += shape[j] * state["template"][j]
        with_last += shape[j] * state["shape"][j]
    if state["n_shapes"] == 0:
        return 1.0
    return float(min(1.0, max(0.0, with_template, with_last)))


@kernel
def describe(state: np.void, design: np.void, k_top: float, beat: np.void) -> None:
    """Foot, height and shape of the wave whose upslope is steepest at ``k_top``."""
    smooth = state["smooth"]
    polarity = state["polarity"]
    middle = math.floor(k_top - 0.5 * design["n_lag"] + 0.5)
    foot = middle
    while foot > middle - design["n_walk"] and foot > 1:
        if polarity * (smooth[(foot - 1) & (N_LOW - 1)] - smooth[foot & (N_LOW - 1)]) >= 0.0:
            break
        foot -= 1
    peak = middle
    while peak < middle + design["n_walk"] and peak < state["k_next"] - 1:
        if polarity * (smooth[(peak + 1) & (N_LOW - 1)] - smooth[peak & (N_LOW - 1)]) <= 0.0:
            break
        peak += 1
    beat["height"] = polarity * (smooth[peak & (N_LOW - 1)] - smooth[foot & (N_LOW - 1)])
    beat["level"] = smooth[foot & (N_LOW - 1)] + state["origin"]
    shape = np.zeros(N_SHAPE)
    likeness = compare(state, design, k_top, shape)
    beat["likeness"] = likeness
    weight = _TEMPLATE_WEIGHT * likeness if state["n_shapes"] > 0 else 1.0
    norm = 0.0
    for j in range(N_SHAPE):
        state["shape"][j] = shape[j]
        state["template"][j] = (1.0 - weight) * state["template"][j] + weight * shape[j]
        norm += state["template"][j] * state["template"][j]
    if norm > 0.0:
        norm = math.sqrt(norm)
        for j in range(N_SHAPE):
            state["template"][j] /= norm
    state["n_shapes"] += 1
