"""Collect what the links deliver and cut it into Frames: pure."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import chain, zip_longest

import numpy as np
from numpy.typing import NDArray

from edge.frame_room import (
    batches,
    batches_of_blocks,
    fewer_gaps,
    gap_of,
    joined_blocks,
    split_block,
    with_ledger,
)
from edge.ledger import Channel, Stored, Taken, as_records, totals_of
from ingest.frame import (
    ClockRelation,
    DeviceEvent,
    Frame,
    Gap,
    GapCause,
    Reading,
    SamplePeriod,
    WaveformBlock,
)
from ingest.frame_limits import (
    N_BLOCKS_MAX,
    N_CLOCKS_MAX,
    N_EVENTS_MAX,
    N_GAPS_MAX,
    N_READINGS_MAX,
    N_SAMPLES_MAX,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ChannelFormat:
    """What does not change about a channel while its stream runs."""

    device_id: str
    channel: str
    mdc_code: int
    unit: str
    scale: float
    offset: float
    period: SamplePeriod


@dataclass(slots=True)
class _OpenBlock:
    """A block that still grows."""

    channel: ChannelFormat
    i_first: int
    t0_ns: int
    received_ns: int
    parts: list[NDArray[np.int32]] = field(default_factory=list)
    n_samples: int = 0


class Framer:
    """Blocks, readings, gaps and events since the last cut; and the ledger of what has come in.

    Parameters
    ----------
    taken
        The ledger as the spool has kept it: counting goes on from there.
    """

    def __init__(
        self, subject_id: str, agent_id: str, taken: Mapping[Channel, Taken] | None = None
    ) -> None:
        self._subject_id = subject_id
        self._agent_id = agent_id
        self._taken = {channel: one.copy() for channel, one in (taken or {}).items()}
        # One of a channel: what does not go on where it ends, in its format, closes it.
        self._open: dict[tuple[str, str], _OpenBlock] = {}
        self._closed: list[WaveformBlock] = []
        self._readings: list[Reading] = []
        self._gaps: list[Gap] = []
        self._events: list[DeviceEvent] = []
        self._clocks: dict[str, ClockRelation] = {}

    @property
    def empty(self) -> bool:
        """True where a cut would give nothing worth sending."""
        return not (self._open or self._closed or self._readings or self._gaps or self._events)

    def add_samples(
        self,
        channel: ChannelFormat,
        counts: NDArray[np.int32],
        *,
        i_first: int,
        t0_ns: int,
        received_ns: int,
    ) -> None:
        """Add samples, shape ``(n_samples,)``; they join the open block where they follow on."""
        place = (channel.device_id, channel.channel)
        block = self._open.get(place)
        if block is not None and not _follows(block, channel, i_first, t0_ns):
            self._closed += _close(self._open.pop(place))
            block = None
        if block is None:
            block = _OpenBlock(channel, i_first=i_first, t0_ns=t0_ns, received_ns=received_ns)
            self._open[place] = block
        block.parts.append(counts)
        block.n_samples += int(counts.size)
        taken = self._taken_of(channel.device_id, channel.channel)
        taken.add_samples(i_first, int(counts.size))
        taken.epoch_ns = t0_ns - channel.period.offset_ns(i_first)
        taken.period = channel.period

    def add_reading(self, reading: Reading) -> None:
        """Add one reading."""
        self._readings.append(reading)

    def add_gap(self, gap: Gap) -> None:
        """Add one gap, before the samples that follow it."""
        self._gaps.append(gap)
        taken = self._taken_of(gap.device_id, gap.channel)
        taken.add_gap(gap.i_first, gap.n_samples, gap.cause)

    def add_event(self, event: DeviceEvent) -> None:
        """Add one device event."""
        self._events.append(event)

    def taken(self) -> dict[Channel, Taken]:
        """Give this side of the ledger as it stands: right after a cut, as of that cut."""
        return {channel: one.copy() for channel, one in list(self._taken.items())}

    def _taken_of(self, device_id: str, channel: str) -> Taken:
        taken = self._taken.get((device_id, channel))
        if taken is None:
            taken = self._taken[device_id, channel] = Taken()
        return taken

    def set_clock(self, clock: ClockRelation) -> None:
        """Note a device's clock relation; the newest of each device goes with the next Frame."""
        self._clocks[clock.device_id] = clock

    def restore(self, frames: Sequence[Frame]) -> int:
        """Take back cut Frames that could not be stored, in front of what came since.

        No more is kept of readings and events than a Frame may have of them, the newest: give how
        many were lost. Samples are kept all, until ``give_up`` is called.
        """
        for block in chain.from_iterable(one.waveforms for one in frames):
            self._taken_of(block.device_id, block.channel).framed -= block.n_samples
        self._closed = [*chain.from_iterable(one.waveforms for one in frames), *self._closed]
        self._readings = [*chain.from_iterable(one.readings for one in frames), *self._readings]
        self._gaps = [*chain.from_iterable(one.gaps for one in frames), *self._gaps]
        self._events = [*chain.from_iterable(one.events for one in frames), *self._events]
        clocks = chain.from_iterable(one.clocks for one in frames)
        self._clocks = {clock.device_id: clock for clock in clocks} | self._clocks
        if len(self._closed) > N_BLOCKS_MAX:
            self._closed = joined_blocks(self._closed)
        if len(self._gaps) > N_GAPS_MAX:
            self._gaps = fewer_gaps(self._gaps)
        n_lost = max(0, len(self._readings) - N_READINGS_MAX)
        n_lost += max(0, len(self._events) - N_EVENTS_MAX)
        self._readings = self._readings[-N_READINGS_MAX:]
        self._events = self._events[-N_EVENTS_MAX:]
        return n_lost

    def give_up(self, n_samples_max: int, cause: GapCause) -> None:
        """Turn the oldest samples into gaps until closed blocks have at most ``n_samples_max``."""
        n_excess = sum(block.n_samples for block in self._closed) - n_samples_max
        if n_excess <= 0:
            return
        kept: list[WaveformBlock] = []
        for block in sorted(self._closed, key=lambda block: block.t0_ns):
            if n_excess <= 0:
                kept.append(block)
            elif block.n_samples <= n_excess:
                self._give_up(block, cause)
            else:
                given_up, rest = split_block(block, n_excess)
                self._give_up(given_up, cause)
                kept.append(rest)
            n_excess -= block.n_samples
        self._closed = kept

    def _give_up(self, block: WaveformBlock, cause: GapCause) -> None:
        self._gaps.append(gap_of(block, cause))
        self._taken_of(block.device_id, block.channel).given_up[cause] += block.n_samples

    def cut(self, sequence: int, *, stored: Mapping[Channel, Stored] | None = None) -> list[Frame]:
        """Close everything and give it as Frames; the framer is empty afterwards.

        One, unless more was collected than a Frame may hold; none where there is nothing.

        Parameters
        ----------
        sequence
            Of the first Frame; the others count on.
        stored
            The spool's side of the ledger, where the last Frame shall carry the totals; there is
            one, then.
        """
        closed = [*self._closed, *chain.from_iterable(_close(one) for one in self._open.values())]
        parts = zip_longest(
            batches_of_blocks(closed),
            batches(self._readings, N_READINGS_MAX),
            batches(list(self._clocks.values()), N_CLOCKS_MAX),
            batches(self._gaps, N_GAPS_MAX),
            batches(self._events, N_EVENTS_MAX),
            fillvalue=(),
        )
        frames = [
            Frame(
                subject_id=self._subject_id,
                agent_id=self._agent_id,
                sequence=sequence + i,
                waveforms=waveforms,
                readings=readings,
                clocks=clocks,
                gaps=gaps,
                events=events,
            )
            for i, (waveforms, readings, clocks, gaps, events) in enumerate(parts)
        ]
        self._open = {}
        self._closed, self._readings, self._gaps, self._events = [], [], [], []
        self._clocks = {}
        for taken in self._taken.values():
            # There is nothing decoded that has not been cut, now.
            taken.framed = taken.decoded - taken.given_up.total()
        if stored is None:
            return frames
        if not frames:
            frames = [
                Frame(subject_id=self._subject_id, agent_id=self._agent_id, sequence=sequence)
            ]
        return with_ledger(frames, *as_records(totals_of(self._taken, stored)))


def _follows(block: _OpenBlock, channel: ChannelFormat, i_first: int, t0_ns: int) -> bool:
    """Tell whether samples at ``i_first`` continue the block on the same time grid."""
    if block.channel != channel:
        return False
    period = channel.period
    same_epoch = block.t0_ns - period.offset_ns(block.i_first) == t0_ns - period.offset_ns(i_first)
    return block.i_first + block.n_samples == i_first and same_epoch


def _close(block: _OpenBlock) -> Iterator[WaveformBlock]:
    """Make a block of what has come: more, where it is more than one may have."""
    channel = block.channel
    counts = np.concatenate(block.parts)
    epoch_ns = block.t0_ns - channel.period.offset_ns(block.i_first)
    for begin in range(0, counts.size, N_SAMPLES_MAX):
        i_first = block.i_first + begin
        yield WaveformBlock(
            device_id=channel.device_id,
            channel=channel.channel,
            mdc_code=channel.mdc_code,
            unit=channel.unit,
            scale=channel.scale,
            offset=channel.offset,
            i_first=i_first,
            t0_ns=epoch_ns + channel.period.offset_ns(i_first),
            period=channel.period,
            counts=counts[begin : begin + N_SAMPLES_MAX],
            received_ns=block.received_ns,
        )
