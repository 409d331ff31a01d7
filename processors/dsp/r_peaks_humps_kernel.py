"""Where beats may be: humps of QRS energy and, in noise, places that are like a beat."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.dsp.r_peaks_layout import N_BANDS, N_CHANNELS_MAX, N_LOW, N_PENDING
from processors.dsp.r_peaks_shapes_kernel import NOT_COMPARED, compare_shape

Floats = NDArray[np.float64]


@kernel
def deflection(
    samples: Floats, i: int, i_low: int, i_high: int, n_smooth: int, n_baseline: int
) -> float:
    """Short minus long mean around sample ``i``; beyond what is known its ends are repeated."""
    near = 0.0
    wide = 0.0
    mask = samples.size - 1
    origin = samples[min(max(i, i_low), i_high) & mask]
    for j in range(i - n_baseline, i + n_baseline + 1):
        value = samples[min(max(j, i_low), i_high) & mask] - origin
        wide += value
        if i - n_smooth <= j <= i + n_smooth:
            near += value
    return near / (2 * n_smooth + 1) - wide / (2 * n_baseline + 1)


@kernel
def locate(samples: Floats, design: Record, state: Record, hump: np.void) -> None:
    """Find the R peak of a hump: the largest deflection near its middle, to a part of a sample."""
    d = design[0]
    s = state[0]
    mask = samples.size - 1
    n_smooth = d["n_smooth"]
    n_baseline = d["n_baseline"]
    i_high = s["i_next"] - 1
    i_low = max(s["i_start"], i_high - mask)
    middle = s["i_start"] + hump["k"] * d["n_block"] - d["n_late"]
    n_search = d["n_search"]
    if hump["traced"] == 1 and hump["likeness"] > d["trace_like"]:
        n_search = int(d["trace_search_s"] * d["fs_hz"])
        middle += (hump["k_shape"] + d["k_shape_late"] - hump["k"]) * d["n_block"]
        middle += round(s["shape_r"][hump["shape"]])
    first = max(middle - n_search, i_low)
    last = max(min(middle + n_search, i_high), first)
    origin = samples[first & mask]
    wide = 0.0
    near = 0.0
    for j in range(first - n_baseline, first + n_baseline + 1):
        wide += samples[min(max(j, i_low), i_high) & mask] - origin
    for j in range(first - n_smooth, first + n_smooth + 1):
        near += samples[min(max(j, i_low), i_high) & mask] - origin
    i_r = first
    largest = -1.0
    sign = 1.0
    for i in range(first, last + 1):
        value = near / (2 * n_smooth + 1) - wide / (2 * n_baseline + 1)
        if abs(value) > largest:
            largest = abs(value)
            sign = 1.0 if value >= 0 else -1.0
            i_r = i
        wide += samples[min(max(i + n_baseline + 1, i_low), i_high) & mask]
        wide -= samples[min(max(i - n_baseline, i_low), i_high) & mask]
        near += samples[min(max(i + n_smooth + 1, i_low), i_high) & mask]
        near -= samples[min(max(i - n_smooth, i_low), i_high) & mask]
    before = sign * deflection(samples, i_r - 1, i_low, i_high, n_smooth, n_baseline)
    at = sign * deflection(samples, i_r, i_low, i_high, n_smooth, n_baseline)
    after = sign * deflection(samples, i_r + 1, i_low, i_high, n_smooth, n_baseline)
    bend = before - 2 * at + after
    shift = 0.5 * (before - after) / bend if bend < 0 else 0.0
    hump["i_r"] = i_r + min(max(shift, -0.5), 0.5)
    hump["deflection"] = largest
    total = 0.0
    for j in range(i_r - d["n_level_from"], i_r - d["n_level_to"] + 1):
        total += samples[min(max(j, i_low), i_high) & mask]
    hump["level_uv"] = total / (d["n_level_from"] - d["n_level_to"] + 1)
    peak = samples[i_r & mask]
    for j in range(max(i_r - 1, i_low), min(i_r + 1, i_high) + 1):
        if sign * samples[j & mask] > sign * peak:
            peak = samples[j & mask]
    hump["height_uv"] = peak - hump["level_uv"]


@kernel
def lead_of(design: Record, state: Record, hump: np.void) -> int:
    """Say in which lead the R peak of a hump is looked for."""
    d = design[0]
    lead: int = state[0]["lead"]
    if state[0]["learned"] == 0 and d["n_leads"] > 1:
        first = hump["energy"][0] + hump["energy"][1]
        second = hump["energy"][N_BANDS] + hump["energy"][N_BANDS + 1]
        lead = 1 if first < d["dead_share"] * second else 0
    return lead


@kernel
def settle(state: Record, at: int) -> None:
    """Bring a pending hump to its place in time; of two at one R peak the higher stays."""
    s = state[0]
    pending = s["pending"]
    while at > 0 and pending[at]["i_r"] < pending[at - 1]["i_r"]:
        pending[N_PENDING] = pending[at]
        pending[at] = pending[at - 1]
        pending[at - 1] = pending[N_PENDING]
        at -= 1
    while at + 1 < s["n_pending"] and pending[at]["i_r"] > pending[at + 1]["i_r"]:
        pending[N_PENDING] = pending[at]
        pending[at] = pending[at + 1]
        pending[at + 1] = pending[N_PENDING]
        at += 1
    n_kept = 1
    for n in range(1, s["n_pending"]):
        if pending[n]["i_r"] <= pending[n_kept - 1]["i_r"] + 1:
            if pending[n]["envelope"] > pending[n_kept - 1]["envelope"]:
                pending[n_kept - 1] = pending[n]
            continue
        if n_kept < n:
            pending[n_kept] = pending[n]
        n_kept += 1
    s["n_pending"] = n_kept


@kernel
def add_hump(design: Record, state: Record, ring: Floats, k: int) -> None:
    """Append the hump with its energy at ``k`` to the pending ones."""
    s = state[0]
    if s["n_pending"] == N_PENDING:
        return
    hump = s["pending"][s["n_pending"]]
    hump["k"] = k
    hump["n_compared"] = -1
    hump["traced"] = 0
    hump["likeness"] = NOT_COMPARED
    hump["envelope"] = s["envelope"][k & (N_LOW - 1)]
    for c in range(N_CHANNELS_MAX):
        hump["energy"][c] = s["energies"][c, k & (N_LOW - 1)]
    locate(ring[lead_of(design, state, hump)], design, state, hump)
    s["n_pending"] += 1
    settle(state, s["n_pending"] - 1)


@kernel
def find_hump(design: Record, state: Record, ring: Floats, k: int) -> None:
    """Append the hump at low-rate sample ``k`` to the pending ones, if it is highest all around."""
    s = state[0]
    envelope = s["envelope"]
    height = envelope[k & (N_LOW - 1)]
    for j in range(1, design[0]["n_reach"] + 1):
        if envelope[(k - j) & (N_LOW - 1)] >= height or envelope[(k + j) & (N_LOW - 1)] > height:
            return
    add_hump(design, state, ring, k)


@kernel
def trace_hump(design: Record, state: Record, ring: Floats, k: int) -> None:
    """Take the low-rate sample ``k``, around which the signal is most like a beat, for a hump.

    A hump of energy that is there already is told where its R peak lies.
    """
    d = design[0]
    s = state[0]
    traced = s["traced"]
    height = traced[k & (N_LOW - 1)]
    for j in range(2, d["n_trace_reach"] + 1, 2):
        if traced[(k - j) & (N_LOW - 1)] >= height or traced[(k + j) & (N_LOW - 1)] > height:
            return
    middle = k + d["k_shape_late"]
    at = -1
    for n in range(s["n_pending"]):
        if abs(s["pending"][n]["k"] - middle) <= d["n_slide"]:
            at = n
    if at < 0:
        if s["n_pending"] == N_PENDING:
            return
        at = s["n_pending"]
        s["n_pending"] += 1
        hump = s["pending"][at]
        hump["k"] = middle
        hump["n_compared"] = -1
        hump["envelope"] = s["envelope"][middle & (N_LOW - 1)]
        for c in range(N_CHANNELS_MAX):
            hump["energy"][c] = s["energies"][c, middle & (N_LOW - 1)]
    hump = s["pending"][at]
    hump["traced"] = 1
    compare_shape(design, state, hump)
    locate(ring[lead_of(design, state, hump)], design, state, hump)
    settle(state, at)
