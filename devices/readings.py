"""Decoded payloads in one common form: a quantity, and its value or the reason why there is none.

A value that its own status bits disown is withheld, never passed on with a flag that somebody may
forget to read.

Source: Bluetooth SIG, Heart Rate Service 1.0; Pulse Oximeter Service 1.0.1, sections 3.2.1.4 and
3.2.1.5; Health Thermometer Service 1.0; Battery Service 1.1.
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import IntFlag, StrEnum
from typing import Final

from devices import codes
from devices.codes import Quantity
from devices.date_time import DeviceDateTime
from devices.elapsed_time import ElapsedTime
from devices.heart_rate import HeartRateMeasurement
from devices.medfloat import MedFloat, Special
from devices.polar_frames import PmdFrame, PulseInterval, pulse_intervals
from devices.pulse_oximeter import (
    MeasurementStatus,
    PlxContinuous,
    PlxSpotCheck,
    SensorStatus,
)
from devices.thermometer import TemperatureMeasurement, TemperatureSite

_NS_PER_S: Final = 10**9
_NS_PER_MS: Final = 10**6
_CONTACT_DETECTED: Final = 1 << 1
_CONTACT_SUPPORTED: Final = 1 << 2
_SPO2_PERCENT_MAX: Final = 100.0
_SENSOR_STATUS_SHIFT: Final = 16


class NoValueReason(StrEnum):
    """Why a reading has no value."""

    NO_CONTACT = "no_contact"
    INADEQUATE_SIGNAL = "inadequate_signal"
    SENSOR_UNAVAILABLE = "sensor_unavailable"
    DEMONSTRATION_DATA = "demonstration_data"
    TEST_DATA = "test_data"
    CALIBRATING = "calibrating"
    INVALID = "invalid"
    OUT_OF_RANGE = "out_of_range"
    NOT_A_NUMBER = "not_a_number"
    NOT_AT_THIS_RESOLUTION = "not_at_this_resolution"
    ABOVE_RANGE = "above_range"
    BELOW_RANGE = "below_range"
    RESERVED_VALUE = "reserved_value"


@dataclass(frozen=True, slots=True, kw_only=True)
class Measured:
    """One quantity of one payload.

    Attributes
    ----------
    quantity
        What is measured; the value is in its `ucum` unit.
    value
        Finite, or None if there is a `reason`.
    reason
        Why there is no value; None if there is one.
    status
        What the device said about it, in words.
    status_bits
        The same as it was sent, reserved bits masked. Heart rate: the flags' contact bits;
        oximeter: measurement status, and sensor status from bit 16; temperature: the site.
    offset_ns
        From the payload's arrival to the end of what was measured, zero or negative: successive
        intervals of one payload end one after the other.
    measured_at
        By the device's clock, where it sends a time and its clock was set.
    elapsed_time
        The same of a clock that counts, more finely; None of any other.
    user
        Which of the device's users was measured, by its own number; 255: it does not know which;
        None: it does not say.

    Raises
    ------
    ValueError
        There is neither a value nor a reason, or both, or the value is not finite.
    """

    quantity: Quantity
    value: float | None
    reason: NoValueReason | None = None
    status: frozenset[str] = frozenset()
    status_bits: int = 0
    offset_ns: int = 0
    measured_at: DeviceDateTime | None = None
    elapsed_time: ElapsedTime | None = None
    user: int | None = None

    def __post_init__(self) -> None:
        if (self.value is None) == (self.reason is None):
            raise ValueError(f"{self.quantity.name}: a value or a reason, not both and not neither")
        if self.value is not None and not math.isfinite(self.value):
            raise ValueError(f"{self.quantity.name}: {self.value} is not finite")


def heart_rate_readings(measurement: HeartRateMeasurement) -> tuple[Measured, ...]:
    """List heart rate, energy expended if sent, and each RR interval, oldest first.

    A heart rate of 0 is how straps say that they find none; it has no value.
    """
    lost = NoValueReason.NO_CONTACT if measurement.contact is False else None
    status, status_bits = _CONTACT[measurement.contact]
    bpm = measurement.heart_rate_bpm
    readings = [
        measured(
            codes.HEART_RATE,
            float(bpm),
            lost or (None if bpm else NoValueReason.INADEQUATE_SIGNAL),
            status=status,
            status_bits=status_bits,
        )
    ]
    if measurement.energy_expended_kj is not None:
        energy_kj = float(measurement.energy_expended_kj)
        readings.append(measured(codes.ENERGY_EXPENDED, energy_kj))
    offsets_ns = _offsets_ns(round(s * _NS_PER_S) for s in measurement.rr_intervals_s)
    for interval_s, offset_ns in zip(measurement.rr_intervals_s, offsets_ns, strict=True):
        readings.append(
            measured(
                codes.RR_INTERVAL,
                interval_s * 1000,
                lost or (None if interval_s else NoValueReason.OUT_OF_RANGE),
                status=status,
                status_bits=status_bits,
                offset_ns=offset_ns,
            )
        )
    return tuple(readings)


def plx_readings(measurement: PlxContinuous | PlxSpotCheck) -> tuple[Measured, ...]:
    """List oxygen saturation, pulse rate and, if sent, perfusion index, at usual averaging."""
    reason = _plx_reason(measurement)
    status, status_bits = _plx_status(measurement)
    measured_at = None
    if isinstance(measurement, PlxSpotCheck) and measurement.clock_set:
        measured_at = measurement.measured_at
    rows: list[tuple[Quantity, MedFloat | None, float]] = [
        (codes.SPO2, measurement.normal.spo2_percent, _SPO2_PERCENT_MAX),
        (codes.PULSE_RATE, measurement.normal.pulse_rate_bpm, math.inf),
        (codes.PERFUSION_INDEX, measurement.pulse_amplitude_index_percent, math.inf),
    ]
    return tuple(
        measured(
            quantity,
            number,
            reason or _range_reason(number, value_max),
            status=status,
            status_bits=status_bits,
            measured_at=measured_at,
        )
        for quantity, number, value_max in rows
        if number is not None
    )


def temperature_readings(measurement: TemperatureMeasurement) -> tuple[Measured, ...]:
    """Give the body temperature in degrees Celsius."""
    site = measurement.site
    words = [f"site_{site.name.lower()}"] if isinstance(site, TemperatureSite) else []
    return (
        measured(
            codes.BODY_TEMPERATURE,
            measurement.temperature_celsius,
            status=frozenset(words),
            status_bits=site or 0,
            measured_at=measurement.measured_at,
        ),
    )


def battery_readings(percent: int) -> tuple[Measured, ...]:
    """Give the battery level."""
    return (measured(codes.BATTERY_LEVEL, float(percent)),)


def pulse_interval_readings(frame: PmdFrame) -> tuple[Measured, ...]:
    """List the intervals of a PPI frame, oldest first.

    Raises
    ------
    InvalidFieldError
        The frame is of another measurement.
    """
    intervals = pulse_intervals(frame)
    offsets_ns = _offsets_ns(row.interval_ms * _NS_PER_MS for row in intervals)
    return tuple(
        measured(
            codes.PP_INTERVAL,
            float(row.interval_ms),
            _pulse_interval_reason(row),
            status=_CONTACT[row.contact][0] | _BLOCKED[row.blocked],
            status_bits=_CONTACT[row.contact][1] | int(row.blocked),
            offset_ns=offset_ns,
        )
        for row, offset_ns in zip(intervals, offsets_ns, strict=True)
    )


def measured(
    quantity: Quantity,
    number: MedFloat,
    reason: NoValueReason | None = None,
    *,
    status: frozenset[str] = frozenset(),
    status_bits: int = 0,
    offset_ns: int = 0,
    measured_at: DeviceDateTime | None = None,
) -> Measured:
    """Make a reading of a number as it was sent: special ones, and those with a reason, have none.

    Parameters
    ----------
    quantity
        What it is; the number is in its unit.
    number
        As sent; a `Special` gives the reason where no other is given.
    reason
        Why the number is not to be believed; None: it is.
    status, status_bits, offset_ns, measured_at
        See `Measured`.
    """
    if isinstance(number, Special):
        reason = reason or NoValueReason(number.value)
    return Measured(
        quantity=quantity,
        value=None if reason or isinstance(number, Special) else number,
        reason=reason,
        status=status,
        status_bits=status_bits,
        offset_ns=offset_ns,
        measured_at=measured_at,
    )


def _offsets_ns(intervals_ns: Iterable[int]) -> list[int]:
    """Give when each of the successive intervals ends, if the last one ends now."""
    offsets_ns: list[int] = []
    offset_ns = 0
    for interval_ns in reversed(list(intervals_ns)):
        offsets_ns.append(offset_ns)
        offset_ns -= interval_ns
    return offsets_ns[::-1]


def _range_reason(number: MedFloat | None, value_max: float) -> NoValueReason | None:
    if number is None or isinstance(number, Special) or 0 <= number <= value_max:
        return None
    return NoValueReason.OUT_OF_RANGE


def _pulse_interval_reason(row: PulseInterval) -> NoValueReason | None:
    if row.contact is False:
        return NoValueReason.NO_CONTACT
    if row.blocked:
        return NoValueReason.INVALID
    return None if row.interval_ms else NoValueReason.OUT_OF_RANGE


def _plx_reason(measurement: PlxContinuous | PlxSpotCheck) -> NoValueReason | None:
    measured = measurement.measurement_status or MeasurementStatus(0)
    sensor = measurement.sensor_status or SensorStatus(0)
    by_measurement = (reason for bit, reason in _MEASUREMENT_REASONS.items() if bit in measured)
    by_sensor = (reason for bit, reason in _SENSOR_REASONS.items() if bit in sensor)
    return next(by_measurement, None) or next(by_sensor, None)


def _plx_status(measurement: PlxContinuous | PlxSpotCheck) -> tuple[frozenset[str], int]:
    measured = measurement.measurement_status or MeasurementStatus(0)
    sensor = measurement.sensor_status or SensorStatus(0)
    words = {*_words(measured), *_words(sensor)}
    if isinstance(measurement, PlxSpotCheck) and not measurement.clock_set:
        words.add("clock_not_set")
    return frozenset(words), measured | sensor << _SENSOR_STATUS_SHIFT


def _words(flags: IntFlag) -> Iterable[str]:
    return (str(flag.name).lower() for flag in flags)


_CONTACT: Final[Mapping[bool | None, tuple[frozenset[str], int]]] = {
    None: (frozenset(), 0),
    False: (frozenset({"contact_lost"}), _CONTACT_SUPPORTED),
    True: (frozenset({"contact_detected"}), _CONTACT_SUPPORTED | _CONTACT_DETECTED),
}
"""Words and bits of the contact status; the heart-rate flags and PPI have it in the same bits."""
_BLOCKED: Final[tuple[frozenset[str], frozenset[str]]] = (frozenset(), frozenset({"blocked"}))
"""Words of the blocker bit of PPI, when it is clear and when it is set."""

_MEASUREMENT_REASONS: Final[Mapping[MeasurementStatus, NoValueReason]] = {
    MeasurementStatus.DEMONSTRATION: NoValueReason.DEMONSTRATION_DATA,
    MeasurementStatus.TESTING: NoValueReason.TEST_DATA,
    MeasurementStatus.UNAVAILABLE: NoValueReason.SENSOR_UNAVAILABLE,
    MeasurementStatus.INVALID: NoValueReason.INVALID,
    MeasurementStatus.CALIBRATION_ONGOING: NoValueReason.CALIBRATING,
}
"""Bits that withhold a value; the first that is set gives the reason."""

_SENSOR_REASONS: Final[Mapping[SensorStatus, NoValueReason]] = {
    SensorStatus.SENSOR_DISCONNECTED: NoValueReason.SENSOR_UNAVAILABLE,
    SensorStatus.SENSOR_MALFUNCTION: NoValueReason.SENSOR_UNAVAILABLE,
    SensorStatus.EQUIPMENT_MALFUNCTION: NoValueReason.SENSOR_UNAVAILABLE,
    SensorStatus.UNCONNECTED_TO_USER: NoValueReason.NO_CONTACT,
    SensorStatus.SENSOR_DISPLACED: NoValueReason.NO_CONTACT,
    SensorStatus.INADEQUATE_SIGNAL: NoValueReason.INADEQUATE_SIGNAL,
    SensorStatus.NON_PULSATILE_SIGNAL: NoValueReason.INADEQUATE_SIGNAL,
}
"""Bits that withhold a value; the others, such as a poor signal, are left to the reader."""
