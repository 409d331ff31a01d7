"""Glucose Measurement (0x2A18) and Glucose Feature (0x2A51).

The unit bit says kg/L or mol/L; meters show mg/dL or mmol/L. The text of the bit names the latter,
the field the former: the field is right, as every exponent that is sent shows.

Source: Bluetooth SIG, Glucose Service 1.0.1, sections 3.1 and 3.3; GATT Specification Supplement,
Glucose Measurement and Glucose Feature.
"""

from dataclasses import dataclass
from datetime import timedelta
from enum import IntEnum, IntFlag, StrEnum
from typing import Final

from devices.date_time import DeviceDateTime
from devices.errors import EncodeError
from devices.medfloat import MedFloat, Special
from devices.payload import PayloadReader, PayloadWriter

MG_PER_DL_PER_KG_PER_L: Final = 100_000
MG_PER_DL_PER_MOL_PER_L: Final = 18_015.6
"""Glucose is 180.156 g/mol."""


class GlucoseUnit(StrEnum):
    """The unit of a concentration, as UCUM writes it."""

    KG_PER_L = "kg/L"
    MOL_PER_L = "mol/L"


class SampleType(IntEnum):
    """What was measured in."""

    CAPILLARY_WHOLE_BLOOD = 1
    CAPILLARY_PLASMA = 2
    VENOUS_WHOLE_BLOOD = 3
    VENOUS_PLASMA = 4
    ARTERIAL_WHOLE_BLOOD = 5
    ARTERIAL_PLASMA = 6
    UNDETERMINED_WHOLE_BLOOD = 7
    UNDETERMINED_PLASMA = 8
    INTERSTITIAL_FLUID = 9
    CONTROL_SOLUTION = 10


class SampleLocation(IntEnum):
    """Where the sample was taken."""

    FINGER = 1
    ALTERNATE_SITE_TEST = 2
    EARLOBE = 3
    CONTROL_SOLUTION = 4
    SUBCUTANEOUS_TISSUE = 5
    """Of a continuous monitor only."""
    NOT_AVAILABLE = 15


class GlucoseStatus(IntFlag):
    """What a meter says of a measurement: the Sensor Status Annunciation; 12 to 15 are reserved."""

    DEVICE_BATTERY_LOW = 1 << 0
    SENSOR_MALFUNCTION = 1 << 1
    SAMPLE_SIZE_INSUFFICIENT = 1 << 2
    STRIP_INSERTION_ERROR = 1 << 3
    STRIP_TYPE_INCORRECT = 1 << 4
    RESULT_TOO_HIGH = 1 << 5
    RESULT_TOO_LOW = 1 << 6
    TEMPERATURE_TOO_HIGH = 1 << 7
    TEMPERATURE_TOO_LOW = 1 << 8
    READ_INTERRUPTED = 1 << 9
    GENERAL_DEVICE_FAULT = 1 << 10
    TIME_FAULT = 1 << 11


class GlucoseFeature(IntFlag):
    """What a meter can do; bits 11 to 15 are reserved."""

    LOW_BATTERY_DETECTION = 1 << 0
    SENSOR_MALFUNCTION_DETECTION = 1 << 1
    SAMPLE_SIZE = 1 << 2
    STRIP_INSERTION_ERROR_DETECTION = 1 << 3
    STRIP_TYPE_ERROR_DETECTION = 1 << 4
    RESULT_HIGH_LOW_DETECTION = 1 << 5
    TEMPERATURE_HIGH_LOW_DETECTION = 1 << 6
    READ_INTERRUPT_DETECTION = 1 << 7
    GENERAL_DEVICE_FAULT = 1 << 8
    TIME_FAULT = 1 << 9
    MULTIPLE_BONDS = 1 << 10


class _Flag(IntFlag):
    TIME_OFFSET = 1 << 0
    CONCENTRATION = 1 << 1
    MOL_PER_L = 1 << 2
    STATUS = 1 << 3
    CONTEXT_FOLLOWS = 1 << 4


_DEFINED_FLAGS: Final = 0x1F
_DEFINED_STATUS: Final = 0x0FFF
_DEFINED_FEATURES: Final = 0x07FF
_OFFSET_OVERRUN: Final = 0x7FFF
_OFFSET_UNDERRUN: Final = -0x8000
_NIBBLE: Final = 0x0F


@dataclass(frozen=True, slots=True, kw_only=True)
class GlucoseConcentration:
    """A concentration, in the unit in which it was sent.

    Attributes
    ----------
    concentration
        In `unit`, or why there is none.
    unit
        As sent.
    sample_type, sample_location
        A `SampleType` and a `SampleLocation` where they are ones; 0 to 15.
    """

    concentration: MedFloat
    unit: GlucoseUnit = GlucoseUnit.KG_PER_L
    sample_type: int = SampleType.CAPILLARY_WHOLE_BLOOD
    sample_location: int = SampleLocation.NOT_AVAILABLE

    @property
    def glucose_mg_per_dl(self) -> MedFloat:
        """The concentration in mg/dL, or why there is none."""
        if isinstance(self.concentration, Special):
            return self.concentration
        if self.unit is GlucoseUnit.MOL_PER_L:
            return self.concentration * MG_PER_DL_PER_MOL_PER_L
        return self.concentration * MG_PER_DL_PER_KG_PER_L


@dataclass(frozen=True, slots=True, kw_only=True)
class GlucoseMeasurement:
    """One record of a glucose meter.

    Attributes
    ----------
    sequence_number
        0 to 65535.
    base_time
        By the meter's own clock, which nobody may set back.
    time_offset_min
        From the base time to the time that the user sees, minutes; `POSITIVE_INFINITY` or
        `NEGATIVE_INFINITY` where it does not fit its field; None if not sent.
    glucose
        None if not sent.
    status
        None if not sent.
    context_follows
        A Glucose Measurement Context of the same sequence number follows.
    """

    sequence_number: int
    base_time: DeviceDateTime
    time_offset_min: int | Special | None = None
    glucose: GlucoseConcentration | None = None
    status: GlucoseStatus | None = None
    context_follows: bool = False

    @property
    def measured_at(self) -> DeviceDateTime | None:
        """The time that the user sees; None where it cannot be told."""
        if not self.time_offset_min:
            return self.base_time
        if isinstance(self.time_offset_min, Special):
            return None
        return later(self.base_time, self.time_offset_min)


def later(start: DeviceDateTime, offset_min: int) -> DeviceDateTime | None:
    """Move a device's time by minutes; None if its date is not wholly known, or leaves the years.

    Parameters
    ----------
    start
        By the device's clock.
    offset_min
        May be negative.
    """
    known = start.to_datetime()
    if known is None:
        return None
    try:
        moved = known + timedelta(minutes=offset_min)
        return DeviceDateTime(
            year=moved.year,
            month=moved.month,
            day=moved.day,
            hour=moved.hour,
            minute=moved.minute,
            second=moved.second,
        )
    except (OverflowError, ValueError):
        return None


def decode_glucose_measurement(payload: bytes) -> GlucoseMeasurement:
    """Decode a Glucose Measurement.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = _Flag(reader.u8("flags") & _DEFINED_FLAGS)
    sequence_number = reader.u16("sequence_number")
    base_time = reader.date_time("base_time")
    time_offset_min = _read_offset(reader) if _Flag.TIME_OFFSET in flags else None
    glucose = _read_glucose(reader, flags) if _Flag.CONCENTRATION in flags else None
    has_status = _Flag.STATUS in flags
    status = GlucoseStatus(reader.u16("status") & _DEFINED_STATUS) if has_status else None
    reader.finish()
    return GlucoseMeasurement(
        sequence_number=sequence_number,
        base_time=base_time,
        time_offset_min=time_offset_min,
        glucose=glucose,
        status=status,
        context_follows=_Flag.CONTEXT_FOLLOWS in flags,
    )


def encode_glucose_measurement(measurement: GlucoseMeasurement) -> bytes:
    """Encode a Glucose Measurement.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("flags", _flags(measurement))
    writer.u16("sequence_number", measurement.sequence_number)
    writer.date_time("base_time", measurement.base_time)
    if measurement.time_offset_min is not None:
        _write_offset(writer, measurement.time_offset_min)
    if measurement.glucose is not None:
        writer.sfloat("concentration", measurement.glucose.concentration)
        write_type_location(
            writer, measurement.glucose.sample_type, measurement.glucose.sample_location
        )
    if measurement.status is not None:
        writer.u16("status", measurement.status)
    return writer.finish()


def decode_glucose_feature(payload: bytes) -> GlucoseFeature:
    """Decode a Glucose Feature.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    features = GlucoseFeature(reader.u16("features") & _DEFINED_FEATURES)
    reader.finish()
    return features


def encode_glucose_feature(features: GlucoseFeature) -> bytes:
    """Encode a Glucose Feature.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u16("features", features)
    return writer.finish()


def read_type_location(reader: PayloadReader) -> tuple[int, int]:
    """Read the nibbles of a Type-Sample Location, the type first."""
    raw = reader.u8("type_sample_location")
    sample_type, location = raw & _NIBBLE, raw >> 4
    return (
        SampleType(sample_type) if sample_type in set(SampleType) else sample_type,
        SampleLocation(location) if location in set(SampleLocation) else location,
    )


def write_type_location(writer: PayloadWriter, sample_type: int, location: int) -> None:
    """Write the nibbles of a Type-Sample Location.

    Raises
    ------
    EncodeError
    """
    for field, value in (("sample_type", sample_type), ("sample_location", location)):
        if not 0 <= value <= _NIBBLE:
            raise EncodeError(field=field, value=value, why="does not fit 4 bits")
    writer.u8("type_sample_location", sample_type | location << 4)


def _flags(measurement: GlucoseMeasurement) -> _Flag:
    present = {
        _Flag.TIME_OFFSET: measurement.time_offset_min is not None,
        _Flag.CONCENTRATION: measurement.glucose is not None,
        _Flag.MOL_PER_L: measurement.glucose is not None
        and measurement.glucose.unit is GlucoseUnit.MOL_PER_L,
        _Flag.STATUS: measurement.status is not None,
        _Flag.CONTEXT_FOLLOWS: measurement.context_follows,
    }
    return _Flag(sum(flag for flag, is_set in present.items() if is_set))


def _read_offset(reader: PayloadReader) -> int | Special:
    offset_min = reader.signed("time_offset", 2)
    specials = {
        _OFFSET_OVERRUN: Special.POSITIVE_INFINITY,
        _OFFSET_UNDERRUN: Special.NEGATIVE_INFINITY,
    }
    return specials.get(offset_min, offset_min)


def _write_offset(writer: PayloadWriter, offset_min: int | Special) -> None:
    if offset_min is Special.POSITIVE_INFINITY:
        offset_min = _OFFSET_OVERRUN
    elif offset_min is Special.NEGATIVE_INFINITY:
        offset_min = _OFFSET_UNDERRUN
    elif isinstance(offset_min, Special) or not _OFFSET_UNDERRUN < offset_min < _OFFSET_OVERRUN:
        raise EncodeError(field="time_offset", value=offset_min, why="is not in -32767..32766")
    writer.signed("time_offset", offset_min, 2)


def _read_glucose(reader: PayloadReader, flags: _Flag) -> GlucoseConcentration:
    concentration = reader.sfloat("concentration")
    sample_type, sample_location = read_type_location(reader)
    molar = _Flag.MOL_PER_L in flags
    return GlucoseConcentration(
        concentration=concentration,
        unit=GlucoseUnit.MOL_PER_L if molar else GlucoseUnit.KG_PER_L,
        sample_type=sample_type,
        sample_location=sample_location,
    )
