"""One device's clock, as all of its streams share it: stamps in, UTC out. Pure."""

from typing import Final

from edge import metrics
from edge.clocks.clock_hull import PPT_PER_PPM, Arrival, ClockHull, HullState
from edge.clocks.clock_state import ClockStateError, hull_state, hull_text
from edge.clocks.delay_window import SLOT_NS
from edge.clocks.host_clock import HostClock
from edge.clocks.sample_grid import MappedStamp, map_stamp
from ingest.frame import NS_PER_S, ClockRelation

LOST: Final = -1
"""Segment of a stamp whose clock is not known any more."""


class DeviceClock:
    """What the stamps of a device's payloads say of its clock.

    Streams of one device are stamped by one clock, and arrive over one link. The stream that the
    device hands over soonest sets the floor of the delays for all of them: another, whose payloads
    are always 30 ms later, is timed by its stamps all the same, and not 30 ms late.

    Parameters
    ----------
    host
        What has told the times of arrival.
    text
        Where an earlier one stood.
    """

    def __init__(self, host: HostClock, text: str | None) -> None:
        self._host = host
        state = _state(text)
        self._hull = ClockHull(state)
        self._text = text if state is not None else None
        self._written: tuple[int, int] | None = None
        self._newest: MappedStamp | None = None
        self._host_slipped = False

    @property
    def host_slipped(self) -> bool:
        """Whether it was the host's clock that went wrong, and not this one, when they parted.

        A host without a battery-backed clock begins where it ended, and an outage has no length:
        a device that comes back then seems to have been set forward. What it says is right.
        """
        return self._host_slipped

    @property
    def known(self) -> bool:
        """Whether it has heard a stamp, in this run or an earlier one."""
        return self._hull.segment >= 0

    @property
    def segment(self) -> int:
        """Which stretch between two jumps it is in; -1 before the first stamp."""
        return self._hull.segment

    def map(
        self, device_ns: int, told_ns: int, *, was_set: bool, goes_on: bool
    ) -> tuple[MappedStamp, int | None]:
        """Map the stamp of a payload that has just come.

        Parameters
        ----------
        device_ns
            Its last sample's, on the device's clock.
        told_ns
            When it came, as the host's clock has just told.
        was_set
            The stamp is one that the clock cannot show unless it was set.
        goes_on
            The stamp is where the stream goes on, so that the clock was not set.

        Returns
        -------
        stamp
        jump_ns
            How far the device's clock was set forward just before, if it was set; negative: back.
        """
        now = self._host.at(told_ns)
        arrival = self._hull.add(device_ns, now.steady_ns, was_set=was_set, goes_on=goes_on)
        jumped = arrival is Arrival.CLOCK_JUMPED
        jump_ns = self._hull.segments[-1].jump_ns if jumped else None
        if jump_ns is not None:
            first = self._newest is None
            self._host_slipped = first and self._host.rebooted and jump_ns > 0
        self._newest = map_stamp(device_ns, self._hull, now)
        return self._newest, jump_ns

    def relation(self, device_id: str) -> ClockRelation | None:
        """Say how the clocks compare at the newest stamp; None before the first."""
        if self._newest is None:
            return None
        return ClockRelation(
            device_id=device_id,
            offset_ns=self._newest.t_ns - self._newest.device_ns,
            drift_ppm=self._newest.drift_ppt / PPT_PER_PPM,
            uncertainty_ns=self._hull.uncertainty_ns,
            device_ns=self._newest.device_ns,
        )

    def text(self, *, exact: bool) -> str | None:
        """Write down what to keep for the next start; None before the first stamp.

        Parameters
        ----------
        exact
            As of now. Else as of the last slot or jump: two kilobytes every 20 s and not with every
            Frame, for which a killed agent pays with the delays of 20 s.
        """
        state = self._hull.state
        if state is None:
            return None
        mark = (self._hull.segment, state.points[-1][0] // SLOT_NS)
        if exact or self._text is None or mark != self._written:
            self._text, self._written = hull_text(state), mark
        return self._text


def jump_text(jump_ns: int) -> str:
    """Say how far a clock was set: seconds, forward is positive."""
    return f"{jump_ns / NS_PER_S:+.3f} s"


def _state(text: str | None) -> HullState | None:
    if text is None:
        return None
    try:
        return hull_state(text)
    except ClockStateError:
        metrics.STATES_UNREADABLE.inc()
        return None
