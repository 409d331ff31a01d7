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
def outline(state: np.void, design: np.void, k_top: float, shape: Floats) -> None:
    """Write the wave around ``k_top`` into ``shape``, ``(N_SHAPE,)``: mean 0, norm 1."""
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
    for j in range(N_SHAPE):
        if norm > 0.0:
            shape[j] /= norm


@kernel
def bent_likeness(one: Floats, other: Floats) -> float:
    """Correlate two outlines, -1..1, without the slopes on which they ride."""
    middle = 0.5 * (N_SHAPE - 1)
    squares, slope, other_slope = 0.0, 0.0, 0.0
    for j in range(N_SHAPE):
        squares += (j - middle) * (j - middle)
        slope += (j - middle) * one[j]
        other_slope += (j - middle) * other[j]
    slope /= squares
    other_slope /= squares
    product, power, other_power = 0.0, 0.0, 0.0
    for j in range(N_SHAPE):
        bent = one[j] - slope * (j - middle)
        other_bent = other[j] - other_slope * (j - middle)
        product += bent * other_bent
        power += bent * bent
        other_power += other_bent * other_bent
    if power <= 0.0 or other_power <= 0.0:
        return 0.0
    return product / math.sqrt(power * other_power)


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
    outline(state, design, k_top, shape)
    with_template, with_last = 0.0, 0.0
    for j in range(N_SHAPE):
        with_template += shape[j] * state["template"][j]
        with_last += shape[j] * state["shape"][j]
    likeness = 1.0
    if state["n_shapes"] > 0:
        likeness = min(1.0, max(0.0, with_template, with_last))
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
