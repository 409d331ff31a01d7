"""Temperature Measurement (0x2A1C).

Source: Bluetooth SIG, Health Thermometer Service 1.0, section 3.1.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum
from typing import Final

from devices.date_time import DeviceDateTime
from devices.medfloat import MedFloat, Special
from devices.payload import PayloadReader, PayloadWriter


class _Flag(IntFlag):
    FAHRENHEIT = 1 << 0
    TIMESTAMP = 1 << 1
    SITE = 1 << 2


_DEFINED_FLAGS: Final = 0x07


class TemperatureUnit(StrEnum):
    """The unit of a temperature, as UCUM writes it."""

    CELSIUS = "Cel"
    FAHRENHEIT = "[degF]"


class TemperatureSite(IntEnum):
    """Where a temperature was measured: the Temperature Type field."""

    ARMPIT = 1
    BODY = 2
    EAR = 3
    FINGER = 4
    GASTROINTESTINAL_TRACT = 5
    MOUTH = 6
    RECTUM = 7
    TOE = 8
    TYMPANUM = 9


@dataclass(frozen=True, slots=True, kw_only=True)
class TemperatureMeasurement:
    """One indication of a thermometer, in the unit in which it was sent.

    Attributes
    ----------
    temperature
        In `unit`, or why there is none.
    unit
        As sent.
    measured_at
        By the device's clock; None if not sent.
    site
        A `TemperatureSite` where it is one; None if not sent.
    """

    temperature: MedFloat
    unit: TemperatureUnit = TemperatureUnit.CELSIUS
    measured_at: DeviceDateTime | None = None
    site: int | None = None

    @property
    def temperature_celsius(self) -> MedFloat:
        """The temperature in degrees Celsius, or why there is none."""
        if isinstance(self.temperature, Special) or self.unit is TemperatureUnit.CELSIUS:
            return self.temperature
        return (self.temperature - 32) / 1.8


def decode_temperature(payload: bytes) -> TemperatureMeasurement:
    """Decode a Temperature Measurement.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = _Flag(reader.u8("flags") & _DEFINED_FLAGS)
    fahrenheit = _Flag.FAHRENHEIT in flags
    temperature = reader.float_("temperature")
    measured_at = reader.date_time("timestamp") if _Flag.TIMESTAMP in flags else None
    site = reader.u8("temperature_type") if _Flag.SITE in flags else None
    reader.finish()
    return TemperatureMeasurement(
        temperature=temperature,
        unit=TemperatureUnit.FAHRENHEIT if fahrenheit else TemperatureUnit.CELSIUS,
        measured_at=measured_at,
        site=TemperatureSite(site) if site in set(TemperatureSite) else site,
    )


def encode_temperature(measurement: TemperatureMeasurement) -> bytes:
    """Encode a Temperature Measurement.

    Raises
    ------
    EncodeError
    """
    flags = _Flag(0)
    if measurement.unit is TemperatureUnit.FAHRENHEIT:
        flags |= _Flag.FAHRENHEIT
    if measurement.measured_at is not None:
        flags |= _Flag.TIMESTAMP
    if measurement.site is not None:
        flags |= _Flag.SITE
    writer = PayloadWriter()
    writer.u8("flags", flags)
    writer.float_("temperature", measurement.temperature)
    if measurement.measured_at is not None:
        writer.date_time("timestamp", measurement.measured_at)
    if measurement.site is not None:
        writer.u8("temperature_type", measurement.site)
    return writer.finish()
