"""The loops of the pulse-wave detector: samples to rises, rises to beats.

What is remembered stands in one record, what follows from the sampling rate in another
(``pulse_waves_layout``). Rises are few (some per second), so only the smoothing costs anything.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.dsp.pulse_waves_layout import (
    N_BEATS,
    N_LEVELS,
    N_LOW,
    N_PENDING,
    N_PLATEAUS,
    N_SHORT,
    N_STEEPEST,
)
from processors.dsp.pulse_waves_shape_kernel import describe

Floats = NDArray[np.float64]

_DESCENT: Final = 0.2
"""Share of the descent before a rise that counts to its height: a pulse that comes early rides on
the falling limb of the one before."""
_BEAT_RANK: Final = 0.25
_HIGH_RANK: Final = 0.75
_BETWEEN_RANK: Final = 0.4
"""Low ranks of the recent heights: weak pulses count, and must not raise the threshold."""
_BETWEEN_MIN: Final = 0.05
_BETWEEN_MAX: Final = 0.7
_FLOOR: Final = 0.01
_EXPONENT: Final = 0.38
"""Threshold = between * (beat / between) ** exponent."""
_EXPONENT_MIN: Final = 0.2
_EARLY: Final = 0.75
_EARLY_SLOPE: Final = 0.5
_OVERDUE: Final = 1.15
_OVERDUE_SLOPE: Final = 0.5
_HEIGHT_CAP: Final = 1.5
_REFRACTORY_S: Final = 0.25
_DICROTIC_S: Final = 0.42
_DICROTIC_S_MIN: Final = 0.33
_DICROTIC_SHARE: Final = 0.7
"""The dicrotic wave follows the systolic one within 0.42 s, sooner where the heart is fast."""
_DICROTIC_HEIGHT: Final = 0.45
"""Of the systolic rise: no dicrotic rise is as steep, a second pulse so soon is."""
_DICROTIC_FADE_S: Final = 0.06
_REBOUND: Final = 1.0
_REBOUND_FREE: Final = 0.7
_REBOUND_RR: Final = 0.75
"""Blood leaves the finger more slowly than it comes: what rises soon after a fall steeper than the
usual beat by more than its own height swings back from a movement. Before three quarters of the
usual interval only, because a sensor that sets its level anew falls as steeply between beats."""
_MISSED: Final = 1.5
_MISSED_POWER: Final = 4.0
"""An interval half as long again as the longer ones of late probably has a beat without a pulse in
it; with one of twice the length it is as good as sure."""
_ON_TIME: Final = 0.2
_ON_TIME_HEIGHT: Final = 0.5
"""A rise that comes when the next beat is due (a fifth off, on the logarithmic scale) and is half
as high as the usual one is that beat, whatever follows it."""
_SUPPRESS: Final = 1.4
"""Who is steeper by this factor and follows soon is the beat."""
_ROOM_S: Final = 0.3
_RR_S_UNKNOWN: Final = 1.0
_INTERVAL_S_MAX: Final = 2.0
_N_INTERVALS_MIN: Final = 3
_SILENCE_S: Final = 2.5
_FORGETTING_S: Final = 4.5
_KEEP_PER_S: Final = 0.6
_RELEARN_S: Final = 8.0
_FIRST_SHARE: Final = 0.8
_FIRST_BETWEEN: Final = 0.15
_LONE_SHARE: Final = 0.5
_POLARITY_RANK: Final = 0.75
"""Of the steepest slopes of sixteen seconds: a slow heart has no upslope in each of them, and four
may be artefacts."""
_FLIP: Final = 1.5


@kernel
def slope(state: np.void, design: np.void, k: int) -> float:
    """Slope at low-rate sample ``k``, upslopes of the pulse positive."""
    if k < design["n_lag"] + 2 * design["n_smooth"]:
        return 0.0
    smooth = state["smooth"]
    rise = smooth[k & (N_LOW - 1)] - smooth[(k - design["n_lag"]) & (N_LOW - 1)]
    return float(state["polarity"] * rise)


@kernel
def ranked(values: Floats, n_values: int, rank: float) -> float:
    """Value at a rank 0..1 among the newest ones of a ring."""
    n = min(n_values, values.size)
    ordered = np.sort(values[:n])
    return float(ordered[int(rank * (n - 1) + 0.5)])


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
    level = _FIRST_SHARE * max(second, _LONE_SHARE * first)
    if level <= 0.0:
        return
    state["learned"] = 1
    state["heights"][0] = level
    state["n_heights"] = 1
    state["early"][0] = state["late"][0] = _FIRST_BETWEEN * level
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
    first = state["silent_from"] + _SILENCE_S * fs_hz
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
        most = _HEIGHT_CAP * ranked(state["heights"], state["n_heights"], _HIGH_RANK)
        height = max(height, share * min(state["last_height"], most))
    return height


@kernel
def timing(state: np.void, since_s: float) -> float:
    """Tell how well an interval can be one among the recent ones, and not two."""
    if state["n_intervals"] < _N_INTERVALS_MIN:
        return 1.0
    longest_s = _MISSED * ranked(state["intervals"], state["n_intervals"], _HIGH_RANK)
    return math.pow(min(1.0, longest_s / since_s), _MISSED_POWER)


@kernel
def decide(state: np.void, design: np.void, beats: Record, n_beats: int) -> int:
    """Decide on the oldest rise that waits; give the number of beats written so far."""
    pending = state["pending"]
    fs_hz = design["fs_low_hz"]
    k_top, rise, fall = pending[0]["k_top"], pending[0]["height"], pending[0]["fall"]
    n = state["n_pending"]
    is_topped = False
    after = 1e9
    for j in range(1, n):
        later = pending[j]["k_top"] - k_top
        after = min(after, later / fs_hz)
        if later < design["n_ahead"] and pending[j]["height"] > _SUPPRESS * rise:
            is_topped = True
    for j in range(1, n):
        pending[j - 1] = pending[j]
    state["n_pending"] = n - 1
    if not state["learned"]:
        state["heights"][0] = _FIRST_SHARE * rise
        state["early"][0] = state["late"][0] = _FIRST_BETWEEN * _FIRST_SHARE * rise
        state["n_heights"] = state["n_between"] = 1
        state["learned"] = 1
    rr_s = _RR_S_UNKNOWN
    if state["n_intervals"] >= _N_INTERVALS_MIN:
        rr_s = ranked(state["intervals"], state["n_intervals"], 0.5)
    since_s = (k_top - state["last"]) / fs_hz if state["has_last"] else rr_s
    if since_s < _REFRACTORY_S:
        return n_beats
    beat = ranked(state["heights"], state["n_heights"], _BEAT_RANK)
    dicrotic_s = min(_DICROTIC_S, max(_DICROTIC_S_MIN, _DICROTIC_SHARE * rr_s))
    is_dicrotic = since_s < dicrotic_s
    least = threshold(state, since_s, rr_s, beat, dicrotic_s)
    if since_s < _REBOUND_RR * rr_s:
        least = max(least, _REBOUND * (fall - _REBOUND_FREE * beat))
    if state["n_intervals"] >= _N_INTERVALS_MIN and rise >= _ON_TIME_HEIGHT * beat:
        is_topped = is_topped and abs(math.log(since_s / rr_s)) >= _ON_TIME
    if rise < least or is_topped:
        if is_dicrotic:
            state["passed_early"] = max(state["passed_early"], rise)
        elif after > _ROOM_S:
            state["passed_late"] = max(state["passed_late"], rise)
        doubt = rise / least
        if not is_topped:
            state["spread"] = max(state["spread"], doubt)
        fade(state, k_top, fs_hz)
        return n_beats
    found = beats[n_beats]
    block = design["n_block"]
    centre = k_top - (design["n_smooth"] - 1) - 0.5 * design["n_lag"]
    found["i_upslope"] = state["i_start"] + centre * block + 0.5 * (block - 1)
    describe(state, design, k_top, found)
    ratio = least / rise
    found["certainty"] = 1.0 - 0.5 * ratio * ratio
    found["timing"] = timing(state, since_s)
    place = state["n_beats"] % N_BEATS
    state["beats"][place] = found
    state["doubts"][place] = state["spread"]
    state["spread"] = 0.0
    state["n_beats"] += 1
    place = state["n_between"] % N_LEVELS
    state["early"][place] = max(state["passed_early"], _FLOOR * beat)
    state["late"][place] = max(state["passed_late"], _FLOOR * beat)
    state["n_between"] += 1
    state["passed_early"] = state["passed_late"] = 0.0
    if since_s > _SILENCE_S:
        # The levels have sunk: they know nothing of what is to come.
        state["heights"][0] = _FIRST_SHARE * rise
        state["early"][0] = state["late"][0] = _FIRST_BETWEEN * _FIRST_SHARE * rise
        state["n_heights"] = state["n_between"] = 1
    typical = ranked(state["heights"], state["n_heights"], 0.5)
    state["heights"][state["n_heights"] % N_LEVELS] = min(rise, _HEIGHT_CAP * typical)
    state["n_heights"] += 1
    if state["has_last"] and since_s < _INTERVAL_S_MAX:
        state["intervals"][state["n_intervals"] % N_LEVELS] = since_s
        state["n_intervals"] += 1
    state["has_last"] = 1
    state["last"] = state["silent_from"] = state["faded_to"] = k_top
    state["last_height"] = rise
    return n_beats + 1


@kernel
def find_rises(state: np.void, design: np.void, beats: Record, n_beats: int) -> int:
    """Go on to the newest rise that is certain; decide on those that have waited enough."""
    reach = design["n_reach"]
    while state["k_rise"] + reach < state["k_next"]:
        k = state["k_rise"]
        state["k_rise"] = k + 1
        here = slope(state, design, k)
        if here > 0.0:
            is_top = True
            for j in range(1, reach + 1):
                if slope(state, design, k - j) >= here or slope(state, design, k + j) > here:
                    is_top = False
                    break
            if is_top and state["n_pending"] < N_PENDING:
                before, after = slope(state, design, k - 1), slope(state, design, k + 1)
                bend = before - 2.0 * here + after
                shift = 0.5 * (before - after) / bend if bend < 0.0 else 0.0
                lowest = 0.0
                for j in range(1, design["n_before"]):
                    lowest = min(lowest, slope(state, design, k - j))
                rise = state["pending"][state["n_pending"]]
                rise["k"] = k
                rise["k_top"] = k + shift
                rise["height"] = here - _DESCENT * lowest
                rise["fall"] = -lowest
                state["n_pending"] += 1
        while state["n_pending"] > 0 and state["pending"][0]["k"] + design["n_ahead"] <= k:
            n_beats = decide(state, design, beats, n_beats)
    return n_beats


@kernel
def take_low(state: np.void, design: np.void, value: float, beats: Record, n_beats: int) -> int:
    """Take the next low-rate sample."""
    k = state["k_next"]
    n = design["n_smooth"]
    state["means"][k & (N_SHORT - 1)] = value
    total = 0.0
    for j in range(n):
        total += state["means"][(k - j) & (N_SHORT - 1)]
    state["once"][k & (N_SHORT - 1)] = total / n
    total = 0.0
    for j in range(n):
        total += state["once"][(k - j) & (N_SHORT - 1)]
    state["smooth"][k & (N_LOW - 1)] = total / n
    state["k_next"] = k + 1
    watch_polarity(state, design, k)
    if not state["learned"]:
        if k + 1 < design["n_learn"]:
            return n_beats
        if k + 1 == design["n_learn"]:
            learn(state, design, k + 1)
    n_beats = find_rises(state, design, beats, n_beats)
    silent = k - state["silent_from"] - _RELEARN_S * design["fs_low_hz"]
    if silent >= 0.0 and int(silent) % design["n_learn"] == 0:
        learn(state, design, k + 1)
    return n_beats


@kernel
def take_samples(samples: Floats, design_record: Record, record: Record, beats: Record) -> int:
    """Take the next samples; write the beats that became certain, give their number."""
    state, design = record[0], design_record[0]
    n_beats = 0
    for value in samples:
        if not state["started"]:
            state["started"] = 1
            state["origin"] = state["newest"] = value
            state["i_run"] = state["i_next"]
        if value != state["newest"]:
            if state["i_next"] - state["i_run"] >= design["n_plateau"]:
                plateau = state["plateaus"][state["n_plateaus"] % N_PLATEAUS]
                plateau["i_first"] = state["i_run"]
                plateau["i_end"] = state["i_next"]
                plateau["value"] = state["newest"]
                state["n_plateaus"] += 1
            state["newest"] = value
            state["i_run"] = state["i_next"]
        state["i_next"] += 1
        state["block"] += value - state["origin"]
        state["n_in_block"] += 1
        if state["n_in_block"] == design["n_block"]:
            mean = state["block"] / design["n_block"]
            state["block"] = 0.0
            state["n_in_block"] = 0
            n_beats = take_low(state, design, mean, beats, n_beats)
    return n_beats
