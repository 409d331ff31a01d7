"""What the rhythm says of a rise between two pulses: movement, early beats, a rate that doubles."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp.pulse_waves import PulseWaveDetector
from tests.processors_core.synthetic_ppg import ppg, regular_s

Floats = NDArray[np.float64]

FS_HZ = 125
DURATION_S = 60
MATCH_S = 0.1


def pulses_of(signal: Floats) -> Floats:
    detector = PulseWaveDetector(FS_HZ)
    found = np.concatenate((detector.process(signal), detector.skip(0)))
    return np.asarray(found["i_upslope"] / FS_HZ)


def light(beats_s: Floats, heights: Floats | None = None, seed: int = 0) -> Floats:
    clean = ppg(beats_s, FS_HZ, DURATION_S, heights=heights, dicrotic=0.1)
    return clean + np.random.default_rng(seed).normal(0, 0.003, clean.size)


def missed(beats_s: Floats, pulses_s: Floats) -> int:
    return int(np.sum(np.abs(beats_s[:, np.newaxis] - pulses_s).min(axis=1) > MATCH_S))


def uneven(beats_s: Floats, seed: int) -> Floats:
    """Let a steady rhythm breathe, by three in a hundred."""
    phase = np.random.default_rng(seed).uniform(0, 2 * np.pi)
    return beats_s + 0.02 * np.sin(2 * np.pi * 0.25 * beats_s + phase)


@given(
    seed=st.integers(0, 2**32),
    interval_s=st.sampled_from([0.6, 0.7, 0.8]),
    share=st.sampled_from([0.5, 0.55, 0.6]),
    height=st.sampled_from([0.5, 1.0]),
)
@settings(max_examples=30, deadline=None)
def test_a_twitch_between_two_pulses_of_an_even_rhythm_is_no_beat(
    seed: int, interval_s: float, share: float, height: float
) -> None:
    beats_s = uneven(regular_s(interval_s, DURATION_S), seed)
    signal = light(beats_s, seed=seed)
    t_s = np.arange(signal.size) / FS_HZ
    for at_s in beats_s[10::8] + share * interval_s:
        signal += height * np.exp(-np.square((t_s - at_s) / 0.04))

    found = pulses_of(signal)

    assert len(found) == len(beats_s)
    assert missed(beats_s, found) == 0


@pytest.mark.parametrize("interval_s", [0.85, 0.95])
def test_a_beat_between_two_others_counts_if_it_looks_like_one(interval_s: float) -> None:
    beats_s = regular_s(interval_s, DURATION_S)
    extra_s = beats_s[10:-1:6] + 0.55 * interval_s
    every_s = np.sort(np.concatenate((beats_s, extra_s)))
    heights = np.where(np.isin(every_s, extra_s), 0.9, 1.0)

    found = pulses_of(light(every_s, heights))

    assert len(found) == len(every_s)
    assert missed(every_s, found) == 0


def test_where_every_second_pulse_is_missing_the_few_that_come_through_count() -> None:
    beats_s = regular_s(0.45, DURATION_S)
    is_weak = np.arange(beats_s.size) % 2 == 1
    comes_through = np.arange(beats_s.size) % 14 == 7
    pulses_s = beats_s[~is_weak | comes_through]
    heights = np.where((is_weak & comes_through)[~is_weak | comes_through], 0.5, 1.0)

    found = pulses_of(light(pulses_s, heights))

    assert len(found) == len(pulses_s)
    assert missed(pulses_s, found) == 0


@pytest.mark.parametrize("interval_s", [0.6, 0.7, 0.8, 0.95])
@pytest.mark.parametrize("height", [1.0, 0.8, 0.6])
def test_a_heart_that_doubles_its_rate_at_once_is_followed(
    interval_s: float, height: float
) -> None:
    slow_s = regular_s(interval_s, DURATION_S / 2)
    fast_s = slow_s[-1] + interval_s / 2 * np.arange(1, 50)
    beats_s = np.concatenate((slow_s, fast_s))
    heights = np.where(beats_s > slow_s[-1], height, 1.0)

    found = pulses_of(light(beats_s, heights))

    assert missed(beats_s, found) <= 2
    assert missed(beats_s[beats_s > slow_s[-1] + 8 * interval_s], found) == 0


def test_no_more_than_two_rises_in_eight_beats_are_left_out() -> None:
    beats_s = regular_s(0.8, DURATION_S)
    signal = light(beats_s)
    t_s = np.arange(signal.size) / FS_HZ
    twitches_s = beats_s[20:40] + 0.4
    for at_s in twitches_s:
        signal += 2.0 * np.exp(-np.square((t_s - at_s) / 0.04))

    found = pulses_of(signal)

    n_taken = len(twitches_s) - missed(twitches_s - 0.03, found)
    assert n_taken >= len(twitches_s) - 2 * (1 + len(twitches_s) // 8)


@given(seed=st.integers(0, 2**32), scatter=st.sampled_from([0.15, 0.2, 0.3]))
@settings(max_examples=20, deadline=None)
def test_in_fibrillation_early_pulses_count(seed: int, scatter: float) -> None:
    rng = np.random.default_rng(seed)
    intervals_s = np.clip(rng.lognormal(np.log(0.75), scatter, 75), 0.45, 1.6)
    beats_s = 0.7 + np.cumsum(intervals_s)
    beats_s = beats_s[beats_s < DURATION_S - 1]
    heights = np.clip(intervals_s[: beats_s.size] / 0.75, 0.5, 1.2)

    found = pulses_of(light(beats_s, heights, seed))

    assert missed(beats_s[5:], found) <= 2
