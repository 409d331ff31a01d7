"""Generic Health Sensor: what is encoded decodes to the same, and what cannot be is refused."""

import contextlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices.errors import DecodeError, EncodeError, InvalidFieldError, TruncatedPayloadError
from devices.generic_health_sensor import (
    DeviceSpecialization,
    GhsControlPointCode,
    HealthSensorFeatures,
    ObservationSchedule,
    decode_ghs_control_point,
    decode_health_sensor_features,
    decode_observation_schedule,
    encode_ghs_control_point,
    encode_health_sensor_features,
    encode_observation_schedule,
)
from devices.ghs_header import ObservationHeader, ObservationStatus
from devices.ghs_observation import (
    HealthObservation,
    Observation,
    ObservationBundle,
    StoredObservation,
    UnknownValue,
    decode_health_observation,
    decode_stored_observation,
    encode_health_observation,
    encode_stored_observation,
)
from devices.ghs_readings import (
    health_observation_readings,
    health_observation_waveforms,
    unread_types,
)
from devices.ghs_record_access import (
    RecordAnswer,
    RecordAnswerCode,
    RecordCount,
    RecordOpCode,
    RecordOperator,
    RecordRequest,
    decode_record_answer,
    decode_record_request,
    encode_record_answer,
    encode_record_request,
)
from devices.ghs_samples import SampleArrayValue
from devices.ghs_tlv import Tlv, TlvFormat
from devices.ghs_values import NumericValue, StateEventsValue, StringValue
from devices.medfloat import Special
from tests.devices.health_observations import floats, numeric, observations, u8, u16, u32

HEART_RATE = 147842
SPO2 = 150456
PER_MINUTE = 2720
PERCENT = 544

REQUESTS = [RecordOpCode.DELETE, RecordOpCode.ABORT, RecordOpCode.COUNT, RecordOpCode.REPORT]
N_NUMBERS = {
    RecordOperator.LESS_OR_EQUAL: 1,
    RecordOperator.GREATER_OR_EQUAL: 1,
    RecordOperator.WITHIN_RANGE: 2,
}


@st.composite
def record_requests(draw: st.DrawFn) -> RecordRequest:
    operator = draw(st.sampled_from(RecordOperator))
    n_numbers = N_NUMBERS.get(operator, 0)
    by_time = n_numbers > 0 and draw(st.booleans())
    numbers = draw(st.lists(u32, min_size=n_numbers, max_size=n_numbers))
    return RecordRequest(
        op_code=draw(st.sampled_from(REQUESTS)),
        operator=operator,
        record_numbers=() if by_time else tuple(numbers),
        time_operand=draw(st.binary(min_size=1, max_size=12)) if by_time else None,
    )


def samples(raw: bytes, *, sample_bytes: int, n_per_period: int = 1) -> SampleArrayValue:
    return SampleArrayValue(
        unit=512,
        scale=1.0,
        offset=0.0,
        period_s=0.01,
        n_per_period=n_per_period,
        sample_bytes=sample_bytes,
        samples=raw,
    )


@given(observation=observations)
def test_observations(observation: Observation) -> None:
    assert decode_health_observation(encode_health_observation(observation)) == observation


@given(record_number=u32, observation=observations)
def test_stored_observations(record_number: int, observation: Observation) -> None:
    stored = StoredObservation(record_number=record_number, observation=observation)

    assert decode_stored_observation(encode_stored_observation(stored)) == stored


@given(observation=observations, data=st.data())
def test_any_change_gives_an_observation_or_a_decode_error(
    observation: Observation, data: st.DataObject
) -> None:
    payload = bytearray(encode_health_observation(observation))
    for _ in range(data.draw(st.integers(1, 3))):
        i_byte = data.draw(st.integers(0, len(payload) - 1))
        payload[i_byte] = data.draw(u8)
    del payload[data.draw(st.integers(1, len(payload))) :]

    with contextlib.suppress(DecodeError):
        again = decode_health_observation(bytes(payload))
        n_read = len(health_observation_readings(again)) + len(unread_types(again))
        assert n_read + len(health_observation_waveforms(again, signed=True)) <= len(payload)


@given(
    features=st.builds(
        HealthSensorFeatures,
        observation_types=st.lists(u32, max_size=9).map(tuple),
        specializations=st.lists(
            st.builds(DeviceSpecialization, code=u16, version=u8), max_size=3
        ).map(tuple),
    )
)
def test_features(features: HealthSensorFeatures) -> None:
    assert decode_health_sensor_features(encode_health_sensor_features(features)) == features


@given(code=st.sampled_from(GhsControlPointCode) | u8)
def test_control_point(code: int) -> None:
    assert decode_ghs_control_point(encode_ghs_control_point(code)) == code


@given(
    schedule=st.builds(
        ObservationSchedule,
        observation_type=u32,
        measurement_period_s=floats,
        update_interval_s=floats,
    )
)
def test_schedule(schedule: ObservationSchedule) -> None:
    assert decode_observation_schedule(encode_observation_schedule(schedule)) == schedule


@given(request=record_requests())
def test_record_request(request: RecordRequest) -> None:
    assert decode_record_request(encode_record_request(request)) == request


@given(
    answer=st.builds(
        RecordCount,
        op_code=st.sampled_from([RecordOpCode.COUNT_ANSWER, RecordOpCode.REPORT_ANSWER]),
        n_records=u32,
    )
    | st.builds(
        RecordAnswer,
        request=st.sampled_from(RecordOpCode) | st.integers(9, 255),
        code=st.sampled_from(RecordAnswerCode) | st.integers(11, 255),
    )
)
def test_record_answer(answer: RecordCount | RecordAnswer) -> None:
    assert decode_record_answer(encode_record_answer(answer)) == answer


@pytest.mark.parametrize(
    "request_",
    [
        RecordRequest(op_code=RecordOpCode.ANSWER, operator=RecordOperator.ALL),
        RecordRequest(op_code=RecordOpCode.REPORT, operator=RecordOperator.WITHIN_RANGE),
        RecordRequest(
            op_code=RecordOpCode.REPORT, operator=RecordOperator.ALL, record_numbers=(1,)
        ),
        RecordRequest(op_code=RecordOpCode.REPORT, operator=RecordOperator.ALL, time_operand=b"\0"),
        RecordRequest(
            op_code=RecordOpCode.REPORT,
            operator=RecordOperator.GREATER_OR_EQUAL,
            record_numbers=(2**32,),
        ),
    ],
)
def test_a_record_request_that_cannot_be_is_refused(request_: RecordRequest) -> None:
    with pytest.raises(EncodeError):
        encode_record_request(request_)


def test_a_request_has_no_count() -> None:
    with pytest.raises(EncodeError):
        encode_record_answer(RecordCount(op_code=RecordOpCode.REPORT, n_records=1))


def test_of_an_observation_without_a_type_nothing_is_read() -> None:
    untyped = numeric(None, 72.0, PER_MINUTE)
    bundle = ObservationBundle(header=ObservationHeader(), observations=(untyped,))

    for observation in (untyped, bundle):
        assert decode_health_observation(encode_health_observation(observation)) == observation
        assert health_observation_readings(observation) == ()
        assert unread_types(observation) == (0,)


def test_an_unknown_value_of_a_known_class_is_refused() -> None:
    observation = HealthObservation(
        header=ObservationHeader(observation_type=1),
        value=UnknownValue(observation_class=1, content=b""),
    )

    with pytest.raises(EncodeError, match="known"):
        encode_health_observation(observation)


@pytest.mark.parametrize(
    "value",
    [
        NumericValue(unit=2**16, value=1.0),
        NumericValue(unit=0, value=1e200),
        StringValue(text="\ud800"),
        StringValue(text="x" * 0x10000),
        StateEventsValue(n_bytes=0, supported=0, states=0, bits=0),
        StateEventsValue(n_bytes=1, supported=256, states=0, bits=0),
        samples(bytes(0x10000), sample_bytes=1),
    ],
    ids=repr,
)
def test_a_value_that_does_not_fit_is_refused(
    value: NumericValue | StringValue | StateEventsValue | SampleArrayValue,
) -> None:
    observation = HealthObservation(header=ObservationHeader(observation_type=1), value=value)

    with pytest.raises(EncodeError):
        encode_health_observation(observation)


def test_the_longest_observation_can_be_sent() -> None:
    observation = HealthObservation(
        header=ObservationHeader(observation_type=1),
        value=samples(bytes(0xFFFF - 6 - 20), sample_bytes=1),
    )

    encoded = encode_health_observation(observation)

    assert len(encoded) == 3 + 0xFFFF
    assert decode_health_observation(encoded) == observation


@pytest.mark.parametrize(
    ("raw", "sample_bytes", "signed", "expected"),
    [
        ("00 7f 80 ff", 1, False, [0, 127, 128, 255]),
        ("00 7f 80 ff", 1, True, [0, 127, -128, -1]),
        ("00 80 ff 7f ff ff", 2, True, [-32768, 32767, -1]),
        ("00 00 80 ff ff ff", 3, True, [-8388608, -1]),
        ("00 00 80 ff ff ff", 3, False, [8388608, 16777215]),
        ("00 00 00 80", 4, True, [-(2**31)]),
        ("ff ff ff ff", 4, False, [2**32 - 1]),
        ("", 2, True, []),
    ],
)
def test_samples_of_every_width(
    raw: str,
    sample_bytes: int,
    signed: bool,  # noqa: FBT001
    expected: list[int],
) -> None:
    counts = samples(bytes.fromhex(raw), sample_bytes=sample_bytes).counts(signed=signed)

    assert counts.shape == (len(expected), 1)
    assert counts[:, 0].tolist() == expected


def test_samples_of_several_axes_are_rows() -> None:
    array = samples(bytes(range(6)), sample_bytes=1, n_per_period=3)

    np.testing.assert_array_equal(array.counts(signed=False), [[0, 1, 2], [3, 4, 5]])


@pytest.mark.parametrize(
    ("sample_bytes", "n_per_period"), [(0, 1), (5, 1), (1, 0), (1, 256), (2, 2)]
)
def test_samples_that_cannot_be_are_refused(sample_bytes: int, n_per_period: int) -> None:
    with pytest.raises(ValueError, match="samples"):
        samples(bytes(10), sample_bytes=sample_bytes, n_per_period=n_per_period)


@pytest.mark.parametrize(
    ("form", "value", "decoded"),
    [
        (TlvFormat.UINT8, "ff", 255),
        (TlvFormat.SINT8, "ff", -1),
        (TlvFormat.UINT48, "a6 6a 00 2c 00 00", 738224806),
        (TlvFormat.SINT64, "fe ff ff ff ff ff ff ff", -2),
        (TlvFormat.FLOAT32, "00 00 80 3f", 1.0),
        (TlvFormat.MEDFLOAT16, "57 f0", 8.7),
        (TlvFormat.MEDFLOAT32, "ff ff 7f 00", Special.NAN),
        (TlvFormat.UTF8, "61 c3 bb", "aû"),
        (0x1B, "01 02", b"\x01\x02"),
    ],
)
def test_an_attribute_says_what_it_is(form: int, value: str, decoded: object) -> None:
    assert Tlv(attribute_type=1, format=form, value=bytes.fromhex(value)).decoded() == decoded


def test_an_attribute_that_is_not_what_it_says_is_an_error() -> None:
    with pytest.raises(TruncatedPayloadError):
        Tlv(attribute_type=1, format=TlvFormat.UINT16, value=b"\0").decoded()
    with pytest.raises(DecodeError):
        Tlv(attribute_type=1, format=TlvFormat.UINT16, value=bytes(3)).decoded()
    with pytest.raises(InvalidFieldError):
        Tlv(attribute_type=1, format=TlvFormat.UTF8, value=b"\xff").decoded()


def test_what_a_bundle_says_holds_for_all_in_it_and_what_they_say_stands() -> None:
    bundle = ObservationBundle(
        header=ObservationHeader(
            observation_type=SPO2, patient=2, duration_s=5.0, status=ObservationStatus.TEST_DATA
        ),
        observations=(
            numeric(None, 97.0, PERCENT),
            numeric(
                HEART_RATE, 72.0, PER_MINUTE, patient=3, status=ObservationStatus.EARLY_ESTIMATE
            ),
        ),
    )

    saturation, heart_rate = (one.header for one in bundle.unbundled())

    assert (saturation.observation_type, saturation.patient) == (SPO2, 2)
    assert (heart_rate.observation_type, heart_rate.patient) == (HEART_RATE, 3)
    assert saturation.status == ObservationStatus.TEST_DATA
    assert heart_rate.status == ObservationStatus.TEST_DATA | ObservationStatus.EARLY_ESTIMATE
    assert (saturation.duration_s, heart_rate.duration_s) == (5.0, 5.0)
