"""Strips: what came, where it belongs, and what is missing."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ingest.frame import NS_PER_S
from processors.exports.strips import N_SAMPLES_MAX, Strip, strips_of
from tests.exports_fhir.cases import block, frame_of
from tests.pipeline.bedside import START_NS

LAST_NS = START_NS + 1_000 * NS_PER_S


def cut(*frames: object, begin_ns: int = START_NS, end_ns: int = LAST_NS) -> list[Strip]:
    return strips_of(
        frames,  # type: ignore[arg-type]
        device_id="strap-1",
        channel="ecg/II",
        begin_ns=begin_ns,
        end_ns=end_ns,
    )


@given(
    lengths=st.lists(st.integers(1, 40), min_size=1, max_size=8),
    lost=st.sets(st.integers(0, 7)),
    order=st.randoms(use_true_random=False),
)
def test_a_strip_is_what_came_however_it_was_cut(
    lengths: list[int], lost: set[int], order: object
) -> None:
    blocks, i_first = [], 0
    for length in lengths:
        blocks.append(block(i_first, list(range(i_first, i_first + length))))
        i_first += length
    kept = [one for i, one in enumerate(blocks) if i not in lost]
    twice = [frame_of(one) for one in kept + kept[:2]]
    order.shuffle(twice)  # type: ignore[attr-defined]

    strips = cut(*twice)

    if not kept:
        assert strips == []
        return
    (strip,) = strips
    came = [value for each in strip.present() for value in each.counts.tolist()]
    assert came == [value for one in kept for value in one.counts.tolist()]
    for each in strip.present():
        assert each.t0_ns == START_NS + each.period.offset_ns(each.i_first)
        assert each.counts[0] == each.i_first


def test_the_times_asked_for_are_a_half_open_interval() -> None:
    whole = block(0, list(range(100)))

    (strip,) = cut(frame_of(whole), begin_ns=whole.time_ns(10), end_ns=whole.time_ns(20))

    assert strip.block.counts.tolist() == list(range(10, 20))
    assert strip.end_ns == whole.time_ns(19)


def test_another_channel_is_not_in_it_and_no_samples_are_no_strip() -> None:
    other = block(0, [1, 2], channel="ecg/V1")

    assert cut(frame_of(other)) == []
    assert cut(frame_of(block(0, [1, 2])), begin_ns=LAST_NS, end_ns=LAST_NS + 1) == []


def test_another_grid_or_scale_is_another_strip() -> None:
    first = block(0, [1, 2, 3])
    later = block(3, [4, 5])

    shifted = cut(frame_of(first), frame_of(replace(later, t0_ns=later.t0_ns + 1_000)))
    scaled = cut(frame_of(first), frame_of(replace(later, scale=2.0)))

    assert [strip.block.n_samples for strip in shifted] == [3, 2]
    assert [strip.block.scale for strip in scaled] == [5.0, 2.0]


def test_a_strip_has_a_limit_and_says_what_to_do() -> None:
    far = block(N_SAMPLES_MAX, [1])

    with pytest.raises(ValueError, match=r"200001 samples of strap-1/ecg/II.*ask for less time"):
        cut(frame_of(block(0, [1])), frame_of(far))


def test_no_frame_is_changed() -> None:
    first = block(0, [1, 2, 3])
    before = first.counts.copy()

    (strip,) = cut(frame_of(first))
    strip.block.counts[:] = 0

    np.testing.assert_array_equal(first.counts, before)
