"""When a device's own clock says that something was measured, in UTC. Pure.

Cuffs, meters and scales state local time without a zone, and nobody may ever have set their clock.
Where the clock can be read its error is known and taken away. Where it cannot, the date is taken
as local time here, and marked; a date that cannot be is not used at all.
"""

from calendar import timegm
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from typing import Final

from devices.date_time import DeviceDateTime
from devices.elapsed_time import ElapsedTime
from ingest.frame import NS_PER_S
from ingest.reading_marks import TIME_OF_ARRIVAL, TIME_UNCHECKED

AHEAD_NS_MAX: Final = 5 * NS_PER_S
"""Nothing was measured later than it arrived, but for the steps and the latency of a clock."""
AGE_NS_MAX: Final = 400 * 86_400 * NS_PER_S
"""Chosen: a live measurement that its unchecked clock calls older is from a clock that was never
set. Such clocks begin at a fixed date of years ago."""
_OVERLAP_NS: Final = 2 * NS_PER_S


@dataclass(frozen=True, slots=True)
class StatedTime:
    """When something was measured.

    Attributes
    ----------
    t_ns
        UTC, nanoseconds since 1970.
    marks
        What is doubtful about it: see `ingest.reading_marks`.
    """

    t_ns: int
    marks: int = 0


@dataclass(frozen=True, slots=True)
class _Relation:
    """UTC minus what the clock shows, since it was set to show that."""

    since_ns: int
    offset_ns: int


class WallClock:
    """A device's own clock against UTC.

    Parameters
    ----------
    zone
        Where the device is; None: as this computer is set.
    """

    def __init__(self, zone: tzinfo | None = None) -> None:
        self._zone = zone
        self._dates: list[_Relation] = []
        self._elapsed_offset_ns: int | None = None
        self._elapsed_first_ns: int | None = None
        self._before: tuple[range, int] | None = None

    def local(self, utc_ns: int) -> datetime:
        """Give the local time of an instant, without a zone."""
        at = datetime.fromtimestamp(utc_ns // NS_PER_S, UTC) + timedelta(
            microseconds=utc_ns % NS_PER_S // 1000
        )
        return at.astimezone(self._zone).replace(tzinfo=None)

    @property
    def compared(self) -> bool:
        """Whether the clock's dates have been compared."""
        return bool(self._dates)

    @staticmethod
    def offset_ns(shown: datetime, zone_min: int) -> int:
        """Give the UTC of a date in a zone that is so many minutes ahead of UTC."""
        return _date_ns(shown) - zone_min * 60 * NS_PER_S

    def ahead_of_utc(self, utc_ns: int) -> timedelta:
        """Tell how far local time is ahead of UTC at an instant."""
        return timedelta(microseconds=(_date_ns(self.local(utc_ns)) - utc_ns) / 1000)

    def compare(self, shown: datetime, at_ns: int) -> None:
        """Note what the clock showed at an instant of UTC.

        Dates have whole seconds, and so has the correction: a record that is read twice over
        different links has the same time.
        """
        offset_ns = _in_seconds(at_ns - _date_ns(shown))
        if not self._dates:
            self._dates.append(_Relation(0, offset_ns))
        else:
            self._dates[-1] = _Relation(self._dates[-1].since_ns, offset_ns)

    def was_set(self, at_ns: int, error_ns: int = 0) -> None:
        """Note that the clock shows local time since an instant, with a known error.

        What it called earlier than that, or what would be of the future, was stated by the clock as
        it was before. Told again of the same instant, the error is known better.
        """
        offset_ns = _in_seconds(at_ns - _date_ns(self.local(at_ns)) - error_ns)
        self.was_not_set(at_ns)
        self._dates = [*self._dates[-1:], _Relation(at_ns, offset_ns)]

    def was_not_set(self, at_ns: int) -> None:
        """Take back that it was set at an instant."""
        self._dates = [one for one in self._dates if one.since_ns < at_ns]

    def error_ns(self, shown: datetime, at_ns: int) -> int:
        """Tell how far ahead of local time the clock is; negative: behind."""
        return _date_ns(shown) - _date_ns(self.local(at_ns))

    def utc(
        self, shown: DeviceDateTime | None, received_ns: int, *, stored: bool = False
    ) -> StatedTime:
        """Give the UTC of a date by the device's clock.

        Parameters
        ----------
        shown
            None, or a part of it unknown: the time of arrival is all there is.
        received_ns
            UTC of its arrival.
        stored
            It comes from the device's memory, and may be of any age.
        """
        date = None if shown is None else shown.to_datetime()
        if date is None:
            return StatedTime(received_ns, TIME_OF_ARRIVAL)
        if self._dates:
            return _if_possible(StatedTime(self._corrected_ns(date, received_ns)), received_ns)
        t_ns = self._local_ns(date)
        oldest_ns = 0 if stored else received_ns - AGE_NS_MAX
        if t_ns < oldest_ns:
            return StatedTime(received_ns, TIME_OF_ARRIVAL)
        return _if_possible(StatedTime(t_ns, TIME_UNCHECKED), received_ns)

    def compare_elapsed(self, time: ElapsedTime, at_ns: int) -> None:
        """Note what a counting clock stood at at an instant of UTC."""
        self._elapsed_offset_ns = at_ns - time.elapsed_ns
        if self._elapsed_first_ns is None:
            self._elapsed_first_ns = time.elapsed_ns

    def elapsed_was_set(self, at_ns: int) -> None:
        """Note that the counting clock was set at an instant: it is to be compared anew.

        What it has stamped since it was first read was stamped by the clock as it was.
        """
        first_ns, offset_ns = self._elapsed_first_ns, self._elapsed_offset_ns
        if first_ns is not None and offset_ns is not None:
            self._before = (range(first_ns, at_ns - offset_ns + 1), offset_ns)
        self._elapsed_first_ns = self._elapsed_offset_ns = None

    def utc_of_elapsed(self, time: ElapsedTime, received_ns: int) -> StatedTime:
        """Give the UTC of a count of the device's clock."""
        if time.on_current_timeline and self._elapsed_offset_ns is not None:
            t_ns = time.elapsed_ns + self._elapsed_offset_ns
            return _if_possible(StatedTime(t_ns), received_ns)
        if not time.on_current_timeline and self._before is not None:
            stamped, offset_ns = self._before
            if time.elapsed_ns in stamped:
                return _if_possible(StatedTime(time.elapsed_ns + offset_ns), received_ns)
        if time.utc_ns is not None:
            return _if_possible(StatedTime(time.utc_ns, TIME_UNCHECKED), received_ns)
        return StatedTime(received_ns, TIME_OF_ARRIVAL)

    def _corrected_ns(self, date: datetime, received_ns: int) -> int:
        *before, newest = self._dates
        t_ns = _date_ns(date) + newest.offset_ns
        if before and not newest.since_ns - _OVERLAP_NS <= t_ns <= received_ns + AHEAD_NS_MAX:
            return _date_ns(date) + before[0].offset_ns
        return t_ns

    def _local_ns(self, date: datetime) -> int:
        try:
            return int(date.replace(tzinfo=self._zone).timestamp()) * NS_PER_S
        except (OverflowError, ValueError, OSError):
            # The first and the last year of the calendar have no UTC everywhere.
            return -1


def _if_possible(stated: StatedTime, received_ns: int) -> StatedTime:
    """Use the arrival instead of a time that is later, or before 1970."""
    if 0 <= stated.t_ns <= received_ns:
        return stated
    if 0 <= stated.t_ns - received_ns <= AHEAD_NS_MAX:
        return StatedTime(received_ns, stated.marks)
    return StatedTime(received_ns, TIME_OF_ARRIVAL)


def _date_ns(date: datetime) -> int:
    """Count a date without a zone as if it were UTC."""
    return timegm(date.timetuple()) * NS_PER_S + date.microsecond * 1000


def _in_seconds(t_ns: int) -> int:
    return (t_ns + NS_PER_S // 2) // NS_PER_S * NS_PER_S
