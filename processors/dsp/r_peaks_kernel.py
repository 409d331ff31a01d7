"""The loop over samples of the R-peak detector.

Humps are few (some per second), so what is done for each of them costs little; what is done for
each sample is kept to sums, and for each low-rate sample to two small filters per lead. Only in
noise the known shapes are held against every other low-rate sample.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.dsp.r_peaks_decide_kernel import decide_due
from processors.dsp.r_peaks_humps_kernel import find_hump, trace_hump
from processors.dsp.r_peaks_layout import N_BANDS, N_LOW
from processors.dsp.r_peaks_shapes_kernel import ALIKE_SHARE_MIN, NOT_COMPARED, likenesses

Floats = NDArray[np.float64]
SAMPLE_UV_MAX: Final = 1e9
"""Beyond this (a kilovolt) a sample is cut off, so that no square overflows."""
ENVELOPE_UV_MIN: Final = 4.0
"""A seventh of what a 0.15 mV complex of 100 ms gives, which IEC 60601-2-27 forbids to count."""


@kernel
def start(samples: Floats, design: Record, state: Record) -> None:
    """Begin as though the first sample had always been there: no transient."""
    s = state[0]
    n_leads = design[0]["n_leads"]
    s["started"] = 1
    for lead in range(n_leads):
        s["origin"][lead] = min(max(samples[lead, 0], -SAMPLE_UV_MAX), SAMPLE_UV_MAX)
    if s["learned"] == 0:
        for c in range(n_leads * N_BANDS):
            s["weights"][c] = 1.0 / n_leads


@kernel
def detect(
    samples: Floats, design: Record, state: Record, ring: Floats, beats: NDArray[np.void]
) -> int:
    """Take ``samples`` of shape (n_leads, n_samples); return how many ``beats`` were written."""
    d = design[0]
    s = state[0]
    n_leads = d["n_leads"]
    n_block = d["n_block"]
    n_window = d["n_window"]
    n_reach = d["n_reach"]
    n_decide = d["n_decide"]
    n_shift = d["n_shift"]
    bands = d["bands"]
    filters = s["filters"]
    envelope = s["envelope"]
    signals = s["signals"]
    energies = s["energies"]
    traced = s["traced"]
    squares = s["squares"]
    running = s["running"]
    weights = s["weights"]
    block = s["block"]
    origin = s["origin"]
    low_mask = N_LOW - 1
    ring_mask = ring.shape[1] - 1
    low_min = ENVELOPE_UV_MIN * ENVELOPE_UV_MIN
    n_beats = 0
    i_next = s["i_next"]
    n_in_block = s["n_in_block"]
    k = s["k_next"]
    at = k % n_window
    if s["started"] == 0 and samples.shape[1] > 0:
        start(samples, design, state)
    for j in range(samples.shape[1]):
        for lead in range(n_leads):
            x = min(max(samples[lead, j], -SAMPLE_UV_MAX), SAMPLE_UV_MAX)
            ring[lead, i_next & ring_mask] = x
            block[lead] += x - origin[lead]
        i_next += 1
        n_in_block += 1
        if n_in_block < n_block:
            continue
        n_in_block = 0
        oldest = at + 1 if at + 1 < n_window else 0
        height = 0.0
        for lead in range(n_leads):
            mean = block[lead] / n_block
            block[lead] = 0.0
            for band in range(N_BANDS):
                c = lead * N_BANDS + band
                x = mean
                for section in range(2):
                    y = bands[band, section, 0] * x + filters[c, section, 0]
                    filters[c, section, 0] = (
                        bands[band, section, 1] * x
                        - bands[band, section, 3] * y
                        + filters[c, section, 1]
                    )
                    filters[c, section, 1] = (
                        bands[band, section, 2] * x - bands[band, section, 4] * y
                    )
                    x = y
                # The high band comes sooner through its filter: it waits for the low one.
                # Kept twice, so that any stretch of it lies in one piece.
                at_signal = (k + n_shift * band) & low_mask
                signals[c, at_signal] = x
                signals[c, at_signal + N_LOW] = x
                x = signals[c, k & low_mask]
                squares[c, at] = x * x
                if at == 0:
                    # Summed afresh once per window, so that rounding errors do not pile up.
                    total = 0.0
                    for i in range(n_window):
                        total += squares[c, i]
                    running[c] = total
                else:
                    running[c] += x * x
                energy = max(running[c], 0.0) / n_window
                running[c] -= squares[c, oldest]
                energies[c, k & low_mask] = energy
                height += weights[c] * energy
        envelope[k & low_mask] = height
        is_traced = s["depth"] < d["trace_depth"] and s["n_shape_beats"][0] > 0
        centre = k - d["n_shape"]
        traced[centre & low_mask] = NOT_COMPARED
        if is_traced and centre & 1 == 0:
            best = NOT_COMPARED
            # Two windows of energy cover the shape: with too little of it nothing is alike.
            at_energy = centre + d["k_shape_late"]
            energy = envelope[(at_energy - n_window // 3) & low_mask]
            energy += envelope[(at_energy + n_window // 3) & low_mask]
            energy *= 0.5 * n_window
            least = min(s["shape_own"][0], s["shape_own"][1])
            if s["n_shape_beats"][1] == 0:
                least = s["shape_own"][0]
            if energy > ALIKE_SHARE_MIN * least:
                like_0, like_1 = likenesses(design, state, centre)
                if energy > ALIKE_SHARE_MIN * s["shape_own"][0]:
                    best = like_0
                if energy > ALIKE_SHARE_MIN * s["shape_own"][1]:
                    best = max(best, like_1)
            traced[centre & low_mask] = best
            k_trace = centre - d["n_trace_reach"]
            here = traced[k_trace & low_mask]
            if (
                here > d["trace_like"]
                and here > traced[(k_trace - 2) & low_mask]
                and here >= traced[(k_trace + 2) & low_mask]
            ):
                s["i_next"] = i_next
                s["k_next"] = k
                trace_hump(design, state, ring, k_trace)
        middle = k - n_reach
        value = envelope[middle & low_mask]
        if (
            value > low_min
            and value > envelope[(middle - 1) & low_mask]
            and value >= envelope[(middle + 1) & low_mask]
        ):
            s["i_next"] = i_next
            find_hump(design, state, ring, middle)
        if s["n_pending"] > 0 and s["pending"][0]["i_r"] <= i_next - n_decide:
            s["k_next"] = k
            n_beats = decide_due(design, state, i_next - n_decide, beats, n_beats)
        k += 1
        at = oldest
    s["i_next"] = i_next
    s["n_in_block"] = n_in_block
    s["k_next"] = k
    return n_beats
