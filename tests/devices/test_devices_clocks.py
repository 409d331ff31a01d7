"""Current time and elapsed time: round trips, and what instant they say."""

import math
from datetime import UTC, datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.current_time import (
    AdjustReason,
    CurrentTime,
    DayOfWeek,
    DstOffset,
    LocalTimeInformation,
    ReferenceTimeInformation,
    TimeSource,
    current_time_of,
    decode_current_time,
    decode_local_time_information,
    decode_reference_time_information,
    encode_current_time,
    encode_local_time_information,
    encode_reference_time_information,
)
from devices.date_time import DeviceDateTime
from devices.elapsed_time import (
    ClockCapability,
    CurrentElapsedTime,
    ElapsedTime,
    TimeKind,
    TimeResolution,
    decode_current_elapsed_time,
    decode_elapsed_time,
    elapsed_time_to_set,
    encode_current_elapsed_time,
    encode_elapsed_time,
)
from devices.errors import EncodeError

NS_PER_S = 10**9
EPOCH = datetime(2000, 1, 1)  # noqa: DTZ001 - clocks without a time zone
FIRST = datetime(1582, 1, 1)  # noqa: DTZ001
LAST = datetime(9999, 12, 31)  # noqa: DTZ001

u8 = st.integers(0, 255)
dates = st.builds(
    DeviceDateTime,
    year=st.none() | st.integers(1582, 9999),
    month=st.none() | st.integers(1, 12),
    day=st.none() | st.integers(1, 28),
    hour=st.integers(0, 23),
    minute=st.integers(0, 59),
    second=st.integers(0, 59),
)
current_times = st.builds(
    CurrentTime,
    date_time=dates,
    fractions_256=u8,
    day_of_week=st.none() | st.sampled_from(DayOfWeek) | st.integers(8, 255),
    adjust_reason=st.integers(0, 15).map(AdjustReason),
)
local_times = st.builds(
    LocalTimeInformation,
    time_zone_quarters=st.none() | st.integers(-48, 56),
    dst_offset=st.none() | st.sampled_from(DstOffset),
)
reference_times = st.builds(
    ReferenceTimeInformation,
    source=st.sampled_from(TimeSource) | st.integers(8, 255),
    accuracy_s=st.none() | st.just(math.inf) | st.integers(0, 253).map(lambda steps: steps / 8),
    hours_since_update=st.none() | st.integers(0, 255 * 24 - 1),
)
counts = st.integers(0, 2**48 - 1)
resolutions = st.sampled_from(TimeResolution)
elapsed_times = st.builds(
    ElapsedTime,
    count=counts,
    resolution=resolutions,
    kind=st.sampled_from([TimeKind.UTC, TimeKind.LOCAL]),
    source=st.sampled_from(TimeSource) | st.integers(8, 255),
    offset_quarters=st.none() | st.integers(-127, 127),
    on_current_timeline=st.booleans(),
) | st.builds(
    ElapsedTime,
    count=counts,
    resolution=resolutions,
    kind=st.just(TimeKind.TICKS),
    on_current_timeline=st.booleans(),
)


def at(instant: datetime, *, kind: TimeKind, offset_quarters: int | None = None) -> ElapsedTime:
    elapsed = instant.replace(tzinfo=None) - EPOCH
    return ElapsedTime(
        count=elapsed // timedelta(milliseconds=1),
        resolution=TimeResolution.MILLISECOND,
        kind=kind,
        source=TimeSource.MANUAL,
        offset_quarters=offset_quarters,
    )


@given(time=current_times)
def test_current_time(time: CurrentTime) -> None:
    assert decode_current_time(encode_current_time(time)) == time


@given(information=local_times)
def test_local_time_information(information: LocalTimeInformation) -> None:
    encoded = encode_local_time_information(information)

    assert decode_local_time_information(encoded) == information


@given(information=reference_times)
def test_reference_time_information(information: ReferenceTimeInformation) -> None:
    encoded = encode_reference_time_information(information)

    assert decode_reference_time_information(encoded) == information


@given(time=elapsed_times)
def test_elapsed_time(time: ElapsedTime) -> None:
    assert decode_elapsed_time(encode_elapsed_time(time)) == time


@given(time=elapsed_times, needs_set=st.booleans(), bits=st.integers(0, 3))
def test_current_elapsed_time(time: ElapsedTime, needs_set: bool, bits: int) -> None:  # noqa: FBT001
    current = CurrentElapsedTime(time=time, needs_set=needs_set, capabilities=ClockCapability(bits))

    assert decode_current_elapsed_time(encode_current_elapsed_time(current)) == current


@given(time=elapsed_times)
def test_every_elapsed_time_can_be_asked_what_it_says(time: ElapsedTime) -> None:
    shown = time.to_date_time()

    assert (time.kind is TimeKind.TICKS) <= (shown is None and time.utc_ns is None)
    if shown is None and time.kind is not TimeKind.TICKS:
        assert time.elapsed_ns > 7000 * 365 * 86_400 * NS_PER_S


@given(local=st.datetimes(FIRST, LAST))
def test_a_clock_is_set_to_the_256th_of_a_second_below(local: datetime) -> None:
    shown = current_time_of(local).to_datetime()

    assert shown is not None
    assert timedelta(0) <= local - shown <= timedelta(microseconds=3907)
    assert current_time_of(local).day_of_week == local.isoweekday()


def test_half_a_second_is_half_a_second() -> None:
    time = decode_current_time(bytes.fromhex("e2 07 04 11 0f 33 00 02 80 01"))

    shown = time.to_datetime()
    assert shown is not None
    assert shown.isoformat() == "2018-04-17T15:51:00.500000"
    assert time.adjust_reason == AdjustReason.MANUAL


def test_a_date_that_is_not_known_is_no_instant() -> None:
    assert decode_current_time(bytes(10)).to_datetime() is None


@pytest.mark.parametrize(
    ("payload", "utc_offset_s"), [("16 00", 19_800), ("ec 04", -14_400), ("80 00", None)]
)
def test_local_time_is_so_far_from_utc(payload: str, utc_offset_s: int | None) -> None:
    information = decode_local_time_information(bytes.fromhex(payload))

    assert information.utc_offset_s == utc_offset_s


def test_an_accuracy_is_rounded_to_the_worse_step() -> None:
    information = ReferenceTimeInformation(source=1, accuracy_s=0.13, hours_since_update=0)

    assert encode_reference_time_information(information)[1] == 2


@pytest.mark.parametrize("accuracy_s", [-0.1, math.nan])
def test_an_accuracy_that_cannot_be_is_refused(accuracy_s: float) -> None:
    with pytest.raises(EncodeError):
        encode_reference_time_information(
            ReferenceTimeInformation(source=1, accuracy_s=accuracy_s, hours_since_update=0)
        )


@pytest.mark.parametrize("hours", [-1, 255 * 24])
def test_hours_that_do_not_fit_are_refused(hours: int) -> None:
    with pytest.raises(EncodeError):
        encode_reference_time_information(
            ReferenceTimeInformation(source=1, accuracy_s=0.0, hours_since_update=hours)
        )


def test_a_time_zone_that_there_is_not_is_refused() -> None:
    with pytest.raises(EncodeError):
        encode_local_time_information(
            LocalTimeInformation(time_zone_quarters=57, dst_offset=DstOffset.STANDARD)
        )


def test_a_clock_of_universal_time_knows_the_instant_and_shows_its_local_time() -> None:
    instant = datetime(2024, 11, 29, 23, 8, 57, 250_000, tzinfo=UTC)
    time = at(instant, kind=TimeKind.UTC, offset_quarters=4)

    assert time.utc_ns == round(instant.timestamp() * 1000) * 10**6
    shown = time.to_date_time()
    assert shown is not None
    assert str(shown.to_datetime()) == "2024-11-30 00:08:57"


def test_a_clock_of_local_time_knows_the_instant_by_its_offset_only() -> None:
    new_york = timezone(timedelta(hours=-5))
    local = datetime(2024, 11, 29, 18, 8, 57, tzinfo=new_york)

    known = at(local, kind=TimeKind.LOCAL, offset_quarters=-20)
    unknown = at(local, kind=TimeKind.LOCAL)

    assert known.utc_ns == round(local.timestamp()) * NS_PER_S
    assert unknown.utc_ns is None
    assert known.to_date_time() == unknown.to_date_time()


@given(
    clock=elapsed_times,
    utc_ns=st.integers(1_000_000_000 * NS_PER_S, 4_000_000_000 * NS_PER_S),
    offset_quarters=st.integers(-48, 64),
)
def test_a_clock_that_is_set_is_right_in_its_own_form(
    clock: ElapsedTime, utc_ns: int, offset_quarters: int
) -> None:
    time = elapsed_time_to_set(
        clock, utc_ns, source=TimeSource.GPS, offset_quarters=offset_quarters
    )

    if time is None:
        assert clock.kind is TimeKind.TICKS
        return
    assert (time.kind, time.resolution) == (clock.kind, clock.resolution)
    assert decode_elapsed_time(encode_elapsed_time(time)) == time
    if time.utc_ns is None:
        assert (clock.kind, clock.offset_quarters) == (TimeKind.LOCAL, None)
    else:
        assert 0 <= utc_ns - time.utc_ns < clock.resolution.ns


def test_ticks_are_no_date() -> None:
    time = ElapsedTime(count=15, resolution=TimeResolution.TENTH_SECOND, kind=TimeKind.TICKS)

    assert time.elapsed_ns == 1_500_000_000
    assert (time.utc_ns, time.to_date_time()) == (None, None)


@pytest.mark.parametrize(
    ("kind", "source", "offset_quarters"),
    [(TimeKind.TICKS, 1, None), (TimeKind.TICKS, None, 0), (TimeKind.UTC, None, None)],
)
def test_a_time_that_says_too_much_or_too_little_cannot_be(
    kind: TimeKind, source: int | None, offset_quarters: int | None
) -> None:
    with pytest.raises(ValueError, match=r"source|offset"):
        ElapsedTime(
            count=0,
            resolution=TimeResolution.SECOND,
            kind=kind,
            source=source,
            offset_quarters=offset_quarters,
        )


def test_a_count_that_does_not_fit_48_bits_is_refused() -> None:
    time = ElapsedTime(count=2**48, resolution=TimeResolution.SECOND, kind=TimeKind.TICKS)

    with pytest.raises(EncodeError, match="time_value"):
        encode_elapsed_time(time)
