"""What ``edge.clocks.clock_hull`` remembers of packets beside the window: pure, integers.

The floor is the line of least delay: host minus device time, over device time.
"""

from dataclasses import dataclass
from typing import Final

from edge.clocks.delay_window import PPT
from ingest.frame import NS_PER_S

LATE_PACKETS: Final = 4
"""So many packets in succession, all late by the same, come from a clock that was set back: behind
a link that stood still, each is less late than the one before."""

LATE_SPREAD_NS: Final = NS_PER_S // 2

TOUCH_NS: Final = 2_000_000
"""A packet that is so near to the floor has found it."""

WRONG_NS: Final = 2_000_000
"""A packet so far below it shows that the floor was not known: counting begins anew. Once the
drift is known the points in the window begin anew too: they were all late."""

START_NS: Final = 50_000_000
"""What a single packet may be late by, when nothing else is known."""

SPREAD_PACKETS_MAX: Final = 128
SPREAD_RATIO: Final = 8
"""Of packets with a mean delay D, the least of n is D / n above the floor on average; this many
times that is nearly always enough."""


@dataclass(slots=True)
class Lateness:
    """Packets in succession that are too late to be usual."""

    n_packets: int = 0
    least_ns: int = 0
    most_ns: int = 0

    def add(self, offset_ns: int) -> bool:
        """Take the next; True where together they show a clock that was set back."""
        if self.n_packets == 0:
            self.least_ns = self.most_ns = offset_ns
        self.n_packets += 1
        self.least_ns = min(self.least_ns, offset_ns)
        self.most_ns = max(self.most_ns, offset_ns)
        if self.most_ns - self.least_ns > LATE_SPREAD_NS:
            self.n_packets, self.least_ns, self.most_ns = 1, offset_ns, offset_ns
        return self.n_packets >= LATE_PACKETS


@dataclass(slots=True)
class Lift:
    """How much room there is between the floor and the packets since it was last raised."""

    since_ns: int
    n_packets: int = 0
    room_ns: int = 0

    def add(self, excess_ns: int) -> None:
        """Take a packet that came so far above the floor."""
        self.room_ns = excess_ns if self.n_packets == 0 else min(self.room_ns, excess_ns)
        self.n_packets += 1


@dataclass(slots=True)
class Line:
    """The floor: host minus device time as a line over device time."""

    device_ns: int
    offset_ns: int
    drift_ppt: int = 0

    def at(self, device_ns: int) -> int:
        """Give the floor at a device time."""
        return self.offset_ns + self.drift_ppt * (device_ns - self.device_ns) // PPT


@dataclass(slots=True)
class Spread:
    """How far above the floor packets come."""

    n_packets: int = 0
    mean_ns: int = 0
    touched_ns: int = 0

    def add(self, device_ns: int, excess_ns: int) -> None:
        """Take a packet that came so far above the floor; negative: below it."""
        if excess_ns < -WRONG_NS:
            self.n_packets = 0
        self.n_packets = min(self.n_packets + 1, SPREAD_PACKETS_MAX)
        self.mean_ns += (max(excess_ns, 0) - self.mean_ns) // self.n_packets
        if excess_ns <= TOUCH_NS:
            self.touched_ns = max(self.touched_ns, device_ns)

    @property
    def nearest_ns(self) -> int:
        """How far above the least delay the nearest packet may have come."""
        return (START_NS + SPREAD_RATIO * self.mean_ns) // max(self.n_packets, 1)
