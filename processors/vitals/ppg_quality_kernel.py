"""The loops of the pulse quality: which intervals can be believed, and what ten seconds are worth.

An interval is believed by a logistic function of its two pulses and of what lies between them. The
rate is that of the intervals that are believed: a movement costs the intervals that it spoils and
not the ten seconds around it, and a beat without a pulse does not halve the rate.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.dsp.pulse_waves_layout import N_BEATS, N_PLATEAUS

Floats = NDArray[np.float64]

N_TRAITS: Final = 9
WEAK, DOUBT, UNLIKE, LONG, SHORT, VERY_LONG, VERY_SHORT, UNEVEN, STEP = range(N_TRAITS)
"""What speaks against an interval: its weaker pulse, the strongest rise within it that was not
taken, the pulse less like the others; how much longer or shorter it is than the median one, and
than the scatter of the others explains; heights that are not the usual one, and feet that are not
level with each other."""
LENGTH, TRUST, N_COLUMNS = range(N_TRAITS, N_TRAITS + 3)
"""And behind the traits: samples, and the probability that it is one interval of the heart."""

N_FEATURES: Final = 8
MEAN_DOUBT, WORST, UNSTEADY, OVERDUE, SLOWER, LOST, MEAN_UNLIKE, LONGEST = range(N_FEATURES)
"""What speaks against a rate: doubt of the believed intervals on average and at worst, their
scatter, a pulse that is late, intervals longer than those before the window, the share of the
time in which no interval is believed, and, of all intervals, how unlike the pulses are on average,
and how much longer than the others the longest is."""
QUALITY, N_COUNT, N_TRUSTED, SPAN, FLAT_S, CLIPPED, PERFUSION, HALVED, N_OUT = range(
    N_FEATURES, N_FEATURES + 9
)
"""And behind the features: the verdict, number of pulses, number of believed intervals and their
samples, length of the flat line that lasts, share of the time at the top of the range, median of
height over level; where every second pulse may be missing, what the verdict would be otherwise."""

OF_INTERVAL: Final = (1.3, 2.0, 0.8, 4.5, 3.0, 3.1, 2.9, 0.8, 1.3)
OF_INTERVAL_OFFSET: Final = -5.8
OF_RATE: Final = (1.5, 2.6, 5.3, 0.7, 1.4, 1.2, 5.2, 2.4)
OF_RATE_OFFSET: Final = -5.5
"""Logistic regressions, no weight below zero, by `tests.benchmarks.calibrate_pulse_quality`: an
interval's on recordings alone, because a fit to invented movements also drops the weak pulses of an
irregular rhythm, which come after short intervals; that of the rate on recordings, the same in
movement, and movement alone. The fit of an interval had the rises between two beats in it that the
detector leaves out since: without these examples it would believe more of what a movement spoils.
"""

TRUST_MIN: Final = 0.75
"""An interval of twice the usual length, and perfect otherwise, is below."""
_N_TRUSTED_MIN: Final = 3
_SCATTERS: Final = 2.0
_INTERVAL_S_MAX: Final = 4.0
_N_BEFORE: Final = 32
_N_BEFORE_MIN: Final = 8
_CLEAR: Final = 0.8
"""Intervals before the window, between clear pulses, that the present ones are compared with: some
half a minute."""
_HALVED: Final = 0.53
"""Intervals that are 1.7 times those before: a heart does not halve its rate at once, but every
second pulse can go missing. What lasts longer than `_N_BEFORE` is shown (`pulse_deficit`)."""
_LOST_MAX: Final = 0.5
"""In a rhythm that is irregular throughout, the intervals that resemble each other are not the
mean: it takes most of the ten seconds."""
_QUALITY_MAX: Final = 0.5
"""Of a rate of which one of these is true."""
_TOP_SHARE: Final = 0.05
_LATE: Final = 1.2
_LOG_MAX: Final = 3.0
_OVERDUE_MAX: Final = 3.0


@kernel
def median(values: Floats, n: int) -> float:
    """Median of the first ``n`` values, of an even number the higher one; n >= 1."""
    ordered = np.sort(values[:n])
    return float(ordered[n // 2])


@kernel
def first_at(state: np.void, i_from: float) -> int:
    """Count the pulses before sample ``i_from``; those that are forgotten count as before."""
    n_all = state["n_beats"]
    j = n_all
    while j > max(0, n_all - N_BEATS) and state["beats"][(j - 1) % N_BEATS]["i_upslope"] >= i_from:
        j -= 1
    return int(j)


@kernel
def usual_height(state: np.void, first: int, stop: int) -> float:
    """Median height of some pulses."""
    heights = np.zeros(N_BEATS)
    for j in range(first, stop):
        heights[j - first] = state["beats"][j % N_BEATS]["height"]
    return median(heights, stop - first)


@kernel
def gather(state: np.void, first: int, stop: int, table: Floats) -> int:
    """Describe the intervals that end with the pulses ``first`` to ``stop``; give their number."""
    n = 0
    height = usual_height(state, max(0, first - 1), stop)
    for j in range(first, stop):
        before, beat = state["beats"][(j - 1) % N_BEATS], state["beats"][j % N_BEATS]
        row = table[n]
        row[LENGTH] = beat["i_upslope"] - before["i_upslope"]
        row[WEAK] = 1.0 - min(before["certainty"], beat["certainty"])
        row[DOUBT] = state["doubts"][j % N_BEATS]
        row[UNLIKE] = 1.0 - min(before["likeness"], beat["likeness"])
        low = min(before["height"], beat["height"])
        high = max(before["height"], beat["height"])
        row[UNEVEN] = row[STEP] = _LOG_MAX
        if height > 0.0 and low > 0.0:
            uneven = max(math.log(high / height), -math.log(low / height))
            row[UNEVEN] = min(_LOG_MAX, uneven)
        if height > 0.0:
            row[STEP] = min(_LOG_MAX, abs(beat["level"] - before["level"]) / height)
        n += 1
    return n


@kernel
def weigh(table: Floats, n: int) -> None:
    """Say how far each of ``n`` intervals can be believed among the others; n >= 1."""
    ratios = np.zeros(N_BEATS)
    typical = median(table[:, LENGTH], n)
    for j in range(n):
        ratios[j] = abs(math.log(table[j, LENGTH] / typical))
    scatter = _SCATTERS * median(ratios, n)
    for j in range(n):
        row = table[j]
        ratio = math.log(row[LENGTH] / typical)
        row[LONG], row[SHORT] = max(0.0, ratio), max(0.0, -ratio)
        row[VERY_LONG] = max(0.0, ratio - scatter)
        row[VERY_SHORT] = max(0.0, -ratio - scatter)
        score = OF_INTERVAL_OFFSET
        for k in range(N_TRAITS):
            score += OF_INTERVAL[k] * row[k]
        row[TRUST] = 1.0 / (1.0 + math.exp(score))


@kernel
def slower(state: np.void, first: int, typical: float) -> float:
    """Logarithm of the typical interval over that of those before pulse ``first``, if longer."""
    lengths = np.zeros(_N_BEFORE)
    n = 0
    oldest = max(0, state["n_beats"] - N_BEATS) + 1
    for j in range(max(oldest, first - _N_BEFORE), first):
        before, beat = state["beats"][(j - 1) % N_BEATS], state["beats"][j % N_BEATS]
        likeness = min(before["likeness"], beat["likeness"])
        if min(likeness, before["certainty"], beat["certainty"]) >= _CLEAR:
            lengths[n] = beat["i_upslope"] - before["i_upslope"]
            n += 1
    if n < _N_BEFORE_MIN:
        return 0.0
    return max(0.0, math.log(typical / median(lengths, n)))


@kernel
def sum_up(table: Floats, n: int, longest: float, out: Floats) -> float:
    """Add up the intervals that are believed; give the median of them, 0 if there are none."""
    lengths = np.zeros(N_BEATS)
    n_trusted, lost, doubt = 0, 0.0, 0.0
    for j in range(n):
        length = table[j, LENGTH]
        out[MEAN_UNLIKE] += table[j, UNLIKE] / n
        out[LONGEST] = max(out[LONGEST], table[j, LONG])
        if table[j, TRUST] < TRUST_MIN or length > longest:
            lost += length
            continue
        lengths[n_trusted] = length
        n_trusted += 1
        out[SPAN] += length
        doubt += 1.0 - table[j, TRUST]
        out[WORST] = max(out[WORST], 4.0 * (1.0 - table[j, TRUST]))
    out[N_TRUSTED] = n_trusted
    out[LOST] = lost
    if n_trusted == 0:
        return 0.0
    out[MEAN_DOUBT] = 4.0 * doubt / n_trusted
    typical = median(lengths, n_trusted)
    for j in range(n_trusted):
        out[UNSTEADY] += abs(math.log(lengths[j] / typical)) / n_trusted
    return typical


@kernel
def judge(
    state: np.void, first: int, i_end: int, n_window: int, typical: float, out: Floats
) -> None:
    """Give the probability that the rate is right; ``typical`` is the median interval believed."""
    last = state["beats"][(first + int(out[N_COUNT]) - 1) % N_BEATS]["i_upslope"]
    late = i_end - last
    out[LOST] += max(0, state["i_turned"] - (i_end - n_window))
    out[OVERDUE] = min(_OVERDUE_MAX, max(0.0, late / typical - 1.0))
    out[LOST] = min(1.0, (out[LOST] + max(0.0, late - _LATE * typical)) / n_window)
    out[SLOWER] = slower(state, first, typical)
    score = OF_RATE_OFFSET
    for k in range(N_FEATURES):
        score += OF_RATE[k] * out[k]
    out[QUALITY] = 1.0 / (1.0 + math.exp(score))
    if out[SLOWER] > _HALVED and out[LOST] <= _LOST_MAX:
        out[HALVED] = out[QUALITY]
    if out[SLOWER] > _HALVED or out[LOST] > _LOST_MAX:
        out[QUALITY] = min(_QUALITY_MAX, out[QUALITY])


@kernel
def look_at_range(state: np.void, first: int, i_end: int, n_window: int, out: Floats) -> None:
    """Find what rests at the top of the range, and the height of pulses over their level."""
    n = int(out[N_COUNT])
    perfusion = np.zeros(N_BEATS)
    top = -math.inf
    for j in range(n):
        beat = state["beats"][(first + j) % N_BEATS]
        level = abs(beat["level"])
        perfusion[j] = beat["height"] / level if level > 0.0 else 0.0
        top = max(top, state["polarity"] * beat["level"] + beat["height"])
    out[PERFUSION] = median(perfusion, n)
    top -= _TOP_SHARE * usual_height(state, first, first + n)
    clipped = 0.0
    for j in range(max(0, state["n_plateaus"] - N_PLATEAUS), state["n_plateaus"]):
        plateau = state["plateaus"][j % N_PLATEAUS]
        begin = max(plateau["i_first"], i_end - n_window)
        end = min(plateau["i_end"], i_end)
        if end > begin and state["polarity"] * plateau["value"] >= top:
            clipped += end - begin
    if state["polarity"] * state["newest"] >= top:
        clipped += max(0.0, i_end - max(state["i_run"], i_end - n_window))
    out[CLIPPED] = clipped / n_window


@kernel
def look_back(
    record: Record,
    i_first: int,
    i_end: int,
    n_window: int,
    fs_hz: float,
    table: Floats,
    out: Floats,
) -> int:
    """Describe the ``n_window`` samples before ``i_end``; ``record`` is the detector's.

    An interval that begins before ``i_first``, or before the detector has found that the other way
    is up, does not count. ``table`` takes the intervals, shape
    ``(N_BEATS, N_COLUMNS)``, ``out`` the rest, shape ``(N_OUT,)``. Give the number of intervals.
    """
    state = record[0]
    for j in range(N_OUT):
        out[j] = 0.0
    if state["i_run"] < i_end:
        out[FLAT_S] = (i_end - state["i_run"]) / fs_hz
    first, stop = first_at(state, i_end - n_window), first_at(state, i_end)
    out[N_COUNT] = stop - first
    if stop == first:
        return 0
    look_at_range(state, first, i_end, n_window, out)
    oldest = first_at(state, max(i_first, state["i_turned"])) + 1
    if oldest >= stop:
        return 0
    n = gather(state, max(first, oldest), stop, table)
    weigh(table, n)
    typical = sum_up(table, n, _INTERVAL_S_MAX * fs_hz, out)
    if out[N_TRUSTED] >= _N_TRUSTED_MIN:
        judge(state, first, i_end, n_window, typical, out)
    return n
