"""The loops of the wrist's pulse rate: resampling one second, and the belief in each rate."""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.kernel import kernel

Floats = NDArray[np.float64]

N_PER_S: Final = 32
"""Samples per second of event time that both sensors are brought to."""
STEP_BPM_SD: Final = 3.0
"""How far a heart rate goes in one second: 15 bpm in 10 s at the start of a run is 1.5."""
JUMP_SHARE: Final = 0.01
"""Belief that goes anywhere each time: a wrong track is left within seconds."""
_N_SD: Final = 4
_FLOOR: Final = 0.02
"""Of the strongest: what noise alone has in a window."""
_SHARPNESS: Final = 1.5
_HARMONIC: Final = 0.3
"""Weight of the second harmonic, which a pulse wave has and a swinging arm's light has less of."""


@kernel
def resample(samples: Floats, first: float, step: float, reach: float, out: Floats) -> None:
    """Fill ``(n_channels, n)`` by triangles of ``reach`` around ``first + j * step``.

    ``samples`` has ``(n_channels, n_samples)``; what lies outside, or is not finite, gives NaN.
    """
    n_samples = samples.shape[1]
    for j in range(out.shape[1]):
        at = first + j * step
        low = math.ceil(at - reach)
        high = math.floor(at + reach)
        for c in range(out.shape[0]):
            out[c, j] = math.nan
        if low < 0 or high >= n_samples:
            continue
        for c in range(out.shape[0]):
            total, weights = 0.0, 0.0
            for i in range(low, high + 1):
                weight = 1.0 - abs(i - at) / reach
                total += weight * samples[c, i]
                weights += weight
            if weights > 0.0:
                out[c, j] = total / weights


@kernel
def clean(power: Floats, motion: Floats, share: float, out: Floats) -> None:
    """Take the motion's share out of the power of the light, bin by bin.

    By Wiener's filter on amplitudes, both spectra being 1 at their tops: where motion has its top,
    nothing of the light is left. A heart in step with the motion is lost there, not falsified.
    """
    top, most = 0.0, 0.0
    for k in range(power.size):
        top = max(top, power[k])
        most = max(most, motion[k])
    for k in range(power.size):
        own = power[k] / top if top > 0.0 else 0.0
        other = share * motion[k] / most if most > 0.0 else 0.0
        gain = 1.0 - math.sqrt(other / own) if own > 0.0 else 0.0
        out[k] = own * max(0.0, gain)


@kernel
def believe(belief: Floats, cleaned: Floats, k_low: int, bin_bpm: float, seconds: float) -> None:
    """Move the belief in each rate on, and weigh it by the spectrum.

    ``belief[j]`` is that of bin ``k_low + j`` of ``cleaned``; its sum is 1.
    """
    n = belief.size
    sd = STEP_BPM_SD * math.sqrt(seconds) / bin_bpm
    reach = math.ceil(_N_SD * sd)
    moved = np.zeros(n)
    for j in range(n):
        total, weights = 0.0, 0.0
        for i in range(max(0, j - reach), min(n, j + reach + 1)):
            weight = math.exp(-0.5 * (i - j) * (i - j) / (sd * sd))
            total += weight * belief[i]
            weights += weight
        moved[j] = total / weights
    top = 0.0
    for j in range(n):
        top = max(top, cleaned[k_low + j])
    total = 0.0
    for j in range(n):
        likely = _FLOOR
        if top > 0.0:
            here = cleaned[k_low + j] / top
            twice = cleaned[2 * (k_low + j)] / top
            likely += here + _HARMONIC * min(here, twice)
        prior = (1.0 - JUMP_SHARE) * moved[j] + JUMP_SHARE / n
        belief[j] = prior * math.pow(likely, _SHARPNESS)
        total += belief[j]
    for j in range(n):
        belief[j] /= total
