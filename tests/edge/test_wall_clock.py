"""Dates by a device's own clock, in UTC: right where it can be read, marked where it cannot."""

from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.date_time import DeviceDateTime
from devices.elapsed_time import EPOCH_UNIX_NS, ElapsedTime, TimeKind, TimeResolution
from edge.clocks.wall_clock import AHEAD_NS_MAX, StatedTime, WallClock
from ingest.frame import NS_PER_S, TIME_NS_MAX
from ingest.reading_marks import TIME_OF_ARRIVAL, TIME_UNCHECKED

NOW_NS = 1_790_000_000 * NS_PER_S
DAY_NS = 86_400 * NS_PER_S
PARIS = ZoneInfo("Europe/Paris")

dates = st.builds(
    DeviceDateTime,
    year=st.none() | st.integers(1582, 9999),
    month=st.none() | st.integers(1, 12),
    day=st.none() | st.integers(1, 28),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    second=st.integers(0, 59),
)


def date(local: datetime) -> DeviceDateTime:
    return DeviceDateTime(
        year=local.year,
        month=local.month,
        day=local.day,
        hour=local.hour,
        minute=local.minute,
        second=local.second,
    )


def local(utc_ns: int) -> datetime:
    return WallClock(PARIS).local(utc_ns)


def test_an_unread_clock_is_taken_as_local_time_and_marked() -> None:
    clock = WallClock(PARIS)

    assert clock.utc(date(local(NOW_NS - DAY_NS)), NOW_NS) == StatedTime(
        NOW_NS - DAY_NS, TIME_UNCHECKED
    )


@given(error_s=st.integers(-(10**9), 10**9), age_s=st.integers(0, 10**7))
def test_the_error_of_a_clock_that_was_read_is_taken_away(error_s: int, age_s: int) -> None:
    clock = WallClock(PARIS)
    error = timedelta(seconds=error_s)
    clock.compare(local(NOW_NS) + error, NOW_NS + 30_000_000)
    measured_ns = NOW_NS - age_s * NS_PER_S

    # The clock keeps its error whatever summer time does meanwhile.
    shown = local(NOW_NS) - timedelta(seconds=age_s) + error
    stated = clock.utc(date(shown), NOW_NS + NS_PER_S)

    assert stated == StatedTime(measured_ns)


def test_what_was_measured_before_the_clock_was_set_keeps_the_old_error() -> None:
    clock = WallClock(PARIS)
    behind = timedelta(days=3)
    clock.compare(local(NOW_NS) - behind, NOW_NS)
    clock.was_set(NOW_NS)

    before = clock.utc(date(local(NOW_NS - DAY_NS) - behind), NOW_NS + DAY_NS)
    after = clock.utc(date(local(NOW_NS + 60 * NS_PER_S)), NOW_NS + DAY_NS)

    assert before == StatedTime(NOW_NS - DAY_NS)
    assert after == StatedTime(NOW_NS + 60 * NS_PER_S)


@pytest.mark.parametrize("error", [timedelta(days=-3), timedelta(days=3), timedelta(seconds=-40)])
def test_while_a_clock_is_being_set_both_its_errors_are_known(error: timedelta) -> None:
    """Nobody knows when within the setting it was: what comes meanwhile may be dated by either."""
    clock = WallClock(PARIS)
    clock.compare(local(NOW_NS) + error, NOW_NS)
    clock.was_set(NOW_NS)
    measured_ns = NOW_NS + NS_PER_S

    as_it_was = clock.utc(date(local(measured_ns) + error), measured_ns)
    as_it_is = clock.utc(date(local(measured_ns)), measured_ns)
    clock.was_set(NOW_NS, -NS_PER_S)
    as_it_was_later = clock.utc(date(local(NOW_NS - DAY_NS) + error), measured_ns)

    assert as_it_was == as_it_is == StatedTime(measured_ns)
    assert as_it_was_later == StatedTime(NOW_NS - DAY_NS)


def test_a_clock_that_would_not_be_set_keeps_its_error() -> None:
    clock, ahead = WallClock(PARIS), timedelta(seconds=40)
    clock.compare(local(NOW_NS) + ahead, NOW_NS)
    clock.was_set(NOW_NS)

    clock.was_not_set(NOW_NS)

    measured_ns = NOW_NS + 60 * NS_PER_S
    assert clock.utc(date(local(measured_ns) + ahead), measured_ns) == StatedTime(measured_ns)


@pytest.mark.parametrize("stored", [False, True])
def test_a_date_of_years_ago_is_believed_of_a_memory_only(stored: bool) -> None:  # noqa: FBT001
    stated = WallClock(PARIS).utc(date(datetime(2000, 1, 1)), NOW_NS, stored=stored)  # noqa: DTZ001

    if stored:
        assert stated.marks == TIME_UNCHECKED
        assert stated.t_ns == (946_684_800 - 3600) * NS_PER_S
    else:
        assert stated == StatedTime(NOW_NS, TIME_OF_ARRIVAL)


def test_nothing_was_measured_after_it_arrived() -> None:
    clock = WallClock(PARIS)

    ahead = clock.utc(date(local(NOW_NS + DAY_NS)), NOW_NS)
    a_little = clock.utc(date(local(NOW_NS + AHEAD_NS_MAX // 2)), NOW_NS)

    assert ahead == StatedTime(NOW_NS, TIME_OF_ARRIVAL)
    assert a_little == StatedTime(NOW_NS, TIME_UNCHECKED)


@given(
    shown=st.none() | dates,
    stored=st.booleans(),
    read_at=st.none() | st.integers(0, 4 * 10**9),
    was_set=st.booleans(),
)
def test_any_date_gives_a_time_that_a_frame_can_hold(
    shown: DeviceDateTime | None,
    stored: bool,  # noqa: FBT001
    read_at: int | None,
    was_set: bool,  # noqa: FBT001
) -> None:
    clock = WallClock(PARIS)
    if read_at is not None:
        clock.compare(local(read_at * NS_PER_S), NOW_NS)
        if was_set:
            clock.was_set(NOW_NS)

    stated = clock.utc(shown, NOW_NS, stored=stored)

    assert 0 <= stated.t_ns <= NOW_NS <= TIME_NS_MAX
    assert stated.t_ns == NOW_NS or not stated.marks & TIME_OF_ARRIVAL


def test_a_counting_clock_is_mapped_by_what_it_stood_at_whatever_it_counts() -> None:
    clock = WallClock()
    ticks = ElapsedTime(count=5_000, resolution=TimeResolution.MILLISECOND, kind=TimeKind.TICKS)
    earlier = ElapsedTime(count=3_500, resolution=TimeResolution.MILLISECOND, kind=TimeKind.TICKS)

    assert clock.utc_of_elapsed(earlier, NOW_NS) == StatedTime(NOW_NS, TIME_OF_ARRIVAL)
    clock.compare_elapsed(ticks, NOW_NS)
    assert clock.utc_of_elapsed(earlier, NOW_NS) == StatedTime(NOW_NS - 1_500_000_000)


def test_a_count_of_an_earlier_timeline_is_as_the_clock_said_and_marked() -> None:
    clock = WallClock()
    stood = ElapsedTime(count=0, resolution=TimeResolution.SECOND, kind=TimeKind.UTC, source=0)
    clock.compare_elapsed(stood, NOW_NS)
    earlier = ElapsedTime(
        count=(NOW_NS - DAY_NS - EPOCH_UNIX_NS) // NS_PER_S,
        resolution=TimeResolution.SECOND,
        kind=TimeKind.UTC,
        source=0,
        on_current_timeline=False,
    )

    assert clock.utc_of_elapsed(earlier, NOW_NS) == StatedTime(NOW_NS - DAY_NS, TIME_UNCHECKED)


def test_what_was_counted_between_the_reading_and_the_setting_keeps_the_old_offset() -> None:
    clock = WallClock()

    def stamp(utc_ns: int, ahead_ns: int, *, current: bool) -> ElapsedTime:
        return ElapsedTime(
            count=(utc_ns + ahead_ns - EPOCH_UNIX_NS) // 10**6,
            resolution=TimeResolution.MILLISECOND,
            kind=TimeKind.UTC,
            source=0,
            on_current_timeline=current,
        )

    clock.compare_elapsed(stamp(NOW_NS, -DAY_NS, current=True), NOW_NS)
    set_ns = NOW_NS + 10 * NS_PER_S
    clock.elapsed_was_set(set_ns)
    clock.compare_elapsed(stamp(set_ns, 0, current=True), set_ns)

    between = stamp(NOW_NS + 5 * NS_PER_S, -DAY_NS, current=False)
    long_before = stamp(NOW_NS - DAY_NS, -DAY_NS, current=False)

    assert clock.utc_of_elapsed(between, set_ns) == StatedTime(NOW_NS + 5 * NS_PER_S)
    assert clock.utc_of_elapsed(long_before, set_ns).marks == TIME_UNCHECKED
