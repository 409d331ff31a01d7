"""Recursive and finite filters, sample by sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import kernel

Floats = NDArray[np.float64]


@kernel
def filter_sections(sos: Floats, memory: Floats, chunk: Floats, filtered: Floats) -> None:
    """Pass ``chunk`` through second-order sections in transposed direct form II.

    ``memory`` (n_sections, 2) is what they remember; the order of operations is that of
    ``scipy.signal.sosfilt``.
    """
    for i in range(chunk.shape[0]):
        x = chunk[i]
        for k in range(sos.shape[0]):
            y = sos[k, 0] * x + memory[k, 0]
            memory[k, 0] = sos[k, 1] * x - sos[k, 4] * y + memory[k, 1]
            memory[k, 1] = sos[k, 2] * x - sos[k, 5] * y
            x = y
        filtered[i] = x


@kernel
def weighted_sum(weights: Floats, samples: Floats, newest: int) -> float:
    """Weigh ``samples[newest]`` by the first of ``weights``, the one before by the second ...

    Four sums side by side, whose additions need not wait for each other; always the same four.
    """
    n = weights.shape[0]
    whole = n - n % 4
    first, second, third, fourth = 0.0, 0.0, 0.0, 0.0
    for k in range(0, whole, 4):
        first += weights[k] * samples[newest - k]
        second += weights[k + 1] * samples[newest - k - 1]
        third += weights[k + 2] * samples[newest - k - 2]
        fourth += weights[k + 3] * samples[newest - k - 3]
    for k in range(whole, n):
        first += weights[k] * samples[newest - k]
    return (first + second) + (third + fourth)


@kernel
def filter_taps(taps: Floats, ring: Floats, at: int, chunk: Floats, filtered: Floats) -> int:
    """Convolve ``chunk`` with ``taps``; the next sample goes to ``at``, and to where it is again.

    ``ring`` holds the last ``taps.size`` samples twice in a row, so that they always lie in one
    piece somewhere. Returns where the next sample goes.
    """
    n_taps = taps.shape[0]
    for i in range(chunk.shape[0]):
        ring[at] = chunk[i]
        ring[at + n_taps] = chunk[i]
        filtered[i] = weighted_sum(taps, ring, at + n_taps)
        at = at + 1 if at + 1 < n_taps else 0
    return at
