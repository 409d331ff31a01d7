"""PLX Continuous Measurement (0x2A5F), Spot-Check (0x2A5E) and Features (0x2A60).

Source: Bluetooth SIG, Pulse Oximeter Service 1.0.1, sections 3.1 to 3.3.
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from devices.date_time import DeviceDateTime
from devices.medfloat import MedFloat
from devices.payload import PayloadReader, PayloadWriter


class MeasurementStatus(IntFlag):
    """What a pulse oximeter says of a measurement; bits 0 to 4 are reserved."""

    ONGOING = 1 << 5
    EARLY_ESTIMATE = 1 << 6
    VALIDATED = 1 << 7
    FULLY_QUALIFIED = 1 << 8
    FROM_STORAGE = 1 << 9
    DEMONSTRATION = 1 << 10
    TESTING = 1 << 11
    CALIBRATION_ONGOING = 1 << 12
    UNAVAILABLE = 1 << 13
    QUESTIONABLE = 1 << 14
    INVALID = 1 << 15


class SensorStatus(IntFlag):
    """What a pulse oximeter says of itself and its sensor; bits 16 to 23 are reserved."""

    EXTENDED_DISPLAY_UPDATE = 1 << 0
    EQUIPMENT_MALFUNCTION = 1 << 1
    SIGNAL_PROCESSING_IRREGULARITY = 1 << 2
    INADEQUATE_SIGNAL = 1 << 3
    POOR_SIGNAL = 1 << 4
    LOW_PERFUSION = 1 << 5
    ERRATIC_SIGNAL = 1 << 6
    NON_PULSATILE_SIGNAL = 1 << 7
    QUESTIONABLE_PULSE = 1 << 8
    SIGNAL_ANALYSIS_ONGOING = 1 << 9
    INTERFERENCE = 1 << 10
    UNCONNECTED_TO_USER = 1 << 11
    UNKNOWN_SENSOR = 1 << 12
    SENSOR_DISPLACED = 1 << 13
    SENSOR_MALFUNCTION = 1 << 14
    SENSOR_DISCONNECTED = 1 << 15


class PlxFeature(IntFlag):
    """What a pulse oximeter can do; bits 8 to 15 are reserved."""

    MEASUREMENT_STATUS = 1 << 0
    SENSOR_STATUS = 1 << 1
    SPOT_CHECK_STORAGE = 1 << 2
    SPOT_CHECK_TIMESTAMP = 1 << 3
    FAST = 1 << 4
    SLOW = 1 << 5
    PULSE_AMPLITUDE_INDEX = 1 << 6
    MULTIPLE_BONDS = 1 << 7


_DEFINED_MEASUREMENT_STATUS: Final = 0xFFE0
_DEFINED_SENSOR_STATUS: Final = 0x00FFFF
_DEFINED_FEATURES: Final = 0x00FF


class _ContinuousFlag(IntFlag):
    FAST = 1 << 0
    SLOW = 1 << 1
    MEASUREMENT_STATUS = 1 << 2
    SENSOR_STATUS = 1 << 3
    PULSE_AMPLITUDE_INDEX = 1 << 4


class _SpotCheckFlag(IntFlag):
    TIMESTAMP = 1 << 0
    MEASUREMENT_STATUS = 1 << 1
    SENSOR_STATUS = 1 << 2
    PULSE_AMPLITUDE_INDEX = 1 << 3
    CLOCK_NOT_SET = 1 << 4


_DEFINED_FLAGS: Final = 0x1F
"""Of either flags field."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SpO2PulseRate:
    """An oxygen saturation with its pulse rate.

    Attributes
    ----------
    spo2_percent
        Oxygen saturation, or why there is none.
    pulse_rate_bpm
        Beats per minute, or why there is none.
    """

    spo2_percent: MedFloat
    pulse_rate_bpm: MedFloat


@dataclass(frozen=True, slots=True, kw_only=True)
class PlxContinuous:
    """One notification of a pulse oximeter that measures continuously.

    Attributes
    ----------
    normal
        At the device's usual averaging.
    fast, slow
        With less and with more averaging; None if not sent.
    measurement_status, sensor_status
        None if not sent.
    pulse_amplitude_index_percent
        Pulsatile over non-pulsatile part of the signal, the perfusion index; None if not sent.
    """

    normal: SpO2PulseRate
    fast: SpO2PulseRate | None = None
    slow: SpO2PulseRate | None = None
    measurement_status: MeasurementStatus | None = None
    sensor_status: SensorStatus | None = None
    pulse_amplitude_index_percent: MedFloat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlxSpotCheck:
    """One indication of a pulse oximeter that takes single measurements.

    Attributes
    ----------
    normal
        The measurement.
    measured_at
        By the device's clock; None if not sent.
    clock_set
        False if the device says that its clock was never set.
    measurement_status, sensor_status
        None if not sent.
    pulse_amplitude_index_percent
        Pulsatile over non-pulsatile part of the signal, the perfusion index; None if not sent.
    """

    normal: SpO2PulseRate
    measured_at: DeviceDateTime | None = None
    clock_set: bool = True
    measurement_status: MeasurementStatus | None = None
    sensor_status: SensorStatus | None = None
    pulse_amplitude_index_percent: MedFloat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PlxFeatures:
    """What a pulse oximeter can do, and which status bits it uses.

    Attributes
    ----------
    features
        Without the two bits that say whether the next two are present.
    measurement_status, sensor_status
        The bits that the device may set; None if it does not say.
    """

    features: PlxFeature
    measurement_status: MeasurementStatus | None = None
    sensor_status: SensorStatus | None = None


def decode_plx_continuous(payload: bytes) -> PlxContinuous:
    """Decode a PLX Continuous Measurement.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = _ContinuousFlag(reader.u8("flags") & _DEFINED_FLAGS)
    normal = _read_pair(reader, "normal")
    fast = _read_pair(reader, "fast") if _ContinuousFlag.FAST in flags else None
    slow = _read_pair(reader, "slow") if _ContinuousFlag.SLOW in flags else None
    has_measurement = _ContinuousFlag.MEASUREMENT_STATUS in flags
    measurement_status = _read_measurement_status(reader) if has_measurement else None
    has_sensor = _ContinuousFlag.SENSOR_STATUS in flags
    sensor_status = _read_sensor_status(reader) if has_sensor else None
    has_amplitude = _ContinuousFlag.PULSE_AMPLITUDE_INDEX in flags
    amplitude_percent = reader.sfloat("pulse_amplitude_index") if has_amplitude else None
    reader.finish()
    return PlxContinuous(
        normal=normal,
        fast=fast,
        slow=slow,
        measurement_status=measurement_status,
        sensor_status=sensor_status,
        pulse_amplitude_index_percent=amplitude_percent,
    )


def encode_plx_continuous(measurement: PlxContinuous) -> bytes:
    """Encode a PLX Continuous Measurement.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("flags", _continuous_flags(measurement))
    _write_pair(writer, "normal", measurement.normal)
    if measurement.fast is not None:
        _write_pair(writer, "fast", measurement.fast)
    if measurement.slow is not None:
        _write_pair(writer, "slow", measurement.slow)
    _write_tail(writer, measurement)
    return writer.finish()


def decode_plx_spot_check(payload: bytes) -> PlxSpotCheck:
    """Decode a PLX Spot-Check Measurement.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = _SpotCheckFlag(reader.u8("flags") & _DEFINED_FLAGS)
    normal = _read_pair(reader, "normal")
    measured_at = reader.date_time("timestamp") if _SpotCheckFlag.TIMESTAMP in flags else None
    has_measurement = _SpotCheckFlag.MEASUREMENT_STATUS in flags
    measurement_status = _read_measurement_status(reader) if has_measurement else None
    has_sensor = _SpotCheckFlag.SENSOR_STATUS in flags
    sensor_status = _read_sensor_status(reader) if has_sensor else None
    has_amplitude = _SpotCheckFlag.PULSE_AMPLITUDE_INDEX in flags
    amplitude_percent = reader.sfloat("pulse_amplitude_index") if has_amplitude else None
    reader.finish()
    return PlxSpotCheck(
        normal=normal,
        measured_at=measured_at,
        clock_set=_SpotCheckFlag.CLOCK_NOT_SET not in flags,
        measurement_status=measurement_status,
        sensor_status=sensor_status,
        pulse_amplitude_index_percent=amplitude_percent,
    )


def encode_plx_spot_check(measurement: PlxSpotCheck) -> bytes:
    """Encode a PLX Spot-Check Measurement.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("flags", _spot_check_flags(measurement))
    _write_pair(writer, "normal", measurement.normal)
    if measurement.measured_at is not None:
        writer.date_time("timestamp", measurement.measured_at)
    _write_tail(writer, measurement)
    return writer.finish()


def decode_plx_features(payload: bytes) -> PlxFeatures:
    """Decode PLX Features.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = PlxFeature(reader.u16("features") & _DEFINED_FEATURES)
    has_measurement = PlxFeature.MEASUREMENT_STATUS in flags
    measurement_status = _read_measurement_status(reader) if has_measurement else None
    has_sensor = PlxFeature.SENSOR_STATUS in flags
    sensor_status = _read_sensor_status(reader) if has_sensor else None
    reader.finish()
    return PlxFeatures(
        features=flags & ~(PlxFeature.MEASUREMENT_STATUS | PlxFeature.SENSOR_STATUS),
        measurement_status=measurement_status,
        sensor_status=sensor_status,
    )


def encode_plx_features(features: PlxFeatures) -> bytes:
    """Encode PLX Features.

    Raises
    ------
    EncodeError
    """
    flags = features.features & ~(PlxFeature.MEASUREMENT_STATUS | PlxFeature.SENSOR_STATUS)
    if features.measurement_status is not None:
        flags |= PlxFeature.MEASUREMENT_STATUS
    if features.sensor_status is not None:
        flags |= PlxFeature.SENSOR_STATUS
    writer = PayloadWriter()
    writer.u16("features", flags)
    _write_statuses(writer, features)
    return writer.finish()


def _read_pair(reader: PayloadReader, kind: str) -> SpO2PulseRate:
    return SpO2PulseRate(
        spo2_percent=reader.sfloat(f"{kind}_spo2"),
        pulse_rate_bpm=reader.sfloat(f"{kind}_pulse_rate"),
    )


def _write_pair(writer: PayloadWriter, kind: str, pair: SpO2PulseRate) -> None:
    writer.sfloat(f"{kind}_spo2", pair.spo2_percent)
    writer.sfloat(f"{kind}_pulse_rate", pair.pulse_rate_bpm)


def _read_measurement_status(reader: PayloadReader) -> MeasurementStatus:
    return MeasurementStatus(reader.u16("measurement_status") & _DEFINED_MEASUREMENT_STATUS)


def _read_sensor_status(reader: PayloadReader) -> SensorStatus:
    return SensorStatus(reader.u24("sensor_status") & _DEFINED_SENSOR_STATUS)


def _write_statuses(
    writer: PayloadWriter, source: PlxContinuous | PlxSpotCheck | PlxFeatures
) -> None:
    if source.measurement_status is not None:
        writer.u16("measurement_status", source.measurement_status)
    if source.sensor_status is not None:
        writer.u24("sensor_status", source.sensor_status)


def _write_tail(writer: PayloadWriter, measurement: PlxContinuous | PlxSpotCheck) -> None:
    _write_statuses(writer, measurement)
    if measurement.pulse_amplitude_index_percent is not None:
        writer.sfloat("pulse_amplitude_index", measurement.pulse_amplitude_index_percent)


def _continuous_flags(measurement: PlxContinuous) -> _ContinuousFlag:
    present = {
        _ContinuousFlag.FAST: measurement.fast,
        _ContinuousFlag.SLOW: measurement.slow,
        _ContinuousFlag.MEASUREMENT_STATUS: measurement.measurement_status,
        _ContinuousFlag.SENSOR_STATUS: measurement.sensor_status,
        _ContinuousFlag.PULSE_AMPLITUDE_INDEX: measurement.pulse_amplitude_index_percent,
    }
    return _ContinuousFlag(sum(flag for flag, part in present.items() if part is not None))


def _spot_check_flags(measurement: PlxSpotCheck) -> _SpotCheckFlag:
    present = {
        _SpotCheckFlag.TIMESTAMP: measurement.measured_at,
        _SpotCheckFlag.MEASUREMENT_STATUS: measurement.measurement_status,
        _SpotCheckFlag.SENSOR_STATUS: measurement.sensor_status,
        _SpotCheckFlag.PULSE_AMPLITUDE_INDEX: measurement.pulse_amplitude_index_percent,
    }
    flags = _SpotCheckFlag(sum(flag for flag, part in present.items() if part is not None))
    return flags if measurement.clock_set else flags | _SpotCheckFlag.CLOCK_NOT_SET
