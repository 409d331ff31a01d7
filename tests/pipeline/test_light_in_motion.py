"""A wrist band: while its wearer walks, light alone would count the steps."""

from dataclasses import replace

import pytest

from devices import codes
from ingest.frame import NS_PER_S, DeviceEventKind, Frame
from ingest.observation import Observation
from processors.pipeline import SubjectPipeline
from tests.pipeline import bedside

HEART_BPM = 66.0
WALK_S = range(34, 60)


def said(frames: list[Frame], algorithm: str) -> dict[int, Observation]:
    pipeline = SubjectPipeline("p-1")
    found = [
        one
        for frame in frames
        for one in pipeline.process(frame)
        if isinstance(one, Observation) and one.algorithm == algorithm
    ]
    by_second = {round((one.t_ns - bedside.START_NS) / NS_PER_S): one for one in found}
    assert len(by_second) == len(found)
    return by_second


def band_frames(*, with_motion: bool = True) -> list[Frame]:
    channels = [one for one in bedside.BAND if with_motion or "acc" not in one.name]
    return bedside.frames(channels=channels)


def test_light_alone_counts_the_steps() -> None:
    """What the gate is for: without acceleration a clean, wrong rate is shown."""
    found = said(band_frames(with_motion=False), "ppg_pulse_rate")

    wrong = [one for t, one in found.items() if t in WALK_S and one.value is not None]
    assert any(abs((one.value or 0) - HEART_BPM) > 10 for one in wrong)


def test_no_rate_of_the_steps_is_shown_where_motion_is_felt() -> None:
    from_light = said(band_frames(), "ppg_pulse_rate")
    with_motion = said(band_frames(), "wrist_pulse_rate")

    shown = [*from_light.values(), *with_motion.values()]
    assert all(abs(one.value - HEART_BPM) <= 5 for one in shown if one.value is not None)
    reasons = {from_light[t].reason for t in WALK_S}
    assert "moving" in reasons
    assert reasons <= {None, "moving"}
    assert sum(t in with_motion or from_light[t].value is not None for t in WALK_S) >= 20
    assert from_light[max(from_light)].value is not None


def test_the_rate_with_motion_is_given_where_that_from_light_is_withheld() -> None:
    from_light = said(band_frames(), "ppg_pulse_rate")
    with_motion = said(band_frames(), "wrist_pulse_rate")

    assert with_motion
    assert {from_light[t].reason for t in with_motion} == {"moving"}
    assert min(with_motion) > 30


def test_each_second_is_judged_once_and_names_its_channel() -> None:
    found = said(band_frames(), "ppg_pulse_rate")

    times = sorted(found)
    assert times == list(range(times[0], times[-1] + 1))
    assert {one.channels for one in found.values()} == {("band-1/ppg/infrared",)}


def test_saturation_is_withheld_while_the_device_moves() -> None:
    found = said(band_frames(), "ppg_spo2")

    still = [one.value for t, one in found.items() if 15 < t < 29]
    assert all(value is not None and abs(value - 97.0) <= 1.0 for value in still)
    moving = [one for t, one in found.items() if 32 <= t < 60]
    assert {(one.value, one.reason) for one in moving} == {(None, "moving")}
    assert found[max(found)].value is not None
    assert {one.channels for one in found.values()} == {("band-1/ppg/red", "band-1/ppg/infrared")}


def test_the_fused_heart_rate_hears_what_was_judged() -> None:
    """The band is all there is; the strap's own figure would outvote it."""
    frames = [replace(frame, readings=()) for frame in band_frames()]

    found = said(frames, "heart_rate_fusion")

    assert sum(found[t].value is not None for t in WALK_S) >= 20
    assert all(abs(one.value - HEART_BPM) <= 5 for one in found.values() if one.value is not None)


def test_a_device_that_is_no_model_with_a_curve_gives_no_saturation() -> None:
    frames = [replace(frame, events=()) for frame in band_frames()]

    found = said(frames, "ppg_spo2")

    assert {one.reason for t, one in found.items() if 15 < t < 29} == {"not_calibrated"}


def test_a_model_that_is_learnt_late_begins_the_saturation_anew() -> None:
    frames = band_frames()
    (event,) = frames[0].events
    late = replace(event, t_ns=event.t_ns + 20 * NS_PER_S)
    frames = [replace(frame, events=(late,) if n == 40 else ()) for n, frame in enumerate(frames)]

    found = said(frames, "ppg_spo2")

    assert found[19].reason == "not_calibrated"
    assert found[22].reason == "warming_up"
    assert found[29].value == pytest.approx(97.0, abs=1.0)


def test_a_strap_whose_mounting_is_known_tells_the_posture() -> None:
    channels = [one for one in bedside.CHANNELS if "acc" in one.name]
    assert {one.device_id for one in channels} == {"strap-1"}
    upright = [
        replace(one, counts=-1000 + 0 * one.counts) if one.quantity is codes.ACC_X else one
        for one in channels
    ]
    upright = [
        replace(one, counts=0 * one.counts) if one.quantity is not codes.ACC_X else one
        for one in upright
    ]

    found = said(bedside.frames(channels=upright), "posture")

    assert found[max(found)].value == 1.0


def test_an_event_that_is_no_connection_says_no_model() -> None:
    frames = band_frames()
    (event,) = frames[0].events
    other = replace(event, kind=DeviceEventKind.CONTACT_FOUND)
    frames[0] = replace(frames[0], events=(other,))

    found = said(frames, "ppg_spo2")

    assert found[20].reason == "not_calibrated"


def test_breathing_is_not_read_from_the_beats_of_somebody_who_walks() -> None:
    channels = [one for one in bedside.CHANNELS if one.name.startswith(("ecg", "acc"))]

    found = said(bedside.frames(channels=channels), "beat_respiration")

    reasons = {t: one.reason for t, one in found.items() if t >= 28}
    assert "moving" not in {reason for t, reason in reasons.items() if t < 30}
    assert {reason for t, reason in reasons.items() if 45 < t < 75} == {"moving"}
