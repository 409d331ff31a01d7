"""Polyphase resampling by a ratio of whole numbers, sample by sample."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from processors.dsp.filters_kernel import weighted_sum
from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]

POSITION = np.dtype([("i_in", "i8"), ("i_out", "i8"), ("i_start", "i8")])
"""Next sample in and out, each on its own grid, and the first in since the start or a gap."""


@kernel
def resample(
    state: Record,
    phases: Floats,
    ring: Floats,
    up: int,
    down: int,
    chunk: Floats,
    resampled: Floats,
) -> int:
    """Take ``chunk``, write what can be said by then, and return how much that is.

    Output ``j`` lies at ``j * down / up`` samples of the input; ``phases`` (up, n_taps) holds the
    weights of the ``n_taps`` samples around it, the newest first. ``ring`` holds the last
    ``n_taps`` samples twice in a row. Before the first sample it is taken to have been there
    always.
    """
    me = state[0]
    n_taps = phases.shape[1]
    half = n_taps // 2
    n_out = 0
    for i in range(chunk.shape[0]):
        if me["i_in"] == me["i_start"]:
            for k in range(n_taps):
                ring[k] = chunk[i]
                ring[k + n_taps] = chunk[i]
        ring[me["i_in"] % n_taps] = chunk[i]
        ring[me["i_in"] % n_taps + n_taps] = chunk[i]
        me["i_in"] += 1
        newest = me["i_in"] - 1
        while (me["i_out"] * down) // up + half <= newest:
            phase = (me["i_out"] * down) % up
            at = (me["i_out"] * down) // up + half
            resampled[n_out] = weighted_sum(phases[phase], ring, at % n_taps + n_taps)
            n_out += 1
            me["i_out"] += 1
    return n_out
