"""Activity counts per minute, as ActiGraph's devices count and epidemiology compares.

Source: Neishabouri et al., Sci Rep 12:11958 (2022), which publishes the resampling, the filter and
the thresholds of the devices at 30, 40 .. 100 Hz. Faster ones are averaged down to those first;
between the samples of any other rate go straight lines: the devices' one-pole filter would fold
much of gravity itself into the band.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.at_rest import taps_at_rest
from processors.dsp.counts_kernel import (
    COUNTS,
    N_TAPS,
    SMOOTHED,
    STRAIGHT,
    THINNED,
    follow_counts,
)
from processors.dsp.kernel import new_record, restored_record
from processors.dsp.state import State, translated_errors
from processors.vitals.derived import Algorithm

_KIND = "activity_counter"
_VERSION = 1

COUNTS_HZ: Final = 10.0
"""The devices sum ten values a second."""

_WORK_HZ: Final = 30
_PUBLISHED_HZ: Final = (30, 40, 50, 60, 70, 80, 90, 100)
_UP_MAX: Final = 32
_B: Final = (
    -0.009341062898525,
    -0.025470289659360,
    -0.004235264826105,
    0.044152415456420,
    0.036493718347760,
    -0.011893961934740,
    -0.022917390623150,
    -0.006788163862310,
)
_A: Final = (
    1.0,
    -3.63367395910957,
    5.03689812757486,
    -3.09612247819666,
    0.50620507633883,
    0.32421701566682,
    -0.15685485875559,
    0.01949130205890,
)
"""The band-pass at 30 Hz (0.29 to 1.63 Hz), as published."""
_SCALE: Final = (3.0 / 4096.0) / (2.6 / 256.0) * 237.5
"""Counts per g, as published."""

ACTIVITY: Final = Algorithm(
    name="activity_counts",
    version=1,
    method=(
        "ActiGraph's counts: 30 Hz, band-pass of 0.29 to 1.63 Hz, dead band of 4 and ceiling of"
        " 128 counts, summed per axis over the minute; the length of the vector of the three."
    ),
    source="Neishabouri et al., Sci Rep 12:11958 (2022)",
    delay_s=0.0,
    averaging="The minute of event time that ends; once a minute.",
    validity=(
        "At least 95 % of the minute was measured, and less than 5 % of it at the end of the"
        " device's range."
    ),
)


class ActivityCounter:
    """Sums counts until asked for them; any cutting of the input gives the same.

    Parameters
    ----------
    fs_hz
        Sampling rate, 10..400.
    """

    def __init__(self, fs_hz: float) -> None:
        self.fs_hz = float(fs_hz)
        self._n_pool = math.ceil(fs_hz / max(_PUBLISHED_HZ))
        ratio = Fraction(fs_hz / self._n_pool / _WORK_HZ).limit_denominator(_UP_MAX)
        self._up, self._down = ratio.denominator, ratio.numerator
        self._between = THINNED if self._up == 1 else SMOOTHED
        if round(fs_hz / self._n_pool, 1) not in _PUBLISHED_HZ:
            self._between = STRAIGHT
        self._b = np.array(_B)
        self._a = np.array(_A)
        at_rest = np.zeros(N_TAPS)
        at_rest[: N_TAPS - 1] = taps_at_rest(self._b, self._a)
        self._at_rest = at_rest
        self._record = new_record(COUNTS)

    @property
    def n_counts(self) -> int:
        """How many tenths of a second were counted since the last ``take``."""
        return int(self._record["n_counts"].item())

    def process(self, chunk_g: NDArray[np.float64], i_begin: int, i_end: int) -> None:
        """Take the columns ``i_begin..i_end - 1`` of ``(3, n_samples)`` in g."""
        follow_counts(
            self._record,
            self._b,
            self._a,
            self._at_rest,
            chunk_g,
            i_begin,
            i_end,
            self._n_pool,
            self._up,
            self._down,
            self._between,
            _SCALE,
        )

    def take(self) -> tuple[float, float, float]:
        """Return the counts of the three axes since the last call, and start counting anew."""
        x, y, z = self._record["counts"][0].tolist()
        self._record["counts"] = 0.0
        self._record["n_counts"] = 0
        return x, y, z

    def reset(self) -> None:
        """Forget the signal so far, and keep the counts of the minute."""
        record = new_record(COUNTS)
        record["counts"] = self._record["counts"]
        record["n_counts"] = self._record["n_counts"]
        self._record = record

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_hz": self.fs_hz},
            children={"kernel": self._record.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> ActivityCounter:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"))
            restored._record = restored_record(kept.child("kernel"), COUNTS)
        return restored
