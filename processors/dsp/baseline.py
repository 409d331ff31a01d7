"""Baseline wander, taken out without turning a wave: late, but in shape."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from processors.dsp.state import State, translated_errors
from processors.dsp.windows import MovingMean

_KIND = "baseline_remover"
_VERSION = 1

WINDOW_S: Final = 0.8
"""Two means of this length pass what is slower than half a hertz, and hardly a T wave."""


class BaselineRemover:
    """Subtracts from each sample the mean of the mean around it: linear phase, no overshoot.

    It starts as though the first sample had always been there.

    Parameters
    ----------
    fs_hz
        Sampling rate.
    window_s
        Length of each of the two means.
    """

    def __init__(self, fs_hz: float, window_s: float = WINDOW_S) -> None:
        if not (fs_hz > 0 and window_s * fs_hz > 0):
            raise ValueError(f"{window_s} s at {fs_hz} Hz is no window")
        self._fs_hz = float(fs_hz)
        self._window_s = float(window_s)
        n_window = round(window_s * fs_hz) | 1
        self._n_late = n_window - 1
        self._first = MovingMean(n_window)
        self._second = MovingMean(n_window)
        self._recent = np.zeros(0)

    @property
    def delay_s(self) -> float:
        """How late everything is."""
        return self._n_late / self._fs_hz

    def process(self, chunk: NDArray[np.float64]) -> NDArray[np.float64]:
        """Take the next ``(n_samples,)``; as many come out, ``delay_s`` late, in the same unit."""
        samples = np.ascontiguousarray(chunk, dtype=np.float64)
        if samples.size == 0:
            return samples
        if self._recent.size == 0:
            self._recent = np.full(self._n_late, samples[0])
            self._second.process(self._first.process(np.full(2 * self._n_late + 1, samples[0])))
        baseline = self._second.process(self._first.process(samples))
        all_of_it = np.concatenate([self._recent, samples])
        self._recent = all_of_it[samples.size :]
        return all_of_it[: samples.size] - baseline

    def reset(self) -> None:
        """Forget the signal so far."""
        self._first.reset()
        self._second.reset()
        self._recent = np.zeros(0)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind=_KIND,
            version=_VERSION,
            scalars={"fs_hz": self._fs_hz, "window_s": self._window_s},
            arrays={"recent": self._recent},
            children={"first": self._first.to_bytes(), "second": self._second.to_bytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> BaselineRemover:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind=_KIND, version=_VERSION)
        with translated_errors(_KIND):
            restored = cls(kept.number("fs_hz"), kept.number("window_s"))
            recent = kept.float_array("recent", (None,))
            if recent.size not in {0, restored._n_late}:
                raise ValueError(
                    f"{recent.size} samples are not the {restored._n_late} of a window"
                )
        restored._recent = recent
        restored._first = MovingMean.from_bytes(kept.child("first"))
        restored._second = MovingMean.from_bytes(kept.child("second"))
        return restored
