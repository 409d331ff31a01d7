"""The loops of the oxygen saturation: two wavelengths to sums of their pulses, second by second."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel

Floats = NDArray[np.float64]

N_SECONDS: Final = 8
"""Seconds that a value rests on."""
N_SECTIONS: Final = 3
_RED, _INFRARED = range(2)

DESIGN_DTYPE: Final = np.dtype(
    [
        ("band", "f8", (N_SECTIONS, 5)),  # of the pulse: b0, b1, b2, a1, a2 of each section
        ("n_light", "f8"),  # samples in which the mean light follows
        ("n_settle", "i8"),  # samples until the filters have settled
    ]
)
SECOND_DTYPE: Final = np.dtype(
    [
        ("n", "i8"),
        ("red_red", "f8"),
        ("red_infrared", "f8"),
        ("infrared_infrared", "f8"),
        ("low", "f8", (2,)),  # of the raw light, red and infrared
        ("high", "f8", (2,)),
        ("light", "f8", (2,)),  # sums of the mean light
    ]
)
STATE_DTYPE: Final = np.dtype(
    [
        ("n_seen", "i8"),
        ("filters", "f8", (2, N_SECTIONS, 2)),
        ("light", "f8", (2,)),
        ("top", "f8", (2,)),  # the most light ever seen
        ("now", SECOND_DTYPE),
        ("seconds", SECOND_DTYPE, (N_SECONDS,)),
        ("n_seconds", "i8"),
    ]
)

(RATIO, CORRELATION, SPREAD, PERFUSION, N_USED, FLAT, AT_TOP, DARK, N_OUT) = range(9)
"""Ratio of ratios, correlation of the two, spread of the ratio, perfusion in percent, seconds used,
and of the newest second 1.0 where a wavelength is constant, is so at its top, or gives no light."""

_PEAK_TO_PEAK: Final = 2.0 * math.sqrt(2.0)


@kernel
def begin_second(second: np.void) -> None:
    """Start a second's sums."""
    second["n"] = 0
    second["red_red"] = second["red_infrared"] = second["infrared_infrared"] = 0.0
    for j in range(2):
        second["light"][j] = second["low"][j] = second["high"][j] = 0.0


@kernel
def pulse_part(state: np.void, design: np.void, j: int, value: float) -> float:
    """Filter one sample of channel ``j``; 0 as long as the filters settle."""
    for n in range(N_SECTIONS):
        c = design["band"][n]
        memory = state["filters"][j, n]
        filtered = c[0] * value + memory[0]
        memory[0] = c[1] * value - c[3] * filtered + memory[1]
        memory[1] = c[2] * value - c[4] * filtered
        value = filtered
    return float(value)


@kernel
def take_light(light: Floats, design_record: Record, record: Record) -> None:
    """Take ``(2, n_samples)`` or ``(3, n_samples)``: red, infrared, and what is ambient."""
    state, design = record[0], design_record[0]
    now = state["now"]
    parts = np.zeros(2)
    for i in range(light.shape[1]):
        ambient = light[2, i] if light.shape[0] > 2 else 0.0  # noqa: PLR2004
        for j in range(2):
            value = light[j, i] - ambient
            if state["n_seen"] == 0:
                state["light"][j] = value
                state["top"][j] = light[j, i]
            pace = max(1.0 / design["n_light"], 1.0 / (state["n_seen"] + 1.0))
            state["light"][j] += pace * (value - state["light"][j])
            state["top"][j] = max(state["top"][j], light[j, i])
            parts[j] = 0.0
            if state["light"][j] > 0.0:
                parts[j] = pulse_part(state, design, j, value / state["light"][j] - 1.0)
            if now["n"] == 0:
                now["low"][j] = now["high"][j] = light[j, i]
            now["low"][j] = min(now["low"][j], light[j, i])
            now["high"][j] = max(now["high"][j], light[j, i])
            now["light"][j] += state["light"][j]
        state["n_seen"] += 1
        now["n"] += 1
        if state["n_seen"] > design["n_settle"]:
            now["red_red"] += parts[_RED] * parts[_RED]
            now["red_infrared"] += parts[_RED] * parts[_INFRARED]
            now["infrared_infrared"] += parts[_INFRARED] * parts[_INFRARED]


@kernel
def ratio_of(red_red: float, red_infrared: float, infrared_infrared: float) -> float:
    """Slope of red over infrared, both being equally noisy (total least squares)."""
    if red_infrared <= 0.0:
        return 0.0
    half = 0.5 * (red_red - infrared_infrared)
    return float((half + math.sqrt(half * half + red_infrared * red_infrared)) / red_infrared)


@kernel
def close_second(record: Record, out: Floats) -> None:
    """End the present second; describe it and the seven before."""
    state = record[0]
    now = state["now"]
    for j in range(N_OUT):
        out[j] = 0.0
    for j in range(2):
        if now["n"] > 1 and now["high"][j] <= now["low"][j]:
            out[FLAT] = 1.0
            if now["high"][j] >= state["top"][j]:
                out[AT_TOP] = 1.0
        if now["light"][j] <= 0.0:
            out[DARK] = 1.0
    state["seconds"][state["n_seconds"] % N_SECONDS] = now
    state["n_seconds"] += 1
    begin_second(now)
    last = state["n_seconds"]
    first = max(0, last - N_SECONDS)
    red_red, red_infrared, infrared_infrared, n = 0.0, 0.0, 0.0, 0
    ratios = np.zeros(N_SECONDS)
    n_ratios = 0
    for k in range(first, last):
        one = state["seconds"][k % N_SECONDS]
        if one["infrared_infrared"] <= 0.0:
            continue
        red_red += one["red_red"]
        red_infrared += one["red_infrared"]
        infrared_infrared += one["infrared_infrared"]
        n += one["n"]
        out[N_USED] += 1.0
        if k == first:
            continue
        other = state["seconds"][(k - 1) % N_SECONDS]
        ratios[n_ratios] = ratio_of(
            one["red_red"] + other["red_red"],
            one["red_infrared"] + other["red_infrared"],
            one["infrared_infrared"] + other["infrared_infrared"],
        )
        n_ratios += 1
    if n_ratios == 0 or red_red <= 0.0:
        return
    ordered = np.sort(ratios[:n_ratios])
    out[RATIO] = ordered[n_ratios // 2]
    distances = np.abs(ratios[:n_ratios] - out[RATIO])
    distances = np.sort(distances)
    out[SPREAD] = distances[n_ratios // 2]
    out[CORRELATION] = red_infrared / math.sqrt(red_red * infrared_infrared)
    out[PERFUSION] = 100.0 * _PEAK_TO_PEAK * math.sqrt(infrared_infrared / n)
