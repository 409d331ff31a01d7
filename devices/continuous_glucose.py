"""CGM Measurement (0x2AA7), CGM Feature (0x2AA8) and CGM Status (0x2AA9).

Every payload ends with an E2E-CRC if the CGM Feature says that the sensor has one. A decoder that
is not told goes by the length.

Source: Bluetooth SIG, Continuous Glucose Monitoring Service 1.0.2, sections 3.1 to 3.3; GATT
Specification Supplement.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from devices.crc import CRC16_BYTES, with_e2e_crc, without_e2e_crc
from devices.errors import EncodeError, InvalidFieldError
from devices.glucose import read_type_location, write_type_location
from devices.medfloat import MedFloat
from devices.payload import PAYLOAD_BYTES_MAX, PayloadReader, PayloadWriter


class CgmStatus(IntFlag):
    """The octet on session and device; bits 6 and 7 are reserved."""

    SESSION_STOPPED = 1 << 0
    DEVICE_BATTERY_LOW = 1 << 1
    SENSOR_TYPE_INCORRECT = 1 << 2
    SENSOR_MALFUNCTION = 1 << 3
    DEVICE_SPECIFIC_ALERT = 1 << 4
    GENERAL_DEVICE_FAULT = 1 << 5


class CgmCalTemp(IntFlag):
    """The octet on calibration and temperature; bit 7 is reserved."""

    TIME_SYNCHRONIZATION_REQUIRED = 1 << 0
    CALIBRATION_NOT_ALLOWED = 1 << 1
    CALIBRATION_RECOMMENDED = 1 << 2
    CALIBRATION_REQUIRED = 1 << 3
    TEMPERATURE_TOO_HIGH = 1 << 4
    TEMPERATURE_TOO_LOW = 1 << 5
    CALIBRATION_PROCESS_PENDING = 1 << 6


class CgmWarning(IntFlag):
    """The octet on the result."""

    BELOW_PATIENT_LOW_LEVEL = 1 << 0
    ABOVE_PATIENT_HIGH_LEVEL = 1 << 1
    BELOW_HYPO_LEVEL = 1 << 2
    ABOVE_HYPER_LEVEL = 1 << 3
    RATE_OF_DECREASE_EXCEEDED = 1 << 4
    RATE_OF_INCREASE_EXCEEDED = 1 << 5
    RESULT_TOO_LOW = 1 << 6
    RESULT_TOO_HIGH = 1 << 7


class CgmFeature(IntFlag):
    """What a sensor can do; bits 17 to 23 are reserved."""

    CALIBRATION = 1 << 0
    PATIENT_HIGH_LOW_ALERTS = 1 << 1
    HYPO_ALERTS = 1 << 2
    HYPER_ALERTS = 1 << 3
    RATE_ALERTS = 1 << 4
    DEVICE_SPECIFIC_ALERT = 1 << 5
    SENSOR_MALFUNCTION_DETECTION = 1 << 6
    TEMPERATURE_HIGH_LOW_DETECTION = 1 << 7
    RESULT_HIGH_LOW_DETECTION = 1 << 8
    LOW_BATTERY_DETECTION = 1 << 9
    SENSOR_TYPE_ERROR_DETECTION = 1 << 10
    GENERAL_DEVICE_FAULT = 1 << 11
    E2E_CRC = 1 << 12
    MULTIPLE_BONDS = 1 << 13
    MULTIPLE_SESSIONS = 1 << 14
    TREND = 1 << 15
    QUALITY = 1 << 16


class _Flag(IntFlag):
    TREND = 1 << 0
    QUALITY = 1 << 1
    WARNING = 1 << 5
    CAL_TEMP = 1 << 6
    STATUS = 1 << 7


_DEFINED_FLAGS: Final = 0xE3
_DEFINED_STATUS: Final = 0x3F
_DEFINED_CAL_TEMP: Final = 0x7F
_DEFINED_FEATURES: Final = 0x01FFFF
_RECORD_BYTES_MIN: Final = 6
_FEATURE_BYTES: Final = 4
_NO_CRC: Final = 0xFFFF
_STATUS_BYTES: Final = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class CgmMeasurement:
    """One record of a continuous glucose monitor.

    Attributes
    ----------
    glucose_mg_per_dl
        Or why there is none.
    time_offset_min
        Since the start of the session, minutes; 0 to 65535.
    status, cal_temp, warning
        None if not sent: nothing of the kind is the matter.
    trend_mg_per_dl_per_min
        Change of the glucose; None if not sent.
    quality_percent
        None if not sent.
    """

    glucose_mg_per_dl: MedFloat
    time_offset_min: int
    status: CgmStatus | None = None
    cal_temp: CgmCalTemp | None = None
    warning: CgmWarning | None = None
    trend_mg_per_dl_per_min: MedFloat | None = None
    quality_percent: MedFloat | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CgmFeatures:
    """What a sensor can do, and where it measures.

    Attributes
    ----------
    features
        With `CgmFeature.E2E_CRC`, every other payload ends with a check sum.
    sample_type, sample_location
        A `SampleType` and a `SampleLocation` of `devices.glucose` where they are ones; 0 to 15.
    """

    features: CgmFeature
    sample_type: int
    sample_location: int


@dataclass(frozen=True, slots=True, kw_only=True)
class CgmSensorStatus:
    """The status of a sensor, whether it measures or not.

    Attributes
    ----------
    time_offset_min
        Since the start of the session, minutes.
    """

    time_offset_min: int
    status: CgmStatus
    cal_temp: CgmCalTemp
    warning: CgmWarning


def decode_cgm_measurements(
    payload: bytes, *, e2e_crc: bool | None = None
) -> tuple[CgmMeasurement, ...]:
    """Decode the records of one notification, in the order in which they were sent.

    Parameters
    ----------
    e2e_crc
        Whether each record has a check sum; None: go by its length.

    Raises
    ------
    DecodeError
        One of the records is bad; no record of such a notification is believed.
    """
    reader = PayloadReader(payload)
    records: list[CgmMeasurement] = []
    while reader.n_left or not records:
        n_bytes = reader.u8("size")
        if n_bytes < _RECORD_BYTES_MIN:
            raise InvalidFieldError(field="size", value=n_bytes, why="is below the shortest record")
        record = reader.raw("record", n_bytes - 1)
        records.append(_decode_record(bytes([n_bytes]) + record, e2e_crc=e2e_crc))
    return tuple(records)


def encode_cgm_measurements(records: Sequence[CgmMeasurement], *, e2e_crc: bool = False) -> bytes:
    """Encode the records of one notification.

    Raises
    ------
    EncodeError
    """
    payload = b"".join(_encode_record(record, e2e_crc=e2e_crc) for record in records)
    if not 0 < len(payload) <= PAYLOAD_BYTES_MAX:
        raise EncodeError(field="records", value=len(records), why="do not fit one notification")
    return payload


def decode_cgm_features(payload: bytes) -> CgmFeatures:
    """Decode a CGM Feature; it says itself whether its check sum is one.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    features = CgmFeature(reader.u24("features") & _DEFINED_FEATURES)
    sample_type, sample_location = read_type_location(reader)
    stated = reader.u16("e2e_crc")
    reader.finish()
    if CgmFeature.E2E_CRC in features:
        without_e2e_crc(payload, n_bytes=_FEATURE_BYTES, e2e_crc=True)
    elif stated != _NO_CRC:
        raise InvalidFieldError(field="e2e_crc", value=stated, why="without being supported")
    return CgmFeatures(features=features, sample_type=sample_type, sample_location=sample_location)


def encode_cgm_features(features: CgmFeatures) -> bytes:
    """Encode a CGM Feature.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u24("features", features.features)
    write_type_location(writer, features.sample_type, features.sample_location)
    if CgmFeature.E2E_CRC in features.features:
        return with_e2e_crc(writer.finish())
    writer.u16("e2e_crc", _NO_CRC)
    return writer.finish()


def decode_cgm_status(payload: bytes, *, e2e_crc: bool | None = None) -> CgmSensorStatus:
    """Decode a CGM Status.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(without_e2e_crc(payload, n_bytes=_STATUS_BYTES, e2e_crc=e2e_crc))
    time_offset_min = reader.u16("time_offset")
    status = _read_status(reader)
    cal_temp = _read_cal_temp(reader)
    warning = CgmWarning(reader.u8("warning"))
    reader.finish()
    return CgmSensorStatus(
        time_offset_min=time_offset_min, status=status, cal_temp=cal_temp, warning=warning
    )


def encode_cgm_status(status: CgmSensorStatus, *, e2e_crc: bool = False) -> bytes:
    """Encode a CGM Status.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u16("time_offset", status.time_offset_min)
    writer.u8("status", status.status)
    writer.u8("cal_temp", status.cal_temp)
    writer.u8("warning", status.warning)
    return with_e2e_crc(writer.finish()) if e2e_crc else writer.finish()


def _decode_record(record: bytes, *, e2e_crc: bool | None) -> CgmMeasurement:
    flags = _Flag(record[1] & _DEFINED_FLAGS)
    body = without_e2e_crc(record, n_bytes=_record_bytes(flags), e2e_crc=e2e_crc)
    reader = PayloadReader(body[2:])
    glucose_mg_per_dl = reader.sfloat("concentration")
    time_offset_min = reader.u16("time_offset")
    status = _read_status(reader) if _Flag.STATUS in flags else None
    cal_temp = _read_cal_temp(reader) if _Flag.CAL_TEMP in flags else None
    warning = CgmWarning(reader.u8("warning")) if _Flag.WARNING in flags else None
    trend = reader.sfloat("trend") if _Flag.TREND in flags else None
    quality_percent = reader.sfloat("quality") if _Flag.QUALITY in flags else None
    reader.finish()
    return CgmMeasurement(
        glucose_mg_per_dl=glucose_mg_per_dl,
        time_offset_min=time_offset_min,
        status=status,
        cal_temp=cal_temp,
        warning=warning,
        trend_mg_per_dl_per_min=trend,
        quality_percent=quality_percent,
    )


def _encode_record(record: CgmMeasurement, *, e2e_crc: bool) -> bytes:
    flags = _flags(record)
    writer = PayloadWriter()
    writer.u8("size", _record_bytes(flags) + (CRC16_BYTES if e2e_crc else 0))
    writer.u8("flags", flags)
    writer.sfloat("concentration", record.glucose_mg_per_dl)
    writer.u16("time_offset", record.time_offset_min)
    for field, octet in (
        ("status", record.status),
        ("cal_temp", record.cal_temp),
        ("warning", record.warning),
    ):
        if octet is not None:
            writer.u8(field, octet)
    if record.trend_mg_per_dl_per_min is not None:
        writer.sfloat("trend", record.trend_mg_per_dl_per_min)
    if record.quality_percent is not None:
        writer.sfloat("quality", record.quality_percent)
    return with_e2e_crc(writer.finish()) if e2e_crc else writer.finish()


def _flags(record: CgmMeasurement) -> _Flag:
    present = {
        _Flag.TREND: record.trend_mg_per_dl_per_min,
        _Flag.QUALITY: record.quality_percent,
        _Flag.WARNING: record.warning,
        _Flag.CAL_TEMP: record.cal_temp,
        _Flag.STATUS: record.status,
    }
    return _Flag(sum(flag for flag, part in present.items() if part is not None))


def _record_bytes(flags: _Flag) -> int:
    n_octets = sum(flag in flags for flag in (_Flag.STATUS, _Flag.CAL_TEMP, _Flag.WARNING))
    n_numbers = sum(flag in flags for flag in (_Flag.TREND, _Flag.QUALITY))
    return _RECORD_BYTES_MIN + n_octets + 2 * n_numbers


def _read_status(reader: PayloadReader) -> CgmStatus:
    return CgmStatus(reader.u8("status") & _DEFINED_STATUS)


def _read_cal_temp(reader: PayloadReader) -> CgmCalTemp:
    return CgmCalTemp(reader.u8("cal_temp") & _DEFINED_CAL_TEMP)
