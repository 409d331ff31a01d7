"""A Frame cut at whole seconds of event time, so that its length makes no difference."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from operator import attrgetter

from ingest.frame import NS_PER_S, DeviceEvent, Reading, WaveformBlock

_t_ns, _t0_ns = attrgetter("t_ns"), attrgetter("t0_ns")


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
    for block in sorted(blocks, key=_t0_ns):
        if _lies_within_a_second(block):  # nearly always, in Frames of a second or less
            _slice_at(found, block.t0_ns).blocks.append(block)
            continue
        for piece in _pieces(block):
            _slice_at(found, piece.t0_ns).blocks.append(piece)
    for reading in sorted(readings, key=_t_ns):
        _slice_at(found, reading.t_ns).readings.append(reading)
    for event in sorted(events, key=_t_ns):
        _slice_at(found, event.t_ns).events.append(event)
    return [found[second] for second in sorted(found)]


def _slice_at(found: dict[int, Slice], t_ns: int) -> Slice:
    second = t_ns // NS_PER_S
    part = found.get(second)
    if part is None:
        part = found[second] = Slice(second)
    return part


def _lies_within_a_second(block: WaveformBlock) -> bool:
    return block.time_ns(block.i_end - 1) // NS_PER_S == block.t0_ns // NS_PER_S


def _pieces(block: WaveformBlock) -> Iterator[WaveformBlock]:
    period, epoch_ns = block.period, block.epoch_ns
    i_first, i_block_end, t0_ns = block.i_first, block.i_end, block.t0_ns
    while i_first < i_block_end:
        # First sample of the second after that of the piece's first one.
        next_ns = (t0_ns // NS_PER_S + 1) * NS_PER_S - epoch_ns
        i_next = -(-next_ns * period.ns_denominator // period.ns_numerator)
        i_end = min(i_block_end, i_next)
        yield replace(
            block,
            i_first=i_first,
            t0_ns=t0_ns,
            counts=block.counts[i_first - block.i_first : i_end - block.i_first],
        )
        i_first, t0_ns = i_end, epoch_ns + period.offset_ns(i_end)
