"""A signal at another rate: polyphase filter, exact indices, whole or in pieces the same bits."""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.kernel import new_record, restored_record
from processors.dsp.resample_kernel import POSITION, resample
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import State, translated_errors

_KIND = "resampler"
_VERSION = 1

RATIO_MAX: Final = 1024
"""Of either number: a ratio of larger ones is a drift of clocks, and no resampling."""
_STOP_DB: Final = 60.0
_PASSED: Final = 0.7
"""Of half the lower rate, what passes; between that and half the rate the filter falls off."""


class Resampler:
    """Changes the rate by a ratio of whole numbers, and keeps time.

    Output sample ``j`` is the signal at the time of input sample ``j * fs_in / fs_out``: nothing is
    shifted. It is known ``delay_s`` later. It starts as though the first sample had always been
    there.

    Parameters
    ----------
    fs_in_hz, fs_out_hz
        Rates; their ratio, as one of whole numbers, may not need more than ``RATIO_MAX``.
    """

    def __init__(self, fs_in_hz: float, fs_out_hz: float) -> None:
        if not (0 < fs_in_hz < math.inf and 0 < fs_out_hz < math.inf):
            raise ValueError(f"{fs_in_hz} and {fs_out_hz} Hz are no rates")
        ratio = Fraction(fs_out_hz) / Fraction(fs_in_hz)
        near = ratio.limit_denominator(RATIO_MAX)
        if near.numerator > RATIO_MAX or abs(near / ratio - 1) > 1e-9:  # noqa: PLR2004
            raise ValueError(f"{fs_in_hz} to {fs_out_hz} Hz is no ratio of small whole numbers")
        self._fs_in_hz = float(fs_in_hz)
        self._fs_out_hz = float(fs_out_hz)
        self._up, self._down = near.numerator, near.denominator
        self._phases = _phases(self._up, self._down)
        self._ring = np.zeros(2 * self._phases.shape[1])
        self._record = new_record(POSITION)

    @property
    def delay_s(self) -> float:
        """How long after its time a sample is known, at most."""
        return float((self._phases.shape[1] // 2 + 1) / self._fs_in_hz)

    @property
    def i_out(self) -> int:
        """Index of the next sample out, on its own grid."""
        return int(self._record["i_out"].item())

    def clock(self, clock: SampleClock) -> SampleClock:
        """Return the times of the samples out, of those in."""
        return SampleClock(
            epoch_ns=clock.epoch_ns,
            period_num_ns=clock.period_num_ns * self._down,
            period_den=clock.period_den * self._up,
        )

    def process(self, chunk: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take the next ``(n_samples,)``, return what is known by now; same unit out as in."""
        resampled = np.empty(chunk.size * self._up // self._down + 2)
        n_out = resample(
            self._record,
            self._phases,
            self._ring,
            self._up,
            self._down,
            np.ascontiguousarray(chunk, dtype=np.float64),
            resampled,
        )
        return resampled[:n_out]

    def start_at(self, i_in: int) -> None:
        """Begin, or begin anew behind a gap, with sample ``i_in``; outputs before it are none."""
        self._ring[:] = 0.0
        self._record["i_in"] = i_in
        self._record["i_start"] = i_in
        self._record["i_out"] = -(-i_in * self._up // self._down)

    def _is_in_step(self) -> bool:
        """Tell whether the next sample out is the first that is not known yet."""
        i_in, i_start = int(self._record["i_in"].item()), int(self._record["i_start"].item())
        half = self._phases.shape[1] // 2
        unknown = max(
            -(-(i_in - half) * self._up // self._down), -(-i_start * self._up // self._down)
        )
        return i_in >= i_start and self.i_out == unknown

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_in_hz": self._fs_in_hz, "fs_out_hz": self._fs_out_hz},
            arrays={"ring": self._ring[: self._ring.size // 2]},
            children={"kernel": self._record.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> Resampler:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_in_hz"), kept.number("fs_out_hz"))
            restored._record = restored_record(kept.child("kernel"), POSITION)
            if not restored._is_in_step():
                raise ValueError("samples in and out that do not belong together")
        half = kept.float_array("ring", (restored._ring.size // 2,))
        restored._ring = np.tile(half, 2)
        return restored


def _phases(up: int, down: int) -> NDArray[np.float64]:
    """Weights of a Kaiser-windowed sinc for each of the ``up`` places between two samples.

    Each place's sum to one, so that a constant stays what it is.
    """
    if up == down:
        return np.ones((1, 1))
    edge = min(1.0, up / down)
    n_taps, beta = signal.kaiserord(_STOP_DB, (1 - _PASSED) * edge)
    half = n_taps // 2 + 1
    # the newest sample lies half behind, the oldest half before the place
    k = np.arange(2 * half + 1)
    places = np.arange(up)[:, None] / up
    away = half - k[None, :] - places
    cutoff = edge * (1 + _PASSED) / 2
    window = np.i0(beta * np.sqrt(np.clip(1 - (away / (half + 1)) ** 2, 0, None)))
    weights = np.sinc(cutoff * away) * window
    return np.ascontiguousarray(weights / weights.sum(axis=1, keepdims=True))
