"""The host's own clocks: a line that never steps, and what separates it from UTC. Pure.

A host has a wall clock, which is UTC but is set now and then, and a monotonic one, which never
steps. Devices are compared with the monotonic one (``edge.clock_hull``); the wall clock, read
together with it, only says how far that is from UTC. So a step of the wall is seen for what it is,
and never looks like a jump of a device.

``CLOCK_MONOTONIC_RAW`` is the best monotonic clock: nobody slews it, and a slew of the wall is
followed here exactly. ``CLOCK_MONOTONIC`` is slewed with the wall: 500 ppm for a minute are 30 ms
that look as if every packet had become later, and the hull takes its time to believe that.
"""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low
from typing import Final

from edge.delay_window import PPT
from ingest.frame import NS_PER_S

STEP_NS_MIN: Final = NS_PER_S // 4
"""Wall and monotonic clock part by more than this only where the wall was set."""

FOLLOW_PPT_MAX: Final = 1_000 * 10**6
"""The wall is followed no faster: a program interrupted between reading the two clocks has no
effect, and 500 ppm of slewing together with a bad crystal are still followed."""

RATE_NS: Final = 60 * NS_PER_S
RATES_MAX: Final = 10
"""The rate is the median of the last ten minutes': a slew of a minute or two is not a rate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HostTime:
    """One moment on the host."""

    steady_ns: int
    """On the line that never steps: UTC as it was believed when the first agent started."""
    correction_ns: int
    """UTC minus that."""
    rate_ppt: int = 0
    """UTC gained per steady time, in 1e-12."""
    stepped_ns: int = 0
    """How far the wall clock was just set: forward is positive."""

    @property
    def utc_ns(self) -> int:
        """UTC, nanoseconds since 1970."""
        return self.steady_ns + self.correction_ns


class HostClock:
    """One host's clocks, for all of its devices.

    Parameters
    ----------
    mono_ns, wall_ns
        Both clocks, read together now.
    correction_ns
        That of the run before, so that the steady line goes on where it was. It does as far as the
        wall clock was right at both times.
    """

    def __init__(self, mono_ns: int, wall_ns: int, *, correction_ns: int = 0) -> None:
        self._base_ns = wall_ns - mono_ns - correction_ns
        self._correction_ns = correction_ns
        self._mono_ns = mono_ns
        self._minutes: deque[tuple[int, int]] = deque([(mono_ns, correction_ns)], RATES_MAX + 1)

    @property
    def correction_ns(self) -> int:
        """UTC minus steady time, to keep for the next start."""
        return self._correction_ns

    @property
    def rate_ppt(self) -> int:
        """UTC gained per steady time, in 1e-12; 0 until a minute was seen."""
        rates = [(y1 - y0) * PPT // (x1 - x0) for (x0, y0), (x1, y1) in pairwise(self._minutes)]
        return median_low(rates) if rates else 0

    def read(self, mono_ns: int, wall_ns: int) -> HostTime:
        """Take both clocks, read together; in any order of time, as callbacks may be late."""
        change_ns = wall_ns - mono_ns - self._base_ns - self._correction_ns
        pause_ns = max(mono_ns - self._mono_ns, 0)
        most_ns = FOLLOW_PPT_MAX * pause_ns // PPT
        self._mono_ns = max(mono_ns, self._mono_ns)
        stepped_ns = change_ns if abs(change_ns) > STEP_NS_MIN + most_ns else 0
        if stepped_ns:
            self._minutes = deque(
                ((at_ns, was_ns + stepped_ns) for at_ns, was_ns in self._minutes), RATES_MAX + 1
            )
            self._correction_ns += stepped_ns
        else:
            self._correction_ns += max(-most_ns, min(most_ns, change_ns))
        if self._mono_ns - self._minutes[-1][0] >= RATE_NS:
            self._minutes.append((self._mono_ns, self._correction_ns))
        return HostTime(
            steady_ns=mono_ns + self._base_ns,
            correction_ns=self._correction_ns,
            rate_ppt=self.rate_ppt,
            stepped_ns=stepped_ns,
        )
