"""Ventricular fibrillation or flutter, suspected from the samples of one lead alone.

An ECG with complexes stands at its baseline most of the time, and a filter at its mean frequency
removes little of it. Fibrillation and flutter are never at rest, and they are one band of some
3 to 8 Hz: half a period later the signal is nearly its own negative. The score is the share of time
away from the baseline less the leakage of that filter.

Source: Arafat, Chowdhury and Hasan, Signal Image Video Process 5:1-10 (2011), share of threshold
crossing samples; Kuo and Dillman, Comput Cardiol 347-349 (1978), leakage of the VF filter.
"""

from __future__ import annotations

import functools
from collections import deque
from typing import Final

import numpy as np
from numpy.typing import NDArray
from scipy import signal

from processors.dsp.at_rest import sections_at_rest
from processors.dsp.fibrillation_kernel import (
    FIBRILLATION_DTYPE,
    N_FIGURES,
    WINDOW_S,
    follow_fibrillation,
)
from processors.dsp.kernel import new_record, restored_record
from processors.dsp.state import State, translated_errors

_KIND = "fibrillation"
_VERSION = 1

HOP_S: Final = 1.0
_FS_LOW_HZ_MIN: Final = 100.0
_FS_HZ_MIN: Final = 100.0
_FS_HZ_MAX: Final = 2000.0
_BAND_HZ: Final = (2.5, 20.0)
"""Wander, T waves and the slow part of electrode motion stay outside; fibrillation is inside."""


class FibrillationDetector:
    """Every second a verdict on the last six seconds.

    Parameters
    ----------
    fs_hz
        Sampling rate, 100..2000.

    Raises
    ------
    ValueError
        The rate is outside its range.
    """

    def __init__(self, fs_hz: float) -> None:
        if not _FS_HZ_MIN <= fs_hz <= _FS_HZ_MAX:
            raise ValueError(f"{fs_hz} Hz is not within {_FS_HZ_MIN} to {_FS_HZ_MAX} Hz")
        self._fs_hz = float(fs_hz)
        self._n_per_block = max(1, int(fs_hz // _FS_LOW_HZ_MIN))
        self._fs_low_hz = fs_hz / self._n_per_block
        self._n_hop = round(HOP_S * self._fs_low_hz)
        self._window = np.empty(round(WINDOW_S * self._fs_low_hz))
        sos, at_rest = _band(self._fs_low_hz)
        self._sos, self._at_rest = sos.copy(), at_rest.copy()
        self._record = new_record(FIBRILLATION_DTYPE)
        self._verdicts: deque[list[float]] = deque()

    @property
    def fs_hz(self) -> float:
        """Sampling rate."""
        return self._fs_hz

    def process(self, chunk_uv: NDArray[np.float64]) -> None:
        """Take the next ``(n_samples,)`` in microvolt, all finite."""
        n_rows = chunk_uv.size // (self._n_per_block * self._n_hop) + 1
        verdicts = np.empty((n_rows, N_FIGURES))
        n_rows = follow_fibrillation(
            self._record,
            self._sos,
            self._at_rest,
            chunk_uv,
            self._n_per_block,
            self._window,
            self._n_hop,
            self._fs_low_hz,
            verdicts,
        )
        if n_rows:
            self._verdicts.extend(verdicts[:n_rows].tolist())

    def at(self, i_end: int) -> tuple[bool | None, float]:
        """Give the newest verdict on samples before ``i_end``, which may not descend.

        Returns
        -------
        suspected
            None: no window of samples is full yet since the start or the gap.
        confidence
            0.5..1 in what is said; 0 if nothing is said.
        """
        verdicts = self._verdicts
        while len(verdicts) > 1 and verdicts[1][0] <= i_end:
            verdicts.popleft()
        if not verdicts or verdicts[0][0] > i_end:
            return None, 0.0
        _, suspected, confidence = verdicts[0]
        return suspected > 0.0, confidence

    def skip(self, n_samples: int) -> None:
        """Pass a gap: start anew behind it."""
        i_next = int(self._record[0]["i_next"]) + n_samples
        self._record = new_record(FIBRILLATION_DTYPE)
        self._record[0]["i_next"] = i_next
        self._verdicts.clear()

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_hz": self._fs_hz},
            arrays={"verdicts": np.array(self._verdicts, dtype=np.float64).reshape(-1, N_FIGURES)},
            children={"kernel": self._record.tobytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> FibrillationDetector:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"))
        restored._record = restored_record(kept.child("kernel"), FIBRILLATION_DTYPE)
        restored._verdicts.extend(kept.float_array("verdicts", (None, N_FIGURES)).tolist())
        return restored


@functools.lru_cache(maxsize=16)
def _band(fs_hz: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Sections of the band, and what they remember of a constant."""
    low, high = _BAND_HZ
    sos = np.ascontiguousarray(
        np.concatenate(
            [
                signal.butter(2, low, "highpass", fs=fs_hz, output="sos"),
                signal.butter(2, high, "lowpass", fs=fs_hz, output="sos"),
            ]
        ),
        dtype=np.float64,
    )
    return sos, sections_at_rest(sos)
