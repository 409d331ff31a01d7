"""Who is heard: channels that begin apart, devices that take turns, two that say the same."""

from dataclasses import replace
from fractions import Fraction

import pytest

from devices import codes
from ingest.frame import NS_PER_S, Frame, Reading
from ingest.observation import Observation
from processors.dsp.state import MalformedStateError, State
from processors.pipeline import SubjectPipeline
from processors.waiting import N_BLOCKS_MAX, WaitingBlocks
from tests.ingest import records
from tests.pipeline import bedside

LEADS = [one for one in bedside.CHANNELS if one.name.startswith("ecg")]
AXES = [one for one in bedside.CHANNELS if one.name.startswith("acc")]
S = NS_PER_S


def said(frames: list[Frame], algorithm: str) -> list[Observation]:
    pipeline = SubjectPipeline("p-1")
    return [
        one
        for frame in frames
        for one in pipeline.process(frame)
        if isinstance(one, Observation) and one.algorithm == algorithm
    ]


def without(frames: list[Frame], channel: str, n_first: int) -> list[Frame]:
    """Take a channel out of the first Frames."""
    return [
        replace(
            frame,
            waveforms=tuple(b for b in frame.waveforms if n >= n_first or b.channel != channel),
        )
        for n, frame in enumerate(frames)
    ]


@pytest.mark.parametrize(("late_s", "n_leads"), [(1, 2), (2, 2), (5, 1)])
def test_a_lead_that_begins_up_to_two_seconds_later_is_taken_in(late_s: int, n_leads: int) -> None:
    frames = bedside.frames(Fraction(1, 4), seconds=20.0, channels=LEADS)

    found = said(without(frames, "ecg/V1", 4 * late_s), "ecg_heart_rate")

    assert {len(one.channels) for one in found} == {n_leads}
    assert found[-1].value is not None


def test_axes_that_come_in_frames_of_their_own_are_one_accelerometer() -> None:
    together = bedside.frames(Fraction(1), seconds=20.0, channels=AXES)
    axes = [(frame, block) for frame in together for block in frame.waveforms]
    apart = [
        replace(frame, sequence=n, waveforms=(block,)) for n, (frame, block) in enumerate(axes)
    ]

    found = said(apart, "motion_intensity")

    assert found
    assert found == said(together, "motion_intensity")


def test_what_came_while_a_stream_waited_is_not_lost() -> None:
    frames = bedside.frames(Fraction(1, 4), seconds=20.0, channels=LEADS)

    beats = said(frames, "ecg_r_peaks")

    assert beats[0].t_ns - bedside.START_NS < 1.5 * S


def test_an_axis_without_the_others_gives_nothing_and_does_not_pile_up() -> None:
    frames = [
        replace(frame, readings=())
        for frame in bedside.frames(Fraction(1, 20), seconds=60.0, channels=AXES[:2])
    ]
    pipeline = SubjectPipeline("p-1")

    sizes = []
    for n, frame in enumerate(frames):
        assert pipeline.process(frame) == []
        if n % 30 == 0:
            sizes.append(len(pipeline.to_bytes()))

    assert max(sizes[20:]) <= 1.2 * max(sizes[:20])


def test_no_more_blocks_wait_than_make_sense() -> None:
    waiting = WaitingBlocks()
    waiting.add("ecg", [records.block() for _ in range(N_BLOCKS_MAX + 500)])

    assert len(waiting.due("ecg", records.block().t0_ns + 60 * S)) == N_BLOCKS_MAX


def test_a_state_in_which_no_block_waits_is_refused() -> None:
    state = State(kind="waiting_blocks", version=1, children={"ecg/0": b"no frame"}).to_bytes()

    with pytest.raises(MalformedStateError, match="waiting_blocks"):
        WaitingBlocks.from_bytes(state)


def spo2(device_id: str, second: int, value: float | None) -> Reading:
    return Reading(
        device_id=device_id,
        mdc_code=codes.SPO2.mdc,
        unit="%",
        value=value,
        reason="no_contact" if value is None else None,
        t_ns=bedside.START_NS + second * S,
    )


def of_readings(*readings: Reading) -> list[Frame]:
    return [
        Frame(subject_id="p-1", agent_id="a-1", sequence=n, readings=(one,))
        for n, one in enumerate(readings)
    ]


def test_of_two_oximeters_the_first_one_speaks() -> None:
    readings = [spo2(f"ox-{i}", t, 97.0 - i) for t in range(20) for i in range(2)]

    found = said(of_readings(*readings), "device_reading")

    assert [one.value for one in found] == [97.0] * 20
    assert len({one.identity for one in found}) == len(found)


def test_an_oximeter_that_has_fallen_off_gives_way_to_one_that_has_not() -> None:
    readings = [
        spo2(f"ox-{i}", t, None if i == 0 and t >= 5 else 97.0 - i)
        for t in range(30)
        for i in range(2)
    ]

    found = said(of_readings(*readings), "device_reading")

    values = [one.value for one in found]
    assert values[:5] == [97.0] * 5
    assert values[5:14] == [None] * 9
    assert values[-14:] == [96.0] * 14
