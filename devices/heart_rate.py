"""Heart Rate Measurement (0x2A37) and Body Sensor Location (0x2A38).

Source: Bluetooth SIG, Heart Rate Service 1.0, sections 3.1 and 3.2.
"""

import math
from dataclasses import dataclass
from enum import IntEnum, IntFlag
from typing import Final

from devices.errors import EncodeError
from devices.payload import PayloadReader, PayloadWriter

_TICKS_PER_S: Final = 1024
_U8_MAX: Final = 0xFF


class _Flag(IntFlag):
    HEART_RATE_16_BITS = 1 << 0
    CONTACT_DETECTED = 1 << 1
    CONTACT_SUPPORTED = 1 << 2
    ENERGY_EXPENDED = 1 << 3
    RR_INTERVALS = 1 << 4


_DEFINED_FLAGS: Final = 0x1F


@dataclass(frozen=True, slots=True, kw_only=True)
class HeartRateMeasurement:
    """One notification of a heart-rate sensor.

    Attributes
    ----------
    heart_rate_bpm
        Beats per minute; many straps send 0 while they find none.
    contact
        Whether the sensor touches the skin. None: it cannot tell.
    energy_expended_kj
        Since the last reset, in kilojoules; None if not sent.
    rr_intervals_s
        Seconds, oldest first; on the wire whole 1/1024 s.
    """

    heart_rate_bpm: int
    contact: bool | None = None
    energy_expended_kj: int | None = None
    rr_intervals_s: tuple[float, ...] = ()


class BodySensorLocation(IntEnum):
    """Where a heart-rate sensor is worn."""

    OTHER = 0
    CHEST = 1
    WRIST = 2
    FINGER = 3
    HAND = 4
    EAR_LOBE = 5
    FOOT = 6


def decode_heart_rate(payload: bytes) -> HeartRateMeasurement:
    """Decode a Heart Rate Measurement.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = _Flag(reader.u8("flags") & _DEFINED_FLAGS)
    wide = _Flag.HEART_RATE_16_BITS in flags
    heart_rate_bpm = reader.u16("heart_rate") if wide else reader.u8("heart_rate")
    energy_kj = reader.u16("energy_expended") if _Flag.ENERGY_EXPENDED in flags else None
    rr_intervals_s = _read_rr_intervals(reader) if _Flag.RR_INTERVALS in flags else ()
    reader.finish()
    return HeartRateMeasurement(
        heart_rate_bpm=heart_rate_bpm,
        contact=_Flag.CONTACT_DETECTED in flags if _Flag.CONTACT_SUPPORTED in flags else None,
        energy_expended_kj=energy_kj,
        rr_intervals_s=rr_intervals_s,
    )


def encode_heart_rate(measurement: HeartRateMeasurement) -> bytes:
    """Encode a Heart Rate Measurement; RR intervals are rounded to 1/1024 s.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    flags = _flags(measurement)
    writer.u8("flags", flags)
    if _Flag.HEART_RATE_16_BITS in flags:
        writer.u16("heart_rate", measurement.heart_rate_bpm)
    else:
        writer.u8("heart_rate", measurement.heart_rate_bpm)
    if measurement.energy_expended_kj is not None:
        writer.u16("energy_expended", measurement.energy_expended_kj)
    for interval_s in measurement.rr_intervals_s:
        writer.u16("rr_interval", _ticks(interval_s))
    return writer.finish()


def decode_body_sensor_location(payload: bytes) -> int:
    """Decode a Body Sensor Location; one that has no name yet is kept as a number.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    location = reader.u8("location")
    reader.finish()
    return BodySensorLocation(location) if location in set(BodySensorLocation) else location


def encode_body_sensor_location(location: int) -> bytes:
    """Encode a Body Sensor Location.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("location", location)
    return writer.finish()


def _read_rr_intervals(reader: PayloadReader) -> tuple[float, ...]:
    intervals_s: list[float] = []
    while reader.n_left:
        intervals_s.append(reader.u16("rr_interval") / _TICKS_PER_S)
    return tuple(intervals_s)


def _ticks(interval_s: float) -> int:
    if not math.isfinite(interval_s):
        raise EncodeError(field="rr_interval", value=interval_s, why="is not finite")
    return round(interval_s * _TICKS_PER_S)


def _flags(measurement: HeartRateMeasurement) -> _Flag:
    flags = _Flag(0)
    if measurement.heart_rate_bpm > _U8_MAX:
        flags |= _Flag.HEART_RATE_16_BITS
    if measurement.contact is not None:
        flags |= _Flag.CONTACT_SUPPORTED
    if measurement.contact:
        flags |= _Flag.CONTACT_DETECTED
    if measurement.energy_expended_kj is not None:
        flags |= _Flag.ENERGY_EXPENDED
    if measurement.rr_intervals_s:
        flags |= _Flag.RR_INTERVALS
    return flags
