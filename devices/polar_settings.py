"""Settings of a measurement of Polar's measurement data service (PMD), both directions.

They stand in the control point's requests and answers as type, count and values.

Source: Polar Electro, Polar Measurement Data Specification for 3rd Party, and
online_measurement.pdf v1.0 (2024-08).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum
from typing import Final

from devices.errors import EncodeError, InvalidFieldError, ReservedValueError
from devices.payload import PayloadReader, PayloadWriter


class PmdSettingType(IntEnum):
    """Which setting a group of values belongs to."""

    SAMPLE_RATE = 0
    RESOLUTION = 1
    RANGE = 2
    RANGE_MILLIUNIT = 3
    CHANNELS = 4
    FACTOR = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class PmdSettings:
    """Settings of one measurement: what a peripheral offers, or the one of each that is chosen.

    Attributes
    ----------
    sample_rates_hz
        Samples per second.
    resolutions_bits
        Bits of a sample.
    ranges
        Full scale, one sided: g for acceleration, deg/s for angular velocity.
    ranges_milliunit
        The same in thousandths of the unit.
    n_channels
        Channels of a sample.
    factors
        Unit per count; given in the answer to a start, never asked for.
    """

    sample_rates_hz: tuple[int, ...] = ()
    resolutions_bits: tuple[int, ...] = ()
    ranges: tuple[int, ...] = ()
    ranges_milliunit: tuple[int, ...] = ()
    n_channels: tuple[int, ...] = ()
    factors: tuple[float, ...] = ()

    def are_offered_by(self, offer: "PmdSettings") -> bool:
        """Tell whether every value here is among those of `offer`."""
        offered = offer.by_type()
        return all(set(values) <= set(offered[kind]) for kind, values in self.by_type().items())

    def by_type(self) -> Mapping[PmdSettingType, tuple[float, ...]]:
        """List the values by type, in the order of the types."""
        return {
            PmdSettingType.SAMPLE_RATE: self.sample_rates_hz,
            PmdSettingType.RESOLUTION: self.resolutions_bits,
            PmdSettingType.RANGE: self.ranges,
            PmdSettingType.RANGE_MILLIUNIT: self.ranges_milliunit,
            PmdSettingType.CHANNELS: self.n_channels,
            PmdSettingType.FACTOR: self.factors,
        }


def encode_settings(settings: PmdSettings) -> bytes:
    """Write settings as type, count and values; those without a value are left out.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    for kind, values in settings.by_type().items():
        if not values:
            continue
        writer.u8("setting_type", kind)
        writer.u8("setting_count", len(values))
        for value in values:
            _write_setting(writer, kind, value)
    return writer.finish()


def decode_settings(parameters: bytes) -> PmdSettings:
    """Read settings from the parameters of a request or a response.

    An unknown setting is refused: its width is not known, and guessing would misread the rest.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(parameters)
    found: dict[PmdSettingType, tuple[int, ...]] = {}
    factors: tuple[float, ...] = ()
    while reader.n_left:
        kind = _read_setting_type(reader)
        if kind in found:
            raise InvalidFieldError(field="setting_type", value=int(kind), why="comes twice")
        n_values = reader.u8("setting_count")
        if kind is PmdSettingType.FACTOR:
            factors = tuple(_read_factor(reader) for _ in range(n_values))
            found[kind] = ()
        else:
            width = _WIDTHS_BYTES[kind]
            found[kind] = tuple(reader.unsigned(kind.name.lower(), width) for _ in range(n_values))
    return PmdSettings(
        sample_rates_hz=found.get(PmdSettingType.SAMPLE_RATE, ()),
        resolutions_bits=found.get(PmdSettingType.RESOLUTION, ()),
        ranges=found.get(PmdSettingType.RANGE, ()),
        ranges_milliunit=found.get(PmdSettingType.RANGE_MILLIUNIT, ()),
        n_channels=found.get(PmdSettingType.CHANNELS, ()),
        factors=factors,
    )


def decode_start_factor(parameters: bytes) -> float:
    """Read the unit per count from the answer to a start; 1.0 if it states none.

    A Polar H10 answers a start with one zero byte instead of settings.

    Raises
    ------
    DecodeError
    """
    if parameters in (b"", b"\x00"):
        return 1.0
    factors = decode_settings(parameters).factors
    return factors[0] if factors else 1.0


_WIDTHS_BYTES: Final[Mapping[PmdSettingType, int]] = {
    PmdSettingType.SAMPLE_RATE: 2,
    PmdSettingType.RESOLUTION: 2,
    PmdSettingType.RANGE: 2,
    PmdSettingType.RANGE_MILLIUNIT: 4,
    PmdSettingType.CHANNELS: 1,
}


def _read_setting_type(reader: PayloadReader) -> PmdSettingType:
    code = reader.u8("setting_type")
    if code not in set(PmdSettingType):
        raise ReservedValueError(field="setting_type", value=code)
    return PmdSettingType(code)


def _read_factor(reader: PayloadReader) -> float:
    factor = reader.binary32("factor")
    if not (math.isfinite(factor) and factor > 0):
        raise InvalidFieldError(field="factor", value=factor, why="is not a positive number")
    return factor


def _write_setting(writer: PayloadWriter, kind: PmdSettingType, value: float) -> None:
    if kind is PmdSettingType.FACTOR:
        if not (math.isfinite(value) and value > 0):
            raise EncodeError(field="factor", value=value, why="is not a positive number")
        writer.binary32("factor", value)
    else:
        writer.unsigned(kind.name.lower(), int(value), _WIDTHS_BYTES[kind])
