"""The form of a beat: cut out on its grid, its width, its spike, its likeness to a template."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import kernel
from processors.vitals.beat_class_layout import (
    K_R,
    N_BEAT,
    N_BEFORE,
    N_SHAPE,
    N_SHIFT,
    N_SHIFTS,
    P_END,
    QRS_END,
    QRS_FIRST,
    T_FIRST,
)

Floats = NDArray[np.float64]

_SPIKE_REACH_S: Final = 0.012
_SPIKE_WIDTH_S: Final = 0.014
"""At half its height. A pacing pulse lasts 2 ms at most, and the 40 Hz low-pass of a monitor
stretches it to 12 ms; no R wave is that thin."""
_SPIKE_SHARP: Final = 0.6
"""The part of its height by which a spike stands above the line between its two sides."""
_SPIKE_BEHIND: Final = 0.25
"""Of its height: the mean deflection in the tenth of a second behind it. A spike is followed by a
wide complex; a thin R wave by little."""
_SPIKE_UV_MIN: Final = 100.0


@kernel
def _at(ring: Floats, i: int, lap: int) -> float:
    """Value ``i`` of those that the ring still holds; ``lap`` is the one at its first place."""
    k = i - lap
    value: float = ring[k if k >= 0 else k + ring.size]
    return value


@kernel
def cut_out(ring: Floats, n_blocks: int, position: float, step: float, beat: Floats) -> None:
    """Fill the 8 ms grid of a beat without its level and slope; in samples of the ring."""
    lap = n_blocks - n_blocks % ring.size
    first = float(max(0, n_blocks - ring.size))
    for k in range(N_BEAT):
        total = 0.0
        for part in range(-1, 2):
            at = min(max(position + (k - K_R + part / 3.0) * step, first), n_blocks - 1.0)
            i = int(at)
            left = _at(ring, i, lap)
            right = _at(ring, min(i + 1, n_blocks - 1), lap)
            total += left + (at - i) * (right - left)
        beat[k] = total / 3.0
    mean = 0.0
    slope = 0.0
    spread = 0.0
    n = N_BEAT - N_BEFORE
    middle = N_BEFORE + 0.5 * (n - 1)
    for k in range(N_BEFORE, N_BEAT):
        off = k - middle
        mean += beat[k]
        slope += off * beat[k]
        spread += off * off
    mean /= n
    slope /= spread
    for k in range(N_BEAT):
        beat[k] -= mean + slope * (k - middle)


@kernel
def width_of(beat: Floats) -> float:
    """Area of the complex over its height, in steps of the grid."""
    level = (beat[K_R - 17] + beat[K_R - 16] + beat[K_R - 15] + beat[K_R - 14]) / 4.0
    top = 1e-9
    area = 1e-9
    for k in range(K_R - 12, K_R + 15):
        height = abs(beat[k] - level)
        area += height
        top = max(top, height)
    return area / top


@kernel
def begins_with_spike(ring: Floats, n_blocks: int, position: float, fs_ring_hz: float) -> bool:
    """Find one thin deflection, far sharper than all else, with a wide complex behind it."""
    lap = n_blocks - n_blocks % ring.size
    n_reach = max(1, round(_SPIKE_REACH_S * fs_ring_hz))
    i_r = round(position)
    i_first = i_r - int(0.2 * fs_ring_hz)
    i_end = i_r + int(0.2 * fs_ring_hz)
    if i_first - n_reach < max(0, n_blocks - ring.size) or i_end + n_reach >= n_blocks:
        return False
    best = 0.0
    i_best = 0
    for i in range(i_r - int(0.12 * fs_ring_hz), i_r + int(0.05 * fs_ring_hz)):
        bend = _at(ring, i, lap) - 0.5 * (_at(ring, i - n_reach, lap) + _at(ring, i + n_reach, lap))
        if abs(bend) > abs(best):
            best = bend
            i_best = i
    if abs(best) < _SPIKE_UV_MIN:
        return False
    away = 2 * n_reach + 1
    for i in range(i_first, i_end):
        if abs(i - i_best) > away:
            bend = _at(ring, i, lap) - 0.5 * (
                _at(ring, i - n_reach, lap) + _at(ring, i + n_reach, lap)
            )
            if abs(bend) > abs(best) / 3.0:
                return False
    n_level = int(0.06 * fs_ring_hz)
    level = 0.0
    for i in range(i_best - away - n_level, i_best - away):
        level += _at(ring, max(i, i_first - n_reach), lap)
    level /= n_level
    height = _at(ring, i_best, lap) - level
    if height * best <= 0.0 or abs(best) < _SPIKE_SHARP * abs(height) or abs(best) > abs(height):
        return False
    n_thick = 0
    for i in range(i_best - away, i_best + away + 1):
        if 2.0 * (_at(ring, i, lap) - level) / height > 1.0:
            n_thick += 1
    if n_thick > _SPIKE_WIDTH_S * fs_ring_hz:
        return False
    behind = 0.0
    n_behind = int(0.1 * fs_ring_hz)
    for i in range(i_best + away, i_best + away + n_behind):
        behind += abs(_at(ring, min(i, n_blocks - 1), lap) - level)
    return behind > _SPIKE_BEHIND * n_behind * abs(best)


@kernel
def fill_powers(beat: Floats, scratch: Floats) -> None:
    """Fill ``scratch[0]``: the power of the complex about its mean, at each shift."""
    n = QRS_END - QRS_FIRST
    for shift in range(N_SHIFTS):
        total = 0.0
        power = 1e-9
        for k in range(QRS_FIRST, QRS_END):
            height = beat[shift + k]
            total += height
            power += height * height
        scratch[0, shift] = power - total * total / n


@kernel
def best_shift(beat: Floats, template: Floats, scratch: Floats) -> tuple[float, int]:
    """Return the smallest distance of the beat from the template over the shifts, and the shift.

    The distance is ``a + 1/a - 2 r`` of the ratio of their amplitudes a and their correlation r:
    0 is the same. ``scratch[0]`` is as `fill_powers` fills it; the products of all shifts grow
    together, which is several times faster than one after the other.
    """
    mean = 0.0
    for k in range(QRS_FIRST, QRS_END):
        mean += template[k]
    mean /= QRS_END - QRS_FIRST
    for shift in range(N_SHIFTS):
        scratch[1, shift] = 0.0
    power = 1e-9
    for k in range(QRS_FIRST, QRS_END):
        height = template[k] - mean
        power += height * height
        for shift in range(N_SHIFTS):
            scratch[1, shift] += height * beat[shift + k]
    best = 1e30
    best_shift = 0
    for shift in range(N_SHIFTS):
        of_beat = max(scratch[0, shift], 1e-9)
        distance = (of_beat + power - 2.0 * scratch[1, shift]) / math.sqrt(of_beat * power)
        if distance < best:
            best = distance
            best_shift = shift - N_SHIFT
    return best, best_shift


@kernel
def p_wave_likeness(beat: Floats, template: Floats) -> float:
    """Return how alike the two are before the complex, where the P wave is, at the best shift.

    Twice the shared energy over the sum of both, level and slope taken off: 1 is the same, 0 is
    nothing in common. A bundle branch block leaves the P wave as it is, and a ventricular beat has
    none.
    """
    n = P_END
    middle = 0.5 * (n - 1)
    spread = n * (n * n - 1.0) / 12.0
    mean_t = 0.0
    slope_t = 0.0
    for k in range(n):
        mean_t += template[k]
        slope_t += (k - middle) * template[k]
    mean_t /= n
    slope_t /= spread
    best = 0.0
    for shift in range(N_SHIFTS):
        mean_b = 0.0
        slope_b = 0.0
        for k in range(n):
            mean_b += beat[shift + k]
            slope_b += (k - middle) * beat[shift + k]
        mean_b /= n
        slope_b /= spread
        both = 0.0
        total = 1e-9
        for k in range(n):
            b = beat[shift + k] - mean_b - slope_b * (k - middle)
            t = template[k] - mean_t - slope_t * (k - middle)
            both += b * t
            total += b * b + t * t
        best = max(best, 2.0 * both / total)
    return best


@kernel
def fill_differences(beat: Floats, template: Floats, shift: int, features: Floats) -> None:
    """Fill features 4 and 5: the difference behind the complex and in it.

    Each is a root of energies, that of the difference over itself and the whole template: 0..1.
    """
    mean_b = 0.0
    mean_t = 0.0
    for k in range(N_BEFORE, N_SHAPE):
        mean_b += beat[N_SHIFT + shift + k]
        mean_t += template[k]
    mean_b /= N_SHAPE - N_BEFORE
    mean_t /= N_SHAPE - N_BEFORE
    whole = 1e-9
    within = 0.0
    behind = 0.0
    for k in range(N_BEFORE, N_SHAPE):
        t = template[k] - mean_t
        difference = beat[N_SHIFT + shift + k] - mean_b - t
        whole += t * t
        if k >= T_FIRST:
            behind += difference * difference
        elif k >= QRS_FIRST:
            within += difference * difference
    features[4] = math.sqrt(behind / (whole + behind))
    features[5] = math.sqrt(within / (whole + within))
