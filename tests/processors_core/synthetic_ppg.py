"""Pulse waves whose beats are known."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

UPSLOPE_S = 0.1
"""From the foot of a wave to its steepest point."""


def wave(t_s: Floats, *, dicrotic: float = 0.25) -> Floats:
    """One pulse wave of height about 1 whose foot is at 0; the dicrotic wave 0.3 s later."""
    systole = 1 / (1 + np.exp(-(t_s - UPSLOPE_S) / 0.022))
    fall = np.exp(-np.clip(t_s - 0.17, 0, None) / 0.22)
    second = dicrotic * np.exp(-np.square((t_s - 0.45) / 0.06))
    return np.where(t_s > -0.2, systole * fall + second, 0.0)


def ppg(
    beats_s: Floats, fs_hz: float, duration_s: float, *, heights: Floats | None = None,
    dicrotic: float = 0.25,
) -> Floats:  # fmt: skip
    """Sum of waves whose upslopes are steepest at ``beats_s``."""
    t_s = np.arange(round(duration_s * fs_hz)) / fs_hz
    total = np.zeros(t_s.size)
    for i, beat_s in enumerate(beats_s):
        near = slice(*np.searchsorted(t_s, (beat_s - 0.4, beat_s + 2.5)))
        height = 1.0 if heights is None else heights[i]
        total[near] += height * wave(t_s[near] - beat_s + UPSLOPE_S, dicrotic=dicrotic)
    return total


def regular_s(interval_s: float, duration_s: float) -> Floats:
    return np.arange(0.7, duration_s - 1.0, interval_s)
