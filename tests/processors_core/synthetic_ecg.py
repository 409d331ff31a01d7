"""ECG that is known exactly: a sum of bell curves around given R peaks."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Wave:
    """One bell curve of a beat: when after the R peak, how wide, how high."""

    at_s: float
    width_s: float
    height_uv: float


NORMAL = (
    Wave(-0.16, 0.022, 110.0),
    Wave(-0.03, 0.009, -120.0),
    Wave(0.0, 0.011, 1000.0),
    Wave(0.03, 0.010, -220.0),
    Wave(0.27, 0.045, 260.0),
)
TALL_T = (*NORMAL[:-1], Wave(0.27, 0.045, 1000.0))
WIDE = (Wave(0.0, 0.040, 1300.0), Wave(0.28, 0.060, -500.0))
"""A ventricular beat: no P wave, a broad complex, an opposite T wave."""


def ecg_uv(
    r_peaks_s: Floats,
    fs_hz: float,
    duration_s: float,
    beats: tuple[tuple[Wave, ...], ...] = (NORMAL,),
) -> Floats:
    """Draw a beat at each R peak; ``beats`` are taken in turn."""
    t = np.arange(round(duration_s * fs_hz)) / fs_hz
    ecg = np.zeros(t.size)
    for n, r_s in enumerate(r_peaks_s):
        for wave in beats[n % len(beats)]:
            ecg += wave.height_uv * np.exp(-0.5 * ((t - r_s - wave.at_s) / wave.width_s) ** 2)
    return ecg


def regular_s(rr_s: float, duration_s: float, first_s: float = 0.5) -> Floats:
    """R peaks at an even pace, none within the last half second."""
    return np.arange(first_s, duration_s - 0.5, rr_s)
