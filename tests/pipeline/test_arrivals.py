"""Devices begin one after the other, and come back: in whatever pieces their samples arrive."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from ingest.frame import NS_PER_S, Frame, WaveformBlock
from processors.pipeline import Output, SubjectPipeline
from tests.pipeline import bedside
from tests.pipeline.arrivals import by_time, channel_of, halved, joined

FRAME_S = Fraction(1, 4)
LATE_NS_MAX = NS_PER_S // 2
BEGINS_S = {"clip-1": 0.0, "strap-1": 1.2, "belt-1": 9.0}
"""No two devices are switched on at the same moment."""
AWAY_S = (14.0, 17.5)
"""All devices are gone for longer than a channel is waited for."""


def is_there(block: WaveformBlock) -> bool:
    t_s = (block.t0_ns - bedside.START_NS) / NS_PER_S
    return t_s >= BEGINS_S[block.device_id] and not AWAY_S[0] <= t_s < AWAY_S[1]


FRAMES = [
    replace(frame, waveforms=tuple(block for block in frame.waveforms if is_there(block)))
    for frame in bedside.frames(FRAME_S, seconds=30.0)
]
CHANNELS = sorted({channel_of(block) for frame in FRAMES for block in frame.waveforms})


def said(frames: Iterable[Frame]) -> set[Output]:
    pipeline = SubjectPipeline("p-1")
    return {output for frame in frames for output in pipeline.process(frame)}


EXPECTED = said(FRAMES)


@settings(max_examples=12, deadline=None)
@given(random=st.randoms(use_true_random=False))
def test_frames_of_which_each_channel_is_cut_elsewhere_give_the_same(random: Random) -> None:
    assert said(halved(FRAMES, random)) == EXPECTED


@settings(max_examples=6, deadline=None)
@given(n=st.integers(2, 200))
def test_frames_that_are_joined_give_the_same(n: int) -> None:
    assert said(joined(FRAMES, n)) == EXPECTED


@settings(max_examples=12, deadline=None)
@given(late=st.lists(st.integers(0, LATE_NS_MAX), min_size=len(CHANNELS), max_size=len(CHANNELS)))
def test_channels_that_come_half_a_second_late_give_the_same(late: list[int]) -> None:
    frames = by_time(FRAMES, FRAME_S, dict(zip(CHANNELS, late, strict=True)))

    assert said(frames) == EXPECTED
