"""Mains interference: is it there, and what is it now, sample by sample."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]

N_CANDIDATES_MAX: Final = 3
N_BINS: Final = 5
"""Of each candidate: itself, and four beside it that it does not reach."""
_N_ABREAST: Final = 16
"""Room for all bins, and as many as go through a processor side by side."""
GONE: Final = 2.0
"""A wave whose removal doubles the power of the steps from sample to sample is none any more."""
_TURNED_MAX: Final = 0.1
_USUAL_GROWTH: Final = 0.01

MAINS: Final = np.dtype(
    [
        ("n_seen", "i8"),
        ("level", "f8"),
        ("goertzel", "f8", (N_CANDIDATES_MAX, N_BINS, 2)),
        ("evidence", "f8", (N_CANDIDATES_MAX,)),
        ("n_misses", "i8"),
        ("tracked", "i8"),
        ("found", "i8"),
        ("turn", "f8"),
        ("turn_cosine", "f8"),
        ("turn_sine", "f8"),
        ("cosine", "f8"),
        ("sine", "f8"),
        ("in_phase", "f8"),
        ("quadrature", "f8"),
        ("before", "f8"),
        ("error_before", "f8"),
        ("cosine_before", "f8"),
        ("sine_before", "f8"),
        ("usual", "f8"),
        ("share", "f8"),
        ("n_tracked", "i8"),
        ("rough", "f8"),
        ("rough_cleaned", "f8"),
    ]
)
"""``tracked`` is 1 + the candidate whose wave is followed; ``found`` is 1 once it is sure. ``turn``
is the followed frequency in radians per sample, about the nominal one, and is added to the phase
sample by sample as the product of complex numbers; ``usual`` the mean size of the
differenced error; ``share`` how much of the wave is taken away, 0..1; ``rough`` the mean square of
the steps from sample to sample, of the signal and of the signal without the wave."""

MAINS_DESIGN: Final = np.dtype(
    [
        ("n_candidates", "i8"),
        ("nominal", "f8", (N_CANDIDATES_MAX,)),
        ("bins", "f8", (N_CANDIDATES_MAX, N_BINS)),
        ("line_min", "f8"),
        ("evidence_min", "f8"),
        ("n_misses_max", "i8"),
        ("gain", "f8", (N_CANDIDATES_MAX,)),
        ("pace_turn", "f8"),
        ("turn_room", "f8"),
        ("pace_share", "f8"),
        ("limit", "f8"),
        ("forget", "f8"),
        ("n_rough", "i8"),
    ]
)


@kernel
def _line(state: Record, design: Record, c: int) -> tuple[float, float]:
    """Power of a candidate in the window that ends here, and over the strongest beside it."""
    goertzel = state[0]["goertzel"]
    bins = design[0]["bins"]
    line = 0.0
    beside = 0.0
    for b in range(N_BINS):
        g0, g1 = goertzel[c, b, 0], goertzel[c, b, 1]
        power = g0 * g0 + g1 * g1 - bins[c, b] * g0 * g1
        if b == 0:
            line = power
        else:
            beside = max(beside, power)
    return line, line / beside if beside > 0.0 else 0.0


@kernel
def _track(state: Record, design: Record, c: int) -> None:
    """Begin to follow a candidate."""
    me = state[0]
    me["tracked"] = c + 1
    me["found"] = 0
    me["turn"] = design[0]["nominal"][c]
    me["cosine"] = 1.0
    me["sine"] = 0.0
    me["in_phase"] = 0.0
    me["quadrature"] = 0.0
    me["n_tracked"] = 0
    me["n_misses"] = 0
    me["share"] = 0.0


@kernel
def _look(state: Record, design: Record) -> None:
    """At the end of a window: what stands out is followed, what goes on doing so is found.

    The evidence of a line is minus the logarithm of the probability that noise, whose bins are
    alike, does the same: of one window 4! / ((1 + r) (2 + r) (3 + r) (4 + r)) for a line of r times
    the strongest of four neighbours; of windows in a row the product.
    """
    me = state[0]
    how = design[0]
    best = -1
    most = 0.0
    of_tracked = 0.0
    for c in range(how["n_candidates"]):
        line, ratio = _line(state, design, c)
        if ratio > how["line_min"]:
            product = (1.0 + ratio) * (2.0 + ratio) * (3.0 + ratio) * (4.0 + ratio)
            me["evidence"][c] += math.log(product / 24.0)
            if c + 1 == me["tracked"]:
                of_tracked = line
            if line > most:
                best, most = c, line
        else:
            me["evidence"][c] = 0.0
    tracked = me["tracked"]
    if tracked > 0 and of_tracked == 0.0:
        me["n_misses"] += 1
        if me["found"] == 0 or me["n_misses"] >= how["n_misses_max"]:
            me["tracked"] = 0
            me["found"] = 0
            me["share"] = 0.0
    else:
        me["n_misses"] = 0
    if best >= 0 and best + 1 != me["tracked"]:
        is_sure = me["evidence"][best] >= how["evidence_min"]
        if me["found"] == 0 or (is_sure and most > of_tracked):
            _track(state, design, best)
    if me["tracked"] > 0 and me["evidence"][me["tracked"] - 1] >= how["evidence_min"]:
        me["found"] = 1
    if me["tracked"] > 0:  # afresh, so that rounding does not pile up
        me["turn_cosine"] = math.cos(me["turn"])
        me["turn_sine"] = math.sin(me["turn"])
        size = math.hypot(me["cosine"], me["sine"])
        if size > 0.0:
            me["cosine"] /= size
            me["sine"] /= size


@kernel
def _weigh(state: Record, design: Record, window: Floats, chunk: Floats) -> None:
    """Take samples of one window into the bins."""
    me = state[0]
    goertzel = me["goertzel"]
    bins = design[0]["bins"]
    n_candidates = design[0]["n_candidates"]
    at = me["n_seen"] % window.shape[0]
    if at == 0:
        me["level"] = chunk[0]  # a large constant would leave its rounding in the bins
        goertzel[:] = 0.0
    level = me["level"]
    turns, newest, before = np.zeros(_N_ABREAST), np.zeros(_N_ABREAST), np.zeros(_N_ABREAST)
    for n in range(n_candidates * N_BINS):
        c, b = n // N_BINS, n % N_BINS
        turns[n] = bins[c, b]
        newest[n] = goertzel[c, b, 0]
        before[n] = goertzel[c, b, 1]
    for i in range(chunk.shape[0]):
        weighted = (chunk[i] - level) * window[at + i]
        for n in range(_N_ABREAST):
            before[n] = weighted + turns[n] * newest[n] - before[n]
        newest, before = before, newest
    for n in range(n_candidates * N_BINS):
        c, b = n // N_BINS, n % N_BINS
        goertzel[c, b, 0] = newest[n]
        goertzel[c, b, 1] = before[n]


@kernel
def _follow(state: Record, design: Record, chunk: Floats, cleaned: Floats) -> None:
    """Let the wave follow the mains, and take its share of it away."""
    me = state[0]
    how = design[0]
    n_rough = how["n_rough"]
    pace_rough = 1.0 / n_rough
    forget, limit = how["forget"], how["limit"]
    pace_turn, pace_share = how["pace_turn"], how["pace_share"]
    wanted = 1.0 * me["found"]
    c = me["tracked"] - 1
    gain = how["gain"][c]
    nominal = how["nominal"][c]
    turn_min, turn_max = nominal - how["turn_room"], nominal + how["turn_room"]
    turn, share = me["turn"], me["share"]
    turn_cosine, turn_sine = me["turn_cosine"], me["turn_sine"]
    cosine, sine = me["cosine"], me["sine"]
    in_phase, quadrature = me["in_phase"], me["quadrature"]
    before, error_before = me["before"], me["error_before"]
    cosine_before, sine_before = me["cosine_before"], me["sine_before"]
    usual, n_tracked = me["usual"], me["n_tracked"]
    rough, rough_cleaned = me["rough"], me["rough_cleaned"]
    for i in range(chunk.shape[0]):
        x = chunk[i]
        rough += ((x - before) * (x - before) - rough) * pace_rough
        before = x
        wave = in_phase * cosine + quadrature * sine
        error = x - wave
        if n_tracked == 0:
            usual = math.sqrt(rough)
            rough_cleaned = rough
        else:
            step = error - error_before
            rough_cleaned += (step * step - rough_cleaned) * pace_rough
            size = abs(step)
            if size > limit * usual:
                size = limit * usual
                step = math.copysign(size, step)
            # a limited size lets the usual one grow, if need be, a little each sample
            usual += forget * (size - usual) + _USUAL_GROWTH * forget * usual
            more_in_phase = gain * step * (cosine - cosine_before)
            more_quadrature = gain * step * (sine - sine_before)
            squares = in_phase * in_phase + quadrature * quadrature
            if squares > 0.0:
                turned = (quadrature * more_in_phase - in_phase * more_quadrature) / squares
                turned = max(-_TURNED_MAX, min(_TURNED_MAX, turned))
                more = max(turn_min, min(turn_max, turn + pace_turn * turned)) - turn
                turn += more
                turn_cosine, turn_sine = (
                    turn_cosine - more * turn_sine,
                    turn_sine + more * turn_cosine,
                )
            in_phase += more_in_phase
            quadrature += more_quadrature
        error_before = error
        cosine_before = cosine
        sine_before = sine
        n_tracked += 1
        cosine, sine = (
            cosine * turn_cosine - sine * turn_sine,
            sine * turn_cosine + cosine * turn_sine,
        )
        share += max(-pace_share, min(pace_share, wanted - share))
        cleaned[i] = x - share * wave
        if n_tracked > n_rough and rough_cleaned > GONE * rough:
            # What is subtracted is no longer there: start again, from nothing.
            cleaned[i] = x
            in_phase, quadrature = 0.0, 0.0
            n_tracked = 0
            share = 0.0
            wanted = 0.0
            me["found"] = 0
    me["turn"], me["share"] = turn, share
    me["turn_cosine"], me["turn_sine"] = turn_cosine, turn_sine
    me["cosine"], me["sine"] = cosine, sine
    me["in_phase"], me["quadrature"] = in_phase, quadrature
    me["before"], me["error_before"] = before, error_before
    me["cosine_before"], me["sine_before"] = cosine_before, sine_before
    me["usual"], me["n_tracked"] = usual, n_tracked
    me["rough"], me["rough_cleaned"] = rough, rough_cleaned


@kernel
def _pass_through(state: Record, design: Record, chunk: Floats, cleaned: Floats) -> None:
    """Leave samples as they are, where nothing is followed."""
    me = state[0]
    pace_rough = 1.0 / design[0]["n_rough"]
    before, rough = me["before"], me["rough"]
    for i in range(chunk.shape[0]):
        x = chunk[i]
        rough += ((x - before) * (x - before) - rough) * pace_rough
        before = x
        cleaned[i] = x
    me["before"], me["rough"] = before, rough
    me["n_tracked"] = 0


@kernel
def cancel_mains(
    state: Record, design: Record, window: Floats, chunk: Floats, cleaned: Floats
) -> None:
    """Take the mains out of ``chunk`` where there is any.

    While it is there a wave of its frequency follows it: amplitude and phase by the error that is
    left (``gain``), the frequency by how the phase turns (``pace_turn``, at most ``turn_room`` from
    the nominal). The error is differenced, so that baseline and slow waves are small in it, and
    limited to ``limit`` times its usual size: a QRS moves the wave no more than noise does, and
    leaves no ringing behind. A wave that has lost its mains is dropped at once.
    """
    me = state[0]
    n_window = window.shape[0]
    if me["n_seen"] == 0 and chunk.shape[0] > 0:
        me["before"] = chunk[0]
    first = 0
    while first < chunk.shape[0]:
        end = min(chunk.shape[0], first + n_window - me["n_seen"] % n_window)
        _weigh(state, design, window, chunk[first:end])
        if me["tracked"] > 0:
            _follow(state, design, chunk[first:end], cleaned[first:end])
        else:
            _pass_through(state, design, chunk[first:end], cleaned[first:end])
        me["n_seen"] += end - first
        first = end
        if me["n_seen"] % n_window == 0:
            _look(state, design)
