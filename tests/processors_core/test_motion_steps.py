"""Steps and activity counts: known walks at any rate of sampling, and what is no walk."""

from collections.abc import Callable
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from scipy import signal

from processors.dsp.counts_kernel import COUNTS, SMOOTHED, STRAIGHT, follow_counts
from processors.dsp.gait_kernel import GAIT, follow_gait, judge_gait
from processors.dsp.kernel import new_record
from processors.dsp.motion_kernel import MOTION, follow_motion
from processors.vitals import activity_counts
from processors.vitals.activity_counts import ActivityCounter
from processors.vitals.gravity import Site
from processors.vitals.steps import StepCounter
from tests.processors_core.synthetic_motion import (
    Floats,
    car_ride,
    chest_walk,
    noisy,
    rest,
    wrist_walk,
)


def steps(acceleration: Floats, fs_hz: int, site: Site = "chest") -> int:
    counter = StepCounter(fs_hz, site)
    for i in range(0, acceleration.shape[1], fs_hz):
        counter.process(acceleration, i, min(i + fs_hz, acceleration.shape[1]))
        counter.judge()
    return counter.n_steps


def vector(counter: ActivityCounter, acceleration: Floats) -> tuple[float, float, float]:
    counter.process(acceleration, 0, acceleration.shape[1])
    return counter.take()


@pytest.mark.parametrize("fs_hz", [25, 50, 52, 100, 200])
@pytest.mark.parametrize("cadence", [60, 80, 100, 120, 140, 160, 180])
def test_a_chest_that_walks_a_hundred_steps_has_walked_them(fs_hz: int, cadence: int) -> None:
    assert steps(chest_walk(100, cadence, fs_hz), fs_hz) == pytest.approx(100, abs=2)


@pytest.mark.parametrize("cadence", [70, 100, 130])
@pytest.mark.parametrize("seed", [3, 4])
def test_the_same_walk_has_the_same_steps_at_any_rate(cadence: int, seed: int) -> None:
    counted = {steps(chest_walk(80, cadence, fs, seed=seed), fs) for fs in (25, 50, 52, 100, 200)}

    assert max(counted) - min(counted) <= 1


@pytest.mark.parametrize("cadence", [60, 80, 100, 120, 140])
@pytest.mark.parametrize("fs_hz", [25, 52, 100])
def test_a_wrist_that_swings_counts_every_step(fs_hz: int, cadence: int) -> None:
    walk = wrist_walk(100, cadence, fs_hz)

    assert steps(walk, fs_hz, "wrist") == pytest.approx(100, abs=4)


@pytest.mark.parametrize("swing_deg", [0, 10, 35, 50])
@pytest.mark.parametrize("cadence", [80, 110])
def test_an_arm_may_swing_as_it_likes(swing_deg: float, cadence: int) -> None:
    walk = wrist_walk(100, cadence, 50, swing_deg=swing_deg)

    assert steps(walk, 50, "wrist") == pytest.approx(100, abs=4)


def test_noise_and_an_uneven_gait_change_little() -> None:
    uneven = chest_walk(100, 95, 50, strength=0.6, jitter=0.06)

    assert steps(noisy(uneven, 0.05), 50) == pytest.approx(100, abs=3)


def test_a_shuffling_gait_is_a_gait() -> None:
    assert steps(chest_walk(60, 90, 50, strength=0.4, jitter=0.05), 50) == pytest.approx(60, abs=3)


def test_a_short_walk_counts_and_a_turn_in_bed_does_not() -> None:
    assert steps(chest_walk(10, 100, 50), 50) == pytest.approx(10, abs=1)
    assert steps(chest_walk(3, 100, 50), 50) == 0


@pytest.mark.parametrize("site", ["chest", "wrist"])
@pytest.mark.parametrize("seed", [2, 3, 5])
def test_a_car_ride_of_ten_minutes_is_hardly_a_walk(site: Site, seed: int) -> None:
    assert steps(car_ride(600, 50, seed), 50, site) <= 12


def test_rest_and_noise_have_no_steps() -> None:
    assert steps(rest(120, 50), 50) == 0
    assert steps(noisy(rest(300, 50), 0.2), 50) == 0


def test_a_recorded_walk_of_twenty_seconds_has_its_steps(chevet_data: Path) -> None:
    lines = (chevet_data / "misc" / "biosppy" / "acc.txt").read_text().splitlines()
    rows = [line.split() for line in lines if not line.startswith("#")]
    walk = np.ascontiguousarray(np.array(rows, dtype=np.float64).T)

    # two steps in 1.05 s; the last second and a half is never judged
    assert steps(walk, 100) == pytest.approx((20 - 1.5) / 1.05 * 2, abs=3)


@pytest.mark.parametrize(
    ("fs_hz", "published"),
    [
        (30, (3746.0, 1984.0, 2371.0)),
        (50, (3752.0, 1969.0, 2407.0)),
        (100, (3743.0, 2003.0, 2372.0)),
    ],
)
def test_counts_are_those_of_the_published_implementation(
    fs_hz: int, published: tuple[float, float, float]
) -> None:
    t = np.arange(60 * fs_hz) / fs_hz
    waves = np.array(
        [
            0.3 * np.sin(2 * np.pi * 1.1 * t) * (t > 20),
            1 + 0.2 * np.sin(2 * np.pi * 1.8 * t),
            0.15 * np.sin(2 * np.pi * 0.5 * t) + 0.1 * np.sin(2 * np.pi * 7.3 * t),
        ]
    )

    assert vector(ActivityCounter(fs_hz), waves) == published


def test_the_band_of_the_counts_is_the_published_one() -> None:
    _, response = signal.freqz(
        activity_counts._B, activity_counts._A, worN=[0.02, 0.29, 0.76, 1.63, 10.0], fs=30
    )

    share = np.abs(response) / np.abs(response[2])
    assert share[0] < 0.05
    assert share[1] == pytest.approx(2**-0.5, abs=0.03)
    assert share[3] == pytest.approx(2**-0.5, abs=0.03)
    assert share[4] < 0.02


@pytest.mark.parametrize("fs_hz", [25, 52, 64, 128, 200, 400])
def test_counts_hardly_depend_on_the_rate(fs_hz: int) -> None:
    at_30 = np.hypot.reduce(vector(ActivityCounter(30), chest_walk(100, 100, 30)))
    here = np.hypot.reduce(vector(ActivityCounter(fs_hz), chest_walk(100, 100, fs_hz)))

    assert here == pytest.approx(at_30, rel=0.04)
    assert vector(ActivityCounter(fs_hz), rest(60, fs_hz)) == (0.0, 0.0, 0.0)


Form = Callable[..., None]


def compiled(kernel: Form) -> Form:
    return kernel


def source_of(kernel: Form) -> Form:
    return cast("Form", cast("Any", kernel).py_func)


def test_kernels_and_their_sources_agree_bit_for_bit() -> None:
    walk = np.ascontiguousarray(chest_walk(12, 110, 50, around_s=1.0))
    n = walk.shape[1]
    counter, pacer = ActivityCounter(52), StepCounter(50, "chest")
    band = (counter._b, counter._a, counter._at_rest)
    lowpass = np.ascontiguousarray(signal.butter(2, 0.3, fs=50, output="sos")[0])

    states: list[bytes] = []
    for form in (compiled, source_of):
        motion, counts, gait = new_record(MOTION), new_record(COUNTS), new_record(GAIT)
        form(follow_motion)(motion, lowpass, walk, 0, n, 2, 50, 0.6, 2.0)
        for between in (SMOOTHED, STRAIGHT):
            form(follow_counts)(counts, *band, walk, 0, n, 1, 3, 5, between, 17.1)
        form(follow_gait)(gait, pacer._sos, pacer._at_rest, walk, 0, n, 2)
        form(judge_gait)(gait, 100, *pacer._lags, 38, 28, 0.6)
        states.append(motion.tobytes() + counts.tobytes() + gait.tobytes())

    assert states[0] == states[1]
