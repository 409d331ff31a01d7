"""The standard characteristics by their UUIDs: a payload becomes readings."""

from collections.abc import Callable, Mapping
from typing import Final

from devices import uuids
from devices.battery import decode_battery_level
from devices.blood_pressure import decode_blood_pressure, decode_cuff_pressure
from devices.body_composition import decode_body_composition
from devices.body_readings import (
    blood_pressure_readings,
    body_composition_readings,
    cuff_pressure_readings,
    running_readings,
    weight_readings,
)
from devices.continuous_glucose import decode_cgm_measurements
from devices.errors import UnknownCharacteristicError
from devices.glucose import decode_glucose_measurement
from devices.glucose_readings import cgm_readings, glucose_readings
from devices.heart_rate import decode_heart_rate
from devices.pulse_oximeter import decode_plx_continuous, decode_plx_spot_check
from devices.readings import (
    Measured,
    battery_readings,
    heart_rate_readings,
    plx_readings,
    temperature_readings,
)
from devices.running_speed_cadence import decode_rsc_measurement
from devices.thermometer import decode_temperature
from devices.weight_scale import decode_weight


def decode_notification(
    characteristic_uuid: str, payload: bytes, *, weight_factor: float = 1.0
) -> tuple[Measured, ...]:
    """Decode the payload of a standard characteristic.

    Parameters
    ----------
    characteristic_uuid
        128 bits, as in `devices.uuids`, in either case.
    payload
        Of a notification, an indication or a read.
    weight_factor
        What to multiply a scale's weights with.

    Raises
    ------
    UnknownCharacteristicError
    DecodeError
    """
    uuid = characteristic_uuid.lower()
    if uuid == uuids.WEIGHT_MEASUREMENT:
        return weight_readings(decode_weight(payload), weight_factor=weight_factor)
    decode = _DECODERS.get(uuid)
    if decode is None:
        raise UnknownCharacteristicError(characteristic_uuid)
    return decode(payload)


_DECODERS: Final[Mapping[str, Callable[[bytes], tuple[Measured, ...]]]] = {
    uuids.HEART_RATE_MEASUREMENT: lambda payload: heart_rate_readings(decode_heart_rate(payload)),
    uuids.PLX_CONTINUOUS: lambda payload: plx_readings(decode_plx_continuous(payload)),
    uuids.PLX_SPOT_CHECK: lambda payload: plx_readings(decode_plx_spot_check(payload)),
    uuids.TEMPERATURE_MEASUREMENT: lambda payload: temperature_readings(
        decode_temperature(payload)
    ),
    uuids.BATTERY_LEVEL: lambda payload: battery_readings(decode_battery_level(payload)),
    uuids.BLOOD_PRESSURE_MEASUREMENT: lambda payload: blood_pressure_readings(
        decode_blood_pressure(payload)
    ),
    uuids.INTERMEDIATE_CUFF_PRESSURE: lambda payload: cuff_pressure_readings(
        decode_cuff_pressure(payload)
    ),
    uuids.BODY_COMPOSITION_MEASUREMENT: lambda payload: body_composition_readings(
        decode_body_composition(payload)
    ),
    # Without its context, and without the features and the session of a sensor: who has read those
    # takes `devices.record_transfer` and `cgm_readings` instead.
    uuids.GLUCOSE_MEASUREMENT: lambda payload: glucose_readings(
        decode_glucose_measurement(payload)
    ),
    uuids.CGM_MEASUREMENT: lambda payload: cgm_readings(decode_cgm_measurements(payload)),
    uuids.RSC_MEASUREMENT: lambda payload: running_readings(decode_rsc_measurement(payload)),
}
DECODABLE: Final = frozenset({*_DECODERS, uuids.WEIGHT_MEASUREMENT})
"""UUIDs that `decode_notification` knows."""
