"""The timing of a beat: how early it is, by the last intervals and by the basic cycle."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.vitals.beat_class_layout import N_RR

Floats = NDArray[np.float64]

_EARLY_MAX: Final = 0.7
_LATE_MAX: Final = 0.5
_SPREAD_MIN: Final = 0.02
"""Shares of the reference interval: beyond these, more says no more."""
_N_SPREAD: Final = 16.0
_N_CYCLES_KNOWN: Final = 4
"""Cycles of normal beats until their mean says more than that of all intervals."""


@kernel
def _reference_rr(rr: Floats, n_rr: int) -> float:
    """Mean of the last intervals, pauses cut at one and a half of their plain mean; 0: none yet."""
    n = min(n_rr, N_RR)
    total = 0.0
    for k in range(n):
        total += rr[k]
    longest = 1.5 * total / max(1, n)
    total = 0.0
    for k in range(n):
        total += min(rr[k], longest)
    return total / max(1, n)


@kernel
def _earliness(interval: float, reference: float) -> float:
    """Return how much earlier than the reference the interval ends, as a share of it."""
    return min(max(1.0 - interval / reference, -_LATE_MAX), _EARLY_MAX)


@kernel
def surprise_of(early: float, spread: float) -> float:
    """Measure how early a beat is by how much the rhythm varies: -1..1."""
    return early / math.sqrt(early * early + 4.0 * spread * spread)


@kernel
def take_interval(state: Record, i_r: float, fs_hz: float) -> float:
    """Return how early the beat is against the mean of the last intervals; 2: not known yet."""
    s = state[0]
    rr = s["rr"]
    early = 2.0
    if s["i_r_last"] >= 0.0:
        interval = (i_r - s["i_r_last"]) / fs_hz
        reference = _reference_rr(rr, s["n_rr"])
        if reference > 0.0:
            early = _earliness(interval, reference)
        for k in range(N_RR - 1, 0, -1):
            rr[k] = rr[k - 1]
        rr[0] = interval
        s["n_rr"] += 1
    s["i_r_last"] = i_r
    return early


@kernel
def follow_cycle(state: Record, early: float) -> None:
    """Learn the basic cycle, and how much it varies, with a normal beat.

    A ventricular beat between two normal ones stands in for one of two cycles, or between one and
    the next (interpolated).
    """
    s = state[0]
    span = 0.0
    if s["was_normal"][0] == 1:
        span = s["rr"][0]
        s["spread"] += (max(_SPREAD_MIN, abs(early)) - s["spread"]) / _N_SPREAD
    elif s["was_normal"][1] == 1 and s["n_rr"] > 1:
        span = s["rr"][0] + s["rr"][1]
        if s["n_cycles"] < _N_CYCLES_KNOWN or span > 1.5 * s["cycle"]:
            span *= 0.5
    if span <= 0.0:
        return
    if s["n_cycles"] == 0:
        s["cycle"] = span
    s["n_cycles"] += 1
    span = min(max(span, 0.5 * s["cycle"]), 1.5 * s["cycle"])
    s["cycle"] += (span - s["cycle"]) / min(s["n_cycles"], N_RR)


@kernel
def surprise_by_cycle(state: Record, surprise: float) -> float:
    """Measure how early the last beat is by the basic cycle; by ``surprise`` until it is known.

    A run of ventricular beats is early against the cycle of the normal ones throughout, and soon on
    time among its own.
    """
    s = state[0]
    if s["n_cycles"] < _N_CYCLES_KNOWN or s["i_r_last"] < 0.0:
        return surprise
    return surprise_of(_earliness(s["rr"][0], s["cycle"]), s["spread"])
