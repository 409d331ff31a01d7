"""How like a beat the signal is: known shapes slid over it, and learned.

A shape is the course of a beat in each band of each lead, 100 ms to both sides of its middle.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.dsp.r_peaks_layout import N_BANDS, N_LOW, N_SHAPES

Floats = NDArray[np.float64]

NOT_COMPARED: Final = -9.0
ALIKE_SHARE_MIN: Final = 0.25
"""Of a shape's energy: with less, no signal reaches the likeness of a hump."""


@kernel
def is_kept(design: Record, state: Record, hump: np.void) -> bool:
    """Say whether the signal around a hump is still there: while learning, a hump may be older."""
    d = design[0]
    first = hump["k"] - d["k_shape_late"] - d["n_shape"] - d["n_slide"] - 1
    kept: bool = first + N_LOW > state[0]["k_next"] + d["n_shift"]
    return kept


@kernel
def own_energy(design: Record, state: Record, t: int) -> float:
    """Energy of a known shape, bands and leads weighed as in the envelope."""
    s = state[0]
    own = 0.0
    for c in range(design[0]["n_leads"] * N_BANDS):
        part = 0.0
        for i in range(0, 2 * design[0]["n_shape"] + 1, 2):
            v = s["shapes"][t, c, i]
            part += v * v
        own += s["weights"][c] * part
    return own


@kernel
def _likeness(design: Record, state: Record, t: int, there: float, both: float) -> float:
    own = state[0]["shape_own"][t]
    if state[0]["n_shape_beats"][t] == 0:
        return NOT_COMPARED
    loose = design[0]["shape_loose"] * own + 1e-9
    like: float = math.log((loose + there) / max(loose + there - 2 * both + own, loose))
    return like


@kernel
def likenesses(design: Record, state: Record, k: int) -> tuple[float, float]:
    """Ln of the energy of the signal around ``k`` over that of its difference from each shape.

    Both shapes in one walk over the signal: what is added up for one waits for itself, and the
    other's sums go beside it. A shape that is not known yet is not compared.
    """
    s = state[0]
    d = design[0]
    first = (k - d["n_shape"]) & (N_LOW - 1)
    there = 0.0
    both_0 = 0.0
    both_1 = 0.0
    for c in range(d["n_leads"] * N_BANDS):
        signal = s["signals"][c]
        shape_0 = s["shapes"][0, c]
        shape_1 = s["shapes"][1, c]
        part = 0.0
        crossed_0 = 0.0
        crossed_1 = 0.0
        for i in range(0, 2 * d["n_shape"] + 1, 2):
            v = signal[first + i]
            part += v * v
            crossed_0 += v * shape_0[i]
            crossed_1 += v * shape_1[i]
        there += s["weights"][c] * part
        both_0 += s["weights"][c] * crossed_0
        both_1 += s["weights"][c] * crossed_1
    return _likeness(design, state, 0, there, both_0), _likeness(design, state, 1, there, both_1)


@kernel
def slide_shapes(design: Record, state: Record, k: int, sums: Floats) -> None:
    """Fill ``sums``: what `likenesses` adds up around ``k`` and each of the places behind it.

    Rows: energy of the signal, and its products with both shapes; then room for those of a channel.
    The sums of all places grow together, which is several times faster than one after the other.
    """
    s = state[0]
    d = design[0]
    first = (k - d["n_shape"]) & (N_LOW - 1)
    n = sums.shape[1]
    sums[:] = 0.0
    part, crossed_0, crossed_1 = sums[3], sums[4], sums[5]
    for c in range(d["n_leads"] * N_BANDS):
        sums[3:] = 0.0
        for i in range(0, 2 * d["n_shape"] + 1, 2):
            signal = s["signals"][c, first + i : first + i + n]
            v_0 = s["shapes"][0, c, i]
            v_1 = s["shapes"][1, c, i]
            for j in range(n):
                v = signal[j]
                part[j] += v * v
                crossed_0[j] += v * v_0
                crossed_1[j] += v * v_1
        weight = s["weights"][c]
        for row in range(3):
            for j in range(n):
                sums[row, j] += weight * sums[3 + row, j]


@kernel
def compare_shape(design: Record, state: Record, hump: np.void) -> None:
    """Slide the known shapes over a hump: how like it is, and where."""
    d = design[0]
    s = state[0]
    slide = d["n_slide"]
    middle = hump["k"] - d["k_shape_late"]
    if hump["n_compared"] == s["n_learned"]:
        return
    hump["n_compared"] = s["n_learned"]
    hump["likeness"] = NOT_COMPARED
    hump["shape"] = 0
    hump["k_shape"] = middle
    if not is_kept(design, state, hump):
        return
    k_first = middle - slide - 1
    n_places = 2 * slide + 3
    sums = np.empty((6, n_places))
    slide_shapes(design, state, k_first, sums)
    for t in range(N_SHAPES):
        for j in range(1, n_places - 1):
            like = _likeness(design, state, t, sums[0, j], sums[1 + t, j])
            if like > hump["likeness"]:
                hump["likeness"] = like
                hump["shape"] = t
                hump["k_shape"] = k_first + j
    # Where it is most alike at the end of the way, one step further.
    t = hump["shape"]
    for j in (0, n_places - 1):
        if abs(hump["k_shape"] - k_first - j) == 1:
            like = _likeness(design, state, t, sums[0, j], sums[1 + t, j])
            if like > hump["likeness"]:
                hump["likeness"] = like
                hump["k_shape"] = k_first + j


@kernel
def learn_shape(design: Record, state: Record, hump: np.void) -> None:
    """Blend a beat into the shape that it is like, or begin another shape."""
    d = design[0]
    s = state[0]
    use = s["shape_use"]
    if not is_kept(design, state, hump):
        return
    n = d["n_shape"]
    t = hump["shape"]
    k = hump["k_shape"]
    clear = (hump["depth"] - d["shape_depths_0"]) / (d["shape_depths_1"] - d["shape_depths_0"])
    clear = min(max(clear, 0.0), 1.0)
    first = s["n_shape_beats"][0] == 0
    if not first and hump["likeness"] >= d["shape_new"]:
        share = max(
            d["shape_blend"] * max(clear, d["shape_blend_min"]), clear / (s["n_shape_beats"][t] + 1)
        )
    else:
        t = 0 if use[0] <= use[1] else 1
        k = hump["k"] - d["k_shape_late"]
        if clear < 1.0 and not first:
            share = d["shape_blend_other"] * clear
            if use[t] == 0 or share == 0:
                return
        elif use[t] < d["shape_stale"]:
            share = 1.0
            s["n_shape_beats"][t] = 0
        else:
            share = d["shape_blend_other"]
    for other in range(N_SHAPES):
        use[other] *= 1.0 - d["shape_use_share"] * clear
    use[t] += d["shape_use_share"] * clear
    for c in range(d["n_leads"] * N_BANDS):
        for i in range(2 * n + 1):
            v = s["signals"][c, (k + i - n) & (N_LOW - 1)]
            s["shapes"][t, c, i] += share * (v - s["shapes"][t, c, i])
    i_middle = s["i_start"] + (k + d["k_shape_late"]) * d["n_block"] - d["n_late"]
    s["shape_r"][t] += share * (hump["i_r"] - i_middle - s["shape_r"][t])
    s["n_shape_beats"][t] += 1
