"""How late it is by the samples of a subject, and which Frames are far ahead of that."""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import attrgetter
from typing import Final

from ingest.frame import NS_PER_S, Frame

FAR_NS: Final = 86_400 * NS_PER_S
"""A time that is further ahead than this counts only when another Frame bears it out."""

_t0_ns, _t_ns = attrgetter("t0_ns"), attrgetter("t_ns")


def newest_ns_of(frame: Frame) -> int | None:
    """Give the newest begin of a block, or else the newest reading or event; None: it has no time.

    Blocks come first: a reading may be far older or newer than what its Frame is about.
    """
    if frame.waveforms:
        newest_ns: int = max(map(_t0_ns, frame.waveforms))
        return newest_ns
    times: list[int] = [*map(_t_ns, frame.readings), *map(_t_ns, frame.events)]
    return max(times) if times else None


@dataclass(slots=True)
class SampleTimes:
    """The newest begin of a block that is believed."""

    newest_ns: int | None = None
    is_borne_out: bool = False
    """By another Frame than the subject's first one."""

    def is_far(self, t_ns: int) -> bool:
        """Tell whether a time is far ahead; nothing is at the beginning."""
        return self.newest_ns is not None and t_ns > self.newest_ns + FAR_NS

    def take(self, t_ns: int) -> bool:
        """Take a time that is not far ahead; False: the first one was, what came of it is wrong."""
        if self.newest_ns is None:
            self.newest_ns = t_ns
            return True
        if not self.is_borne_out:
            if self.newest_ns - t_ns > FAR_NS:
                self.newest_ns = t_ns
                return False
            self.is_borne_out = True
        self.newest_ns = max(self.newest_ns, t_ns)
        return True

    def bear_out(self, t_ns: int) -> None:
        """Take a time that was far ahead, and that another Frame is near to."""
        self.newest_ns = max(self.newest_ns or 0, t_ns)
        self.is_borne_out = True

    def near_part(self, frame: Frame) -> Frame:
        """Give a Frame without the blocks that are far ahead."""
        near = tuple(block for block in frame.waveforms if not self.is_far(block.t0_ns))
        return replace(frame, waveforms=near)
