"""The host's own clocks: a line that never steps, and what separates it from UTC. Pure.

A host has a wall clock, which is UTC but is set now and then, and a monotonic one, which never
steps. Devices are compared with the monotonic one (``edge.clocks.clock_hull``); the wall clock,
read together with it, only says how far that is from UTC. So a step of the wall is seen for what
it is, and never looks like a jump of a device.

``CLOCK_MONOTONIC_RAW`` is the best monotonic clock: nobody slews it, and a slew of the wall is
followed here exactly. ``CLOCK_MONOTONIC`` is slewed with the wall: 500 ppm for a minute are 30 ms
that look as if every packet had become later, and the hull takes its time to believe that.

What has no time of its own, a reading or an event, gets UTC as *told*: it never goes back. When the
wall is set back, told time is ahead from then on. It comes back as the grids of the samples do
(``edge.clocks.sample_grid``): slowed down by half a percent if it is ahead by ten seconds or
less, and else when the wall is set forward. So readings and samples stay together.
"""

from collections import deque
from dataclasses import dataclass
from itertools import pairwise
from statistics import median_low
from typing import Final

from edge.clocks.delay_window import PPT
from ingest.frame import NS_PER_S

STEP_NS_MIN: Final = NS_PER_S // 4
"""Wall and monotonic clock part by more than this only where the wall was set."""

FOLLOW_PPT_MAX: Final = 1_000 * 10**6
"""The wall is followed no faster: a program interrupted between reading the two clocks has no
effect, and 500 ppm of slewing together with a bad crystal are still followed."""

FAST_PPT_MAX: Final = 5_000 * 10**6
"""Time is made longer or shorter by no more; a heart rate of 60 is off by 0.3 meanwhile."""

LEAD_NS_MAX: Final = 10 * NS_PER_S
"""Told time that is ahead by more keeps its rate, for slowed down it would take an hour."""

LEAD_KEPT_NS_MAX: Final = 86_400 * NS_PER_S
"""A next start believes the wall that lies further behind what was told: the wall was wrong then,
and nobody waits for years."""

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
    lead_ns: int = 0
    """How far told time is ahead of UTC, because the wall was set back."""

    @property
    def utc_ns(self) -> int:
        """UTC, nanoseconds since 1970."""
        return self.steady_ns + self.correction_ns

    @property
    def told_ns(self) -> int:
        """UTC for what has no other time; it never goes back."""
        return self.utc_ns + self.lead_ns


@dataclass(frozen=True, slots=True, kw_only=True)
class HostState:
    """All that must survive a restart of the agent, or of the host."""

    boot: str
    """Which run of the monotonic clock."""
    base_ns: int
    """Steady minus monotonic time."""
    mono_ns: int
    """Newest monotonic time."""
    correction_ns: int
    lead_ns: int
    minutes: tuple[tuple[int, int], ...]
    """Monotonic time and correction, once a minute, the oldest first."""


class HostClock:
    """One host's clocks, for all of its devices.

    Parameters
    ----------
    mono_ns, wall_ns
        Both clocks, read together now.
    boot
        Names the run of the monotonic clock: it begins anew with the host. Empty: not known.
    before
        How the run before ended. In the same boot steady time goes on to the nanosecond, whatever
        was done to the wall meanwhile; in another one as far as the wall was right at both times.
    """

    def __init__(
        self, mono_ns: int, wall_ns: int, *, boot: str = "", before: HostState | None = None
    ) -> None:
        self._boot = boot
        self._base_ns = wall_ns - mono_ns
        self._mono_ns = mono_ns
        self._correction_ns = 0
        self._lead_ns = 0
        self._rebooted = before is not None and not (boot and before.boot == boot)
        self._minutes: deque[tuple[int, int]] = deque([(mono_ns, 0)], RATES_MAX + 1)
        if before is None:
            return
        self._correction_ns = before.correction_ns
        if boot and before.boot == boot and mono_ns >= before.mono_ns:
            self._base_ns, self._mono_ns = before.base_ns, before.mono_ns
            self._lead_ns = before.lead_ns
            self._minutes.clear()
            self._minutes.extend(before.minutes)
            return
        self._base_ns -= before.correction_ns
        told_ns = before.mono_ns + before.base_ns + before.correction_ns + before.lead_ns
        lead_ns = told_ns - wall_ns
        self._lead_ns = lead_ns if 0 < lead_ns <= LEAD_KEPT_NS_MAX else 0
        # The crystal is the same: its rate is known, on another line.
        x_ns, y_ns = before.minutes[-1]
        self._minutes.clear()
        self._minutes.extend(
            (mono_ns + x - x_ns, self._correction_ns + y - y_ns) for x, y in before.minutes
        )

    @property
    def state(self) -> HostState:
        """What to keep for the next start."""
        return HostState(
            boot=self._boot,
            base_ns=self._base_ns,
            mono_ns=self._mono_ns,
            correction_ns=self._correction_ns,
            lead_ns=self._lead_ns,
            minutes=tuple(self._minutes),
        )

    @property
    def rebooted(self) -> bool:
        """Whether steady time goes on only as far as the wall was right when this run began."""
        return self._rebooted

    @property
    def rate_ppt(self) -> int:
        """UTC gained per steady time, in 1e-12; 0 until a minute was seen."""
        rates = [(y1 - y0) * PPT // (x1 - x0) for (x0, y0), (x1, y1) in pairwise(self._minutes)]
        return median_low(rates) if rates else 0

    def read(self, mono_ns: int, wall_ns: int) -> HostTime:
        """Take both clocks, read together.

        They may be read in any order, for callbacks are late; the wall of a moment that is not the
        newest says nothing new: it may be from before a step.
        """
        if mono_ns < self._mono_ns:
            return self._time(mono_ns + self._base_ns, 0)
        change_ns = wall_ns - mono_ns - self._base_ns - self._correction_ns
        pause_ns = mono_ns - self._mono_ns
        most_ns = FOLLOW_PPT_MAX * pause_ns // PPT
        self._mono_ns = mono_ns
        stepped_ns = change_ns if abs(change_ns) > STEP_NS_MIN + most_ns else 0
        if stepped_ns:
            self._minutes = deque(
                ((at_ns, was_ns + stepped_ns) for at_ns, was_ns in self._minutes), RATES_MAX + 1
            )
            self._correction_ns += stepped_ns
        else:
            self._correction_ns += max(-most_ns, min(most_ns, change_ns))
        self._lead_ns = _less_lead(max(0, self._lead_ns - stepped_ns), pause_ns)
        if self._mono_ns - self._minutes[-1][0] >= RATE_NS:
            self._minutes.append((self._mono_ns, self._correction_ns))
        return self._time(mono_ns + self._base_ns, stepped_ns)

    def at(self, told_ns: int) -> HostTime:
        """Give the moment that was just told, with all that is known of it."""
        return self._time(told_ns - self._lead_ns - self._correction_ns, 0)

    def _time(self, steady_ns: int, stepped_ns: int) -> HostTime:
        return HostTime(
            steady_ns=steady_ns,
            correction_ns=self._correction_ns,
            rate_ppt=self.rate_ppt,
            stepped_ns=stepped_ns,
            lead_ns=self._lead_ns,
        )


def _less_lead(lead_ns: int, pause_ns: int) -> int:
    """Give what is left of a lead after a pause."""
    if lead_ns > LEAD_NS_MAX:
        return lead_ns
    return max(0, lead_ns - FAST_PPT_MAX * pause_ns // PPT)
