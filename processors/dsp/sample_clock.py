"""The time of a sample, in whole nanoseconds and without rounding drift."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Final

from processors.dsp.state import Scalar, State

ROUNDING_NS: Final = 1
"""A line goes on where another ends when they differ by no more there: both are rounded down."""

CHANGE_SHARE_MAX: Final = 0.02
"""Periods that differ by more are not two measurements of one rate. An agent that makes up for
half a percent in one direction and then in the other needs 1.01 %."""

LINES_MAX: Final = 32
KEPT_NS: Final = 60_000_000_000
"""The last minute's lines are known, and chains look back no further; no clock bends more often
than 32 times a minute, and what does is another clock."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SampleClock:
    """From sample index to UTC: ``epoch_ns + i * num // den``, in integers; a line that may bend.

    It bends where the samples' rate was measured anew. The samples themselves do not change there,
    only what is known of their times: a filter, which sees samples, need not know.
    """

    epoch_ns: int
    period_num_ns: int
    period_den: int = 1
    i_from: int = 0
    """Of a clock that has bent: the newest line is that of samples from here on."""
    before: SampleClock | None = None
    """The clock of the samples before."""

    def __post_init__(self) -> None:
        if self.period_num_ns <= 0 or self.period_den <= 0:
            raise ValueError(f"period {self.period_num_ns}/{self.period_den} ns is not positive")
        if self.before is not None and self.i_from <= self.before.i_from:
            raise ValueError(f"bent at {self.before.i_from} and then at {self.i_from}")

    @property
    def fs_hz(self) -> float:
        """Sampling rate that the newest period says."""
        return 1e9 * self.period_den / self.period_num_ns

    @property
    def line(self) -> SampleClock:
        """The newest line alone."""
        return self if self.before is None else replace(self, i_from=0, before=None)

    def at(self, i_sample: int) -> SampleClock:
        """Give the clock whose newest line has sample ``i_sample``."""
        clock = self
        while clock.before is not None and i_sample < clock.i_from:
            clock = clock.before
        return clock

    def time_ns(self, i_sample: int) -> int:
        """UTC of sample ``i_sample``."""
        clock = self if self.before is None else self.at(i_sample)
        return clock.epoch_ns + (i_sample * clock.period_num_ns) // clock.period_den

    def time_between_ns(self, i_sample: float) -> int:
        """UTC of a place between samples, to the nearest nanosecond behind the sample before it."""
        i_whole = int(i_sample)
        clock = self if self.before is None else self.at(i_whole)
        rest = (i_sample - i_whole) * clock.period_num_ns / clock.period_den
        return clock.time_ns(i_whole) + round(rest)

    def index_at_or_after(self, t_ns: int) -> int:
        """First sample whose time is not before ``t_ns``."""
        clock, i_end = self, None
        while clock.before is not None and t_ns < clock.time_ns(clock.i_from):
            clock, i_end = clock.before, clock.i_from
        i_sample = -(-(t_ns - clock.epoch_ns) * clock.period_den // clock.period_num_ns)
        return i_sample if i_end is None else min(i_sample, i_end)

    def rate_hz(self, i_begin: float, i_end: float) -> float:
        """Mean sampling rate between two places, in order."""
        clock = self if self.before is None else self.at(int(i_end))
        if clock.before is None or i_begin >= clock.i_from:
            return clock.fs_hz
        return (
            1e9 * (i_end - i_begin) / (self.time_between_ns(i_end) - self.time_between_ns(i_begin))
        )

    def bent(
        self, line: SampleClock, i_first: int, within_ns: int = ROUNDING_NS
    ) -> SampleClock | None:
        """Give the clock that goes on along another line with sample ``i_first``.

        None where that line does not go on there: it is elsewhere, its period is another one, or
        this clock has bent as often as it may.

        Parameters
        ----------
        within_ns
            How far the sample's times on both lines may be apart. More than rounding is for where
            the samples before are lost, whose times nobody needs.
        """
        old, new = self.period_num_ns * line.period_den, line.period_num_ns * self.period_den
        if (
            i_first <= self.i_from
            or abs(line.time_ns(i_first) - self.time_ns(i_first)) > within_ns
            or abs(new - old) > CHANGE_SHARE_MAX * old
        ):
            return None
        kept = list(self.lines())
        if len(kept) == LINES_MAX:
            if self.time_ns(i_first) - self.time_ns(kept[-2].i_from) < KEPT_NS:
                return None
            del kept[-1]
        before = kept.pop().line
        for clock in reversed(kept):
            before = replace(clock, before=before)
        return replace(line, i_from=i_first, before=before)

    def lines(self) -> Iterator[SampleClock]:
        """Give the clock as it was with each of its lines, the newest first."""
        clock: SampleClock | None = self
        while clock is not None:
            yield clock
            clock = clock.before

    def has_gone_on_from(self, other: SampleClock) -> bool:
        """Tell whether this is the other one, or what it has become by bending."""
        return any(_line(clock) == _line(other) for clock in self.lines())

    def scalars(self) -> Mapping[str, Scalar]:
        """Give it as a step that goes by this clock writes it down."""
        (epoch_ns, num_ns, den, i_from), *before = map(_line, self.lines())
        return {
            "epoch_ns": epoch_ns,
            "period_num_ns": num_ns,
            "period_den": den,
            "i_from": i_from,
            "lines_before": json.dumps(before),
        }

    @classmethod
    def of_state(cls, kept: State) -> SampleClock:
        """Read it back; ValueError where it was none."""
        newest = cls(
            epoch_ns=kept.integer("epoch_ns"),
            period_num_ns=kept.integer("period_num_ns"),
            period_den=kept.integer("period_den"),
            i_from=kept.integer("i_from"),
        )
        before: SampleClock | None = None
        for epoch_ns, num_ns, den, i_from in reversed(json.loads(kept.text("lines_before"))):
            before = cls(
                epoch_ns=int(epoch_ns),
                period_num_ns=int(num_ns),
                period_den=int(den),
                i_from=int(i_from),
                before=before,
            )
        return newest if before is None else replace(newest, before=before)


def _line(clock: SampleClock) -> tuple[int, int, int, int]:
    return clock.epoch_ns, clock.period_num_ns, clock.period_den, clock.i_from
