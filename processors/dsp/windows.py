"""What the last samples were: their sum, mean, lowest, highest and median, at each sample.

Each window ends with the sample itself, so that as a smoother it is late by half of its length
(``delay_samples``). Until there are enough samples it holds those that there are. Whole or in
pieces, the output is the same bit for bit; state grows with the window only.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal, Self

import numpy as np
from numpy.typing import NDArray

from processors.dsp.state import MalformedStateError, State, translated_errors
from processors.dsp.windows_kernel import moving_extremes, moving_medians, moving_sums

_VERSION = 1
_N_COUNTS = 3

Floats = NDArray[np.float64]
Arrays = Mapping[str, Floats | NDArray[np.int64]]


class MovingMean:
    """Sum and mean of the last ``n_window`` samples."""

    def __init__(self, n_window: int) -> None:
        self._n_window = _checked(n_window)
        self.reset()

    @property
    def delay_samples(self) -> float:
        """How late a mean is, against the middle of what it is the mean of."""
        return (self._n_window - 1) / 2

    def process(self, chunk: Floats) -> Floats:
        """Mean at each of the next ``(n_samples,)``; same unit out as in."""
        n_before = int(self._counts[0])
        sums = self.sums(chunk)
        held = np.minimum(np.arange(n_before + 1, n_before + chunk.size + 1), self._n_window)
        return sums / held

    def sums(self, chunk: Floats) -> Floats:
        """Sum at each of the next ``(n_samples,)``, in the place of ``process``."""
        sums = np.empty(chunk.size)
        moving_sums(
            self._ring,
            self._counts,
            self._total,
            np.ascontiguousarray(chunk, dtype=np.float64),
            sums,
        )
        return sums

    def reset(self) -> None:
        """Forget the signal so far."""
        self._ring = np.zeros(self._n_window)
        self._counts = np.zeros(_N_COUNTS, dtype=np.int64)
        self._total = np.zeros(1)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        arrays: Arrays = {"ring": self._ring, "counts": self._counts, "total": self._total}
        return _written("moving_mean", self._n_window, arrays)

    @classmethod
    def from_bytes(cls, state: bytes) -> Self:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept, n_window, counts = _read("moving_mean", state)
        restored = cls(n_window)
        restored._ring = kept.float_array("ring", (n_window,))
        restored._counts = counts
        restored._total = kept.float_array("total", (1,))
        return restored


class MovingExtreme:
    """Highest or lowest of the last ``n_window`` samples."""

    def __init__(self, n_window: int, which: Literal["highest", "lowest"]) -> None:
        self._n_window = _checked(n_window)
        self._which: Literal["highest", "lowest"] = which
        self.reset()

    def process(self, chunk: Floats) -> Floats:
        """Extreme at each of the next ``(n_samples,)``; same unit out as in."""
        extremes = np.empty(chunk.size)
        moving_extremes(
            self._values,
            self._indices,
            self._counts,
            1.0 if self._which == "highest" else -1.0,
            np.ascontiguousarray(chunk, dtype=np.float64),
            extremes,
        )
        return extremes

    def reset(self) -> None:
        """Forget the signal so far."""
        self._values = np.zeros(self._n_window)
        self._indices = np.zeros(self._n_window, dtype=np.int64)
        self._counts = np.zeros(_N_COUNTS, dtype=np.int64)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        arrays: Arrays = {
            "values": self._values,
            "indices": self._indices,
            "counts": self._counts,
        }
        return _written(f"moving_{self._which}", self._n_window, arrays)

    @classmethod
    def from_bytes(cls, state: bytes, which: Literal["highest", "lowest"]) -> Self:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept, n_window, counts = _read(f"moving_{which}", state)
        restored = cls(n_window, which)
        restored._values = kept.float_array("values", (n_window,))
        indices = kept.int_array("indices")
        if indices.size != n_window or not 0 <= counts[2] - counts[1] <= n_window:
            raise MalformedStateError(f"moving_{which}: a queue that does not fit its window")
        restored._indices = indices
        restored._counts = counts
        return restored


class MovingMedian:
    """Median of the last ``n_window`` samples; each sample costs up to a window's length."""

    def __init__(self, n_window: int) -> None:
        self._n_window = _checked(n_window)
        self.reset()

    @property
    def delay_samples(self) -> float:
        """How late a median is, against the middle of what it is the median of."""
        return (self._n_window - 1) / 2

    def process(self, chunk: Floats) -> Floats:
        """Median at each of the next ``(n_samples,)``; same unit out as in.

        Raises
        ------
        ValueError
            A sample is not a finite number: it has no place in an order.
        """
        if not np.isfinite(chunk).all():
            raise ValueError("a sample is not a finite number")
        medians = np.empty(chunk.size)
        moving_medians(
            self._ring,
            self._ordered,
            self._counts,
            np.ascontiguousarray(chunk, dtype=np.float64),
            medians,
        )
        return medians

    def reset(self) -> None:
        """Forget the signal so far."""
        self._ring = np.zeros(self._n_window)
        self._ordered = np.zeros(self._n_window)
        self._counts = np.zeros(_N_COUNTS, dtype=np.int64)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return _written(
            "moving_median", self._n_window, {"ring": self._ring, "counts": self._counts}
        )

    @classmethod
    def from_bytes(cls, state: bytes) -> Self:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept, n_window, counts = _read("moving_median", state)
        restored = cls(n_window)
        restored._ring = kept.float_array("ring", (n_window,))
        restored._counts = counts
        held = min(int(counts[0]), n_window)
        restored._ordered[:held] = np.sort(restored._ring[:held])
        return restored


def _checked(n_window: int) -> int:
    if n_window < 1:
        raise ValueError(f"a window of {n_window} samples holds nothing")
    return n_window


def _written(kind: str, n_window: int, arrays: Arrays) -> bytes:
    scalars = {"n_window": n_window}
    return State(kind=kind, version=_VERSION, scalars=scalars, arrays=arrays).to_bytes()


def _read(kind: str, state: bytes) -> tuple[State, int, NDArray[np.int64]]:
    kept = State.from_bytes(state, kind=kind, version=_VERSION)
    with translated_errors(kind):
        n_window = _checked(kept.integer("n_window"))
        counts = kept.int_array("counts")
        if counts.size != _N_COUNTS or (counts < 0).any():
            raise ValueError("counts of samples are whole numbers from 0")
    return kept, n_window, counts
