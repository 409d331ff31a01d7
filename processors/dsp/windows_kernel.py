"""Sums, extremes and medians of the last samples, sample by sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import kernel

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]

N_SEEN, HEAD, TAIL = 0, 1, 2
"""Columns of ``counts``: samples seen; bounds of the queue of an extreme."""


@kernel
def moving_sums(ring: Floats, counts: Ints, total: Floats, chunk: Floats, sums: Floats) -> None:
    """Sum the last ``ring.size`` samples, or as many as there are.

    What leaves is subtracted, and each time the ring is full round it is added up anew, so that
    rounding does not pile up.
    """
    n = ring.shape[0]
    for i in range(chunk.shape[0]):
        at = counts[N_SEEN] % n
        total[0] += chunk[i] - (ring[at] if counts[N_SEEN] >= n else 0.0)
        ring[at] = chunk[i]
        counts[N_SEEN] += 1
        if at == n - 1:
            total[0] = 0.0
            for k in range(n):
                total[0] += ring[k]
        sums[i] = total[0]


@kernel
def moving_extremes(
    values: Floats, indices: Ints, counts: Ints, sign: float, chunk: Floats, extremes: Floats
) -> None:
    """Give the highest (``sign`` 1) or lowest (-1) of the last ``values.size`` samples.

    The queue holds only samples that may still become the extreme, each in a ring (Lemire, Nordic
    J Comput 13:328-339, 2006); a sample costs the same in any window.
    """
    n = values.shape[0]
    for i in range(chunk.shape[0]):
        x = sign * chunk[i]
        now = counts[N_SEEN]
        head, tail = counts[HEAD], counts[TAIL]
        if tail > head and indices[head % n] <= now - n:
            head += 1
        while tail > head and values[(tail - 1) % n] <= x:
            tail -= 1
        values[tail % n] = x
        indices[tail % n] = now
        tail += 1
        counts[HEAD], counts[TAIL] = head, tail
        counts[N_SEEN] = now + 1
        extremes[i] = sign * values[head % n]


@kernel
def moving_medians(
    ring: Floats, ordered: Floats, counts: Ints, chunk: Floats, medians: Floats
) -> None:
    """Give the median of the last ``ring.size`` samples, or of as many as there are.

    ``ordered`` holds the same samples in order; one leaves and one comes. Of an even number it is
    the mean of the middle two.
    """
    n = ring.shape[0]
    for i in range(chunk.shape[0]):
        x = chunk[i]
        at = counts[N_SEEN] % n
        held = min(counts[N_SEEN], n)
        if held == n:
            k = 0
            while ordered[k] != ring[at]:
                k += 1
            while k < n - 1:
                ordered[k] = ordered[k + 1]
                k += 1
            held -= 1
        k = held
        while k > 0 and ordered[k - 1] > x:
            ordered[k] = ordered[k - 1]
            k -= 1
        ordered[k] = x
        held += 1
        ring[at] = x
        counts[N_SEEN] += 1
        medians[i] = 0.5 * (ordered[(held - 1) // 2] + ordered[held // 2])
