"""PMD frames of slow measurements as readings: intervals, temperatures, pressure.

Source: Polar Electro, online_measurement.pdf v1.0 (2024-08); polar-ble-sdk 5 and 6; PPIData.md of
the latter (which flags withhold an interval).
"""

import math
from collections.abc import Mapping
from typing import Final

from devices import codes
from devices.codes import Quantity
from devices.errors import InvalidFieldError
from devices.polar_frames import PmdFrame
from devices.polar_pmd import PmdMeasurement
from devices.readings import Measured, NoValueReason, pulse_interval_readings

_NS_PER_S: Final = 10**9

_RANGES: Final[Mapping[PmdMeasurement, tuple[Quantity, float, float]]] = {
    PmdMeasurement.SKIN_TEMPERATURE: (codes.SKIN_TEMPERATURE, -40.0, 85.0),
    PmdMeasurement.TEMPERATURE: (codes.DEVICE_TEMPERATURE, -40.0, 85.0),
    PmdMeasurement.PRESSURE: (codes.AMBIENT_PRESSURE, 260.0, 1260.0),
}
"""Quantity, and what such a sensor can measure at all: what is beyond is no value.

The ranges were chosen from those that sensors of the kind are sold with; none is published.
"""


def pmd_readings(
    frame: PmdFrame, *, rate_hz: float = 1.0, factor: float = 1.0
) -> tuple[Measured, ...]:
    """List the readings of a frame of a slow measurement, oldest first.

    Parameters
    ----------
    frame
        Of PPI, skin temperature, temperature or pressure.
    rate_hz
        Samples per second that the stream was started with; PPI has none. The offsets of the
        readings are from it.
    factor
        From the answer to the start.

    Raises
    ------
    InvalidFieldError
        The frame is of a waveform: it has samples, not readings.
    """
    if frame.measurement is PmdMeasurement.PPI:
        return pulse_interval_readings(frame)
    if frame.measurement not in _RANGES:
        why = "has no readings"
        raise InvalidFieldError(field="measurement", value=int(frame.measurement), why=why)
    quantity, least, most = _RANGES[frame.measurement]
    numbers: list[float] = frame.scaled(factor)[:, 0].tolist()
    n_after = range(len(numbers) - 1, -1, -1)
    return tuple(
        _reading(quantity, number, least, most, -round(n * _NS_PER_S / rate_hz))
        for number, n in zip(numbers, n_after, strict=True)
    )


def _reading(
    quantity: Quantity, number: float, least: float, most: float, offset_ns: int
) -> Measured:
    reason = None
    if math.isnan(number):
        reason = NoValueReason.NOT_A_NUMBER
    elif not least <= number <= most:
        reason = NoValueReason.OUT_OF_RANGE
    value = None if reason else number
    return Measured(quantity=quantity, value=value, reason=reason, offset_ns=offset_ns)


READABLE: Final = frozenset({PmdMeasurement.PPI, *_RANGES})
"""Measurements that `pmd_readings` knows."""
