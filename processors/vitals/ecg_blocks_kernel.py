"""Loops of the ECG quality: the samples, as sums over blocks.

A *fine* sample is the mean of ``n_mean`` samples (100 to 200 fine ones a second), a *block* is
``n_block`` fine samples (40 ms).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

N_SECTIONS: Final = 3
"""Of the filters: one makes the band of shapes, two more narrow it to the band of beats."""

LOW, HIGH, SHAPE_SQUARES, BEAT_SQUARES, N_COLUMNS = range(5)
"""Columns of a block: lowest and highest sample, sums of squares in the two bands."""

BLOCKS_MEMORY: Final = np.dtype(
    [
        ("i_start", "i8"),
        ("i_next", "i8"),
        ("offset", "f8"),
        ("sum", "f8"),
        ("n_sum", "i8"),
        ("low", "f8"),
        ("high", "f8"),
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
    fine: NDArray[np.float64],
    blocks: NDArray[np.float64],
) -> tuple[int, int]:
    """Put the fine samples and the blocks that ``chunk`` completes into ``fine`` and ``blocks``."""
    own = memory[0]
    how = setup[0]
    sos = how["sos"]
    delays = own["delays"]
    n_mean = how["n_mean"]
    n_block = how["n_block"]
    total = own["sum"]
    n_sum = own["n_sum"]
    low = own["low"]
    high = own["high"]
    k_block = own["n_block"]
    shape_squares = own["shape_squares"]
    beat_squares = own["beat_squares"]
    if chunk.size > 0 and own["i_next"] == own["i_start"]:
        own["offset"] = chunk[0]  # as though the first sample had always been there
    offset = own["offset"]
    n_fine = 0
    n_blocks = 0
    for i in range(chunk.size):
        x = chunk[i]
        if n_sum == 0 and k_block == 0:
            low = x
            high = x
        elif x < low:
            low = x
        elif x > high:
            high = x
        total += x - offset
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
            blocks[n_blocks, LOW] = low
            blocks[n_blocks, HIGH] = high
            blocks[n_blocks, SHAPE_SQUARES] = shape_squares
            blocks[n_blocks, BEAT_SQUARES] = beat_squares
            n_blocks += 1
            k_block = 0
            shape_squares = 0.0
            beat_squares = 0.0
    own["sum"] = total
    own["n_sum"] = n_sum
    own["low"] = low
    own["high"] = high
    own["n_block"] = k_block
    own["shape_squares"] = shape_squares
    own["beat_squares"] = beat_squares
    own["i_next"] += chunk.size
    return n_fine, n_blocks
