"""Activity counts as ActiGraph's devices make them, sample by sample, for three axes."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]

N_TAPS = 8
THINNED, SMOOTHED, STRAIGHT = 0, 1, 2
COUNT_MIN = 4.0
COUNT_MAX = 128.0
N_PER_COUNT = 3
"""Filtered samples at 30 Hz that make one count at 10 Hz."""

COUNTS = np.dtype(
    [
        ("started", "i8"),
        ("n_pooled", "i8"),
        ("pool", "f8", (3,)),
        ("up_before", "f8", (3,)),
        ("smooth", "f8", (3,)),
        ("to_next", "i8"),
        ("memory", "f8", (3, N_TAPS)),
        ("n_held", "i8"),
        ("held", "f8", (3,)),
        ("counts", "f8", (3,)),
        ("n_counts", "i8"),
    ]
)
"""What ``follow_counts`` remembers; ``counts`` and ``n_counts`` are since the caller set them 0."""


@kernel
def follow_counts(
    state: Record,
    b: Floats,
    a: Floats,
    at_rest: Floats,
    chunk: Floats,
    i_begin: int,
    i_end: int,
    n_pool: int,
    up: int,
    down: int,
    between: int,
    scale: float,
) -> None:
    """Take the samples ``i_begin..i_end - 1`` of ``chunk`` (3, n) in g.

    Mean of ``n_pool`` samples; ``up`` times the rate, every ``down``-th of it: 30 Hz. What comes
    ``between`` is nothing (``up`` is 1), zeros and a one-pole low-pass behind them, or a straight
    line. Band-pass ``b``, ``a`` (8 of each), scaled;
    under ``COUNT_MIN`` nothing, over ``COUNT_MAX`` no more; the mean of three is a count.
    """
    me = state[0]
    pool = me["pool"]
    before = me["up_before"]
    smooth = me["smooth"]
    memory = me["memory"]
    held = me["held"]
    counts = me["counts"]
    gain = up * math.pi / (math.pi + 2.0 * up)
    pole = (math.pi - 2.0 * up) / (math.pi + 2.0 * up)
    for i in range(i_begin, i_end):
        for axis in range(3):
            pool[axis] += chunk[axis, i]
        me["n_pooled"] += 1
        if me["n_pooled"] < n_pool:
            continue
        me["n_pooled"] = 0
        for step in range(up):
            taken = me["to_next"] == 0
            me["to_next"] = down - 1 if taken else me["to_next"] - 1
            for axis in range(3):
                x = pool[axis] / n_pool
                if between == THINNED:
                    smooth[axis] = x
                elif between == SMOOTHED:
                    x = x if step == 0 else 0.0
                    smooth[axis] = gain * (x + before[axis]) - pole * smooth[axis]
                    before[axis] = x
                else:
                    last = before[axis] if me["started"] else x
                    smooth[axis] = last + (x - last) * (step + 1) / up
                    if step == up - 1:
                        before[axis] = x
                if not taken:
                    continue
                u = np.rint(smooth[axis] * 1000.0) / 1000.0
                if me["started"] == 0:
                    for k in range(N_TAPS):
                        memory[axis, k] = at_rest[k] * u
                y = b[0] * u + memory[axis, 0]
                for k in range(N_TAPS - 1):
                    memory[axis, k] = b[k + 1] * u - a[k + 1] * y + memory[axis, k + 1]
                memory[axis, N_TAPS - 1] = 0.0
                height = abs(y) * scale
                if height < COUNT_MIN:
                    height = 0.0
                held[axis] += math.floor(min(height, COUNT_MAX))
            if taken:
                me["started"] = 1
                me["n_held"] += 1
                if me["n_held"] == N_PER_COUNT:
                    me["n_held"] = 0
                    me["n_counts"] += 1
                    for axis in range(3):
                        counts[axis] += math.floor(held[axis] / N_PER_COUNT)
                        held[axis] = 0.0
        for axis in range(3):
            pool[axis] = 0.0
