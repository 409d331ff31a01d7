"""Glucose Measurement Context (0x2A34): what was eaten, taken and done around a measurement.

Source: Bluetooth SIG, Glucose Service 1.0.1, section 3.2; GATT Specification Supplement, Glucose
Measurement Context.
"""

from dataclasses import dataclass
from enum import IntEnum, IntFlag, StrEnum
from typing import Final

from devices.errors import EncodeError
from devices.medfloat import MedFloat, Special
from devices.payload import PayloadReader, PayloadWriter


class CarbohydrateId(IntEnum):
    """The meal that carbohydrates belong to."""

    BREAKFAST = 1
    LUNCH = 2
    DINNER = 3
    SNACK = 4
    DRINK = 5
    SUPPER = 6
    BRUNCH = 7


class Meal(IntEnum):
    """When the measurement was, by the meals."""

    PREPRANDIAL = 1
    POSTPRANDIAL = 2
    FASTING = 3
    CASUAL = 4
    BEDTIME = 5


class Tester(IntEnum):
    """Who measured."""

    SELF = 1
    HEALTH_CARE_PROFESSIONAL = 2
    LAB_TEST = 3
    NOT_AVAILABLE = 15


class Health(IntEnum):
    """How the person was."""

    MINOR_HEALTH_ISSUES = 1
    MAJOR_HEALTH_ISSUES = 2
    DURING_MENSES = 3
    UNDER_STRESS = 4
    NO_HEALTH_ISSUES = 5
    NOT_AVAILABLE = 15


class MedicationId(IntEnum):
    """What was taken."""

    RAPID_ACTING_INSULIN = 1
    SHORT_ACTING_INSULIN = 2
    INTERMEDIATE_ACTING_INSULIN = 3
    LONG_ACTING_INSULIN = 4
    PREMIXED_INSULIN = 5


class MedicationUnit(StrEnum):
    """The unit of a medication, as UCUM writes it."""

    KILOGRAM = "kg"
    LITRE = "L"


class _Flag(IntFlag):
    CARBOHYDRATE = 1 << 0
    MEAL = 1 << 1
    TESTER_HEALTH = 1 << 2
    EXERCISE = 1 << 3
    MEDICATION = 1 << 4
    LITRE = 1 << 5
    HBA1C = 1 << 6
    EXTENDED = 1 << 7


_DURATION_OVERRUN: Final = 0xFFFF
_NIBBLE: Final = 0x0F


@dataclass(frozen=True, slots=True, kw_only=True)
class Carbohydrate:
    """Carbohydrates that were eaten: their meal (a `CarbohydrateId` where it is one), and kg."""

    carbohydrate_id: int
    carbohydrate_kg: MedFloat


@dataclass(frozen=True, slots=True, kw_only=True)
class TesterHealth:
    """Who measured, and how the person was: a `Tester` and a `Health` where they are ones."""

    tester: int
    health: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Exercise:
    """Exercise: seconds, or `POSITIVE_INFINITY` where it is longer than its field; and percent."""

    duration_s: int | Special
    intensity_percent: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Medication:
    """Medication: a `MedicationId` where it is one, and how much of it, in `unit`."""

    medication_id: int
    amount: MedFloat
    unit: MedicationUnit = MedicationUnit.KILOGRAM


@dataclass(frozen=True, slots=True, kw_only=True)
class GlucoseContext:
    """What belongs to the measurement of the same sequence number.

    Attributes
    ----------
    sequence_number
        0 to 65535.
    carbohydrate, tester_health, exercise, medication
        None if not sent.
    meal
        A `Meal` where it is one; None if not sent.
    hba1c_percent
        Glycated haemoglobin; None if not sent.
    """

    sequence_number: int
    carbohydrate: Carbohydrate | None = None
    meal: int | None = None
    tester_health: TesterHealth | None = None
    exercise: Exercise | None = None
    medication: Medication | None = None
    hba1c_percent: MedFloat | None = None


def decode_glucose_context(payload: bytes) -> GlucoseContext:
    """Decode a Glucose Measurement Context.

    Raises
    ------
    DecodeError
    """
    reader = PayloadReader(payload)
    flags = _Flag(reader.u8("flags"))
    sequence_number = reader.u16("sequence_number")
    if _Flag.EXTENDED in flags:
        reader.u8("extended_flags")  # all of them are reserved
    carbohydrate = _read_carbohydrate(reader) if _Flag.CARBOHYDRATE in flags else None
    meal = reader.u8("meal") if _Flag.MEAL in flags else None
    tester_health = _read_tester_health(reader) if _Flag.TESTER_HEALTH in flags else None
    exercise = _read_exercise(reader) if _Flag.EXERCISE in flags else None
    medication = _read_medication(reader, flags) if _Flag.MEDICATION in flags else None
    hba1c_percent = reader.sfloat("hba1c") if _Flag.HBA1C in flags else None
    reader.finish()
    return GlucoseContext(
        sequence_number=sequence_number,
        carbohydrate=carbohydrate,
        meal=Meal(meal) if meal in set(Meal) else meal,
        tester_health=tester_health,
        exercise=exercise,
        medication=medication,
        hba1c_percent=hba1c_percent,
    )


def encode_glucose_context(context: GlucoseContext) -> bytes:
    """Encode a Glucose Measurement Context.

    Raises
    ------
    EncodeError
    """
    writer = PayloadWriter()
    writer.u8("flags", _flags(context))
    writer.u16("sequence_number", context.sequence_number)
    if context.carbohydrate is not None:
        writer.u8("carbohydrate_id", context.carbohydrate.carbohydrate_id)
        writer.sfloat("carbohydrate", context.carbohydrate.carbohydrate_kg)
    if context.meal is not None:
        writer.u8("meal", context.meal)
    if context.tester_health is not None:
        _write_tester_health(writer, context.tester_health)
    if context.exercise is not None:
        _write_exercise(writer, context.exercise)
    if context.medication is not None:
        writer.u8("medication_id", context.medication.medication_id)
        writer.sfloat("medication", context.medication.amount)
    if context.hba1c_percent is not None:
        writer.sfloat("hba1c", context.hba1c_percent)
    return writer.finish()


def _flags(context: GlucoseContext) -> _Flag:
    litres = context.medication is not None and context.medication.unit is MedicationUnit.LITRE
    present = {
        _Flag.CARBOHYDRATE: context.carbohydrate is not None,
        _Flag.MEAL: context.meal is not None,
        _Flag.TESTER_HEALTH: context.tester_health is not None,
        _Flag.EXERCISE: context.exercise is not None,
        _Flag.MEDICATION: context.medication is not None,
        _Flag.LITRE: litres,
        _Flag.HBA1C: context.hba1c_percent is not None,
    }
    return _Flag(sum(flag for flag, is_set in present.items() if is_set))


def _read_carbohydrate(reader: PayloadReader) -> Carbohydrate:
    meal = reader.u8("carbohydrate_id")
    return Carbohydrate(
        carbohydrate_id=CarbohydrateId(meal) if meal in set(CarbohydrateId) else meal,
        carbohydrate_kg=reader.sfloat("carbohydrate"),
    )


def _read_tester_health(reader: PayloadReader) -> TesterHealth:
    raw = reader.u8("tester_health")
    tester, health = raw & _NIBBLE, raw >> 4
    return TesterHealth(
        tester=Tester(tester) if tester in set(Tester) else tester,
        health=Health(health) if health in set(Health) else health,
    )


def _write_tester_health(writer: PayloadWriter, row: TesterHealth) -> None:
    for field, value in (("tester", row.tester), ("health", row.health)):
        if not 0 <= value <= _NIBBLE:
            raise EncodeError(field=field, value=value, why="does not fit 4 bits")
    writer.u8("tester_health", row.tester | row.health << 4)


def _read_exercise(reader: PayloadReader) -> Exercise:
    duration_s = reader.u16("exercise_duration")
    overrun = duration_s == _DURATION_OVERRUN
    return Exercise(
        duration_s=Special.POSITIVE_INFINITY if overrun else duration_s,
        intensity_percent=reader.u8("exercise_intensity"),
    )


def _write_exercise(writer: PayloadWriter, exercise: Exercise) -> None:
    duration_s = exercise.duration_s
    if duration_s is Special.POSITIVE_INFINITY:
        duration_s = _DURATION_OVERRUN
    elif isinstance(duration_s, Special) or duration_s >= _DURATION_OVERRUN:
        raise EncodeError(field="exercise_duration", value=duration_s, why="is not in 0..65534")
    writer.u16("exercise_duration", duration_s)
    writer.u8("exercise_intensity", exercise.intensity_percent)


def _read_medication(reader: PayloadReader, flags: _Flag) -> Medication:
    kind = reader.u8("medication_id")
    litres = _Flag.LITRE in flags
    return Medication(
        medication_id=MedicationId(kind) if kind in set(MedicationId) else kind,
        amount=reader.sfloat("medication"),
        unit=MedicationUnit.LITRE if litres else MedicationUnit.KILOGRAM,
    )
