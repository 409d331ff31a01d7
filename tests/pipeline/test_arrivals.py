"""Devices begin one after the other, and come back: in whatever pieces their samples arrive."""

from collections.abc import Iterable
from dataclasses import replace
from fractions import Fraction
from random import Random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from ingest.frame import NS_PER_S, Frame, WaveformBlock
from processors.pipeline import Output, SubjectPipeline
from tests.pipeline import bedside
from tests.pipeline.arrivals import by_time, channel_of, halved, joined

TENTHS = st.integers(0, 100)
FRAME_S = Fraction(1, 4)
LATE_NS = st.integers(0, NS_PER_S // 2)
AWAY_S = (14.0, 17.5)
"""All devices are gone for longer than a channel is waited for."""

ALL = bedside.frames(FRAME_S, seconds=30.0)
CHANNELS = sorted({channel_of(block) for frame in ALL for block in frame.waveforms})
KINDS = sorted({name.partition("/")[0] for _, name in CHANNELS})
"""Channels of a kind come in one payload: which of them is first is not for chance."""
BEGINS = st.fixed_dictionaries({"clip-1": st.just(0), "strap-1": TENTHS, "belt-1": TENTHS})
"""When each device is switched on, tenths of a second."""


def worn_from(begins: dict[str, int]) -> list[Frame]:
    def is_there(block: WaveformBlock) -> bool:
        t_s = (block.t0_ns - bedside.START_NS) / NS_PER_S
        return t_s >= begins[block.device_id] / 10 and not AWAY_S[0] <= t_s < AWAY_S[1]

    return [
        replace(frame, waveforms=tuple(block for block in frame.waveforms if is_there(block)))
        for frame in ALL
    ]


def said(frames: Iterable[Frame]) -> set[Output]:
    pipeline = SubjectPipeline("p-1")
    return {output for frame in frames for output in pipeline.process(frame)}


@settings(max_examples=10, deadline=None)
@example(begins={"clip-1": 0, "strap-1": 12, "belt-1": 90}, random=Random(0))
@example(begins={"clip-1": 0, "strap-1": 4, "belt-1": 0}, random=Random(1))
@given(begins=BEGINS, random=st.randoms(use_true_random=False))
def test_frames_of_which_each_channel_is_cut_elsewhere_give_the_same(
    begins: dict[str, int], random: Random
) -> None:
    frames = worn_from(begins)

    assert said(halved(frames, random)) == said(frames)


@settings(max_examples=6, deadline=None)
@given(begins=BEGINS, n=st.integers(2, 200))
def test_frames_that_are_joined_give_the_same(begins: dict[str, int], n: int) -> None:
    frames = worn_from(begins)

    assert said(joined(frames, n)) == said(frames)


@settings(max_examples=10, deadline=None)
@given(begins=BEGINS, late=st.fixed_dictionaries(dict.fromkeys(KINDS, LATE_NS)))
def test_kinds_of_channels_that_come_half_a_second_late_give_the_same(
    begins: dict[str, int], late: dict[str, int]
) -> None:
    frames = worn_from(begins)
    late_ns = {channel: late[channel[1].partition("/")[0]] for channel in CHANNELS}

    assert said(by_time(frames, FRAME_S, late_ns)) == said(frames)
