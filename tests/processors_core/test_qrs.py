"""The QRS detector: known beats, hostile signals, its delay, and the same beats in any pieces."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp.qrs import QrsDetector
from tests.processors_core.scoring import score_beats
from tests.processors_core.synthetic_ecg import NORMAL, TALL_T, WIDE, Wave, ecg_uv, regular_s

Floats = NDArray[np.float64]

RATES_HZ = (125.0, 130.0, 250.0, 360.0, 500.0, 1000.0)


def detect(ecg: Floats, fs_hz: float) -> list[int]:
    detector = QrsDetector(fs_hz)
    return [*detector.process(ecg), *detector.skip(0)]


def noise_uv(n_samples: int, rms_uv: float, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, rms_uv, n_samples)


def assert_found(found: list[int], r_peaks_s: Floats, fs_hz: float, within_s: float = 0.02) -> None:
    assert len(found) == len(r_peaks_s)
    assert np.abs(np.array(found) / fs_hz - r_peaks_s).max() <= within_s


@pytest.mark.parametrize("fs_hz", RATES_HZ)
@pytest.mark.parametrize("rr_s", [0.3, 0.5, 0.85, 1.5, 2.0])
def test_every_beat_is_found_where_it_is_from_the_first_on(fs_hz: float, rr_s: float) -> None:
    r_peaks_s = regular_s(rr_s, 30)
    ecg = ecg_uv(r_peaks_s, fs_hz, 30) + noise_uv(round(30 * fs_hz), 10)

    assert_found(detect(ecg, fs_hz), r_peaks_s, fs_hz)


@pytest.mark.parametrize("fs_hz", RATES_HZ)
@pytest.mark.parametrize("scale", [-5.0, -1.0, -0.2, 0.2, 5.0])
def test_polarity_and_amplitude_do_not_matter(fs_hz: float, scale: float) -> None:
    r_peaks_s = regular_s(0.8, 20)
    ecg = ecg_uv(r_peaks_s, fs_hz, 20) + noise_uv(round(20 * fs_hz), 10)

    assert detect(scale * ecg, fs_hz) == detect(ecg, fs_hz)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=25, deadline=None)
def test_an_irregular_rhythm_is_followed(seed: int) -> None:
    rng = np.random.default_rng(seed)
    r_peaks_s = 0.5 + np.cumsum(rng.uniform(0.4, 1.1, 40))
    duration_s = r_peaks_s[-1] + 0.5
    ecg = ecg_uv(r_peaks_s, 250, duration_s)

    assert_found(detect(ecg + noise_uv(ecg.size, 15, seed), 250), r_peaks_s, 250)


@pytest.mark.parametrize("beats", [(TALL_T,), (NORMAL, WIDE), (NORMAL, NORMAL, WIDE), (WIDE,)])
def test_tall_t_waves_do_not_count_and_wide_beats_do(beats: tuple[tuple[Wave, ...], ...]) -> None:
    r_peaks_s = regular_s(0.7, 30)
    ecg = ecg_uv(r_peaks_s, 250, 30, beats) + noise_uv(7500, 10)

    assert_found(detect(ecg, 250), r_peaks_s, 250, within_s=0.05)


def test_offset_and_baseline_wander_do_not_matter() -> None:
    r_peaks_s = regular_s(0.8, 30)
    t = np.arange(7500) / 250
    wander = 3e5 + 1500 * np.sin(2 * np.pi * 0.3 * t)

    assert_found(detect(ecg_uv(r_peaks_s, 250, 30) + wander, 250), r_peaks_s, 250)


def test_a_sudden_loss_of_amplitude_is_caught_up_within_seconds() -> None:
    r_peaks_s = regular_s(0.8, 40)
    ecg = ecg_uv(r_peaks_s, 250, 40) + noise_uv(10_000, 5)
    ecg[5000:] *= 0.1

    late = [i for i in detect(ecg, 250) if i > 30 * 250]

    assert score_beats(
        np.round(r_peaks_s[r_peaks_s > 30] * 250).astype(np.int64), np.array(late), 5
    ).f1_percent == pytest.approx(100)


@pytest.mark.parametrize("level", [0.0, -3e5, 2**23])
def test_a_flat_line_has_no_beats(level: float) -> None:
    assert detect(np.full(10_000, level), 250) == []


def test_a_saturated_amplifier_has_no_beats() -> None:
    ecg = ecg_uv(regular_s(0.8, 40), 250, 40)
    ecg[5000:] = 5000.0

    assert all(i < 5000 + 50 for i in detect(ecg, 250))


def test_a_beat_comes_within_the_declared_delay_and_never_below_the_watermark(
    wheel_ecg: Floats,
) -> None:
    detector = QrsDetector(360)
    ecg = wheel_ecg[: 360 * 60]

    watermark = 0
    for i in range(0, ecg.size, 36):
        for i_beat in detector.process(ecg[i : i + 36]):
            assert i_beat >= watermark
            learning = i_beat < 2.5 * 360
            assert learning or i + 36 - i_beat <= detector.delay_s * 360 + 36
        assert detector.watermark >= watermark
        watermark = detector.watermark

    assert detector.delay_s < 0.4
    assert ecg.size - watermark <= detector.delay_s * 360 + 1


@given(cuts=st.lists(st.integers(0, 7200), max_size=10), restore=st.booleans())
@settings(deadline=None, max_examples=50)
def test_pieces_and_restarts_give_the_beats_of_the_whole(
    wheel_ecg: Floats, cuts: list[int], *, restore: bool
) -> None:
    ecg = wheel_ecg[:7200]
    whole = QrsDetector(360).process(ecg)
    streaming = QrsDetector(360)

    beats = []
    for piece in np.split(ecg, sorted(cuts)):
        beats += streaming.process(piece)
        if restore:
            streaming = QrsDetector.from_bytes(streaming.to_bytes())

    assert beats == whole
    assert len(beats) > 30


def test_single_samples_give_the_beats_of_the_whole(wheel_ecg: Floats) -> None:
    ecg = wheel_ecg[:3600]
    streaming = QrsDetector(360)

    beats = [i for sample in ecg for i in streaming.process(np.array([sample]))]

    assert beats == QrsDetector(360).process(ecg)


@pytest.mark.parametrize("gap_s", [0.1, 1.0, 9.0, 60.0])
def test_beyond_a_gap_the_index_goes_on_and_beats_on_both_sides_are_kept(gap_s: float) -> None:
    r_peaks_s = regular_s(0.8, 20)
    ecg = ecg_uv(r_peaks_s, 250, 20) + noise_uv(5000, 5)
    cut = round((r_peaks_s[10] + 0.1) * 250)  # a beat so close to the gap that it is not yet known
    detector = QrsDetector(250)

    before = [*detector.process(ecg[:cut]), *detector.skip(round(gap_s * 250))]
    after = [*detector.process(ecg[cut:]), *detector.skip(0)]

    assert_found(before, r_peaks_s[:11], 250)
    assert_found(after, r_peaks_s[11:] + gap_s, 250)


def test_reset_forgets_everything() -> None:
    ecg = ecg_uv(regular_s(0.8, 20), 250, 20)
    detector = QrsDetector(250)
    first = detector.process(ecg)
    detector.reset()

    assert detector.process(ecg) == first


def test_an_empty_chunk_changes_nothing() -> None:
    detector = QrsDetector(250)

    assert detector.process(np.zeros(0)) == []
    assert (detector.i_next, detector.watermark) == (0, 0)


@pytest.mark.parametrize("fs_hz", [0.0, 50.0, 5000.0])
def test_a_sampling_rate_that_it_was_not_made_for_is_refused(fs_hz: float) -> None:
    with pytest.raises(ValueError, match="is not within"):
        QrsDetector(fs_hz)
