"""Spectra of NN intervals: against SciPy, against Fourier, and against what was put in."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from processors.vitals import hrv_kernel
from processors.vitals.hrv_spectrum import Spectrum, lomb_scargle, ulf_power_ms2
from processors.vitals.nn_intervals import TooFewIntervalsError
from tests.processors_core.simulated_nn import ipfm_beats_s, sinus_beats_s

Floats = NDArray[np.float64]

WINDOW_S = 300.0


def five_minutes(beats_s: Floats) -> tuple[Floats, Floats]:
    """Times and lengths of the intervals that end in the second five minutes."""
    interval_s, t_s = np.diff(beats_s), beats_s[1:]
    inside = (t_s > WINDOW_S) & (t_s <= 2 * WINDOW_S)
    return t_s[inside] - WINDOW_S, interval_s[inside]


def spectrum_of(beats_s: Floats) -> Spectrum:
    t_s, nn_s = five_minutes(beats_s)
    return lomb_scargle(t_s, nn_s, WINDOW_S)


def test_the_density_is_that_of_scipy() -> None:
    t_s, nn_s = five_minutes(sinus_beats_s(800))
    line = np.polyfit(t_s, 1e3 * nn_s, 1)
    off_ms = 1e3 * nn_s - np.polyval(line, t_s)

    spectrum = lomb_scargle(t_s, nn_s, WINDOW_S)

    expected = signal.lombscargle(t_s, off_ms, 2 * np.pi * spectrum.frequency_hz)
    np.testing.assert_allclose(spectrum.density_ms2_per_hz, 2 * nn_s.mean() * expected, rtol=1e-9)


def test_on_an_even_grid_it_is_the_periodogram_and_its_sum_the_variance() -> None:
    nn_s = 0.75 + 0.05 * np.random.default_rng(1).standard_normal(400)
    t_s = 0.75 * np.arange(1.0, 401.0)
    nn_s += 0.75 - nn_s.mean()

    spectrum = lomb_scargle(t_s, nn_s, WINDOW_S, f_hz_max=math.inf, trend=False)

    _, density = signal.periodogram(1e3 * nn_s, 1 / 0.75, detrend="constant")
    np.testing.assert_allclose(spectrum.density_ms2_per_hz, density[1:-1], rtol=1e-8)
    nyquist_ms2 = density[-1] / WINDOW_S
    total_ms2 = spectrum.power_ms2(0.0, 0.7) + nyquist_ms2
    assert total_ms2 == pytest.approx(1e6 * nn_s.var(), rel=1e-8)


def test_the_sum_over_the_grid_is_nearly_the_variance_of_real_intervals_too() -> None:
    t_s, nn_s = five_minutes(sinus_beats_s(800))
    off_s = nn_s - np.polyval(np.polyfit(t_s, nn_s, 1), t_s)

    whole = lomb_scargle(t_s, nn_s, WINDOW_S, f_hz_max=math.inf)

    total_ms2 = float(whole.density_ms2_per_hz.sum()) / WINDOW_S
    assert total_ms2 == pytest.approx(1e6 * off_s.var(), rel=0.02)


@pytest.mark.parametrize("f_hz", [0.05, 0.07, 0.0931, 0.12, 0.18, 0.2517, 0.3, 0.37])
def test_a_wave_of_known_depth_gives_its_power_in_its_band(f_hz: float) -> None:
    mean_s, depth = 0.8, 0.03
    spectrum = spectrum_of(
        ipfm_beats_s([(f_hz, depth)], mean_s=mean_s, n_beats=1000, jitter_s=0.0, seed=2)
    )
    # An interval is the mean of the rate between two beats, which takes from a fast wave.
    seen_ms = 1e3 * mean_s * depth * np.sinc(f_hz * mean_s)
    expected_ms2 = seen_ms**2 / 2

    lf_ms2, hf_ms2 = spectrum.power_ms2(0.04, 0.15), spectrum.power_ms2(0.15, 0.4)

    here_ms2, there_ms2 = (lf_ms2, hf_ms2) if f_hz < 0.15 else (hf_ms2, lf_ms2)
    assert here_ms2 == pytest.approx(expected_ms2, rel=0.03)
    assert there_ms2 < 0.03 * expected_ms2


def test_lf_to_hf_is_what_was_put_in() -> None:
    waves = [(0.1, 0.03), (0.25, 0.03)]
    spectrum = spectrum_of(ipfm_beats_s(waves, mean_s=0.8, n_beats=1000, jitter_s=0.0, seed=4))

    ratio = spectrum.power_ms2(0.04, 0.15) / spectrum.power_ms2(0.15, 0.4)

    expected = (np.sinc(0.1 * 0.8) / np.sinc(0.25 * 0.8)) ** 2
    assert ratio == pytest.approx(expected, rel=0.05)


@pytest.mark.parametrize("seed", range(3))
def test_intervals_left_out_barely_move_the_bands(seed: int) -> None:
    t_s, nn_s = five_minutes(sinus_beats_s(800, seed))
    left = np.random.default_rng(seed).random(t_s.size) > 0.08
    left[100:112] = False

    whole, partial = (
        lomb_scargle(t, x, WINDOW_S) for t, x in ((t_s, nn_s), (t_s[left], nn_s[left]))
    )

    for low_hz, high_hz in [(0.04, 0.15), (0.15, 0.4)]:
        expected_ms2 = whole.power_ms2(low_hz, high_hz)
        assert partial.power_ms2(low_hz, high_hz) == pytest.approx(expected_ms2, rel=0.15)


def test_a_slow_heart_has_no_power_above_half_its_rate() -> None:
    waves = [(0.2, 0.03)]
    spectrum = spectrum_of(ipfm_beats_s(waves, mean_s=1.5, n_beats=500, jitter_s=0.0, seed=6))

    assert spectrum.frequency_hz[-1] < 0.5 / 1.49
    seen_ms = 1500 * 0.03 * np.sinc(0.2 * 1.5)
    assert spectrum.power_ms2(0.15, 0.4) == pytest.approx(seen_ms**2 / 2, rel=0.05)


@given(edges=st.lists(st.floats(0.0, 0.4), min_size=2, max_size=6, unique=True))
def test_bands_end_to_end_have_all_the_power(edges: list[float]) -> None:
    density = np.random.default_rng(8).uniform(0, 1e4, 119)
    spectrum = Spectrum(step_hz=1 / WINDOW_S, density_ms2_per_hz=density)
    bounds = sorted(edges)

    parts = [spectrum.power_ms2(*band) for band in pairwise(bounds)]

    assert sum(parts) == pytest.approx(spectrum.power_ms2(bounds[0], bounds[-1]))


def test_a_band_edge_belongs_to_the_upper_band() -> None:
    density = np.arange(1.0, 120.0)
    spectrum = Spectrum(step_hz=1 / WINDOW_S, density_ms2_per_hz=density)

    assert spectrum.power_ms2(0.003, 0.04) == pytest.approx(sum(range(1, 12)) / WINDOW_S)
    assert spectrum.power_ms2(0.04, 0.15) == pytest.approx(sum(range(12, 45)) / WINDOW_S)
    assert spectrum.power_ms2(0.15, 0.4) == pytest.approx(sum(range(45, 120)) / WINDOW_S)


def test_a_constant_rhythm_has_no_power() -> None:
    spectrum = lomb_scargle(np.arange(1.0, 301.0), np.full(300, 1.0), WINDOW_S)

    assert spectrum.power_ms2(0.0, 0.4) == 0.0


def test_fifteen_intervals_have_no_spectrum() -> None:
    with pytest.raises(TooFewIntervalsError, match="spectrum needs 16 intervals, 15 available"):
        lomb_scargle(np.arange(15.0), np.ones(15), WINDOW_S)
    with pytest.raises(TooFewIntervalsError):
        ulf_power_ms2(np.arange(15.0), np.ones(15), bin_s=30.0, window_s=86_400.0)


def test_a_slow_wave_gives_its_power_below_3_mhz() -> None:
    t_s = 30.0 * np.arange(2880, dtype=np.float64) + 15.0
    mean_nn_s = 0.8 + 0.06 * np.cos(2 * np.pi * t_s / 86_400) + 0.02 * np.sin(0.006 * t_s)
    mean_nn_s += 0.02 * np.sin(2 * np.pi * 0.01 * t_s)  # not in the band

    power_ms2 = ulf_power_ms2(t_s, mean_nn_s, bin_s=30.0, window_s=86_400.0)

    assert power_ms2 == pytest.approx((60**2 + 20**2) / 2, rel=0.005)


def test_the_kernel_and_its_plain_form_agree_bit_for_bit() -> None:
    t_s, nn_s = five_minutes(sinus_beats_s(800))
    arguments = (t_s[:60], 1e3 * (nn_s[:60] - 0.85), 1 / 60, 30)

    plain = hrv_kernel.lomb_scargle.py_func(*arguments)  # type: ignore[attr-defined]

    assert hrv_kernel.lomb_scargle(*arguments).tobytes() == plain.tobytes()


def test_at_half_of_an_even_rate_the_power_is_that_of_the_one_function_left() -> None:
    x = np.where(np.arange(32) % 2, 1.0, -1.0)

    power = hrv_kernel.lomb_scargle(np.arange(32.0), x, 1 / 32, 16)

    assert power[-1] == pytest.approx(16.0)
    assert np.abs(power[:-1]).max() < 1e-12
