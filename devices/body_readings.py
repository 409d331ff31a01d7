"""Blood pressure, weight, body composition and running as readings.

What a device says of a measurement decides whether there is a value; so does what cannot be, such
as a diastolic pressure above the systolic one, or a weight of zero.

Source: Bluetooth SIG, GATT Specification Supplement (status fields); IEC 80601-2-30 (the highest
pressure of a cuff); ISO/IEEE 11073-10101 and 11073-10441 (terms); LOINC 2.77.
"""

from collections.abc import Iterable
from dataclasses import replace
from enum import IntFlag
from itertools import pairwise
from typing import Final

from devices import codes
from devices.blood_pressure import (
    BloodPressureMeasurement,
    IntermediateCuffPressure,
    PressureStatus,
)
from devices.body_composition import BodyCompositionMeasurement
from devices.body_measures import UserId
from devices.codes import Quantity
from devices.date_time import DeviceDateTime
from devices.medfloat import MedFloat, Special, value_of
from devices.readings import Measured, NoValueReason, measured
from devices.running_speed_cadence import RscMeasurement
from devices.weight_scale import WeightMeasurement

_PRESSURE_MMHG_MAX: Final = 300.0
"""A cuff is never inflated further in normal use, so no blood pressure above it is measured."""
_PULSE_RATE_BPM_MAX: Final = 400.0
"""Chosen: more than any heart does, less than most fields of bad bytes."""
_PERCENT_MAX: Final = 100.0
_USER_SHIFT: Final = 16
_USER_SENT: Final = 1 << 24
_MULTIPLE_PACKETS: Final = 1 << 25
_RUNNING: Final = 1 << 2

_RATE_RANGE: Final = PressureStatus.PULSE_RATE_ABOVE_RANGE | PressureStatus.PULSE_RATE_BELOW_RANGE
_RATE_REASONS: Final = {
    PressureStatus.PULSE_RATE_ABOVE_RANGE: NoValueReason.ABOVE_RANGE,
    PressureStatus.PULSE_RATE_BELOW_RANGE: NoValueReason.BELOW_RANGE,
}
"""By bits 3 and 4 of the status; both at once are reserved and say nothing."""

_Row = tuple[Quantity, MedFloat | None, NoValueReason | None]
"""A number, or None where it was not sent; and why it has no value, or None."""


def blood_pressure_readings(measurement: BloodPressureMeasurement) -> tuple[Measured, ...]:
    """List systolic, diastolic and mean arterial pressure, and the pulse rate if sent.

    A cuff that is too loose has no pressure. Movement, an irregular pulse and a wrong position are
    left to the reader, in the status; a pulse rate beyond the cuff's range is withheld.
    """
    loose = _loose_reason(measurement.status)
    pressures = (
        measurement.diastolic_mmhg,
        measurement.mean_arterial_mmhg,
        measurement.systolic_mmhg,
    )
    contradictory = None if _rising(pressures) else NoValueReason.INVALID
    diastolic, mean_arterial, systolic = (
        (loose or _pressure_reason(number) or contradictory) for number in pressures
    )
    rows: list[_Row] = [
        (codes.SYSTOLIC_PRESSURE, measurement.systolic_mmhg, systolic),
        (codes.DIASTOLIC_PRESSURE, measurement.diastolic_mmhg, diastolic),
        (codes.MEAN_ARTERIAL_PRESSURE, measurement.mean_arterial_mmhg, mean_arterial),
        _pulse_rate(measurement),
    ]
    return _readings(
        rows,
        flags=measurement.status,
        user_id=measurement.user_id,
        measured_at=measurement.measured_at,
    )


def cuff_pressure_readings(measurement: IntermediateCuffPressure) -> tuple[Measured, ...]:
    """List the pressure in the cuff, and the pulse rate if sent, while it measures."""
    pressure = measurement.cuff_pressure_mmhg
    reason = _range_reason(pressure, _PRESSURE_MMHG_MAX)
    return _readings(
        [(codes.CUFF_PRESSURE, pressure, reason), _pulse_rate(measurement)],
        flags=measurement.status,
        user_id=measurement.user_id,
        measured_at=measurement.measured_at,
    )


def weight_readings(
    measurement: WeightMeasurement, *, weight_factor: float = 1.0
) -> tuple[Measured, ...]:
    """List the body weight and, if sent, the body mass index and the height.

    Parameters
    ----------
    weight_factor
        What to multiply weights with, for a model whose steps are not those of the specification.
    """
    weight_kg = measurement.weight_kg
    weight = weight_kg if isinstance(weight_kg, Special) else weight_kg * weight_factor
    rows: list[_Row] = [(codes.BODY_MASS, weight, _scale_reason(weight))]
    if measurement.bmi_and_height is not None:
        bmi = measurement.bmi_and_height.bmi_kg_per_m2
        rows.append((codes.BODY_MASS_INDEX, bmi, _scale_reason(bmi)))
        rows.append((codes.BODY_HEIGHT, measurement.height_m, _scale_reason(measurement.height_m)))
    return _readings(rows, user_id=measurement.user_id, measured_at=measurement.measured_at)


def body_composition_readings(measurement: BodyCompositionMeasurement) -> tuple[Measured, ...]:
    """List body fat and whatever else was sent.

    Without body fat (unsuccessful, or the zero that some scales send when nobody stands on the
    electrodes) nothing was measured through the body: then only weight, height and impedance stand,
    and what was reckoned from the user's profile is withheld. So is a part that would weigh more
    than the body.
    """
    fat_reason = _scale_reason(measurement.body_fat_percent, _PERCENT_MAX)
    failed = None if value_of(measurement.body_fat_percent) else NoValueReason.INVALID
    weight_kg = measurement.in_kg(measurement.weight)
    weight_max = value_of(weight_kg) or None
    measured_itself = (
        (codes.BODY_MASS, weight_kg),
        (codes.BODY_HEIGHT, measurement.height_m),
        (codes.BODY_IMPEDANCE, measurement.impedance_ohm),
    )
    derived = (
        (codes.BASAL_METABOLISM, measurement.basal_metabolism_kj, None),
        (codes.MUSCLE_SHARE, measurement.muscle_percent, _PERCENT_MAX),
        (codes.MUSCLE_MASS, measurement.in_kg(measurement.muscle_mass), weight_max),
        (codes.FAT_FREE_MASS, measurement.in_kg(measurement.fat_free_mass), weight_max),
        (codes.SOFT_LEAN_MASS, measurement.in_kg(measurement.soft_lean_mass), weight_max),
        (codes.BODY_WATER_MASS, measurement.in_kg(measurement.body_water_mass), weight_max),
    )
    rows: list[_Row] = [
        (codes.BODY_FAT, measurement.body_fat_percent, fat_reason),
        *((quantity, number, _scale_reason(number)) for quantity, number in measured_itself),
        *(
            (quantity, number, failed or _scale_reason(number, number_max))
            for quantity, number, number_max in derived
        ),
    ]
    return _readings(
        rows,
        user_id=measurement.user_id,
        measured_at=measurement.measured_at,
        words={"multiple_packets"} if measurement.multiple_packets else set(),
        bits=_MULTIPLE_PACKETS if measurement.multiple_packets else 0,
    )


def running_readings(measurement: RscMeasurement) -> tuple[Measured, ...]:
    """List speed and cadence and, if sent, stride length and total distance."""
    return _readings(
        [
            (codes.SPEED, measurement.speed_m_per_s, None),
            (codes.CADENCE, float(measurement.cadence_per_min), None),
            (codes.STRIDE_LENGTH, measurement.stride_length_m, None),
            (codes.TOTAL_DISTANCE, measurement.total_distance_m, None),
        ],
        words={"running"} if measurement.running else set(),
        bits=_RUNNING if measurement.running else 0,
    )


def _readings(
    rows: Iterable[_Row],
    *,
    flags: IntFlag | None = None,
    user_id: int | None = None,
    measured_at: DeviceDateTime | None = None,
    words: Iterable[str] = (),
    bits: int = 0,
) -> tuple[Measured, ...]:
    """Make a reading of each number that was sent.

    `status_bits` are the device's status field, its user number from bit 16 and, in bit 24, whether
    it sent one; and, in bit 25, whether the measurement has several packets.
    """
    status = {*words, *(str(flag.name).lower() for flag in flags or ())}
    bits |= flags or 0
    if user_id is not None:
        status.add("user_unknown" if user_id == UserId.UNKNOWN else f"user_{user_id}")
        bits |= _USER_SENT | user_id << _USER_SHIFT
    readings = (
        measured(
            quantity,
            number if isinstance(number, Special) else float(number),
            reason,
            status=frozenset(status),
            status_bits=bits,
            measured_at=measured_at,
        )
        for quantity, number, reason in rows
        if number is not None
    )
    return tuple(replace(one, user=user_id) for one in readings)


def _pulse_rate(measurement: BloodPressureMeasurement | IntermediateCuffPressure) -> _Row:
    status = measurement.status or PressureStatus(0)
    rate_bpm = measurement.pulse_rate_bpm
    reason = _RATE_REASONS.get(status & _RATE_RANGE) or _loose_reason(status)
    reason = reason or _zero_reason(rate_bpm) or _range_reason(rate_bpm, _PULSE_RATE_BPM_MAX)
    return codes.CUFF_PULSE_RATE, rate_bpm, reason


def _loose_reason(status: PressureStatus | None) -> NoValueReason | None:
    loose = PressureStatus.CUFF_TOO_LOOSE in (status or PressureStatus(0))
    return NoValueReason.NO_CONTACT if loose else None


def _pressure_reason(pressure_mmhg: MedFloat) -> NoValueReason | None:
    """Withhold what no cuff measures; zero is how cuffs fill a field that they do not use."""
    return _zero_reason(pressure_mmhg) or _range_reason(pressure_mmhg, _PRESSURE_MMHG_MAX)


def _scale_reason(number: MedFloat | None, number_max: float | None = None) -> NoValueReason | None:
    """Withhold what was unsuccessful, and the zeros that scales send where they have nothing."""
    if number is Special.NAN:
        return NoValueReason.INVALID
    return _zero_reason(number) or _range_reason(number, number_max)


def _rising(pressures: Iterable[MedFloat]) -> bool:
    """Tell whether the pressures that there are rise from one to the next."""
    numbers = [number for number in map(value_of, pressures) if number]
    return all(lower < upper for lower, upper in pairwise(numbers))


def _zero_reason(number: MedFloat | None) -> NoValueReason | None:
    return NoValueReason.OUT_OF_RANGE if number == 0 else None


def _range_reason(number: MedFloat | None, number_max: float | None) -> NoValueReason | None:
    value = value_of(number)
    if value is None or (value >= 0 and (number_max is None or value <= number_max)):
        return None
    return NoValueReason.OUT_OF_RANGE
