"""Current Time (0x2A2B), Local Time Information (0x2A0F), Reference Time Information (0x2A14).

Source: Bluetooth SIG, Current Time Service 1.1; GATT Specification Supplement (2026), Current
Time, Exact Time 256, Day of Week, Local Time Information, Time Zone, DST Offset, Reference Time
Information, Time Source, Time Accuracy.
"""

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, IntFlag
from typing import Final

from devices.date_time import DeviceDateTime
from devices.errors import EncodeError, InvalidFieldError, ReservedValueError
from devices.payload import PayloadReader, PayloadWriter

_FRACTIONS: Final = 256
_US_PER_S: Final = 1_000_000
_DEFINED_REASONS: Final = 0x0F
_TIME_ZONE_UNKNOWN: Final = -128
_TIME_ZONES: Final = range(-48, 57)
_DST_UNKNOWN: Final = 0xFF
_QUARTER_S: Final = 15 * 60
_ACCURACY_STEP_S: Final = 0.125
_ACCURACY_OUT_OF_RANGE: Final = 0xFE
_ACCURACY_UNKNOWN: Final = 0xFF
_LONG_AGO: Final = 0xFF
_HOURS_PER_DAY: Final = 24
_DAYS_MAX: Final = 254


class DayOfWeek(IntEnum):
    """A day of the week, as ISO 8601 counts them."""

    MONDAY = 1
    TUESDAY = 2
    WEDNESDAY = 3
    THURSDAY = 4
    FRIDAY = 5
    SATURDAY = 6
    SUNDAY = 7


class AdjustReason(IntFlag):
    """Why a clock was set; bits 4 to 7 are reserved."""

    MANUAL = 1 << 0
    EXTERNAL_REFERENCE = 1 << 1
    TIME_ZONE_CHANGED = 1 << 2
    DST_CHANGED = 1 << 3


class DstOffset(IntEnum):
    """What daylight saving adds to standard time, in quarters of an hour."""

    STANDARD = 0
    HALF_HOUR = 2
    ONE_HOUR = 4
    TWO_HOURS = 8


class TimeSource(IntEnum):
    """Where a clock has its time from."""

    UNKNOWN = 0
    NETWORK_TIME_PROTOCOL = 1
    GPS = 2
    RADIO_TIME_SIGNAL = 3
    MANUAL = 4
    ATOMIC_CLOCK = 5
    CELLULAR_NETWORK = 6
    NOT_SYNCHRONIZED = 7


_NO_REASON: Final = AdjustReason(0)


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentTime:
    """What a clock shows: local time, without a time zone.

    Attributes
    ----------
    date_time
        Date and time, whole seconds.
    fractions_256
        What is beyond them, in 256ths of a second: 0 to 255.
    day_of_week
        A `DayOfWeek` where it is one; None: the clock does not know.
    adjust_reason
        Why the clock was set last.
    """

    date_time: DeviceDateTime
    fractions_256: int = 0
    day_of_week: int | None = None
    adjust_reason: AdjustReason = _NO_REASON

    def to_datetime(self) -> datetime | None:
        """Give the naive local time, or None if the date is not wholly known."""
        whole = self.date_time.to_datetime()
        if whole is None:
            return None
        return whole + timedelta(microseconds=self.fractions_256 * _US_PER_S // _FRACTIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class LocalTimeInformation:
    """How far a clock's local time is from UTC.

    Attributes
    ----------
    time_zone_quarters
        Standard time minus UTC in quarters of an hour, -48 to 56; None: not known.
    dst_offset
        What daylight saving adds; None: not known.
    """

    time_zone_quarters: int | None
    dst_offset: DstOffset | None

    @property
    def utc_offset_s(self) -> int | None:
        """Local time minus UTC in seconds, or None if either part is not known."""
        if self.time_zone_quarters is None or self.dst_offset is None:
            return None
        return (self.time_zone_quarters + self.dst_offset) * _QUARTER_S


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferenceTimeInformation:
    """How good a clock's reference is.

    Attributes
    ----------
    source
        A `TimeSource` where it is one.
    accuracy_s
        Largest error, in steps of 0.125 s up to 31.625 s; infinite beyond that; None: not known.
    hours_since_update
        Whole hours since the clock was last set by its reference; None: 255 days or more.
    """

    source: int
    accuracy_s: float | None
    hours_since_update: int | None


def current_time_of(
    local: datetime, adjust_reason: AdjustReason = AdjustReason.EXTERNAL_REFERENCE
) -> CurrentTime:
    """Give what a clock is to be set to.

    Parameters
    ----------
    local
        The local time to set; its time zone, if it has one, is not looked at.
    adjust_reason
        Why.
    """
    return CurrentTime(
        date_time=DeviceDateTime(
            year=local.year,
            month=local.month,
            day=local.day,
            hour=local.hour,
            minute=local.minute,
            second=local.second,
        ),
        fractions_256=local.microsecond * _FRACTIONS // _US_PER_S,
        day_of_week=DayOfWeek(local.isoweekday()),
        adjust_reason=adjust_reason,
    )


def decode_date_time(payload: bytes) -> DeviceDateTime:
    """Decode a Date Time (0x2A08), which some cuffs have in place of a Current Time.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    date_time = reader.date_time("date_time")
    reader.finish()
    return date_time


def encode_date_time(date_time: DeviceDateTime) -> bytes:
    """Encode a Date Time.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.date_time("date_time", date_time)
    return writer.finish()


def decode_current_time(payload: bytes) -> CurrentTime:
    """Decode a Current Time.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    date_time = reader.date_time("date_time")
    day_of_week = reader.u8("day_of_week")
    fractions_256 = reader.u8("fractions_256")
    adjust_reason = AdjustReason(reader.u8("adjust_reason") & _DEFINED_REASONS)
    reader.finish()
    known_day = DayOfWeek(day_of_week) if day_of_week in set(DayOfWeek) else day_of_week
    return CurrentTime(
        date_time=date_time,
        fractions_256=fractions_256,
        day_of_week=known_day or None,
        adjust_reason=adjust_reason,
    )


def encode_current_time(time: CurrentTime) -> bytes:
    """Encode a Current Time.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.date_time("date_time", time.date_time)
    writer.u8("day_of_week", time.day_of_week or 0)
    writer.u8("fractions_256", time.fractions_256)
    writer.u8("adjust_reason", time.adjust_reason)
    return writer.finish()


def decode_local_time_information(payload: bytes) -> LocalTimeInformation:
    """Decode Local Time Information.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    time_zone = reader.signed("time_zone", 1)
    if time_zone != _TIME_ZONE_UNKNOWN and time_zone not in _TIME_ZONES:
        raise ReservedValueError(field="time_zone", value=time_zone)
    dst_offset = reader.u8("dst_offset")
    if dst_offset != _DST_UNKNOWN and dst_offset not in set(DstOffset):
        raise ReservedValueError(field="dst_offset", value=dst_offset)
    reader.finish()
    return LocalTimeInformation(
        time_zone_quarters=None if time_zone == _TIME_ZONE_UNKNOWN else time_zone,
        dst_offset=None if dst_offset == _DST_UNKNOWN else DstOffset(dst_offset),
    )


def encode_local_time_information(information: LocalTimeInformation) -> bytes:
    """Encode Local Time Information.

    Raises
    ------
    EncodeError
    """
    time_zone = information.time_zone_quarters
    if time_zone is not None and time_zone not in _TIME_ZONES:
        raise EncodeError(field="time_zone", value=time_zone, why="is not in -48..56")
    dst_offset = information.dst_offset
    writer = PayloadWriter()
    writer.signed("time_zone", _TIME_ZONE_UNKNOWN if time_zone is None else time_zone, 1)
    writer.u8("dst_offset", _DST_UNKNOWN if dst_offset is None else dst_offset)
    return writer.finish()


def decode_reference_time_information(payload: bytes) -> ReferenceTimeInformation:
    """Decode Reference Time Information.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    source = reader.u8("time_source")
    accuracy = reader.u8("time_accuracy")
    days = reader.u8("days_since_update")
    hours = reader.u8("hours_since_update")
    reader.finish()
    if (days == _LONG_AGO) != (hours == _LONG_AGO):
        raise InvalidFieldError(
            field="hours_since_update", value=hours, why=f"does not go with {days} days"
        )
    if hours != _LONG_AGO and hours >= _HOURS_PER_DAY:
        raise InvalidFieldError(field="hours_since_update", value=hours, why="is not in 0..23")
    return ReferenceTimeInformation(
        source=time_source(source),
        accuracy_s=_accuracy_s(accuracy),
        hours_since_update=None if days == _LONG_AGO else days * _HOURS_PER_DAY + hours,
    )


def encode_reference_time_information(information: ReferenceTimeInformation) -> bytes:
    """Encode Reference Time Information.

    Raises
    ------
    EncodeError
    """
    days = hours = _LONG_AGO
    if information.hours_since_update is not None:
        days, hours = divmod(information.hours_since_update, _HOURS_PER_DAY)
        if not 0 <= days <= _DAYS_MAX:
            raise EncodeError(
                field="days_since_update", value=days, why=f"is not in 0..{_DAYS_MAX}"
            )
    writer = PayloadWriter()
    writer.u8("time_source", information.source)
    writer.u8("time_accuracy", _accuracy_steps(information.accuracy_s))
    writer.u8("days_since_update", days)
    writer.u8("hours_since_update", hours)
    return writer.finish()


def time_source(raw: int) -> int:
    """Give a `TimeSource` where it is one, else the number."""
    return TimeSource(raw) if raw in set(TimeSource) else raw


def _accuracy_s(raw: int) -> float | None:
    if raw == _ACCURACY_UNKNOWN:
        return None
    return math.inf if raw == _ACCURACY_OUT_OF_RANGE else raw * _ACCURACY_STEP_S


def _accuracy_steps(accuracy_s: float | None) -> int:
    """Give the steps, rounded up: an accuracy is never better than it is."""
    if accuracy_s is None:
        return _ACCURACY_UNKNOWN
    if not accuracy_s >= 0:
        raise EncodeError(field="time_accuracy", value=accuracy_s, why="is not 0 or more")
    steps = accuracy_s / _ACCURACY_STEP_S
    return _ACCURACY_OUT_OF_RANGE if steps >= _ACCURACY_OUT_OF_RANGE else math.ceil(steps)
