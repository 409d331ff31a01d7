"""The R-peak detector on signals that are known exactly: all kinds of hearts and of trouble."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp.r_peaks import BEAT_DTYPE, RPeakDetector
from tests.processors_core.scoring import score_beats
from tests.processors_core.synthetic_ecg import NORMAL, TALL_T, WIDE, Wave, ecg_uv, regular_s

Floats = NDArray[np.float64]

RATES_HZ = (125.0, 128.0, 200.0, 250.0, 360.0, 500.0, 1000.0)
TALL_P = (Wave(-0.18, 0.022, 450.0), *NORMAL[1:])
SMALL_ECTOPIC = (Wave(0.0, 0.018, -600.0), Wave(0.26, 0.050, 150.0))
ECTOPIC = (Wave(0.0, 0.020, 1200.0), Wave(0.26, 0.050, -400.0))
PACED = (Wave(-0.035, 0.0012, 2500.0), Wave(0.0, 0.030, -900.0), Wave(0.30, 0.060, 420.0))
"""A spike of some milliseconds, and the wide complex that it sets off."""


def detect(ecg: Floats, fs_hz: float) -> NDArray[np.void]:
    n_leads = 1 if ecg.ndim == 1 else len(ecg)
    detector = RPeakDetector(fs_hz, n_leads)
    return np.concatenate((detector.process(ecg), detector.skip(0)))


def noise_uv(n_samples: int, rms_uv: float, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, rms_uv, n_samples)


def drawn(
    r_peaks_s: Floats,
    fs_hz: float = 250,
    duration_s: float = 30,
    rms_uv: float = 10,
    *beats: tuple[Wave, ...],
) -> Floats:
    ecg = ecg_uv(r_peaks_s, fs_hz, duration_s, beats or (NORMAL,))
    return ecg + noise_uv(ecg.size, rms_uv)


def assert_found(ecg: Floats, r_peaks_s: Floats, fs_hz: float, within_s: float = 0.02) -> None:
    found_s = detect(ecg, fs_hz)["i_r"] / fs_hz
    assert len(found_s) == len(r_peaks_s)
    assert np.abs(found_s - r_peaks_s).max() <= within_s


@pytest.mark.parametrize("fs_hz", RATES_HZ)
@pytest.mark.parametrize("rr_s", [0.4, 0.5, 0.85, 1.5, 2.0])
def test_every_beat_is_found_where_it_is_from_the_first_on(fs_hz: float, rr_s: float) -> None:
    r_peaks_s = regular_s(rr_s, 30)

    assert_found(drawn(r_peaks_s, fs_hz), r_peaks_s, fs_hz)


@pytest.mark.parametrize("fs_hz", RATES_HZ)
@pytest.mark.parametrize("rr_s", [0.28, 0.3])
def test_a_very_fast_rhythm_is_followed_once_it_is_known(fs_hz: float, rr_s: float) -> None:
    r_peaks_s = regular_s(rr_s, 30) + 1e-4
    found_s = detect(drawn(r_peaks_s, fs_hz), fs_hz)["i_r"] / fs_hz

    known = r_peaks_s > 3.05
    assert found_s[found_s > 3.05] == pytest.approx(r_peaks_s[known], abs=0.02)


@pytest.mark.parametrize("fs_hz", RATES_HZ)
@pytest.mark.parametrize("rr_s", [0.225, 0.25])
def test_the_fastest_rhythms_are_not_counted_by_half(fs_hz: float, rr_s: float) -> None:
    r_peaks_s = regular_s(rr_s, 40)
    found_s = detect(drawn(r_peaks_s, fs_hz, 40), fs_hz)["i_r"] / fs_hz

    n_known = np.count_nonzero(r_peaks_s > 10)
    assert np.count_nonzero(found_s > 10) == pytest.approx(n_known, rel=0.05)


@pytest.mark.parametrize("fs_hz", RATES_HZ)
def test_the_time_of_the_r_peak_is_finer_than_the_samples(fs_hz: float) -> None:
    r_peaks_s = regular_s(0.8131, 30)
    found_s = detect(drawn(r_peaks_s, fs_hz, 30, 1), fs_hz)["i_r"] / fs_hz

    errors_s = found_s - r_peaks_s
    assert np.abs(errors_s - np.median(errors_s)).max() < 0.15 / fs_hz + 0.0005
    assert abs(np.median(errors_s)) < 0.003


@pytest.mark.parametrize("fs_hz", RATES_HZ)
@pytest.mark.parametrize("scale", [-5.0, -1.0, 0.2, 5.0])
def test_polarity_and_amplitude_do_not_matter(fs_hz: float, scale: float) -> None:
    r_peaks_s = regular_s(0.8, 20)
    ecg = drawn(r_peaks_s, fs_hz, 20)

    assert_found(scale * ecg, r_peaks_s, fs_hz)
    height = np.median(detect(scale * ecg, fs_hz)["height_uv"])
    assert height == pytest.approx(scale * 1000, rel=0.12)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_an_irregular_rhythm_is_followed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    r_peaks_s = 0.5 + np.cumsum(rng.uniform(0.4, 1.1, 40))
    ecg = ecg_uv(r_peaks_s, 250, r_peaks_s[-1] + 0.5)

    assert_found(ecg + noise_uv(ecg.size, 15, seed), r_peaks_s, 250)


@pytest.mark.parametrize("beats", [(TALL_T,), (TALL_P,), (WIDE,), (PACED,), (PACED, PACED, NORMAL)])
@pytest.mark.parametrize("fs_hz", [125.0, 250.0, 360.0])
def test_tall_waves_do_not_count_and_wide_and_paced_beats_do(
    beats: tuple[tuple[Wave, ...], ...], fs_hz: float
) -> None:
    r_peaks_s = regular_s(0.75, 40)
    found_s = detect(drawn(r_peaks_s, fs_hz, 40, 10, *beats), fs_hz)["i_r"] / fs_hz

    known = r_peaks_s > 3
    assert found_s[found_s > 3] == pytest.approx(r_peaks_s[known], abs=0.05)


@pytest.mark.parametrize("beats", [(NORMAL, NORMAL, WIDE), (NORMAL, NORMAL, NORMAL, SMALL_ECTOPIC)])
@pytest.mark.parametrize("fs_hz", [125.0, 250.0, 360.0])
def test_ectopic_beats_so_wide_or_small_that_they_had_to_be_learned_are_found(
    beats: tuple[tuple[Wave, ...], ...], fs_hz: float
) -> None:
    r_peaks_s = regular_s(0.75, 60)
    found_s = detect(drawn(r_peaks_s, fs_hz, 60, 10, *beats), fs_hz)["i_r"] / fs_hz

    late = r_peaks_s > 20.1
    score = score_beats(
        np.rint(r_peaks_s[late] * fs_hz).astype(np.int64),
        np.rint(found_s[found_s > 20.1] * fs_hz).astype(np.int64),
        round(0.05 * fs_hz),
    )
    assert score.f1_percent >= 98


@pytest.mark.parametrize("fs_hz", [125.0, 250.0, 360.0])
def test_bigeminy_with_early_wide_beats_is_followed(fs_hz: float) -> None:
    first = regular_s(1.4, 60)
    r_peaks_s = np.sort(np.concatenate((first, first[:-1] + 0.55)))
    ecg = drawn(r_peaks_s, fs_hz, 60, 10, NORMAL, ECTOPIC)

    found_s = detect(ecg, fs_hz)["i_r"] / fs_hz
    late = r_peaks_s > 20
    assert found_s[found_s > 20] == pytest.approx(r_peaks_s[late], abs=0.05)


@pytest.mark.parametrize("height", [0.2, 0.15])
def test_a_low_complex_is_found_above_little_noise(height: float) -> None:
    r_peaks_s = regular_s(0.8, 30)
    ecg = height * ecg_uv(r_peaks_s, 250, 30) + noise_uv(7500, 8)

    assert_found(ecg, r_peaks_s, 250)


def test_offset_and_baseline_wander_do_not_matter() -> None:
    r_peaks_s = regular_s(0.8, 30)
    t = np.arange(7500) / 250
    wander = 3e5 + 1500 * np.sin(2 * np.pi * 0.3 * t)

    assert_found(drawn(r_peaks_s) + wander, r_peaks_s, 250)


@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_mains_hum_does_not_matter(mains_hz: float) -> None:
    r_peaks_s = regular_s(0.8, 30)
    t = np.arange(7500) / 250

    assert_found(drawn(r_peaks_s) + 200 * np.sin(2 * np.pi * mains_hz * t), r_peaks_s, 250)


@pytest.mark.parametrize("step_uv", [5.0, 50.0])
def test_a_coarsely_quantised_signal_is_read(step_uv: float) -> None:
    r_peaks_s = regular_s(0.8, 30)
    ecg = step_uv * np.round(ecg_uv(r_peaks_s, 250, 30) / step_uv)

    assert_found(ecg, r_peaks_s, 250)


@pytest.mark.parametrize("factor", [0.1, 0.3, 5.0, 15.0])
def test_a_step_of_the_amplitude_is_caught_up_within_seconds(factor: float) -> None:
    r_peaks_s = regular_s(0.8, 60)
    ecg = drawn(r_peaks_s, 250, 60, 3)
    ecg[5000:] *= factor

    found_s = detect(ecg, 250)["i_r"] / 250
    assert found_s[found_s > 32] == pytest.approx(r_peaks_s[r_peaks_s > 32], abs=0.02)


def test_a_burst_of_artefact_is_overcome_within_seconds() -> None:
    r_peaks_s = regular_s(0.8, 60)
    ecg = drawn(r_peaks_s, 250, 60)
    ecg[5000:6000] += 8000 * np.sign(np.sin(np.arange(1000) * 0.11))

    found_s = detect(ecg, 250)["i_r"] / 250
    for part in ((0, 19.9), (29, 60)):
        expected = r_peaks_s[(r_peaks_s > part[0]) & (r_peaks_s < part[1])]
        assert found_s[(found_s > part[0]) & (found_s < part[1])] == pytest.approx(
            expected, abs=0.02
        )


def test_a_long_pause_stays_empty_and_the_beat_after_it_is_found() -> None:
    r_peaks_s = regular_s(0.8, 60)
    r_peaks_s = r_peaks_s[(r_peaks_s < 25) | (r_peaks_s > 33)]

    assert_found(drawn(r_peaks_s, 250, 60, 4), r_peaks_s, 250)


@pytest.mark.parametrize("level", [0.0, -3e5, 2.0**23])
def test_a_flat_line_has_no_beats(level: float) -> None:
    assert detect(np.full(10_000, level), 250).size == 0


def test_a_saturated_amplifier_has_no_beats() -> None:
    ecg = ecg_uv(regular_s(0.8, 40), 250, 40)
    ecg[5000:] = 5000.0

    assert detect(ecg, 250)["i_r"].max() < 5000 + 50


def test_flutter_waves_between_the_complexes_do_not_count() -> None:
    r_peaks_s = regular_s(0.8, 40)
    t = np.arange(10_000) / 250
    flutter = 120 * (2 * np.abs((5.0 * t) % 1 - 0.5) - 0.5)

    assert_found(drawn(r_peaks_s, 250, 40) + flutter, r_peaks_s, 250)


def test_after_ventricular_fibrillation_the_beats_are_found_again() -> None:
    rng = np.random.default_rng(4)
    r_peaks_s = regular_s(0.8, 90)
    r_peaks_s = r_peaks_s[(r_peaks_s < 29.5) | (r_peaks_s > 60.5)]
    ecg = drawn(r_peaks_s, 250, 90)
    phase = np.cumsum(rng.uniform(3.5, 6.5, 7500)) / 250
    ecg[7500:15_000] += 350 * np.sin(2 * np.pi * phase) * (1 + 0.4 * np.sin(phase))

    found_s = detect(ecg, 250)["i_r"] / 250
    assert found_s[found_s < 29] == pytest.approx(r_peaks_s[r_peaks_s < 29], abs=0.02)
    assert found_s[found_s > 66] == pytest.approx(r_peaks_s[r_peaks_s > 66], abs=0.02)


def test_muscle_noise_hides_few_beats() -> None:
    r_peaks_s = regular_s(0.8, 120)
    ecg = drawn(r_peaks_s, 250, 120, 130)

    found = np.rint(detect(ecg, 250)["i_r"]).astype(np.int64)
    score = score_beats(np.rint(r_peaks_s * 250).astype(np.int64), found, 12)
    assert score.f1_percent >= 99


@pytest.mark.parametrize("drowned", [0, 1])
def test_a_lead_that_drowns_in_noise_does_not_take_the_other_along(drowned: int) -> None:
    r_peaks_s = regular_s(0.8, 60)
    leads = np.stack([drawn(r_peaks_s, 250, 60)] * 2)
    leads[drowned, 5000:] += noise_uv(10_000, 600, seed=1)

    found_s = detect(leads, 250)["i_r"] / 250
    reference = np.rint(r_peaks_s * 250).astype(np.int64)
    score = score_beats(reference, np.rint(found_s * 250).astype(np.int64), 25)
    assert score.f1_percent >= 95


@pytest.mark.parametrize("noisy", [0, 1])
def test_bursts_in_one_of_two_clear_leads_add_no_beats(noisy: int) -> None:
    r_peaks_s = regular_s(0.8, 60)
    leads = np.stack([drawn(r_peaks_s, 250, 60)] * 2)
    for second in range(10, 58, 3):
        at = round((0.9 + 0.8 * (second // 0.8)) * 250)  # between two beats
        leads[noisy, at : at + 30] += noise_uv(30, 300, seed=second)

    assert_found(leads, r_peaks_s, 250)


def test_in_deep_noise_the_r_peak_is_where_the_shape_of_beats_has_it() -> None:
    r_peaks_s = regular_s(0.8, 120)
    ecg = drawn(r_peaks_s, 250, 120)
    walk = np.cumsum(noise_uv(22_500, 60, seed=2))
    ecg[7500:] += walk - np.convolve(walk, np.ones(250) / 250, "same")

    found_s = detect(ecg, 250)["i_r"] / 250
    late = found_s[found_s > 32]
    offsets_s = np.abs(late[:, np.newaxis] - r_peaks_s).min(axis=1)
    assert late.size == pytest.approx(np.count_nonzero(r_peaks_s > 32), abs=8)
    assert np.mean(offsets_s < 0.02) >= 0.9


@pytest.mark.parametrize("which", [0, 1])
def test_a_lead_that_is_off_does_no_harm(which: int) -> None:
    r_peaks_s = regular_s(0.8, 30)
    leads = np.zeros((2, 7500))
    leads[which] = drawn(r_peaks_s)

    assert_found(leads, r_peaks_s, 250)


@given(
    st.lists(
        st.tuples(st.integers(1, 400), st.floats(-1e300, 1e300), st.floats(0, 1e6)), max_size=12
    ),
    st.integers(0, 2**32),
)
@settings(max_examples=40, deadline=None)
def test_nothing_that_is_finite_upsets_it(parts: list[tuple[int, float, float]], seed: int) -> None:
    rng = np.random.default_rng(seed)
    detector = RPeakDetector(250)
    for n_samples, level, rms in parts:
        beats = detector.process(np.full(n_samples, level) + rng.normal(0, rms, n_samples))
        assert all(np.isfinite(beats[name]).all() for name in BEAT_DTYPE.names or ())
        assert ((beats["certainty"] >= 0) & (beats["certainty"] <= 1)).all()
    RPeakDetector.from_bytes(detector.to_bytes())
