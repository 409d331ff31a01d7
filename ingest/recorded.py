"""What was recorded of one person: signals as the integers that were digitised, and their beats."""

from bisect import bisect_right
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import chain, pairwise
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ingest.errors import RecordingError

SignalKind: TypeAlias = Literal["ecg", "pleth", "resp", "pressure", "acc", "other"]

N_SAMPLES_MAX: Final = 100_000_000
"""Samples of one signal: a week at 165 Hz. More is not read into memory."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Signal:
    """One channel: the raw integers, and how to read them."""

    name: str
    kind: SignalKind
    unit: str
    """UCUM unit of ``counts * scale + offset``."""
    sampling_rate: Fraction
    """Samples per second, exact."""
    counts: NDArray[np.int32]
    """Shape ``(n_samples,)``; where a value is missing the integer means nothing."""
    scale: float
    offset: float = 0.0
    missing: tuple[tuple[int, int], ...] = ()
    """Where there is no value: first index and the one behind the last of each stretch, rising."""

    def __post_init__(self) -> None:
        if self.counts.dtype != np.int32 or self.counts.ndim != 1 or self.counts.size == 0:
            raise RecordingError(
                f"signal {self.name}: counts must be one row of int32, not {self.counts.dtype} "
                f"of shape {self.counts.shape}"
            )
        is_scale = self.scale != 0.0 and np.isfinite([self.scale, self.offset]).all()
        if self.sampling_rate <= 0 or not is_scale:
            raise RecordingError(
                f"signal {self.name}: sampling rate {self.sampling_rate} Hz, scale {self.scale}, "
                f"offset {self.offset}: the first must be positive, the others finite, the scale "
                "not 0"
            )
        bounds = [-1, *chain.from_iterable(self.missing), self.counts.size + 1]
        if not all(one < other for one, other in pairwise(bounds)):
            raise RecordingError(
                f"signal {self.name}: its missing stretches must rise, with values between them, "
                f"within 0 to {self.counts.size}"
            )

    @property
    def n_samples(self) -> int:
        """Samples in the signal, missing ones included."""
        return int(self.counts.size)

    @property
    def n_missing(self) -> int:
        """Samples without a value."""
        return sum(end - begin for begin, end in self.missing)

    @property
    def duration(self) -> Fraction:
        """Seconds from the first sample to one period after the last, exact."""
        return self.n_samples / self.sampling_rate

    def physical(self) -> NDArray[np.float64]:
        """Convert to values in ``unit``, shape ``(n_samples,)``; NaN where a value is missing."""
        values = self.counts.astype(np.float64) * self.scale + self.offset
        for begin, end in self.missing:
            values[begin:end] = np.nan
        return values

    def present(self, i_first: int, i_end: int) -> Iterator[tuple[int, int]]:
        """Give the stretches with values, rising, of what lies from ``i_first`` up to ``i_end``."""
        at = i_first
        i_missing = bisect_right(self.missing, i_first, key=lambda stretch: stretch[1])
        while i_missing < len(self.missing) and self.missing[i_missing][0] < i_end:
            begin, end = self.missing[i_missing]
            if begin > at:
                yield at, begin
            at = end
            i_missing += 1
        if at < i_end:
            yield at, i_end


def stretches(is_inside: NDArray[np.bool_]) -> tuple[tuple[int, int], ...]:
    """Give first index and the one behind the last of each run of True."""
    padded = np.concatenate(([0], is_inside.astype(np.int8), [0]))
    edges = np.flatnonzero(np.diff(padded)).tolist()
    return tuple(zip(edges[::2], edges[1::2], strict=True))


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Numeric:
    """A slow value that a monitor showed, usually once a second."""

    unit: str
    """UCUM."""
    times_s: NDArray[np.float64]
    """Seconds from the start, rising; shape ``(n,)``."""
    values: NDArray[np.float64]
    """NaN where the monitor showed none; shape ``(n,)``."""

    def at(self, time_s: float) -> float | None:
        """Return what was shown at a time, None before the first value and where there is none."""
        i_after = int(np.searchsorted(self.times_s, time_s, side="right"))
        if i_after == 0 or np.isnan(self.values[i_after - 1]):
            return None
        return float(self.values[i_after - 1])


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Recording:
    """What was recorded of one person."""

    name: str
    signals: tuple[Signal, ...]
    source: str
    """Where it is from, for people to read."""
    beats_s: NDArray[np.float64] | None = None
    """Times of the beats, seconds from the start, rising; None where none are known."""
    beats_source: str = "none"
    """``annotations``, or ``detector:`` with its name and version."""
    numerics: Mapping[str, Numeric] = field(default_factory=dict)
    """By quantity: ``heart_rate``, ``pulse_rate``, ``spo2``, ``respiratory_rate``."""

    def __post_init__(self) -> None:
        if not self.signals:
            raise RecordingError(f"recording {self.name} has no signal")

    @property
    def duration_s(self) -> float:
        """Length of the longest signal."""
        return float(max(signal.duration for signal in self.signals))

    def first(self, kind: SignalKind) -> Signal | None:
        """Return the first signal of a kind, None if there is none."""
        return next((signal for signal in self.signals if signal.kind == kind), None)
