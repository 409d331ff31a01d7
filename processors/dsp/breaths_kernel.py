"""Breaths from a respiration signal, sample by sample: turning points with hysteresis."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]

N_SECTIONS = 2
N_SWINGS = 8
N_BREATHS = 64
"""More than a window of 32 s holds at 90 breaths per minute."""

DESIGN_DTYPE = np.dtype(
    [
        ("fs_hz", "f8"),
        ("sos", "f8", (N_SECTIONS, 5)),
        ("late_s", "f8"),
        ("share", "f8"),
        ("n_learn", "i8"),
        ("hold_s", "f8"),
        ("forget_s", "f8"),
        ("share_min", "f8"),
        ("forgotten_s", "f8"),
        ("flat_share", "f8"),
    ]
)
STATE_DTYPE = np.dtype(
    [
        ("i_start", "i8"),
        ("i_next", "i8"),
        ("memory", "f8", (N_SECTIONS, 2)),
        ("rising", "i8"),
        ("high", "f8"),
        ("i_high", "i8"),
        ("low", "f8"),
        ("i_low", "i8"),
        ("trough", "f8"),
        ("first_range", "f8"),
        ("i_last", "i8"),
        ("swings", "f8", (N_SWINGS,)),
        ("n_swings", "i8"),
        ("swing", "f8"),
        ("heart_period_s", "f8"),
        ("i_swing", "i8"),
        ("doubted", "i8"),
        ("flat_value", "f8"),
        ("i_flat", "i8"),
        ("lowest", "f8"),
        ("highest", "f8"),
        ("peaks", "f8", (N_BREATHS,)),
        ("heights", "f8", (N_BREATHS,)),
        ("n_breaths", "i8"),
    ]
)
"""``i_`` are sample indices; ``peaks`` are ends of inspiration, as fractional indices, in a ring.

``high`` and ``low`` are the extremes since the last turning point, ``trough`` the last low one;
``swing`` is the median of the last ``swings``, the heights of breaths over the trough before them.
``i_swing`` is the last peak, be it a breath or the heart's.
The raw signal has stayed near ``flat_value`` since ``i_flat``.
"""

N_SWINGS_MIN = 3
"""Before so many breaths, the range of the first seconds stands for their height."""
CARDIOGENIC_SHARE = 0.35
"""Of a breath's height: what the heart moves is less, and a breath that is less is rare."""
CARDIOGENIC_TOLERANCE = 0.25
CARDIOGENIC_BEATS_MAX = 4.0
"""In heart periods: how far a small swing is from the one before."""
RAPID_S = 1.5
"""Small swings that come faster after a pause are the heart's, be its rate known or not: they are
more than 40 per minute, as hearts beat and shallow breathing of adults does not go."""
SLOW_S = 12.0
"""Between small swings that are further apart the signal drifts: fewer than 5 per minute."""
TINY_SHARE = 0.15
DOUBTED_MAX = 1
DOUBTED_TINY_MAX = 4
"""So many slower small swings after a pause are doubted: some of the heart's may have been missed
between them, of the tiny ones many. More doubt would make an apnoea of the quiet breaths that come
when somebody has turned over."""
SMALLER_SHARE = 0.5


@kernel
def _median(values: Floats, n: int) -> float:
    """Middle one of the first ``n``, the upper one of two."""
    ordered = np.empty(n)
    for i in range(n):
        x = values[i]
        k = i
        while k > 0 and ordered[k - 1] > x:
            ordered[k] = ordered[k - 1]
            k -= 1
        ordered[k] = x
    return float(ordered[n // 2])


@kernel
def _low_pass(design: Record, state: Record, x: float) -> float:
    me = state[0]
    sos = design[0]["sos"]
    memory = me["memory"]
    if me["i_next"] == me["i_start"]:  # as though the first sample had always been there
        for k in range(N_SECTIONS):
            gain = (sos[k, 0] + sos[k, 1] + sos[k, 2]) / (1.0 + sos[k, 3] + sos[k, 4])
            y = gain * x
            memory[k, 0] = y - sos[k, 0] * x
            memory[k, 1] = sos[k, 2] * x - sos[k, 4] * y
            x = y
        return float(x)
    for k in range(N_SECTIONS):
        y = sos[k, 0] * x + memory[k, 0]
        memory[k, 0] = sos[k, 1] * x - sos[k, 3] * y + memory[k, 1]
        memory[k, 1] = sos[k, 2] * x - sos[k, 4] * y
        x = y
    return float(x)


@kernel
def _watch_flat(design: Record, state: Record, x: float) -> None:
    me = state[0]
    i = me["i_next"]
    if i == me["i_start"]:
        me["flat_value"] = x
        me["i_flat"] = i
        me["lowest"] = x
        me["highest"] = x
    if abs(x - me["flat_value"]) > design[0]["flat_share"] * me["swing"]:
        me["flat_value"] = x
        me["i_flat"] = i
    me["lowest"] = min(me["lowest"], x)
    me["highest"] = max(me["highest"], x)


@kernel
def _add_breath(design: Record, state: Record, height: float, overdue: int) -> None:
    me = state[0]
    if overdue == 1 and height < SMALLER_SHARE * me["swing"]:
        me["n_swings"] = 0  # breathing has become shallow: learn it from here on
        for _ in range(N_SWINGS_MIN):
            me["swings"][me["n_swings"]] = height
            me["n_swings"] += 1
    for k in range(N_SWINGS - 1, 0, -1):
        me["swings"][k] = me["swings"][k - 1]
    me["swings"][0] = height
    me["n_swings"] = min(me["n_swings"] + 1, N_SWINGS)
    if me["n_swings"] >= N_SWINGS_MIN:
        me["swing"] = _median(me["swings"], me["n_swings"])
    k = me["n_breaths"] % N_BREATHS
    me["peaks"][k] = me["i_high"] - design[0]["late_s"] * design[0]["fs_hz"]
    me["heights"][k] = height
    me["n_breaths"] += 1
    me["i_last"] = me["i_high"]


@kernel
def _is_cardiogenic(design: Record, state: Record, height: float, overdue: int) -> bool:
    """Whether a small swing is the heart's: by its pace after a pause, else by the heart's rhythm.

    The first ones after a pause are doubted.
    """
    me = state[0]
    interval_s = (me["i_high"] - me["i_swing"]) / design[0]["fs_hz"]
    me["i_swing"] = me["i_high"]
    is_small = height < CARDIOGENIC_SHARE * me["swing"] and me["n_swings"] >= N_SWINGS_MIN
    if not is_small or (overdue == 0 and me["heart_period_s"] <= 0.0):
        me["doubted"] = 0
        return False
    if overdue == 1:
        me["doubted"] = me["doubted"] + 1 if interval_s < SLOW_S else 1
        if interval_s < RAPID_S:
            me["doubted"] = 0
            return True
        is_tiny = height < TINY_SHARE * me["swing"]
        return bool(me["doubted"] <= (DOUBTED_TINY_MAX if is_tiny else DOUBTED_MAX))
    beats = interval_s / me["heart_period_s"]
    if beats >= CARDIOGENIC_BEATS_MAX:
        me["doubted"] = 0 if me["doubted"] > 0 else 1
        return bool(me["doubted"] == 1)
    return bool(abs(beats - math.floor(beats + 0.5)) < CARDIOGENIC_TOLERANCE)


@kernel
def find_breaths(design: Record, state: Record, chunk: Floats) -> None:
    """Go through ``chunk``; breaths go to the ring of the state.

    A turning point counts when the smoothed signal has gone back from it by a share of the height
    of the last breaths. Where none comes for long, that share sinks.
    """
    me = state[0]
    plan = design[0]
    for n in range(chunk.shape[0]):
        _watch_flat(design, state, chunk[n])
        y = _low_pass(design, state, chunk[n])
        i = me["i_next"]
        me["i_next"] = i + 1
        n_seen = i - me["i_start"]
        if n_seen < plan["n_learn"]:
            me["high"] = y if n_seen == 0 else max(me["high"], y)
            me["low"] = y if n_seen == 0 else min(me["low"], y)
            if n_seen == plan["n_learn"] - 1:
                me["first_range"] = me["high"] - me["low"]
                me["swing"] = me["first_range"]
                me["high"] = y
                me["low"] = y
                me["trough"] = y
                me["i_high"] = i
                me["i_low"] = i
                me["i_last"] = i
                me["i_swing"] = i
                me["rising"] = 1
            continue
        since_s = (i - me["i_last"]) / plan["fs_hz"]
        overdue = 1 if since_s > plan["hold_s"] else 0
        step = plan["share"] * me["swing"]
        if overdue == 1:
            step *= math.exp((plan["hold_s"] - since_s) / plan["forget_s"])
            if since_s < plan["forgotten_s"]:
                step = max(step, plan["share_min"] * me["swing"])
        if me["rising"] == 1:
            if y > me["high"]:
                me["high"] = y
                me["i_high"] = i
            if me["high"] - y > step:
                height = me["high"] - me["trough"]
                if not _is_cardiogenic(design, state, height, overdue):
                    _add_breath(design, state, height, overdue)
                me["rising"] = 0
                me["low"] = y
                me["i_low"] = i
        else:
            if y < me["low"]:
                me["low"] = y
                me["i_low"] = i
            if y - me["low"] > step:
                me["rising"] = 1
                me["trough"] = me["low"]
                me["high"] = y
                me["i_high"] = i


@kernel
def judge_window(state: Record, i_from: float, i_to: float, said: Floats) -> int:
    """Describe the breaths whose peak lies in ``(i_from, i_to]``; returns how many.

    ``said``: first and last peak (indices), median interval, median distance of the intervals from
    it, median height, median distance from it; the last peak up to ``i_to``, and 1 if there is one.
    """
    me = state[0]
    n_kept = min(me["n_breaths"], N_BREATHS)
    intervals = np.empty(N_BREATHS)
    heights = np.empty(N_BREATHS)
    for k in range(said.shape[0]):
        said[k] = 0.0
    n = 0
    for k in range(me["n_breaths"] - n_kept, me["n_breaths"]):
        peak = me["peaks"][k % N_BREATHS]
        if peak > i_to:
            break
        said[6] = peak
        said[7] = 1.0
        if peak <= i_from:
            continue
        if n == 0:
            said[0] = peak
        else:
            intervals[n - 1] = peak - said[1]
        heights[n] = me["heights"][k % N_BREATHS]
        said[1] = peak
        n += 1
    if n > 1:
        said[2] = _median(intervals, n - 1)
        for k in range(n - 1):
            intervals[k] = abs(intervals[k] - said[2])
        said[3] = _median(intervals, n - 1)
        said[4] = _median(heights, n)
        for k in range(n):
            heights[k] = abs(heights[k] - said[4])
        said[5] = _median(heights, n)
    return n
