"""When, by a clock, a moment of the past is due: pure."""

from dataclasses import dataclass
from fractions import Fraction
from math import floor


@dataclass(slots=True)
class Pace:
    """Event time beside the time of a clock, both in ns, since one moment of each.

    Parameters
    ----------
    speed
        Seconds of event time for each of the clock; None: as fast as can be, and all is due.
    """

    speed: Fraction | None
    event_ns: int
    clock_ns: int

    def due_ns(self, event_ns: int) -> int:
        """Give the first moment of the clock at which an event time is reached."""
        if self.speed is None:
            return self.clock_ns
        return self.clock_ns - floor((self.event_ns - event_ns) / self.speed)

    def position_ns(self, clock_ns: int) -> int:
        """Give the event time that is reached at a moment of the clock; without a speed the begin.

        It rounds down: what is at it is due.
        """
        if self.speed is None:
            return self.event_ns
        return self.event_ns + floor((clock_ns - self.clock_ns) * self.speed)

    def move(self, *, event_ns: int, clock_ns: int) -> None:
        """Be at an event time at a moment of the clock."""
        self.event_ns, self.clock_ns = event_ns, clock_ns

    def set_speed(self, speed: Fraction | None, *, event_ns: int, clock_ns: int) -> None:
        """Go on at another speed from where it is."""
        self.move(event_ns=event_ns, clock_ns=clock_ns)
        self.speed = speed
