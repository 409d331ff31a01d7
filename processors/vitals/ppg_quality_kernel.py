"""The loop of the pulse quality: from the recent beats to what may be said of ten seconds."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.dsp.pulse_waves_layout import N_BEATS, N_PLATEAUS

Floats = NDArray[np.float64]

N_FEATURES: Final = 9
WEAK, DOUBT, UNLIKE, ODD, UNEVEN, UNSTEADY, LONG, SHORT, OVERDUE = range(N_FEATURES)
"""What speaks against a rate: the weakest beat taken, the strongest rise not taken, waves unlike
each other on average and at worst, heights that differ, intervals that differ on average, the
longest and the shortest of them, a beat that is late."""
N_COUNT, FLAT_S, CLIPPED, PERFUSION, N_OUT = range(N_FEATURES, N_FEATURES + 5)
"""And behind the features: number of beats, length of the flat line that lasts, share of the time
at the top of the range, median of height over level."""

_TOP_SHARE: Final = 0.05
_LOG_MAX: Final = 3.0
_OVERDUE_MAX: Final = 3.0


@kernel
def median(values: Floats, n: int) -> float:
    """Median of the first ``n`` values, of an even number the higher one; n >= 1."""
    ordered = np.sort(values[:n])
    return float(ordered[n // 2])


@kernel
def look_back(record: Record, i_end: int, n_window: int, fs_hz: float, out: Floats) -> None:
    """Describe the ``n_window`` samples before ``i_end``; ``record`` is the detector's."""
    state = record[0]
    intervals = np.zeros(N_BEATS)
    heights = np.zeros(N_BEATS)
    perfusion = np.zeros(N_BEATS)
    n = 0
    last = 0.0
    weak, doubt, unlike, odd, top = 0.0, 0.0, 0.0, 0.0, -math.inf
    n_all = state["n_beats"]
    for j in range(max(0, n_all - N_BEATS), n_all):
        beat = state["beats"][j % N_BEATS]
        at = beat["i_upslope"]
        if at >= i_end:
            continue
        if at > i_end - n_window:
            if n > 0:
                intervals[n - 1] = at - last
            height = beat["height"]
            heights[n] = height
            level = abs(beat["level"])
            perfusion[n] = height / level if level > 0.0 else 0.0
            weak = max(weak, 1.0 - beat["certainty"])
            doubt = max(doubt, state["doubts"][j % N_BEATS])
            unlike += 1.0 - beat["likeness"]
            odd = max(odd, 1.0 - beat["likeness"])
            top = max(top, state["polarity"] * beat["level"] + height)
            n += 1
        last = at
    for j in range(N_OUT):
        out[j] = 0.0
    out[N_COUNT] = n
    out[WEAK] = 2.0 * weak
    out[DOUBT] = max(doubt, min(1.0, state["spread"]))
    if n > 1:
        out[UNLIKE] = unlike / n
        out[ODD] = odd
        high, low = 0.0, math.inf
        for j in range(n):
            high, low = max(high, heights[j]), min(low, heights[j])
        out[UNEVEN] = min(_LOG_MAX, math.log(high / low)) if low > 0.0 else _LOG_MAX
        typical = median(intervals, n - 1)
        total = 0.0
        for j in range(n - 1):
            ratio = math.log(intervals[j] / typical)
            total += abs(ratio)
            out[LONG] = max(out[LONG], ratio)
            out[SHORT] = max(out[SHORT], -ratio)
        out[UNSTEADY] = min(_LOG_MAX, total / (n - 1))
        out[OVERDUE] = min(_OVERDUE_MAX, max(0.0, (i_end - last) / typical - 1.0))
        out[PERFUSION] = median(perfusion, n)
    run = state["newest"]
    if state["i_run"] < i_end:
        out[FLAT_S] = (i_end - state["i_run"]) / fs_hz
    clipped = 0.0
    for j in range(max(0, state["n_plateaus"] - N_PLATEAUS), state["n_plateaus"]):
        plateau = state["plateaus"][j % N_PLATEAUS]
        first = max(plateau["i_first"], i_end - n_window)
        end = min(plateau["i_end"], i_end)
        is_top = n > 0 and state["polarity"] * plateau["value"] >= top - _TOP_SHARE * heights[0]
        if end > first and is_top:
            clipped += end - first
    if n > 0 and state["polarity"] * run >= top - _TOP_SHARE * heights[0]:
        clipped += max(0.0, i_end - max(state["i_run"], i_end - n_window))
    out[CLIPPED] = clipped / n_window
