"""The catalogue of devices: who each one is, what to subscribe to, and what its columns mean.

A new device is one row here. Rows are tried from the most to the least certain sign: the model
number that a device states, then the name that it advertises, then the services that it offers.

Source: Polar Electro, Polar Measurement Data Specification for 3rd Party (streams and settings).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Final

from devices import codes, uuids
from devices.codes import Quantity
from devices.movesense_data import (
    HEART_RATE_PATH,
    LAYOUTS,
    TEMPERATURE_PATH,
    GspKind,
    gsp_path,
    gsp_whole_bytes,
)
from devices.polar_models import POLAR_MODELS
from devices.polar_pmd import PmdMeasurement, PmdSettings
from devices.viatom_poll import ViatomQuestion


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
    offset
        The unit's value of count 0.
    """

    name: str
    quantity: Quantity
    ucum: str
    scale: float
    offset: float = 0.0


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
        model: its samples are zeros, or it is a status, and is not to be recorded.
    frames
        Frame types that may come, each with whether it is compressed; others are refused.
    misstated_rates_hz
        A rate that the model states, and the rate at which it truly samples.
    """

    measurement: PmdMeasurement
    settings: PmdSettings
    channels: tuple[Channel | None, ...]
    frames: tuple[tuple[int, bool], ...]
    misstated_rates_hz: Mapping[int, int] = field(default_factory=dict[int, int])

    @property
    def fs_hz(self) -> int:
        """The nominal sampling rate; the device's own clock decides the true one."""
        return self.true_rate_hz(self.settings.sample_rates_hz[0])

    def true_rate_hz(self, stated_hz: int) -> int:
        """Give the rate at which the device samples when it has granted one."""
        return self.misstated_rates_hz.get(stated_hz, stated_hz)


@dataclass(frozen=True, slots=True, kw_only=True)
class PmdReadings:
    """A stream of a device's measurement data service whose frames are readings, not samples.

    Attributes
    ----------
    measurement
        What to start.
    settings
        What to start it with; empty where it has none, which is then not asked for.
    """

    measurement: PmdMeasurement
    settings: PmdSettings = field(default_factory=PmdSettings)


@dataclass(frozen=True, slots=True, kw_only=True)
class GspStream:
    """A waveform that a Movesense sensor is asked for.

    Attributes
    ----------
    kind
        What to subscribe to.
    fs_hz
        The nominal sampling rate; the device's own clock decides the true one.
    channels
        One for each column of a frame, in order.
    """

    kind: GspKind
    fs_hz: int
    channels: tuple[Channel, ...]

    @property
    def path(self) -> str:
        """The path to subscribe to."""
        return gsp_path(self.kind, self.fs_hz)

    @property
    def whole_bytes(self) -> int:
        """How long the data of a packet are: for `GspAssembler`."""
        return gsp_whole_bytes(self.kind, self.fs_hz)


class Quirk(StrEnum):
    """What is particular about a model."""

    STOP_STREAMS_BEFORE_LEAVING = "stop_streams_before_leaving"
    """It goes on measuring until its battery is empty unless each stream is stopped."""
    CLOCK_RESETS = "clock_resets"
    """Its clock falls back to a fixed date when it loses power: times may jump backward."""
    LEAVES_OFF_THE_STRAP = "leaves_off_the_strap"
    """It ends the link 45 s after it was taken off its strap: no fault of the radio."""
    TWO_LINKS_AT_MOST = "two_links_at_most"
    """It serves two centrals, the second only if the owner has allowed it in Polar's app: one that
    cannot be found may be in use elsewhere."""
    ONE_BONDED_LINK = "one_bonded_link"
    """It serves one bonded central until it is reset to the state in which it left the factory,
    and is invisible to any other."""
    FULL_MTU_NEEDED = "full_mtu_needed"
    """Its frames have 229 bytes: an ATT MTU of less than 232 cuts them."""
    SDK_MODE_NEEDS_STREAMS_OFF = "sdk_mode_needs_streams_off"
    """SDK mode can be switched only while no stream runs; in it there is no heart rate."""
    INTERVALS_AFTER_WARM_UP = "intervals_after_warm_up"
    """The first pulse-to-pulse intervals come after about 25 s: silence until then is no fault.
    While they are sent, the heart rate is brought up to date every 5 s only."""
    CONTACT_UNRELIABLE = "contact_unreliable"
    """Its contact flags are not to be believed: it may tell a heart rate when nobody wears it."""
    TIME_SET_AFTER_POWER_CYCLE = "time_set_after_power_cycle"
    """A time that is set shows in its frames only after it was off and on again."""
    SHARING_IS_CHOSEN = "sharing_is_chosen"
    """The person has to start the sharing on the device."""
    BONDING_NEEDED = "bonding_needed"
    """It gives its results only over a link that is encrypted with a key that both sides keep."""
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
    pmd_readings
        Streams of readings to start.
    gsp_streams
        Waveforms to subscribe to over Movesense's protocol.
    gsp_events
        Paths of single values to subscribe to over it.
    viatom_question
        What to ask again and again, of a device that only answers; None: it needs no asking.
    signed_samples
        Whether the sample arrays of a Generic Health Sensor have a sign.
    weight_factor
        What to multiply weights with, for a scale whose steps are not those of the specification.
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
    pmd_readings: tuple[PmdReadings, ...] = ()
    gsp_streams: tuple[GspStream, ...] = ()
    gsp_events: tuple[str, ...] = ()
    viatom_question: ViatomQuestion | None = None
    signed_samples: bool = False
    weight_factor: float = 1.0
    quirks: frozenset[Quirk] = frozenset()

    @property
    def is_streaming(self) -> bool:
        """Whether it sends again and again for as long as the link lasts: silence is a fault."""
        return bool(self.pmd_streams or self.gsp_streams or self.viatom_question)

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
    return _joined([row for row in generic if row.services <= offered])


def _joined(rows: Sequence[DeviceModel]) -> DeviceModel | None:
    """Give the first of some generic rows, with what the others would subscribe to."""
    if len(rows) <= 1:
        return next(iter(rows), None)
    characteristics = tuple(dict.fromkeys(uuid for row in rows for uuid in row.characteristics))
    return replace(
        rows[0],
        services=frozenset[str]().union(*(row.services for row in rows)),
        characteristics=characteristics,
    )


def _starts(text: str, prefixes: tuple[str, ...]) -> bool:
    return text.strip().casefold().startswith(tuple(prefix.casefold() for prefix in prefixes))


_ECG_CHANNEL: Final = Channel(name="ecg", quantity=codes.ECG, ucum="mV", scale=1e-3)
_ACC_CHANNELS: Final = (
    Channel(name="acc/x", quantity=codes.ACC_X, ucum="[g]", scale=1e-3),
    Channel(name="acc/y", quantity=codes.ACC_Y, ucum="[g]", scale=1e-3),
    Channel(name="acc/z", quantity=codes.ACC_Z, ucum="[g]", scale=1e-3),
)
_GYRO_CHANNELS: Final = (
    Channel(name="gyro/x", quantity=codes.GYRO_X, ucum="deg/s", scale=1.0),
    Channel(name="gyro/y", quantity=codes.GYRO_Y, ucum="deg/s", scale=1.0),
    Channel(name="gyro/z", quantity=codes.GYRO_Z, ucum="deg/s", scale=1.0),
)
_PPG_CHANNELS: Final = (
    Channel(name="ppg/0", quantity=codes.PPG, ucum="1", scale=1.0),
    Channel(name="ppg/1", quantity=codes.PPG, ucum="1", scale=1.0),
    Channel(name="ppg/2", quantity=codes.PPG, ucum="1", scale=1.0),
    Channel(name="ppg/ambient", quantity=codes.PPG_AMBIENT, ucum="1", scale=1.0),
)
_PLETH_CHANNEL: Final = Channel(name="pleth", quantity=codes.PLETH, ucum="1", scale=1.0)

_ACC_FRAMES: Final = ((1, False), (0, True), (1, True))
_PPG_FRAMES: Final = ((0, False), (0, True))

_H10_STREAMS: Final = (
    PmdStream(
        measurement=PmdMeasurement.ECG,
        settings=PmdSettings(sample_rates_hz=(130,), resolutions_bits=(14,)),
        channels=(_ECG_CHANNEL,),
        frames=((0, False),),
    ),
    PmdStream(
        measurement=PmdMeasurement.ACC,
        # The slowest that still shows breathing and posture well: the link is shared with the ECG.
        settings=PmdSettings(sample_rates_hz=(50,), resolutions_bits=(16,), ranges=(4,)),
        channels=_ACC_CHANNELS,
        frames=_ACC_FRAMES,
    ),
)
_VERITY_STREAMS: Final = (
    PmdStream(
        measurement=PmdMeasurement.PPG,
        settings=PmdSettings(sample_rates_hz=(55,), resolutions_bits=(22,), n_channels=(4,)),
        channels=_PPG_CHANNELS,
        frames=_PPG_FRAMES,
        misstated_rates_hz=POLAR_MODELS["Polar Verity Sense"].misstated_rates_hz[
            PmdMeasurement.PPG
        ],
    ),
    PmdStream(
        measurement=PmdMeasurement.ACC,
        settings=PmdSettings(
            sample_rates_hz=(52,), resolutions_bits=(16,), ranges=(8,), n_channels=(3,)
        ),
        channels=_ACC_CHANNELS,
        frames=_ACC_FRAMES,
    ),
    PmdStream(
        measurement=PmdMeasurement.GYRO,
        settings=PmdSettings(
            sample_rates_hz=(52,), resolutions_bits=(16,), ranges=(2000,), n_channels=(3,)
        ),
        channels=_GYRO_CHANNELS,
        frames=((0, True),),
    ),
)
_PULSE_INTERVALS: Final = PmdReadings(measurement=PmdMeasurement.PPI)
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


def _gsp_stream(kind: GspKind, fs_hz: int) -> GspStream:
    layout = LAYOUTS[kind]
    columns = zip(layout.columns, layout.units, layout.scales, strict=True)
    return GspStream(
        kind=kind,
        fs_hz=fs_hz,
        channels=tuple(
            Channel(name=name, quantity=_GSP_QUANTITIES[name], ucum=unit, scale=scale)
            for name, unit, scale in columns
        ),
    )


_GSP_QUANTITIES: Final = {
    "ecg": codes.ECG,
    "acc/x": codes.ACC_X,
    "acc/y": codes.ACC_Y,
    "acc/z": codes.ACC_Z,
    "gyro/x": codes.GYRO_X,
    "gyro/y": codes.GYRO_Y,
    "gyro/z": codes.GYRO_Z,
    "magn/x": codes.MAG_X,
    "magn/y": codes.MAG_Y,
    "magn/z": codes.MAG_Z,
}
_MOVESENSE_STREAMS: Final = (
    _gsp_stream(GspKind.ECG, 250),
    # Whole packets fit one notification at 52 Hz, and breathing and posture show well.
    _gsp_stream(GspKind.ACC, 52),
)
_STRAP_CHARACTERISTICS: Final = (uuids.HEART_RATE_MEASUREMENT, uuids.BATTERY_LEVEL)

_METER_CHARACTERISTICS: Final = (uuids.GLUCOSE_MEASUREMENT, uuids.BATTERY_LEVEL)

CATALOGUE: Final = (
    DeviceModel(
        name="Polar H9",
        manufacturer="Polar Electro",
        model_numbers=POLAR_MODELS["Polar H9"].model_numbers,
        name_prefixes=("Polar H9",),
        services=frozenset({uuids.HEART_RATE_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
    ),
    DeviceModel(
        name="Polar H10",
        manufacturer="Polar Electro",
        model_numbers=POLAR_MODELS["Polar H10"].model_numbers,
        name_prefixes=("Polar H10",),
        services=frozenset({uuids.HEART_RATE_SERVICE, uuids.PMD_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
        pmd_streams=_H10_STREAMS,
        quirks=frozenset(
            {
                Quirk.STOP_STREAMS_BEFORE_LEAVING,
                Quirk.CLOCK_RESETS,
                Quirk.LEAVES_OFF_THE_STRAP,
                Quirk.TWO_LINKS_AT_MOST,
                Quirk.FULL_MTU_NEEDED,
            }
        ),
    ),
    DeviceModel(
        name="Polar Verity Sense",
        manufacturer="Polar Electro",
        model_numbers=POLAR_MODELS["Polar Verity Sense"].model_numbers,
        name_prefixes=("Polar Verity Sense", "Polar Sense"),
        services=frozenset({uuids.HEART_RATE_SERVICE, uuids.PMD_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
        pmd_streams=_VERITY_STREAMS,
        pmd_readings=(_PULSE_INTERVALS,),
        quirks=frozenset(
            {
                Quirk.FULL_MTU_NEEDED,
                Quirk.SDK_MODE_NEEDS_STREAMS_OFF,
                Quirk.INTERVALS_AFTER_WARM_UP,
                Quirk.CONTACT_UNRELIABLE,
                Quirk.TIME_SET_AFTER_POWER_CYCLE,
            }
        ),
    ),
    DeviceModel(
        name="Polar OH1",
        manufacturer="Polar Electro",
        model_numbers=POLAR_MODELS["Polar OH1"].model_numbers,
        name_prefixes=("Polar OH1",),
        services=frozenset({uuids.HEART_RATE_SERVICE, uuids.PMD_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
        pmd_streams=(
            PmdStream(
                measurement=PmdMeasurement.PPG,
                settings=PmdSettings(sample_rates_hz=(130,), resolutions_bits=(22,)),
                channels=_PPG_CHANNELS,
                frames=_PPG_FRAMES,
                misstated_rates_hz=POLAR_MODELS["Polar OH1"].misstated_rates_hz[PmdMeasurement.PPG],
            ),
            PmdStream(
                measurement=PmdMeasurement.ACC,
                settings=PmdSettings(sample_rates_hz=(50,), resolutions_bits=(16,), ranges=(8,)),
                channels=_ACC_CHANNELS,
                frames=_ACC_FRAMES,
            ),
        ),
        pmd_readings=(_PULSE_INTERVALS,),
        quirks=frozenset(
            {
                Quirk.INTERVALS_AFTER_WARM_UP,
                Quirk.CONTACT_UNRELIABLE,
                Quirk.TIME_SET_AFTER_POWER_CYCLE,
            }
        ),
    ),
    DeviceModel(
        name="Polar 360",
        manufacturer="Polar Electro",
        model_numbers=POLAR_MODELS["Polar 360"].model_numbers,
        name_prefixes=("Polar 360", "Polar Loop"),
        services=frozenset({uuids.HEART_RATE_SERVICE, uuids.PMD_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
        pmd_streams=(
            PmdStream(
                measurement=PmdMeasurement.PPG,
                settings=PmdSettings(sample_rates_hz=(22,), resolutions_bits=(24,)),
                channels=(*_PPG_CHANNELS[:2], None),
                frames=((13, True),),
            ),
            PmdStream(
                measurement=PmdMeasurement.ACC,
                settings=PmdSettings(sample_rates_hz=(50,), resolutions_bits=(16,), ranges=(8,)),
                channels=_ACC_CHANNELS,
                frames=_ACC_FRAMES,
            ),
        ),
        pmd_readings=(
            PmdReadings(
                measurement=PmdMeasurement.SKIN_TEMPERATURE,
                settings=PmdSettings(sample_rates_hz=(1,), resolutions_bits=(32,)),
            ),
            _PULSE_INTERVALS,
        ),
        quirks=frozenset({Quirk.ONE_BONDED_LINK, Quirk.SDK_MODE_NEEDS_STREAMS_OFF}),
    ),
    DeviceModel(
        name="Polar Ignite 3",
        manufacturer="Polar Electro",
        model_numbers=POLAR_MODELS["Polar Ignite 3"].model_numbers,
        name_prefixes=("Polar Ignite 3",),
        services=frozenset({uuids.HEART_RATE_SERVICE, uuids.PMD_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
        pmd_streams=(
            PmdStream(
                measurement=PmdMeasurement.ACC,
                settings=PmdSettings(sample_rates_hz=(50,), resolutions_bits=(16,), ranges=(8,)),
                channels=_ACC_CHANNELS,
                frames=_ACC_FRAMES,
            ),
        ),
        pmd_readings=(_PULSE_INTERVALS,),
        quirks=frozenset({Quirk.SHARING_IS_CHOSEN}),
    ),
    DeviceModel(
        name="Movesense",
        manufacturer="Movesense",
        model_numbers=("Movesense",),
        name_prefixes=("Movesense",),
        services=frozenset({uuids.GSP_SERVICE}),
        characteristics=(),
        gsp_streams=_MOVESENSE_STREAMS,
        gsp_events=(HEART_RATE_PATH, TEMPERATURE_PATH),
        # Its time counts from its start: it falls back whenever it restarts.
        quirks=frozenset({Quirk.CLOCK_RESETS}),
    ),
    DeviceModel(
        name="Nonin 3230",
        manufacturer="Nonin",
        model_numbers=("3230", "Model 3230"),
        name_prefixes=("Nonin3230", "Nonin 3230"),
        services=frozenset({uuids.PULSE_OXIMETER_SERVICE}),
        # The standard service, which the maker's own characteristic only repeats.
        characteristics=(uuids.PLX_CONTINUOUS, uuids.PLX_SPOT_CHECK, uuids.BATTERY_LEVEL),
    ),
    DeviceModel(
        name="Viatom O2Ring",
        manufacturer="Viatom",
        name_prefixes=("O2Ring", "Checkme O2", "CheckO2", "SleepO2", "KidsO2", "WearO2", "CMRing"),
        services=frozenset({uuids.VIATOM_SERVICE}),
        characteristics=(),
        viatom_question=ViatomQuestion.SENSORS,
    ),
    DeviceModel(
        name="Chevet Virtual Movesense",
        manufacturer="Chevet",
        model_numbers=("Virtual Movesense",),
        name_prefixes=("Chevet Virtual Movesense",),
        services=frozenset({uuids.GSP_SERVICE}),
        characteristics=(uuids.BATTERY_LEVEL,),
        gsp_streams=_MOVESENSE_STREAMS,
        gsp_events=(HEART_RATE_PATH, TEMPERATURE_PATH),
        quirks=frozenset({Quirk.DEMONSTRATION}),
    ),
    DeviceModel(
        name="Chevet Virtual O2Ring",
        manufacturer="Chevet",
        model_numbers=("Virtual O2Ring",),
        name_prefixes=("Chevet Virtual O2Ring",),
        services=frozenset({uuids.VIATOM_SERVICE}),
        characteristics=(uuids.BATTERY_LEVEL,),
        viatom_question=ViatomQuestion.REAL_TIME,
        quirks=frozenset({Quirk.DEMONSTRATION}),
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
        name="Chevet Virtual Armband",
        manufacturer="Chevet",
        model_numbers=("Virtual Armband",),
        name_prefixes=("Chevet Virtual Armband",),
        services=frozenset({uuids.HEART_RATE_SERVICE, uuids.PMD_SERVICE}),
        characteristics=_STRAP_CHARACTERISTICS,
        pmd_streams=_VERITY_STREAMS,
        pmd_readings=(_PULSE_INTERVALS,),
        quirks=frozenset(
            {
                Quirk.DEMONSTRATION,
                Quirk.INTERVALS_AFTER_WARM_UP,
                Quirk.SDK_MODE_NEEDS_STREAMS_OFF,
            }
        ),
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
                frames=_PPG_FRAMES,
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
        quirks=frozenset({Quirk.DEMONSTRATION, Quirk.BONDING_NEEDED}),
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
        name="Chevet Virtual Glucose Monitor",
        manufacturer="Chevet",
        model_numbers=("Virtual Glucose Monitor",),
        name_prefixes=("Chevet Virtual Glucose Monitor",),
        services=frozenset({uuids.CGM_SERVICE}),
        characteristics=(uuids.CGM_MEASUREMENT, uuids.BATTERY_LEVEL),
        quirks=frozenset({Quirk.DEMONSTRATION}),
    ),
    DeviceModel(
        name="Chevet Virtual Spot Oximeter",
        manufacturer="Chevet",
        model_numbers=("Virtual Spot Oximeter",),
        name_prefixes=("Chevet Virtual Spot Oximeter",),
        services=frozenset({uuids.PULSE_OXIMETER_SERVICE}),
        characteristics=(uuids.PLX_SPOT_CHECK, uuids.BATTERY_LEVEL),
        quirks=frozenset({Quirk.DEMONSTRATION}),
    ),
    DeviceModel(
        name="Chevet Virtual Patch",
        manufacturer="Chevet",
        model_numbers=("Virtual Patch",),
        name_prefixes=("Chevet Virtual Patch",),
        services=frozenset({uuids.GENERIC_HEALTH_SENSOR_SERVICE}),
        characteristics=(uuids.BATTERY_LEVEL,),
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
        quirks=frozenset({Quirk.BONDING_NEEDED}),
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
        quirks=frozenset({Quirk.BONDING_NEEDED}),
        services=frozenset({uuids.GLUCOSE_SERVICE}),
        characteristics=_METER_CHARACTERISTICS,
    ),
    DeviceModel(
        name="Continuous glucose monitor",
        quirks=frozenset({Quirk.BONDING_NEEDED}),
        services=frozenset({uuids.CGM_SERVICE}),
        characteristics=(uuids.CGM_MEASUREMENT, uuids.BATTERY_LEVEL),
    ),
    DeviceModel(
        name="Health sensor",
        services=frozenset({uuids.GENERIC_HEALTH_SENSOR_SERVICE}),
        characteristics=(uuids.BATTERY_LEVEL,),
    ),
)
"""Every row; of the generic rows the first that fits wins."""
