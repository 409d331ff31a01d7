"""Does an amplifier see a body? Sample by sample, where its rails are not known beforehand."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

GOOD, RAILED, FLAT = range(3)

LEAD: Final = np.dtype(
    [
        ("started", "i8"),
        ("last", "f8"),
        ("n_equal", "i8"),
        ("mean", "f8"),
        ("lowest", "f8"),
        ("highest", "f8"),
        ("has_floor", "i8"),
        ("has_ceiling", "i8"),
        ("flat_low", "f8"),
        ("flat_high", "f8"),
        ("n_flat", "i8"),
    ]
)
"""``lowest`` and ``highest`` of all samples; where one has become a rail, ``has_`` says so. The
last ``n_flat`` samples lie from ``flat_low`` to ``flat_high``, which is no more than a flat line
moves; both follow a slow drift."""

LEAD_DESIGN: Final = np.dtype(
    [
        ("n_equal_min", "i8"),
        ("rail_min", "f8"),
        ("forget", "f8"),
        ("n_flat_min", "i8"),
        ("flat_max", "f8"),
    ]
)


@kernel
def watch_lead(
    state: Record, design: Record, chunk: Floats, mains_free: Floats, leads: Ints
) -> None:
    """Set ``leads`` to what each sample is.

    An extreme of ``chunk`` becomes a rail when the signal rests on it for ``n_equal_min`` equal
    samples, at least ``rail_min`` from its mean. From then on each sample at it is at the rail; one
    beyond it proves that it was none. Flat is what moves no more than ``flat_max`` in
    ``mains_free``, from the ``n_flat_min``-th sample on.
    """
    me = state[0]
    how = design[0]
    n_equal_min, rail_min, forget = how["n_equal_min"], how["rail_min"], how["forget"]
    n_flat_min, flat_max = how["n_flat_min"], how["flat_max"]
    forget_flat = 1.0 / n_flat_min
    if me["started"] == 0 and chunk.shape[0] > 0:
        me["started"] = 1
        me["mean"] = chunk[0]
        me["lowest"] = chunk[0]
        me["highest"] = chunk[0]
        me["last"] = chunk[0]
    last, n_equal, mean = me["last"], me["n_equal"], me["mean"]
    lowest, highest = me["lowest"], me["highest"]
    has_floor, has_ceiling = me["has_floor"], me["has_ceiling"]
    flat_low, flat_high, n_flat = me["flat_low"], me["flat_high"], me["n_flat"]
    for i in range(chunk.shape[0]):
        x = chunk[i]
        n_equal = n_equal + 1 if x == last else 1
        last = x
        if x > highest:
            highest = x
            has_ceiling = 0
        if x < lowest:
            lowest = x
            has_floor = 0
        if n_equal >= n_equal_min and abs(x - mean) >= rail_min:
            if x == highest:
                has_ceiling = 1
            if x == lowest:
                has_floor = 1
        y = mains_free[i]
        flat_low = min(y, flat_low + forget_flat * (y - flat_low))
        flat_high = max(y, flat_high + forget_flat * (y - flat_high))
        n_flat += 1
        if n_flat == 1 or flat_high - flat_low > flat_max:
            flat_low, flat_high, n_flat = y, y, 1
        if (has_ceiling == 1 and x == highest) or (has_floor == 1 and x == lowest):
            leads[i] = RAILED
        else:
            leads[i] = FLAT if n_flat >= n_flat_min else GOOD
            mean += forget * (x - mean)
    me["last"], me["n_equal"], me["mean"] = last, n_equal, mean
    me["lowest"], me["highest"] = lowest, highest
    me["has_floor"], me["has_ceiling"] = has_floor, has_ceiling
    me["flat_low"], me["flat_high"], me["n_flat"] = flat_low, flat_high, n_flat
