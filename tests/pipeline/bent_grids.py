"""Frames of which the time grid changes here and there, each going on where the one before ends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

from ingest.frame import Frame, SamplePeriod, WaveformBlock


@dataclass(frozen=True, slots=True)
class Change:
    """From this share of a stream on its period is longer than the first one by so much."""

    at: float
    ppm: float


@dataclass(frozen=True, slots=True)
class Grid:
    """Times of the samples from ``i_from`` on."""

    i_from: int
    epoch_ns: int
    period: SamplePeriod

    def time_ns(self, i_sample: int) -> int:
        return self.epoch_ns + self.period.offset_ns(i_sample)


def longer(period: SamplePeriod, ppm: float) -> SamplePeriod:
    exact = Fraction(period.ns_numerator, period.ns_denominator) * Fraction(1e6 + ppm) / 10**6
    denominator = min(100_000, int(10**12 / (2 * exact)))
    return SamplePeriod(ns_numerator=round(exact * denominator), ns_denominator=denominator)


def grids_of(first: WaveformBlock, n_samples: int, changes: Iterable[Change]) -> list[Grid]:
    """The grids of a stream that begins with a block, in order, at most one from each sample on."""
    grids = [Grid(0, first.epoch_ns, first.period)]
    for change in sorted(changes, key=lambda change: change.at):
        i_from = int(change.at * n_samples)
        if i_from > grids[-1].i_from:
            period = longer(first.period, change.ppm)
            t0_ns = grids[-1].time_ns(i_from)
            grids.append(Grid(i_from, t0_ns - period.offset_ns(i_from), period))
    return grids


def bent(frames: Sequence[Frame], changes: Sequence[Change]) -> list[Frame]:
    """Give the same samples on grids that change; those of one device and rate change together."""
    n_samples: dict[tuple[str, str], int] = {}
    first: dict[tuple[str, str], WaveformBlock] = {}
    for block in (block for frame in frames for block in frame.waveforms):
        key = (block.device_id, block.channel)
        first.setdefault(key, block)
        n_samples[key] = block.i_end
    grids = {key: grids_of(first[key], n_samples[key], changes) for key in first}
    return [
        replace(
            frame,
            waveforms=tuple(
                piece
                for block in frame.waveforms
                for piece in pieces(block, grids[block.device_id, block.channel])
            ),
        )
        for frame in frames
    ]


def pieces(block: WaveformBlock, grids: Sequence[Grid]) -> list[WaveformBlock]:
    """Cut a block where the grid changes, and put each piece on its own."""
    ends = [grid.i_from for grid in grids[1:]] + [block.i_end]
    found: list[WaveformBlock] = []
    for grid, end in zip(grids, ends, strict=True):
        i_first, i_end = max(block.i_first, grid.i_from), min(block.i_end, end)
        if i_first < i_end:
            found.append(
                replace(
                    block,
                    i_first=i_first,
                    t0_ns=grid.time_ns(i_first),
                    period=grid.period,
                    counts=block.counts[i_first - block.i_first : i_end - block.i_first],
                )
            )
    return found


def time_at(place: float, grids: Sequence[Grid]) -> float:
    """UTC of a place between samples, as nanoseconds behind the first grid's epoch."""
    grid = max((one for one in grids if one.i_from <= int(place)), key=lambda one: one.i_from)
    whole = int(place)
    period_ns = grid.period.ns_numerator / grid.period.ns_denominator
    return grid.time_ns(whole) - grids[0].epoch_ns + (place - whole) * period_ns


def places_of(times_ns: NDArray[np.int64], grid: Grid) -> NDArray[np.float64]:
    """Where between samples some times are, on one grid."""
    return (times_ns - grid.epoch_ns) * grid.period.ns_denominator / grid.period.ns_numerator
