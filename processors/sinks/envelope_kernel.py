"""Extremes and sums of a block's samples, second by second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import kernel

N_COLUMNS = 6
"""Second since 1970, first place in the block, samples, least, greatest, sum."""

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

    Returns
    -------
    Rows written.
    """
    i_row = -1
    end_ns = -1
    for i in range(i_first, i_end):
        t_ns = t0_ns + (i * numerator + remainder) // denominator
        if t_ns <= after_ns:
            continue
        count = np.int64(counts[i])
        if i_row < 0 or t_ns >= end_ns:
            i_row += 1
            second = t_ns // _NS_PER_S
            end_ns = (second + 1) * _NS_PER_S
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
    return i_row + 1
