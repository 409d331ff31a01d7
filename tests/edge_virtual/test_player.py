"""The arithmetic of playing: grids, beats, frames."""

import asyncio
import itertools
from dataclasses import replace
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from edge.virtual.player import (
    NS_PER_S,
    BeatTrain,
    Body,
    SampleGrid,
    SampleTable,
    SteadyClock,
    StreamPlayer,
    ticks,
)
from ingest.errors import RecordingError
from tests.edge_virtual.conftest import START_NS, HandClock, ecg_recording, let_run

RATES = st.sampled_from([Fraction(125), Fraction(360), Fraction(117), Fraction(624725, 10000)])


@given(rate=RATES, i_sample=st.integers(0, 10**10))
def test_grid_finds_each_sample_at_its_own_time(rate: Fraction, i_sample: int) -> None:
    grid = SampleGrid(START_NS, rate)

    assert abs(grid.time_ns(i_sample) - START_NS - i_sample * NS_PER_S / rate) <= Fraction(1, 2)
    assert grid.i_from(grid.time_ns(i_sample)) == i_sample
    assert grid.i_from(grid.time_ns(i_sample) + 1) == i_sample + 1
    assert grid.n_taken(grid.time_ns(i_sample)) == i_sample + 1
    assert grid.n_taken(grid.time_ns(i_sample) - 1) == i_sample


def test_grid_has_taken_nothing_before_its_start() -> None:
    grid = SampleGrid(START_NS, Fraction(360))

    assert grid.n_taken(START_NS - 1) == 0
    assert grid.i_from(START_NS - NS_PER_S) == 0


async def played(
    clock: HandClock, n_per_frame: int, moves_s: list[float]
) -> list[NDArray[np.int32]]:
    frames: list[NDArray[np.int32]] = []

    async def send(i_first: int, samples: NDArray[np.int32]) -> None:
        assert i_first == sum(len(frame) for frame in frames)
        frames.append(samples)

    table = SampleTable(np.arange(1000, dtype=np.int32).reshape(-1, 1))
    player = StreamPlayer(clock, SampleGrid(START_NS, Fraction(100)), table, n_per_frame, send)
    run = asyncio.create_task(player.run())
    await let_run()
    for move_s in moves_s:
        await clock.advance(move_s)
    await player.stop()
    await run
    return frames


@pytest.mark.parametrize("moves_s", [[2.345], [0.001] * 2345, [2.0, 0.0, 0.345], [1.1, 1.2, 0.045]])
async def test_frames_are_the_same_however_time_passes(moves_s: list[float]) -> None:
    frames = await played(HandClock(), 30, moves_s)

    assert np.concatenate(frames)[:, 0].tolist() == list(range(235))
    assert [len(frame) for frame in frames] == [30] * 7 + [25]


async def test_late_loop_catches_up_with_whole_frames() -> None:
    clock = HandClock()
    frames: list[int] = []
    leave = asyncio.Event()

    async def send(_i_first: int, samples: NDArray[np.int32]) -> None:
        frames.append(len(samples))
        await leave.wait()

    table = SampleTable(np.zeros((10, 1), dtype=np.int32))
    player = StreamPlayer(clock, SampleGrid(START_NS, Fraction(100)), table, 10, send)
    run = asyncio.create_task(player.run())
    await let_run()

    await clock.advance(5.0)
    assert frames == [10]
    leave.set()
    await let_run()
    await player.stop()
    await run

    assert frames == [10] * 50 + [1]


async def test_ticks_missed_by_a_late_loop_are_given_all() -> None:
    clock = HandClock()
    seen: list[int] = []

    async def watch() -> None:
        async for t_ns in ticks(clock, START_NS, 0.5):
            seen.append(t_ns)  # noqa: PERF401 - cancelled, it keeps what it has

    watcher = asyncio.create_task(watch())
    await let_run()
    clock._now_ns += 10 * NS_PER_S  # a jump that wakes nobody
    await clock.advance(0.0)
    await let_run()
    await let_run()
    watcher.cancel()
    with pytest.raises(asyncio.CancelledError):
        await watcher

    assert seen == [START_NS + k * NS_PER_S // 2 for k in range(21)]


async def test_ticks_begin_with_the_next_one() -> None:
    clock = HandClock()
    await clock.advance(1.2)
    times = ticks(clock, START_NS, 0.5)
    first = asyncio.ensure_future(anext(times))
    await let_run()

    await clock.advance(1.0)

    assert await first == START_NS + NS_PER_S * 3 // 2
    await times.aclose()


async def test_steady_clock_runs_at_its_speed_and_sleeps_to_the_time() -> None:
    clock = SteadyClock(speed=1000)
    begin_ns = clock.now_ns()

    await clock.sleep_until(begin_ns + 5 * NS_PER_S)

    assert 5 * NS_PER_S <= clock.now_ns() - begin_ns < 500 * NS_PER_S
    with pytest.raises(ValueError, match="not positive"):
        SteadyClock(speed=0)


BEATS_S = np.array([0.3, 1.0, 1.9, 2.5])
DURATION_S = Fraction(3)


@given(cuts_s=st.lists(st.floats(0, 30), max_size=20))
def test_each_rr_interval_comes_once_however_time_is_cut(cuts_s: list[float]) -> None:
    train = BeatTrain(BEATS_S, DURATION_S)
    edges_s = [0.0, *sorted(cuts_s), 30.0]

    pieces = [
        rr
        for after_s, until_s in itertools.pairwise(edges_s)
        for rr in train.rr_intervals_s(after_s, until_s)
    ]

    played_s = np.concatenate([BEATS_S + 3 * k for k in range(10)])
    assert pieces == (np.diff(np.rint(played_s * 1024)) / 1024).tolist()
    assert list(train.rr_intervals_s(0.0, 30.0)) == pieces


def test_rounding_of_rr_intervals_does_not_add_up() -> None:
    beats_s = np.arange(2000, dtype=np.float64) * np.float64(0.7003)
    train = BeatTrain(beats_s, None)

    assert sum(train.rr_intervals_s(0, 1400)) == pytest.approx(beats_s[1999], abs=1 / 1024)


def test_rate_is_the_mean_of_the_last_beats_and_none_without() -> None:
    train = BeatTrain(BEATS_S, None)

    assert train.rate_bpm(0.9) is None
    assert train.rate_bpm(2.0) == pytest.approx(60 * 2 / 1.6, rel=2e-3)
    assert train.rate_bpm(100.0) is None
    assert BeatTrain(np.array([]), DURATION_S).rate_bpm(10.0) is None


def test_interval_too_long_to_state_is_left_out() -> None:
    train = BeatTrain(np.array([0.0, 64.0, 65.0]), None)

    assert train.rr_intervals_s(0, 100) == (1.0,)


def test_body_places_an_instant_in_its_recording() -> None:
    recording = ecg_recording(duration_s=20)
    instant_ns = START_NS + 50 * NS_PER_S

    assert Body(recording=recording, start_ns=START_NS).recording_s(instant_ns) == 10
    assert Body(recording=recording, start_ns=START_NS, loops=False).recording_s(instant_ns) == 50


def test_a_sensor_cannot_play_what_was_not_measured() -> None:
    whole = ecg_recording(duration_s=20)
    (signal,) = whole.signals
    torn = replace(signal, missing=((1_300, 1_310), (1_400, 1_401)))
    pressure = replace(torn, name="ABP", kind="pressure")

    with pytest.raises(RecordingError, match=r"signal \w+ has 11 of \d+ samples without.* \d+\.\d"):
        Body(recording=replace(whole, signals=(torn,)), start_ns=START_NS)
    # What no sensor plays may have gaps.
    Body(recording=replace(whole, signals=(signal, pressure, torn)), start_ns=START_NS)
