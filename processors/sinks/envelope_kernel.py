"""Extremes and sums of a block's samples, second by second and each 40 ms, in one pass."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import kernel

N_COLUMNS = 6
"""Second since 1970, first place in the block, samples, least, greatest, sum."""

N_SLOTS = 25
"""Parts of a second."""

SLOT_NS = 40_000_000

N_SLOT_COLUMNS = 3
"""Samples, least, greatest; all 0 where there is no sample."""

_NS_PER_S = 1_000_000_000


@kernel
def measure_seconds(
    counts: NDArray[np.int32],
    i_first: int,
    i_end: int,
    t0_ns: int,
    numerator: int,
    denominator: int,
    remainder: int,
    after_ns: int,
    out: NDArray[np.int64],
    slots: NDArray[np.int64],
) -> int:
    """Measure the samples later than ``after_ns``, one row for each second that has any.

    Parameters
    ----------
    i_first, i_end
        Places in ``counts``: the samples that are looked at.
    t0_ns, numerator, denominator, remainder
        The time of sample ``i`` is ``t0_ns + (i * numerator + remainder) // denominator``.
    out
        Shape ``(n_seconds_max, N_COLUMNS)``.
    slots
        Shape ``(n_seconds_max, N_SLOTS, N_SLOT_COLUMNS)``, all 0: the parts of each second. With a
        first axis of 0 they are not measured.

    Returns
    -------
    Rows written.
    """
    has_slots = slots.shape[0] > 0
    i_row = -1
    begin_ns = end_ns = slot_end_ns = -1
    slot = 0
    for i in range(i_first, i_end):
        t_ns = t0_ns + (i * numerator + remainder) // denominator
        if t_ns <= after_ns:
            continue
        count = np.int64(counts[i])
        if i_row < 0 or t_ns >= end_ns:
            i_row += 1
            second = t_ns // _NS_PER_S
            begin_ns = second * _NS_PER_S
            end_ns = begin_ns + _NS_PER_S
            slot_end_ns = begin_ns
            out[i_row, 0] = second
            out[i_row, 1] = i
            out[i_row, 2] = 1
            out[i_row, 3] = count
            out[i_row, 4] = count
            out[i_row, 5] = count
        else:
            out[i_row, 2] += 1
            out[i_row, 3] = min(out[i_row, 3], count)
            out[i_row, 4] = max(out[i_row, 4], count)
            out[i_row, 5] += count
        if not has_slots:
            continue
        if t_ns >= slot_end_ns:
            slot = (t_ns - begin_ns) // SLOT_NS
            slot_end_ns = begin_ns + (slot + 1) * SLOT_NS
            slots[i_row, slot, 0] = 1
            slots[i_row, slot, 1] = count
            slots[i_row, slot, 2] = count
        else:
            slots[i_row, slot, 0] += 1
            slots[i_row, slot, 1] = min(slots[i_row, slot, 1], count)
            slots[i_row, slot, 2] = max(slots[i_row, slot, 2], count)
    return i_row + 1


@kernel
def merge_slots(into: NDArray[np.int64], more: NDArray[np.int64]) -> None:
    """Add the parts of a second to those that are there, both ``(N_SLOTS, N_SLOT_COLUMNS)``."""
    for slot in range(N_SLOTS):
        if more[slot, 0] == 0:
            continue
        if into[slot, 0] == 0:
            into[slot, 1] = more[slot, 1]
            into[slot, 2] = more[slot, 2]
        else:
            into[slot, 1] = min(into[slot, 1], more[slot, 1])
            into[slot, 2] = max(into[slot, 2], more[slot, 2])
        into[slot, 0] += more[slot, 0]
