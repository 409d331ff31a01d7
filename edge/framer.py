"""Collect what the links deliver and cut it into Frames: pure."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

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

    i_first: int
    t0_ns: int
    received_ns: int
    parts: list[NDArray[np.int32]] = field(default_factory=list)
    n_samples: int = 0


class Framer:
    """Blocks, readings, gaps and events since the last cut."""

    def __init__(self, subject_id: str, agent_id: str) -> None:
        self._subject_id = subject_id
        self._agent_id = agent_id
        self._open: dict[ChannelFormat, _OpenBlock] = {}
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
        block = self._open.get(channel)
        if block is not None and not _follows(block, channel.period, i_first, t0_ns):
            self._closed.append(_close(channel, self._open.pop(channel)))
            block = None
        if block is None:
            block = _OpenBlock(i_first=i_first, t0_ns=t0_ns, received_ns=received_ns)
            self._open[channel] = block
        block.parts.append(counts)
        block.n_samples += int(counts.size)

    def add_reading(self, reading: Reading) -> None:
        """Add one reading."""
        self._readings.append(reading)

    def add_gap(self, gap: Gap) -> None:
        """Add one gap."""
        self._gaps.append(gap)

    def add_event(self, event: DeviceEvent) -> None:
        """Add one device event."""
        self._events.append(event)

    def set_clock(self, clock: ClockRelation) -> None:
        """Note a device's clock relation; the newest of each device goes with the next Frame."""
        self._clocks[clock.device_id] = clock

    def restore(self, frame: Frame) -> None:
        """Take back a cut Frame that could not be stored, in front of what came since."""
        self._closed = [*frame.waveforms, *self._closed]
        self._readings = [*frame.readings, *self._readings]
        self._gaps = [*frame.gaps, *self._gaps]
        self._events = [*frame.events, *self._events]
        self._clocks = {clock.device_id: clock for clock in frame.clocks} | self._clocks

    def give_up(self, n_samples_max: int, cause: GapCause) -> None:
        """Turn the oldest blocks into gaps until at most ``n_samples_max`` samples are held."""
        n_samples = sum(block.n_samples for block in self._closed)
        while self._closed and n_samples > n_samples_max:
            block = self._closed.pop(0)
            n_samples -= block.n_samples
            self._gaps.append(gap_of(block, cause))

    def cut(self, sequence: int) -> Frame:
        """Close everything and give it as one Frame; the framer is empty afterwards."""
        blocks = [*self._closed, *(_close(*item) for item in self._open.items())]
        frame = Frame(
            subject_id=self._subject_id,
            agent_id=self._agent_id,
            sequence=sequence,
            waveforms=tuple(blocks),
            readings=tuple(self._readings),
            clocks=tuple(self._clocks.values()),
            gaps=tuple(self._gaps),
            events=tuple(self._events),
        )
        self._open = {}
        self._closed, self._readings, self._gaps, self._events = [], [], [], []
        self._clocks = {}
        return frame


def gap_of(block: WaveformBlock, cause: GapCause) -> Gap:
    """Give the gap that is left when a block is dropped."""
    return Gap(
        device_id=block.device_id,
        channel=block.channel,
        cause=cause,
        i_first=block.i_first,
        n_samples=block.n_samples,
        t0_ns=block.t0_ns,
    )


def _follows(block: _OpenBlock, period: SamplePeriod, i_first: int, t0_ns: int) -> bool:
    """Tell whether samples at ``i_first`` continue the block on the same time grid."""
    same_epoch = block.t0_ns - period.offset_ns(block.i_first) == t0_ns - period.offset_ns(i_first)
    return block.i_first + block.n_samples == i_first and same_epoch


def _close(channel: ChannelFormat, block: _OpenBlock) -> WaveformBlock:
    return WaveformBlock(
        device_id=channel.device_id,
        channel=channel.channel,
        mdc_code=channel.mdc_code,
        unit=channel.unit,
        scale=channel.scale,
        offset=channel.offset,
        i_first=block.i_first,
        t0_ns=block.t0_ns,
        period=channel.period,
        counts=np.concatenate(block.parts),
        received_ns=block.received_ns,
    )
