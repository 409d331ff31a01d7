"""Frames that the contract allows and no honest device sends; what ends, and what goes on."""

from dataclasses import replace
from fractions import Fraction

import pytest

from devices import codes
from ingest.frame import NS_PER_S, TIME_NS_MAX, Frame, WaveformBlock
from ingest.observation import Observation
from processors.pipeline import Output, SubjectPipeline
from tests.pipeline import bedside
from tests.pipeline.test_pipeline import ACROSS

END_S = 40


def fused(found: list[Output]) -> list[Observation]:
    return [
        one
        for one in found
        if isinstance(one, Observation) and one.algorithm == "heart_rate_fusion"
    ]


def processed(frames: list[Frame]) -> list[Output]:
    pipeline = SubjectPipeline("p-1")
    return [one for frame in frames for one in pipeline.process(frame)]


def with_strange_reading(frame: Frame) -> Frame:
    [reading, *_] = frame.readings
    strange = replace(reading, device_id="strange-1", t_ns=TIME_NS_MAX)
    return replace(frame, agent_id="a-2", waveforms=(), readings=(strange,))


def test_samples_up_to_the_end_of_time_end_nothing() -> None:
    """A worker that stops at a record comes back to it for ever."""
    [frame] = bedside.frames(Fraction(30), seconds=30.0)

    def late(block: WaveformBlock) -> WaveformBlock:
        n = block.n_samples
        end_ns = block.period.offset_ns(n)
        return replace(block, t0_ns=TIME_NS_MAX - end_ns + 5 * NS_PER_S)

    late_frame = replace(frame, waveforms=tuple(map(late, frame.waveforms)), readings=())

    assert all(one.t_ns <= TIME_NS_MAX for one in processed([late_frame]))


def test_when_the_ecg_ends_the_device_s_own_rate_goes_on() -> None:
    frames = [
        frame if n < END_S else replace(frame, waveforms=())
        for n, frame in enumerate(bedside.frames(Fraction(1)))
    ]

    late = [one for one in fused(processed(frames)) if one.t_ns > frames[60].readings[0].t_ns]

    assert [one.t_ns for one in late]
    assert {one.channels for one in late} == {(f"strap-1/{codes.HEART_RATE.name}",)}


def test_one_reading_far_ahead_ends_neither_readings_nor_streams() -> None:
    frames = bedside.frames(Fraction(1))
    bare = [replace(frame, waveforms=()) for frame in frames]
    strange = with_strange_reading(frames[0])

    assert fused(processed([strange, *frames])) == fused(processed(frames))
    assert fused(processed([strange, *bare])) == fused(processed(bare)) != []
    assert fused(processed([*bare[:9], strange, *bare[9:]])) == fused(processed(bare))


def test_a_state_written_again_is_the_same_bytes() -> None:
    blocks = bedside.frames(Fraction(1))[0].waveforms
    pipeline = SubjectPipeline("p-1")
    for sequence, block in enumerate((*blocks[-3:], *blocks[:2])):
        together = blocks[-3:] if block.channel.startswith("acc") else (block,)
        frame = Frame(subject_id="p-1", agent_id="a-1", sequence=sequence, waveforms=together)
        pipeline.process(frame)

    state = pipeline.to_bytes()

    assert SubjectPipeline.from_bytes(state).to_bytes() == state


@pytest.mark.parametrize("figure", [0.0, -5.0, 501.0, 1.79e308])
def test_a_figure_that_no_heart_has_is_not_shown_as_its_rate(figure: float) -> None:
    """Four devices: the sum of the largest numbers is none any more."""
    frames = [
        replace(
            frame,
            waveforms=(),
            readings=tuple(
                replace(reading, device_id=f"strap-{n}", value=figure)
                for reading in frame.readings
                for n in range(4)
            ),
        )
        for frame in bedside.frames(Fraction(1), seconds=10.0)
    ]

    found = fused(processed(frames))

    assert {(one.value, one.reason) for one in found} == {(None, "out_of_range")}


def test_a_device_that_sends_what_nobody_can_use_gives_way_as_a_silent_one_does() -> None:
    def of_patch(block: WaveformBlock) -> WaveformBlock:
        return replace(block, device_id="patch-2")

    def useless(block: WaveformBlock) -> WaveformBlock:
        return replace(block, unit="1")

    frames: list[Frame] = []
    for n, frame in enumerate(bedside.frames(Fraction(1))):
        ecg = [block for block in frame.waveforms if block.channel.startswith("ecg")]
        own = ecg if n < END_S else [useless(block) for block in ecg]
        blocks = (*own, *(of_patch(block) for block in ecg))
        frames.append(replace(frame, waveforms=blocks, readings=()))

    found = [one for one in processed(frames) if one.name == "rr_interval"]

    assert isinstance(found[-1], Observation)
    assert found[-1].channels[0].startswith("patch-2")
    assert found[-1].t_ns > frames[60].waveforms[0].t0_ns


def test_another_device_never_takes_over_with_samples_from_before() -> None:
    """In the Frame, something else is new enough to say that the strap has been silent."""
    frames = bedside.frames(Fraction(1))
    old = [
        replace(block, device_id="patch-2")
        for block in frames[10].waveforms
        if block.channel.startswith("ecg")
    ]
    new = [block for block in frames[40].waveforms if block.channel.startswith("acc")]
    pipeline = SubjectPipeline("p-1")
    for frame in frames[:20]:
        pipeline.process(frame)

    strange = replace(frames[40], sequence=20, waveforms=(*old, *new), readings=())
    found = pipeline.process(strange)

    own = [one for one in found if getattr(one, "algorithm", "") not in ACROSS]
    assert not [one for one in own if one.t_ns < frames[19].waveforms[0].t0_ns]
    assert pipeline.process(replace(frames[41], sequence=21)) != []


@pytest.mark.parametrize("scale", [5e-324, 1e-290, 1e-40])
def test_steps_so_small_that_their_squares_are_nothing_end_nothing(scale: float) -> None:
    frames = bedside.frames(Fraction(5), seconds=20.0)

    processed(
        [
            replace(
                frame,
                waveforms=tuple(
                    replace(block, scale=scale, counts=block.counts % 2)
                    for block in frame.waveforms
                ),
            )
            for frame in frames
        ]
    )


def test_a_clock_set_back_by_a_millisecond_costs_no_whole_block() -> None:
    frames = bedside.frames(Fraction(1))

    def set_back(block: WaveformBlock) -> WaveformBlock:
        return replace(block, t0_ns=block.t0_ns - NS_PER_S // 1000)

    later = [
        replace(frame, waveforms=tuple(map(set_back, frame.waveforms))) for frame in frames[40:]
    ]
    pipeline = SubjectPipeline("p-1")
    for frame in [*frames[:40], later[0], later[0], *later[1:]]:
        pipeline.process(frame)

    n_channels = len(frames[40].waveforms)
    assert pipeline.n_samples_repeated <= later[0].n_samples + n_channels


def test_single_readings_hours_apart_are_fused_each_in_its_turn() -> None:
    [reading, *_] = bedside.frames(Fraction(1))[0].readings
    frames = [
        Frame(
            subject_id="p-1",
            agent_id="a-1",
            sequence=n,
            readings=(replace(reading, t_ns=reading.t_ns + n * 4 * 3600 * NS_PER_S),),
        )
        for n in range(5)
    ]

    found = [one for one in fused(processed(frames)) if one.value is not None]

    assert len({one.t_ns // (3600 * NS_PER_S) for one in found}) >= len(frames) - 2
