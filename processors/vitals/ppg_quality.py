"""How far a photoplethysmogram can be believed, over the last ten seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.dsp.kernel import Record
from processors.vitals.ppg_quality_kernel import (
    CLIPPED,
    FLAT_S,
    N_COUNT,
    N_FEATURES,
    N_OUT,
    PERFUSION,
    look_back,
)
from processors.vitals.reasons import NoValueReason

WINDOW_S: Final = 10.0
WARM_UP_S: Final = 4.0
"""The detector learns so long."""
QUALITY_MIN: Final = 0.8
"""Below this a rate is not shown."""
FLAT_S_MAX: Final = 2.0
"""No finger and no heart holds a signal still for so long, even in steps."""
CLIPPED_SHARE_MAX: Final = 0.15
PERFUSION_PERCENT_MIN: Final = 0.02
"""The least at which finger oximeters claim to work."""

#           weak doubt unlike odd uneven unsteady long short overdue
_WEIGHTS = (1.7, 1.6, 0.0, 0.2, 0.5, 0.1, 4.0, 1.7, 1.0)
_OFFSET: Final = -4.2
"""Weights and offset: logistic regression, no weight below zero, over monitor recordings, against
the beats of the ECG; held to what was found with each recording left out; rounded, and
the offset moved by 0.2 to the safe side."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is said of the ten seconds before an instant."""

    quality: float
    """About the probability that the rate is right within 5 bpm."""
    reason: NoValueReason | None
    """Why no rate may be shown."""
    connected: bool
    perfusion_percent: float | None
    """Median of pulse height over level; None without two pulses."""


class PulseQuality:
    """Judge from what the pulse-wave detector remembers; it has no memory of its own."""

    def __init__(self, fs_hz: float, *, has_dc: bool) -> None:
        self._fs_hz = fs_hz
        self._has_dc = has_dc
        self._n_window = round(WINDOW_S * fs_hz)
        self._out = np.zeros(N_OUT)

    def judge(self, record: Record, i_end: int, *, young: bool) -> Assessment:
        """Judge the samples before ``i_end``.

        Parameters
        ----------
        record
            `PulseWaveDetector.record`, all beats before ``i_end`` being known.
        young
            The signal began less than ``WARM_UP_S`` ago.
        """
        look_back(record, i_end, self._n_window, self._fs_hz, self._out)
        said = self._out.tolist()
        perfusion = 100.0 * said[PERFUSION] if said[N_COUNT] >= 2 else None  # noqa: PLR2004
        if said[FLAT_S] >= FLAT_S_MAX:
            at_top = said[CLIPPED] > CLIPPED_SHARE_MAX
            reason = NoValueReason.SATURATED if at_top else NoValueReason.LEAD_OFF
            return Assessment(0.0, reason, connected=False, perfusion_percent=None)
        quality = _likelihood(said)
        return Assessment(
            quality,
            self._reason(said, quality, young=young),
            connected=True,
            perfusion_percent=perfusion,
        )

    def _reason(self, said: list[float], quality: float, *, young: bool) -> NoValueReason | None:
        if young:
            return NoValueReason.WARMING_UP
        if said[CLIPPED] > CLIPPED_SHARE_MAX:
            return NoValueReason.SATURATED
        if self._has_dc and said[N_COUNT] and 100.0 * said[PERFUSION] < PERFUSION_PERCENT_MIN:
            return NoValueReason.LOW_PERFUSION
        return NoValueReason.POOR_SIGNAL if quality < QUALITY_MIN else None


def _likelihood(said: list[float]) -> float:
    if said[N_COUNT] < 3:  # noqa: PLR2004
        return 0.0
    score = _OFFSET
    for j in range(N_FEATURES):
        score += _WEIGHTS[j] * said[j]
    return 1.0 / (1.0 + math.exp(score))
