"""A device's clock on the host's, from one-way time stamps: pure, integers, no clock.

A packet never arrives before it is sent: host time at arrival minus device time at sending is the
clocks' offset plus a delay that is only ever positive. The truth lies under all of these points,
and where the delay was least it touches them: the lower convex hull of the points, over a sliding
window, has the clocks' drift as the slope of its edge over the middle of the window (that edge is
the line under all points with the least sum of distances).

Three things are added to the textbook, each for a case in which the hull alone goes wrong:

- Of every slot of 20 s only the lowest point is kept. Memory is 60 points however many packets
  come, and a packet costs a few comparisons; the hull is made when a slot closes.
- The window is 1200 s, not 600, and the slope that of the hull over its middle third: an edge may
  be short. Of 600 s the edge gives a drift within 2.3 ppm in the worst of 48 simulated hours
  (130 Hz, 73 samples a packet, waiting for a 45 ms connection interval, 3 % held up by 250 ms on
  average); of 1200 s the third gives it within 0.5 ppm. Ten minutes after the first packet it is
  within 1 ppm in 98 of 100 runs (the worst: 1.7), from minute 11 on in all; an estimator that
  knows the distribution of the delays is no better. Times are within 4 ms after two minutes, and
  within 2 ms after eleven.
- Where the line lies is not taken from the hull's edge, ten minutes old, but from a floor that
  moves with the drift: a packet below it lowers it at once, for nothing arrives early; packets that
  all stay above it raise it by 6 ppm at most, unless none has touched it for a whole window. So a
  crystal that warms up is followed, and ten minutes in which every packet is late move the time by
  less than 5 ms.

What one-way stamps cannot show is the least delay itself, some milliseconds and constant: it is in
the offset, unless it is known from elsewhere and given. The host's clock must not step; one that
nobody slews either (``CLOCK_MONOTONIC_RAW``) is best, see ``edge.clocks.host_clock``.

Source: S. Moon, P. Skelly and D. Towsley, Estimation and removal of clock skew from network delay
measurements, INFOCOM 1999; L. Zhang, Z. Liu and C. Xia, Clock synchronization algorithms for
network measurements, INFOCOM 2002 (the hull).
"""

from collections import deque
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from edge.clocks.delay_floor import START_NS, WRONG_NS, Lateness, Lift, Line, Spread
from edge.clocks.delay_window import PPT, SLOT_NS, WINDOW_NS, DelayWindow, Point
from ingest.frame import NS_PER_S

PPT_PER_PPM: Final = 10**6

DRIFT_PPT_MAX: Final = 500 * PPT_PER_PPM
"""Worse crystals than 500 ppm are not sold."""

LIFT_PPT_MAX: Final = 6 * PPT_PER_PPM
"""How fast the floor may rise above what the drift says, once the drift is known: what a crystal
does that warms up, and not what a bad link does."""

FIRST_LIFT_PPT_MAX: Final = 20 * PPT_PER_PPM
"""The same while the drift is not known yet."""

LIFT_PACKETS_MIN: Final = 32
"""The floor is raised only when so many packets have stayed above it."""

DOUBT_PPT: Final = 15 * PPT_PER_PPM
"""A drift that differs by more from the known one is a bad link's, unless it stays for a window."""

LEARNED_NS: Final = 600 * NS_PER_S
"""After so long the drift counts as known; later changes need points over as long."""

LATE_NS_MAX: Final = 32 * NS_PER_S
"""No link holds a packet longer: the greatest supervision timeout (Core Specification, Vol 4,
Part E, 7.8.12). What seems later still comes from a clock that was set back."""

LATE_NS: Final = 2 * NS_PER_S
"""From here on lateness may be a clock that was set back: the next packets tell."""

HELD_UP_NS_MAX: Final = 300 * NS_PER_S
"""A stream that goes on without a hole and is seconds late for longer tells that we are wrong."""

EARLY_NS_MAX: Final = NS_PER_S // 4
"""Nothing arrives early: by more than this, the device's clock was set forward."""

UNSURE_PPT: Final = 10 * PPT_PER_PPM
"""How much the drift may change while no packet finds the floor."""

SEGMENTS_MAX: Final = 8


class Arrival(StrEnum):
    """What a packet said about the device's clock."""

    USUAL = "usual"
    LATE = "late"
    """Seconds late: held up by the link, or the first behind a clock that was set back."""
    CLOCK_JUMPED = "clock_jumped"
    """The device's clock was set, or began anew: a new segment begins with this packet."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClockSegment:
    """A stretch in which the device's clock only ran."""

    number: int
    """Counts from 0."""
    device_first_ns: int
    host_first_ns: int
    jump_ns: int
    """How far the device's clock was set forward just before; negative: back; 0: first segment."""
    seen_late: bool = False
    """It was set some packets before the first of this segment: they only seemed late."""


@dataclass(frozen=True, slots=True, kw_only=True)
class HullState:
    """All that must survive a restart: numbers only, bounded."""

    segments: tuple[ClockSegment, ...]
    """The newest last."""
    device_ns: int
    """Newest device time."""
    offset_ns: int
    """Floor of host minus device time, there."""
    drift_ppt: int
    learned: bool
    n_packets: int
    delay_mean_ns: int
    touched_ns: int
    lifted_ns: int
    lift_packets: int
    lift_room_ns: int
    late_packets: int
    late_least_ns: int
    late_most_ns: int
    doubted_ns: int | None
    points: tuple[Point, ...]
    """Lowest point of each slot of the window: device time, host minus device time."""


class ClockHull:
    """Host time of a device's time stamps.

    Parameters
    ----------
    state
        Where an earlier one stood.
    least_delay_ns
        The constant least delay between the device's stamp and its arrival, where it is known.
    """

    def __init__(self, state: HullState | None = None, *, least_delay_ns: int = 0) -> None:
        self._least_delay_ns = least_delay_ns
        self._segments: deque[ClockSegment] = deque(maxlen=SEGMENTS_MAX)
        self._line = Line(0, 0)
        self._lateness = Lateness()
        self._learned = False
        self._doubted_ns: int | None = None
        self._held_up_ns: int | None = None
        self._begin(0, 0)
        if state is not None:
            self._restore(state)

    def _begin(self, device_ns: int, offset_ns: int) -> None:
        """Forget where the clocks stood, not how fast they run."""
        self._line = Line(device_ns, offset_ns, self._line.drift_ppt)
        self._window = DelayWindow()
        self._spread = Spread(touched_ns=device_ns)
        self._lift = Lift(device_ns)

    def _restore(self, state: HullState) -> None:
        self._segments.extend(state.segments)
        self._line = Line(state.device_ns, state.offset_ns, state.drift_ppt)
        self._learned = state.learned
        self._spread = Spread(state.n_packets, state.delay_mean_ns, state.touched_ns)
        self._lift = Lift(state.lifted_ns, state.lift_packets, state.lift_room_ns)
        self._lateness = Lateness(state.late_packets, state.late_least_ns, state.late_most_ns)
        self._doubted_ns = state.doubted_ns
        self._window.points.extend(state.points)

    @property
    def state(self) -> HullState | None:
        """What to keep for the next start; None before the first packet."""
        if not self._segments:
            return None
        return HullState(
            segments=self.segments,
            device_ns=self._line.device_ns,
            offset_ns=self._line.offset_ns,
            drift_ppt=self._line.drift_ppt,
            learned=self._learned,
            n_packets=self._spread.n_packets,
            delay_mean_ns=self._spread.mean_ns,
            touched_ns=self._spread.touched_ns,
            lifted_ns=self._lift.since_ns,
            lift_packets=self._lift.n_packets,
            lift_room_ns=self._lift.room_ns,
            late_packets=self._lateness.n_packets,
            late_least_ns=self._lateness.least_ns,
            late_most_ns=self._lateness.most_ns,
            doubted_ns=self._doubted_ns,
            points=tuple(self._window.points),
        )

    @property
    def segments(self) -> tuple[ClockSegment, ...]:
        """The newest stretches between jumps of the device's clock, the present one last."""
        return tuple(self._segments)

    @property
    def segment(self) -> int:
        """Number of the present segment; -1 before the first packet."""
        return self._segments[-1].number if self._segments else -1

    @property
    def drift_ppt(self) -> int:
        """Host time gained per device time, in 1e-12: positive where the device's clock is slow."""
        return self._line.drift_ppt

    @property
    def drift_ppm(self) -> float:
        """The same in 1e-6."""
        return self._line.drift_ppt / PPT_PER_PPM

    @property
    def uncertainty_ns(self) -> int:
        """How far the mapping of the newest packet may be off, the constant least delay aside."""
        unsure_ppt = UNSURE_PPT if self._learned else DRIFT_PPT_MAX
        untouched_ns = self._line.device_ns - self._spread.touched_ns
        return self._spread.nearest_ns + unsure_ppt * untouched_ns // PPT

    def offset_ns(self, device_ns: int) -> int:
        """Host minus device time when the device's clock shows ``device_ns``."""
        return self._line.at(device_ns) - self._least_delay_ns

    def host_ns(self, device_ns: int) -> int:
        """Host time when the device's clock shows ``device_ns``."""
        return device_ns + self.offset_ns(device_ns)

    def add(
        self, device_ns: int, host_ns: int, *, was_set: bool = False, goes_on: bool = False
    ) -> Arrival:
        """Take in one packet.

        Parameters
        ----------
        device_ns
            Its time stamp on the device's clock; duplicates and any order are welcome.
        host_ns
            When it arrived, on a host clock that never steps.
        was_set
            Something else shows that the device's clock was set just before.
        goes_on
            Something else shows that it was not: the stamp is a payload's length behind the one
            before. Then what seems late was held up, be it for minutes by a host that stood still,
            and what seems early shows that all before it were late.
        """
        offset_ns = host_ns - device_ns
        if not self._segments:
            return self._begin_segment(device_ns, host_ns, jump_ns=0)
        excess_ns = offset_ns - self._line.at(device_ns)
        pause_ns = host_ns - self._line.device_ns - self._line.offset_ns
        slack_ns = DRIFT_PPT_MAX * abs(pause_ns) // PPT
        early_ns = EARLY_NS_MAX if self._spread.n_packets >= LIFT_PACKETS_MIN else LATE_NS_MAX
        late = excess_ns > LATE_NS + slack_ns
        if self._is_held_up(device_ns, late=late, goes_on=goes_on):
            return Arrival.LATE
        possible = -early_ns - slack_ns <= excess_ns <= LATE_NS_MAX + slack_ns
        if was_set or not (possible or (goes_on and not late)):
            return self._begin_segment(device_ns, host_ns, jump_ns=self._line.offset_ns - offset_ns)
        if late:
            if self._lateness.add(offset_ns):
                jump_ns = self._line.offset_ns - offset_ns
                return self._begin_segment(device_ns, host_ns, jump_ns=jump_ns, seen_late=True)
            return Arrival.LATE
        self._lateness = Lateness()
        self._take(device_ns, offset_ns, excess_ns)
        return Arrival.USUAL

    def _is_held_up(self, device_ns: int, *, late: bool, goes_on: bool) -> bool:
        """Tell whether a packet is late that goes on where packets were on time, or held up.

        Behind a break nobody knows: a clock that was set back meanwhile is late from then on.
        """
        if not late or not goes_on:
            self._held_up_ns = None
            return False
        if self._held_up_ns is None:
            if self._lateness.n_packets:
                return False
            self._held_up_ns = device_ns
        return device_ns - self._held_up_ns < HELD_UP_NS_MAX

    def _begin_segment(
        self, device_ns: int, host_ns: int, *, jump_ns: int, seen_late: bool = False
    ) -> Arrival:
        first = not self._segments
        offset_ns = host_ns - device_ns
        self._segments.append(
            ClockSegment(
                number=self.segment + 1,
                device_first_ns=device_ns,
                host_first_ns=host_ns,
                jump_ns=jump_ns,
                seen_late=seen_late,
            )
        )
        self._lateness = Lateness()
        self._held_up_ns = None
        self._begin(device_ns, offset_ns)
        self._take(device_ns, offset_ns, 0)
        return Arrival.USUAL if first else Arrival.CLOCK_JUMPED

    def _take(self, device_ns: int, offset_ns: int, excess_ns: int) -> None:
        line = self._line
        if device_ns > line.device_ns:
            line.offset_ns, line.device_ns = line.at(device_ns), device_ns
        line.offset_ns += min(excess_ns, 0)
        if excess_ns < -(WRONG_NS if self._learned else START_NS):
            self._window = DelayWindow()  # what it holds was all late
        self._spread.add(device_ns, excess_ns)
        self._lift.add(max(excess_ns, 0))
        if self._window.add(device_ns, offset_ns, line.drift_ppt):
            self._learn(device_ns)
            self._raise(device_ns)

    def _learn(self, device_ns: int) -> None:
        """Take the drift from the hull, unless it is one that only a bad link shows."""
        slopes = self._window.slopes_ppt(LEARNED_NS if self._learned else 2 * SLOT_NS)
        if slopes is None:
            return
        drift_ppt = self._line.drift_ppt
        change_ppt = max(slopes.most - drift_ppt, drift_ppt - slopes.least)
        if self._learned and change_ppt > DOUBT_PPT:
            self._doubted_ns = device_ns if self._doubted_ns is None else self._doubted_ns
            if device_ns - self._doubted_ns < WINDOW_NS:
                return
        self._doubted_ns = None
        self._line.drift_ppt = max(-DRIFT_PPT_MAX, min(DRIFT_PPT_MAX, slopes.mean))
        self._learned = self._learned or (device_ns - self._window.points[0][0] >= LEARNED_NS)

    def _raise(self, device_ns: int) -> None:
        """Raise the floor to the packets that stay above it, no faster than clocks change."""
        lift = self._lift
        if lift.n_packets < LIFT_PACKETS_MIN:
            return
        lift_ppt = LIFT_PPT_MAX if self._learned else FIRST_LIFT_PPT_MAX
        most_ns = lift_ppt * (device_ns - lift.since_ns) // PPT
        if device_ns - self._spread.touched_ns > WINDOW_NS:
            most_ns = lift.room_ns  # so long that it is not the link, or we shall never know
        self._line.offset_ns += min(lift.room_ns, most_ns)
        self._lift = Lift(device_ns)
