"""Is an amplifier at its rail? Sample by sample, where the rails are not known beforehand."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

RAILS = np.dtype(
    [
        ("started", "i8"),
        ("last", "f8"),
        ("n_equal", "i8"),
        ("mean", "f8"),
        ("lowest", "f8"),
        ("highest", "f8"),
        ("has_floor", "i8"),
        ("has_ceiling", "i8"),
    ]
)
"""``lowest`` and ``highest`` of all samples; where one has become a rail, ``has_`` says so."""


@kernel
def watch_rails(
    state: Record, n_equal_min: int, rail_min: float, forget: float, chunk: Floats, railed: Ints
) -> None:
    """Set ``railed`` to 1 where ``chunk`` is at a rail.

    An extreme becomes a rail when the signal rests on it for ``n_equal_min`` equal samples, at
    least ``rail_min`` from its mean. From then on each sample at it is at the rail; one beyond it
    proves that it was none.
    """
    me = state[0]
    for i in range(chunk.shape[0]):
        x = chunk[i]
        if me["started"] == 0:
            me["started"] = 1
            me["mean"] = x
            me["lowest"] = x
            me["highest"] = x
            me["last"] = x
            me["n_equal"] = 0
        me["n_equal"] = me["n_equal"] + 1 if x == me["last"] else 1
        me["last"] = x
        if x > me["highest"]:
            me["highest"] = x
            me["has_ceiling"] = 0
        if x < me["lowest"]:
            me["lowest"] = x
            me["has_floor"] = 0
        rests = me["n_equal"] >= n_equal_min and abs(x - me["mean"]) >= rail_min
        if rests and x == me["highest"]:
            me["has_ceiling"] = 1
        if rests and x == me["lowest"]:
            me["has_floor"] = 1
        at_ceiling = me["has_ceiling"] == 1 and x == me["highest"]
        at_floor = me["has_floor"] == 1 and x == me["lowest"]
        railed[i] = 1 if at_ceiling or at_floor else 0
        if railed[i] == 0 and not math.isinf(x):
            me["mean"] += forget * (x - me["mean"])
