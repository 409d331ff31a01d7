"""Movesense heart rate and temperature as readings.

Source: as `devices.movesense_data`.
"""

from typing import Final

from devices import codes
from devices.medfloat import MedFloat, Special
from devices.movesense_data import GspHeartRate, GspTemperature
from devices.readings import Measured, NoValueReason, measured

_BPM_MAX: Final = 500.0
"""Chosen: no heart beats faster, and a float could say anything."""
_KELVIN_MIN: Final = 233.0
_KELVIN_MAX: Final = 398.0
"""What the API says that the sensor can measure."""
_ZERO_CELSIUS_KELVIN: Final = 273.15
_NS_PER_MS: Final = 10**6


def gsp_heart_rate_readings(heart_rate: GspHeartRate) -> tuple[Measured, ...]:
    """List the heart rate and each RR interval, oldest first.

    A heart rate of 0 says that none was found; it has no value.
    """
    intervals_ms = heart_rate.rr_intervals_ms
    return (
        measured(codes.HEART_RATE, heart_rate.average_bpm, _rate_reason(heart_rate.average_bpm)),
        *(
            measured(
                codes.RR_INTERVAL,
                float(interval_ms),
                None if interval_ms else NoValueReason.OUT_OF_RANGE,
                offset_ns=-sum(intervals_ms[i + 1 :]) * _NS_PER_MS,
            )
            for i, interval_ms in enumerate(intervals_ms)
        ),
    )


def gsp_temperature_readings(temperature: GspTemperature) -> tuple[Measured, ...]:
    """Give the sensor's temperature in degrees Celsius."""
    kelvin = temperature.temperature_kelvin
    if isinstance(kelvin, Special):
        return (measured(codes.DEVICE_TEMPERATURE, kelvin),)
    possible = _KELVIN_MIN <= kelvin <= _KELVIN_MAX
    reason = None if possible else NoValueReason.OUT_OF_RANGE
    return (measured(codes.DEVICE_TEMPERATURE, kelvin - _ZERO_CELSIUS_KELVIN, reason),)


def _rate_reason(bpm: MedFloat) -> NoValueReason | None:
    if isinstance(bpm, Special):
        return None
    if bpm == 0:
        return NoValueReason.INADEQUATE_SIGNAL
    return None if 0 < bpm <= _BPM_MAX else NoValueReason.OUT_OF_RANGE
