"""The catalogue of devices: who each one is, what to subscribe to, and what its columns mean.

A new device is one row here. Rows are tried from the most to the least certain sign: the model
number that a device states, then the name that it advertises, then the services that it offers.

Source: Polar Electro, Polar Measurement Data Specification for 3rd Party (streams and settings).
"""

from collections.abc import Collection
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from devices import codes, uuids
from devices.codes import Quantity
from devices.polar_pmd import PmdMeasurement, PmdSettings


@dataclass(frozen=True, slots=True, kw_only=True)
class Channel:
    """What one column of a stream's samples is.

    Attributes
    ----------
    name
        Unique within the device: "ecg", "acc/x", "ppg/0".
    quantity
        Row of the table of codes.
    ucum
        Unit of a scaled sample.
    scale
        Unit per count, for a frame whose `scale_factor` is 1.
    """

    name: str
    quantity: Quantity
    ucum: str
    scale: float


@dataclass(frozen=True, slots=True, kw_only=True)
class PmdStream:
    """A stream of a device's measurement data service.

    Attributes
    ----------
    measurement
        What to start.
    settings
        What to start it with: one value each.
    channels
        One for each column of a frame, in order; None for a column that is not wired on this
        model: its samples are zeros and are not to be recorded.
    """

    measurement: PmdMeasurement
    settings: PmdSettings
    channels: tuple[Channel | None, ...]

    @property
    def fs_hz(self) -> int:
        """The nominal sampling rate; the device's own clock decides the true one."""
        return self.settings.sample_rates_hz[0]


class Quirk(StrEnum):
    """What is particular about a model."""

    STOP_STREAMS_BEFORE_LEAVING = "stop_streams_before_leaving"
    """It goes on measuring until its battery is empty unless each stream is stopped."""
    CLOCK_RESETS = "clock_resets"
    """Its clock falls back to a fixed date when it loses power: times may jump backward."""
    DEMONSTRATION = "demonstration"
    """It is software: what it sends is recorded or made up, never a patient's."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DeviceModel:
    """One model of a device, or one kind of device that is known by its services only.

    Attributes
    ----------
    name
        For people, and for the records.
    manufacturer
        Start of the manufacturer name that it states; None for a generic row.
    model_numbers
        Starts of the model number that it states.
    name_prefixes
        Starts of the name that it advertises.
    services
        Services that a generic row is recognised by, and that any row offers.
    characteristics
        Characteristics to subscribe to for readings, those that the device has.
    pmd_streams
        Streams to start.
    quirks
        What is particular.
    """

    name: str
    manufacturer: str | None = None
    model_numbers: tuple[str, ...] = ()
    name_prefixes: tuple[str, ...] = ()
    services: frozenset[str]
    characteristics: tuple[str, ...]
    pmd_streams: tuple[PmdStream, ...] = ()
    quirks: frozenset[Quirk] = frozenset()

    def pmd_stream(self, measurement: int) -> PmdStream | None:
        """Find the stream of a measurement, or None if this model's row has none."""
        return next((row for row in self.pmd_streams if row.measurement == measurement), None)

    def states_model(self, manufacturer: str | None, model_number: str) -> bool:
        """Tell whether a stated manufacturer and model number are this row's."""
        if manufacturer is not None and not _starts(manufacturer, (self.manufacturer or "",)):
            return False
        return _starts(model_number, self.model_numbers)

    def is_called(self, local_name: str) -> bool:
        """Tell whether an advertised name is this row's."""
        return _starts(local_name, self.name_prefixes)


def find_model(
    *,
    local_name: str | None,
    manufacturer: str | None,
    model_number: str | None,
    service_uuids: Collection[str],
) -> DeviceModel | None:
    """Find the row of a device.

    Parameters
    ----------
    local_name
        As advertised.
    manufacturer, model_number
        As the Device Information service states them.
    service_uuids
        Advertised or discovered, in any form that `normalise_uuid` reads.

    Returns
    -------
    None if no row fits: such a device is left alone.

    Raises
    ------
    InvalidFieldError
        One of `service_uuids` is not a UUID.
    """
    if model_number is not None:
        for row in CATALOGUE:
            if row.states_model(manufacturer, model_number):
                return row
    if local_name is not None:
        for row in CATALOGUE:
            if row.is_called(local_name):
                return row
    offered = {uuids.normalise_uuid(service) for service in service_uuids}
    generic = (row for row in CATALOGUE if not row.name_prefixes)
    return next((row for row in generic if row.services <= offered), None)


def _starts(text: str, prefixes: tuple[str, ...]) -> bool:
    return text.strip().casefold().startswith(tuple(prefix.casefold() for prefix in prefixes))


_ECG_CHANNEL: Final = Channel(name="ecg", quantity=codes.ECG, ucum="mV", scale=1e-3)
_ACC_CHANNELS: Final = (
    Channel(name="acc/x", quantity=codes.ACC_X, ucum="[g]", scale=1e-3),
    Channel(name="acc/y", quantity=codes.ACC_Y, ucum="[g]", scale=1e-3),
    Channel(name="acc/z", quantity=codes.ACC_Z, ucum="[g]", scale=1e-3),
)
_PPG_CHANNELS: Final = (
    Channel(name="ppg/0", quantity=codes.PPG, ucum="1", scale=1.0),
    Channel(name="ppg/1", quantity=codes.PPG, ucum="1", scale=1.0),
    Channel(name="ppg/2", quantity=codes.PPG, ucum="1", scale=1.0),
    Channel(name="ppg/ambient", quantity=codes.PPG_AMBIENT, ucum="1", scale=1.0),
)
_PLETH_CHANNEL: Final = Channel(name="pleth", quantity=codes.PLETH, ucum="1", scale=1.0)

_H10_STREAMS: Final = (
    PmdStream(
        measurement=PmdMeasurement.ECG,
        settings=PmdSettings(sample_rates_hz=(130,), resolutions_bits=(14,)),
        channels=(_ECG_CHANNEL,),
    ),
    PmdStream(
        measurement=PmdMeasurement.ACC,
        # The slowest that still shows breathing and posture well: the link is shared with the ECG.
        settings=PmdSettings(sample_rates_hz=(50,), resolutions_bits=(16,), ranges=(4,)),
        channels=_ACC_CHANNELS,
    ),
)
_CUFF_CHARACTERISTICS: Final = (
    uuids.BLOOD_PRESSURE_MEASUREMENT,
    uuids.INTERMEDIATE_CUFF_PRESSURE,
    uuids.BATTERY_LEVEL,
)
_SCALE_CHARACTERISTICS: Final = (
    uuids.WEIGHT_MEASUREMENT,
    uuids.BODY_COMPOSITION_MEASUREMENT,
    uuids.BATTERY_LEVEL,
)
_STRAP_CHARACTERISTICS: Final = (uuids.HEART_RATE_MEASUREMENT, uuids.BATTERY_LEVEL)

_METER_CHARACTERISTICS: Final = (uuids.GLUCOSE_MEASUREMENT, uuids.BATTERY_LEVEL)

CATALOGUE: Final = (
    DeviceModel(
        name="Polar H10",
        manufacturer="Polar Electro",
        model_numbers=("H10",),
        name_prefixes=("Polar H10",),
        services=frozenset({uuids.HEART_RATE_SERVICE, uuids.PMD_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
        pmd_streams=_H10_STREAMS,
        quirks=frozenset({Quirk.STOP_STREAMS_BEFORE_LEAVING, Quirk.CLOCK_RESETS}),
    ),
    DeviceModel(
        name="Polar Verity Sense",
        manufacturer="Polar Electro",
        model_numbers=("Polar Verity Sense", "Verity Sense", "Polar Sense"),
        name_prefixes=("Polar Verity Sense", "Polar Sense"),
        services=frozenset({uuids.HEART_RATE_SERVICE, uuids.PMD_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
        pmd_streams=(
            PmdStream(
                measurement=PmdMeasurement.PPG,
                settings=PmdSettings(
                    sample_rates_hz=(55,), resolutions_bits=(22,), n_channels=(4,)
                ),
                channels=_PPG_CHANNELS,
            ),
            PmdStream(
                measurement=PmdMeasurement.ACC,
                settings=PmdSettings(
                    sample_rates_hz=(52,), resolutions_bits=(16,), ranges=(8,), n_channels=(3,)
                ),
                channels=_ACC_CHANNELS,
            ),
        ),
    ),
    DeviceModel(
        name="Polar OH1",
        manufacturer="Polar Electro",
        model_numbers=("OH1", "Polar OH1"),
        name_prefixes=("Polar OH1",),
        services=frozenset({uuids.HEART_RATE_SERVICE, uuids.PMD_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
        pmd_streams=(
            PmdStream(
                measurement=PmdMeasurement.PPG,
                settings=PmdSettings(sample_rates_hz=(130,), resolutions_bits=(22,)),
                channels=_PPG_CHANNELS,
            ),
            PmdStream(
                measurement=PmdMeasurement.ACC,
                settings=PmdSettings(sample_rates_hz=(50,), resolutions_bits=(16,), ranges=(8,)),
                channels=_ACC_CHANNELS,
            ),
        ),
    ),
    DeviceModel(
        name="Chevet Virtual Strap",
        manufacturer="Chevet",
        model_numbers=("Virtual Strap",),
        name_prefixes=("Chevet Virtual Strap",),
        services=frozenset({uuids.HEART_RATE_SERVICE, uuids.PMD_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
        pmd_streams=_H10_STREAMS,
        quirks=frozenset({Quirk.DEMONSTRATION}),
    ),
    DeviceModel(
        name="Chevet Virtual Oximeter",
        manufacturer="Chevet",
        model_numbers=("Virtual Oximeter",),
        name_prefixes=("Chevet Virtual Oximeter",),
        services=frozenset({uuids.PULSE_OXIMETER_SERVICE, uuids.PMD_SERVICE}),
        characteristics=(uuids.PLX_CONTINUOUS, uuids.BATTERY_LEVEL),
        pmd_streams=(
            PmdStream(
                measurement=PmdMeasurement.PPG,
                settings=PmdSettings(
                    sample_rates_hz=(125,), resolutions_bits=(22,), n_channels=(4,)
                ),
                channels=(_PLETH_CHANNEL, None, None, None),
            ),
        ),
        quirks=frozenset({Quirk.DEMONSTRATION}),
    ),
    DeviceModel(
        name="Chevet Virtual Thermometer",
        manufacturer="Chevet",
        model_numbers=("Virtual Thermometer",),
        name_prefixes=("Chevet Virtual Thermometer",),
        services=frozenset({uuids.HEALTH_THERMOMETER_SERVICE}),
        characteristics=(uuids.TEMPERATURE_MEASUREMENT, uuids.BATTERY_LEVEL),
        quirks=frozenset({Quirk.DEMONSTRATION}),
    ),
    DeviceModel(
        name="Chevet Virtual Cuff",
        manufacturer="Chevet",
        model_numbers=("Virtual Cuff",),
        name_prefixes=("Chevet Virtual Cuff",),
        services=frozenset({uuids.BLOOD_PRESSURE_SERVICE}),
        characteristics=_CUFF_CHARACTERISTICS,
        quirks=frozenset({Quirk.DEMONSTRATION}),
    ),
    DeviceModel(
        name="Chevet Virtual Scale",
        manufacturer="Chevet",
        model_numbers=("Virtual Scale",),
        name_prefixes=("Chevet Virtual Scale",),
        services=frozenset({uuids.WEIGHT_SCALE_SERVICE, uuids.BODY_COMPOSITION_SERVICE}),
        characteristics=_SCALE_CHARACTERISTICS,
        quirks=frozenset({Quirk.DEMONSTRATION}),
    ),
    DeviceModel(
        name="Chevet Virtual Glucose Meter",
        manufacturer="Chevet",
        model_numbers=("Virtual Glucose Meter",),
        name_prefixes=("Chevet Virtual Glucose Meter",),
        services=frozenset({uuids.GLUCOSE_SERVICE}),
        characteristics=_METER_CHARACTERISTICS,
        quirks=frozenset({Quirk.DEMONSTRATION}),
    ),
    DeviceModel(
        name="Heart-rate sensor",
        services=frozenset({uuids.HEART_RATE_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
    ),
    DeviceModel(
        name="Pulse oximeter",
        services=frozenset({uuids.PULSE_OXIMETER_SERVICE}),
        characteristics=(uuids.PLX_CONTINUOUS, uuids.PLX_SPOT_CHECK, uuids.BATTERY_LEVEL),
    ),
    DeviceModel(
        name="Thermometer",
        services=frozenset({uuids.HEALTH_THERMOMETER_SERVICE}),
        characteristics=(uuids.TEMPERATURE_MEASUREMENT, uuids.BATTERY_LEVEL),
    ),
    DeviceModel(
        name="Blood pressure cuff",
        services=frozenset({uuids.BLOOD_PRESSURE_SERVICE}),
        characteristics=_CUFF_CHARACTERISTICS,
    ),
    DeviceModel(
        name="Weighing scale",
        services=frozenset({uuids.WEIGHT_SCALE_SERVICE}),
        characteristics=_SCALE_CHARACTERISTICS,
    ),
    DeviceModel(
        name="Body composition scale",
        services=frozenset({uuids.BODY_COMPOSITION_SERVICE}),
        characteristics=_SCALE_CHARACTERISTICS,
    ),
    DeviceModel(
        name="Running sensor",
        services=frozenset({uuids.RUNNING_SPEED_CADENCE_SERVICE}),
        characteristics=(uuids.RSC_MEASUREMENT, uuids.BATTERY_LEVEL),
    ),
    DeviceModel(
        name="Glucose meter",
        services=frozenset({uuids.GLUCOSE_SERVICE}),
        characteristics=_METER_CHARACTERISTICS,
    ),
    DeviceModel(
        name="Continuous glucose monitor",
        services=frozenset({uuids.CGM_SERVICE}),
        characteristics=(uuids.CGM_MEASUREMENT, uuids.BATTERY_LEVEL),
    ),
)
"""Every row; of the generic rows the first that fits wins."""
