"""How far a photoplethysmogram can be believed, over the last ten seconds."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.dsp.kernel import Record
from processors.dsp.pulse_waves_layout import N_BEATS
from processors.vitals.ppg_quality_kernel import (
    CLIPPED,
    FLAT_S,
    HALVED,
    N_COLUMNS,
    N_COUNT,
    N_OUT,
    N_TRUSTED,
    PERFUSION,
    QUALITY,
    SLOWER,
    SPAN,
    look_back,
)
from processors.vitals.reasons import NoValueReason

WINDOW_S: Final = 10.0
WARM_UP_S: Final = 4.0
"""The detector learns so long."""
QUALITY_MIN: Final = 0.88
"""Below this a rate is not shown: of those above, ninety-nine in a hundred are right in recordings
that were left out of the fit."""
FLAT_S_MAX: Final = 2.0
"""No finger and no heart holds a signal still for so long, even in steps."""
CLIPPED_SHARE_MAX: Final = 0.15
PERFUSION_PERCENT_MIN: Final = 0.02
"""The least at which finger oximeters claim to work."""


@dataclass(frozen=True, slots=True)
class Assessment:
    """What is said of the ten seconds before an instant."""

    quality: float
    """About the probability that the rate is right within 5 bpm."""
    reason: NoValueReason | None
    """Why no rate may be shown."""
    connected: bool
    interval_samples: float | None = None
    """Mean of the intervals that are believed; None without one."""
    perfusion_percent: float | None = None
    """Median of pulse height over level; None without two pulses."""
    halved_from_samples: float | None = None
    """Usual interval before, where the present ones are suddenly about twice as long and would be
    believed otherwise."""


class PulseQuality:
    """Judge from what the pulse-wave detector remembers; it has no memory of its own."""

    def __init__(self, fs_hz: float, *, has_dc: bool) -> None:
        self._fs_hz = fs_hz
        self._has_dc = has_dc
        self._n_window = round(WINDOW_S * fs_hz)
        self._table = np.zeros((N_BEATS, N_COLUMNS))
        self._out = np.zeros(N_OUT)

    def judge(self, record: Record, i_first: int, i_end: int, *, young: bool) -> Assessment:
        """Judge the samples before ``i_end``.

        Parameters
        ----------
        record
            `PulseWaveDetector.record`, all beats before ``i_end`` being known.
        i_first
            The sensor has been on since this sample: no interval begins before.
        young
            The signal began less than ``WARM_UP_S`` ago.
        """
        look_back(record, i_first, i_end, self._n_window, self._fs_hz, self._table, self._out)
        said = self._out.tolist()
        if said[FLAT_S] >= FLAT_S_MAX:
            at_top = said[CLIPPED] > CLIPPED_SHARE_MAX
            reason = NoValueReason.SATURATED if at_top else NoValueReason.LEAD_OFF
            return Assessment(0.0, reason, connected=False)
        interval = said[SPAN] / said[N_TRUSTED] if said[N_TRUSTED] else None
        halved_from = None
        if interval is not None and said[HALVED] >= QUALITY_MIN:
            halved_from = interval / math.exp(said[SLOWER])
        return Assessment(
            said[QUALITY],
            self._reason(said, young=young),
            connected=True,
            interval_samples=interval,
            halved_from_samples=halved_from,
            perfusion_percent=100.0 * said[PERFUSION] if said[N_COUNT] >= 2 else None,  # noqa: PLR2004
        )

    def _reason(self, said: list[float], *, young: bool) -> NoValueReason | None:
        if young:
            return NoValueReason.WARMING_UP
        if said[CLIPPED] > CLIPPED_SHARE_MAX:
            return NoValueReason.SATURATED
        if self._has_dc and said[N_COUNT] and 100.0 * said[PERFUSION] < PERFUSION_PERCENT_MIN:
            return NoValueReason.LOW_PERFUSION
        return NoValueReason.POOR_SIGNAL if said[QUALITY] < QUALITY_MIN else None
