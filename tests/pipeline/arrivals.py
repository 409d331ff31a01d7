"""The same samples as they may arrive: cut and late, each channel in its own way."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from random import Random

from ingest.codec import decode_frame, encode_frame
from ingest.frame import NS_PER_S, DeviceEvent, Frame, Reading, WaveformBlock

Channel = tuple[str, str]
"""Device and name."""


def channel_of(block: WaveformBlock) -> Channel:
    return block.device_id, block.channel


def part_of(block: WaveformBlock, i_first: int, i_end: int) -> WaveformBlock:
    """Give the samples from ``i_first`` up to ``i_end`` of a block that has them."""
    counts = block.counts[i_first - block.i_first : i_end - block.i_first]
    return replace(block, i_first=i_first, t0_ns=block.time_ns(i_first), counts=counts)


def joined(frames: Sequence[Frame], n: int) -> list[Frame]:
    """Join so many Frames that follow one another into one."""
    parts = (frames[i : i + n] for i in range(0, len(frames), n))
    return renumbered(
        replace(
            part[0],
            waveforms=tuple(block for one in part for block in one.waveforms),
            readings=tuple(reading for one in part for reading in one.readings),
            events=tuple(event for one in part for event in one.events),
        )
        for part in parts
    )


def halved(frames: Iterable[Frame], random: Random) -> list[Frame]:
    """Cut each Frame into two, each of its channels at a place of its own.

    No channel is missing in the first of them: which one of a device comes first is not for chance.
    """
    return renumbered(half for frame in frames for half in _halves(frame, random))


def _halves(frame: Frame, random: Random) -> Iterator[Frame]:
    ends: dict[Channel, int] = {}
    for block in frame.waveforms:
        ends[channel_of(block)] = block.i_end
    firsts = {channel_of(block): block.i_first for block in reversed(frame.waveforms)}
    cuts = {channel: random.randint(firsts[channel] + 1, end) for channel, end in ends.items()}
    before = tuple(
        part_of(block, block.i_first, min(block.i_end, cut))
        for block in frame.waveforms
        if (cut := cuts[channel_of(block)]) > block.i_first
    )
    behind = tuple(
        part_of(block, max(block.i_first, cut), block.i_end)
        for block in frame.waveforms
        if (cut := cuts[channel_of(block)]) < block.i_end
    )
    yield replace(frame, waveforms=before)
    yield replace(frame, waveforms=behind, readings=(), events=())


def by_time(
    frames: Sequence[Frame], frame_s: Fraction, late_ns: Mapping[Channel, int] | None = None
) -> list[Frame]:
    """Put everything into the Frame of its own time, or of a channel's delay behind it."""
    length_ns = frame_s * NS_PER_S
    blocks = defaultdict[int, list[WaveformBlock]](list)
    readings = defaultdict[int, list[Reading]](list)
    events = defaultdict[int, list[DeviceEvent]](list)
    for frame in frames:
        for block in frame.waveforms:
            behind_ns = (late_ns or {}).get(channel_of(block), 0)
            for piece in _pieces(block, length_ns):
                blocks[int((piece.t0_ns + behind_ns) // length_ns)].append(piece)
        for reading in frame.readings:
            readings[int(reading.t_ns // length_ns)].append(reading)
        for event in frame.events:
            events[int(event.t_ns // length_ns)].append(event)
    return renumbered(
        replace(
            frames[0],
            waveforms=tuple(blocks[place]),
            readings=tuple(readings[place]),
            events=tuple(events[place]),
        )
        for place in sorted({*blocks, *readings, *events})
    )


def _pieces(block: WaveformBlock, length_ns: Fraction) -> Iterator[WaveformBlock]:
    i_first = i_end = block.i_first
    place = block.t0_ns // length_ns
    while i_end < block.i_end:
        i_end += 1
        place_next = block.time_ns(i_end) // length_ns
        if place_next != place or i_end == block.i_end:
            yield part_of(block, i_first, i_end)
            i_first, place = i_end, place_next


def renumbered(frames: Iterable[Frame]) -> list[Frame]:
    """Number Frames from 0, as they come out of Kafka."""
    return [
        decode_frame(encode_frame(replace(frame, agent_id="again", sequence=n)))
        for n, frame in enumerate(frames)
    ]
