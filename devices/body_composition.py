"""Body Composition Measurement (0x2A9C) and Body Composition Feature (0x2A9B).

Source: Bluetooth SIG, GATT Specification Supplement (fields); Body Composition Service 1.0, section
3.2 (the body fat 0xFFFF of an unsuccessful measurement). A step of the impedance is 0.1 ohm, as
the Supplement's text has it and captured payloads confirm; its exponent there says 0.01.
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

_TENTHS: Final = 10


class _Flag(IntFlag):
    IMPERIAL = 1 << 0
    TIMESTAMP = 1 << 1
    USER_ID = 1 << 2
    BASAL_METABOLISM = 1 << 3
    MUSCLE_PERCENTAGE = 1 << 4
    MUSCLE_MASS = 1 << 5
    FAT_FREE_MASS = 1 << 6
    SOFT_LEAN_MASS = 1 << 7
    BODY_WATER_MASS = 1 << 8
    IMPEDANCE = 1 << 9
    WEIGHT = 1 << 10
    HEIGHT = 1 << 11
    MULTIPLE_PACKETS = 1 << 12


_DEFINED_FLAGS: Final = 0x1FFF


class BodyCompositionFeature(IntFlag):
    """What a body composition analyser can send."""

    TIMESTAMP = 1 << 0
    MULTIPLE_USERS = 1 << 1
    BASAL_METABOLISM = 1 << 2
    MUSCLE_PERCENTAGE = 1 << 3
    MUSCLE_MASS = 1 << 4
    FAT_FREE_MASS = 1 << 5
    SOFT_LEAN_MASS = 1 << 6
    BODY_WATER_MASS = 1 << 7
    IMPEDANCE = 1 << 8
    WEIGHT = 1 << 9
    HEIGHT = 1 << 10


_N_FEATURES: Final = 11


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyCompositionMeasurement:
    """One indication of a body composition analyser, in the units in which it was sent.

    A number is `Special.NAN` where its measurement was unsuccessful.

    Attributes
    ----------
    body_fat_percent
        Of the body's mass.
    units
        As sent.
    measured_at
        By the device's clock; None if not sent.
    user_id
        Which of the device's users it was; None if not sent.
    basal_metabolism_kj
        In kilojoules; None if not sent. In captured payloads it is that of a day.
    muscle_percent
        None if not sent.
    muscle_mass, fat_free_mass, soft_lean_mass, body_water_mass, weight
        In kilograms or pounds; None if not sent.
    impedance_ohm
        None if not sent.
    height
        In metres or inches; None if not sent.
    multiple_packets
        This is one of the indications of a measurement that does not fit in one.
    """

    body_fat_percent: MedFloat
    units: MeasurementUnits = MeasurementUnits.SI
    measured_at: DeviceDateTime | None = None
    user_id: int | None = None
    basal_metabolism_kj: MedFloat | None = None
    muscle_percent: MedFloat | None = None
    muscle_mass: MedFloat | None = None
    fat_free_mass: MedFloat | None = None
    soft_lean_mass: MedFloat | None = None
    body_water_mass: MedFloat | None = None
    impedance_ohm: MedFloat | None = None
    weight: MedFloat | None = None
    height: MedFloat | None = None
    multiple_packets: bool = False

    def in_kg(self, mass: MedFloat | None) -> MedFloat | None:
        """Convert one of its masses to kilograms."""
        return None if mass is None else mass_kg(mass, self.units)

    @property
    def height_m(self) -> MedFloat | None:
        """The height in metres; None if not sent."""
        return None if self.height is None else height_m(self.height, self.units)


@dataclass(frozen=True, slots=True, kw_only=True)
class BodyCompositionFeatures:
    """What a body composition analyser can send, and how finely.

    Attributes
    ----------
    features
        What it can send.
    resolutions
        How finely.
    """

    features: BodyCompositionFeature
    resolutions: Resolutions = RESOLUTIONS_NOT_SPECIFIED


def decode_body_composition(payload: bytes) -> BodyCompositionMeasurement:
    """Decode a Body Composition Measurement.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = _Flag(reader.u16("flags") & _DEFINED_FLAGS)
    units = MeasurementUnits.IMPERIAL if _Flag.IMPERIAL in flags else MeasurementUnits.SI
    body_fat_percent = read_measure(reader, "body_fat_percentage", _TENTHS)
    measured_at = reader.date_time("timestamp") if _Flag.TIMESTAMP in flags else None
    user_id = named_user(reader.u8("user_id")) if _Flag.USER_ID in flags else None

    def optional(flag: _Flag, n_per_unit: int) -> MedFloat | None:
        return read_measure(reader, _field(flag), n_per_unit) if flag in flags else None

    # In the order of the fields: each is read where the one before it ends.
    metabolism_kj = optional(_Flag.BASAL_METABOLISM, 1)
    muscle_percent = optional(_Flag.MUSCLE_PERCENTAGE, _TENTHS)
    muscle_mass = optional(_Flag.MUSCLE_MASS, units.masses_per_unit)
    fat_free_mass = optional(_Flag.FAT_FREE_MASS, units.masses_per_unit)
    soft_lean_mass = optional(_Flag.SOFT_LEAN_MASS, units.masses_per_unit)
    body_water_mass = optional(_Flag.BODY_WATER_MASS, units.masses_per_unit)
    impedance_ohm = optional(_Flag.IMPEDANCE, _TENTHS)
    weight = optional(_Flag.WEIGHT, units.masses_per_unit)
    height = optional(_Flag.HEIGHT, units.heights_per_unit)
    reader.finish()
    return BodyCompositionMeasurement(
        body_fat_percent=body_fat_percent,
        units=units,
        measured_at=measured_at,
        user_id=user_id,
        basal_metabolism_kj=metabolism_kj,
        muscle_percent=muscle_percent,
        muscle_mass=muscle_mass,
        fat_free_mass=fat_free_mass,
        soft_lean_mass=soft_lean_mass,
        body_water_mass=body_water_mass,
        impedance_ohm=impedance_ohm,
        weight=weight,
        height=height,
        multiple_packets=_Flag.MULTIPLE_PACKETS in flags,
    )


def encode_body_composition(measurement: BodyCompositionMeasurement) -> bytes:
    """Encode a Body Composition Measurement; numbers are rounded to the steps of their fields.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u16("flags", _flags(measurement))
    write_measure(writer, "body_fat_percentage", measurement.body_fat_percent, _TENTHS)
    if measurement.measured_at is not None:
        writer.date_time("timestamp", measurement.measured_at)
    if measurement.user_id is not None:
        writer.u8("user_id", measurement.user_id)
    for flag, value, n_per_unit in _steps(measurement):
        if value is not None:
            write_measure(writer, _field(flag), value, n_per_unit)
    return writer.finish()


def decode_body_composition_feature(payload: bytes) -> BodyCompositionFeatures:
    """Decode a Body Composition Feature.

    Raises
    ------
    DecodeError
    """
    features, resolutions = decode_features(payload, _N_FEATURES)
    return BodyCompositionFeatures(
        features=BodyCompositionFeature(features), resolutions=resolutions
    )


def encode_body_composition_feature(features: BodyCompositionFeatures) -> bytes:
    """Encode a Body Composition Feature.

    Raises
    ------
    EncodeError
    """
    return encode_features(features.features, features.resolutions, _N_FEATURES)


def _field(flag: _Flag) -> str:
    return str(flag.name).lower()


def _steps(measurement: BodyCompositionMeasurement) -> list[tuple[_Flag, MedFloat | None, int]]:
    """List the fields that count steps of their unit, in the order in which they are sent."""
    mass, height = measurement.units.masses_per_unit, measurement.units.heights_per_unit
    return [
        (_Flag.BASAL_METABOLISM, measurement.basal_metabolism_kj, 1),
        (_Flag.MUSCLE_PERCENTAGE, measurement.muscle_percent, _TENTHS),
        (_Flag.MUSCLE_MASS, measurement.muscle_mass, mass),
        (_Flag.FAT_FREE_MASS, measurement.fat_free_mass, mass),
        (_Flag.SOFT_LEAN_MASS, measurement.soft_lean_mass, mass),
        (_Flag.BODY_WATER_MASS, measurement.body_water_mass, mass),
        (_Flag.IMPEDANCE, measurement.impedance_ohm, _TENTHS),
        (_Flag.WEIGHT, measurement.weight, mass),
        (_Flag.HEIGHT, measurement.height, height),
    ]


def _flags(measurement: BodyCompositionMeasurement) -> _Flag:
    present = {
        _Flag.TIMESTAMP: measurement.measured_at,
        _Flag.USER_ID: measurement.user_id,
        **{flag: value for flag, value, _ in _steps(measurement)},
    }
    flags = _Flag(sum(flag for flag, part in present.items() if part is not None))
    if measurement.units is MeasurementUnits.IMPERIAL:
        flags |= _Flag.IMPERIAL
    return flags | _Flag.MULTIPLE_PACKETS if measurement.multiple_packets else flags
