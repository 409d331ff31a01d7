"""When a Frame was complete, and the Frames of several subjects in one order of time: pure."""

import heapq
from collections.abc import Iterable, Iterator
from operator import itemgetter
from typing import Final

from ingest.frame import NS_PER_S, Frame

FRAME_NS_MAX: Final = 60 * NS_PER_S
"""The longest flush interval: what a Frame holds from longer before its newest sample was late."""

TimedFrame = tuple[int, Frame]
"""When a Frame was complete, UTC in ns, and the Frame."""


def taken_ns(frame: Frame) -> int | None:
    """Give when the newest sample of a Frame was taken, or else its newest reading, event or gap.

    Blocks come first: a reading may be far older or newer than what its Frame is about. None: it
    has no time.
    """
    if frame.waveforms:
        return max(block.time_ns(block.i_end - 1) for block in frame.waveforms)
    times = [one.t_ns for one in frame.readings] + [one.t_ns for one in frame.events]
    return max(times or [gap.t0_ns for gap in frame.gaps], default=None)


def begun_ns(frame: Frame) -> int | None:
    """Give when the interval began that a Frame is about; None: it has no time."""
    newest_ns = taken_ns(frame)
    if newest_ns is None:
        return None
    begins = [block.t0_ns for block in frame.waveforms]
    return min((t_ns for t_ns in begins if t_ns > newest_ns - FRAME_NS_MAX), default=newest_ns)


def timed(frames: Iterable[Frame]) -> Iterator[TimedFrame]:
    """Give each Frame with when it is due, which never falls.

    One that is late, or has no time, is due with the one before it; 0 where there is none.
    """
    due_ns = 0
    for frame in frames:
        newest_ns = taken_ns(frame)
        due_ns = due_ns if newest_ns is None else max(due_ns, newest_ns)
        yield due_ns, frame


def merged(streams: Iterable[Iterable[Frame]]) -> Iterator[Frame]:
    """Give the Frames of several streams as they are due; within a stream the order stays."""
    for _, frame in heapq.merge(*map(timed, streams), key=itemgetter(0)):
        yield frame


def within(frames: Iterable[Frame], start_ns: int | None, end_ns: int | None) -> Iterator[Frame]:
    """Keep the Frames that were complete from one time on and before another.

    They are kept whole; one that has no time stays with the one before it.
    """
    is_inside = start_ns is None
    for frame in frames:
        t_ns = taken_ns(frame)
        if t_ns is not None:
            is_after = start_ns is None or t_ns >= start_ns
            is_inside = is_after and (end_ns is None or t_ns < end_ns)
        if is_inside:
            yield frame
