"""Blood pressure, weight, body composition and running as readings.

What a device says of a measurement decides whether there is a value; so does what cannot be, such
as a diastolic pressure above the systolic one, or a weight of zero.

Source: Bluetooth SIG, GATT Specification Supplement (status fields); IEC 80601-2-30 (the highest
pressure of a cuff); ISO/IEEE 11073-10101 and 11073-10441 (terms); LOINC 2.77.
"""

from collections.abc import Iterable
from enum import IntFlag
from itertools import pairwise
from typing import Final

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
from devices.readings import Measured, NoValueReason
from devices.running_speed_cadence import RscMeasurement
from devices.weight_scale import WeightMeasurement

_SCADA: Final = 2 << 16
_FITNESS: Final = 129 << 16


def _quantity(
    name: str,
    label: str,
    mdc: int,
    mdc_reference_id: str,
    *,
    ucum: str,
    loinc: str | None = None,
) -> Quantity:
    return Quantity(
        name=name,
        label=label,
        mdc=mdc,
        mdc_reference_id=mdc_reference_id,
        ucum=ucum,
        loinc=loinc,
    )


SYSTOLIC_PRESSURE: Final = _quantity(
    "systolic_pressure",
    "Systolic blood pressure",
    _SCADA | 18949,
    "MDC_PRESS_BLD_NONINV_SYS",
    ucum="mm[Hg]",
    loinc="8480-6",
)
DIASTOLIC_PRESSURE: Final = _quantity(
    "diastolic_pressure",
    "Diastolic blood pressure",
    _SCADA | 18950,
    "MDC_PRESS_BLD_NONINV_DIA",
    ucum="mm[Hg]",
    loinc="8462-4",
)
MEAN_ARTERIAL_PRESSURE: Final = _quantity(
    "mean_arterial_pressure",
    "Mean arterial pressure",
    _SCADA | 18951,
    "MDC_PRESS_BLD_NONINV_MEAN",
    ucum="mm[Hg]",
    loinc="8478-0",
)
CUFF_PRESSURE: Final = _quantity(
    "cuff_pressure", "Pressure in the cuff", _SCADA | 19228, "MDC_PRESS_CUFF", ucum="mm[Hg]"
)
CUFF_PULSE_RATE: Final = _quantity(
    "cuff_pulse_rate",
    "Pulse rate, by the cuff",
    _SCADA | 18474,
    "MDC_PULS_RATE_NON_INV",
    ucum="/min",
    loinc="8867-4",
)
BODY_MASS: Final = _quantity(
    "body_mass", "Body weight", _SCADA | 57664, "MDC_MASS_BODY_ACTUAL", ucum="kg", loinc="29463-7"
)
BODY_HEIGHT: Final = _quantity(
    "body_height", "Body height", _SCADA | 57668, "MDC_LEN_BODY_ACTUAL", ucum="m", loinc="8302-2"
)
BODY_FAT: Final = _quantity(
    "body_fat", "Body fat, share of mass", _SCADA | 57676, "MDC_BODY_FAT", ucum="%", loinc="41982-0"
)
BODY_MASS_INDEX: Final = _quantity(
    "body_mass_index",
    "Body mass index",
    _SCADA | 57680,
    "MDC_RATIO_MASS_BODY_LEN_SQ",
    ucum="kg/m2",
    loinc="39156-5",
)
FAT_FREE_MASS: Final = _quantity(
    "fat_free_mass", "Fat-free mass", _SCADA | 57684, "MDC_MASS_BODY_FAT_FREE", ucum="kg"
)
SOFT_LEAN_MASS: Final = _quantity(
    "soft_lean_mass", "Soft lean mass", _SCADA | 57688, "MDC_MASS_BODY_SOFT_LEAN", ucum="kg"
)
BODY_WATER_MASS: Final = _quantity(
    "body_water_mass", "Body water", _SCADA | 57692, "MDC_BODY_WATER", ucum="kg"
)
BASAL_METABOLISM: Final = _quantity(
    "basal_metabolism", "Basal metabolism", _SCADA | 57696, "MDC_BASAL_METABOLISM", ucum="kJ/d"
)
MUSCLE_SHARE: Final = _quantity(
    "muscle_share", "Muscle, share of mass", _SCADA | 57700, "MDC_BODY_MUSCLE", ucum="%"
)
MUSCLE_MASS: Final = _quantity(
    "muscle_mass",
    "Muscle mass",
    _SCADA | 57704,
    "MDC_MASS_BODY_MUSCLE",
    ucum="kg",
    loinc="73964-9",
)
BODY_IMPEDANCE: Final = _quantity(
    "body_impedance",
    "Electrical impedance of the body",
    _SCADA | 57708,
    "MDC_BODY_ELECTRICAL_IMPEDANCE",
    ucum="Ohm",
)
TOTAL_DISTANCE: Final = _quantity(
    "total_distance", "Distance covered", _FITNESS | 103, "MDC_HF_DISTANCE", ucum="m"
)
SPEED: Final = _quantity("speed", "Speed", _FITNESS | 110, "MDC_HF_SPEED", ucum="m/s")
CADENCE: Final = _quantity("cadence", "Cadence", _FITNESS | 111, "MDC_HF_CAD", ucum="/min")
STRIDE_LENGTH: Final = _quantity(
    "stride_length", "Stride length", _FITNESS | 117, "MDC_HF_STRIDE", ucum="m"
)

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
        (SYSTOLIC_PRESSURE, measurement.systolic_mmhg, systolic),
        (DIASTOLIC_PRESSURE, measurement.diastolic_mmhg, diastolic),
        (MEAN_ARTERIAL_PRESSURE, measurement.mean_arterial_mmhg, mean_arterial),
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
        [(CUFF_PRESSURE, pressure, reason), _pulse_rate(measurement)],
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
    rows: list[_Row] = [(BODY_MASS, weight, _scale_reason(weight))]
    if measurement.bmi_and_height is not None:
        bmi = measurement.bmi_and_height.bmi_kg_per_m2
        rows.append((BODY_MASS_INDEX, bmi, _scale_reason(bmi)))
        rows.append((BODY_HEIGHT, measurement.height_m, _scale_reason(measurement.height_m)))
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
        (BODY_MASS, weight_kg),
        (BODY_HEIGHT, measurement.height_m),
        (BODY_IMPEDANCE, measurement.impedance_ohm),
    )
    derived = (
        (BASAL_METABOLISM, measurement.basal_metabolism_kj, None),
        (MUSCLE_SHARE, measurement.muscle_percent, _PERCENT_MAX),
        (MUSCLE_MASS, measurement.in_kg(measurement.muscle_mass), weight_max),
        (FAT_FREE_MASS, measurement.in_kg(measurement.fat_free_mass), weight_max),
        (SOFT_LEAN_MASS, measurement.in_kg(measurement.soft_lean_mass), weight_max),
        (BODY_WATER_MASS, measurement.in_kg(measurement.body_water_mass), weight_max),
    )
    rows: list[_Row] = [
        (BODY_FAT, measurement.body_fat_percent, fat_reason),
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
            (SPEED, measurement.speed_m_per_s, None),
            (CADENCE, float(measurement.cadence_per_min), None),
            (STRIDE_LENGTH, measurement.stride_length_m, None),
            (TOTAL_DISTANCE, measurement.total_distance_m, None),
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
    return tuple(
        Measured(
            quantity=quantity,
            value=None if reason or isinstance(number, Special) else float(number),
            reason=reason or _special_reason(number),
            status=frozenset(status),
            status_bits=bits,
            measured_at=measured_at,
        )
        for quantity, number, reason in rows
        if number is not None
    )


def _pulse_rate(measurement: BloodPressureMeasurement | IntermediateCuffPressure) -> _Row:
    status = measurement.status or PressureStatus(0)
    rate_bpm = measurement.pulse_rate_bpm
    reason = _RATE_REASONS.get(status & _RATE_RANGE) or _loose_reason(status)
    reason = reason or _zero_reason(rate_bpm) or _range_reason(rate_bpm, _PULSE_RATE_BPM_MAX)
    return CUFF_PULSE_RATE, rate_bpm, reason


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


def _special_reason(number: MedFloat) -> NoValueReason | None:
    return NoValueReason(number.value) if isinstance(number, Special) else None
