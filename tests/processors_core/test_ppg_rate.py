"""Which intervals the pulse rate believes: beats without a pulse, movement, irregular rhythm."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices import codes
from devices.codes import Quantity
from processors.dsp.sample_clock import SampleClock
from processors.scoring.rates import reference_rates_bpm
from processors.vitals.derived import Derived
from processors.vitals.ppg import PpgChain
from processors.vitals.reasons import NoValueReason
from tests.processors_core.synthetic_ppg import ppg, regular_s

Floats = NDArray[np.float64]

S = 10**9
FS_HZ = 125


def outputs_of(signal: Floats, *quantities: Quantity) -> list[list[Derived]]:
    clock = SampleClock(epoch_ns=0, period_num_ns=S, period_den=FS_HZ)
    chain = PpgChain(FS_HZ, clock)
    found = [one for one in chain.process(signal, 0) if isinstance(one, Derived)]
    return [[one for one in found if one.quantity is quantity] for quantity in quantities]


def rates_of(signal: Floats) -> dict[int, Derived]:
    (rates,) = outputs_of(signal, codes.PULSE_RATE)
    return {one.t_ns // S: one for one in rates}


def noise(n: int, rms: float, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, rms, n)


def movement(n: int, seed: int) -> Floats:
    """Noise of the band in which pulses are, RMS 1."""
    hz = np.fft.rfftfreq(n, 1 / FS_HZ)
    rng = np.random.default_rng(seed)
    spectrum = (rng.normal(size=hz.size) + 1j * rng.normal(size=hz.size)) * (hz > 0.3) * (hz < 6)
    made = np.fft.irfft(spectrum / np.maximum(hz, 0.3), n)
    return np.asarray(made / made.std())


@pytest.mark.parametrize("interval_s", [0.5, 0.8, 1.1])
def test_a_beat_without_a_pulse_does_not_slow_the_rate_and_its_interval_is_marked(
    interval_s: float,
) -> None:
    beats_s = regular_s(interval_s, 60)
    i_missing = beats_s.size // 2
    signal = ppg(np.delete(beats_s, i_missing), FS_HZ, 60) + noise(60 * FS_HZ, 0.003)

    rates, intervals = outputs_of(signal, codes.PULSE_RATE, codes.PP_INTERVAL)

    shown = [one.value for one in rates if one.value is not None]
    assert shown == pytest.approx([60 / interval_s] * len(shown), rel=0.02)
    assert len(shown) >= len(rates) - 16
    double = [one for one in intervals if (one.value or 0) > 1.7e3 * interval_s]
    assert len(double) == 1
    assert double[0].quality < 0.4
    assert min(one.quality for one in intervals[5:20]) > 0.7


def test_the_quality_falls_where_a_pulse_is_missing() -> None:
    beats_s = regular_s(0.8, 60)
    signal = ppg(np.delete(beats_s, 40), FS_HZ, 60) + noise(60 * FS_HZ, 0.003)

    rates = rates_of(signal)

    missing_s = int(beats_s[40])
    assert rates[missing_s + 3].quality < rates[missing_s - 3].quality - 0.01
    assert rates[missing_s + 14].quality > 0.98


def test_a_rate_that_halves_at_once_is_withheld_until_it_has_lasted() -> None:
    steady = regular_s(0.8, 61)
    beats_s = np.concatenate((steady, steady[-1] + 1.6 * np.arange(1, 40)))
    signal = ppg(beats_s, FS_HZ, 120) + noise(120 * FS_HZ, 0.003)

    rates = rates_of(signal)

    soon = [rates[t] for t in range(62, 85)]
    assert all(one.value is None or one.value > 60 for one in soon)
    assert sum(one.reason is NoValueReason.PULSE_DEFICIT_SUSPECTED for one in soon) >= 10
    assert rates[117].value == pytest.approx(37.5, abs=1)


@given(seed=st.integers(0, 2**32), length_s=st.sampled_from([1, 2, 3]))
@settings(max_examples=15, deadline=None)
def test_a_movement_hides_the_rate_for_some_seconds_and_never_makes_it_wrong(
    seed: int, length_s: int
) -> None:
    signal = ppg(regular_s(0.75, 60), FS_HZ, 60) + noise(60 * FS_HZ, 0.003)
    moved = slice(30 * FS_HZ, (30 + length_s) * FS_HZ)
    signal[moved] += 2 * movement(length_s * FS_HZ, seed)

    rates = rates_of(signal)

    for t in range(12, 58):
        value = rates[t].value
        assert value is None or abs(value - 80) <= 5, t
    back_s = 30 + length_s + 11
    assert all(rates[t].value is not None for t in range(back_s, 58))


@pytest.mark.parametrize("seed", range(4))
def test_movement_alone_gives_hardly_any_rate(seed: int) -> None:
    rates = rates_of(movement(120 * FS_HZ, seed)).values()

    assert sum(one.value is not None for one in rates) <= 0.03 * len(rates)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=15, deadline=None)
def test_in_an_irregular_rhythm_the_rate_is_the_mean_and_not_that_of_the_usual_interval(
    seed: int,
) -> None:
    rng = np.random.default_rng(seed)
    intervals_s = rng.uniform(0.5, 1.0, 90)
    beats_s = 0.7 + np.cumsum(intervals_s)
    heights = np.clip(intervals_s / 0.75, 0.4, 1.2)
    signal = ppg(beats_s, FS_HZ, 60, heights=heights, dicrotic=0.1) + noise(60 * FS_HZ, 0.003, seed)

    rates = rates_of(signal)

    at_s = np.arange(12.0, 58.0)
    reference = reference_rates_bpm(beats_s, at_s)
    errors = np.array([rates[int(t)].value or np.nan for t in at_s]) - reference
    shown = np.isfinite(errors)
    assert shown.mean() >= 0.3
    assert np.mean(np.abs(errors[shown]) <= 5) >= 0.95


def test_a_rate_needs_intervals_that_began_after_the_sensor_came_back() -> None:
    signal = ppg(regular_s(0.8, 60), FS_HZ, 60)
    signal[20 * FS_HZ : 24 * FS_HZ] = signal[20 * FS_HZ]

    rates = rates_of(signal)

    assert rates[23].reason is NoValueReason.LEAD_OFF
    assert rates[25].value is None
    back = [rates[t].value for t in range(25, 58) if rates[t].value is not None]
    assert len(back) >= 25
    assert back == pytest.approx([75] * len(back), abs=1)


@given(
    samples=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=120),
    repeat=st.integers(1, 60),
    turn=st.booleans(),
)
@settings(max_examples=40, deadline=None)
def test_whatever_the_samples_a_quality_is_a_probability_and_a_rate_is_possible(
    samples: list[float],
    repeat: int,
    turn: bool,  # noqa: FBT001
) -> None:
    hostile = np.repeat(np.array(samples), repeat)
    pulses = ppg(regular_s(0.8, 20), FS_HZ, 20)
    signal = np.concatenate((pulses, hostile, -pulses if turn else pulses))

    rates, qualities = outputs_of(signal, codes.PULSE_RATE, codes.PULSE_QUALITY)

    assert all(0 <= one.quality <= 1 for one in rates + qualities)
    assert all(one.value is None or 10 < one.value < 250 for one in rates)
