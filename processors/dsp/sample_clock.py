"""The time of a sample, in whole nanoseconds and without rounding drift."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass

from processors.dsp.state import State


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleClock:
    """A straight line from sample index to UTC: ``epoch_ns + i * num // den``, in integers."""

    epoch_ns: int
    period_num_ns: int
    period_den: int = 1

    def __post_init__(self) -> None:
        if self.period_num_ns <= 0 or self.period_den <= 0:
            raise ValueError(f"period {self.period_num_ns}/{self.period_den} ns is not positive")

    @property
    def fs_hz(self) -> float:
        """Sampling rate that the period says."""
        return 1e9 * self.period_den / self.period_num_ns

    def time_ns(self, i_sample: int) -> int:
        """UTC of sample ``i_sample``."""
        return self.epoch_ns + (i_sample * self.period_num_ns) // self.period_den

    def time_between_ns(self, i_sample: float) -> int:
        """UTC of a place between samples, to the nearest nanosecond behind the sample before it."""
        i_whole = int(i_sample)
        rest = (i_sample - i_whole) * self.period_num_ns / self.period_den
        return self.time_ns(i_whole) + round(rest)

    def index_at_or_after(self, t_ns: int) -> int:
        """First sample whose time is not before ``t_ns``."""
        return -(-(t_ns - self.epoch_ns) * self.period_den // self.period_num_ns)

    def scalars(self) -> Mapping[str, int]:
        """Give it as a step that goes by this clock writes it down."""
        return asdict(self)

    @classmethod
    def of_state(cls, kept: State) -> SampleClock:
        """Read it back; ValueError where it was none."""
        return cls(
            epoch_ns=kept.integer("epoch_ns"),
            period_num_ns=kept.integer("period_num_ns"),
            period_den=kept.integer("period_den"),
        )
