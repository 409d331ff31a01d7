"""What cuffs, scales and body composition analysers share: users, masses, lengths, resolutions.

Source: Bluetooth SIG, GATT Specification Supplement (Weight Measurement, Body Composition
Measurement and their Features).
"""

import math
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Final

from devices.errors import EncodeError
from devices.medfloat import MedFloat, Special
from devices.payload import PayloadReader, PayloadWriter

_UNSUCCESSFUL: Final = 0xFFFF
"""Raw value of a measurement that failed.

The services say so of the weight of a scale and of body fat; devices use it in every field.
"""

_KG_PER_LB: Final = 0.45359237
_M_PER_IN: Final = 0.0254

_MASS_MAX: Final = 0x0F
_HEIGHT_SHIFT: Final = 4
_HEIGHT_MAX: Final = 0x07


class UserId(IntEnum):
    """The number of a user that is not a user; every other number is one of the device's own."""

    UNKNOWN = 0xFF


class MeasurementUnits(StrEnum):
    """The units of the masses and the height of one payload."""

    SI = "si"
    """Kilograms and metres."""
    IMPERIAL = "imperial"
    """Pounds and inches."""

    @property
    def masses_per_unit(self) -> int:
        """Steps of a mass field per kilogram or pound."""
        return 200 if self is MeasurementUnits.SI else 100

    @property
    def heights_per_unit(self) -> int:
        """Steps of a height field per metre or inch."""
        return 1000 if self is MeasurementUnits.SI else 10


class MassResolution(IntEnum):
    """How finely a device measures masses."""

    NOT_SPECIFIED = 0
    KG_0_5_OR_LB_1 = 1
    KG_0_2_OR_LB_0_5 = 2
    KG_0_1_OR_LB_0_2 = 3
    KG_0_05_OR_LB_0_1 = 4
    KG_0_02_OR_LB_0_05 = 5
    KG_0_01_OR_LB_0_02 = 6
    KG_0_005_OR_LB_0_01 = 7


class HeightResolution(IntEnum):
    """How finely a device measures heights."""

    NOT_SPECIFIED = 0
    M_0_01_OR_IN_1 = 1
    M_0_005_OR_IN_0_5 = 2
    M_0_001_OR_IN_0_1 = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Resolutions:
    """How finely a device measures, as the upper bits of its features say.

    Attributes
    ----------
    mass
        4 bits; a `MassResolution` where it is one.
    height
        3 bits; a `HeightResolution` where it is one.
    """

    mass: int = MassResolution.NOT_SPECIFIED
    height: int = HeightResolution.NOT_SPECIFIED


RESOLUTIONS_NOT_SPECIFIED: Final = Resolutions()


def read_resolutions(bits: int) -> Resolutions:
    """Read the 7 bits of two resolutions; what is above them is passed over."""
    mass, height = bits & _MASS_MAX, bits >> _HEIGHT_SHIFT & _HEIGHT_MAX
    return Resolutions(
        mass=MassResolution(mass) if mass in set(MassResolution) else mass,
        height=HeightResolution(height) if height in set(HeightResolution) else height,
    )


def resolution_bits(resolutions: Resolutions) -> int:
    """Give the 7 bits of two resolutions.

    Raises
    ------
    EncodeError
    """
    if not 0 <= resolutions.mass <= _MASS_MAX:
        raise EncodeError(field="mass_resolution", value=resolutions.mass, why="has over 4 bits")
    if not 0 <= resolutions.height <= _HEIGHT_MAX:
        raise EncodeError(
            field="height_resolution", value=resolutions.height, why="has over 3 bits"
        )
    return resolutions.mass | resolutions.height << _HEIGHT_SHIFT


def named_user(number: int) -> int:
    """Name the number of a user that is not known."""
    return UserId.UNKNOWN if number == UserId.UNKNOWN else number


def mass_kg(mass: MedFloat, units: MeasurementUnits) -> MedFloat:
    """Convert a mass to kilograms; why there is none stays as it is."""
    if isinstance(mass, Special) or units is MeasurementUnits.SI:
        return mass
    return mass * _KG_PER_LB


def height_m(height: MedFloat, units: MeasurementUnits) -> MedFloat:
    """Convert a height to metres; why there is none stays as it is."""
    if isinstance(height, Special) or units is MeasurementUnits.SI:
        return height
    return height * _M_PER_IN


def read_measure(reader: PayloadReader, field: str, n_per_unit: int) -> MedFloat:
    """Read an unsigned number of 16 bits that counts fractions of its unit.

    `Special.NAN` if the measurement was unsuccessful.
    """
    raw = reader.u16(field)
    return Special.NAN if raw == _UNSUCCESSFUL else raw / n_per_unit


def write_measure(writer: PayloadWriter, field: str, value: MedFloat, n_per_unit: int) -> None:
    """Write a number as `read_measure` reads it, rounded to the nearest step.

    Raises
    ------
    EncodeError
    """
    if value is Special.NAN:
        writer.u16(field, _UNSUCCESSFUL)
    elif isinstance(value, Special):
        raise EncodeError(field=field, value=value, why="cannot be said in this field")
    elif math.isfinite(value) and round(value * n_per_unit) == _UNSUCCESSFUL:
        raise EncodeError(field=field, value=value, why="would say that there is no value")
    else:
        write_steps(writer, field, value, n_per_unit)


def write_steps(
    writer: PayloadWriter, field: str, value: float, n_per_unit: int, n_bytes: int = 2
) -> None:
    """Write a number as a count of fractions of its unit, rounded to the nearest.

    Raises
    ------
    EncodeError
    """
    if not math.isfinite(value):
        raise EncodeError(field=field, value=value, why="is not finite")
    writer.unsigned(field, round(value * n_per_unit), n_bytes)


def decode_features(payload: bytes, n_features: int) -> tuple[int, Resolutions]:
    """Decode 32 bits whose lowest ``n_features`` are features, and above them two resolutions.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    raw = reader.u32("features")
    reader.finish()
    return raw & (1 << n_features) - 1, read_resolutions(raw >> n_features)


def encode_features(features: int, resolutions: Resolutions, n_features: int) -> bytes:
    """Encode what `decode_features` decodes; features beyond the lowest are passed over.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    bits = features & (1 << n_features) - 1
    writer.u32("features", bits | resolution_bits(resolutions) << n_features)
    return writer.finish()
