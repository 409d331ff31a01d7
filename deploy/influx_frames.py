"""Points of InfluxDB back to Frames: pure.

A point has the sample's count and its exact time, and ``waveform_meta`` what counts mean. A
sample's number in its stream is not stored: it is found again from the times, as exactly as these
tell. A Frame is what one second holds.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from ingest.frame import (
    NS_PER_S,
    ClockRelation,
    DeviceEvent,
    Frame,
    Gap,
    Reading,
    SamplePeriod,
    WaveformBlock,
)

AGENT_ID: Final = "influx"
"""Which agent a point is of is not stored."""

_TERM_MAX: Final = 1_000_000
"""Of a period's denominator: products with the nanoseconds of a window stay within 64 bits."""

Times = NDArray[np.int64]
Channel = tuple[str, str]
"""Device and channel."""

_Item = TypeVar("_Item")


@dataclass(frozen=True, slots=True, kw_only=True)
class Meaning:
    """What the counts of a channel mean from a time on."""

    t_ns: int
    scale: float
    offset: float
    unit: str
    period: SamplePeriod
    mdc_code: int


@dataclass(slots=True, kw_only=True)
class Points:
    """What a store has of one subject and a stretch of time, each in order of time."""

    samples: Mapping[Channel, tuple[Times, NDArray[np.int32]]]
    meanings: Mapping[Channel, Sequence[Meaning]]
    readings: Sequence[Reading] = ()
    gaps: Sequence[Gap] = ()
    events: Sequence[DeviceEvent] = ()
    clocks: Sequence[tuple[int, ClockRelation]] = ()
    """Each with the time of its point."""


def period_of(rate_hz: float) -> SamplePeriod:
    """Give the simplest period whose rate is exactly this, or else the nearest.

    Raises
    ------
    MalformedRecordError
        No channel has such a rate.
    """
    rate = Fraction(rate_hz)
    nearest = NS_PER_S / rate
    terms = 1
    while terms <= _TERM_MAX:
        # 1000/3 Hz is simple as a rate, 4 ms as a period.
        simple_rate = rate.limit_denominator(terms) or rate
        for simple in (nearest.limit_denominator(terms), NS_PER_S / simple_rate):
            if simple.denominator <= _TERM_MAX and _period(simple).rate_hz == rate_hz:
                return _period(simple)
        terms *= 10
    return _period(nearest.limit_denominator(_TERM_MAX))


def _period(ns: Fraction) -> SamplePeriod:
    return SamplePeriod(ns_numerator=ns.numerator, ns_denominator=ns.denominator)


@dataclass(slots=True)
class _Numbers:
    """Numbers the samples of one channel."""

    period: SamplePeriod
    i_next: int = 0
    t_next_ns: int | None = None

    def runs(self, times: Times) -> Iterator[tuple[int, int, int]]:
        """Give begin, end and first number of stretches that one period explains."""
        begin = 0
        while begin < times.size:
            n, phases = self._run(times[begin:])
            i_first = self._first(int(times[begin]), phases)
            yield begin, begin + n, i_first
            begin += n
            self.i_next = i_first + n
            step = self.period.offset_ns(self.i_next) - self.period.offset_ns(i_first)
            self.t_next_ns = int(times[begin - n]) + step

    def at(self, t_ns: int) -> int:
        """Give the number of a sample that is missing, by its time."""
        return max(0, self.i_next + self._n_since(t_ns))

    def _n_since(self, t_ns: int) -> int:
        period = self.period
        since_ns = t_ns - (t_ns if self.t_next_ns is None else self.t_next_ns)
        return round(Fraction(since_ns * period.ns_denominator, period.ns_numerator))

    def _run(self, times: Times) -> tuple[int, range]:
        """Give how many of the times one numbering explains, and the phases that do.

        Sample i is at the whole part of ``i × numerator ÷ denominator``: what is left of the first
        one's division, its phase, decides which of the times are rounded down by how much.
        """
        numerator, denominator = self.period.ns_numerator, self.period.ns_denominator
        steps = np.arange(times.size, dtype=np.int64) * numerator
        low = (times - times[0]) * denominator - steps
        lowest = np.maximum(np.maximum.accumulate(low), 0)
        highest = np.minimum(np.minimum.accumulate(low + denominator), denominator)
        wrong = np.flatnonzero(lowest >= highest)
        n = int(wrong[0]) if wrong.size else times.size
        return n, range(int(lowest[n - 1]), int(highest[n - 1]))

    def _first(self, t_ns: int, phases: range) -> int:
        """Give the number of a run's first sample: on from the last one, or anew."""
        numerator, denominator = self.period.ns_numerator, self.period.ns_denominator
        if self.t_next_ns is not None:
            n_missing = self._n_since(t_ns)
            i_first = self.i_next + n_missing
            if n_missing >= 0 and i_first * numerator % denominator in phases:
                return i_first
        return phases[0] * pow(numerator, -1, denominator) % denominator


@dataclass(slots=True)
class FrameMaker:
    """Makes the Frames of one subject, stretch after stretch."""

    subject_id: str
    n_meaningless: int = 0
    """Samples left out: nothing says what they mean."""
    _sequence: int = 0
    _numbers: dict[Channel, _Numbers] = field(default_factory=dict[Channel, _Numbers])

    def frames(self, points: Points) -> Iterator[Frame]:
        """Give the Frames of the next stretch, one for each second in which there is something.

        Parameters
        ----------
        points
            Whole seconds.
        """
        blocks: dict[int, list[WaveformBlock]] = {}
        for channel, (times, counts) in sorted(points.samples.items()):
            for block in self._blocks(channel, times, counts, points.meanings.get(channel, ())):
                blocks.setdefault(block.t0_ns // NS_PER_S, []).append(block)
        readings = _by_second((one.t_ns, one) for one in points.readings)
        gaps = _by_second((one.t0_ns, self._numbered(one)) for one in points.gaps)
        events = _by_second((one.t_ns, one) for one in points.events)
        clocks = _by_second(iter(points.clocks))
        for second in sorted({*blocks, *readings, *gaps, *events, *clocks}):
            yield Frame(
                subject_id=self.subject_id,
                agent_id=AGENT_ID,
                sequence=self._sequence,
                waveforms=tuple(blocks.get(second, ())),
                readings=tuple(readings.get(second, ())),
                gaps=tuple(gaps.get(second, ())),
                events=tuple(events.get(second, ())),
                clocks=tuple(clocks.get(second, ())),
            )
            self._sequence += 1

    def _numbered(self, gap: Gap) -> Gap:
        """Give a gap the number that its first sample has here."""
        numbers = self._numbers.get((gap.device_id, gap.channel))
        return gap if numbers is None else replace(gap, i_first=numbers.at(gap.t0_ns))

    def _blocks(
        self,
        channel: Channel,
        times: Times,
        counts: NDArray[np.int32],
        meanings: Sequence[Meaning],
    ) -> Iterator[WaveformBlock]:
        if not meanings:
            self.n_meaningless += times.size
            return
        # What was said later than a sample may still be of it: a point is stored once more.
        changes = np.searchsorted(times, [one.t_ns for one in meanings[1:]]).tolist()
        parts = zip(meanings, [0, *changes], [*changes, times.size], strict=True)
        for meaning, begin, end in parts:
            if begin < end:
                yield from self._meant(channel, times[begin:end], counts[begin:end], meaning)

    def _meant(
        self, channel: Channel, times: Times, counts: NDArray[np.int32], meaning: Meaning
    ) -> Iterator[WaveformBlock]:
        numbers = self._numbers.get(channel)
        if numbers is None or numbers.period != meaning.period:
            numbers = self._numbers[channel] = _Numbers(meaning.period)
        for begin, end, i_first in numbers.runs(times):
            seconds = times[begin:end] // NS_PER_S
            edges = [0, *(np.flatnonzero(np.diff(seconds)) + 1).tolist(), end - begin]
            for first, behind in pairwise(edges):
                yield WaveformBlock(
                    device_id=channel[0],
                    channel=channel[1],
                    mdc_code=meaning.mdc_code,
                    unit=meaning.unit,
                    scale=meaning.scale,
                    offset=meaning.offset,
                    i_first=i_first + first,
                    t0_ns=int(times[begin + first]),
                    period=meaning.period,
                    counts=counts[begin + first : begin + behind],
                )


def _by_second(items: Iterator[tuple[int, _Item]]) -> dict[int, list[_Item]]:
    found: dict[int, list[_Item]] = {}
    for t_ns, item in items:
        found.setdefault(t_ns // NS_PER_S, []).append(item)
    return found
