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
)
from processors.dsp.pulse_waves_levels_kernel import (
    FIRST_BETWEEN,
    FIRST_SHARE,
    HEIGHT_CAP,
    SILENCE_S,
    fade,
    learn,
    ranked,
    slope,
    threshold,
    watch_polarity,
)
from processors.dsp.pulse_waves_rhythm_kernel import N_INTERVALS_MIN, ON_TIME, is_between, timing
from processors.dsp.pulse_waves_shape_kernel import describe

Floats = NDArray[np.float64]

_DESCENT: Final = 0.2
"""Share of the descent before a rise that counts to its height: a pulse that comes early rides on
the falling limb of the one before."""
_BEAT_RANK: Final = 0.25
"""A low rank of the recent heights: weak pulses count."""
_FLOOR: Final = 0.01
_REFRACTORY_S: Final = 0.25
_DICROTIC_S: Final = 0.42
_DICROTIC_S_MIN: Final = 0.33
_DICROTIC_SHARE: Final = 0.7
"""The dicrotic wave follows the systolic one within 0.42 s, sooner where the heart is fast."""
_REBOUND: Final = 1.0
_REBOUND_FREE: Final = 0.7
_REBOUND_RR: Final = 0.75
"""Blood leaves the finger more slowly than it comes. A fall may be as steep as seven tenths of the
usual rise; what rises soon after a steeper one, by no more than the excess, swings back from a
movement. Before three quarters of the usual interval only, because a sensor that sets its level
anew falls as steeply between beats."""
_ON_TIME_HEIGHT: Final = 0.5
"""A rise that comes when the next beat is due and is half as high as the usual one is that beat,
whatever follows it."""
_SUPPRESS: Final = 1.4
"""Who is steeper by this factor and follows soon is the beat."""
_ROOM_S: Final = 0.3
_RR_S_UNKNOWN: Final = 1.0
_INTERVAL_S_MAX: Final = 2.0
_RELEARN_S: Final = 8.0


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
        if later < design["n_topped"] and pending[j]["height"] > _SUPPRESS * rise:
            is_topped = True
    for j in range(1, n):
        pending[j - 1] = pending[j]
    state["n_pending"] = n - 1
    if not state["learned"]:
        state["heights"][0] = FIRST_SHARE * rise
        state["early"][0] = state["late"][0] = FIRST_BETWEEN * FIRST_SHARE * rise
        state["n_heights"] = state["n_between"] = 1
        state["learned"] = 1
    rr_s = _RR_S_UNKNOWN
    if state["n_intervals"] >= N_INTERVALS_MIN:
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
    if state["n_intervals"] >= N_INTERVALS_MIN and rise >= _ON_TIME_HEIGHT * beat:
        is_topped = is_topped and abs(math.log(since_s / rr_s)) >= ON_TIME
    is_left_out = rise >= least and not is_topped
    is_left_out = is_left_out and is_between(state, design, k_top, rise, since_s, rr_s, beat)
    if rise < least or is_topped or is_left_out:
        if is_dicrotic:
            state["passed_early"] = max(state["passed_early"], rise)
        elif after > _ROOM_S:
            state["passed_late"] = max(state["passed_late"], rise)
        doubt = min(1.0, rise / least)
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
    if since_s > SILENCE_S:
        # The levels have sunk: they know nothing of what is to come.
        state["heights"][0] = FIRST_SHARE * rise
        state["early"][0] = state["late"][0] = FIRST_BETWEEN * FIRST_SHARE * rise
        state["n_heights"] = state["n_between"] = 1
    typical = ranked(state["heights"], state["n_heights"], 0.5)
    state["heights"][state["n_heights"] % N_LEVELS] = min(rise, HEIGHT_CAP * typical)
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
