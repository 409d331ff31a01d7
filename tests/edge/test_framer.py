"""What an agent collects fits into a Frame, and what does not is accounted for."""

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from edge import frame_room
from edge import framer as framer_module
from edge.frame_room import joined_blocks, joined_gaps, joined_over_causes, split_block
from edge.framer import ChannelFormat, Framer
from edge.spool.spool import Spool, SpoolError
from ingest.codec import decode_frame
from ingest.frame import (
    ClockRelation,
    DeviceEvent,
    DeviceEventKind,
    Frame,
    Gap,
    GapCause,
    Reading,
    SamplePeriod,
    WaveformBlock,
)

PERIOD = SamplePeriod(ns_numerator=1_000_000_000, ns_denominator=130)
T0_NS = 10**18


def channel(name: str) -> ChannelFormat:
    return ChannelFormat(
        device_id="strap-1",
        channel=name,
        mdc_code=131328,
        unit="mV",
        scale=1e-3,
        offset=0.0,
        period=PERIOD,
    )


def add(framer: Framer, i_first: int, n_samples: int, name: str = "ecg") -> None:
    """Add samples whose counts are their numbers."""
    framer.add_samples(
        channel(name),
        np.arange(i_first, i_first + n_samples, dtype=np.int32),
        i_first=i_first,
        t0_ns=T0_NS + PERIOD.offset_ns(i_first),
        received_ns=T0_NS,
    )


def gap(
    i_first: int, n_samples: int, cause: GapCause = GapCause.RADIO_LOSS, name: str = "ecg"
) -> Gap:
    return Gap(
        device_id="strap-1",
        channel=name,
        cause=cause,
        i_first=i_first,
        n_samples=n_samples,
        t0_ns=T0_NS + PERIOD.offset_ns(i_first),
    )


def reading(t_ns: int) -> Reading:
    return Reading(device_id="d", mdc_code=1, unit="%", value=1.0, t_ns=t_ns)


def event(t_ns: int) -> DeviceEvent:
    return DeviceEvent(device_id="d", kind=DeviceEventKind.CONNECTED, t_ns=t_ns)


def clock(n: int) -> ClockRelation:
    return ClockRelation(device_id=f"d{n}", offset_ns=0, drift_ppm=0.0, uncertainty_ns=0)


def indices(spans: Iterable[WaveformBlock | Gap]) -> list[int]:
    """Give the numbers of all samples, sorted."""
    return sorted(i for one in spans for i in range(one.i_first, one.i_first + one.n_samples))


def all_of(frames: Iterable[Frame]) -> tuple[list[WaveformBlock], list[Gap]]:
    """Give the blocks and the gaps of Frames that count on without a hole."""
    kept = list(frames)
    assert [frame.sequence - kept[0].sequence for frame in kept] == list(range(len(kept)))
    blocks = [block for frame in kept for block in frame.waveforms]
    return blocks, [gap for frame in kept for gap in frame.gaps]


def check_counts(blocks: Iterable[WaveformBlock]) -> None:
    for block in blocks:
        assert block.counts.tolist() == list(range(block.i_first, block.i_end))
        assert block.t0_ns == T0_NS + PERIOD.offset_ns(block.i_first)


# One flush interval


def test_the_blocks_of_a_channel_are_in_the_order_of_their_samples_whatever_their_grids() -> None:
    framer = Framer("p-1", "a-1")
    longer = SamplePeriod(ns_numerator=1_000_000_001, ns_denominator=130)
    t0_ns = T0_NS
    for n, period in enumerate([PERIOD, longer, longer, PERIOD, longer, PERIOD]):
        t0_ns += 10**9 * (n == 2)  # behind a gap, on the same grid's period
        framer.add_samples(
            replace(channel("ecg"), period=period),
            np.arange(10, dtype=np.int32),
            i_first=10 * n,
            t0_ns=t0_ns,
            received_ns=T0_NS,
        )
        t0_ns += period.offset_ns(10)

    [frame] = framer.cut(0)

    assert [block.i_first for block in frame.waveforms] == [0, 10, 20, 30, 40, 50]


def test_more_than_a_frame_holds_is_several_frames() -> None:
    framer = Framer("p-1", "a-1")
    for i in range(5_000):
        add(framer, 3 * i, 2)
        framer.add_gap(gap(3 * i + 2, 1))
        framer.add_gap(gap(3 * i + 2, 1, name="acc/x"))
        framer.add_event(event(i))
    for i in range(20_000):
        framer.add_reading(reading(i))
    for i in range(1_025):
        framer.set_clock(clock(i))

    first, second = framer.cut(7)

    assert (first.sequence, second.sequence) == (7, 8)
    contents = ("waveforms", "readings", "clocks", "gaps", "events")
    assert [len(getattr(first, name)) for name in contents] == [4_096, 16_384, 1_024, 8_192, 4_096]
    assert [len(getattr(second, name)) for name in contents] == [904, 3_616, 1, 1_808, 904]
    blocks, gaps = all_of([first, second])
    check_counts(blocks)
    assert indices([*blocks, *(one for one in gaps if one.channel == "ecg")]) == list(range(15_000))
    assert [one.t_ns for one in (*first.readings, *second.readings)] == list(range(20_000))
    assert framer.empty


def test_more_samples_than_a_frame_holds_are_several_frames() -> None:
    framer = Framer("p-1", "a-1")
    add(framer, 0, 2_100_000, "ecg")
    add(framer, 0, 800_000, "acc/x")

    frames = framer.cut(0)

    assert [frame.n_samples for frame in frames] == [1_000_000, 1_000_000, 900_000]
    blocks, gaps = all_of(frames)
    check_counts(blocks)
    assert gaps == []
    assert sum(block.n_samples for block in blocks if block.channel == "ecg") == 2_100_000


def test_nothing_is_no_frame() -> None:
    assert Framer("p-1", "a-1").cut(0) == []


# Many flush intervals, while nothing can be stored


@settings(max_examples=60, deadline=None)
@given(
    steps=st.lists(
        st.tuples(st.sampled_from(("a", "b", "c")), st.integers(1, 30), st.integers(0, 3)),
        min_size=1,
        max_size=60,
    ),
    every=st.integers(1, 7),
    n_held_max=st.integers(1, 120),
)
def test_no_sample_is_forgotten_however_long_nothing_can_be_stored(
    steps: list[tuple[str, int, int]], every: int, n_held_max: int
) -> None:
    framer = Framer("p-1", "a-1")
    ends = {"a": 0, "b": 0, "c": 0}
    causes = list(GapCause)
    with pytest.MonkeyPatch.context() as patch:
        for module in (framer_module, frame_room):
            patch.setattr(module, "N_BLOCKS_MAX", 4)
            patch.setattr(module, "N_GAPS_MAX", 8)
            patch.setattr(module, "N_SAMPLES_MAX", 100)
        for n, (name, n_samples, n_lost) in enumerate(steps):
            if n_lost:
                framer.add_gap(gap(ends[name], n_lost, causes[n % len(causes)], name))
            add(framer, ends[name] + n_lost, n_samples, name)
            ends[name] += n_lost + n_samples
            if n % every == 0:
                framer.restore(framer.cut(0))
                framer.give_up(n_held_max, GapCause.SPOOL_FULL)
        frames = framer.cut(0)

    assert max(len(frame.waveforms) for frame in frames) <= 4
    assert max(len(frame.gaps) for frame in frames) <= 8
    assert max(frame.n_samples for frame in frames) <= 100
    blocks, gaps = all_of(frames)
    check_counts(blocks)
    for name, end in ends.items():
        spans: list[WaveformBlock | Gap] = [*blocks, *gaps]
        assert indices(one for one in spans if one.channel == name) == list(range(end))


def test_a_long_time_without_a_disk_makes_long_blocks_and_not_many() -> None:
    framer = Framer("p-1", "a-1")
    n_lost = 0
    for n in range(1_500):
        for name in ("ecg", "acc/x", "acc/y"):
            add(framer, 10 * n, 10, name)
        for i in range(12):
            framer.add_reading(reading(12 * n + i))
            framer.add_event(event(12 * n + i))
        n_lost += framer.restore(framer.cut(0))

    (frame,) = framer.cut(0)

    assert len(frame.waveforms) <= 4_096
    assert frame.n_samples == 45_000
    assert frame.gaps == ()
    # The newest are kept.
    assert frame.readings[-1] == reading(17_999)
    assert n_lost == 2 * 18_000 - len(frame.readings) - len(frame.events)
    assert (len(frame.readings), len(frame.events)) == (16_384, 4_096)


def test_the_oldest_samples_give_way_first_and_no_more_than_must() -> None:
    framer = Framer("p-1", "a-1")
    add(framer, 0, 100)
    add(framer, 30, 100, "acc/x")
    framer.restore(framer.cut(0))

    framer.give_up(150, GapCause.SPOOL_FULL)

    (frame,) = framer.cut(0)
    assert frame.gaps == (gap(0, 50, GapCause.SPOOL_FULL),)
    check_counts(frame.waveforms)
    assert frame.n_samples == 150


# Joining


@given(cuts=st.lists(st.integers(1, 99), max_size=6))
def test_blocks_that_were_cut_are_joined_again(cuts: list[int]) -> None:
    framer = Framer("p-1", "a-1")
    add(framer, 7, 100)
    [frame] = framer.cut(0)
    [whole] = frame.waveforms
    parts, rest, n_before = [], whole, 0
    for cut in sorted(set(cuts)):
        part, rest = split_block(rest, cut - n_before)
        parts.append(part)
        n_before = cut

    assert joined_blocks([*parts, rest]) == [whole]


def test_blocks_of_other_streams_stay_apart() -> None:
    framer = Framer("p-1", "a-1")
    add(framer, 0, 10)
    add(framer, 10, 10, "acc/x")
    add(framer, 11, 10)
    framer.add_samples(
        channel("ecg"),
        np.zeros(3, dtype=np.int32),
        i_first=21,
        t0_ns=T0_NS + 10**12,
        received_ns=T0_NS,
    )
    [frame] = framer.cut(0)

    assert joined_blocks(frame.waveforms) == list(frame.waveforms)


def test_gaps_of_one_cause_that_meet_become_one() -> None:
    gaps = [gap(0, 5), gap(9, 2, GapCause.OVERFLOW), gap(5, 4), gap(11, 3, GapCause.OVERFLOW)]

    assert joined_gaps(gaps) == [gap(0, 9), gap(9, 5, GapCause.OVERFLOW)]


def test_gaps_that_meet_are_joined_under_the_cause_of_the_longest() -> None:
    gaps = [gap(0, 5), gap(5, 9, GapCause.LINK_LOST), gap(14, 6), gap(21, 1), gap(14, 1, name="x")]

    joined = joined_over_causes(gaps)

    assert joined == [gap(0, 20, GapCause.LINK_LOST), gap(14, 1, name="x"), gap(21, 1)]


# The spool


def test_a_full_spool_leaves_no_more_gaps_in_a_frame_than_it_may_have(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_room, "N_GAPS_MAX", 3)
    spool = Spool(tmp_path / "spool.sqlite", n_bytes_max=4_000)
    for n in range(100):
        framer = Framer("p-1", "a-1")
        framer.add_gap(gap(40 * n, 8))
        add(framer, 40 * n + 8, 32)
        spool.append(framer.cut(spool.next_sequence), {})

    kept = [decode_frame(one.payload) for one in spool.oldest(200)]
    assert len(kept) < 50
    spool.acknowledge_to(kept[-1].sequence)
    framer.add_event(event(0))
    spool.append(framer.cut(spool.next_sequence), {})
    kept += [decode_frame(one.payload) for one in spool.oldest(200)]
    spool.close()

    assert max(len(frame.gaps) for frame in kept) <= 3
    blocks, gaps = all_of(kept)
    assert indices([*blocks, *gaps]) == list(range(4_000))


def test_frames_of_one_cut_are_stored_all_or_none(tmp_path: Path) -> None:
    spool = Spool(tmp_path / "spool.sqlite", n_bytes_max=1 << 40)
    spool._file._database.execute("PRAGMA max_page_count = 400")
    framer = Framer("p-1", "a-1")
    add(framer, 0, 2_500_000)
    frames = framer.cut(spool.next_sequence)

    with pytest.raises(SpoolError, match="full"):
        spool.append(frames, {})

    assert len(frames) == 3
    assert (spool.next_sequence, spool.size().n_frames, spool.oldest(9)) == (0, 0, [])
    spool._file._database.execute("PRAGMA max_page_count = 1000000")
    spool.append(frames, {})
    assert [one.sequence for one in spool.oldest(9)] == [0, 1, 2]
    assert spool.next_sequence == 3
    spool.close()
