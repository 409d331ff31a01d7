"""A Frame cut at whole seconds of event time, so that its length makes no difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace

from ingest.frame import NS_PER_S, DeviceEvent, Reading, WaveformBlock


@dataclass(slots=True)
class Slice:
    """What of a Frame lies within one whole second."""

    second: int
    """Seconds since 1970."""
    blocks: list[WaveformBlock] = field(default_factory=list[WaveformBlock])
    """In order of time."""
    readings: list[Reading] = field(default_factory=list[Reading])
    events: list[DeviceEvent] = field(default_factory=list[DeviceEvent])


def slices_of(
    blocks: Iterable[WaveformBlock],
    readings: Iterable[Reading],
    events: Iterable[DeviceEvent] = (),
) -> list[Slice]:
    """Cut blocks and sort the rest into the seconds that they lie in, in order of time."""
    found: dict[int, Slice] = {}
    for block in sorted(blocks, key=lambda block: block.t0_ns):
        for piece in _pieces(block):
            second = piece.t0_ns // NS_PER_S
            found.setdefault(second, Slice(second)).blocks.append(piece)
    for reading in sorted(readings, key=lambda reading: reading.t_ns):
        second = reading.t_ns // NS_PER_S
        found.setdefault(second, Slice(second)).readings.append(reading)
    for event in sorted(events, key=lambda event: event.t_ns):
        second = event.t_ns // NS_PER_S
        found.setdefault(second, Slice(second)).events.append(event)
    return [found[second] for second in sorted(found)]


def _pieces(block: WaveformBlock) -> Iterator[WaveformBlock]:
    i_first = block.i_first
    while i_first < block.i_end:
        i_end = min(block.i_end, _i_at_next_second(block, i_first))
        if i_end - i_first == block.n_samples:
            yield block
        else:
            yield replace(
                block,
                i_first=i_first,
                t0_ns=block.time_ns(i_first),
                counts=block.counts[i_first - block.i_first : i_end - block.i_first],
            )
        i_first = i_end


def _i_at_next_second(block: WaveformBlock, i_sample: int) -> int:
    """First sample of the second after that of ``i_sample``."""
    next_ns = (block.time_ns(i_sample) // NS_PER_S + 1) * NS_PER_S - block.epoch_ns
    period = block.period
    return -(-next_ns * period.ns_denominator // period.ns_numerator)
