"""Sample by sample: where gravity points, how much moves beside it, rails, impacts."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]

RAIL_G_MIN = 1.9
"""No accelerometer for people has a smaller range than 2 g; under it a repeated value is rest."""
N_RAIL_MIN = 3
"""Equal samples in a row at such a height; bodies do not do that."""

MOTION = np.dtype(
    [
        ("started", "i8"),
        ("n_seen", "i8"),
        ("gravity_memory", "f8", (3, 2)),
        ("gravity", "f8", (3,)),
        ("last", "f8", (3,)),
        ("n_equal", "i8", (3,)),
        ("sum_squares", "f8"),
        ("n_samples", "i8"),
        ("n_railed", "i8"),
        ("n_low", "i8"),
        ("low_g", "f8"),
        ("low_at", "i8"),
        ("impact_at", "i8"),
        ("impact_g", "f8"),
        ("impact_low_g", "f8"),
    ]
)
"""What ``follow_motion`` remembers; ``sum_squares``, ``n_samples`` and ``n_railed`` are since the
caller set them to 0, ``low_at`` and ``impact_at`` are 1 + the count of samples seen, 0 for none."""


@kernel
def follow_motion(
    state: Record,
    lowpass: Floats,
    chunk: Floats,
    i_begin: int,
    i_end: int,
    n_low_min: int,
    n_low_to_impact: int,
    free_fall_g: float,
    impact_g: float,
) -> None:
    """Take the samples ``i_begin..i_end - 1`` of ``chunk`` (3, n) in g.

    ``lowpass`` are the six coefficients of one second-order section. A free fall is
    ``n_low_min`` samples under ``free_fall_g``; an impact that follows one within
    ``n_low_to_impact`` samples is kept, the latest of them, and its highest sample.
    """
    me = state[0]
    memory = me["gravity_memory"]
    gravity = me["gravity"]
    last = me["last"]
    n_equal = me["n_equal"]
    b0, b1, b2, a1, a2 = lowpass[0], lowpass[1], lowpass[2], lowpass[4], lowpass[5]
    for i in range(i_begin, i_end):
        if me["started"] == 0:
            me["started"] = 1
            for axis in range(3):
                x = chunk[axis, i]
                # as though the first sample had always been there: b0 + b1 + b2 = 1 + a1 + a2
                memory[axis, 0] = x * (1.0 - b0)
                memory[axis, 1] = x * (b2 - a2)
                last[axis] = x
                n_equal[axis] = 0
        squares = 0.0
        aside = 0.0
        railed = 0
        highest = 0.0
        for axis in range(3):
            x = chunk[axis, i]
            y = b0 * x + memory[axis, 0]
            memory[axis, 0] = b1 * x - a1 * y + memory[axis, 1]
            memory[axis, 1] = b2 * x - a2 * y
            gravity[axis] = y
            squares += x * x
            aside += (x - y) * (x - y)
            height = abs(x)
            highest = max(highest, height)
            if x == last[axis] and height >= RAIL_G_MIN:
                n_equal[axis] += 1
            else:
                n_equal[axis] = 1
            last[axis] = x
            if height >= RAIL_G_MIN and n_equal[axis] >= N_RAIL_MIN:
                railed = 1
        me["n_seen"] += 1
        me["sum_squares"] += aside
        me["n_samples"] += 1
        me["n_railed"] += railed
        total = math.sqrt(squares)
        if total < free_fall_g:
            if me["n_low"] == 0:
                me["low_g"] = total
            me["n_low"] += 1
            me["low_g"] = min(me["low_g"], total)
            if me["n_low"] >= n_low_min:
                me["low_at"] = me["n_seen"]
        else:
            me["n_low"] = 0
        if total >= impact_g or highest >= 0.95 * impact_g:
            since = me["n_seen"] - me["low_at"]
            if me["low_at"] > 0 and since <= n_low_to_impact:
                if me["impact_at"] < me["low_at"]:
                    me["impact_g"] = 0.0
                me["impact_at"] = me["n_seen"]
                me["impact_g"] = max(me["impact_g"], total)
                me["impact_low_g"] = me["low_g"]
