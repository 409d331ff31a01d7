"""Channels side by side: each sample once, whatever the order and the cut of the blocks."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.channel_group import WAIT_S, ChannelGroup, Chunk, _Piece
from processors.dsp.state import MalformedStateError, State

Floats = NDArray[np.float64]

FS_HZ = 10.0
N_WAIT = int(WAIT_S * FS_HZ)
N = 60


def joined(chunks: list[Chunk]) -> list[tuple[int, list[Floats]]]:
    """Chunks that follow one another as one, so that only gaps separate."""
    runs: list[tuple[int, list[Floats]]] = []
    for chunk in chunks:
        if runs and chunk.i_first == runs[-1][0] + sum(part.shape[1] for part in runs[-1][1]):
            runs[-1][1].append(chunk.samples)
        else:
            runs.append((chunk.i_first, [chunk.samples]))
    return runs


def rows(chunks: list[Chunk]) -> list[tuple[int, list[list[float]]]]:
    return [(i, np.concatenate(parts, axis=1).tolist()) for i, parts in joined(chunks)]


def ramp(n_channel: int, begin: int, end: int) -> Floats:
    return 1000.0 * n_channel + np.arange(begin, end, dtype=np.float64)


def test_two_channels_come_out_side_by_side_and_each_sample_once() -> None:
    group = ChannelGroup(2, FS_HZ, 5)
    group.add(0, 0, ramp(0, 0, 10))
    group.add(1, 5, ramp(1, 5, 8))

    first = group.take()
    group.add(1, 6, ramp(1, 6, 10))
    second = group.take()

    assert rows(first) == [(5, [[5, 6, 7], [1005, 1006, 1007]])]
    assert rows(second) == [(8, [[8, 9], [1008, 1009]])]
    assert group.n_samples_repeated == 5 + 2


def test_behind_a_gap_of_all_channels_the_first_one_waits_for_the_others() -> None:
    group = ChannelGroup(2, FS_HZ, 0)
    for n in range(2):
        group.add(n, 0, ramp(n, 0, 3))
    group.take()
    i_back = 3 + 2 * N_WAIT

    group.add(0, i_back, ramp(0, 0, 5))
    alone = group.take()
    group.add(1, i_back, ramp(1, 0, 5))
    together = group.take()

    assert alone == []
    assert [(i, len(both)) for i, both in rows(together)] == [(i_back, 2)]
    assert together[0].samples[1].tolist() == ramp(1, 0, 5).tolist()


def test_a_channel_that_does_not_come_back_is_waited_for_once() -> None:
    group = ChannelGroup(2, FS_HZ, 0)
    for n in range(2):
        group.add(n, 0, ramp(n, 0, 3))
    group.take()
    i_back = 3 + 2 * N_WAIT

    group.add(0, i_back, ramp(0, 0, N_WAIT + 1))
    waited = group.take()
    group.add(0, i_back + N_WAIT + 1, ramp(0, 0, 1))
    at_once = group.take()

    assert [chunk.samples.shape for chunk in waited] == [(2, N_WAIT + 1)]
    assert [chunk.samples.shape for chunk in at_once] == [(2, 1)]


def test_where_no_channel_has_samples_is_a_gap_even_a_long_one() -> None:
    group = ChannelGroup(2, FS_HZ, 0)
    for i_first in (0, 2**50):
        for n in range(2):
            group.add(n, i_first, ramp(n, 0, 3))

    assert [i for i, _ in rows(group.take())] == [0, 2**50]


def test_a_channel_without_samples_holds_its_last_value() -> None:
    group = ChannelGroup(2, FS_HZ, 0)
    group.add(0, 0, ramp(0, 0, 8))
    group.add(1, 0, ramp(1, 0, 3))
    group.add(1, 6, ramp(1, 6, 8))

    [(_, (_, second))] = rows(group.take())

    assert second == [1000, 1001, 1002, 1002, 1002, 1002, 1006, 1007]


def test_a_channel_that_stays_away_is_waited_for_two_seconds_and_then_no_more() -> None:
    group = ChannelGroup(2, FS_HZ, 0)
    group.add(0, 0, ramp(0, 0, N_WAIT))

    waited = group.take()
    group.add(0, N_WAIT, ramp(0, N_WAIT, N_WAIT + 1))
    given_up = group.take()

    assert waited == []
    assert rows(given_up)[0][1][0] == ramp(0, 0, N_WAIT + 1).tolist()


def test_at_the_end_everything_is_given() -> None:
    group = ChannelGroup(2, FS_HZ, 0)
    group.add(0, 0, ramp(0, 0, 4))

    assert [chunk.samples.shape for chunk in group.take_all()] == [(2, 4)]
    assert group.take_all() == []


@st.composite
def deliveries(draw: st.DrawFn) -> list[tuple[int, int, int]]:
    """Both channels from 0 to N in order with gaps and repeats, never 2 s apart."""
    found: list[tuple[int, int, int]] = []
    ends = [0, 0]
    while min(ends) < N:
        n = 0 if ends[0] <= ends[1] else 1
        begin = max(0, ends[n] + draw(st.integers(-2, 2)))
        end = min(N, begin + draw(st.integers(1, N_WAIT // 2)))
        if end > begin:
            found.append((n, begin, end))
        ends[n] = max(ends[n], end)
        if begin >= N:
            break
    return found


@given(deliveries(), st.lists(st.booleans(), min_size=1))
def test_when_it_is_asked_and_restored_makes_no_difference(
    blocks: list[tuple[int, int, int]], asked: list[bool]
) -> None:
    whole = ChannelGroup(2, FS_HZ, 0)
    pieces = ChannelGroup(2, FS_HZ, 0)
    found: list[Chunk] = []
    for k, (n, begin, end) in enumerate(blocks):
        whole.add(n, begin, ramp(n, begin, end))
        pieces.add(n, begin, ramp(n, begin, end))
        if asked[k % len(asked)]:
            found += pieces.take()
            pieces = ChannelGroup.from_bytes(pieces.to_bytes())

    assert rows(found + pieces.take_all()) == rows(whole.take_all())
    assert pieces.n_samples_repeated == whole.n_samples_repeated


def test_a_state_without_channels_is_refused() -> None:
    state = State(
        kind="channel_group",
        version=1,
        scalars={"fs_hz": 1.0, "i_next": 0, "n_samples_repeated": 0},
        arrays={"i_ends": np.zeros(0, dtype=np.int64), "last": np.zeros(0)},
    )

    with pytest.raises(MalformedStateError, match="without channels"):
        ChannelGroup.from_bytes(state.to_bytes())


def test_pieces_that_follow_one_another_are_one_chunk() -> None:
    group = ChannelGroup(2, FS_HZ, 0)
    for i in range(10):
        group.add(0, i, ramp(0, i, i + 1))
    group.add(1, 0, ramp(1, 0, 10))

    assert [(chunk.i_first, chunk.samples.shape) for chunk in group.take()] == [(0, (2, 10))]


def test_the_work_for_many_pieces_grows_with_their_number_and_not_its_square(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A Frame of the longest record may bring a hundred thousand blocks of one sample."""
    n_asked = 0

    def counted(piece: _Piece) -> int:
        nonlocal n_asked
        n_asked += 1
        return piece.i_first + piece.samples.size

    monkeypatch.setattr(_Piece, "i_end", property(counted))
    group = ChannelGroup(1, 1000.0, 0)
    for i in range(0, 2000, 2):
        group.add(0, i, ramp(0, i, i + 1))

    assert len(group.take_all()) == 1000
    assert n_asked < 10 * 1000


@given(
    n_channels=st.integers(1, 3),
    sizes=st.lists(st.integers(1, 4), min_size=1, max_size=6),
    late=st.none() | st.integers(0, 5),
)
def test_passing_on_is_adding_and_taking(
    n_channels: int, sizes: list[int], late: int | None
) -> None:
    """Also behind a block that one channel lacked: level again when all have the next one."""
    passed, taken = (ChannelGroup(n_channels, FS_HZ, 3) for _ in range(2))
    of_passed: list[Chunk] = []
    of_taken: list[Chunk] = []
    i_first = 3
    for k, size in enumerate(sizes):
        blocks = [ramp(n, i_first, i_first + size) for n in range(n_channels)]
        there = blocks[: max(1, n_channels - 1)] if k == late else blocks
        if len(there) == n_channels and passed.is_level_at(i_first):
            of_passed.append(passed.pass_on(i_first, there))
        else:
            for n, block in enumerate(there):
                passed.add(n, i_first, block)
            of_passed += passed.take()
        for n, block in enumerate(there):
            taken.add(n, i_first, block)
        of_taken += taken.take()
        i_first += size
        assert passed.to_bytes() == taken.to_bytes()

    assert rows(of_passed) == rows(of_taken)
    assert not passed.is_level_at(i_first - 1)
    assert passed.is_level_at(i_first) is (n_channels == 1 or late != len(sizes) - 1)
