"""Movesense: round trips, parts that are joined or accounted for, units, and readings."""

import math
import struct
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from devices import codes
from devices.errors import EncodeError
from devices.medfloat import MedFloat, Special
from devices.movesense import (
    GspCommand,
    GspCommandCode,
    GspData,
    GspDataPart,
    GspGetCommand,
    GspHello,
    GspHelloCommand,
    GspNotification,
    GspPutUtcTimeCommand,
    GspResponse,
    GspResult,
    GspSubscribeCommand,
    GspUnsubscribeCommand,
    decode_gsp_command,
    decode_gsp_hello,
    decode_gsp_notification,
    decode_gsp_result,
    encode_gsp_command,
    encode_gsp_hello,
    encode_gsp_notification,
    encode_gsp_result,
)
from devices.movesense_data import (
    ECG_RATES_HZ,
    FRAME_DECODERS,
    IMU_RATES_HZ,
    LAYOUTS,
    GspFrame,
    GspHeartRate,
    GspKind,
    GspTemperature,
    decode_gsp_heart_rate,
    decode_gsp_temperature,
    encode_gsp_frame,
    encode_gsp_heart_rate,
    encode_gsp_temperature,
    gsp_path,
    gsp_whole_bytes,
)
from devices.movesense_parts import GspAssembler, GspLossCause
from devices.movesense_readings import (
    gsp_heart_rate_readings,
    gsp_temperature_readings,
)
from devices.readings import NoValueReason

REFERENCE = 99
WHOLE_BYTES = 292

u8 = st.integers(0, 255)
u16 = st.integers(0, 2**16 - 1)
u32 = st.integers(0, 2**32 - 1)
texts = st.text(st.characters(codec="utf-8", exclude_characters="\0"), max_size=20)
paths = texts.filter(bool)
commands = (
    st.builds(GspHelloCommand, reference=u8)
    | st.builds(GspSubscribeCommand, reference=u8, path=paths)
    | st.builds(GspUnsubscribeCommand, reference=u8)
    | st.builds(GspGetCommand, reference=u8, path=paths)
    | st.builds(GspPutUtcTimeCommand, reference=u8, utc_us=st.integers(-(2**63), 2**63 - 1))
)
bodies = st.binary(max_size=64)
notifications = (
    st.builds(GspResponse, reference=u8, body=bodies)
    | st.builds(GspData, reference=u8, body=bodies)
    | st.builds(GspDataPart, reference=u8, body=bodies)
)
hellos = st.builds(
    GspHello,
    protocol_version=u8,
    serial_number=texts,
    product_name=texts,
    dfu_address=texts,
    app_name=texts,
    app_version=texts,
)
numbers = st.floats(width=32, allow_nan=False, allow_infinity=False) | st.sampled_from(
    [Special.NAN, Special.POSITIVE_INFINITY, Special.NEGATIVE_INFINITY]
)


@given(command=commands)
def test_a_command_decodes_to_what_was_encoded(command: GspCommand) -> None:
    assert decode_gsp_command(encode_gsp_command(command)) == command


@given(notification=notifications)
def test_a_notification_decodes_to_what_was_encoded(notification: GspNotification) -> None:
    assert decode_gsp_notification(encode_gsp_notification(notification)) == notification


@given(status=u16, content=bodies)
def test_a_result_decodes_to_what_was_encoded(status: int, content: bytes) -> None:
    result = GspResult(status=status, content=content)

    assert decode_gsp_result(encode_gsp_result(result)) == result


@given(hello=hellos)
def test_a_hello_decodes_to_what_was_encoded(hello: GspHello) -> None:
    assert decode_gsp_hello(encode_gsp_hello(hello)) == hello


def test_a_command_is_the_one_that_its_code_says() -> None:
    kinds = {type(decode_gsp_command(bytes((code, 1)))) for code in (0, 2)}

    assert kinds == {GspHelloCommand, GspUnsubscribeCommand}
    assert GspHelloCommand(reference=1).code is GspCommandCode.HELLO


@pytest.mark.parametrize("path", ["", "/a\0b", "/" + "a" * 128, "\ud800"])
def test_what_is_no_path_is_not_written(path: str) -> None:
    with pytest.raises(EncodeError, match="path"):
        encode_gsp_command(GspSubscribeCommand(reference=1, path=path))


@pytest.mark.parametrize(
    "command",
    [GspHelloCommand(reference=256), GspPutUtcTimeCommand(reference=1, utc_us=2**63)],
)
def test_a_number_that_does_not_fit_is_not_written(command: GspCommand) -> None:
    with pytest.raises(EncodeError):
        encode_gsp_command(command)


@pytest.mark.parametrize(
    ("status", "succeeded"), [(199, False), (200, True), (299, True), (300, False), (404, False)]
)
def test_a_command_has_succeeded_from_200_to_299(status: int, *, succeeded: bool) -> None:
    assert GspResult(status=status).succeeded is succeeded


def whole(reference: int = REFERENCE, n_bytes: int = WHOLE_BYTES, fill: int = 1) -> GspData:
    return GspData(reference=reference, body=bytes([fill]) * n_bytes)


def cut(data: GspData, i_byte: int) -> tuple[GspData, GspDataPart]:
    return (
        GspData(reference=data.reference, body=data.body[:i_byte]),
        GspDataPart(reference=data.reference, body=data.body[i_byte:]),
    )


def check_sums(assembler: GspAssembler) -> None:
    n_accounted = assembler.n_joined + assembler.n_lost.total() + assembler.n_pending
    assert assembler.n_parts == n_accounted


@pytest.mark.parametrize("i_byte", [0, 1, 148, 291])
def test_two_parts_are_joined(i_byte: int) -> None:
    assembler = GspAssembler({REFERENCE: WHOLE_BYTES})
    first, second = cut(whole(), i_byte)

    assert assembler.process(first) is None
    assert assembler.n_pending == 1
    assert assembler.process(second) == whole()
    assert (assembler.n_joined, assembler.n_lost) == (2, {})
    check_sums(assembler)


def test_data_that_come_whole_wait_for_nothing() -> None:
    assembler = GspAssembler({REFERENCE: WHOLE_BYTES, 1: None})

    assert assembler.process(whole()) == whole()
    assert assembler.process(whole(1, 5)) == whole(1, 5)
    assert assembler.process(whole(1, 0)) == whole(1, 0)
    assert assembler.n_joined == 3


def test_parts_of_other_subscriptions_may_come_between() -> None:
    assembler = GspAssembler({REFERENCE: WHOLE_BYTES, 2: 10})
    first, second = cut(whole(), 148)
    other_first, other_second = cut(whole(2, 10), 3)

    given = [assembler.process(part) for part in (first, other_first, second, other_second)]

    assert given == [None, None, whole(), whole(2, 10)]
    check_sums(assembler)


def test_every_loss_has_its_cause() -> None:
    assembler = GspAssembler({REFERENCE: WHOLE_BYTES, 1: None})
    first, second = cut(whole(), 148)

    assembler.process(first)
    assembler.process(first)
    assembler.process(second)
    assembler.process(second)
    assembler.process(whole(n_bytes=WHOLE_BYTES + 1))
    assembler.process(first)
    assembler.process(GspDataPart(reference=REFERENCE, body=second.body + b"\0"))
    assembler.process(whole(7))
    assembler.process(GspDataPart(reference=1, body=b"\0"))
    assembler.process(first)
    assembler.end()

    assert assembler.n_lost == {
        GspLossCause.REST_MISSING: 2,
        GspLossCause.FIRST_PART_MISSING: 2,
        GspLossCause.WRONG_LENGTH: 3,
        GspLossCause.UNKNOWN_REFERENCE: 1,
    }
    assert (assembler.n_parts, assembler.n_joined, assembler.n_pending) == (10, 2, 0)


@pytest.mark.parametrize("n_bytes", [0, 513])
def test_a_whole_that_cannot_be_is_refused_at_once(n_bytes: int) -> None:
    with pytest.raises(ValueError, match="reference 5"):
        GspAssembler({5: n_bytes})


@given(
    parts=st.lists(
        st.builds(GspData, reference=st.integers(0, 2), body=st.binary(max_size=12))
        | st.builds(GspDataPart, reference=st.integers(0, 2), body=st.binary(max_size=12)),
        max_size=40,
    )
)
def test_the_sums_hold_after_every_part_whatever_comes(
    parts: list[GspData | GspDataPart],
) -> None:
    assembler = GspAssembler({0: 10, 1: None})

    for part in parts:
        joined = assembler.process(part)
        check_sums(assembler)
        assert joined is None or joined.reference == 1 or len(joined.body) == 10
        assert sum(len(begun.body) for begun in assembler._begun.values()) < 10
    assembler.end()

    assert assembler.n_pending == 0
    check_sums(assembler)


def given_wholes(n_wholes: int, i_cut: int, lost: set[int]) -> list[tuple[int, int]]:
    """List the first and last byte of every whole given; whole i is filled with i."""
    assembler = GspAssembler({REFERENCE: 12})
    given: list[tuple[int, int]] = []
    for i_whole in range(n_wholes):
        parts: tuple[GspData | GspDataPart, ...] = cut(whole(n_bytes=12, fill=i_whole), i_cut)
        for i_part, part in enumerate(parts):
            if 2 * i_whole + i_part not in lost:
                joined = assembler.process(part)
                given += [] if joined is None else [(joined.body[0], joined.body[-1])]
    check_sums(assembler)
    return given


@given(n_wholes=st.integers(1, 8), i_cut=st.integers(1, 11), lost=st.sets(st.integers(0, 15)))
def test_a_whole_is_given_if_and_only_if_both_parts_came(
    n_wholes: int, i_cut: int, lost: set[int]
) -> None:
    assume(not any({2 * i + 1, 2 * i + 2} <= lost for i in range(n_wholes)))

    both = [i for i in range(n_wholes) if not {2 * i, 2 * i + 1} & lost]
    assert given_wholes(n_wholes, i_cut, lost) == [(i, i) for i in both]


def test_what_is_left_of_two_wholes_is_taken_for_one_as_its_text_admits() -> None:
    assert given_wholes(2, 6, {1, 2}) == [(0, 1)]


@pytest.mark.parametrize("kind", GspKind)
@given(data=st.data())
def test_frames_of_every_kind(kind: GspKind, data: st.DataObject) -> None:
    layout = LAYOUTS[kind]
    shape = (data.draw(st.integers(1, 4)), len(layout.columns))
    bounds = {"<i2": 2**15, "<i4": 2**31}.get(layout.dtype)
    samples = (
        data.draw(
            arrays(
                np.float32,
                shape,
                elements=st.floats(width=32, allow_nan=False).filter(math.isfinite),
            )
        )
        if bounds is None
        else data.draw(arrays(np.int32, shape, elements=st.integers(-bounds, bounds - 1)))
    )
    frame = GspFrame(kind=kind, timestamp_ms=data.draw(u32), samples=samples)

    decoded = FRAME_DECODERS[kind](encode_gsp_frame(frame))

    assert (decoded.kind, decoded.timestamp_ms) == (kind, frame.timestamp_ms)
    assert decoded.samples.dtype == samples.dtype
    assert not decoded.samples.flags.writeable
    np.testing.assert_array_equal(decoded.samples, samples)


@pytest.mark.parametrize(
    ("kind", "samples"),
    [
        (GspKind.ECG, np.zeros((0, 1), dtype=np.int32)),
        (GspKind.ECG, np.zeros(3, dtype=np.int32)),
        (GspKind.ACC, np.zeros((2, 2), dtype=np.float32)),
        (GspKind.ECG_MV, np.full((1, 1), 2**15, dtype=np.int32)),
        (GspKind.ACC, np.full((1, 3), math.inf, dtype=np.float32)),
        (GspKind.ACC, np.full((1, 3), math.nan, dtype=np.float32)),
        (GspKind.ACC, np.zeros((43, 3), dtype=np.float32)),
    ],
)
def test_samples_that_do_not_fit_are_not_written(
    kind: GspKind, samples: np.ndarray[tuple[int, ...], np.dtype[np.int32]]
) -> None:
    with pytest.raises(EncodeError, match="samples"):
        encode_gsp_frame(GspFrame(kind=kind, timestamp_ms=0, samples=samples))


@pytest.mark.parametrize(
    ("kind", "count", "scaled"),
    [
        (GspKind.ECG, 1000, [0.381469726563]),
        (GspKind.ECG_MV, 1128, [1.128]),
        (GspKind.ACC, 9.80665, [1.0] * 3),
        (GspKind.IMU9, 9.80665, [1.0] * 3 + [9.80665] * 6),
    ],
)
def test_samples_are_scaled_to_their_units(
    kind: GspKind, count: float, scaled: list[float]
) -> None:
    layout = LAYOUTS[kind]
    whole_counts = np.full((1, len(layout.columns)), count)
    samples = (
        whole_counts.astype(np.float32) if layout.dtype == "<f4" else whole_counts.astype(np.int32)
    )
    frame = GspFrame(kind=kind, timestamp_ms=0, samples=samples)

    np.testing.assert_allclose(frame.scaled(), [scaled], rtol=1e-6)
    assert len(layout.units) == len(layout.scales) == len(layout.columns) == len(scaled)


@pytest.mark.parametrize(
    ("kind", "fs_hz", "path", "n_bytes"),
    [
        (GspKind.ECG, 250, "/Meas/ECG/250", 68),
        (GspKind.ECG_MV, 200, "/Meas/ECG/200/mV", 36),
        (GspKind.ACC, 52, "/Meas/Acc/52", 52),
        (GspKind.IMU6, 52, "/Meas/IMU6/52", 100),
        (GspKind.IMU9, 52, "/Meas/IMU9/52", 148),
        (GspKind.IMU9, 104, "/Meas/IMU9/104", 292),
    ],
)
def test_a_subscription_knows_its_path_and_how_long_its_data_are(
    kind: GspKind, fs_hz: int, path: str, n_bytes: int
) -> None:
    assert gsp_path(kind, fs_hz) == path
    assert gsp_whole_bytes(kind, fs_hz) == n_bytes


def test_a_rate_that_is_not_offered_is_refused() -> None:
    ask: list[Callable[[GspKind, int], object]] = [gsp_path, gsp_whole_bytes]
    for function in ask:
        with pytest.raises(ValueError, match="130 Hz"):
            function(GspKind.ECG, 130)
        with pytest.raises(ValueError, match="125 Hz"):
            function(GspKind.ACC, 125)


def test_every_rate_has_wholes_that_can_be_decoded_or_is_refused() -> None:
    for kind in GspKind:
        ecg = kind in (GspKind.ECG, GspKind.ECG_MV)
        for fs_hz in ECG_RATES_HZ if ecg else IMU_RATES_HZ:
            if (kind, fs_hz) == (GspKind.IMU9, 208):
                with pytest.raises(ValueError, match="580 bytes"):
                    gsp_whole_bytes(kind, fs_hz)
            else:
                assert gsp_whole_bytes(kind, fs_hz) <= 512


@given(average_bpm=numbers, intervals_ms=st.lists(u16, max_size=9).map(tuple))
def test_a_heart_rate_decodes_to_what_was_encoded(
    average_bpm: MedFloat, intervals_ms: tuple[int, ...]
) -> None:
    heart_rate = GspHeartRate(average_bpm=average_bpm, rr_intervals_ms=intervals_ms)

    assert decode_gsp_heart_rate(encode_gsp_heart_rate(heart_rate)) == heart_rate
    for reading in gsp_heart_rate_readings(heart_rate):
        assert (reading.value is None) == (reading.reason is not None)


@given(kelvin=numbers, timestamp_ms=u32)
def test_a_temperature_decodes_to_what_was_encoded(kelvin: MedFloat, timestamp_ms: int) -> None:
    temperature = GspTemperature(temperature_kelvin=kelvin, timestamp_ms=timestamp_ms)

    assert decode_gsp_temperature(encode_gsp_temperature(temperature)) == temperature
    assert len(gsp_temperature_readings(temperature)) == 1


@pytest.mark.parametrize("special", [Special.NRES, Special.RESERVED])
def test_what_has_no_ieee_number_is_not_written(special: Special) -> None:
    with pytest.raises(EncodeError, match="average"):
        encode_gsp_heart_rate(GspHeartRate(average_bpm=special))


def test_intervals_of_one_event_end_one_after_the_other() -> None:
    readings = gsp_heart_rate_readings(
        GspHeartRate(average_bpm=60.0, rr_intervals_ms=(1000, 500, 250))
    )

    assert [(reading.quantity, reading.value) for reading in readings] == [
        (codes.HEART_RATE, 60.0),
        (codes.RR_INTERVAL, 1000.0),
        (codes.RR_INTERVAL, 500.0),
        (codes.RR_INTERVAL, 250.0),
    ]
    assert [reading.offset_ns for reading in readings] == [0, -750_000_000, -250_000_000, 0]


@pytest.mark.parametrize(
    ("average_bpm", "reason"),
    [
        (0.0, NoValueReason.INADEQUATE_SIGNAL),
        (-1.0, NoValueReason.OUT_OF_RANGE),
        (500.5, NoValueReason.OUT_OF_RANGE),
        (Special.NAN, NoValueReason.NOT_A_NUMBER),
        (Special.POSITIVE_INFINITY, NoValueReason.ABOVE_RANGE),
    ],
)
def test_a_heart_rate_that_cannot_be_is_withheld(
    average_bpm: MedFloat, reason: NoValueReason
) -> None:
    rate, interval = gsp_heart_rate_readings(
        GspHeartRate(average_bpm=average_bpm, rr_intervals_ms=(0,))
    )

    assert (rate.value, rate.reason) == (None, reason)
    assert (interval.value, interval.reason) == (None, NoValueReason.OUT_OF_RANGE)


def test_the_temperature_is_the_sensors_own_in_celsius() -> None:
    (kelvin,) = struct.unpack("<f", bytes.fromhex("33739943"))

    (reading,) = gsp_temperature_readings(
        GspTemperature(temperature_kelvin=kelvin, timestamp_ms=232_495)
    )

    assert reading.quantity is codes.DEVICE_TEMPERATURE
    assert reading.value == pytest.approx(33.75, abs=1e-4)


@pytest.mark.parametrize(
    ("kelvin", "reason"),
    [
        (232.9, NoValueReason.OUT_OF_RANGE),
        (398.1, NoValueReason.OUT_OF_RANGE),
        (Special.NAN, NoValueReason.NOT_A_NUMBER),
    ],
)
def test_a_temperature_that_the_sensor_cannot_measure_is_withheld(
    kelvin: MedFloat, reason: NoValueReason
) -> None:
    (reading,) = gsp_temperature_readings(GspTemperature(temperature_kelvin=kelvin, timestamp_ms=0))

    assert (reading.value, reading.reason) == (None, reason)
