"""The energy of a band over a sliding window, and its peaks: exact, however the input is cut."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import ndimage

from processors.dsp.filters import SosFilter
from processors.dsp.state import State

_VERSION = 1


def sliding_sum(x: NDArray[np.float64], n_window: int) -> NDArray[np.float64]:
    """Sum every ``n_window`` neighbours of ``(n_samples,)``; ``n_window - 1`` fewer come out.

    Each sum adds the same numbers in the same order wherever it stands in ``x`` (by doubling), so
    pieces give the bits that the whole gives; a running sum would not.
    """
    n_out = x.size - n_window + 1
    total = np.zeros(max(n_out, 0))
    if n_out <= 0:
        return total
    power, n_power, start, rest = x, 1, 0, n_window
    while rest:
        if rest & 1:
            total = total + power[start : start + n_out]
            start += n_power
        rest >>= 1
        if rest:
            power = power[:-n_power] + power[n_power:]
            n_power *= 2
    return total


class Envelope:
    """Root mean square of a filtered signal over the last ``n_window`` samples."""

    def __init__(self, band: SosFilter, n_window: int) -> None:
        self._band = band
        self._n_window = n_window
        self._squares = np.zeros(n_window - 1)

    def process(self, chunk: NDArray[np.float64]) -> NDArray[np.float64]:
        """Envelope at each sample of the next chunk, in its unit."""
        squares = np.concatenate((self._squares, np.square(self._band.process(chunk))))
        self._squares = squares[squares.size - (self._n_window - 1) :]
        return np.sqrt(sliding_sum(squares, self._n_window) / self._n_window)

    def reset(self) -> None:
        """Forget the signal so far."""
        self._band.reset()
        self._squares = np.zeros(self._n_window - 1)

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind="envelope",
            version=_VERSION,
            arrays={"squares": self._squares},
            children={"band": self._band.to_bytes()},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> Envelope:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind="envelope", version=_VERSION)
        squares = kept.float_array("squares", (None,))
        restored = cls(SosFilter.from_bytes(kept.child("band")), squares.size + 1)
        restored._squares = squares
        return restored


@dataclass(frozen=True, slots=True)
class Peak:
    """A local maximum."""

    i_sample: int
    height: float


class PeakFinder:
    """Samples that are the highest of all within ``n_reach`` on both sides (of equals, the first).

    A peak is known ``n_reach`` samples after it.
    """

    def __init__(self, n_reach: int, height_min: float) -> None:
        self._n_reach = n_reach
        self._height_min = height_min
        self._recent = np.zeros(2 * n_reach)
        self._i_next = 0

    @property
    def i_undecided(self) -> int:
        """First sample that may still turn out to be a peak."""
        return self._i_next - self._n_reach

    def process(self, chunk: NDArray[np.float64]) -> list[Peak]:
        """Peaks that became certain with this chunk, oldest first."""
        if chunk.size == 0:
            return []
        reach = self._n_reach
        x = np.concatenate((self._recent, chunk))
        i_x = self._i_next - self._recent.size
        self._recent = x[x.size - 2 * reach :]
        self._i_next += chunk.size
        highest = ndimage.maximum_filter1d(x, 2 * reach + 1, mode="nearest")
        middle = slice(reach, x.size - reach)
        found = np.flatnonzero((x[middle] == highest[middle]) & (x[middle] > self._height_min))
        return [
            Peak(i_x + i, float(x[i]))
            for i in (found + reach).tolist()
            if x[i - reach : i].max() < x[i]
        ]

    def reset(self, i_next: int) -> None:
        """Forget the signal so far; the next sample has the index ``i_next``."""
        self._recent = np.zeros(2 * self._n_reach)
        self._i_next = i_next

    def to_bytes(self) -> bytes:
        """Everything it remembers."""
        return State(
            kind="peak_finder",
            version=_VERSION,
            scalars={"i_next": self._i_next, "height_min": self._height_min},
            arrays={"recent": self._recent},
        ).to_bytes()

    @classmethod
    def from_bytes(cls, state: bytes) -> PeakFinder:
        """Continue where ``to_bytes`` stood; raises StateError."""
        kept = State.from_bytes(state, kind="peak_finder", version=_VERSION)
        recent = kept.float_array("recent", (None,))
        restored = cls(recent.size // 2, kept.number("height_min"))
        restored._recent = recent
        restored._i_next = kept.integer("i_next")
        return restored
