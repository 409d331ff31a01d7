"""Everything of a subject at once: any cut, any restart, the same observations."""

from collections import Counter
from dataclasses import replace
from fractions import Fraction
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.frame import Frame
from ingest.observation import Observation
from processors.dsp.state import StateError
from processors.pipeline import Output, SubjectPipeline
from tests.pipeline import bedside
from tests.pipeline.test_pipeline import ordered, outputs

EXPECTED = outputs(bedside.frames())
WITH_BAND = outputs(bedside.frames(channels=bedside.BAND))


def names(found: list[Output]) -> Counter[str]:
    return Counter(one.name for one in found)


def test_every_modality_is_heard() -> None:
    found = {(one.name, one.algorithm) for one in EXPECTED if isinstance(one, Observation)}

    assert {name for name, _ in found} >= {
        "rr_interval",
        "heart_rate",
        "signal_quality",
        "mean_nn",
        "motion_intensity",
        "step_count",
        "spo2",
    }


@settings(max_examples=8, deadline=None)
@given(st.fractions(min_value=Fraction(1, 20), max_value=90, max_denominator=20))
def test_frames_of_any_length_give_the_same_observations(frame_s: Fraction) -> None:
    assert outputs(bedside.frames(frame_s)) == EXPECTED
    assert outputs(bedside.frames(frame_s, channels=bedside.BAND)) == WITH_BAND


@settings(max_examples=4, deadline=None)
@given(st.randoms(use_true_random=False))
def test_a_restart_between_any_two_frames_changes_nothing(random: Random) -> None:
    for channels, expected in ((bedside.CHANNELS, EXPECTED), (bedside.BAND, WITH_BAND)):
        pipeline = SubjectPipeline("p-1")
        found: list[Output] = []
        for frame in bedside.frames(channels=channels):
            if random.random() < 0.2:
                pipeline = SubjectPipeline.from_bytes(pipeline.to_bytes())
            found += pipeline.process(frame)

        assert ordered(found) == expected


@settings(max_examples=8, deadline=None)
@given(st.data())
def test_channels_that_come_in_frames_of_their_own_change_nothing(data: st.DataObject) -> None:
    """Within a Frame's length, which channel comes first is chance."""
    pipeline = SubjectPipeline("p-1")
    found: list[Output] = []
    together, *rest = bedside.frames()
    found += pipeline.process(together)
    for frame in rest:
        blocks = data.draw(st.permutations(frame.waveforms))
        found += pipeline.process(replace(frame, waveforms=tuple(blocks)))

    assert ordered(found) == EXPECTED


def test_a_damaged_state_is_refused() -> None:
    pipeline = SubjectPipeline("p-1")
    for frame in bedside.frames(seconds=5.0):
        pipeline.process(frame)
    state = bytearray(pipeline.to_bytes())
    state[len(state) // 2] ^= 1

    with pytest.raises(StateError):
        SubjectPipeline.from_bytes(bytes(state))


def test_an_empty_frame_says_nothing() -> None:
    frame = Frame(subject_id="p-1", agent_id="a-1", sequence=0)

    assert SubjectPipeline("p-1").process(frame) == []
