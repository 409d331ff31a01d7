"""The shapes seen so far: which one a beat joins, which is dominant, whether any order is left."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import Record, kernel
from processors.vitals.beat_class_layout import N_SHAPE, N_SHIFT, N_STRANGE, N_TEMPLATES
from processors.vitals.beat_class_shape_kernel import best_shift, fill_powers

Floats = NDArray[np.float64]

SHAPES_ALIKE: Final = 0.3
"""Largest distance (`best_shift`) of a beat from the template that it joins: a correlation of 0.85
at the same amplitude."""
_DISTANCE_MAX: Final = 2.0
_MEMORY: Final = 1.0 - 1.0 / 256.0
"""Of a template's weight, per beat: some minutes."""
_N_MEAN: Final = 16
"""A template is the mean of so many beats, the older ones counting less."""
_WEIGHT_KNOWN: Final = 3.0
"""Beats until a shape can be the dominant one: until then nothing is known."""


@kernel
def find_dominant(weight: Floats, early: Floats, width: Floats) -> int:
    """Return the frequent shape that comes on time and is narrow; -1: none is known well."""
    total = 0.0
    narrowest = 1e9
    for c in range(N_TEMPLATES):
        total += weight[c]
    least = max(_WEIGHT_KNOWN, 0.1 * total)
    for c in range(N_TEMPLATES):
        if weight[c] >= least:
            narrowest = min(narrowest, width[c])
    best = -1
    best_score = 0.0
    for c in range(N_TEMPLATES):
        if weight[c] >= least:
            thin = narrowest / width[c]
            score = weight[c] * math.exp(-6.0 * early[c]) * thin * thin
            if score > best_score:
                best_score = score
                best = c
    return best


@kernel
def join_template(state: Record, beat: Floats, scratch: Floats) -> int:
    """Find the template that the beat belongs to, or begin one in the place of the rarest."""
    s = state[0]
    templates = s["templates"]
    weight = s["weight"]
    n_seen = s["n_seen"]
    fill_powers(beat, scratch)
    nearest = -1
    nearest_distance = _DISTANCE_MAX
    shift = 0
    for c in range(N_TEMPLATES):
        weight[c] *= _MEMORY
        if n_seen[c] > 0:
            distance, moved = best_shift(beat, templates[c], scratch)
            if distance <= nearest_distance:
                nearest_distance = distance
                nearest = c
                shift = moved
    s["strange"][s["n_strange"] % N_STRANGE] = nearest_distance
    s["n_strange"] += 1
    if nearest_distance > SHAPES_ALIKE:
        shift = 0
        nearest = 0
        for c in range(1, N_TEMPLATES):
            if weight[c] < weight[nearest]:
                nearest = c
        weight[nearest] = 0.0
        n_seen[nearest] = 0
        s["early"][nearest] = 0.0
        s["surprise"][nearest] = 0.0
    weight[nearest] += 1.0
    n_seen[nearest] += 1
    rate = 1.0 / min(n_seen[nearest], _N_MEAN)
    for k in range(N_SHAPE):
        templates[nearest, k] += rate * (beat[N_SHIFT + shift + k] - templates[nearest, k])
    return nearest


@kernel
def disorder(strange: Floats, n_strange: int) -> float:
    """Distance that half of the last beats had from the nearest shape; in noise it is large."""
    n = min(n_strange, N_STRANGE)
    best = _DISTANCE_MAX
    for i in range(n):
        n_below = 0
        for j in range(n):
            if strange[j] <= strange[i]:
                n_below += 1
        if 2 * n_below >= n:
            best = min(best, strange[i])
    return best


@kernel
def update_template(
    state: Record, c: int, width: float, spike: float, early: float, surprise: float
) -> None:
    """Let template ``c`` learn the figures of a beat; ``early`` 1 or more is not known."""
    s = state[0]
    rate = 1.0 / min(s["n_seen"][c], _N_MEAN)
    if s["n_seen"][c] == 1:
        s["width"][c] = width
        s["spikes"][c] = spike
    s["width"][c] += rate * (width - s["width"][c])
    s["spikes"][c] += rate * (spike - s["spikes"][c])
    if early < 1.0:
        s["early"][c] += rate * (early - s["early"][c])
        s["surprise"][c] += rate * (surprise - s["surprise"][c])
