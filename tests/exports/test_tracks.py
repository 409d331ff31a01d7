"""From blocks to tracks: what is one piece, and what is not."""

from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.frame import NS_PER_S, SamplePeriod, WaveformBlock
from processors.exports.tracks import GAP_S_MAX, common_rate, signal_name, tracks_of
from tests.exports.blocks import T0_NS, block, channels


@given(made=channels())
def test_every_sample_is_in_its_place_and_what_is_missing_is_missing(
    made: list[list[WaveformBlock]],
) -> None:
    tracks = tracks_of(one for of_channel in made for one in of_channel)

    assert len(tracks) == len(made)
    for track, of_channel in zip(tracks, made, strict=True):
        assert track.deviation_ns == 0
        assert track.t0_ns == of_channel[0].t0_ns
        found: dict[int, int] = {}
        for begin, end in track.runs():
            found |= dict(
                zip(range(begin, end), track.signal.counts[begin:end].tolist(), strict=True)
            )
        i_first = of_channel[0].i_first
        assert found == {
            one.i_first - i_first + i: value
            for one in of_channel
            for i, value in enumerate(one.counts.tolist())
        }


@given(data=st.data())
def test_blocks_that_come_again_are_taken_once(data: st.DataObject) -> None:
    counts = list(range(60))
    cuts = sorted(data.draw(st.sets(st.integers(1, 59), max_size=6)))
    blocks = [block(a, counts[a:b]) for a, b in zip([0, *cuts], [*cuts, 60], strict=True)]
    again = [one for i, one in enumerate(blocks) for one in blocks[max(0, i - 1) : i + 1]]

    (track,) = tracks_of(again)

    assert track.signal.counts.tolist() == counts
    assert track.signal.missing == ()


def test_another_scale_another_numbering_and_a_long_gap_begin_another_track() -> None:
    hours = 250 * (GAP_S_MAX + 1)
    later_ns = T0_NS + 10 * NS_PER_S
    blocks = [
        block(0, [1, 2]),
        block(2, [3], scale=2.5),
        block(3 + hours, [4], scale=2.5),
        block(0, [5], scale=2.5, t0_ns=later_ns + hours * 4_000_000),
    ]

    tracks = tracks_of(blocks)

    assert [track.signal.counts.tolist() for track in tracks] == [[1, 2], [3], [4], [5]]
    assert [track.t0_ns for track in tracks] == [blocks[i].t0_ns for i in (0, 1, 2, 3)]


def test_a_rate_that_was_found_to_be_another_is_one_track_that_says_how_wrong_it_is() -> None:
    first = block(0, range(1000))
    slower = SamplePeriod(ns_numerator=4_000_400, ns_denominator=1)
    second = replace(block(1000, range(1000)), period=slower)

    (track,) = tracks_of([first, second])

    times_ns = np.concatenate([first.times_ns(), second.times_ns()])
    even_ns = T0_NS + np.arange(2000) * float(NS_PER_S / track.rate)
    assert track.signal.counts.size == 2000
    assert np.abs(times_ns - even_ns).max() <= track.deviation_ns + 1e3
    assert track.deviation_ns == pytest.approx(200_000, rel=0.01)


def test_a_time_that_leaps_begins_another_track() -> None:
    leaping = block(20, [1], t0_ns=T0_NS + 20 * 4_000_000 + 500_000_000)

    assert len(tracks_of([block(0, range(10)), leaping])) == 2


def test_names_are_those_of_recordings() -> None:
    assert [signal_name(one) for one in ("ecg/MLII", "ecg", "acc/x", "ppg/red", "PLETH")] == [
        "MLII",
        "ecg",
        "acc/x",
        "red",
        "PLETH",
    ]


def test_the_common_rate_is_the_greatest_measure() -> None:
    assert common_rate([Fraction(250), Fraction(125), Fraction(50)]) == 25
    assert common_rate([Fraction(1000, 7), Fraction(100, 7)]) == Fraction(100, 7)
