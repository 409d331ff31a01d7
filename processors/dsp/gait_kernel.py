"""Gait in the magnitude of an acceleration: its band, and how regularly it repeats itself."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]

N_RING = 256
N_LAGS = 128
MOVING_SHARE = 0.5
"""Half the energy of two steps is where a walk begins and ends."""

GAIT = np.dtype(
    [
        ("started", "i8"),
        ("memory", "f8", (4, 2)),
        ("to_next", "i8"),
        ("ring", "f8", (N_RING,)),
        ("n_ring", "i8"),
        ("n_judged", "i8"),
        ("likeness", "f8", (N_LAGS,)),
        ("period", "f8"),
        ("regularity", "f8"),
        ("halfway", "f8"),
        ("rms", "f8"),
        ("energy", "f8", (N_RING,)),
        ("n_moving", "i8"),
    ]
)
"""What the two kernels remember. ``n_ring`` counts all samples that went into the ring."""


@kernel
def follow_gait(
    state: Record,
    sos: Floats,
    at_rest: Floats,
    chunk: Floats,
    i_begin: int,
    i_end: int,
    every: int,
) -> None:
    """Band-pass the magnitude of ``chunk`` (3, n), and keep each ``every``-th sample of it."""
    me = state[0]
    memory = me["memory"]
    ring = me["ring"]
    n_sections = sos.shape[0]
    for i in range(i_begin, i_end):
        x0, x1, x2 = chunk[0, i], chunk[1, i], chunk[2, i]
        x = math.sqrt(x0 * x0 + x1 * x1 + x2 * x2)
        if me["started"] == 0:
            me["started"] = 1
            for k in range(n_sections):
                memory[k, 0] = at_rest[k, 0] * x
                memory[k, 1] = at_rest[k, 1] * x
        for k in range(n_sections):
            y = sos[k, 0] * x + memory[k, 0]
            memory[k, 0] = sos[k, 1] * x - sos[k, 4] * y + memory[k, 1]
            memory[k, 1] = sos[k, 2] * x - sos[k, 5] * y
            x = y
        if me["to_next"] == 0:
            me["to_next"] = every
            ring[me["n_ring"] % N_RING] = x
            me["n_ring"] += 1
        me["to_next"] -= 1


@kernel
def judge_gait(
    state: Record,
    n_window: int,
    lag_min: int,
    lag_max: int,
    n_behind: int,
    n_near_max: int,
    kin: float,
) -> None:
    """Say how the last ``n_window`` samples repeat themselves, and how many of the middle move.

    ``likeness`` is the normalised square difference of McLeod and Wyvill (2005) at each lag;
    ``period`` the first lag at which it peaks to ``kin`` of its highest peak, in samples and
    between them, 0 for none; ``regularity`` the likeness two periods later, or as far as
    ``lag_max``: what sways by chance is alike once, not twice.
    ``halfway`` is the likeness half a period later. ``n_moving`` counts the samples
    since the last call and up to ``n_behind`` before the end, around which (one period on each
    side, at most ``n_near_max``) there is enough of the energy that there is at most.
    """
    me = state[0]
    ring = me["ring"]
    likeness = me["likeness"]
    energy = me["energy"]
    end = me["n_ring"]
    begin = end - n_window
    power = 0.0
    for i in range(begin, end):
        power += ring[i % N_RING] * ring[i % N_RING]
    me["rms"] = math.sqrt(power / n_window)
    for lag in range(lag_min - 1, lag_max + 2):
        product = 0.0
        squares = 0.0
        for i in range(begin, end - lag):
            x, y = ring[i % N_RING], ring[(i + lag) % N_RING]
            product += x * y
            squares += x * x + y * y
        likeness[lag] = 2.0 * product / squares if squares > 0.0 else 0.0
    highest = 0.0
    for lag in range(lag_min, lag_max + 1):
        if likeness[lag] > likeness[lag - 1] and likeness[lag] >= likeness[lag + 1]:
            highest = max(highest, likeness[lag])
    me["period"] = 0.0
    me["regularity"] = 0.0
    for lag in range(lag_min, lag_max + 1):
        before, here, after = likeness[lag - 1], likeness[lag], likeness[lag + 1]
        if highest > 0.0 and here > before and here >= after and here >= kin * highest:
            me["period"] = lag + 0.5 * (before - after) / (before - 2.0 * here + after)
            break
    if me["period"] > 0.0:
        lag = min(max(lag_min, round(2.0 * me["period"])), lag_max)
        me["regularity"] = max(likeness[lag - 1], likeness[lag], likeness[lag + 1])
        lag = max(lag_min, round(0.5 * me["period"]))
        me["halfway"] = max(likeness[lag - 1], likeness[lag], likeness[lag + 1])
    n_near = min(max(1, round(me["period"])), n_near_max)
    most = 0.0
    mean = 0.0
    for i in range(begin + n_near, end - n_near):
        near = 0.0
        for k in range(i - n_near, i + n_near + 1):
            near += ring[k % N_RING] * ring[k % N_RING]
        energy[i - begin] = near
        most = max(most, near)
        mean += near / (n_window - 2 * n_near)
    most = min(most, 2.0 * mean)  # a jolt is not what a walk is measured by
    n_moving = 0
    for i in range(max(me["n_judged"], begin + n_near), end - n_behind):
        if energy[i - begin] >= MOVING_SHARE * most:
            n_moving += 1
    me["n_judged"] = end - n_behind
    me["n_moving"] = n_moving
