"""From the blocks of a subject to tracks: one channel in one piece, on one grid of times."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Final

import numpy as np
from numpy.typing import NDArray

from ingest.frame import NS_PER_S, WaveformBlock
from ingest.recorded import N_SAMPLES_MAX, Signal
from ingest.signal_kinds import kind_of

GAP_S_MAX: Final = 3_600
"""Behind a longer gap another track begins: a file would hold nothing but its absence."""

_LEAP_NS: Final = NS_PER_S
"""A block whose times are further off is of another numbering of the same channel."""


class ExportError(ValueError):
    """What is to be exported has no room in the format. The message says what, and what to do."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Track:
    """One channel of a device in one piece."""

    device_id: str
    channel: str
    t0_ns: int
    """UTC of the signal's first sample."""
    signal: Signal
    """Its samples, missing ones included; the first and the last are there."""
    deviation_ns: int = 0
    """How far a sample's own time is from the signal's even grid at most: more than rounding where
    the agent has changed its mind about the rate."""

    @property
    def rate(self) -> Fraction:
        """Samples per second."""
        return self.signal.sampling_rate

    @property
    def end_ns(self) -> int:
        """UTC of the end of the last sample."""
        return self.t0_ns + int(self.signal.duration * NS_PER_S)

    def runs(self) -> Iterator[tuple[int, int]]:
        """Give the stretches with samples: first index and the one behind the last."""
        return self.signal.present(0, self.signal.n_samples)


@dataclass(frozen=True, slots=True)
class _Grid:
    """From sample ``i_first`` on a sample is taken every ``period_ns``."""

    i_first: int
    t0_ns: int
    period_ns: Fraction
    epoch_ns: int

    def time_ns(self, i_sample: int) -> Fraction:
        return self.t0_ns + (i_sample - self.i_first) * self.period_ns


class _Builder:
    """Collects the blocks of one track."""

    def __init__(self, block: WaveformBlock) -> None:
        self._first = block
        self._grids = [_grid_of(block)]
        self._counts: NDArray[np.int32] = np.zeros(0, dtype=np.int32)
        self._missing: list[tuple[int, int]] = []
        self._i_end = block.i_first
        self._append(block.i_first, block.counts)

    def take(self, block: WaveformBlock) -> bool:
        """Take the next block; False: it is of another track."""
        if _meaning(block) != _meaning(self._first):
            return False
        grid = self._grids[-1]
        leap_ns = abs(block.t0_ns - grid.time_ns(block.i_first))
        if block.i_first < self._i_end:
            # A repetition, unless its numbers were given before to other samples.
            return leap_ns <= _LEAP_NS and self._take_rest(block)
        gap_ns = (block.i_first - self._i_end) * grid.period_ns
        n_samples = block.i_end - self._first.i_first
        is_near = gap_ns <= GAP_S_MAX * NS_PER_S and n_samples <= N_SAMPLES_MAX
        if not is_near or leap_ns > grid.period_ns / 2:
            return False
        return self._take_rest(block)

    def _take_rest(self, block: WaveformBlock) -> bool:
        n_repeated = max(0, self._i_end - block.i_first)
        if n_repeated < block.n_samples:
            self._append(block.i_first + n_repeated, block.counts[n_repeated:])
            grid, last = _grid_of(block), self._grids[-1]
            if (grid.period_ns, grid.epoch_ns) != (last.period_ns, last.epoch_ns):
                self._grids.append(grid)
        return True

    def _append(self, i_first: int, counts: NDArray[np.int32]) -> None:
        """Copy the counts to their place: blocks are many and small, and are not kept."""
        at, end = i_first - self._first.i_first, i_first - self._first.i_first + counts.size
        if i_first > self._i_end:
            self._missing.append((self._i_end - self._first.i_first, at))
        if end > self._counts.size:
            # Not so many times, and not much more than is needed.
            self._counts.resize(end + end // 4 + 4_096, refcheck=False)
        self._counts[at:end] = counts
        self._i_end = i_first + counts.size

    def track(self) -> Track:
        """Put the pieces together. Nothing is taken any more."""
        first = self._first
        self._counts.resize(self._i_end - first.i_first, refcheck=False)
        rate, deviation_ns = self._even_rate()
        name = signal_name(first.channel)
        return Track(
            device_id=first.device_id,
            channel=first.channel,
            t0_ns=first.t0_ns,
            deviation_ns=deviation_ns,
            signal=Signal(
                name=name,
                kind=kind_of(name, first.unit, float(rate)),
                unit=first.unit,
                sampling_rate=rate,
                counts=self._counts,
                scale=first.scale,
                offset=first.offset,
                missing=tuple(self._missing),
            ),
        )

    def _even_rate(self) -> tuple[Fraction, int]:
        """Give one rate for all samples, and how far from it a time is at most."""
        first, last = self._grids[0], self._grids[-1]
        i_last = self._i_end - 1
        if len(self._grids) == 1:
            return NS_PER_S / first.period_ns, 0
        took_ns = last.time_ns(i_last) - first.t0_ns
        period_ns = took_ns / (i_last - first.i_first)
        even = _Grid(first.i_first, first.t0_ns, period_ns, first.epoch_ns)
        ends = [(grid.i_first, grid.time_ns(grid.i_first)) for grid in self._grids]
        # A grid goes on to where the next one begins.
        for grid, after in zip(self._grids, self._grids[1:], strict=False):
            ends.append((after.i_first - 1, grid.time_ns(after.i_first - 1)))
        deviation = max(abs(time_ns - even.time_ns(i)) for i, time_ns in ends)
        return NS_PER_S / even.period_ns, int(deviation) + 1


def _grid_of(block: WaveformBlock) -> _Grid:
    period = Fraction(block.period.ns_numerator, block.period.ns_denominator)
    return _Grid(block.i_first, block.t0_ns, period, block.epoch_ns)


def _meaning(block: WaveformBlock) -> tuple[object, ...]:
    return block.mdc_code, block.unit, block.scale, block.offset


def tracks_of(blocks: Iterable[WaveformBlock]) -> list[Track]:
    """Put the blocks of one subject together, channel by channel.

    A track ends where the channel's scale changes, where its numbering begins anew, where its times
    leap, and where more than an hour is missing; then another begins. Where only the rate was found
    to be another, as it is now and then by an agent that measures it, the track goes on at the rate
    from its first to its last sample, and says by how much that is wrong at most.

    Parameters
    ----------
    blocks
        In order of time within each channel; what comes again is taken once.

    Returns
    -------
    In order of their channels' first block, the tracks of one channel in order of time.
    """
    building: dict[tuple[str, str], list[_Builder]] = {}
    for block in blocks:
        of_channel = building.setdefault((block.device_id, block.channel), [])
        if not of_channel or not of_channel[-1].take(block):
            of_channel.append(_Builder(block))
    return [builder.track() for of_channel in building.values() for builder in of_channel]


def grouped(
    tracks: Iterable[Track], fits: Callable[[Track, Sequence[Track]], bool]
) -> list[list[Track]]:
    """Put tracks, in order of time, into as few files as a format allows.

    Parameters
    ----------
    fits
        Tells whether a track may stand in one file with others.
    """
    groups: list[list[Track]] = []
    for track in sorted(tracks, key=lambda one: one.t0_ns):
        group = next((one for one in groups if fits(track, one)), None)
        if group is None:
            groups.append([track])
        else:
            group.append(track)
    return groups


def signal_name(channel: str) -> str:
    """Name a signal as a recording of it would: ``ecg/MLII`` is ``MLII``."""
    for prefix in ("ecg/", "ppg/"):
        if channel.startswith(prefix) and len(channel) > len(prefix):
            return channel.removeprefix(prefix)
    return channel


def common_rate(rates: Iterable[Fraction]) -> Fraction:
    """Give the greatest rate of which all are whole multiples."""
    common = Fraction(0)
    for rate in rates:
        rest = rate
        while rest:
            common, rest = rest, common % rest
    return common
