"""Weight Measurement (0x2A9D) and Weight Scale Feature (0x2A9E).

Source: Bluetooth SIG, GATT Specification Supplement (fields); Weight Scale Service 1.0.1, section
3.2 (the weight 0xFFFF of an unsuccessful measurement).
"""

from dataclasses import dataclass
from enum import IntFlag
from typing import Final

from devices.body_measures import (
    RESOLUTIONS_NOT_SPECIFIED,
    MeasurementUnits,
    Resolutions,
    decode_features,
    encode_features,
    height_m,
    mass_kg,
    named_user,
    read_measure,
    write_measure,
)
from devices.date_time import DeviceDateTime
from devices.medfloat import MedFloat
from devices.payload import PayloadReader, PayloadWriter

_BMI_PER_UNIT: Final = 10


class _Flag(IntFlag):
    IMPERIAL = 1 << 0
    TIMESTAMP = 1 << 1
    USER_ID = 1 << 2
    BMI_AND_HEIGHT = 1 << 3


_DEFINED_FLAGS: Final = 0x0F


class WeightScaleFeature(IntFlag):
    """What a scale can do."""

    TIMESTAMP = 1 << 0
    MULTIPLE_USERS = 1 << 1
    BMI = 1 << 2


_N_FEATURES: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class BmiAndHeight:
    """What a scale sends that knows its user's height: both or neither.

    Attributes
    ----------
    bmi_kg_per_m2
        Body mass index, in steps of 0.1; `Special.NAN` if it was unsuccessful.
    height
        In metres or inches, as of the measurement; `Special.NAN` if it was unsuccessful.
    """

    bmi_kg_per_m2: MedFloat
    height: MedFloat


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightMeasurement:
    """One indication of a scale, in the units in which it was sent.

    Attributes
    ----------
    weight
        In kilograms or pounds; `Special.NAN` if the measurement was unsuccessful.
    units
        As sent.
    measured_at
        By the device's clock; None if not sent.
    user_id
        Which of the scale's users it was; None if not sent.
    bmi_and_height
        None if not sent.
    """

    weight: MedFloat
    units: MeasurementUnits = MeasurementUnits.SI
    measured_at: DeviceDateTime | None = None
    user_id: int | None = None
    bmi_and_height: BmiAndHeight | None = None

    @property
    def weight_kg(self) -> MedFloat:
        """The weight in kilograms; `Special.NAN` if the measurement was unsuccessful."""
        return mass_kg(self.weight, self.units)

    @property
    def height_m(self) -> MedFloat | None:
        """The height in metres; None if not sent."""
        measured = self.bmi_and_height
        return None if measured is None else height_m(measured.height, self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class WeightScaleFeatures:
    """What a scale can do, and how finely.

    Attributes
    ----------
    features
        What it sends.
    resolutions
        How finely.
    """

    features: WeightScaleFeature
    resolutions: Resolutions = RESOLUTIONS_NOT_SPECIFIED


def decode_weight(payload: bytes) -> WeightMeasurement:
    """Decode a Weight Measurement.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = _Flag(reader.u8("flags") & _DEFINED_FLAGS)
    units = MeasurementUnits.IMPERIAL if _Flag.IMPERIAL in flags else MeasurementUnits.SI
    weight = read_measure(reader, "weight", units.masses_per_unit)
    measured_at = reader.date_time("timestamp") if _Flag.TIMESTAMP in flags else None
    user_id = named_user(reader.u8("user_id")) if _Flag.USER_ID in flags else None
    bmi_and_height = None
    if _Flag.BMI_AND_HEIGHT in flags:
        bmi_and_height = BmiAndHeight(
            bmi_kg_per_m2=read_measure(reader, "bmi", _BMI_PER_UNIT),
            height=read_measure(reader, "height", units.heights_per_unit),
        )
    reader.finish()
    return WeightMeasurement(
        weight=weight,
        units=units,
        measured_at=measured_at,
        user_id=user_id,
        bmi_and_height=bmi_and_height,
    )


def encode_weight(measurement: WeightMeasurement) -> bytes:
    """Encode a Weight Measurement; numbers are rounded to the steps of their fields.

    Raises
    ------
    EncodeError
    """
    units = measurement.units
    writer = PayloadWriter()
    writer.u8("flags", _flags(measurement))
    write_measure(writer, "weight", measurement.weight, units.masses_per_unit)
    if measurement.measured_at is not None:
        writer.date_time("timestamp", measurement.measured_at)
    if measurement.user_id is not None:
        writer.u8("user_id", measurement.user_id)
    if measurement.bmi_and_height is not None:
        write_measure(writer, "bmi", measurement.bmi_and_height.bmi_kg_per_m2, _BMI_PER_UNIT)
        write_measure(writer, "height", measurement.bmi_and_height.height, units.heights_per_unit)
    return writer.finish()


def decode_weight_scale_feature(payload: bytes) -> WeightScaleFeatures:
    """Decode a Weight Scale Feature.

    Raises
    ------
    DecodeError
    """
    features, resolutions = decode_features(payload, _N_FEATURES)
    return WeightScaleFeatures(features=WeightScaleFeature(features), resolutions=resolutions)


def encode_weight_scale_feature(features: WeightScaleFeatures) -> bytes:
    """Encode a Weight Scale Feature.

    Raises
    ------
    EncodeError
    """
    return encode_features(features.features, features.resolutions, _N_FEATURES)


def _flags(measurement: WeightMeasurement) -> _Flag:
    present = {
        _Flag.TIMESTAMP: measurement.measured_at,
        _Flag.USER_ID: measurement.user_id,
        _Flag.BMI_AND_HEIGHT: measurement.bmi_and_height,
    }
    flags = _Flag(sum(flag for flag, part in present.items() if part is not None))
    return flags | _Flag.IMPERIAL if measurement.units is MeasurementUnits.IMPERIAL else flags
