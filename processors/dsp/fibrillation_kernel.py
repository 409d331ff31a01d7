"""The loop of the fibrillation detector: band, ring, and every second a verdict on it."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]

FS_LOW_HZ_MAX: Final = 200
WINDOW_S: Final = 6
N_RING: Final = FS_LOW_HZ_MAX * WINDOW_S
N_PARTS: Final = 4
"""Parts of the window that are each measured by their own peak, so that one spike hides little."""
N_FIGURES: Final = 3

FIBRILLATION_DTYPE: Final = np.dtype(
    [
        ("i_next", "i8"),
        ("n_block", "i8"),
        ("sum_block", "f8"),
        ("started", "i8"),
        ("memory", "f8", (2, 2)),
        ("ring", "f8", (N_RING,)),
        ("n_low", "i8"),
        ("n_above", "i8"),
        ("suspected", "i8"),
        ("figures", "f8", (4,)),
    ]
)
"""What ``follow_fibrillation`` remembers; ``n_low`` counts what went into the ring; ``figures``
are the last ones of `_measure`."""

_AWAY: Final = 0.2
"""Of a part's peak: nearer to zero than this is the baseline (Arafat et al., 2011)."""
_SCORE_MIN: Final = 0.1
_SCORE_KEPT: Final = 0.05
"""Between what complexes with a baseline reach (below 0) and what a band of 3 Hz reaches."""
_N_ABOVE: Final = 2
_HEIGHT_UV_MIN: Final = 30.0
"""Mean deflection: a fine fibrillation of 0.1 mV; below it are amplifier noise and asystole."""
_FREQUENCY_HZ_MIN: Final = 2.5
_FREQUENCY_HZ_MAX: Final = 10.0
_STEEP: Final = 20.0


@kernel
def _measure(window: Floats, fs_hz: float, figures: Floats) -> None:
    """Fill: mean height, share of time away from the baseline, leakage, frequency.

    The leakage is what a narrow stop band at the mean frequency leaves of the signal: the sum of
    it and itself half a period earlier, over both (Kuo and Dillman, 1978).
    """
    n_window = window.size
    n_part = n_window // N_PARTS
    away = 0
    for part in range(N_PARTS):
        top = 1e-9
        for i in range(part * n_part, (part + 1) * n_part):
            top = max(top, abs(window[i]))
        for i in range(part * n_part, (part + 1) * n_part):
            if abs(window[i]) > _AWAY * top:
                away += 1
    total = 1e-9
    steps = 1e-9
    for i in range(1, n_window):
        total += abs(window[i])
        steps += abs(window[i] - window[i - 1])
    half = math.pi * total / steps
    n_half = int(min(max(half + 0.5, 1.0), 0.5 * n_window))
    left = 0.0
    both = 1e-9
    for i in range(n_half, n_window):
        left += abs(window[i] + window[i - n_half])
        both += abs(window[i]) + abs(window[i - n_half])
    figures[0] = total / n_window
    figures[1] = away / (N_PARTS * n_part)
    figures[2] = left / both
    figures[3] = fs_hz / (2.0 * half)


@kernel
def _decide(state: Record, i_end: int, verdict: Floats) -> None:
    """Fill ``verdict``: index behind the window, suspected (1) or not (0), confidence."""
    s = state[0]
    height, away, leakage, frequency = s["figures"]
    score = away - leakage
    fits = _FREQUENCY_HZ_MIN <= frequency <= _FREQUENCY_HZ_MAX
    if height < _HEIGHT_UV_MIN or not fits:
        score = min(score, -_SCORE_MIN)
    s["n_above"] = s["n_above"] + 1 if score >= _SCORE_MIN else 0
    if s["n_above"] >= _N_ABOVE:
        s["suspected"] = 1
    elif score < _SCORE_KEPT:
        s["suspected"] = 0
    sure = 1.0 / (1.0 + math.exp(-_STEEP * (score - 0.5 * (_SCORE_MIN + _SCORE_KEPT))))
    verdict[0] = i_end
    verdict[1] = s["suspected"]
    verdict[2] = max(0.5, sure if s["suspected"] == 1 else 1.0 - sure)


@kernel
def follow_fibrillation(
    state: Record,
    sos: Floats,
    at_rest: Floats,
    chunk: Floats,
    n_per_block: int,
    window: Floats,
    n_hop: int,
    fs_low_hz: float,
    verdicts: Floats,
) -> int:
    """Take the samples; give how many rows of ``verdicts`` (n, N_FIGURES) were filled.

    A row is due each time that ``n_hop`` samples of the lower rate are there, once the ``window``
    (scratch) is full.
    """
    s = state[0]
    memory = s["memory"]
    ring = s["ring"]
    n_window = window.size
    n_rows = 0
    total = s["sum_block"]
    n_block = s["n_block"]
    for n in range(chunk.size):
        total += chunk[n]
        n_block += 1
        if n_block < n_per_block:
            continue
        x = total / n_per_block
        total = 0.0
        n_block = 0
        if s["started"] == 0:
            s["started"] = 1
            for k in range(2):
                memory[k, 0] = at_rest[k, 0] * x
                memory[k, 1] = at_rest[k, 1] * x
        for k in range(2):
            y = sos[k, 0] * x + memory[k, 0]
            memory[k, 0] = sos[k, 1] * x - sos[k, 4] * y + memory[k, 1]
            memory[k, 1] = sos[k, 2] * x - sos[k, 5] * y
            x = y
        ring[s["n_low"] % N_RING] = x
        s["n_low"] += 1
        if s["n_low"] >= n_window and s["n_low"] % n_hop == 0:
            first = (s["n_low"] - n_window) % N_RING
            n_to_end = min(n_window, N_RING - first)
            window[:n_to_end] = ring[first : first + n_to_end]
            window[n_to_end:] = ring[: n_window - n_to_end]
            _measure(window, fs_low_hz, s["figures"])
            _decide(state, s["i_next"] + n + 1, verdicts[n_rows])
            n_rows += 1
    s["i_next"] += chunk.size
    s["sum_block"] = total
    s["n_block"] = n_block
    return n_rows
