"""Mains interference: is it there, and what is it now, sample by sample."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]

N_CANDIDATES_MAX = 3
N_BINS = 5
"""Of each candidate: itself, and two on either side that it does not reach."""

MAINS = np.dtype(
    [
        ("n_seen", "i8"),
        ("level", "f8"),
        ("goertzel", "f8", (N_CANDIDATES_MAX, N_BINS, 2)),
        ("n_hits", "i8", (N_CANDIDATES_MAX,)),
        ("n_misses", "i8"),
        ("found", "i8"),
        ("nominal", "f8"),
        ("turn", "f8"),
        ("angle", "f8"),
        ("in_phase", "f8"),
        ("quadrature", "f8"),
        ("error_before", "f8"),
        ("cosine_before", "f8"),
        ("sine_before", "f8"),
        ("usual", "f8"),
        ("share", "f8"),
        ("n_tracked", "i8"),
    ]
)
"""``found`` is 1 + the candidate; ``turn`` the tracked frequency in radians per
sample, about ``nominal``; ``usual``
the mean size of the differenced error; ``share`` how much of the estimate is taken away, 0..1."""


@kernel
def cancel_mains(
    state: Record,
    bins: Floats,
    window: Floats,
    line_min: float,
    n_hits_min: int,
    n_misses_max: int,
    pace: float,
    pace_turn: float,
    turn_room: float,
    pace_share: float,
    limit: float,
    forget: float,
    chunk: Floats,
    cleaned: Floats,
) -> None:
    """Take the mains out of ``chunk`` where there is any.

    Over each ``window`` (Hann) the power at each candidate is compared with the largest of its
    four neighbours: ``n_hits_min`` windows in a row with ``line_min`` times as much find it,
    ``n_misses_max`` without it lose it.

    While it is found a wave of its frequency follows it: amplitude and phase by the error that is
    left (``pace``), the frequency by how the phase turns (``pace_turn``, at most ``turn_room`` from
    the nominal). The error is differenced, so that baseline and slow waves are small in it, and
    limited to ``limit`` times its usual size: a QRS moves the wave no more than noise does, and
    leaves no ringing behind.
    """
    me = state[0]
    goertzel = me["goertzel"]
    n_hits = me["n_hits"]
    n_window = window.shape[0]
    n_candidates = bins.shape[0]
    for i in range(chunk.shape[0]):
        x = chunk[i]
        at = me["n_seen"] % n_window
        if at == 0:
            me["level"] = x  # a large constant would leave its rounding in the bins
            for c in range(n_candidates):
                for b in range(N_BINS):
                    goertzel[c, b, 0] = 0.0
                    goertzel[c, b, 1] = 0.0
        weighted = (x - me["level"]) * window[at]
        for c in range(n_candidates):
            for b in range(N_BINS):
                newest = weighted + bins[c, b] * goertzel[c, b, 0] - goertzel[c, b, 1]
                goertzel[c, b, 1] = goertzel[c, b, 0]
                goertzel[c, b, 0] = newest
        me["n_seen"] += 1
        if at == n_window - 1:
            best = -1
            most = 0.0
            for c in range(n_candidates):
                line = 0.0
                beside = 0.0
                for b in range(N_BINS):
                    g0, g1 = goertzel[c, b, 0], goertzel[c, b, 1]
                    power = g0 * g0 + g1 * g1 - bins[c, b] * g0 * g1
                    if b == 0:
                        line = power
                    else:
                        beside = max(beside, power)
                n_hits[c] = n_hits[c] + 1 if line > line_min * beside else 0
                if n_hits[c] >= n_hits_min and line > most:
                    best, most = c, line
            if me["found"] > 0 and n_hits[me["found"] - 1] == 0:
                me["n_misses"] += 1
                if me["n_misses"] >= n_misses_max:
                    me["found"] = 0
            else:
                me["n_misses"] = 0
            if me["found"] == 0 and best >= 0:
                if me["share"] == 0.0:
                    me["nominal"] = math.acos(0.5 * bins[best, 0])
                    me["turn"] = me["nominal"]
                    me["in_phase"] = 0.0
                    me["quadrature"] = 0.0
                    me["n_tracked"] = 0
                    me["usual"] = 0.0
                me["found"] = best + 1
                me["n_misses"] = 0
        if me["found"] == 0 and me["share"] == 0.0:
            cleaned[i] = x
            me["n_tracked"] = 0
            continue
        cosine, sine = math.cos(me["angle"]), math.sin(me["angle"])
        wave = me["in_phase"] * cosine + me["quadrature"] * sine
        error = x - wave
        if me["n_tracked"] > 0:
            step = error - me["error_before"]
            size = abs(step)
            if me["n_tracked"] == 1:
                me["usual"] = size
            elif size > limit * me["usual"]:
                size = limit * me["usual"]
                step = math.copysign(size, step)
            # a limited size lets the usual one grow, if need be, a little each sample
            me["usual"] += forget * (size - me["usual"]) + 0.01 * forget * me["usual"]
            by_cosine = cosine - me["cosine_before"]
            by_sine = sine - me["sine_before"]
            gain = pace / (2.0 - 2.0 * math.cos(me["turn"]))
            more_in_phase = gain * step * by_cosine
            more_quadrature = gain * step * by_sine
            squares = me["in_phase"] ** 2 + me["quadrature"] ** 2
            if squares > 0.0:
                turned = (
                    me["quadrature"] * more_in_phase - me["in_phase"] * more_quadrature
                ) / squares
                turn = me["turn"] + pace_turn * max(-0.1, min(0.1, turned))
                me["turn"] = max(me["nominal"] - turn_room, min(me["nominal"] + turn_room, turn))
            me["in_phase"] += more_in_phase
            me["quadrature"] += more_quadrature
        me["error_before"] = error
        me["cosine_before"] = cosine
        me["sine_before"] = sine
        me["n_tracked"] += 1
        me["angle"] += me["turn"]
        if me["angle"] > math.pi:
            me["angle"] -= 2.0 * math.pi
        wanted = 1.0 if me["found"] > 0 else 0.0
        change = max(-pace_share, min(pace_share, wanted - me["share"]))
        me["share"] += change
        cleaned[i] = x - me["share"] * wave
