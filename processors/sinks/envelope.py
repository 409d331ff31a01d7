"""Envelopes: least, greatest and mean count of every channel, second by second of event time: pure.

With each second come its 25 parts of 40 ms, least and greatest, of the subjects who are to have
them: what holds for the one holds for the others. A second that was stored must never be
overwritten by a part of it, though after a restart the input comes again from somewhere. Therefore:

* A second is given when it is over: its last sample on the grid, or a later second's, has come.
* It is given only if it was seen from its beginning: the sample before its first one lies in an
  earlier second, or all of them back to there are in a gap.
* `first_needed` says from which record on the input must come again, so that every second that is
  not over is seen from its beginning. What is committed stays behind it.
* A second that is not over after ``HELD_RECORDS_MAX`` further records of its partition is given up.
* So is one in which Frames of the sender are missing. Frames that were delivered twice change
  nothing.

What is given follows from the records alone and not from restarts, nor from how the samples were
cut into Frames. One thing may: a second that was given up for its age is given after all where its
Frames came once more and the sink began with them. Its value is the right one.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ingest.frame import NS_PER_S, Frame, Gap, WaveformBlock
from processors.sinks.envelope_kernel import (
    N_COLUMNS,
    N_SLOT_COLUMNS,
    N_SLOTS,
    measure_seconds,
    merge_slots,
)

HELD_RECORDS_MAX: Final = 5_000
"""Records of a partition that are read again at most, because a second is not over: some tens of
seconds of a hundred subjects. A channel that falls silent in the middle of a second costs so many,
and its last second."""

N_SERIES_MAX: Final = 100_000
"""Channels of a partition that are remembered; beyond, all are forgotten, with their present
seconds, which are not stored."""

N_GAPS_MAX: Final = 64
"""Gaps of a channel, one behind the other, that are remembered until a sample comes. A second that
begins in an older one is not stored."""

_N_AT_ONCE: Final = 4_096
"""Samples that are measured before what is over is given: each may lie in a second of its own, and
take the room of one."""

Series = tuple[str, str, str]
"""Subject, device and channel."""


class Envelope(NamedTuple):
    """The samples of one channel in one second."""

    series: Series
    t_ns: int
    """UTC of the second's begin."""
    low: int
    high: int
    mean: float
    n_samples: int
    """Less than the rate where samples are missing."""
    slots: bytes = b""
    """The parts of the second, int64 of shape ``(N_SLOTS, N_SLOT_COLUMNS)``; none: not known."""


class _Sender:
    """How far the Frames of one agent for one subject have come without a hole."""

    __slots__ = ("offset", "run", "sequence")

    def __init__(self) -> None:
        self.sequence = -1
        self.run = 0
        """Counts the holes."""
        self.offset = 0


class _Missing(NamedTuple):
    """A gap behind the newest sample."""

    i_first: int
    i_end: int
    t0_ns: int
    offset: int


class _Channel:
    """The present second of a series, and the gaps behind its newest sample."""

    __slots__ = (
        "begin_offset",
        "gaps",
        "high",
        "last_ns",
        "low",
        "n_given",
        "n_samples",
        "offset",
        "run",
        "second",
        "slots",
        "total",
        "whole",
    )

    def __init__(self) -> None:
        self.run: tuple[str, int] = ("", -1)
        """The agent, and how many holes its Frames have had."""
        self.last_ns = -1
        self.offset = 0
        """Of the newest record."""
        self.gaps: list[_Missing] = []
        """Each begins where the one before it ends."""
        self.second = -1
        self.whole = False
        """Whether the second was seen from its beginning and nothing has come between since."""
        self.begin_offset = 0
        self.n_samples = self.low = self.high = self.total = 0
        self.slots: NDArray[np.int64] | None = None
        self.n_given = 0
        """Samples of the second's envelope that was given; 0: none was."""

    def needed_from(self, oldest: int) -> int | None:
        """Give the offset of the first record of which something is not over; None: of none."""
        offsets = [gap.offset for gap in self.gaps]
        if self.whole:
            offsets.append(self.begin_offset)
        return min((offset for offset in offsets if offset >= oldest), default=None)


class PartitionEnvelopes:
    """The envelopes of the subjects of one partition, record by record in order of offset.

    Parameters
    ----------
    counts
        Where what is in no envelope is counted: ``late_samples``, older than their channel's newest
        one, and ``forgotten_series``.
    has_slots
        Tells of a subject whether the parts of a second are measured; None: those of all.
    """

    def __init__(
        self, counts: Counter[str], has_slots: Callable[[str], bool] | None = None
    ) -> None:
        self._counts = counts
        self._has_slots = has_slots or _everybody
        self._senders: dict[tuple[str, str], _Sender] = {}
        self._channels: dict[Series, _Channel] = {}

    def frame(self, frame: Frame, offset: int) -> Iterator[Envelope]:
        """Take the next Frame; give the seconds that are over. One may be given again, larger.

        One by one: the samples of a hostile Frame may lie in a million seconds.
        """
        sender = self._sender(frame)
        if sender is None:
            return
        sender.offset = offset
        run = (frame.agent_id, sender.run)
        has_slots = self._has_slots(frame.subject_id)
        for item in _in_order(frame):
            series = (frame.subject_id, item.device_id, item.channel)
            channel = self._channel(series)
            _check(channel, run, offset)
            if isinstance(item, Gap):
                _add_gap(channel, item, offset)
            else:
                yield from self._block(series, channel, item, offset, has_slots=has_slots)

    def first_needed(self, end_offset: int) -> int:
        """Give the offset from which on the records must come again after a restart.

        Parameters
        ----------
        end_offset
            Of the record after the last; no more than this is given.
        """
        oldest = end_offset - HELD_RECORDS_MAX
        needed = (channel.needed_from(oldest) for channel in self._channels.values())
        return min((offset for offset in needed if offset is not None), default=end_offset)

    def forget_silent(self, end_offset: int) -> None:
        """Forget whose last record is so old that nothing of it matters any more."""
        oldest = end_offset - HELD_RECORDS_MAX
        self._channels = {
            series: one for series, one in self._channels.items() if one.offset >= oldest
        }
        self._senders = {key: one for key, one in self._senders.items() if one.offset >= oldest}

    def _sender(self, frame: Frame) -> _Sender | None:
        """Find the Frame's sender, and whether it goes on; None where the Frame came before."""
        key = (frame.subject_id, frame.agent_id)
        sender = self._senders.get(key)
        if sender is None:
            if len(self._senders) >= N_SERIES_MAX:
                self._senders.clear()
            sender = self._senders[key] = _Sender()
        elif frame.sequence != sender.sequence + 1:
            if frame.sequence <= sender.sequence and not self._is_news(frame):
                return None
            sender.run += 1
        sender.sequence = frame.sequence
        return sender

    def _is_news(self, frame: Frame) -> bool:
        for block in frame.waveforms:
            channel = self._channels.get((frame.subject_id, block.device_id, block.channel))
            if channel is None or block.time_ns(block.i_end - 1) > channel.last_ns:
                return True
        return False

    def _channel(self, series: Series) -> _Channel:
        channel = self._channels.get(series)
        if channel is None:
            if len(self._channels) >= N_SERIES_MAX:
                self._counts["forgotten_series"] += len(self._channels)
                self._channels.clear()
            channel = self._channels[series] = _Channel()
        return channel

    def _block(
        self,
        series: Series,
        channel: _Channel,
        block: WaveformBlock,
        offset: int,
        *,
        has_slots: bool,
    ) -> Iterator[Envelope]:
        after_ns = channel.last_ns
        n_new = 0
        for (second, i_sample, *measured), slots in _seconds(block, after_ns, has_slots=has_slots):
            n_new += measured[0]
            if second == channel.second:
                _merge(channel, *measured)
                if slots is not None and channel.slots is not None:
                    merge_slots(channel.slots, slots)
                continue
            yield from _given(series, channel)
            i_first = block.i_first + i_sample
            _begin(channel, second, block, i_first, offset)
            channel.n_samples, channel.low, channel.high, channel.total = measured
            # A copy: those of all other seconds of the block need not stay.
            channel.slots = None if slots is None else slots.copy()
        self._counts["late_samples"] += block.n_samples - n_new
        if n_new:
            channel.gaps.clear()
            channel.last_ns = block.time_ns(block.i_end - 1)
            if block.time_ns(block.i_end) // NS_PER_S > channel.second:
                # Nothing more is to come of it, unless the grid changes here.
                yield from _given(series, channel)


def _in_order(frame: Frame) -> Iterable[WaveformBlock | Gap]:
    if not frame.gaps:
        return frame.waveforms
    return sorted((*frame.waveforms, *frame.gaps), key=lambda item: item.i_first)


def _check(channel: _Channel, run: tuple[str, int], offset: int) -> None:
    """Give up what is not over: if it is too old, or Frames are missing since."""
    oldest = offset - HELD_RECORDS_MAX
    if channel.run != run:
        channel.run = run
        channel.whole = False
        channel.gaps.clear()
    if channel.begin_offset < oldest:
        channel.whole = False
    while channel.gaps and channel.gaps[0].offset < oldest:
        del channel.gaps[0]
    channel.offset = offset


def _add_gap(channel: _Channel, gap: Gap, offset: int) -> None:
    if gap.t0_ns <= channel.last_ns:
        return
    if channel.gaps and channel.gaps[-1].i_end != gap.i_first:
        channel.gaps.clear()
    if len(channel.gaps) >= N_GAPS_MAX:
        del channel.gaps[0]
    end = gap.i_first + gap.n_samples
    channel.gaps.append(_Missing(gap.i_first, end, gap.t0_ns, offset))


def _begin(channel: _Channel, second: int, block: WaveformBlock, i_first: int, offset: int) -> None:
    """Begin a second with a sample of a block, the first that is there."""
    begin_ns = second * NS_PER_S
    channel.second = second
    channel.n_given = 0
    channel.whole = block.time_ns(i_first - 1) < begin_ns
    channel.begin_offset = offset
    if channel.whole or not channel.gaps or channel.gaps[-1].i_end != i_first:
        return
    # On the grid there are earlier ones: all of them must be in gaps.
    for gap in reversed(channel.gaps):
        if gap.t0_ns <= begin_ns or block.time_ns(gap.i_first - 1) < begin_ns:
            channel.whole = True
            channel.begin_offset = gap.offset
            return


def _merge(channel: _Channel, n_samples: int, low: int, high: int, total: int) -> None:
    channel.n_samples += n_samples
    channel.low = min(channel.low, low)
    channel.high = max(channel.high, high)
    channel.total += total


def _given(series: Series, channel: _Channel) -> Iterator[Envelope]:
    """Give the present second, if it was seen from its beginning and was not given yet."""
    if channel.whole and channel.n_samples > channel.n_given:
        channel.n_given = channel.n_samples
        mean = channel.total / channel.n_samples
        t_ns = channel.second * NS_PER_S
        slots = b"" if channel.slots is None else channel.slots.tobytes()
        yield Envelope(series, t_ns, channel.low, channel.high, mean, channel.n_samples, slots)


def _everybody(_subject_id: str) -> bool:
    return True


def _seconds(
    block: WaveformBlock, after_ns: int, *, has_slots: bool
) -> Iterator[tuple[list[int], NDArray[np.int64] | None]]:
    """Measure what is later than ``after_ns``; two rows in turn may be of the same second."""
    numerator, denominator = block.period.ns_numerator, block.period.ns_denominator
    remainder = block.i_first * numerator % denominator
    n_seconds = block.n_samples * numerator // denominator // NS_PER_S + 2
    for i_first in range(0, block.n_samples, _N_AT_ONCE):
        i_end = min(i_first + _N_AT_ONCE, block.n_samples)
        n_rows_max = min(n_seconds, i_end - i_first)
        rows = np.empty((n_rows_max, N_COLUMNS), dtype=np.int64)
        n_slot_rows = n_rows_max if has_slots else 0
        slots = np.zeros((n_slot_rows, N_SLOTS, N_SLOT_COLUMNS), dtype=np.int64)
        n_rows = measure_seconds(
            block.counts,
            i_first,
            i_end,
            block.t0_ns,
            numerator,
            denominator,
            remainder,
            after_ns,
            rows,
            slots,
        )
        parts = slots if has_slots else itertools.repeat(None)
        yield from zip(rows[:n_rows].tolist(), parts, strict=False)
