"""Nonin's own oximetry characteristic: round trips, and readings with a value or a reason."""

import dataclasses

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import codes
from devices.errors import EncodeError
from devices.nonin import (
    NoninContinuous,
    NoninStatus,
    decode_nonin_continuous,
    encode_nonin_continuous,
    nonin_readings,
)
from devices.readings import NoValueReason

u16 = st.integers(0, 2**16 - 1)
measurements = st.builds(
    NoninContinuous,
    status=st.integers(0, 0x3F).map(NoninStatus),
    battery_v=st.integers(0, 255).map(lambda tenths: tenths / 10),
    perfusion_index_percent=u16.map(lambda hundredths: hundredths / 100),
    counter_s=u16,
    spo2_percent=st.none() | st.integers(0, 255).filter(lambda x: x != 127),
    pulse_rate_bpm=st.none() | u16.filter(lambda x: x != 511),
)
GOOD = NoninContinuous(
    status=NoninStatus.DISPLAY_SYNC | NoninStatus.CORRECT_CHECK,
    battery_v=3.0,
    perfusion_index_percent=6.0,
    counter_s=10,
    spo2_percent=97,
    pulse_rate_bpm=72,
)


@given(measurement=measurements)
def test_a_measurement_decodes_to_what_was_encoded(measurement: NoninContinuous) -> None:
    assert decode_nonin_continuous(encode_nonin_continuous(measurement)) == measurement
    for reading in nonin_readings(measurement):
        assert (reading.value is None) == (reading.reason is not None)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("spo2_percent", 127),
        ("spo2_percent", 256),
        ("pulse_rate_bpm", 511),
        ("pulse_rate_bpm", 2**16),
        ("counter_s", -1),
        ("battery_v", 25.6),
    ],
)
def test_what_does_not_fit_is_not_written(field: str, value: float) -> None:
    with pytest.raises(EncodeError):
        encode_nonin_continuous(dataclasses.replace(GOOD, **{field: value}))  # type: ignore[arg-type]


def test_a_good_measurement_gives_all_its_values() -> None:
    readings = nonin_readings(GOOD)

    assert [(reading.quantity, reading.value) for reading in readings] == [
        (codes.SPO2, 97.0),
        (codes.PULSE_RATE, 72.0),
        (codes.PERFUSION_INDEX, 6.0),
        (codes.BATTERY_VOLTAGE, 3.0),
    ]
    assert readings[0].status == {"display_sync", "correct_check"}
    assert {reading.status_bits for reading in readings} == {0b010001}


def test_while_it_searches_only_the_battery_has_a_value() -> None:
    searching = dataclasses.replace(GOOD, status=NoninStatus.SEARCHING)

    reasons = [reading.reason for reading in nonin_readings(searching)]

    assert reasons == [NoValueReason.INADEQUATE_SIGNAL] * 3 + [None]


def test_what_is_missing_is_withheld_alone() -> None:
    missing = dataclasses.replace(GOOD, spo2_percent=None, pulse_rate_bpm=None)

    saturation, pulse_rate, perfusion, _ = nonin_readings(missing)

    assert (saturation.value, saturation.reason) == (None, NoValueReason.INADEQUATE_SIGNAL)
    assert (pulse_rate.value, pulse_rate.reason) == (None, NoValueReason.INADEQUATE_SIGNAL)
    assert perfusion.value == 6.0


def test_a_saturation_above_100_percent_is_withheld() -> None:
    saturation, pulse_rate, *_ = nonin_readings(dataclasses.replace(GOOD, spo2_percent=101))

    assert (saturation.value, saturation.reason) == (None, NoValueReason.OUT_OF_RANGE)
    assert pulse_rate.value == 72.0


def test_a_pulse_rate_of_zero_is_not_a_standstill() -> None:
    _, pulse_rate, *_ = nonin_readings(dataclasses.replace(GOOD, pulse_rate_bpm=0))

    assert (pulse_rate.value, pulse_rate.reason) == (None, NoValueReason.INADEQUATE_SIGNAL)


def test_a_weak_signal_is_said_and_its_values_stand() -> None:
    weak = dataclasses.replace(GOOD, status=NoninStatus.WEAK_SIGNAL)

    saturation, *_ = nonin_readings(weak)

    assert saturation.value == 97.0
    assert saturation.status == {"weak_signal"}
