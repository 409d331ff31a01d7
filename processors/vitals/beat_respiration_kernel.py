"""What breathing does to heart beats: spectra of six modulations, and the rate they agree on."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]

N_BEATS = 160
"""Of one source: 32 s at 240 per minute, and some that are early."""
N_KINDS = 3
N_MODULATIONS = 6
"""Interval, height and level of ECG beats, then of pulse waves."""
N_GRID = 128
GRID_S = 0.25
WINDOW_S = 32.0
RATE_MIN = 6.0
RATE_STEP = 0.5
N_RATES = 69
RATE_CENTRE = 17.0
OVERTONE = 12
"""The step of twice the lowest rate."""

BEATS_DTYPE = np.dtype(
    [
        ("t_ns", "i8", (N_BEATS,)),
        ("values", "f8", (N_BEATS, N_KINDS)),
        ("usable", "i8", (N_BEATS, N_KINDS)),
        ("n_beats", "i8"),
        ("after_ectopic", "i8"),
    ]
)
STATE_DTYPE = np.dtype([("beats", BEATS_DTYPE, (2,)), ("posterior", "f8", (N_RATES,))])
"""``beats``: of the ECG, of the pulse wave, each a ring; ``posterior``: how likely each rate is."""

INTERVAL_TOLERANCE = 0.25
"""Of the median: breathing changes an interval by less, an early beat by more."""
N_VALUES_MIN = 10
REACH_S = 4.0
"""So much of either end of the window may be without a beat."""
LIMIT_MADS = 3.0
MAD_TO_SD = 1.4826
FLOOR = 3e-3
"""Power that any rate may have by chance; the mean of a spectrum over its rates is 0.014."""
TILT_CENTRE = 15.0
PRIOR_SPREAD = 0.7
"""Of the logarithm: half as likely at 7 and at 39 breaths per minute."""
EVIDENCE_SHARE = 0.15
"""Windows of 32 s every 2 s say mostly the same: each counts for so much of one that is new."""
DRIFT = 0.5
"""Breaths per minute by which the rate wanders between two updates, as a standard deviation."""
LEAP = 0.005
"""That it becomes another one altogether."""
NEAR = 6
"""Steps to either side that still are the same rate: 3 breaths per minute."""
QUALITY_SLOPE = 1.2
QUALITY_CONSTANT = -0.8
"""From the log odds of the posterior to those of being within 2 per minute of what two annotators
counted, bidmc, ECG and pulse wave together and each alone; the constant takes the odds of an error
twice as high as fitted, because the people there lie still."""
PROBABILITY_MIN = 1e-9

_AWAY = np.array(
    [math.log((RATE_MIN + r * RATE_STEP) / RATE_CENTRE) / PRIOR_SPREAD for r in range(N_RATES)]
)
"""Of each rate, from the usual one, in spreads of its logarithm."""
_BELL = np.array([math.exp(-0.5 * (n * RATE_STEP / DRIFT) ** 2) for n in range(NEAR + 1)])
_BELL_SUM = np.array(
    [
        sum(_BELL[abs(other - r)] for other in range(max(0, r - NEAR), min(N_RATES, r + NEAR + 1)))
        for r in range(N_RATES)
    ]
)
"""How far a rate wanders: by steps to either side, and of all that a rate can wander to."""


@kernel
def keep_beat(
    state: Record, source: int, t_ns: int, interval_s: float, height: float, level: float, bad: int
) -> None:
    """Put a beat into its ring; ``bad``: it began in a ventricle, or nobody is sure of it."""
    me = state[0]["beats"][source]
    k = me["n_beats"] % N_BEATS
    me["t_ns"][k] = t_ns
    me["values"][k, 0] = interval_s
    me["values"][k, 1] = height
    me["values"][k, 2] = level
    fit = 0 if bad == 1 or me["after_ectopic"] == 1 else 1
    me["usable"][k, 0] = fit if interval_s > 0.0 else 0
    me["usable"][k, 1] = fit
    me["usable"][k, 2] = fit
    me["after_ectopic"] = bad
    me["n_beats"] += 1


@kernel
def _middle(values: Floats, n: int) -> float:
    ordered = np.sort(values[:n])
    return float(ordered[n // 2])


@kernel
def _modulation(
    state: Record, source: int, kind: int, t_ns: int, usual_s: float, series: Floats
) -> int:
    """Lay one modulation on the even grid up to ``t_ns``, limited and without trend.

    Returns 1, or 0 where there are too few beats or they do not change.
    """
    me = state[0]["beats"][source]
    times = np.empty(N_BEATS)
    values = np.empty(N_BEATS)
    n = 0
    n_kept = min(me["n_beats"], N_BEATS)
    for j in range(me["n_beats"] - n_kept, me["n_beats"]):
        k = j % N_BEATS
        age_s = (t_ns - me["t_ns"][k]) * 1e-9
        if age_s < 0.0 or age_s > WINDOW_S + 2.0 or me["usable"][k, kind] == 0:
            continue
        own = me["values"][k, 0]
        if own > 0.0 and abs(own - usual_s) > INTERVAL_TOLERANCE * usual_s:
            continue
        times[n] = -age_s
        values[n] = me["values"][k, kind]
        n += 1
    if n < N_VALUES_MIN or times[0] > REACH_S - WINDOW_S or times[n - 1] < -REACH_S:
        return 0
    middle = _middle(values, n)
    distances = np.empty(n)
    for j in range(n):
        distances[j] = abs(values[j] - middle)
    limit = LIMIT_MADS * MAD_TO_SD * _middle(distances, n)
    if limit <= 0.0:
        return 0
    for j in range(n):
        values[j] = min(max(values[j] - middle, -limit), limit) / limit
    j = 0
    mean = 0.0
    slope = 0.0
    weight = 0.0
    for k in range(N_GRID):
        at = (k + 1) * GRID_S - WINDOW_S
        while j + 1 < n and times[j + 1] < at:
            j += 1
        if at <= times[0]:
            y = values[0]
        elif j + 1 >= n:
            y = values[n - 1]
        else:
            share = (at - times[j]) / (times[j + 1] - times[j])
            y = values[j] + share * (values[j + 1] - values[j])
        series[k] = y
        mean += y
        place = k - (N_GRID - 1) / 2
        slope += y * place
        weight += place * place
    mean /= N_GRID
    slope /= weight
    for k in range(N_GRID):
        series[k] -= mean + slope * (k - (N_GRID - 1) / 2)
    return 1


@kernel
def _usual_interval(state: Record, source: int, t_ns: int) -> float:
    me = state[0]["beats"][source]
    intervals = np.empty(N_BEATS)
    n = 0
    n_kept = min(me["n_beats"], N_BEATS)
    for j in range(me["n_beats"] - n_kept, me["n_beats"]):
        k = j % N_BEATS
        age_s = (t_ns - me["t_ns"][k]) * 1e-9
        if 0.0 <= age_s <= WINDOW_S and me["values"][k, 0] > 0.0:
            intervals[n] = me["values"][k, 0]
            n += 1
    return _middle(intervals, n) if n >= N_VALUES_MIN else 0.0


@kernel
def _spectrum(
    cosines: Floats, sines: Floats, series: Floats, rate_max: float, power: Floats
) -> None:
    """Power at each rate, whitened and as shares of one; nothing above ``rate_max``."""
    real = np.zeros(N_RATES)
    imaginary = np.zeros(N_RATES)
    # Four points at a time, added one after the other: sums are fetched and put back less often.
    for k in range(0, N_GRID, 4):
        y_0, y_1, y_2, y_3 = series[k], series[k + 1], series[k + 2], series[k + 3]
        for r in range(N_RATES):
            so_far = real[r] + cosines[k, r] * y_0 + cosines[k + 1, r] * y_1
            real[r] = so_far + cosines[k + 2, r] * y_2 + cosines[k + 3, r] * y_3
        for r in range(N_RATES):
            so_far = imaginary[r] + sines[k, r] * y_0 + sines[k + 1, r] * y_1
            imaginary[r] = so_far + sines[k + 2, r] * y_2 + sines[k + 3, r] * y_3
    total = 0.0
    for r in range(N_RATES):
        rate = RATE_MIN + r * RATE_STEP
        power[r] = 0.0
        if rate <= rate_max:
            # Slow changes that are not breathing have a spectrum that falls with the frequency.
            power[r] = (real[r] * real[r] + imaginary[r] * imaginary[r]) * (rate / TILT_CENTRE)
        total += power[r]
    for r in range(N_RATES):
        power[r] = power[r] / total if total > 0.0 else 1.0 / N_RATES


@kernel
def _add_overtones(power: Floats) -> None:
    """Let a rate that has power speak for itself with what its overtone has, up to as much again.

    A pulse wave often swings twice in a breath. Where it does not, there is little power at half of
    its rate.
    """
    for r in range(N_RATES):
        overtone = 2 * r + OVERTONE
        highest = 0.0
        for other in range(overtone - 1, min(overtone + 2, N_RATES)):
            highest = max(highest, power[other])  # not yet changed: overtones lie above
        power[r] += min(power[r], highest)


@kernel
def _drifted(posterior: Floats) -> Floats:
    """Let the rate wander, and rarely leap."""
    wandered = np.zeros(N_RATES)
    for r in range(N_RATES):
        for other in range(max(0, r - NEAR), min(N_RATES, r + NEAR + 1)):
            wandered[other] += posterior[r] * _BELL[abs(other - r)] / _BELL_SUM[r]
    for r in range(N_RATES):
        wandered[r] = (1.0 - LEAP) * wandered[r] + LEAP / N_RATES
    return wandered


@kernel
def _quality(near: float) -> float:
    """Probability to be right: windows overlap, so that the posterior near it is too sure."""
    odds = math.log(max(near, PROBABILITY_MIN) / max(1.0 - near, PROBABILITY_MIN))
    return 1.0 / (1.0 + math.exp(-(QUALITY_SLOPE * odds + QUALITY_CONSTANT)))


@kernel
def update_rate(state: Record, t_ns: int, cosines: Floats, sines: Floats, said: Floats) -> int:
    """Weigh the window that ends at ``t_ns``; returns how many modulations it has.

    ``said``: the rate, its quality, and for each modulation 1 where its own peak is within 3/min
    of it.
    """
    powers = np.zeros((N_MODULATIONS, N_RATES))
    weights = np.zeros(N_MODULATIONS)
    peaks = np.zeros(N_MODULATIONS, dtype=np.int64)
    series = np.empty(N_GRID)
    n = 0
    n_of_ecg = 0
    for source in range(2):
        usual_s = _usual_interval(state, source, t_ns)
        if usual_s <= 0.0:
            continue
        for kind in range(N_KINDS):
            if _modulation(state, source, kind, t_ns, usual_s, series) == 0:
                continue
            m = source * N_KINDS + kind
            # A beat is a sample: of what is faster than half their rate they show a false image.
            _spectrum(cosines, sines, series, 30.0 / usual_s, powers[m])
            if source == 1 and n_of_ecg == 0:
                _add_overtones(powers[m])
            for r in range(N_RATES):
                if powers[m, r] > powers[m, peaks[m]]:
                    peaks[m] = r
            weights[m] = powers[m, peaks[m]] * powers[m, peaks[m]]
            n += 1
        n_of_ecg = n if source == 0 else n_of_ecg
    posterior = state[0]["posterior"]
    is_empty = posterior[0] + posterior[N_RATES - 1] <= 0.0
    if n == 0 and is_empty:
        return 0
    share = EVIDENCE_SHARE
    if is_empty:
        for r in range(N_RATES):
            posterior[r] = 1.0 / N_RATES
        share = 1.0  # the first window is new as a whole
    wandered = _drifted(posterior)
    if n > 0:
        weight = 0.0
        for m in range(N_MODULATIONS):
            weight += weights[m]
        best = -1e300
        evidence = np.empty(N_RATES)
        for r in range(N_RATES):
            together, strongest = 0.0, 0.0
            for m in range(N_MODULATIONS):
                if weights[m] > 0.0:
                    together += math.log(powers[m, r] + FLOOR) / n
                    strongest += weights[m] * powers[m, r] / weight
            away = 0.5 * _AWAY[r] * _AWAY[r]
            evidence[r] = 0.5 * (together + math.log(strongest + FLOOR)) - away
            best = max(best, evidence[r])
        for r in range(N_RATES):
            wandered[r] *= math.exp(share * (evidence[r] - best))
    total = 0.0
    top = 0
    for r in range(N_RATES):
        total += wandered[r]
        if wandered[r] > wandered[top]:
            top = r
    near, centre = 0.0, 0.0
    for r in range(N_RATES):
        posterior[r] = wandered[r] / total
        if abs(r - top) <= NEAR:
            near += posterior[r]
            centre += posterior[r] * (RATE_MIN + r * RATE_STEP)
    said[0] = centre / near
    said[1] = _quality(near)
    for m in range(N_MODULATIONS):
        agrees = weights[m] > 0.0 and abs(peaks[m] - top) <= NEAR
        said[2 + m] = 1.0 if agrees else 0.0
    return n
