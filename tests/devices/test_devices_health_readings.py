"""Observations in the common form: units, reasons, waveforms apart, and what is not read."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import codes
from devices.current_time import TimeSource
from devices.elapsed_time import ElapsedTime, TimeKind, TimeResolution
from devices.ghs_header import ObservationHeader, ObservationStatus
from devices.ghs_observation import HealthObservation, Observation, ObservationBundle
from devices.ghs_readings import (
    UNIT_NOT_CONVERTED,
    Scaling,
    health_observation_readings,
    health_observation_waveforms,
    unread_types,
)
from devices.ghs_samples import SampleArrayValue
from devices.ghs_units import DIMENSIONS, conversion, ucum_of
from devices.ghs_values import Component, CompoundValue, DiscreteValue, NumericValue
from devices.medfloat import MedFloat, Special
from devices.readings import Measured, NoValueReason
from tests.devices.health_observations import numeric, observations

PERCENT = 544
DIMENSIONLESS = 512
PER_MINUTE = 2720
CELSIUS = 6048
FAHRENHEIT = 4416
MILLIVOLT = 4256 + 18
MICROVOLT = 4256 + 19
SECOND = 2176
UNKNOWN = 9999
NOW = ElapsedTime(
    count=738224806,
    resolution=TimeResolution.SECOND,
    kind=TimeKind.UTC,
    source=TimeSource.NETWORK_TIME_PROTOCOL,
)


def one(observation: Observation) -> Measured:
    (reading,) = health_observation_readings(observation)
    return reading


def ecg(
    *,
    scale: MedFloat = 2.5,
    offset: MedFloat = 0.0,
    period_s: MedFloat = 0.004,
    unit: int = MICROVOLT,
    status: ObservationStatus | None = None,
    n_per_period: int = 1,
) -> HealthObservation:
    return HealthObservation(
        header=ObservationHeader(observation_type=codes.ECG_I.mdc, time=NOW, status=status),
        value=SampleArrayValue(
            unit=unit,
            scale=scale,
            offset=offset,
            period_s=period_s,
            n_per_period=n_per_period,
            sample_bytes=2,
            samples=bytes.fromhex("0100 ffff 0a00 f6ff"),
        ),
    )


def test_a_number_in_its_own_unit_is_as_sent() -> None:
    reading = one(numeric(codes.SPO2.mdc, 97.3, PERCENT))

    assert (reading.quantity, reading.value, reading.reason) == (codes.SPO2, 97.3, None)
    assert (reading.status, reading.status_bits, reading.measured_at) == (frozenset(), 0, None)


@pytest.mark.parametrize(
    ("quantity", "value", "unit", "expected"),
    [
        (codes.BODY_TEMPERATURE, 98.6, FAHRENHEIT, 37.0),
        (codes.BODY_TEMPERATURE, 310.15, 4384, 37.0),
        (codes.RR_INTERVAL, 0.812, SECOND, 812.0),
        (codes.SPO2, 0.97, DIMENSIONLESS, 97.0),
        (codes.RESPIRATORY_RATE, 14.0, 2784, 14.0),
        (codes.ENERGY_EXPENDED, 1500.0, 3968, 1.5),
    ],
)
def test_a_number_in_another_unit_is_converted(
    quantity: codes.Quantity, value: float, unit: int, expected: float
) -> None:
    reading = one(numeric(quantity.mdc, value, unit))

    assert reading.value is not None
    assert math.isclose(reading.value, expected, rel_tol=1e-12)


@pytest.mark.parametrize("unit", [UNKNOWN, CELSIUS])
def test_a_number_whose_unit_cannot_become_the_quantitys_is_withheld(unit: int) -> None:
    reading = one(numeric(codes.SPO2.mdc, 97.0, unit))

    assert (reading.value, reading.reason) == (None, NoValueReason.INVALID)
    assert reading.status == {UNIT_NOT_CONVERTED}


@pytest.mark.parametrize(
    ("status", "reason"),
    [
        (ObservationStatus.INVALID, "invalid"),
        (ObservationStatus.NOT_AVAILABLE, "sensor_unavailable"),
        (ObservationStatus.CALIBRATING, "calibrating"),
        (ObservationStatus.TEST_DATA, "test_data"),
        (ObservationStatus.TEST_DATA | ObservationStatus.INVALID, "test_data"),
        (ObservationStatus.QUESTIONABLE | ObservationStatus.EARLY_ESTIMATE, None),
        (ObservationStatus.MANUALLY_ENTERED, None),
        (ObservationStatus.THRESHOLD_ERROR | ObservationStatus.THRESHOLDING_DISABLED, None),
    ],
)
def test_a_value_that_its_status_disowns_is_withheld(
    status: ObservationStatus, reason: str | None
) -> None:
    reading = one(numeric(codes.PULSE_RATE.mdc, 60.0, PER_MINUTE, status=status))

    assert (reading.value, reading.reason) == (None if reason else 60.0, reason)
    assert reading.status_bits == status
    assert len(reading.status) == status.bit_count()


@pytest.mark.parametrize("special", Special)
def test_a_special_number_is_a_reason_whatever_its_unit(special: Special) -> None:
    reading = one(numeric(codes.SPO2.mdc, special, UNKNOWN))

    assert (reading.value, reading.reason) == (None, NoValueReason(special.value))


@pytest.mark.parametrize(
    ("quantity", "value", "unit"),
    [
        (codes.SPO2, 100.1, PERCENT),
        (codes.SPO2, 97.0, DIMENSIONLESS),
        (codes.HEART_RATE, -1.0, PER_MINUTE),
    ],
)
def test_a_value_that_cannot_be_is_withheld(
    quantity: codes.Quantity, value: float, unit: int
) -> None:
    assert one(numeric(quantity.mdc, value, unit)).reason is NoValueReason.OUT_OF_RANGE


def test_a_setting_of_the_sensor_is_not_measured() -> None:
    alarm_limit = numeric(codes.SPO2.mdc, 88.0, PERCENT, status=ObservationStatus.SETTING)

    assert health_observation_readings(alarm_limit) == ()
    assert unread_types(alarm_limit) == (codes.SPO2.mdc,)


def test_a_time_of_the_clock_that_still_runs_is_given_and_another_is_not() -> None:
    other = ElapsedTime(
        count=5,
        resolution=TimeResolution.SECOND,
        kind=TimeKind.UTC,
        source=TimeSource.UNKNOWN,
        on_current_timeline=False,
    )
    reading = one(numeric(codes.SPO2.mdc, 97.0, PERCENT, time=NOW))

    assert reading.measured_at is not None
    assert reading.measured_at.year == 2023
    assert one(numeric(codes.SPO2.mdc, 97.0, PERCENT, time=other)).measured_at is None


def test_a_bundle_gives_each_of_its_numbers_and_tells_the_rest() -> None:
    bundle = ObservationBundle(
        header=ObservationHeader(time=NOW, status=ObservationStatus.EARLY_ESTIMATE),
        observations=(
            numeric(codes.SPO2.mdc, 97.0, PERCENT),
            numeric(0x8055F0, 1.0, PERCENT),
            HealthObservation(
                header=ObservationHeader(observation_type=184327), value=DiscreteValue(code=1)
            ),
            numeric(codes.PULSE_RATE.mdc, 60.0, PER_MINUTE),
        ),
    )

    readings = health_observation_readings(bundle)

    assert [reading.quantity for reading in readings] == [codes.SPO2, codes.PULSE_RATE]
    assert {reading.status for reading in readings} == {frozenset({"early_estimate"})}
    assert all(reading.measured_at is not None for reading in readings)
    assert unread_types(bundle) == (0x8055F0, 184327)


def test_the_components_of_a_compound_are_read_each_by_its_type() -> None:
    compound = HealthObservation(
        header=ObservationHeader(observation_type=150020),
        value=CompoundValue(
            components=(
                Component(
                    observation_type=codes.HEART_RATE.mdc,
                    value=NumericValue(unit=PER_MINUTE, value=61.0),
                ),
                Component(observation_type=7, value=NumericValue(unit=PERCENT, value=1.0)),
            )
        ),
    )

    assert one(compound).value == 61.0
    assert unread_types(compound) == (7,)


def test_a_waveform_is_counts_and_a_scale_in_the_quantitys_unit() -> None:
    (waveform,) = health_observation_waveforms(ecg(offset=100.0), signed=True)

    assert waveform.quantity is codes.ECG_I
    assert waveform.counts.tolist() == [1, -1, 10, -10]
    assert not waveform.counts.flags.writeable
    assert waveform.scaling == Scaling(scale=0.0025, offset=0.1, period_s=0.004)
    assert waveform.measured_at_utc_ns == NOW.utc_ns
    assert (waveform.reason, waveform.n_withheld, waveform.i_column) == (None, 0, 0)
    assert health_observation_readings(ecg()) == ()
    assert unread_types(ecg()) == ()


def test_several_axes_are_several_waveforms() -> None:
    x, y = health_observation_waveforms(ecg(n_per_period=2), signed=True)

    assert (x.counts.tolist(), y.counts.tolist()) == ([1, 10], [-1, -10])
    assert (x.i_column, y.i_column) == (0, 1)


@pytest.mark.parametrize(
    "observation",
    [
        ecg(status=ObservationStatus.TEST_DATA),
        ecg(scale=Special.NAN),
        ecg(scale=0.0),
        ecg(offset=Special.NRES),
        ecg(period_s=0.0),
        ecg(period_s=-0.004),
        ecg(period_s=Special.POSITIVE_INFINITY),
        ecg(unit=CELSIUS),
    ],
)
def test_a_waveform_that_cannot_be_used_is_withheld_and_counted(
    observation: HealthObservation,
) -> None:
    (waveform,) = health_observation_waveforms(observation, signed=True)

    assert waveform.reason is not None
    assert waveform.counts.size == 0
    assert waveform.n_withheld == 4


def test_no_samples_are_no_waveform() -> None:
    empty = HealthObservation(
        header=ObservationHeader(observation_type=codes.ECG_I.mdc),
        value=SampleArrayValue(
            unit=MICROVOLT,
            scale=1.0,
            offset=0.0,
            period_s=0.01,
            n_per_period=255,
            sample_bytes=1,
            samples=b"",
        ),
    )

    assert health_observation_waveforms(empty, signed=True) == ()


def test_a_waveform_of_what_is_not_known_here_is_told() -> None:
    unknown = HealthObservation(header=ObservationHeader(observation_type=7), value=ecg().value)

    assert health_observation_waveforms(unknown, signed=False) == ()
    assert unread_types(unknown) == (7,)


@given(observation=observations, signed=st.booleans())
def test_every_observation_can_be_read(observation: Observation, signed: bool) -> None:  # noqa: FBT001
    n_parts = len(health_observation_readings(observation)) + len(unread_types(observation))
    waveforms = health_observation_waveforms(observation, signed=signed)

    assert n_parts >= 0
    assert all((waveform.reason is None) == (waveform.n_withheld == 0) for waveform in waveforms)


@pytest.mark.parametrize(
    ("code", "ucum"),
    [
        (262656, "1"),
        (262688, "%"),
        (264864, "/min"),
        (264928, "/min"),
        (266016, "mm[Hg]"),
        (265987, "kPa"),
        (268192, "Cel"),
        (266560, "[degF]"),
        (263875, "kg"),
        (263904, "[lb_av]"),
        (263441, "cm"),
        (264338, "ms"),
        (264274, "mg/dL"),
        (266866, "mmol/L"),
        (266418, "mV"),
        (266419, "uV"),
        (266432, "Ohm"),
        (262144, None),
        (262688 + 18, None),
    ],
)
def test_units_are_those_of_the_nomenclature(code: int, ucum: str | None) -> None:
    assert ucum_of(code - DIMENSIONS) == ucum


@pytest.mark.parametrize(
    ("unit", "ucum", "value", "expected"),
    [
        (265987 - DIMENSIONS, "mm[Hg]", 16.0, 120.00986),
        (266016 - DIMENSIONS, "kPa", 120.0, 15.998686),
        (263904 - DIMENSIONS, "kg", 10.0, 4.5359237),
        (MILLIVOLT, "uV", 1.5, 1500.0),
        (CELSIUS, "[degF]", 37.0, 98.6),
        (263520 - DIMENSIONS, "cm", 1.0, 2.54),
        (264352 - DIMENSIONS, "h", 90.0, 1.5),
    ],
)
def test_units_that_are_alike_are_converted(
    unit: int, ucum: str, value: float, expected: float
) -> None:
    convert = conversion(unit, ucum)

    assert convert is not None
    assert math.isclose(convert.of(value), expected, rel_tol=1e-6)


@pytest.mark.parametrize(
    ("unit", "ucum"), [(CELSIUS, "%"), (UNKNOWN, "%"), (PERCENT, "furlong"), (MILLIVOLT, "ms")]
)
def test_units_that_are_not_alike_are_not(unit: int, ucum: str) -> None:
    assert conversion(unit, ucum) is None
