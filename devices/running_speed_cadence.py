"""RSC Measurement (0x2A53) and RSC Feature (0x2A54).

Source: Bluetooth SIG, GATT Specification Supplement (fields); Running Speed and Cadence Service
1.0, sections 3.1 and 3.2.
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from devices.body_measures import write_steps
from devices.payload import PayloadReader, PayloadWriter
from devices.sc_control_point import read_distance, write_distance

_SPEEDS_PER_M_PER_S: Final = 256
_STRIDES_PER_M: Final = 100


class _Flag(IntFlag):
    STRIDE_LENGTH = 1 << 0
    TOTAL_DISTANCE = 1 << 1
    RUNNING = 1 << 2


_DEFINED_FLAGS: Final = 0x07


class RscFeature(IntFlag):
    """What a running sensor can do; bits 5 to 15 are reserved."""

    STRIDE_LENGTH = 1 << 0
    TOTAL_DISTANCE = 1 << 1
    WALKING_OR_RUNNING = 1 << 2
    CALIBRATION = 1 << 3
    MULTIPLE_SENSOR_LOCATIONS = 1 << 4


_DEFINED_FEATURES: Final = 0x1F


@dataclass(frozen=True, slots=True, kw_only=True)
class RscMeasurement:
    """One notification of a running sensor.

    Attributes
    ----------
    speed_m_per_s
        In steps of 1/256 m/s.
    cadence_per_min
        Per minute. Whether of one foot or of both is the sensor's choice.
    stride_length_m
        In steps of 0.01 m; None if not sent.
    total_distance_m
        Since the sensor began to count, in steps of 0.1 m; None if not sent.
    running
        False: walking, or the sensor does not tell (see `RscFeature.WALKING_OR_RUNNING`).
    """

    speed_m_per_s: float
    cadence_per_min: int
    stride_length_m: float | None = None
    total_distance_m: float | None = None
    running: bool = False


def decode_rsc_measurement(payload: bytes) -> RscMeasurement:
    """Decode an RSC Measurement.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = _Flag(reader.u8("flags") & _DEFINED_FLAGS)
    speed_m_per_s = reader.u16("speed") / _SPEEDS_PER_M_PER_S
    cadence_per_min = reader.u8("cadence")
    has_stride = _Flag.STRIDE_LENGTH in flags
    stride_length_m = reader.u16("stride_length") / _STRIDES_PER_M if has_stride else None
    has_distance = _Flag.TOTAL_DISTANCE in flags
    total_distance_m = read_distance(reader) if has_distance else None
    reader.finish()
    return RscMeasurement(
        speed_m_per_s=speed_m_per_s,
        cadence_per_min=cadence_per_min,
        stride_length_m=stride_length_m,
        total_distance_m=total_distance_m,
        running=_Flag.RUNNING in flags,
    )


def encode_rsc_measurement(measurement: RscMeasurement) -> bytes:
    """Encode an RSC Measurement; numbers are rounded to the steps of their fields.

    Raises
    ------
    EncodeError
    """
    flags = _Flag.RUNNING if measurement.running else _Flag(0)
    if measurement.stride_length_m is not None:
        flags |= _Flag.STRIDE_LENGTH
    if measurement.total_distance_m is not None:
        flags |= _Flag.TOTAL_DISTANCE
    writer = PayloadWriter()
    writer.u8("flags", flags)
    write_steps(writer, "speed", measurement.speed_m_per_s, _SPEEDS_PER_M_PER_S)
    writer.u8("cadence", measurement.cadence_per_min)
    if measurement.stride_length_m is not None:
        write_steps(writer, "stride_length", measurement.stride_length_m, _STRIDES_PER_M)
    if measurement.total_distance_m is not None:
        write_distance(writer, measurement.total_distance_m)
    return writer.finish()


def decode_rsc_feature(payload: bytes) -> RscFeature:
    """Decode an RSC Feature.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    features = RscFeature(reader.u16("features") & _DEFINED_FEATURES)
    reader.finish()
    return features


def encode_rsc_feature(features: RscFeature) -> bytes:
    """Encode an RSC Feature.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u16("features", features)
    return writer.finish()
