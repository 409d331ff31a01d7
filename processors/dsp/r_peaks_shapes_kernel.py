"""How like a beat the signal is: known shapes slid over it, and learned.

A shape is the course of a beat in each band of each lead, 100 ms to both sides of its middle.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from processors.dsp.kernel import Record, kernel
from processors.dsp.r_peaks_layout import N_BANDS, N_LOW, N_SHAPES

NOT_COMPARED: Final = -9.0


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
def likeness(design: Record, state: Record, t: int, k: int) -> float:
    """Ln of the energy of the signal around ``k`` over that of its difference from a shape."""
    s = state[0]
    d = design[0]
    first = (k - d["n_shape"]) & (N_LOW - 1)
    there = 0.0
    both = 0.0
    for c in range(d["n_leads"] * N_BANDS):
        signal = s["signals"][c]
        shape = s["shapes"][t, c]
        part = 0.0
        crossed = 0.0
        for i in range(0, 2 * d["n_shape"] + 1, 2):
            v = signal[first + i]
            part += v * v
            crossed += v * shape[i]
        there += s["weights"][c] * part
        both += s["weights"][c] * crossed
    own = s["shape_own"][t]
    loose = d["shape_loose"] * own + 1e-9
    like: float = math.log((loose + there) / max(loose + there - 2 * both + own, loose))
    return like


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
    for t in range(N_SHAPES):
        if s["n_shape_beats"][t] == 0:
            continue
        for k in range(middle - slide, middle + slide + 1, 1):
            like = likeness(design, state, t, k)
            if like > hump["likeness"]:
                hump["likeness"] = like
                hump["shape"] = t
                hump["k_shape"] = k
    k_coarse = hump["k_shape"]
    for k in (k_coarse - 1, k_coarse + 1):
        if s["n_shape_beats"][hump["shape"]] > 0:
            like = likeness(design, state, hump["shape"], k)
            if like > hump["likeness"]:
                hump["likeness"] = like
                hump["k_shape"] = k


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
