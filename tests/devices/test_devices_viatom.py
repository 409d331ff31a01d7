"""Viatom: frames out of chunks, both answers, the poller, and readings."""

import dataclasses
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import codes
from devices.errors import EncodeError
from devices.readings import NoValueReason
from devices.viatom import (
    CHUNK_BYTES,
    ViatomAssembler,
    ViatomCommand,
    ViatomLossCause,
    ViatomReply,
    ViatomRequest,
    decode_viatom_reply,
    decode_viatom_request,
    encode_viatom_reply,
    encode_viatom_request,
    viatom_chunks,
    viatom_crc,
)
from devices.viatom_data import (
    ViatomCharging,
    ViatomContact,
    ViatomMeasurement,
    ViatomRealTime,
    ViatomSensors,
    decode_viatom_real_time,
    decode_viatom_sensors,
    encode_viatom_real_time,
    encode_viatom_sensors,
    viatom_readings,
)
from devices.viatom_poll import ViatomFailure, ViatomPoller, ViatomQuestion

S = 10**9
SENSORS = ViatomSensors(
    spo2_percent=98,
    pulse_rate_bpm=66,
    battery_percent=97,
    charging=ViatomCharging.DISCHARGING,
    motion=146,
    perfusion_index_percent=1.0,
    contact=ViatomContact.ON,
)
REAL_TIME = ViatomRealTime(
    spo2_percent=98,
    pulse_rate_bpm=66,
    battery_percent=97,
    charging=ViatomCharging.CHARGING,
    perfusion_index_percent=1.0,
    contact=ViatomContact.ON,
    waveform=(1, None, 3) * 40,
)

u8 = st.integers(0, 255)
u16 = st.integers(0, 2**16 - 1)
data = st.binary(max_size=60)
replies = st.builds(ViatomReply, status=u8, block=u16, data=data)


def numbers(maximum: int, sentinel: int) -> st.SearchStrategy[int | None]:
    return st.none() | st.integers(0, maximum).filter(lambda number: number != sentinel)


sensors = st.builds(
    ViatomSensors,
    spo2_percent=numbers(254, -1),
    pulse_rate_bpm=numbers(254, -1),
    battery_percent=u8,
    charging=u8,
    motion=u8,
    perfusion_index_percent=u8.map(lambda tenths: tenths / 10),
    contact=u8,
)
real_times = st.builds(
    ViatomRealTime,
    spo2_percent=numbers(254, -1),
    pulse_rate_bpm=numbers(2**16 - 2, -1),
    battery_percent=u8,
    charging=u8,
    perfusion_index_percent=u8.map(lambda tenths: tenths / 10),
    contact=u8,
    waveform=st.lists(numbers(255, 156), max_size=30).map(tuple),
)


@given(command=u8, block=u16, content=data)
def test_a_request_decodes_to_what_was_encoded(command: int, block: int, content: bytes) -> None:
    request = ViatomRequest(command=command, block=block, data=content)

    assert decode_viatom_request(encode_viatom_request(request)) == request


@given(reply=replies)
def test_a_reply_decodes_to_what_was_encoded(reply: ViatomReply) -> None:
    assert decode_viatom_reply(encode_viatom_reply(reply)) == reply


@given(measurement=sensors)
def test_an_older_answer_decodes_to_what_was_encoded(measurement: ViatomSensors) -> None:
    assert decode_viatom_sensors(encode_viatom_sensors(measurement)) == measurement


@given(measurement=real_times)
def test_a_newer_answer_decodes_to_what_was_encoded(measurement: ViatomRealTime) -> None:
    assert decode_viatom_real_time(encode_viatom_real_time(measurement)) == measurement


def test_the_check_byte_is_that_of_published_requests() -> None:
    assert viatom_crc(bytes.fromhex("aa 17 e8 00 00 00 00")) == 0x1B
    assert viatom_crc(bytes.fromhex("aa 17 e8 00 00 01 00 00")) == 0x2A
    assert viatom_crc(b"123456789") == 0xF4  # the catalogue's value for this polynomial


@given(octets=st.binary(min_size=1, max_size=40), bit=st.integers(0, 319))
def test_a_flipped_bit_never_passes_the_check(octets: bytes, bit: int) -> None:
    damaged = bytearray(octets)
    damaged[bit // 8 % len(octets)] ^= 1 << bit % 8

    assert viatom_crc(bytes(damaged)) != viatom_crc(octets)


@pytest.mark.parametrize(
    "request_",
    [
        ViatomRequest(command=256),
        ViatomRequest(command=-1),
        ViatomRequest(command=0, block=2**16),
        ViatomRequest(command=0, data=bytes(505)),
    ],
)
def test_a_request_that_does_not_fit_is_not_written(request_: ViatomRequest) -> None:
    with pytest.raises(EncodeError):
        encode_viatom_request(request_)


@pytest.mark.parametrize(("field", "value"), [("spo2_percent", 255), ("pulse_rate_bpm", 255)])
def test_a_value_that_means_no_finger_is_not_written(field: str, value: int) -> None:
    with pytest.raises(EncodeError, match="no value"):
        encode_viatom_sensors(dataclasses.replace(SENSORS, **{field: value}))


def test_a_sample_that_is_the_makers_mark_is_not_written() -> None:
    with pytest.raises(EncodeError, match="waveform"):
        encode_viatom_real_time(dataclasses.replace(REAL_TIME, waveform=(156,)))


def check_bytes(assembler: ViatomAssembler) -> None:
    n_accounted = assembler.n_framed_bytes + assembler.n_lost_bytes.total() + assembler.n_pending
    assert assembler.n_bytes == n_accounted


def test_a_frame_is_cut_into_chunks_of_twenty_bytes() -> None:
    frame = encode_viatom_reply(ViatomReply(status=0, data=bytes(37)))

    chunks = viatom_chunks(frame)

    assert [len(chunk) for chunk in chunks] == [20, 20, 5]
    assert b"".join(chunks) == frame
    assert CHUNK_BYTES == 20


@given(
    stream=st.lists(replies.map(encode_viatom_reply) | st.binary(max_size=12), max_size=6),
    cuts=st.lists(st.integers(0, 400), max_size=8),
)
def test_cutting_the_bytes_differently_changes_nothing(
    stream: list[bytes], cuts: list[int]
) -> None:
    octets = b"".join(stream)
    whole, parted = ViatomAssembler(), ViatomAssembler()
    frames = whole.process(octets)

    edges = [0, *sorted(min(i_byte, len(octets)) for i_byte in cuts), len(octets)]
    found: list[bytes] = []
    for begin, end in pairwise(edges):
        found += parted.process(octets[begin:end])
        check_bytes(parted)
        assert parted.n_pending < 512

    assert tuple(found) == frames
    assert parted.n_lost_bytes == whole.n_lost_bytes
    for frame in frames:
        decode_viatom_reply(frame)


@given(
    content=st.lists(replies, min_size=1, max_size=4),
    noise=st.binary(max_size=30).map(lambda octets: octets.replace(b"\x55", b"")),
)
def test_frames_are_found_between_bytes_that_begin_none(
    content: list[ViatomReply], noise: bytes
) -> None:
    assembler = ViatomAssembler()

    frames = assembler.process(noise.join(encode_viatom_reply(reply) for reply in content))

    assert [decode_viatom_reply(frame) for frame in frames] == content
    assert assembler.n_lost_bytes.total() == len(noise) * (len(content) - 1)
    assert assembler.n_pending == 0


def test_after_a_damaged_frame_the_next_is_found() -> None:
    frame = encode_viatom_reply(ViatomReply(status=0, data=bytes(5)))
    assembler = ViatomAssembler()

    frames = assembler.process(frame[:-1] + b"\xaa" + frame)

    assert frames == (frame,)
    assert assembler.n_lost_bytes == {
        ViatomLossCause.WRONG_CRC: 1,
        ViatomLossCause.NO_HEAD: len(frame) - 1,
    }


def test_what_claims_to_be_longer_than_any_frame_is_not_waited_for() -> None:
    assembler = ViatomAssembler()

    assert assembler.process(bytes.fromhex("55 00 ff 00 00 f9 01")) == ()
    assert assembler.n_lost_bytes == {ViatomLossCause.NO_HEAD: 7}


def test_what_is_incomplete_at_the_end_is_counted() -> None:
    assembler = ViatomAssembler()

    assembler.process(bytes.fromhex("55 00 ff 00"))
    assembler.end()

    assert assembler.n_lost_bytes == {ViatomLossCause.INCOMPLETE: 4}
    assert assembler.n_pending == 0


def answer(measurement: ViatomMeasurement, *, status: int = 0) -> tuple[bytes, ...]:
    content = (
        encode_viatom_sensors(measurement)
        if isinstance(measurement, ViatomSensors)
        else encode_viatom_real_time(measurement)
    )
    return viatom_chunks(encode_viatom_reply(ViatomReply(status=status, data=content)))


def check_questions(poller: ViatomPoller) -> None:
    n_accounted = poller.n_answered + poller.n_failed.total() + poller.is_open
    assert poller.n_asked == n_accounted


@pytest.mark.parametrize(
    ("question", "written", "measurement"),
    [
        (ViatomQuestion.SENSORS, "aa 17 e8 00 00 00 00 1b", SENSORS),
        (ViatomQuestion.SENSORS_WAVE, "aa 17 e8 00 00 01 00 00 2a", REAL_TIME),
        (ViatomQuestion.REAL_TIME, "aa 1b e4 00 00 01 00 00 5e", REAL_TIME),
    ],
)
def test_each_question_is_written_and_its_answer_read(
    question: ViatomQuestion, written: str, measurement: ViatomMeasurement
) -> None:
    poller = ViatomPoller(question, start_ns=0)

    chunks = poller.tick(0)
    given = [reading for chunk in answer(measurement) for reading in poller.receive(chunk)]

    assert b"".join(chunks).hex(" ") == written
    assert given == [measurement]
    assert (poller.n_asked, poller.n_answered, poller.is_open) == (1, 1, False)
    assert poller.assembler.n_bytes == poller.assembler.n_framed_bytes


def test_it_asks_on_a_grid_and_not_before() -> None:
    poller = ViatomPoller(ViatomQuestion.SENSORS, start_ns=10 * S, period_s=2.0)
    asked_s: list[float] = []

    for tenth in range(80, 160):
        if poller.tick(tenth * S // 10):
            asked_s.append(tenth / 10)
            for chunk in answer(SENSORS):
                poller.receive(chunk)

    assert asked_s == [10.0, 12.0, 14.0]
    assert poller.wake_at_ns == 16 * S
    assert poller.n_skipped == 0


def test_one_question_is_open_at_a_time_and_what_was_due_is_left_out() -> None:
    poller = ViatomPoller(ViatomQuestion.SENSORS, start_ns=0, period_s=1.0, reply_timeout_s=3.5)
    poller.tick(0)
    assert poller.wake_at_ns == 3.5 * S

    assert [poller.tick(t_s * S) for t_s in (1, 2, 3)] == [(), (), ()]
    assert poller.tick(round(3.5 * S))

    assert poller.n_failed == {ViatomFailure.NO_REPLY: 1}
    assert poller.n_skipped == 2
    assert poller._due_ns == 4 * S
    check_questions(poller)


def test_after_a_long_sleep_it_asks_once() -> None:
    poller = ViatomPoller(ViatomQuestion.SENSORS, start_ns=0, period_s=2.0)

    assert poller.tick(101 * S)

    assert (poller.n_asked, poller.n_skipped) == (1, 50)
    assert poller._due_ns == 102 * S


def test_it_gives_up_after_failures_in_a_row() -> None:
    poller = ViatomPoller(
        ViatomQuestion.SENSORS, start_ns=0, period_s=1.0, reply_timeout_s=0.5, n_failures_max=3
    )

    for half_s in range(20):
        poller.tick(half_s * S // 2)
        check_questions(poller)

    assert poller.has_given_up
    assert poller.n_asked == 3
    assert poller.wake_at_ns is None
    assert poller.tick(100 * S) == ()


def test_an_answer_ends_the_row_of_failures() -> None:
    poller = ViatomPoller(
        ViatomQuestion.SENSORS, start_ns=0, period_s=1.0, reply_timeout_s=0.5, n_failures_max=2
    )

    for t_s in range(10):
        assert poller.tick(t_s * S)
        if t_s % 2:
            for chunk in answer(SENSORS):
                poller.receive(chunk)
        poller.tick(t_s * S + S // 2)

    assert not poller.has_given_up
    assert poller.n_answered == 5
    assert poller.n_failed == {ViatomFailure.NO_REPLY: 5}


def test_a_refusal_and_another_layout_are_failures() -> None:
    poller = ViatomPoller(ViatomQuestion.SENSORS, start_ns=0)

    poller.tick(0)
    refused = [poller.receive(chunk) for chunk in answer(SENSORS, status=1)]
    poller.tick(2 * S)
    other = [poller.receive(chunk) for chunk in answer(REAL_TIME)]

    assert set(refused + other) == {()}
    assert poller.n_failed == {ViatomFailure.REFUSED: 1, ViatomFailure.UNDECODABLE: 1}


def test_an_answer_to_no_question_is_counted_and_not_believed() -> None:
    poller = ViatomPoller(ViatomQuestion.SENSORS, start_ns=0)

    given = [reading for chunk in answer(SENSORS) for reading in poller.receive(chunk)]

    assert given == []
    assert (poller.n_unasked_replies, poller.n_answered) == (1, 0)


def test_half_an_answer_does_not_spoil_the_next() -> None:
    poller = ViatomPoller(ViatomQuestion.SENSORS, start_ns=0, period_s=4.0)
    first, second = answer(SENSORS)

    poller.tick(0)
    poller.receive(first)
    poller.tick(3 * S)
    poller.tick(4 * S)
    given = [reading for chunk in (first, second) for reading in poller.receive(chunk)]

    assert given == [SENSORS]
    assert poller.assembler.n_lost_bytes == {ViatomLossCause.INCOMPLETE: 20}


def test_the_end_of_the_link_closes_the_question() -> None:
    poller = ViatomPoller(ViatomQuestion.SENSORS, start_ns=0)
    poller.end()
    poller.tick(0)
    poller.receive(answer(SENSORS)[0])

    poller.end()

    assert poller.n_failed == {ViatomFailure.LINK_ENDED: 1}
    assert poller.assembler.n_pending == 0
    check_questions(poller)


@pytest.mark.parametrize(
    "arguments", [{"period_s": 0.0}, {"reply_timeout_s": -1.0}, {"n_failures_max": 0}]
)
def test_a_poller_that_could_not_work_is_refused(arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="positive"):
        ViatomPoller(ViatomQuestion.SENSORS, start_ns=0, **arguments)  # type: ignore[arg-type]


@given(
    events=st.lists(
        st.integers(0, 5 * S)
        | st.binary(max_size=24)
        | st.sampled_from([*answer(SENSORS), *answer(REAL_TIME), *answer(SENSORS, status=2)]),
        max_size=40,
    )
)
def test_the_sums_hold_whatever_comes_and_whenever(events: list[int | bytes]) -> None:
    poller = ViatomPoller(ViatomQuestion.SENSORS, start_ns=0)
    now_ns = 0

    n_given = 0
    for event in events:
        if isinstance(event, int):
            now_ns += event - S
            poller.tick(now_ns)
        else:
            n_given += len(poller.receive(event))
        check_questions(poller)
        check_bytes(poller.assembler)

    assert n_given == poller.n_answered


def test_a_capture_gives_all_readings() -> None:
    readings = viatom_readings(SENSORS)

    assert [(reading.quantity, reading.value) for reading in readings] == [
        (codes.SPO2, 98.0),
        (codes.PULSE_RATE, 66.0),
        (codes.PERFUSION_INDEX, 1.0),
        (codes.BATTERY_LEVEL, 97.0),
        (codes.MOTION_INDEX, 146.0),
    ]
    assert readings[0].status == {"contact_detected", "battery_discharging"}
    assert readings[0].status_bits == 0b110


def test_the_newer_answer_has_no_motion() -> None:
    readings = viatom_readings(REAL_TIME)

    assert len(readings) == 4
    assert readings[0].status == {"contact_detected", "battery_charging"}


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"contact": ViatomContact.OFF}, NoValueReason.NO_CONTACT),
        ({"spo2_percent": None, "pulse_rate_bpm": None}, NoValueReason.NO_CONTACT),
        ({"spo2_percent": None}, NoValueReason.NO_CONTACT),
        ({"spo2_percent": 0, "pulse_rate_bpm": 0}, NoValueReason.CALIBRATING),
    ],
)
def test_without_a_finger_only_battery_and_motion_have_a_value(
    change: dict[str, int | None], reason: NoValueReason
) -> None:
    readings = viatom_readings(dataclasses.replace(SENSORS, **change))  # type: ignore[arg-type]

    assert [reading.reason for reading in readings] == [reason] * 3 + [None, None]


@pytest.mark.parametrize(
    ("change", "reasons"),
    [
        ({"spo2_percent": 0}, [NoValueReason.CALIBRATING, None, None, None, None]),
        ({"pulse_rate_bpm": 0}, [None, NoValueReason.CALIBRATING, None, None, None]),
        ({"spo2_percent": 101}, [NoValueReason.OUT_OF_RANGE, None, None, None, None]),
        ({"battery_percent": 101}, [None, None, None, NoValueReason.OUT_OF_RANGE, None]),
    ],
)
def test_a_value_that_cannot_be_is_withheld_alone(
    change: dict[str, int], reasons: list[NoValueReason | None]
) -> None:
    readings = viatom_readings(dataclasses.replace(SENSORS, **change))

    assert [reading.reason for reading in readings] == reasons


def test_a_contact_of_no_name_is_neither_lost_nor_detected() -> None:
    unknown = dataclasses.replace(SENSORS, contact=7, charging=9)

    readings = viatom_readings(unknown)

    assert (readings[0].value, readings[0].status, readings[0].status_bits) == (
        98.0,
        frozenset(),
        0,
    )


@given(measurement=sensors | real_times)
def test_every_reading_has_a_value_or_a_reason(measurement: ViatomMeasurement) -> None:
    for reading in viatom_readings(measurement):
        assert (reading.value is None) == (reading.reason is not None)


def test_commands_have_their_names() -> None:
    request = decode_viatom_request(bytes.fromhex("aa 17 e8 00 00 00 00 1b"))

    assert request.command is ViatomCommand.SENSORS
