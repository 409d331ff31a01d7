"""Glucose, continuous glucose and record access: round trips, refusals, check sums and readings."""

from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import codes, glucose_context
from devices.codes import Quantity
from devices.continuous_glucose import (
    CgmCalTemp,
    CgmFeature,
    CgmFeatures,
    CgmMeasurement,
    CgmSensorStatus,
    CgmStatus,
    CgmWarning,
    decode_cgm_features,
    decode_cgm_measurements,
    decode_cgm_status,
    encode_cgm_features,
    encode_cgm_measurements,
    encode_cgm_status,
)
from devices.continuous_glucose_control import (
    CgmCalibration,
    CgmCalibrationStatus,
    CgmOpCode,
    CgmOperation,
    CgmResponse,
    CgmResponseCode,
    decode_cgm_operation,
    encode_cgm_operation,
)
from devices.continuous_glucose_session import (
    CgmSessionStart,
    decode_cgm_session_run_time,
    decode_cgm_session_start,
    encode_cgm_session_run_time,
    encode_cgm_session_start,
)
from devices.crc import crc16_mcrf4xx
from devices.date_time import DeviceDateTime
from devices.errors import DecodeError, EncodeError, InvalidFieldError, TruncatedPayloadError
from devices.glucose import (
    GlucoseConcentration,
    GlucoseFeature,
    GlucoseMeasurement,
    GlucoseStatus,
    GlucoseUnit,
    SampleLocation,
    SampleType,
    decode_glucose_feature,
    decode_glucose_measurement,
    encode_glucose_feature,
    encode_glucose_measurement,
    later,
)
from devices.glucose_context import (
    Carbohydrate,
    Exercise,
    GlucoseContext,
    Health,
    Medication,
    MedicationId,
    MedicationUnit,
    decode_glucose_context,
    encode_glucose_context,
)
from devices.glucose_readings import cgm_readings, glucose_readings
from devices.medfloat import Special
from devices.readings import Measured, NoValueReason
from devices.record_access import (
    RacpIndication,
    RacpNumberOfRecords,
    RacpOpCode,
    RacpOperator,
    RacpRequest,
    RacpResponse,
    RacpResponseCode,
    decode_racp_indication,
    decode_racp_request,
    encode_racp_indication,
    encode_racp_request,
)
from tests.devices.test_devices_round_trips import dates, sfloats, u8, u16

NOON = DeviceDateTime(year=2026, month=2, day=28, hour=12, minute=0, second=5)
nibbles = st.integers(0, 15)
sample_types = st.sampled_from(SampleType) | nibbles
locations = st.sampled_from(SampleLocation) | nibbles
crcs = st.booleans()
concentrations = st.builds(
    GlucoseConcentration,
    concentration=sfloats,
    unit=st.sampled_from(GlucoseUnit),
    sample_type=sample_types,
    sample_location=locations,
)
offsets = st.integers(-32767, 32766) | st.sampled_from(
    [Special.POSITIVE_INFINITY, Special.NEGATIVE_INFINITY]
)
measurements = st.builds(
    GlucoseMeasurement,
    sequence_number=u16,
    base_time=dates,
    time_offset_min=st.none() | offsets,
    glucose=st.none() | concentrations,
    status=st.none() | st.integers(0, 0xFFF).map(GlucoseStatus),
    context_follows=st.booleans(),
)
contexts = st.builds(
    GlucoseContext,
    sequence_number=u16,
    carbohydrate=st.none() | st.builds(Carbohydrate, carbohydrate_id=u8, carbohydrate_kg=sfloats),
    meal=st.none() | u8,
    tester_health=st.none()
    | st.builds(
        glucose_context.TesterHealth,
        tester=st.sampled_from(glucose_context.Tester) | nibbles,
        health=st.sampled_from(Health) | nibbles,
    ),
    exercise=st.none()
    | st.builds(
        Exercise,
        duration_s=st.integers(0, 65534) | st.just(Special.POSITIVE_INFINITY),
        intensity_percent=u8,
    ),
    medication=st.none()
    | st.builds(
        Medication,
        medication_id=st.sampled_from(MedicationId) | u8,
        amount=sfloats,
        unit=st.sampled_from(MedicationUnit),
    ),
    hba1c_percent=st.none() | sfloats,
)
statuses = st.integers(0, 0x3F).map(CgmStatus)
cal_temps = st.integers(0, 0x7F).map(CgmCalTemp)
warnings = u8.map(CgmWarning)
cgm_records = st.builds(
    CgmMeasurement,
    glucose_mg_per_dl=sfloats,
    time_offset_min=u16,
    status=st.none() | statuses,
    cal_temp=st.none() | cal_temps,
    warning=st.none() | warnings,
    trend_mg_per_dl_per_min=st.none() | sfloats,
    quality_percent=st.none() | sfloats,
)
zones_min = st.none() | st.integers(-127, 127).map(lambda quarters: quarters * 15)
dst_min = st.none() | st.integers(0, 254).map(lambda quarters: quarters * 15)
calibrations = st.builds(
    CgmCalibration,
    glucose_mg_per_dl=sfloats,
    time_min=u16,
    sample_type=sample_types,
    sample_location=locations,
    next_time_min=u16,
    record_number=u16,
    status=st.integers(0, 7).map(CgmCalibrationStatus),
)
GETS = [code for code in CgmOpCode if code.name.startswith(("GET_", "START", "STOP", "RESET"))]
LEVELS = [code for code in CgmOpCode if "LEVEL" in code.name and not code.name.startswith("GET_")]
operations = (
    st.builds(
        CgmOperation,
        op_code=st.sampled_from(
            [code for code in GETS if code is not CgmOpCode.GET_CALIBRATION_VALUE]
        ),
    )
    | st.builds(CgmOperation, op_code=st.sampled_from(LEVELS), operand=sfloats)
    | st.builds(
        CgmOperation,
        op_code=st.sampled_from(
            [CgmOpCode.SET_COMMUNICATION_INTERVAL, CgmOpCode.COMMUNICATION_INTERVAL_RESPONSE]
        ),
        operand=u8,
    )
    | st.builds(CgmOperation, op_code=st.just(CgmOpCode.GET_CALIBRATION_VALUE), operand=u16)
    | st.builds(
        CgmOperation,
        op_code=st.sampled_from(
            [CgmOpCode.SET_CALIBRATION_VALUE, CgmOpCode.CALIBRATION_VALUE_RESPONSE]
        ),
        operand=calibrations,
    )
    | st.builds(
        CgmOperation,
        op_code=st.just(CgmOpCode.RESPONSE_CODE),
        operand=st.builds(
            CgmResponse,
            request_op_code=st.sampled_from(CgmOpCode) | u8,
            response_code=st.sampled_from(CgmResponseCode) | u8,
        ),
    )
)
bounds = st.tuples(u16, u16) | st.tuples(dates, dates)
selecting = st.sampled_from(
    [
        RacpOpCode.REPORT_STORED_RECORDS,
        RacpOpCode.DELETE_STORED_RECORDS,
        RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS,
        RacpOpCode.COMBINED_REPORT,
    ]
)
HAS_BOUNDS = {
    RacpOperator.LESS_OR_EQUAL: (False, True),
    RacpOperator.GREATER_OR_EQUAL: (True, False),
    RacpOperator.WITHIN_RANGE: (True, True),
}


@st.composite
def racp_requests(draw: st.DrawFn) -> RacpRequest:
    operator = draw(st.sampled_from(list(RacpOperator)[1:]))
    has_minimum, has_maximum = HAS_BOUNDS.get(operator, (False, False))
    minimum, maximum = draw(bounds)
    return RacpRequest(
        op_code=draw(selecting),
        operator=operator,
        minimum=minimum if has_minimum else None,
        maximum=maximum if has_maximum else None,
    )


racp_indications = st.builds(
    RacpResponse,
    request_op_code=st.sampled_from(RacpOpCode) | u8,
    response_code=st.sampled_from(RacpResponseCode) | u8,
) | st.builds(
    lambda n_bytes, n_records, combined: RacpNumberOfRecords(
        n_records=n_records % 256**n_bytes, combined=combined, n_bytes=n_bytes
    ),
    st.sampled_from([1, 2, 4]),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)


@given(measurement=measurements)
def test_glucose_measurement(measurement: GlucoseMeasurement) -> None:
    assert decode_glucose_measurement(encode_glucose_measurement(measurement)) == measurement


@given(context=contexts)
def test_glucose_context(context: GlucoseContext) -> None:
    assert decode_glucose_context(encode_glucose_context(context)) == context


@given(features=st.integers(0, 0x7FF).map(GlucoseFeature))
def test_glucose_feature(features: GlucoseFeature) -> None:
    assert decode_glucose_feature(encode_glucose_feature(features)) == features


@given(records=st.lists(cgm_records, min_size=1, max_size=20), e2e_crc=crcs)
def test_cgm_measurements(records: list[CgmMeasurement], *, e2e_crc: bool) -> None:
    payload = encode_cgm_measurements(records, e2e_crc=e2e_crc)

    assert decode_cgm_measurements(payload) == tuple(records)
    assert decode_cgm_measurements(payload, e2e_crc=e2e_crc) == tuple(records)
    with pytest.raises(DecodeError):
        decode_cgm_measurements(payload, e2e_crc=not e2e_crc)


@given(
    features=st.builds(
        CgmFeatures,
        features=st.integers(0, 0x1FFFF).map(CgmFeature),
        sample_type=sample_types,
        sample_location=locations,
    )
)
def test_cgm_features(features: CgmFeatures) -> None:
    assert decode_cgm_features(encode_cgm_features(features)) == features


@given(
    status=st.builds(
        CgmSensorStatus, time_offset_min=u16, status=statuses, cal_temp=cal_temps, warning=warnings
    ),
    e2e_crc=crcs,
)
def test_cgm_status(status: CgmSensorStatus, *, e2e_crc: bool) -> None:
    payload = encode_cgm_status(status, e2e_crc=e2e_crc)

    assert decode_cgm_status(payload) == decode_cgm_status(payload, e2e_crc=e2e_crc) == status


@given(
    session=st.builds(
        CgmSessionStart, start=dates, time_zone_min=zones_min, dst_offset_min=dst_min
    ),
    e2e_crc=crcs,
)
def test_cgm_session_start(session: CgmSessionStart, *, e2e_crc: bool) -> None:
    payload = encode_cgm_session_start(session, e2e_crc=e2e_crc)

    assert decode_cgm_session_start(payload, e2e_crc=e2e_crc) == session


@given(run_time_h=u16, e2e_crc=crcs)
def test_cgm_session_run_time(run_time_h: int, *, e2e_crc: bool) -> None:
    payload = encode_cgm_session_run_time(run_time_h, e2e_crc=e2e_crc)

    assert decode_cgm_session_run_time(payload, e2e_crc=e2e_crc) == run_time_h


@given(operation=operations, e2e_crc=crcs)
def test_cgm_operation(operation: CgmOperation, *, e2e_crc: bool) -> None:
    payload = encode_cgm_operation(operation, e2e_crc=e2e_crc)

    assert decode_cgm_operation(payload) == operation
    assert decode_cgm_operation(payload, e2e_crc=e2e_crc) == operation


@given(request=racp_requests())
def test_racp_request(request: RacpRequest) -> None:
    assert decode_racp_request(encode_racp_request(request)) == request


@given(indication=racp_indications)
def test_racp_indication(indication: RacpIndication) -> None:
    assert decode_racp_indication(encode_racp_indication(indication)) == indication


def test_check_sum_of_the_catalogues_is_right() -> None:
    assert crc16_mcrf4xx(b"123456789") == 0x6F91
    assert crc16_mcrf4xx(b"") == 0xFFFF


@given(
    payload=st.sampled_from(["0fe3d2e405000214ff02f0e5f38e3f"]).map(bytes.fromhex),
    i_bit=st.integers(8, 15 * 8 - 1),
)
def test_every_bit_is_guarded_by_the_check_sum(payload: bytes, i_bit: int) -> None:
    broken = bytearray(payload)
    broken[i_bit // 8] ^= 1 << i_bit % 8

    with pytest.raises(InvalidFieldError, match="e2e_crc"):
        decode_cgm_measurements(bytes(broken), e2e_crc=True)


def test_check_sum_that_the_feature_promises_must_be_there() -> None:
    with pytest.raises(TruncatedPayloadError) as caught:
        decode_cgm_session_run_time(b"\x02\x00", e2e_crc=True)

    assert caught.value.field == "e2e_crc"


@pytest.mark.parametrize(
    ("op_code", "operator", "minimum", "maximum"),
    [
        (RacpOpCode.RESPONSE_CODE, RacpOperator.NULL, None, None),
        (RacpOpCode.ABORT_OPERATION, RacpOperator.ALL_RECORDS, None, None),
        (RacpOpCode.REPORT_STORED_RECORDS, RacpOperator.NULL, None, None),
        (RacpOpCode.REPORT_STORED_RECORDS, RacpOperator.ALL_RECORDS, 1, None),
        (RacpOpCode.REPORT_STORED_RECORDS, RacpOperator.GREATER_OR_EQUAL, None, 1),
        (RacpOpCode.REPORT_STORED_RECORDS, RacpOperator.WITHIN_RANGE, 1, None),
        (RacpOpCode.REPORT_STORED_RECORDS, RacpOperator.WITHIN_RANGE, 1, NOON),
    ],
)
def test_request_of_parts_that_do_not_belong_together_does_not_exist(
    op_code: RacpOpCode,
    operator: RacpOperator,
    minimum: int | None,
    maximum: int | DeviceDateTime | None,
) -> None:
    with pytest.raises(ValueError, match=r"bound|operator|not a request"):
        RacpRequest(op_code=op_code, operator=operator, minimum=minimum, maximum=maximum)


def concentration(**changes: object) -> GlucoseConcentration:
    fields: dict[str, object] = {"concentration": 0.00084}
    return GlucoseConcentration(**(fields | changes))  # type: ignore[arg-type]


def measurement(**changes: object) -> GlucoseMeasurement:
    fields: dict[str, object] = {
        "sequence_number": 7,
        "base_time": NOON,
        "glucose": concentration(),
    }
    return GlucoseMeasurement(**(fields | changes))  # type: ignore[arg-type]


@pytest.mark.parametrize("offset_min", [32767, -32768, Special.NAN, Special.NRES, Special.RESERVED])
def test_offset_that_would_be_read_as_another_is_not_written(offset_min: int | Special) -> None:
    with pytest.raises(EncodeError, match="time_offset"):
        encode_glucose_measurement(measurement(time_offset_min=offset_min))


@pytest.mark.parametrize(
    ("offset_min", "raw"),
    [
        (Special.POSITIVE_INFINITY, "ff7f"),
        (Special.NEGATIVE_INFINITY, "0080"),
        (32766, "fe7f"),
        (-32767, "0180"),
    ],
)
def test_offset_beyond_its_field_is_special(offset_min: int | Special, raw: str) -> None:
    payload = encode_glucose_measurement(measurement(time_offset_min=offset_min, glucose=None))

    assert payload[-2:].hex() == raw
    assert decode_glucose_measurement(payload).time_offset_min == offset_min


@pytest.mark.parametrize("changes", [{"sample_type": 16}, {"sample_location": -1}])
def test_nibble_that_does_not_fit_is_not_written(changes: dict[str, object]) -> None:
    with pytest.raises(EncodeError, match="4 bits"):
        encode_glucose_measurement(measurement(glucose=concentration(**changes)))


@pytest.mark.parametrize("duration_s", [65535, Special.NAN])
def test_exercise_that_would_be_read_as_another_is_not_written(duration_s: int | Special) -> None:
    exercise = Exercise(duration_s=duration_s, intensity_percent=1)

    with pytest.raises(EncodeError, match="exercise_duration"):
        encode_glucose_context(GlucoseContext(sequence_number=1, exercise=exercise))


def test_tester_that_does_not_fit_is_not_written() -> None:
    row = glucose_context.TesterHealth(tester=16, health=0)

    with pytest.raises(EncodeError, match="tester"):
        encode_glucose_context(GlucoseContext(sequence_number=1, tester_health=row))


@pytest.mark.parametrize("minutes", [7, -128 * 15])
def test_zone_that_is_no_quarter_hour_is_not_written(minutes: int) -> None:
    with pytest.raises(EncodeError, match="time_zone"):
        encode_cgm_session_start(CgmSessionStart(start=NOON, time_zone_min=minutes))


def test_notification_has_a_record_and_an_end() -> None:
    record = CgmMeasurement(glucose_mg_per_dl=100.0, time_offset_min=0)

    for records in ([], [record] * 86):
        with pytest.raises(EncodeError, match="records"):
            encode_cgm_measurements(records)


@pytest.mark.parametrize("operand", [None, 1.5, CgmResponse(request_op_code=1, response_code=1)])
def test_operand_of_another_operation_is_not_written(operand: float | CgmResponse | None) -> None:
    with pytest.raises(EncodeError, match="SET_COMMUNICATION_INTERVAL"):
        encode_cgm_operation(
            CgmOperation(op_code=CgmOpCode.SET_COMMUNICATION_INTERVAL, operand=operand)
        )


def test_number_of_records_has_the_width_of_a_service() -> None:
    with pytest.raises(EncodeError, match="width"):
        encode_racp_indication(RacpNumberOfRecords(n_records=1, n_bytes=3))


def test_user_sees_the_base_time_moved_by_the_offset() -> None:
    assert measurement().measured_at == NOON
    assert measurement(time_offset_min=0).measured_at == NOON
    next_day = measurement(time_offset_min=13 * 60).measured_at
    assert next_day == DeviceDateTime(year=2026, month=3, day=1, hour=1, minute=0, second=5)
    assert measurement(time_offset_min=Special.POSITIVE_INFINITY).measured_at is None


def test_time_that_is_not_known_or_that_no_clock_shows_is_none() -> None:
    no_year = DeviceDateTime(year=None, month=2, day=3, hour=0, minute=0, second=0)
    first = DeviceDateTime(year=1582, month=1, day=1, hour=0, minute=0, second=0)
    last = DeviceDateTime(year=9999, month=12, day=31, hour=23, minute=59, second=59)

    assert later(no_year, 1) is None
    assert later(first, -1) is None
    assert later(last, 1) is None


@pytest.mark.parametrize(
    ("sample_type", "quantity"),
    [
        (SampleType.CAPILLARY_WHOLE_BLOOD, codes.GLUCOSE_CAPILLARY_WHOLE_BLOOD),
        (SampleType.VENOUS_PLASMA, codes.GLUCOSE_VENOUS_PLASMA),
        (SampleType.INTERSTITIAL_FLUID, codes.GLUCOSE_INTERSTITIAL),
        (12, codes.GLUCOSE),
    ],
)
def test_glucose_is_of_its_sample(sample_type: int, quantity: Quantity) -> None:
    (reading,) = glucose_readings(
        measurement(
            glucose=concentration(sample_type=sample_type, sample_location=SampleLocation.FINGER),
            status=GlucoseStatus.DEVICE_BATTERY_LOW,
        )
    )

    assert reading.quantity is quantity
    assert reading.value == pytest.approx(84.0)
    assert reading.status == {"site_finger", "device_battery_low"}
    assert reading.status_bits == 1 | sample_type << 16 | 1 << 20
    assert reading.measured_at == NOON


def test_codes_of_the_quantities_are_their_own() -> None:
    rows = [row for row in codes.QUANTITIES.values() if row.name.startswith(("glucose", "hba1c"))]

    assert len({row.name for row in rows}) == len({row.mdc for row in rows}) == len(rows) == 13


def test_moles_are_given_in_mg_per_dl() -> None:
    molar = concentration(concentration=0.0055, unit=GlucoseUnit.MOL_PER_L)

    (reading,) = glucose_readings(measurement(glucose=molar))

    assert reading.value == pytest.approx(99.09, abs=0.01)


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": GlucoseStatus.RESULT_TOO_HIGH}, NoValueReason.ABOVE_RANGE),
        ({"status": GlucoseStatus.RESULT_TOO_LOW}, NoValueReason.BELOW_RANGE),
        ({"status": GlucoseStatus.SENSOR_MALFUNCTION}, NoValueReason.SENSOR_UNAVAILABLE),
        ({"status": GlucoseStatus.GENERAL_DEVICE_FAULT}, NoValueReason.SENSOR_UNAVAILABLE),
        ({"status": GlucoseStatus.SAMPLE_SIZE_INSUFFICIENT}, NoValueReason.INVALID),
        ({"status": GlucoseStatus.STRIP_INSERTION_ERROR}, NoValueReason.INVALID),
        ({"status": GlucoseStatus.STRIP_TYPE_INCORRECT}, NoValueReason.INVALID),
        ({"status": GlucoseStatus.TEMPERATURE_TOO_HIGH}, NoValueReason.INVALID),
        ({"status": GlucoseStatus.TEMPERATURE_TOO_LOW}, NoValueReason.INVALID),
        ({"status": GlucoseStatus.READ_INTERRUPTED}, NoValueReason.INVALID),
        ({"status": GlucoseStatus.RESULT_TOO_HIGH, "glucose": None}, NoValueReason.ABOVE_RANGE),
        (
            {"glucose": concentration(sample_type=SampleType.CONTROL_SOLUTION)},
            NoValueReason.TEST_DATA,
        ),
        (
            {"glucose": concentration(sample_location=SampleLocation.CONTROL_SOLUTION)},
            NoValueReason.TEST_DATA,
        ),
        ({"glucose": concentration(concentration=-0.0001)}, NoValueReason.OUT_OF_RANGE),
        ({"glucose": concentration(concentration=Special.NAN)}, NoValueReason.NOT_A_NUMBER),
    ],
)
def test_glucose_that_its_record_disowns_is_withheld(
    changes: dict[str, object], reason: NoValueReason
) -> None:
    (reading,) = glucose_readings(measurement(**changes))

    assert (reading.value, reading.reason) == (None, reason)


def test_record_without_glucose_and_reason_has_no_reading() -> None:
    assert glucose_readings(measurement(glucose=None)) == ()


def test_faulty_clock_gives_no_time() -> None:
    (reading,) = glucose_readings(measurement(status=GlucoseStatus.TIME_FAULT))

    assert reading.value is not None
    assert reading.measured_at is None
    assert reading.status == {"time_fault"}


def test_context_gives_hba1c() -> None:
    context = GlucoseContext(sequence_number=7, hba1c_percent=6.1)

    readings = glucose_readings(measurement(), context)
    without = glucose_readings(measurement(), GlucoseContext(sequence_number=7))

    assert [reading.value for reading in readings[1:]] == [6.1]
    assert readings[1].quantity is codes.HBA1C
    assert len(without) == 1


def cgm(**changes: object) -> CgmMeasurement:
    fields: dict[str, object] = {"glucose_mg_per_dl": 110.0, "time_offset_min": 60}
    return CgmMeasurement(**(fields | changes))  # type: ignore[arg-type]


def values(readings: tuple[Measured, ...]) -> list[tuple[str, float | None, int]]:
    return [(row.quantity.name, row.value, row.offset_ns) for row in readings]


def test_continuous_glucose_has_trend_and_quality_and_the_times_of_its_records() -> None:
    records = (
        cgm(time_offset_min=55),
        cgm(trend_mg_per_dl_per_min=-1.5, quality_percent=98.0),
    )

    readings = cgm_readings(records, session=CgmSessionStart(start=NOON))

    assert values(readings) == [
        ("glucose_interstitial", 110.0, -300_000_000_000),
        ("glucose_interstitial", 110.0, 0),
        ("glucose_trend", -1.5, 0),
        ("glucose_quality", 98.0, 0),
    ]
    assert readings[1].measured_at == later(NOON, 60)
    assert cgm_readings(records)[0].measured_at is None
    assert cgm_readings(()) == ()


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        ({"status": CgmStatus.SESSION_STOPPED}, NoValueReason.SENSOR_UNAVAILABLE),
        ({"status": CgmStatus.SENSOR_MALFUNCTION}, NoValueReason.SENSOR_UNAVAILABLE),
        ({"status": CgmStatus.GENERAL_DEVICE_FAULT}, NoValueReason.SENSOR_UNAVAILABLE),
        ({"status": CgmStatus.SENSOR_TYPE_INCORRECT}, NoValueReason.INVALID),
        ({"cal_temp": CgmCalTemp.TEMPERATURE_TOO_HIGH}, NoValueReason.INVALID),
        ({"cal_temp": CgmCalTemp.TEMPERATURE_TOO_LOW}, NoValueReason.INVALID),
        ({"cal_temp": CgmCalTemp.CALIBRATION_REQUIRED}, None),
        ({"warning": CgmWarning.RESULT_TOO_LOW}, NoValueReason.BELOW_RANGE),
        ({"warning": CgmWarning.RESULT_TOO_HIGH}, NoValueReason.ABOVE_RANGE),
        ({"warning": CgmWarning.BELOW_HYPO_LEVEL}, None),
        ({"glucose_mg_per_dl": Special.NRES}, NoValueReason.NOT_AT_THIS_RESOLUTION),
    ],
)
def test_continuous_glucose_that_its_record_disowns_is_withheld(
    changes: dict[str, object], reason: NoValueReason | None
) -> None:
    (reading,) = cgm_readings([cgm(**changes)])

    assert reading.reason is reason
    assert (reading.value is None) == (reason is not None)


def test_status_of_the_three_octets_is_kept_apart() -> None:
    record = cgm(
        status=CgmStatus.DEVICE_BATTERY_LOW,
        cal_temp=CgmCalTemp.CALIBRATION_REQUIRED,
        warning=CgmWarning.ABOVE_HYPER_LEVEL,
    )

    (reading,) = cgm_readings([record])

    assert reading.status == {"device_battery_low", "calibration_required", "above_hyper_level"}
    assert reading.status_bits == 0x02 | 0x08 << 8 | 0x08 << 16


def test_control_solution_in_a_continuous_monitor_is_withheld() -> None:
    readings = cgm_readings([cgm()], sample_type=SampleType.CONTROL_SOLUTION)

    assert [row.reason for row in readings] == [NoValueReason.TEST_DATA]


def test_an_indication_is_a_number_or_a_response() -> None:
    assert set(get_args(RacpIndication)) == {RacpNumberOfRecords, RacpResponse}
