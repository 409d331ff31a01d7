"""Filters that remember their state: whole or in pieces, the same output bit for bit.

A recursive filter (`SosFilter`) is cheap and turns the phase; a finite one (`FirFilter`) delays all
frequencies alike. Each says by how much.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.at_rest import sections_at_rest
from processors.dsp.filters_kernel import filter_sections, filter_taps
from processors.dsp.state import State, translated_errors

_KIND = "sos_filter"
_FIR_KIND = "fir_filter"
_VERSION = 1
_STOP_DB = 60.0


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
        self._at_rest = sections_at_rest(self._sos)
        self._state: NDArray[np.float64] | None = None

    def process(self, chunk: NDArray[np.float64]) -> NDArray[np.float64]:
        """Filter the next ``(n_samples,)`` of the signal; same unit out as in."""
        if chunk.size == 0:
            return chunk
        memory = self._at_rest * chunk[0] if self._state is None else self._state
        self._state = memory
        filtered = np.empty(chunk.size)
        samples = np.ascontiguousarray(chunk, dtype=np.float64)
        filter_sections(self._sos, memory, samples, filtered)
        return filtered

    def reset(self) -> None:
        """Forget the signal so far."""
        self._state = None

    def group_delay_s(self, f_hz: float) -> float:
        """How late a packet of waves around ``f_hz`` leaves the filter."""
        return group_delay_s(self._sos, self._fs_hz, f_hz)

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


class FirFilter:
    """A finite impulse response.

    It starts as though the first sample had always been there.

    Parameters
    ----------
    taps : shape (n_taps,)
        The one of the newest sample first.
    fs_hz
        Sampling rate.
    """

    def __init__(self, taps: NDArray[np.float64], fs_hz: float) -> None:
        if taps.ndim != 1 or taps.size == 0 or not np.isfinite(taps).all():
            raise ValueError("taps are at least one finite number in a row")
        self._taps = np.ascontiguousarray(taps, dtype=np.float64)
        self._fs_hz = float(fs_hz)
        self._ring = np.zeros(2 * taps.size)
        self._at = 0
        self._started = False

    def process(self, chunk: NDArray[np.float64]) -> NDArray[np.float64]:
        """Filter the next ``(n_samples,)`` of the signal; same unit out as in."""
        if chunk.size == 0:
            return chunk
        if not self._started:
            self._started = True
            self._ring[:] = chunk[0]
        filtered = np.empty(chunk.size)
        self._at = int(
            filter_taps(
                self._taps,
                self._ring,
                self._at,
                np.ascontiguousarray(chunk, dtype=np.float64),
                filtered,
            )
        )
        return filtered

    def reset(self) -> None:
        """Forget the signal so far."""
        self._started = False
        self._at = 0

    @property
    def delay_s(self) -> float:
        """How late everything leaves the filter; ValueError where that depends on the frequency."""
        if not np.allclose(self._taps, self._taps[::-1], rtol=1e-9, atol=1e-15):
            raise ValueError("taps that are not symmetric have no one delay")
        return (self._taps.size - 1) / 2 / self._fs_hz

    def to_bytes(self) -> bytes:
        """Everything the filter remembers."""
        return State(
            kind=_FIR_KIND,
            version=_VERSION,
            scalars={"fs_hz": self._fs_hz, "at": self._at, "started": self._started},
            arrays={"taps": self._taps, "ring": self._ring[: self._taps.size]},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> FirFilter:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_FIR_KIND, version=_VERSION)
        with translated_errors(_FIR_KIND):
            restored = cls(kept.float_array("taps", (None,)), kept.number("fs_hz"))
        n_taps = restored._taps.size
        restored._ring = np.tile(kept.float_array("ring", (n_taps,)), 2)
        restored._at = kept.integer("at") % n_taps
        restored._started = kept.flag("started")
        return restored


def group_delay_s(sos: NDArray[np.float64], fs_hz: float, f_hz: float) -> float:
    """How late a packet of waves around ``f_hz`` leaves these second-order sections."""
    step_hz = 1e-3
    _, response = signal.sosfreqz(sos, worN=np.array([f_hz - step_hz, f_hz + step_hz]), fs=fs_hz)
    turn_rad = float(np.angle(response[0] * np.conj(response[1])))
    return turn_rad / (2 * np.pi * 2 * step_hz)


def bandpass(low_hz: float, high_hz: float, fs_hz: float, order: int) -> SosFilter:
    """Butterworth band-pass; ``order`` counts each edge, as Butterworth's own does."""
    if not 0 < low_hz < high_hz < fs_hz / 2:
        raise ValueError(f"{low_hz}..{high_hz} Hz is no band below half of {fs_hz} Hz")
    sos = signal.butter(order, [low_hz, high_hz], "bandpass", fs=fs_hz, output="sos")
    return SosFilter(sos, fs_hz)


def lowpass(edge_hz: float, fs_hz: float, order: int) -> SosFilter:
    """Butterworth low-pass."""
    return SosFilter(_butterworth(edge_hz, fs_hz, order, "lowpass"), fs_hz)


def highpass(edge_hz: float, fs_hz: float, order: int) -> SosFilter:
    """Butterworth high-pass: the baseline goes, and slow waves turn (see ``group_delay_s``)."""
    return SosFilter(_butterworth(edge_hz, fs_hz, order, "highpass"), fs_hz)


def linear_bandpass(low_hz: float, high_hz: float, fs_hz: float, edge_hz: float) -> FirFilter:
    """Kaiser-windowed band-pass of linear phase, 60 dB down within ``edge_hz`` of its edges."""
    if not 0 < edge_hz <= low_hz < high_hz <= fs_hz / 2 - edge_hz:
        raise ValueError(f"{low_hz}..{high_hz} Hz with edges of {edge_hz} Hz is no band")
    n_taps, beta = signal.kaiserord(_STOP_DB, 2 * edge_hz / fs_hz)
    taps = signal.firwin(
        n_taps | 1, [low_hz, high_hz], window=("kaiser", beta), pass_zero=False, fs=fs_hz
    )
    return FirFilter(np.asarray(taps, dtype=np.float64), fs_hz)


def _butterworth(
    edge_hz: float, fs_hz: float, order: int, kind: Literal["lowpass", "highpass"]
) -> NDArray[np.float64]:
    if not 0 < edge_hz < fs_hz / 2:
        raise ValueError(f"{edge_hz} Hz is no edge below half of {fs_hz} Hz")
    return signal.butter(order, edge_hz, kind, fs=fs_hz, output="sos")
