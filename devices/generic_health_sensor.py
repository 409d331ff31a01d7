"""Generic Health Sensor (0x1840): features, control point and schedules.

Observations are in `devices.ghs_observation`, their segments in `devices.ghs_segments`, the record
access in `devices.ghs_record_access`.

Source: Bluetooth SIG, Generic Health Sensor Service 1.0 (2023), whose text was not at hand. UUIDs:
Bluetooth SIG, Assigned Numbers (2026), verified. Control point and its error: ST's public GHS
sensor for STM32WBA (2024) and Realtek's GHSS server v1.0, which agree. Features: ST, Philips and
Brian Reinhold's Nordic sensors, which agree. Schedules: ST and Philips, which agree.
"""

from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from devices.ghs_values import read_codes, write_codes
from devices.medfloat import MedFloat
from devices.payload import PayloadReader, PayloadWriter

COMMAND_NOT_SUPPORTED: Final = 0x81
"""ATT error with which a control point refuses a command."""
_HAS_SPECIALIZATIONS: Final = 1 << 0


class GhsControlPointCode(IntEnum):
    """What is written to the control point, and what it indicates."""

    START_LIVE_OBSERVATIONS = 0x01
    STOP_LIVE_OBSERVATIONS = 0x02
    SUCCESS = 0x80


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceSpecialization:
    """A kind of device that a sensor is.

    Attributes
    ----------
    code
        MDC term of partition 8 (infrastructure), 16 bits: 0x1007 is a blood pressure monitor.
    version
        Of the specialization.
    """

    code: int
    version: int


@dataclass(frozen=True, slots=True, kw_only=True)
class HealthSensorFeatures:
    """What a sensor observes, and what it is.

    Attributes
    ----------
    observation_types
        MDC codes, 32 bits each.
    specializations
        Kinds of device; none if it does not say.
    """

    observation_types: tuple[int, ...]
    specializations: tuple[DeviceSpecialization, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ObservationSchedule:
    """How often a sensor measures and reports: descriptor 0x2910, indicated by 0x2BF1.

    Attributes
    ----------
    observation_type
        MDC code, 32 bits.
    measurement_period_s
        Over what time a measurement is taken.
    update_interval_s
        From one report to the next.
    """

    observation_type: int
    measurement_period_s: MedFloat
    update_interval_s: MedFloat


def decode_health_sensor_features(payload: bytes) -> HealthSensorFeatures:
    """Decode Health Sensor Features.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = reader.u8("flags")
    observation_types = read_codes(reader, "observation_types")
    n_specializations = reader.u8("specializations_count") if flags & _HAS_SPECIALIZATIONS else 0
    specializations = tuple(
        DeviceSpecialization(code=reader.u16("specialization"), version=reader.u8("version"))
        for _ in range(n_specializations)
    )
    reader.finish()
    return HealthSensorFeatures(
        observation_types=observation_types, specializations=specializations
    )


def encode_health_sensor_features(features: HealthSensorFeatures) -> bytes:
    """Encode Health Sensor Features.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("flags", _HAS_SPECIALIZATIONS if features.specializations else 0)
    write_codes(writer, "observation_types", features.observation_types)
    if features.specializations:
        writer.u8("specializations_count", len(features.specializations))
        for specialization in features.specializations:
            writer.u16("specialization", specialization.code)
            writer.u8("version", specialization.version)
    return writer.finish()


def decode_ghs_control_point(payload: bytes) -> int:
    """Decode a command or an answer: a `GhsControlPointCode` where it is one.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    code = reader.u8("code")
    reader.finish()
    return GhsControlPointCode(code) if code in set(GhsControlPointCode) else code


def encode_ghs_control_point(code: int) -> bytes:
    """Encode a command or an answer.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("code", code)
    return writer.finish()


def decode_observation_schedule(payload: bytes) -> ObservationSchedule:
    """Decode a schedule, as Observation Schedule Changed or as the descriptor has it.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    schedule = ObservationSchedule(
        observation_type=reader.u32("observation_type"),
        measurement_period_s=reader.float_("measurement_period"),
        update_interval_s=reader.float_("update_interval"),
    )
    reader.finish()
    return schedule


def encode_observation_schedule(schedule: ObservationSchedule) -> bytes:
    """Encode a schedule.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u32("observation_type", schedule.observation_type)
    writer.float_("measurement_period", schedule.measurement_period_s)
    writer.float_("update_interval", schedule.update_interval_s)
    return writer.finish()
