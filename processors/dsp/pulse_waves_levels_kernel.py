"""Levels of the pulse-wave detector: what a rise must reach, and which way is up."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import kernel
from processors.dsp.pulse_waves_layout import N_LEVELS, N_LOW, N_STEEPEST

Floats = NDArray[np.float64]

HEIGHT_CAP: Final = 1.5
SILENCE_S: Final = 2.5
FIRST_SHARE: Final = 0.8
FIRST_BETWEEN: Final = 0.15
HIGH_RANK: Final = 0.75
_LONE_SHARE: Final = 0.5
_BETWEEN_RANK: Final = 0.4
"""A low rank of the recent rises between beats: weak pulses are among them, and must not raise the
threshold."""
_BETWEEN_MIN: Final = 0.05
_BETWEEN_MAX: Final = 0.7
_EXPONENT: Final = 0.38
"""Threshold = between * (beat / between) ** exponent."""
_EXPONENT_MIN: Final = 0.2
_EARLY: Final = 0.75
_EARLY_SLOPE: Final = 0.5
_OVERDUE: Final = 1.15
_OVERDUE_SLOPE: Final = 0.5
_DICROTIC_HEIGHT: Final = 0.45
"""Of the systolic rise: no dicrotic rise is as steep, a second pulse so soon is."""
_DICROTIC_FADE_S: Final = 0.06
_FORGETTING_S: Final = 4.5
_KEEP_PER_S: Final = 0.6
_POLARITY_RANK: Final = 0.75
"""Of the steepest slopes of sixteen seconds: a slow heart has no upslope in each of them, and four
may be artefacts."""
_FLIP: Final = 1.5


@kernel
def ranked(values: Floats, n_values: int, rank: float) -> float:
    """Value at a rank 0..1 among the newest ones of a ring."""
    n = min(n_values, values.size)
    ordered = np.sort(values[:n])
    return float(ordered[int(rank * (n - 1) + 0.5)])


@kernel
def slope(state: np.void, design: np.void, k: int) -> float:
    """Slope at low-rate sample ``k``, upslopes of the pulse positive."""
    if k < design["n_lag"] + 2 * design["n_smooth"]:
        return 0.0
    smooth = state["smooth"]
    rise = smooth[k & (N_LOW - 1)] - smooth[(k - design["n_lag"]) & (N_LOW - 1)]
    return float(state["polarity"] * rise)


@kernel
def learn(state: np.void, design: np.void, k_end: int) -> None:
    """Levels from the four seconds before ``k_end``: the second highest of their tops."""
    first, second = 0.0, 0.0
    n = design["n_second"]
    for part in range(4):
        top = 0.0
        for k in range(max(0, k_end - (4 - part) * n), max(0, k_end - (3 - part) * n)):
            top = max(top, slope(state, design, k))
        if top > first:
            first, second = top, first
        elif top > second:
            second = top
    level = FIRST_SHARE * max(second, _LONE_SHARE * first)
    if level <= 0.0:
        return
    state["learned"] = 1
    state["heights"][0] = level
    state["n_heights"] = 1
    state["early"][0] = state["late"][0] = FIRST_BETWEEN * level
    state["n_between"] = 1
    state["n_intervals"] = 0
    state["n_shapes"] = 0


@kernel
def watch_polarity(state: np.void, design: np.void, k: int) -> None:
    """Ask each second whether the steepest rises are steeper than the steepest falls."""
    rise = slope(state, design, k) * state["polarity"]
    state["top"] = max(state["top"], rise)
    state["bottom"] = max(state["bottom"], -rise)
    if (k + 1) % design["n_second"] != 0:
        return
    if state["top"] > 0.0 or state["bottom"] > 0.0:
        state["tops"][state["n_seconds"] % N_STEEPEST] = state["top"]
        state["bottoms"][state["n_seconds"] % N_STEEPEST] = state["bottom"]
        state["n_seconds"] += 1
    state["top"] = state["bottom"] = 0.0
    n = state["n_seconds"]
    if design["polarity"] != 0 or n == 0:
        return
    top = ranked(state["tops"], n, _POLARITY_RANK)
    bottom = ranked(state["bottoms"], n, _POLARITY_RANK)
    if state["polarity"] < 0:
        top, bottom = bottom, top
    if k + 1 <= design["n_learn"]:
        if bottom > top:
            state["polarity"] = -state["polarity"]
    elif n >= N_STEEPEST // 2 and bottom > _FLIP * top:
        state["polarity"] = -state["polarity"]
        state["i_turned"] = state["i_next"]
        state["n_pending"] = 0
        state["passed_early"] = state["passed_late"] = 0.0
        learn(state, design, k + 1)


@kernel
def fade(state: np.void, at: float, fs_hz: float) -> None:
    """Let the levels sink in silence, at most to a tenth."""
    first = state["silent_from"] + SILENCE_S * fs_hz
    last = first + _FORGETTING_S * fs_hz
    span = min(at, last) - max(state["faded_to"], first)
    if span <= 0.0:
        return
    state["faded_to"] = at
    keep = math.pow(_KEEP_PER_S, span / fs_hz)
    for j in range(N_LEVELS):
        state["heights"][j] *= keep
        state["early"][j] *= keep
        state["late"][j] *= keep


@kernel
def threshold(state: np.void, since_s: float, rr_s: float, beat: float, dicrotic_s: float) -> float:
    """Height that a rise must reach to be a beat."""
    ring = state["early"] if since_s < dicrotic_s else state["late"]
    between = max(ranked(ring, state["n_between"], _BETWEEN_RANK), _BETWEEN_MIN * beat)
    between = min(between, _BETWEEN_MAX * beat)
    exponent = _EXPONENT
    if since_s < _EARLY * rr_s:
        exponent += _EARLY_SLOPE * (_EARLY - since_s / rr_s)
    elif since_s > _OVERDUE * rr_s:
        exponent -= _OVERDUE_SLOPE * (since_s / rr_s - _OVERDUE)
        exponent = max(_EXPONENT_MIN, exponent)
    height = between * math.pow(beat / between, exponent)
    if state["has_last"]:
        share = (dicrotic_s + _DICROTIC_FADE_S - since_s) / _DICROTIC_FADE_S
        share = _DICROTIC_HEIGHT * min(1.0, max(0.0, share))
        # By the high rank: dicrotic waves that were once taken for beats must not stay so.
        most = HEIGHT_CAP * ranked(state["heights"], state["n_heights"], HIGH_RANK)
        height = max(height, share * min(state["last_height"], most))
    return height
