"""Heart rate variability in the frequency domain, from the NN intervals where they are.

Lomb's periodogram (Lomb, Astrophys Space Sci 39:447-462, 1976; Scargle, Astrophys J 263:835-853,
1982; for heart rate: Moody, Comput Cardiol 20:465-468, 1993; Laguna, Moody and Mark, IEEE Trans
Biomed Eng 45:698-715, 1998) needs no even grid: nothing is resampled, and an interval that is left
out is simply not there. Bands are those of the Task Force of the ESC and NASPE (Circulation
93:1043-1065, 1996).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.vitals import hrv_kernel
from processors.vitals.nn_intervals import TooFewIntervalsError

Floats = NDArray[np.float64]

ULF_HZ_MAX: Final = 0.003
VLF_HZ_MAX: Final = 0.04
LF_HZ_MAX: Final = 0.15
HF_HZ_MAX: Final = 0.4
N_SPECTRUM_MIN: Final = 16
"""Fewer intervals than this have no spectrum to speak of."""

_MS_PER_S = 1e3


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """One-sided power spectral density at whole multiples of ``step_hz``."""

    step_hz: float
    density_ms2_per_hz: Floats
    """Shape (n_steps,); the first value is at ``step_hz``, not at 0."""

    @property
    def frequency_hz(self) -> Floats:
        """Where the values are, shape (n_steps,)."""
        return np.arange(1, self.density_ms2_per_hz.size + 1, dtype=np.float64) * self.step_hz

    def power_ms2(self, low_hz: float, high_hz: float) -> float:
        """Power in ``low_hz <= f < high_hz``: the sum of the density there, times the step."""
        first = _first_step(low_hz, self.step_hz)
        end = _first_step(high_hz, self.step_hz)
        return float(self.density_ms2_per_hz[first - 1 : end - 1].sum() * self.step_hz)


def _first_step(f_hz: float, step_hz: float) -> int:
    """First multiple of the step at or above a frequency; a band's edge may be one."""
    return max(1, math.ceil(f_hz / step_hz - 1e-9))


def lomb_scargle(
    t_s: Floats, nn_s: Floats, window_s: float, *, f_hz_max: float = HF_HZ_MAX, trend: bool = True
) -> Spectrum:
    """Give the spectrum of NN intervals, each at the time of the beat that ends it.

    The grid is ``1 / window_s``, as a Fourier transform of the window has it: the sum over the
    grid is the variance, a sine of amplitude A gives A²/2, and gaps change neither, because the
    density counts the time that intervals cover (periodogram times twice the mean NN interval).
    It ends at half the mean heart rate where that is below ``f_hz_max``: above, the values are a
    mirror image of those below.

    Parameters
    ----------
    t_s : shape (n_intervals,)
        Time of each interval, ascending, in seconds from any origin.
    nn_s : shape (n_intervals,)
        NN intervals in seconds; n_intervals >= 16.
    window_s
        Length of the window that they come from.
    f_hz_max
        End of the grid, not part of it.
    trend
        Whether the straight line is taken away (least squares), or only the mean.

    Raises
    ------
    TooFewIntervalsError
    """
    if nn_s.size < N_SPECTRUM_MIN:
        raise TooFewIntervalsError(figure="spectrum", needed=N_SPECTRUM_MIN, available=nn_s.size)
    mean_s = float(nn_s.mean())
    step_hz = 1.0 / window_s
    n_steps = _first_step(min(f_hz_max, 0.5 / mean_s), step_hz) - 1
    from_s = t_s - float(t_s.mean())
    off_ms = _MS_PER_S * (nn_s - mean_s)
    if trend:
        off_ms = off_ms - from_s * float((from_s * off_ms).sum() / (from_s * from_s).sum())
    power_ms2 = hrv_kernel.lomb_scargle(from_s, off_ms, step_hz, n_steps)
    density = 2.0 * mean_s * power_ms2
    return Spectrum(step_hz=step_hz, density_ms2_per_hz=density)


def ulf_power_ms2(t_s: Floats, mean_nn_s: Floats, *, bin_s: float, window_s: float) -> float:
    """Power below 0.003 Hz of a long window, from means of NN over bins of equal length.

    Parameters
    ----------
    t_s : shape (n_bins,)
        Middle of each bin that has intervals, ascending.
    mean_nn_s : shape (n_bins,)
        Mean of the NN intervals that end in it, in seconds; n_bins >= 16.
    bin_s
        Length of a bin. The mean takes away what is faster: at 0.003 Hz, 30 s take 3 %.
    window_s
        Length of the window; its mean, but no trend is taken away, as the day's course is part of
        this band.

    Raises
    ------
    TooFewIntervalsError
    """
    if mean_nn_s.size < N_SPECTRUM_MIN:
        raise TooFewIntervalsError(figure="ULF", needed=N_SPECTRUM_MIN, available=mean_nn_s.size)
    step_hz = 1.0 / window_s
    n_steps = _first_step(ULF_HZ_MAX, step_hz) - 1
    off_ms = _MS_PER_S * (mean_nn_s - float(mean_nn_s.mean()))
    power_ms2 = hrv_kernel.lomb_scargle(t_s - float(t_s[0]), off_ms, step_hz, n_steps)
    return float(2.0 * bin_s * power_ms2.sum() * step_hz)
