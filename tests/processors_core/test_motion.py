"""The motion chain: the same values in any pieces, and what it says of still and falling people."""

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from devices import codes
from devices.codes import Quantity
from processors.dsp.sample_clock import SampleClock
from processors.dsp.state import State, StateError, StateVersionError
from processors.vitals.derived import Derived
from processors.vitals.gravity import Site
from processors.vitals.motion import MotionChain
from processors.vitals.posture import POLAR_H10, Mount, Posture
from processors.vitals.reasons import NoValueReason
from tests.processors_core.synthetic_motion import (
    SUPINE,
    UPRIGHT,
    Floats,
    chest_walk,
    fall,
    noisy,
    rest,
    wrist_walk,
)

NS = 1_000_000_000
EPOCH_NS = 1_700_000_040 * NS + 123_456_789  # a minute begins 0.88 s before the second sample of it


def clock(fs_hz: int) -> SampleClock:
    return SampleClock(epoch_ns=EPOCH_NS, period_num_ns=NS, period_den=fs_hz)


def values(
    acceleration: Floats, fs_hz: int = 50, site: Site = "chest", mount: Mount | None = POLAR_H10
) -> list[Derived]:
    return MotionChain(fs_hz, clock(fs_hz), site, mount).process(acceleration, 0)


def of(quantity: Quantity, derived: list[Derived]) -> list[Derived]:
    return [value for value in derived if value.quantity is quantity]


def last(quantity: Quantity, derived: list[Derived]) -> float | None:
    return of(quantity, derived)[-1].value


EVENTFUL = np.concatenate([chest_walk(30, 110, 52, around_s=4), fall(52), rest(20, 52)], axis=1)


@given(
    cuts=st.lists(st.integers(0, EVENTFUL.shape[1]), max_size=10),
    gap=st.tuples(st.integers(0, EVENTFUL.shape[1]), st.integers(0, 9000)),
    n_overlap=st.integers(0, 200),
    i_start=st.integers(0, 2**40),
    restore=st.booleans(),
)
@settings(deadline=None, max_examples=40)
def test_pieces_repetitions_and_restarts_give_the_values_of_the_whole(
    cuts: list[int],
    gap: tuple[int, int],
    n_overlap: int,
    i_start: int,
    *,
    restore: bool,
) -> None:
    at, n_gap = gap
    n = EVENTFUL.shape[1]
    i_of = np.arange(n) + i_start + n_gap * (np.arange(n) >= at)
    whole = MotionChain(52, clock(52), "chest", POLAR_H10)
    expected = whole.process(EVENTFUL[:, :at], i_start)
    expected += whole.process(EVENTFUL[:, at:], i_start + at + n_gap)
    streaming = MotionChain(52, clock(52), "chest", POLAR_H10)

    got: list[Derived] = []
    for first, end in pairwise([0, *sorted([*cuts, at]), n]):
        again = max(first - n_overlap, at if first >= at else 0)
        got += streaming.process(EVENTFUL[:, again:end], int(i_of[again]) if again < n else 0)
        if restore:
            streaming = MotionChain.from_bytes(streaming.to_bytes())

    assert got == expected
    assert streaming.to_bytes() == whole.to_bytes()


def test_single_samples_give_the_values_of_the_whole() -> None:
    short = EVENTFUL[:, :2500]
    streaming = MotionChain(52, clock(52), "chest", POLAR_H10)

    got = [v for i in range(short.shape[1]) for v in streaming.process(short[:, i : i + 1], i)]

    assert got == values(short, 52)


def test_values_come_in_order_and_the_watermark_keeps_its_promise() -> None:
    chain = MotionChain(52, clock(52), "chest", POLAR_H10)

    times: list[int] = []
    for i in range(0, EVENTFUL.shape[1], 37):
        promised_ns = chain.watermark_ns
        given_now = [value.t_ns for value in chain.process(EVENTFUL[:, i : i + 37], i)]
        assert all(promised_ns <= t_ns < chain.watermark_ns for t_ns in given_now)
        times += given_now

    assert times == sorted(times)
    assert all(t_ns % NS == 0 for t_ns in times)


def test_intensity_is_given_each_second_and_is_that_of_a_known_wave() -> None:
    t = np.arange(3000) / 50
    swaying = np.array(UPRIGHT)[:, None] + np.zeros((3, t.size))
    swaying[1] += 0.2 * np.sin(2 * np.pi * 2 * t)

    intensity = of(codes.MOTION_INTENSITY, values(swaying))

    seconds = [value.t_ns for value in intensity]
    assert seconds == list(range(seconds[0], seconds[-1] + NS, NS))
    assert [v.value for v in intensity[5:]] == pytest.approx(
        [0.2 / 2**0.5] * len(intensity[5:]), rel=0.03
    )


def test_a_resting_chest_is_still_and_a_walking_one_moves() -> None:
    walked = values(chest_walk(60, 110, 50, around_s=30))
    stillness = of(codes.STILL, walked)

    changes = [a.value for a, b in pairwise(stillness) if a.value != b.value] + [
        stillness[-1].value
    ]
    assert changes == [1.0, 0.0, 1.0]
    assert all(value.quality == 1.0 for value in stillness)


def test_the_properties_are_the_last_things_said() -> None:
    chain = MotionChain(50, clock(50))
    assert chain.still is None
    assert chain.intensity_g is None

    derived = chain.process(rest(8, 50), 0)
    chain = MotionChain.from_bytes(chain.to_bytes())

    assert chain.still is True
    assert chain.intensity_g == last(codes.MOTION_INTENSITY, derived)

    chain.process(rest(8, 50), 1000)
    assert chain.still is True
    chain.process(rest(0.2, 50), 2000)
    assert chain.still is None
    assert chain.intensity_g is None


@pytest.mark.parametrize(
    ("gravity", "posture"),
    [
        (UPRIGHT, Posture.UPRIGHT),
        (SUPINE, Posture.SUPINE),
        ((0.0, 0.0, -1.0), Posture.PRONE),
        ((0.0, 1.0, 0.0), Posture.LEFT),
        ((0.0, -1.0, 0.0), Posture.RIGHT),
        ((-0.7, 0.0, 0.7), Posture.LEANING),
        ((0.6, 0.0, 0.8), Posture.SUPINE),  # head down
    ],
)
def test_each_posture_has_its_name(gravity: tuple[float, ...], posture: Posture) -> None:
    assert last(codes.POSTURE, values(rest(30, 50, gravity))) == posture


def test_a_posture_is_known_while_walking_and_changes_once_when_lying_down() -> None:
    turning = np.linspace(0, np.pi / 2, 150)
    down = np.array([-np.cos(turning), 0 * turning, np.sin(turning)])
    day = np.concatenate([chest_walk(60, 110, 50), noisy(down, 0.01), rest(20, 50, SUPINE)], axis=1)

    seen = [value.value for value in of(codes.POSTURE, values(day))]

    kept = [a for a, b in pairwise([*seen, None]) if a != b]
    assert kept == [Posture.UPRIGHT, Posture.SUPINE]


def test_an_arm_or_an_unknown_device_has_no_posture() -> None:
    for derived in (values(rest(30, 50), site="wrist"), values(rest(30, 50), mount=None)):
        assert {value.reason for value in of(codes.POSTURE, derived)} == {
            NoValueReason.NOT_CALIBRATED
        }


@pytest.mark.parametrize("fs_hz", [25, 50, 100, 200])
@pytest.mark.parametrize("range_g", [2.0, 8.0])
def test_a_fall_is_suspected_within_seconds_and_ends_when_getting_up(
    fs_hz: int, range_g: float
) -> None:
    fallen = np.clip(np.concatenate([fall(fs_hz), rest(20, fs_hz)], axis=1), -range_g, range_g)

    falls = of(codes.FALL, values(fallen, fs_hz))

    changes = [b for a, b in pairwise(falls) if a.value != b.value]
    assert [value.value for value in changes] == [1.0, 0.0]
    assert (changes[0].t_ns - EPOCH_NS) / NS == pytest.approx(10.5 + 5, abs=1.5)
    assert (changes[1].t_ns - EPOCH_NS) / NS == pytest.approx(30.5 + 6, abs=2)
    assert max(value.quality for value in falls if value.value) > 0.7


def test_a_fall_of_a_wrist_that_lies_still_is_suspected_with_less_confidence() -> None:
    falls = of(codes.FALL, values(fall(50), site="wrist"))

    suspected = [value for value in falls if value.value]
    assert suspected
    assert all(value.quality <= 0.75 for value in suspected)


def test_of_an_unknown_site_a_fall_must_turn_it_and_end_in_stillness() -> None:
    restless = fall(50)
    restless[1, 560:] += 0.15 * np.sin(np.arange(restless.shape[1] - 560))

    assert any(value.value for value in of(codes.FALL, values(fall(50), site="unknown")))
    assert any(value.value for value in of(codes.FALL, values(restless, site="chest")))
    for other in (restless, fall(50, after=UPRIGHT)):
        assert not any(value.value for value in of(codes.FALL, values(other, site="unknown")))


@pytest.mark.parametrize("site", ["chest", "unknown"])
def test_who_falls_back_when_trying_to_get_up_is_still_on_the_floor(site: Site) -> None:
    drop = np.array(SUPINE)[:, None] * np.full(20, 0.3)
    blow = np.array(SUPINE)[:, None] * np.full(4, 3.5)
    again = [fall(50), drop, blow, rest(40, 50, SUPINE)]

    falls = of(codes.FALL, values(np.concatenate(again, axis=1), site=site))

    suspected = [value.value for value in falls]
    assert 1.0 in suspected
    assert 0.0 not in suspected[suspected.index(1.0) :]


def jump() -> Floats:
    n = 25
    flight = np.array(UPRIGHT)[:, None] * np.full(n, 0.2)
    landing = np.array(UPRIGHT)[:, None] * np.full(6, 3.5)
    return np.concatenate([rest(10, 50), flight, landing, rest(30, 50)], axis=1)


def lie_down() -> Floats:
    turning = np.linspace(0, np.pi / 2, 60)
    down = np.array([-np.cos(turning), 0 * turning, np.sin(turning)])
    return np.concatenate([rest(10, 50), noisy(down, 0.1), rest(30, 50, SUPINE)], axis=1)


@pytest.mark.parametrize(
    "daily_life", [jump(), lie_down(), chest_walk(150, 170, 50, strength=2.0), rest(60, 50)]
)
def test_daily_life_is_no_fall(daily_life: Floats) -> None:
    falls = of(codes.FALL, values(daily_life))

    assert falls
    assert not any(value.value for value in falls)


def test_a_suspected_fall_outlives_a_gap() -> None:
    chain = MotionChain(50, clock(50), "chest", POLAR_H10)
    fallen = fall(50)
    chain.process(fallen, 0)

    after = chain.process(rest(5, 50, SUPINE), fallen.shape[1] + 200)
    after += chain.process(rest(15, 50, SUPINE), fallen.shape[1] + 450)

    falls = of(codes.FALL, after)
    assert falls[0].reason is NoValueReason.NO_SAMPLES
    assert [value.value for value in falls[1:]] == [1.0] * (len(falls) - 1)


def test_a_gap_says_so_once_and_steps_are_counted_on() -> None:
    chain = MotionChain(50, clock(50), "chest", POLAR_H10)
    walk = chest_walk(50, 110, 50)
    before = chain.process(walk, 0)
    after = chain.process(walk, walk.shape[1] + 3600 * 50)

    missing = [value for value in after if value.reason is NoValueReason.NO_SAMPLES]
    assert {value.quantity for value in missing} == {
        codes.MOTION_INTENSITY,
        codes.STILL,
        codes.POSTURE,
        codes.STEP_RATE,
        codes.FALL,
        codes.ACTIVITY_COUNTS,
    }
    assert len(of(codes.MOTION_INTENSITY, missing)) == 1
    assert last(codes.STEP_COUNT, before) == pytest.approx(50, abs=1)
    assert last(codes.STEP_COUNT, after) == pytest.approx(100, abs=2)


def test_a_minute_that_was_not_measured_has_no_counts() -> None:
    chain = MotionChain(50, clock(50))
    walk = chest_walk(200, 100, 50)

    counts = of(codes.ACTIVITY_COUNTS, chain.process(walk[:, :4000], 0))
    counts += of(codes.ACTIVITY_COUNTS, chain.process(walk[:, 4000:6500], 4500))

    # begun a moment after the minute did, a second minute with ten seconds missing
    assert counts[0].value is not None
    assert counts[1].reason is NoValueReason.NO_SAMPLES


def test_the_end_of_the_range_is_no_intensity() -> None:
    stuck = rest(70, 50)
    stuck[2] = -2.0

    derived = values(stuck)

    for quantity in (codes.MOTION_INTENSITY, codes.STILL, codes.ACTIVITY_COUNTS, codes.FALL):
        assert {value.reason for value in of(quantity, derived)} == {NoValueReason.SATURATED}
    assert all(value.value is None for value in of(codes.POSTURE, derived))


def test_an_accelerometer_that_feels_no_gravity_is_not_believed() -> None:
    derived = values(np.zeros((3, 3000)))

    assert last(codes.STILL, derived) is None
    assert of(codes.STILL, derived)[-1].reason is NoValueReason.POOR_SIGNAL
    assert of(codes.POSTURE, derived)[-1].reason is NoValueReason.POOR_SIGNAL


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
def test_a_sample_that_is_no_number_is_refused_and_changes_nothing(bad: float) -> None:
    chain = MotionChain(50, clock(50))
    chain.process(rest(5, 50), 0)
    kept = chain.to_bytes()

    with pytest.raises(ValueError, match="not a finite number"):
        chain.process(np.array([[0.0], [bad], [1.0]]), 250)
    with pytest.raises(ValueError, match="three axes"):
        chain.process(np.zeros((2, 10)), 250)

    assert chain.to_bytes() == kept


@pytest.mark.parametrize("fs_hz", [5, 500])
def test_a_rate_it_cannot_use_is_refused(fs_hz: int) -> None:
    with pytest.raises(ValueError, match="not within"):
        MotionChain(fs_hz, clock(fs_hz))


def test_samples_delivered_again_and_no_samples_give_nothing() -> None:
    chain = MotionChain(50, clock(50))
    still = rest(10, 50)
    chain.process(still, 0)
    kept = chain.to_bytes()

    assert chain.process(still, 0) == []
    assert chain.process(still[:, :0], 10**9) == []
    assert chain.to_bytes() == kept


def test_the_state_is_small_and_of_its_version_only() -> None:
    chain = MotionChain(50, clock(50), "chest", POLAR_H10)
    chain.process(chest_walk(300, 110, 50), 0)

    assert len(chain.to_bytes()) < 12_000
    with pytest.raises(StateVersionError, match="motion_chain 999"):
        MotionChain.from_bytes(State(kind="motion_chain", version=999).to_bytes())


@given(st.binary(max_size=40))
def test_any_bytes_are_no_state(junk: bytes) -> None:
    with pytest.raises(StateError):
        MotionChain.from_bytes(junk)


@given(st.lists(st.tuples(*[st.floats(-16, 16, width=32)] * 3), min_size=1, max_size=300))
@settings(deadline=None, max_examples=40)
def test_any_samples_give_values_or_reasons(samples: list[tuple[float, float, float]]) -> None:
    hostile = np.tile(np.array(samples).T, 8)

    derived = values(hostile, 10)

    assert len(of(codes.MOTION_INTENSITY, derived)) >= hostile.shape[1] // 10 - 1
    assert all(0 <= value.quality <= 1 for value in derived)


def test_a_resting_wrist_with_a_polar_verity_sense_is_still(chevet_data: Path) -> None:
    lines = (chevet_data / "polar_verity" / "Polar_Sense_ACC.txt").read_text().splitlines()[1:]
    acceleration = np.array([line.split(";")[2:5] for line in lines], dtype=np.float64).T / 1000

    derived = values(acceleration, 52, "wrist")

    stillness = [value.value for value in of(codes.STILL, derived)]
    assert np.mean(np.array(stillness[10:]) == 1.0) > 0.9
    assert last(codes.STEP_COUNT, derived) == 0
    assert not any(value.value for value in of(codes.FALL, derived))


def test_a_wrist_that_walks_has_all_but_a_posture() -> None:
    derived = values(wrist_walk(200, 105, 50), site="wrist")

    rates = [value.value for value in of(codes.STEP_RATE, derived) if value.value]
    assert max(rates) == pytest.approx(105, abs=2)
    assert last(codes.ACTIVITY_COUNTS, derived) is not None
