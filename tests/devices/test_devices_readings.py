"""Decoded payloads in the common form: a value, or the reason why there is none."""

import math

import pytest

from devices import codes, uuids
from devices.errors import InvalidFieldError, TrailingBytesError, UnknownCharacteristicError
from devices.medfloat import Special
from devices.notifications import decode_notification
from devices.polar_frames import decode_frame
from devices.pulse_oximeter import (
    MeasurementStatus,
    PlxContinuous,
    SensorStatus,
    SpO2PulseRate,
)
from devices.readings import (
    Measured,
    NoValueReason,
    plx_readings,
    pulse_interval_readings,
)


def _values(readings: tuple[Measured, ...]) -> dict[str, float | None]:
    return {reading.quantity.name: reading.value for reading in readings}


def _plx(
    *,
    measured: MeasurementStatus | None = None,
    sensor: SensorStatus | None = None,
    spo2_percent: float | Special = 97.0,
    pulse_rate_bpm: float | Special = 72.0,
) -> tuple[Measured, ...]:
    return plx_readings(
        PlxContinuous(
            normal=SpO2PulseRate(spo2_percent=spo2_percent, pulse_rate_bpm=pulse_rate_bpm),
            measurement_status=measured,
            sensor_status=sensor,
        )
    )


def test_a_strap_gives_heart_rate_energy_and_each_rr_interval() -> None:
    payload = bytes.fromhex("1e 3c 32 00 00 04 00 02")

    readings = decode_notification(uuids.HEART_RATE_MEASUREMENT, payload)

    assert [(reading.quantity, reading.value) for reading in readings] == [
        (codes.HEART_RATE, 60.0),
        (codes.ENERGY_EXPENDED, 50.0),
        (codes.RR_INTERVAL, 1000.0),
        (codes.RR_INTERVAL, 500.0),
    ]
    assert readings[0].status == {"contact_detected"}
    assert readings[0].status_bits == 0b110


def test_rr_intervals_of_one_payload_end_one_after_the_other() -> None:
    payload = bytes.fromhex("10 3c 00 04 00 02 00 01")

    readings = decode_notification(uuids.HEART_RATE_MEASUREMENT, payload)

    assert [reading.offset_ns for reading in readings[1:]] == [-750_000_000, -250_000_000, 0]


def test_without_contact_nothing_has_a_value() -> None:
    readings = decode_notification(uuids.HEART_RATE_MEASUREMENT, bytes.fromhex("14 3c 00 04"))

    assert {reading.reason for reading in readings} == {NoValueReason.NO_CONTACT}
    assert {reading.value for reading in readings} == {None}
    assert readings[0].status == {"contact_lost"}
    assert readings[0].status_bits == 0b100


def test_a_strap_that_cannot_tell_contact_is_believed() -> None:
    (reading,) = decode_notification(uuids.HEART_RATE_MEASUREMENT, bytes.fromhex("02 3c"))

    assert (reading.value, reading.status, reading.status_bits) == (60.0, frozenset(), 0)


def test_a_heart_rate_of_zero_is_not_a_standstill() -> None:
    readings = decode_notification(uuids.HEART_RATE_MEASUREMENT, bytes.fromhex("10 00 00 00"))

    assert [reading.reason for reading in readings] == [
        NoValueReason.INADEQUATE_SIGNAL,
        NoValueReason.OUT_OF_RANGE,
    ]


def test_an_oximeter_gives_saturation_pulse_rate_and_perfusion() -> None:
    payload = bytes.fromhex("1c 5f 00 5a 00 20 00 10 00 00 57 f0")

    readings = decode_notification(uuids.PLX_CONTINUOUS.upper(), payload)

    assert _values(readings) == {"spo2": 95.0, "pulse_rate": 90.0, "perfusion_index": 8.7}
    assert readings[0].status == {"ongoing", "poor_signal"}
    assert readings[0].status_bits == 0x20 | 0x10 << 16


@pytest.mark.parametrize(
    ("measured", "reason"),
    [
        (MeasurementStatus.DEMONSTRATION, "demonstration_data"),
        (MeasurementStatus.TESTING, "test_data"),
        (MeasurementStatus.CALIBRATION_ONGOING, "calibrating"),
        (MeasurementStatus.UNAVAILABLE, "sensor_unavailable"),
        (MeasurementStatus.INVALID, "invalid"),
        (MeasurementStatus.INVALID | MeasurementStatus.DEMONSTRATION, "demonstration_data"),
        (MeasurementStatus.QUESTIONABLE, None),
        (MeasurementStatus.ONGOING | MeasurementStatus.EARLY_ESTIMATE, None),
    ],
)
def test_a_measurement_that_its_status_disowns_is_withheld(
    measured: MeasurementStatus, reason: str | None
) -> None:
    readings = _plx(measured=measured)

    assert {reading.reason for reading in readings} == {reason}
    assert {reading.status_bits for reading in readings} == {int(measured)}
    assert _values(readings) == (
        {"spo2": None, "pulse_rate": None} if reason else {"spo2": 97.0, "pulse_rate": 72.0}
    )


@pytest.mark.parametrize(
    ("sensor", "reason"),
    [
        (SensorStatus.SENSOR_DISCONNECTED, "sensor_unavailable"),
        (SensorStatus.SENSOR_MALFUNCTION, "sensor_unavailable"),
        (SensorStatus.EQUIPMENT_MALFUNCTION, "sensor_unavailable"),
        (SensorStatus.UNCONNECTED_TO_USER, "no_contact"),
        (SensorStatus.SENSOR_DISPLACED, "no_contact"),
        (SensorStatus.INADEQUATE_SIGNAL, "inadequate_signal"),
        (SensorStatus.NON_PULSATILE_SIGNAL, "inadequate_signal"),
        (SensorStatus.LOW_PERFUSION | SensorStatus.QUESTIONABLE_PULSE, None),
    ],
)
def test_a_sensor_that_disowns_its_signal_gives_no_value(
    sensor: SensorStatus, reason: str | None
) -> None:
    assert {reading.reason for reading in _plx(sensor=sensor)} == {reason}


def test_status_words_of_measurement_and_sensor_do_not_collide() -> None:
    measured = {flag.name for flag in MeasurementStatus}
    sensor = {flag.name for flag in SensorStatus}

    assert len(measured) == 11
    assert len(sensor) == 16
    assert not measured & sensor


@pytest.mark.parametrize(
    ("special", "reason"),
    [
        (Special.NAN, "not_a_number"),
        (Special.NRES, "not_at_this_resolution"),
        (Special.POSITIVE_INFINITY, "above_range"),
        (Special.NEGATIVE_INFINITY, "below_range"),
        (Special.RESERVED, "reserved_value"),
    ],
)
def test_a_special_number_is_a_reason_and_the_other_value_stands(
    special: Special, reason: str
) -> None:
    saturation, pulse_rate = _plx(spo2_percent=special)

    assert (saturation.value, saturation.reason) == (None, reason)
    assert pulse_rate.value == 72.0


@pytest.mark.parametrize("spo2_percent", [-1.0, 100.1])
def test_a_saturation_that_cannot_be_is_withheld(spo2_percent: float) -> None:
    assert _plx(spo2_percent=spo2_percent)[0].reason is NoValueReason.OUT_OF_RANGE


def test_a_spot_check_has_the_time_of_the_device() -> None:
    payload = bytes.fromhex("01 61 00 48 00 e8 07 0b 1d 17 08 39")

    saturation, _ = decode_notification(uuids.PLX_SPOT_CHECK, payload)

    assert saturation.measured_at is not None
    assert saturation.measured_at.year == 2024


def test_the_time_of_a_clock_that_was_not_set_is_dropped() -> None:
    payload = bytes.fromhex("11 61 00 48 00 e8 07 0b 1d 17 08 39")

    saturation, _ = decode_notification(uuids.PLX_SPOT_CHECK, payload)

    assert saturation.measured_at is None
    assert saturation.status == {"clock_not_set"}


def test_a_temperature_is_in_celsius_whatever_was_sent() -> None:
    payload = bytes.fromhex("05 da 03 00 ff 09")

    (reading,) = decode_notification(uuids.TEMPERATURE_MEASUREMENT, payload)

    assert reading.value is not None
    assert math.isclose(reading.value, 37.0)
    assert reading.status == {"site_tympanum"}
    assert reading.status_bits == 9


def test_a_temperature_that_is_not_a_number_has_no_value() -> None:
    payload = bytes.fromhex("01 ff ff 7f 00")

    (reading,) = decode_notification(uuids.TEMPERATURE_MEASUREMENT, payload)

    assert (reading.value, reading.reason) == (None, NoValueReason.NOT_A_NUMBER)


def test_a_battery_level_is_a_reading() -> None:
    (reading,) = decode_notification(uuids.BATTERY_LEVEL, b"\x0f")

    assert (reading.quantity, reading.value) == (codes.BATTERY_LEVEL, 15.0)


def test_a_bad_payload_is_a_decode_error() -> None:
    with pytest.raises(TrailingBytesError):
        decode_notification(uuids.BATTERY_LEVEL, b"\x64\x00")


def test_an_unknown_characteristic_is_a_key_error_that_names_it() -> None:
    with pytest.raises(KeyError, match="2a60") as caught:
        decode_notification(uuids.PLX_FEATURES, b"")

    assert isinstance(caught.value, UnknownCharacteristicError)
    assert caught.value.characteristic_uuid == uuids.PLX_FEATURES


def test_pulse_intervals_are_withheld_when_they_are_blocked_or_out_of_contact() -> None:
    rows = ("3c e8 03 0a 00 06", "3c f4 01 0a 00 07", "3c fa 00 0a 00 04", "00 00 00 00 00 00")
    payload = bytes.fromhex("03" + "00" * 8 + "00" + "".join(rows))

    readings = pulse_interval_readings(decode_frame(payload))

    assert [(reading.value, reading.reason) for reading in readings] == [
        (1000.0, None),
        (None, NoValueReason.INVALID),
        (None, NoValueReason.NO_CONTACT),
        (None, NoValueReason.OUT_OF_RANGE),
    ]
    assert [reading.offset_ns for reading in readings] == [-750_000_000, -250_000_000, 0, 0]
    assert [reading.status_bits for reading in readings] == [6, 7, 4, 0]
    assert readings[1].status == {"contact_detected", "blocked"}


def test_only_ppi_frames_have_pulse_intervals() -> None:
    with pytest.raises(InvalidFieldError, match="PPI"):
        pulse_interval_readings(decode_frame(bytes(10) + b"\x00\x00\x00"))


@pytest.mark.parametrize(
    ("value", "reason"),
    [(None, None), (1.0, NoValueReason.INVALID), (math.nan, None), (math.inf, None)],
)
def test_a_reading_has_a_finite_value_or_a_reason(
    value: float | None, reason: NoValueReason | None
) -> None:
    with pytest.raises(ValueError, match="heart_rate"):
        Measured(quantity=codes.HEART_RATE, value=value, reason=reason)
