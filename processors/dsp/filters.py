"""IIR filters that remember their state: whole or in pieces, the same output bit for bit."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.state import State, translated_errors

_KIND = "sos_filter"
_VERSION = 1


class SosFilter:
    """A cascade of second-order sections.

    It starts as though the first sample had always been there: a constant offset of any size
    gives no start-up transient.

    Parameters
    ----------
    sos : shape (n_sections, 6)
    fs_hz
        Sampling rate.
    """

    def __init__(self, sos: NDArray[np.float64], fs_hz: float) -> None:
        if sos.size == 0 or not (sos[:, 3] == 1.0).all():
            raise ValueError("second-order sections have 1 as their fourth coefficient")
        self._sos = np.ascontiguousarray(sos, dtype=np.float64)
        self._fs_hz = float(fs_hz)
        self._at_rest = signal.sosfilt_zi(self._sos)
        self._state: NDArray[np.float64] | None = None

    def process(self, chunk: NDArray[np.float64]) -> NDArray[np.float64]:
        """Filter the next ``(n_samples,)`` of the signal; same unit out as in."""
        if chunk.size == 0:
            return chunk
        if self._state is None:
            self._state = self._at_rest * chunk[0]
        filtered, self._state = signal.sosfilt(self._sos, chunk, zi=self._state)
        return filtered

    def reset(self) -> None:
        """Forget the signal so far."""
        self._state = None

    def group_delay_s(self, f_hz: float) -> float:
        """How late a packet of waves around ``f_hz`` leaves the filter."""
        step_hz = 1e-3
        _, response = signal.sosfreqz(
            self._sos, worN=np.array([f_hz - step_hz, f_hz + step_hz]), fs=self._fs_hz
        )
        turn_rad = float(np.angle(response[0] * np.conj(response[1])))
        return turn_rad / (2 * np.pi * 2 * step_hz)

    def to_bytes(self) -> bytes:
        """Everything the filter remembers."""
        state = np.empty((0, 2)) if self._state is None else self._state
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_hz": self._fs_hz},
            arrays={"sos": self._sos, "state": state},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> SosFilter:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.float_array("sos", (None, 6)), kept.number("fs_hz"))
        memory = kept.float_array("state", (None, 2))
        restored._state = memory if memory.size else None
        return restored


def bandpass(low_hz: float, high_hz: float, fs_hz: float, order: int) -> SosFilter:
    """Butterworth band-pass; ``order`` counts each edge, as Butterworth's own does."""
    if not 0 < low_hz < high_hz < fs_hz / 2:
        raise ValueError(f"{low_hz}..{high_hz} Hz is no band below half of {fs_hz} Hz")
    sos = signal.butter(order, [low_hz, high_hz], "bandpass", fs=fs_hz, output="sos")
    return SosFilter(sos, fs_hz)
