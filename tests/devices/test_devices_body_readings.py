"""Blood pressure, weight, body composition and running as readings: a value or a reason."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.blood_pressure import (
    BloodPressureMeasurement,
    IntermediateCuffPressure,
    PressureStatus,
    PressureUnit,
    decode_blood_pressure,
    decode_cuff_pressure,
)
from devices.body_composition import BodyCompositionMeasurement, decode_body_composition
from devices.body_measures import MeasurementUnits, UserId
from devices.body_readings import (
    blood_pressure_readings,
    body_composition_readings,
    cuff_pressure_readings,
    running_readings,
    weight_readings,
)
from devices.errors import DecodeError
from devices.medfloat import MedFloat, Special
from devices.readings import Measured, NoValueReason
from devices.running_speed_cadence import decode_rsc_measurement
from devices.weight_scale import BmiAndHeight, WeightMeasurement, decode_weight

HEALTHY = BloodPressureMeasurement(
    systolic=120.0, diastolic=80.0, mean_arterial=93.0, pulse_rate_bpm=66.0
)


def _values(readings: tuple[Measured, ...]) -> dict[str, float | None]:
    return {reading.quantity.name: reading.value for reading in readings}


def _reasons(readings: tuple[Measured, ...]) -> dict[str, NoValueReason | None]:
    return {reading.quantity.name: reading.reason for reading in readings}


def test_a_cuff_gives_three_pressures_and_a_pulse_rate() -> None:
    readings = blood_pressure_readings(HEALTHY)

    assert _values(readings) == {
        "systolic_pressure": 120.0,
        "diastolic_pressure": 80.0,
        "mean_arterial_pressure": 93.0,
        "cuff_pulse_rate": 66.0,
    }
    assert {reading.quantity.ucum for reading in readings} == {"mm[Hg]", "/min"}
    assert {reading.status_bits for reading in readings} == {0}


def test_a_captured_payload_of_a_cuff_that_knows_no_mean_and_found_an_irregular_pulse() -> None:
    payload = bytes.fromhex("de 88 f4 20 f3 ff 07 e4 07 01 13 16 37 00 bc f2 01 44 01")

    readings = blood_pressure_readings(decode_blood_pressure(payload))

    assert _values(readings) == {
        "systolic_pressure": 116.0,
        "diastolic_pressure": 80.0,
        "mean_arterial_pressure": None,
        "cuff_pulse_rate": 70.0,
    }
    assert readings[0].status == {"irregular_pulse", "user_1"}


def test_kilopascals_become_millimetres_of_mercury() -> None:
    payload = bytes.fromhex("15 bd f0 0b 00 9f f0 3c 00 10 00")

    systolic, diastolic, mean_arterial, pulse_rate = blood_pressure_readings(
        decode_blood_pressure(payload)
    )

    assert systolic.value == pytest.approx(141.762, abs=1e-3)
    assert diastolic.value == pytest.approx(82.507, abs=1e-3)
    assert mean_arterial.value == pytest.approx(119.260, abs=1e-3)
    assert (pulse_rate.value, pulse_rate.reason) == (None, NoValueReason.BELOW_RANGE)


def test_a_cuff_that_is_too_loose_has_measured_nothing() -> None:
    payload = bytes.fromhex("1e 8a 00 58 00 78 00 00 00 04 11 14 29 3b 3c 00 01 27 00")

    readings = blood_pressure_readings(decode_blood_pressure(payload))

    assert {reading.reason for reading in readings} == {NoValueReason.NO_CONTACT}
    assert {reading.value for reading in readings} == {None}
    assert readings[0].status == {
        "body_movement",
        "cuff_too_loose",
        "irregular_pulse",
        "improper_position",
        "user_1",
    }
    assert readings[0].status_bits == 0x27 | 1 << 16 | 1 << 24
    assert readings[0].measured_at is not None
    assert readings[0].measured_at.month == 4


@pytest.mark.parametrize(
    ("status", "pressure_reason", "rate_reason"),
    [
        (PressureStatus.CUFF_TOO_LOOSE, "no_contact", "no_contact"),
        (PressureStatus.PULSE_RATE_ABOVE_RANGE, None, "above_range"),
        (PressureStatus.PULSE_RATE_BELOW_RANGE, None, "below_range"),
        (
            PressureStatus.PULSE_RATE_ABOVE_RANGE | PressureStatus.PULSE_RATE_BELOW_RANGE,
            None,
            None,
        ),
        (
            PressureStatus.BODY_MOVEMENT
            | PressureStatus.IRREGULAR_PULSE
            | PressureStatus.IMPROPER_POSITION,
            None,
            None,
        ),
        (PressureStatus(0), None, None),
    ],
)
def test_what_the_status_disowns_is_withheld_and_the_rest_is_told(
    status: PressureStatus, pressure_reason: str | None, rate_reason: str | None
) -> None:
    reasons = _reasons(blood_pressure_readings(replace(HEALTHY, status=status)))

    assert reasons == {
        "systolic_pressure": pressure_reason,
        "diastolic_pressure": pressure_reason,
        "mean_arterial_pressure": pressure_reason,
        "cuff_pulse_rate": rate_reason,
    }


@pytest.mark.parametrize(
    ("systolic", "diastolic", "mean_arterial"),
    [
        (80.0, 120.0, 93.0),
        (120.0, 80.0, 130.0),
        (120.0, 80.0, 70.0),
        (120.0, 120.0, 120.0),
        (80.0, 120.0, Special.NAN),
    ],
)
def test_pressures_that_contradict_one_another_are_withheld(
    systolic: MedFloat, diastolic: MedFloat, mean_arterial: MedFloat
) -> None:
    measurement = BloodPressureMeasurement(
        systolic=systolic, diastolic=diastolic, mean_arterial=mean_arterial
    )

    assert _reasons(blood_pressure_readings(measurement)) == {
        "systolic_pressure": "invalid",
        "diastolic_pressure": "invalid",
        "mean_arterial_pressure": "invalid",
    }


@pytest.mark.parametrize(
    ("mean_arterial", "reason"),
    [
        (0.0, "out_of_range"),
        (Special.NAN, "not_a_number"),
        (Special.NRES, "not_at_this_resolution"),
    ],
)
def test_a_cuff_without_a_mean_pressure_still_has_the_two_others(
    mean_arterial: MedFloat, reason: str
) -> None:
    readings = blood_pressure_readings(replace(HEALTHY, mean_arterial=mean_arterial))

    assert _reasons(readings) == {
        "systolic_pressure": None,
        "diastolic_pressure": None,
        "mean_arterial_pressure": reason,
        "cuff_pulse_rate": None,
    }


@pytest.mark.parametrize("systolic", [301.0, 1e9])
def test_a_pressure_that_no_cuff_reaches_is_withheld(systolic: float) -> None:
    reasons = _reasons(blood_pressure_readings(replace(HEALTHY, systolic=systolic)))

    assert reasons["systolic_pressure"] == "out_of_range"
    assert reasons["diastolic_pressure"] is None


def test_a_negative_pressure_is_withheld() -> None:
    reasons = _reasons(blood_pressure_readings(replace(HEALTHY, diastolic=-80.0)))

    assert reasons["diastolic_pressure"] == "out_of_range"
    assert reasons["systolic_pressure"] is None


@pytest.mark.parametrize("pulse_rate_bpm", [0.0, -1.0, 401.0])
def test_a_pulse_rate_that_cannot_be_is_withheld(pulse_rate_bpm: float) -> None:
    reasons = _reasons(blood_pressure_readings(replace(HEALTHY, pulse_rate_bpm=pulse_rate_bpm)))

    assert reasons["cuff_pulse_rate"] == "out_of_range"


def test_an_unknown_user_is_told_from_none() -> None:
    unknown = blood_pressure_readings(replace(HEALTHY, user_id=UserId.UNKNOWN))[0]
    first = blood_pressure_readings(replace(HEALTHY, user_id=0))[0]
    unsaid = blood_pressure_readings(HEALTHY)[0]

    assert (unknown.status, unknown.status_bits) == (
        frozenset({"user_unknown"}),
        1 << 24 | 255 << 16,
    )
    assert (first.status, first.status_bits) == (frozenset({"user_0"}), 1 << 24)
    assert (unsaid.status, unsaid.status_bits) == (frozenset(), 0)


def test_the_pressure_in_the_cuff_may_be_zero() -> None:
    (reading,) = cuff_pressure_readings(decode_cuff_pressure(bytes(7)))

    assert (reading.quantity.name, reading.value) == ("cuff_pressure", 0.0)


def test_the_pressure_in_a_cuff_while_it_measures() -> None:
    measurement = IntermediateCuffPressure(
        cuff_pressure=20.0, unit=PressureUnit.KPA, pulse_rate_bpm=Special.NAN
    )

    pressure, pulse_rate = cuff_pressure_readings(measurement)

    assert pressure.value == pytest.approx(150.012, abs=1e-3)
    assert pulse_rate.reason is NoValueReason.NOT_A_NUMBER


def test_a_scale_gives_weight_index_and_height() -> None:
    payload = bytes.fromhex("0e 20 5c ea 07 07 0e 17 29 20 01 40 01 80 07")

    readings = weight_readings(decode_weight(payload))

    assert _values(readings) == {"body_mass": 117.92, "body_mass_index": 32.0, "body_height": 1.92}
    assert readings[0].status == {"user_1"}
    assert readings[0].measured_at is not None


def test_pounds_and_inches_become_kilograms_and_metres() -> None:
    measurement = WeightMeasurement(
        weight=154.32,
        units=MeasurementUnits.IMPERIAL,
        bmi_and_height=BmiAndHeight(bmi_kg_per_m2=22.9, height=69.0),
    )

    weight, index, height = weight_readings(measurement)

    assert weight.value == pytest.approx(69.99837, abs=1e-5)
    assert index.value == 22.9
    assert height.value == pytest.approx(1.7526)


@pytest.mark.parametrize(("weight", "reason"), [(Special.NAN, "invalid"), (0.0, "out_of_range")])
def test_a_scale_that_weighed_nobody_has_no_weight(weight: MedFloat, reason: str) -> None:
    (reading,) = weight_readings(WeightMeasurement(weight=weight))

    assert (reading.value, reading.reason) == (None, reason)


def test_a_scale_that_does_not_know_its_user_has_neither_index_nor_height() -> None:
    payload = bytes.fromhex("0e 16 05 e5 07 02 14 07 19 38 03 00 00 00 00")

    weight, index, height = weight_readings(decode_weight(payload), weight_factor=10.0)

    assert weight.value == pytest.approx(65.1)
    assert (index.reason, height.reason) == ("out_of_range", "out_of_range")


def test_a_body_composition_is_told_part_by_part() -> None:
    payload = bytes.fromhex("98 03 f3 00 96 23 89 01 40 42 fa 2f 55 0f")

    readings = body_composition_readings(decode_body_composition(payload))

    assert _values(readings) == {
        "body_fat": 24.3,
        "body_impedance": 392.5,
        "basal_metabolism": 9110.0,
        "muscle_share": 39.3,
        "soft_lean_mass": 84.8,
        "body_water_mass": 61.41,
    }


def test_zeros_of_a_scale_that_measured_nothing_are_withheld_and_its_reckoning_too() -> None:
    payload = bytes.fromhex("98 03 00 00 96 23 00 00 00 00 00 00 00 00")

    readings = body_composition_readings(decode_body_composition(payload))

    assert {reading.value for reading in readings} == {None}
    assert _reasons(readings)["basal_metabolism"] == "invalid"
    assert _reasons(readings)["body_fat"] == "out_of_range"


def test_the_weight_stands_if_the_body_fat_was_unsuccessful() -> None:
    measurement = BodyCompositionMeasurement(
        body_fat_percent=Special.NAN, weight=70.0, muscle_mass=31.0, height=Special.NAN
    )

    assert _reasons(body_composition_readings(measurement)) == {
        "body_fat": "invalid",
        "body_mass": None,
        "body_height": "invalid",
        "muscle_mass": "invalid",
    }


def test_a_part_that_weighs_more_than_the_body_is_withheld() -> None:
    measurement = BodyCompositionMeasurement(
        body_fat_percent=20.0, weight=70.0, fat_free_mass=56.0, body_water_mass=70.5
    )

    reasons = _reasons(body_composition_readings(measurement))

    assert (reasons["fat_free_mass"], reasons["body_water_mass"]) == (None, "out_of_range")


@pytest.mark.parametrize("percent", [100.1, 6553.4])
def test_a_share_above_the_whole_is_withheld(percent: float) -> None:
    measurement = BodyCompositionMeasurement(body_fat_percent=20.0, muscle_percent=percent)

    assert _reasons(body_composition_readings(measurement))["muscle_share"] == "out_of_range"
    fat = BodyCompositionMeasurement(body_fat_percent=percent)
    assert _reasons(body_composition_readings(fat))["body_fat"] == "out_of_range"


def test_a_measurement_of_several_packets_says_so() -> None:
    measurement = BodyCompositionMeasurement(body_fat_percent=20.0, multiple_packets=True)

    (reading,) = body_composition_readings(measurement)

    assert (reading.status, reading.status_bits) == (frozenset({"multiple_packets"}), 1 << 25)


def test_a_runner_has_speed_cadence_stride_and_distance() -> None:
    payload = bytes.fromhex("07 00 03 b4 56 00 e9 03 00 00")

    readings = running_readings(decode_rsc_measurement(payload))

    assert _values(readings) == {
        "speed": 3.0,
        "cadence": 180.0,
        "stride_length": 0.86,
        "total_distance": 100.1,
    }
    assert {reading.status for reading in readings} == {frozenset({"running"})}
    assert {reading.status_bits for reading in readings} == {0b100}


def test_a_walker_who_stands_still_has_a_speed() -> None:
    speed, cadence = running_readings(decode_rsc_measurement(bytes(4)))

    assert (speed.value, cadence.value) == (0.0, 0.0)
    assert speed.status == frozenset()


@given(payload=st.binary(max_size=24))
def test_whatever_decodes_has_finite_values_or_reasons(payload: bytes) -> None:
    for readings in _all_readings(payload):
        assert readings
        for reading in readings:
            assert (reading.value is None) != (reading.reason is None)
            assert reading.value is None or (math.isfinite(reading.value) and reading.value >= 0)


def _all_readings(payload: bytes) -> list[tuple[Measured, ...]]:
    found: list[tuple[Measured, ...]] = []
    rows: tuple[Callable[[], tuple[Measured, ...]], ...] = (
        lambda: blood_pressure_readings(decode_blood_pressure(payload)),
        lambda: cuff_pressure_readings(decode_cuff_pressure(payload)),
        lambda: weight_readings(decode_weight(payload)),
        lambda: body_composition_readings(decode_body_composition(payload)),
        lambda: running_readings(decode_rsc_measurement(payload)),
    )
    for read in rows:
        try:
            found.append(read())
        except DecodeError:
            continue
    return found
