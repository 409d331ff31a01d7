"""Whose data they are is not told: neither by a name, nor by a day, nor by anything else."""

import json
from collections import Counter
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import codes
from ingest.errors import MalformedRecordError
from ingest.frame import NS_PER_S, DeviceEventKind
from processors.exports.clinical import ClinicalRecord
from processors.exports.deidentify import NS_PER_DAY, SHIFT_DAYS_MAX, Deidentifier
from processors.exports.device_book import DeviceBook
from processors.exports.fhir import encode_bundle
from processors.exports.oru import encode_oru
from processors.exports.strips import strips_of
from tests.exports_fhir.cases import alarm, bedside_frames, observation, outputs
from tests.exports_fhir.r4_checks import problems
from tests.pipeline.bedside import START_NS

KEY = bytes(range(32))
IDS = st.text(st.characters(exclude_categories=["Cs", "Cc"]), min_size=1, max_size=30)

STUDY = Deidentifier(KEY)


@given(IDS)
def test_the_same_subject_has_the_same_name_and_the_same_days(subject_id: str) -> None:
    again = Deidentifier(KEY)

    assert STUDY.subject(subject_id) == again.subject(subject_id)
    assert STUDY.shift_days(subject_id) == again.shift_days(subject_id)
    assert 1 <= STUDY.shift_days(subject_id) <= SHIFT_DAYS_MAX


@given(IDS, IDS)
def test_another_subject_has_another_name_and_so_has_one_in_another_study(
    one: str, other: str
) -> None:
    another_study = Deidentifier(bytes(32))

    assert (STUDY.subject(one) == STUDY.subject(other)) == (one == other)
    assert another_study.subject(one) != STUDY.subject(one)


def test_days_are_spread_over_the_whole_year_and_two_subjects_seldom_share_theirs() -> None:
    days = Counter(STUDY.shift_days(f"p-{i}") for i in range(36_500))

    # 100 are expected of each; beyond 6 standard deviations is once in a hundred million.
    assert set(days) == set(range(1, SHIFT_DAYS_MAX + 1))
    assert all(40 < n < 160 for n in days.values())


@given(IDS, IDS)
def test_names_of_different_things_never_meet(subject_id: str, device_id: str) -> None:
    names = {
        STUDY.subject(subject_id),
        STUDY.device(subject_id, device_id),
        STUDY.agent(subject_id, device_id),
        STUDY.device(subject_id + device_id, ""),
        STUDY.device("", subject_id + device_id),
    }

    assert len(names) == 5


@given(st.integers(400, 40_000), st.integers(0, NS_PER_DAY - 1), st.integers(0, 10**15))
def test_intervals_and_hours_of_the_day_stay(day: int, of_day_ns: int, later_ns: int) -> None:
    t_ns = day * NS_PER_DAY + of_day_ns
    first = observation(codes.SPO2, 97.0, t_ns=t_ns)
    second = first._replace(t_ns=t_ns + later_ns)

    told = [STUDY.observation(one) for one in (first, second)]

    assert told[1].t_ns - told[0].t_ns == later_ns
    assert told[0].t_ns % NS_PER_DAY == of_day_ns
    assert t_ns - told[0].t_ns == STUDY.shift_days(first.subject_id) * NS_PER_DAY


def test_observations_alarms_and_frames_of_a_subject_move_by_the_same_days() -> None:
    frame = bedside_frames()[2]

    told = STUDY.frame(frame)

    moved_ns = {
        START_NS - STUDY.observation(observation(codes.SPO2, 97.0)).t_ns,
        START_NS - STUDY.alarm(alarm(0, active=True)).t_ns,
        frame.waveforms[0].t0_ns - told.waveforms[0].t0_ns,
        frame.readings[0].t_ns - told.readings[0].t_ns,
        frame.events[0].t_ns - told.events[0].t_ns,
    }
    assert len(moved_ns) == 1
    assert (told.waveforms[0].counts == frame.waveforms[0].counts).all()


def test_a_channel_has_the_name_that_its_device_has_in_frames() -> None:
    frame = bedside_frames()[0]
    one = observation(codes.HEART_RATE, 61.0, channels=("strap-1/ecg/II", "clip-1/pleth"))

    told = STUDY.observation(one)
    device_ids = {block.device_id for block in STUDY.frame(frame).waveforms}

    assert {channel.partition("/")[0] for channel in told.channels} <= device_ids
    assert [channel.partition("/")[2] for channel in told.channels] == ["ecg/II", "pleth"]


def test_a_series_of_beats_keeps_its_name_and_no_other_name_does() -> None:
    one = observation(codes.RESPIRATORY_RATE, 14.0, channels=("ecg_height", "alice"))

    series, other = STUDY.observation(one).channels

    assert series == "ecg_height"
    assert "alice" not in other


def test_clocks_are_told_only_where_days_are() -> None:
    frame = bedside_frames()[2]

    assert STUDY.frame(frame).clocks == ()
    assert len(Deidentifier(KEY, shift_days_max=0).frame(frame).clocks) == 1


def test_when_something_arrived_is_not_told() -> None:
    frame = bedside_frames()[2]
    arrived = replace(
        frame,
        waveforms=tuple(replace(one, received_ns=one.t0_ns) for one in frame.waveforms),
        readings=tuple(replace(one, received_ns=one.t_ns) for one in frame.readings),
    )

    told = STUDY.frame(arrived)

    assert {one.received_ns for one in told.waveforms} == {None}
    assert {one.received_ns for one in told.readings} == {None}


def test_only_models_of_the_catalogue_are_told_of_what_people_wrote() -> None:
    frame = bedside_frames()[2]
    event = frame.events[0]
    written = replace(
        frame,
        events=(
            event,
            replace(event, detail="Strap of Mrs Smith"),
            replace(event, kind=DeviceEventKind.CLOCK_SET, detail="by 3 s on 2026-09-21"),
        ),
    )

    told = STUDY.frame(written)

    assert [one.detail for one in told.events] == ["Chevet Virtual Cuff", "", ""]
    assert STUDY.alarm(alarm(0, active=True)).detail == ""
    reason = observation(codes.SPO2, None, reason="seen by Dr Jones")
    assert STUDY.observation(reason).reason == "unknown"


def moved(subject_id: str, device_id: str, agent_id: str) -> ClinicalRecord:
    """A record with these names in every place, told by the study."""
    found = [
        STUDY.frame(
            replace(
                frame,
                subject_id=subject_id,
                agent_id=agent_id,
                waveforms=tuple(replace(one, device_id=device_id) for one in frame.waveforms[:1]),
                readings=tuple(replace(one, device_id=device_id) for one in frame.readings),
                events=tuple(replace(one, device_id=device_id) for one in frame.events),
                clocks=tuple(replace(one, device_id=device_id) for one in frame.clocks),
            )
        )
        for frame in bedside_frames()[:3]
    ]
    observations = [
        STUDY.observation(
            one._replace(
                subject_id=subject_id,
                channels=tuple(f"{device_id}/{c.partition('/')[2]}" for c in one.channels),
            )
        )
        for one in outputs()[0][:15]
    ]
    detail = f"2 missing of agent {agent_id}: sequence 7 to 8"
    told = STUDY.alarm(replace(alarm(3, active=True), subject_id=subject_id, detail=detail))
    device = STUDY.device(subject_id, device_id)
    return ClinicalRecord(
        subject_id=STUDY.subject(subject_id),
        observations=observations,
        alarms=[told],
        devices=DeviceBook.of(found),
        strips=strips_of(
            found, device_id=device, channel="ecg/II", begin_ns=0, end_ns=START_NS + NS_PER_S
        ),
    )


NAMES = st.text("ŽŁΩжλ", min_size=4, max_size=12)
"""Of letters that nothing else in an export has."""


@settings(max_examples=20)
@given(NAMES, NAMES, NAMES)
def test_nothing_of_the_original_names_and_days_is_in_the_bytes(
    subject_id: str, device_id: str, agent_id: str
) -> None:
    whole = moved(subject_id, device_id, agent_id)

    for told in (encode_bundle(whole), encode_oru(whole)):
        text = told.decode()
        for name in (subject_id, device_id, agent_id):
            assert name not in text
        assert "2026-09-21" not in text
        assert "20260921" not in text


def test_what_is_told_is_valid_and_whole() -> None:
    bundle = json.loads(encode_bundle(moved("p-1", "strap-1", "a-1")))

    assert problems(bundle) == []


def test_a_short_key_is_refused() -> None:
    with pytest.raises(ValueError, match="a study key of 31 bytes; at least 32"):
        Deidentifier(bytes(31))
    with pytest.raises(ValueError, match="must be 0 or more"):
        Deidentifier(KEY, shift_days_max=-1)


def test_what_would_be_before_1970_is_refused() -> None:
    with pytest.raises(MalformedRecordError, match="t_ns"):
        STUDY.observation(observation(codes.SPO2, 97.0, t_ns=0))
