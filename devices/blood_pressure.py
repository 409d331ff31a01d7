"""Blood Pressure Measurement (0x2A35), Intermediate Cuff Pressure (0x2A36) and Feature (0x2A49).

Source: Bluetooth SIG, GATT Specification Supplement (fields); Blood Pressure Service 1.1,
sections 3.1 to 3.3.
"""

from dataclasses import dataclass
from enum import IntFlag, StrEnum
from typing import Final

from devices.body_measures import named_user
from devices.date_time import DeviceDateTime
from devices.medfloat import MedFloat, Special
from devices.payload import PayloadReader, PayloadWriter

_KPA_PER_MMHG: Final = 0.133322
"""As UCUM defines m[Hg]."""


class PressureUnit(StrEnum):
    """The unit of a pressure, as UCUM writes it."""

    MMHG = "mm[Hg]"
    KPA = "kPa"


class PressureStatus(IntFlag):
    """What a cuff says of a measurement: the Measurement Status field; bits 6 to 15 are reserved.

    Bits 3 and 4 are one number, whose value 3 is reserved: then both are set.
    """

    BODY_MOVEMENT = 1 << 0
    CUFF_TOO_LOOSE = 1 << 1
    IRREGULAR_PULSE = 1 << 2
    PULSE_RATE_ABOVE_RANGE = 1 << 3
    PULSE_RATE_BELOW_RANGE = 1 << 4
    IMPROPER_POSITION = 1 << 5


class PressureFeature(IntFlag):
    """What a cuff can do; bits 9 to 15 are reserved."""

    BODY_MOVEMENT_DETECTION = 1 << 0
    CUFF_FIT_DETECTION = 1 << 1
    IRREGULAR_PULSE_DETECTION = 1 << 2
    PULSE_RATE_RANGE_DETECTION = 1 << 3
    MEASUREMENT_POSITION_DETECTION = 1 << 4
    MULTIPLE_BONDS = 1 << 5
    E2E_CRC = 1 << 6
    USER_DATA_SERVICE = 1 << 7
    USER_FACING_TIME = 1 << 8


_DEFINED_STATUS: Final = 0x003F
_DEFINED_FEATURES: Final = 0x01FF


class _Flag(IntFlag):
    KPA = 1 << 0
    TIMESTAMP = 1 << 1
    PULSE_RATE = 1 << 2
    USER_ID = 1 << 3
    STATUS = 1 << 4


_DEFINED_FLAGS: Final = 0x1F


@dataclass(frozen=True, slots=True, kw_only=True)
class BloodPressureMeasurement:
    """One indication of a cuff, in the unit in which it was sent.

    Attributes
    ----------
    systolic, diastolic, mean_arterial
        In `unit`, or why there is none.
    unit
        As sent.
    measured_at
        By the device's clock; None if not sent.
    pulse_rate_bpm
        Beats per minute, or why there is none; None if not sent.
    user_id
        Which of the cuff's users it was; None if not sent.
    status
        None if not sent.
    """

    systolic: MedFloat
    diastolic: MedFloat
    mean_arterial: MedFloat
    unit: PressureUnit = PressureUnit.MMHG
    measured_at: DeviceDateTime | None = None
    pulse_rate_bpm: MedFloat | None = None
    user_id: int | None = None
    status: PressureStatus | None = None

    @property
    def systolic_mmhg(self) -> MedFloat:
        """The systolic pressure in mm[Hg], or why there is none."""
        return pressure_mmhg(self.systolic, self.unit)

    @property
    def diastolic_mmhg(self) -> MedFloat:
        """The diastolic pressure in mm[Hg], or why there is none."""
        return pressure_mmhg(self.diastolic, self.unit)

    @property
    def mean_arterial_mmhg(self) -> MedFloat:
        """The mean arterial pressure in mm[Hg], or why there is none."""
        return pressure_mmhg(self.mean_arterial, self.unit)


@dataclass(frozen=True, slots=True, kw_only=True)
class IntermediateCuffPressure:
    """One notification of a cuff that is measuring, in the unit in which it was sent.

    Attributes
    ----------
    cuff_pressure
        In `unit`, or why there is none.
    unit, measured_at, pulse_rate_bpm, user_id, status
        As of `BloodPressureMeasurement`.
    """

    cuff_pressure: MedFloat
    unit: PressureUnit = PressureUnit.MMHG
    measured_at: DeviceDateTime | None = None
    pulse_rate_bpm: MedFloat | None = None
    user_id: int | None = None
    status: PressureStatus | None = None

    @property
    def cuff_pressure_mmhg(self) -> MedFloat:
        """The pressure in the cuff in mm[Hg], or why there is none."""
        return pressure_mmhg(self.cuff_pressure, self.unit)


def pressure_mmhg(pressure: MedFloat, unit: PressureUnit) -> MedFloat:
    """Convert a pressure to mm[Hg]; why there is none stays as it is."""
    if isinstance(pressure, Special) or unit is PressureUnit.MMHG:
        return pressure
    return pressure / _KPA_PER_MMHG


def decode_blood_pressure(payload: bytes) -> BloodPressureMeasurement:
    """Decode a Blood Pressure Measurement.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = _Flag(reader.u8("flags") & _DEFINED_FLAGS)
    systolic = reader.sfloat("systolic")
    diastolic = reader.sfloat("diastolic")
    mean_arterial = reader.sfloat("mean_arterial_pressure")
    tail = _read_tail(reader, flags)
    return BloodPressureMeasurement(
        systolic=systolic,
        diastolic=diastolic,
        mean_arterial=mean_arterial,
        unit=_unit(flags),
        measured_at=tail.measured_at,
        pulse_rate_bpm=tail.pulse_rate_bpm,
        user_id=tail.user_id,
        status=tail.status,
    )


def encode_blood_pressure(measurement: BloodPressureMeasurement) -> bytes:
    """Encode a Blood Pressure Measurement.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("flags", _flags(measurement))
    writer.sfloat("systolic", measurement.systolic)
    writer.sfloat("diastolic", measurement.diastolic)
    writer.sfloat("mean_arterial_pressure", measurement.mean_arterial)
    _write_tail(writer, measurement)
    return writer.finish()


def decode_cuff_pressure(payload: bytes) -> IntermediateCuffPressure:
    """Decode an Intermediate Cuff Pressure; what it has in the two unused fields is passed over.

    They are to hold "not a number", and there are cuffs that leave them zero.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = _Flag(reader.u8("flags") & _DEFINED_FLAGS)
    cuff_pressure = reader.sfloat("cuff_pressure")
    reader.sfloat("unused_diastolic")
    reader.sfloat("unused_mean_arterial_pressure")
    tail = _read_tail(reader, flags)
    return IntermediateCuffPressure(
        cuff_pressure=cuff_pressure,
        unit=_unit(flags),
        measured_at=tail.measured_at,
        pulse_rate_bpm=tail.pulse_rate_bpm,
        user_id=tail.user_id,
        status=tail.status,
    )


def encode_cuff_pressure(measurement: IntermediateCuffPressure) -> bytes:
    """Encode an Intermediate Cuff Pressure.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("flags", _flags(measurement))
    writer.sfloat("cuff_pressure", measurement.cuff_pressure)
    writer.sfloat("unused_diastolic", Special.NAN)
    writer.sfloat("unused_mean_arterial_pressure", Special.NAN)
    _write_tail(writer, measurement)
    return writer.finish()


def decode_blood_pressure_feature(payload: bytes) -> PressureFeature:
    """Decode a Blood Pressure Feature.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    features = PressureFeature(reader.u16("features") & _DEFINED_FEATURES)
    reader.finish()
    return features


def encode_blood_pressure_feature(features: PressureFeature) -> bytes:
    """Encode a Blood Pressure Feature.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u16("features", features)
    return writer.finish()


@dataclass(frozen=True, slots=True, kw_only=True)
class _Tail:
    """What follows the pressures, in both characteristics."""

    measured_at: DeviceDateTime | None
    pulse_rate_bpm: MedFloat | None
    user_id: int | None
    status: PressureStatus | None


def _read_tail(reader: PayloadReader, flags: _Flag) -> _Tail:
    measured_at = reader.date_time("timestamp") if _Flag.TIMESTAMP in flags else None
    pulse_rate_bpm = reader.sfloat("pulse_rate") if _Flag.PULSE_RATE in flags else None
    user_id = named_user(reader.u8("user_id")) if _Flag.USER_ID in flags else None
    status = reader.u16("measurement_status") if _Flag.STATUS in flags else None
    reader.finish()
    return _Tail(
        measured_at=measured_at,
        pulse_rate_bpm=pulse_rate_bpm,
        user_id=user_id,
        status=None if status is None else PressureStatus(status & _DEFINED_STATUS),
    )


def _write_tail(
    writer: PayloadWriter, measurement: BloodPressureMeasurement | IntermediateCuffPressure
) -> None:
    if measurement.measured_at is not None:
        writer.date_time("timestamp", measurement.measured_at)
    if measurement.pulse_rate_bpm is not None:
        writer.sfloat("pulse_rate", measurement.pulse_rate_bpm)
    if measurement.user_id is not None:
        writer.u8("user_id", measurement.user_id)
    if measurement.status is not None:
        writer.u16("measurement_status", measurement.status)


def _unit(flags: _Flag) -> PressureUnit:
    return PressureUnit.KPA if _Flag.KPA in flags else PressureUnit.MMHG


def _flags(measurement: BloodPressureMeasurement | IntermediateCuffPressure) -> _Flag:
    present = {
        _Flag.TIMESTAMP: measurement.measured_at,
        _Flag.PULSE_RATE: measurement.pulse_rate_bpm,
        _Flag.USER_ID: measurement.user_id,
        _Flag.STATUS: measurement.status,
    }
    flags = _Flag(sum(flag for flag, part in present.items() if part is not None))
    return flags | _Flag.KPA if measurement.unit is PressureUnit.KPA else flags
