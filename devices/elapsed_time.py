"""Elapsed Time Service (0x183F): Current Elapsed Time (0x2BF2), and the time stamp that it shares.

The nine bytes of an elapsed time are also the time stamp of an observation of a Generic Health
Sensor (see `devices.ghs_observation`).

Source: Bluetooth SIG, GATT Specification Supplement (2026), Elapsed Time (flags, time value, time
sync source, offset); Elapsed Time Service 1.0, section 3.1. The section was not at hand: clock
status, clock capabilities, that they are sent but not written, and the error codes are as Zephyr's
public ETS server (2025) has them, the error codes also ST's. UUIDs: Bluetooth SIG, Assigned
Numbers.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import IntEnum, IntFlag, StrEnum
from typing import Final

from devices.current_time import time_source
from devices.date_time import DeviceDateTime
from devices.payload import PayloadReader, PayloadWriter

EPOCH_UNIX_NS: Final = 946_684_800 * 10**9
"""2000-01-01 00:00:00, when a clock that shows the time of day began, in ns since 1970."""

_EPOCH: Final = datetime(2000, 1, 1)  # noqa: DTZ001 - the clock's own time zone
_VALUE_BYTES: Final = 6
_OFFSET_UNKNOWN: Final = -128
_QUARTER_S: Final = 15 * 60
_NS_PER_S: Final = 10**9
_NS_PER_US: Final = 1000


class _Flag(IntFlag):
    TICK_COUNTER = 1 << 0
    UTC = 1 << 1
    OFFSET = 1 << 4
    CURRENT_TIMELINE = 1 << 5


_RESOLUTION_SHIFT: Final = 2
_RESOLUTION_MASK: Final = 0b11
_NEEDS_SET: Final = 1 << 0
_DEFINED_CAPABILITIES: Final = 0x03


class TimeKind(StrEnum):
    """What a clock counts."""

    TICKS = "ticks"
    """Time since it began to count, whenever that was."""
    UTC = "utc"
    LOCAL = "local"


class TimeResolution(IntEnum):
    """What one count of a clock is."""

    SECOND = 0
    TENTH_SECOND = 1
    MILLISECOND = 2
    TENTH_MILLISECOND = 3

    @property
    def ns(self) -> int:
        """Nanoseconds of one count."""
        return (10**9, 10**8, 10**6, 10**5)[self]


class ClockCapability(IntFlag):
    """What a clock does by itself; bits 2 to 7 are reserved."""

    APPLIES_DST = 1 << 0
    FOLLOWS_TIME_ZONE = 1 << 1


_NO_CAPABILITY: Final = ClockCapability(0)


class ElapsedTimeError(IntEnum):
    """ATT errors with which a clock refuses to be set."""

    TIME_SOURCE_QUALITY_TOO_LOW = 0x80
    INCORRECT_TIME_FORMAT = 0x81


@dataclass(frozen=True, slots=True, kw_only=True)
class ElapsedTime:
    """A time by a device's own clock.

    Attributes
    ----------
    count
        48 bits, in steps of `resolution`: since 2000-01-01 00:00:00 unless `kind` is ticks.
    resolution
        What a count is.
    kind
        What is counted.
    source
        Where the clock has its time from: a `TimeSource` where it is one; None: ticks.
    offset_quarters
        Local time minus UTC in quarters of an hour, daylight saving included; None if the clock
        does not use it.
    on_current_timeline
        False if the clock was set, or lost its time, since.

    Raises
    ------
    ValueError
        Ticks have a source or an offset, or a time of day has no source.
    """

    count: int
    resolution: TimeResolution
    kind: TimeKind
    source: int | None = None
    offset_quarters: int | None = None
    on_current_timeline: bool = True

    def __post_init__(self) -> None:
        ticks = self.kind is TimeKind.TICKS
        if ticks != (self.source is None):
            raise ValueError(f"time source {self.source} for a clock of kind {self.kind}")
        if ticks and self.offset_quarters is not None:
            raise ValueError("ticks have no offset from UTC")

    @property
    def elapsed_ns(self) -> int:
        """Nanoseconds since the clock's beginning."""
        return self.count * self.resolution.ns

    @property
    def utc_ns(self) -> int | None:
        """Nanoseconds since 1970 UTC, or None if that cannot be told."""
        if self.kind is TimeKind.UTC:
            return EPOCH_UNIX_NS + self.elapsed_ns
        if self.kind is TimeKind.TICKS or self.offset_quarters is None:
            return None
        return EPOCH_UNIX_NS + self.elapsed_ns - self.offset_quarters * _QUARTER_S * _NS_PER_S

    def to_date_time(self) -> DeviceDateTime | None:
        """Give what the clock shows, whole seconds: local time where it knows it, else UTC.

        None for ticks, and for what is beyond the calendar.
        """
        if self.kind is TimeKind.TICKS:
            return None
        ahead = timedelta()
        if self.kind is TimeKind.UTC and self.offset_quarters is not None:
            ahead = timedelta(seconds=self.offset_quarters * _QUARTER_S)
        try:
            shown = _EPOCH + timedelta(microseconds=self.elapsed_ns // _NS_PER_US) + ahead
        except OverflowError:
            return None
        return DeviceDateTime(
            year=shown.year,
            month=shown.month,
            day=shown.day,
            hour=shown.hour,
            minute=shown.minute,
            second=shown.second,
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrentElapsedTime:
    """What a clock shows, and whether it wants to be set.

    Attributes
    ----------
    time
        Now.
    needs_set
        The clock asks to be set.
    capabilities
        What the clock does by itself.
    """

    time: ElapsedTime
    needs_set: bool = False
    capabilities: ClockCapability = _NO_CAPABILITY


def elapsed_time_to_set(
    clock: ElapsedTime, utc_ns: int, *, source: int, offset_quarters: int
) -> ElapsedTime | None:
    """Give what to write to a clock so that it is right: in the clock's own form, rounded down.

    Parameters
    ----------
    clock
        What was read from it.
    utc_ns
        The true time, nanoseconds since 1970 UTC.
    source
        Where that is from: a `TimeSource`.
    offset_quarters
        Local time minus UTC in quarters of an hour.

    Returns
    -------
    None if the clock counts ticks: it has no time to be set to.
    """
    if clock.kind is TimeKind.TICKS:
        return None
    shift_quarters = offset_quarters if clock.kind is TimeKind.LOCAL else 0
    elapsed_ns = utc_ns - EPOCH_UNIX_NS + shift_quarters * _QUARTER_S * _NS_PER_S
    return ElapsedTime(
        count=elapsed_ns // clock.resolution.ns,
        resolution=clock.resolution,
        kind=clock.kind,
        source=source,
        offset_quarters=None if clock.offset_quarters is None else offset_quarters,
    )


def decode_current_elapsed_time(payload: bytes) -> CurrentElapsedTime:
    """Decode a Current Elapsed Time that was read or indicated: eleven bytes.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    time = read_elapsed_time(reader, "time")
    status = reader.u8("clock_status")
    capabilities = ClockCapability(reader.u8("clock_capabilities") & _DEFINED_CAPABILITIES)
    reader.finish()
    return CurrentElapsedTime(
        time=time, needs_set=bool(status & _NEEDS_SET), capabilities=capabilities
    )


def encode_current_elapsed_time(current: CurrentElapsedTime) -> bytes:
    """Encode a Current Elapsed Time as it is read or indicated.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    write_elapsed_time(writer, "time", current.time)
    writer.u8("clock_status", _NEEDS_SET if current.needs_set else 0)
    writer.u8("clock_capabilities", current.capabilities)
    return writer.finish()


def decode_elapsed_time(payload: bytes) -> ElapsedTime:
    """Decode what is written to a Current Elapsed Time to set the clock: nine bytes.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    time = read_elapsed_time(reader, "time")
    reader.finish()
    return time


def encode_elapsed_time(time: ElapsedTime) -> bytes:
    """Encode what is written to a Current Elapsed Time to set the clock.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    write_elapsed_time(writer, "time", time)
    return writer.finish()


def read_elapsed_time(reader: PayloadReader, field: str) -> ElapsedTime:
    """Read the nine bytes of an elapsed time.

    What has no meaning for ticks is not looked at. An offset of -128 is taken for none, as in the
    Time Zone characteristic; the specification does not say.
    """
    raw_flags = reader.u8(f"{field}_flags")
    flags = _Flag(raw_flags & sum(_Flag))
    resolution = TimeResolution(raw_flags >> _RESOLUTION_SHIFT & _RESOLUTION_MASK)
    count = reader.unsigned(f"{field}_value", _VALUE_BYTES)
    source = reader.u8(f"{field}_sync_source")
    offset_quarters = reader.signed(f"{field}_offset", 1)
    on_current_timeline = _Flag.CURRENT_TIMELINE in flags
    if _Flag.TICK_COUNTER in flags:
        return ElapsedTime(
            count=count,
            resolution=resolution,
            kind=TimeKind.TICKS,
            on_current_timeline=on_current_timeline,
        )
    has_offset = _Flag.OFFSET in flags and offset_quarters != _OFFSET_UNKNOWN
    return ElapsedTime(
        count=count,
        resolution=resolution,
        kind=TimeKind.UTC if _Flag.UTC in flags else TimeKind.LOCAL,
        source=time_source(source),
        offset_quarters=offset_quarters if has_offset else None,
        on_current_timeline=on_current_timeline,
    )


def write_elapsed_time(writer: PayloadWriter, field: str, time: ElapsedTime) -> None:
    """Write the nine bytes of an elapsed time."""
    flags = {
        _Flag.TICK_COUNTER: time.kind is TimeKind.TICKS,
        _Flag.UTC: time.kind is TimeKind.UTC,
        _Flag.OFFSET: time.offset_quarters is not None,
        _Flag.CURRENT_TIMELINE: time.on_current_timeline,
    }
    raw_flags = sum(flag for flag, is_set in flags.items() if is_set)
    writer.u8(f"{field}_flags", raw_flags | time.resolution << _RESOLUTION_SHIFT)
    writer.unsigned(f"{field}_value", time.count, _VALUE_BYTES)
    writer.u8(f"{field}_sync_source", time.source or 0)
    writer.signed(f"{field}_offset", time.offset_quarters or 0, 1)
