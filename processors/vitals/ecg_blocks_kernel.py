"""Loops of the ECG quality: the samples, as sums over blocks.

A *fine* sample is the mean of ``n_mean`` samples (100 to 200 fine ones a second), a *block* is
``n_block`` fine samples (40 ms).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.dsp.rails_kernel import FLAT as LEAD_FLAT
from processors.dsp.rails_kernel import RAILED as LEAD_RAILED

N_SECTIONS: Final = 3
"""Of the filters: one makes the band of shapes, two more narrow it to the band of beats."""

RAILED, FLAT, SHAPE_SQUARES, BEAT_SQUARES, N_COLUMNS = range(5)
"""Columns of a block: shares of its samples that are at a rail and of a flat line, and sums of
squares in the two bands."""

BLOCKS_MEMORY: Final = np.dtype(
    [
        ("i_start", "i8"),
        ("i_next", "i8"),
        ("offset", "f8"),
        ("sum", "f8"),
        ("n_sum", "i8"),
        ("n_railed", "i8"),
        ("n_flat", "i8"),
        ("shape_squares", "f8"),
        ("beat_squares", "f8"),
        ("n_block", "i8"),
        ("delays", "f8", (N_SECTIONS, 2)),
    ]
)

BLOCKS_SETUP: Final = np.dtype(
    [("n_mean", "i8"), ("n_block", "i8"), ("sos", "f8", (N_SECTIONS, 6))]
)


@kernel
def take_samples(
    memory: Record,
    setup: Record,
    chunk: NDArray[np.float64],
    leads: NDArray[np.int64],
    fine: NDArray[np.float64],
    n_fine: int,
    blocks: NDArray[np.float64],
    n_blocks: int,
) -> tuple[int, int]:
    """Append what ``chunk`` completes to ``fine`` and ``blocks``; return how many these are now.

    ``leads`` says of each sample what it is, as `watch_lead` does.
    """
    own = memory[0]
    how = setup[0]
    sos = how["sos"]
    delays = own["delays"]
    n_mean = how["n_mean"]
    n_block = how["n_block"]
    total = own["sum"]
    n_sum = own["n_sum"]
    n_railed = own["n_railed"]
    n_flat = own["n_flat"]
    k_block = own["n_block"]
    shape_squares = own["shape_squares"]
    beat_squares = own["beat_squares"]
    if chunk.size > 0 and own["i_next"] == own["i_start"]:
        own["offset"] = chunk[0]  # as though the first sample had always been there
    offset = own["offset"]
    for i in range(chunk.size):
        n_railed += leads[i] == LEAD_RAILED
        n_flat += leads[i] == LEAD_FLAT
        total += chunk[i] - offset
        n_sum += 1
        if n_sum < n_mean:
            continue
        y = total / n_mean
        total = 0.0
        n_sum = 0
        shape = 0.0
        for s in range(N_SECTIONS):
            z = sos[s, 0] * y + delays[s, 0]
            delays[s, 0] = sos[s, 1] * y - sos[s, 4] * z + delays[s, 1]
            delays[s, 1] = sos[s, 2] * y - sos[s, 5] * z
            if s == 0:
                shape = z  # the band of shapes; the other sections narrow it to that of beats
            y = z
        fine[n_fine] = shape
        n_fine += 1
        shape_squares += shape * shape
        beat_squares += y * y
        k_block += 1
        if k_block == n_block:
            blocks[n_blocks, RAILED] = n_railed / (n_mean * n_block)
            blocks[n_blocks, FLAT] = n_flat / (n_mean * n_block)
            blocks[n_blocks, SHAPE_SQUARES] = shape_squares
            blocks[n_blocks, BEAT_SQUARES] = beat_squares
            n_blocks += 1
            k_block = 0
            n_railed = 0
            n_flat = 0
            shape_squares = 0.0
            beat_squares = 0.0
    own["sum"] = total
    own["n_sum"] = n_sum
    own["n_railed"] = n_railed
    own["n_flat"] = n_flat
    own["n_block"] = k_block
    own["shape_squares"] = shape_squares
    own["beat_squares"] = beat_squares
    own["i_next"] += chunk.size
    return n_fine, n_blocks
