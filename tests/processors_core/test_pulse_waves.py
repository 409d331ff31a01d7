"""The pulse-wave detector: known beats, hostile signals, its delay, any pieces."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp import (
    pulse_waves,
    pulse_waves_kernel,
    pulse_waves_levels_kernel,
    pulse_waves_rhythm_kernel,
    pulse_waves_shape_kernel,
)
from processors.dsp.pulse_waves import PulseWaveDetector
from processors.dsp.state import StateError
from tests.processors_core.synthetic_ppg import ppg, regular_s

Floats = NDArray[np.float64]

RATES_HZ = (25.0, 55.0, 64.0, 100.0, 125.0, 250.0, 500.0, 1000.0)


def detect(signal: Floats, fs_hz: float, *, inverted: bool | None = None) -> NDArray[np.void]:
    detector = PulseWaveDetector(fs_hz, inverted=inverted)
    return np.concatenate((detector.process(signal), detector.skip(0)))


def noise(n_samples: int, rms: float, seed: int = 0) -> Floats:
    return np.random.default_rng(seed).normal(0, rms, n_samples)


def assert_found(found: NDArray[np.void], beats_s: Floats, fs_hz: float, within_s: float) -> None:
    times_s = found["i_upslope"] / fs_hz
    assert len(times_s) == len(beats_s)
    assert np.abs(times_s - beats_s).max() <= within_s


@pytest.mark.parametrize("fs_hz", RATES_HZ)
@pytest.mark.parametrize("interval_s", [0.35, 0.6, 1.0, 1.7])
def test_every_pulse_is_found_where_its_upslope_is_steepest(
    fs_hz: float, interval_s: float
) -> None:
    beats_s = regular_s(interval_s, 30)
    signal = ppg(beats_s, fs_hz, 30, dicrotic=0.1 if interval_s < 0.5 else 0.25)

    found = detect(signal + noise(signal.size, 0.003), fs_hz)

    assert_found(found, beats_s, fs_hz, 0.025 if fs_hz < 50 else 0.015)


def test_intervals_are_finer_than_the_sample_grid() -> None:
    beats_s = regular_s(0.8037, 40)

    found = detect(ppg(beats_s, 125, 40), 125)

    intervals_s = np.diff(found["i_upslope"] / 125)
    assert np.abs(intervals_s - 0.8037).max() <= 0.0015


@pytest.mark.parametrize("inverted", [None, True])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 500.0])
def test_raw_light_upside_down_on_a_huge_constant_gives_the_same_beats(
    scale: float,
    inverted: bool | None,  # noqa: FBT001
) -> None:
    beats_s = regular_s(0.85, 30)
    signal = ppg(beats_s, 100, 30)

    upright = detect(signal, 100)
    raw = detect(300 * scale - scale * signal, 100, inverted=inverted)

    assert np.allclose(raw["i_upslope"], upright["i_upslope"], atol=0.01)
    assert np.allclose(raw["height"], scale * upright["height"], rtol=1e-6)
    assert np.allclose(raw["level"], 300 * scale - scale * upright["level"], rtol=1e-6)


def test_height_is_that_of_the_upslope() -> None:
    found = detect(5 + 2 * ppg(regular_s(1.2, 30), 125, 30, dicrotic=0.2), 125)

    assert np.abs(found["height"][2:] / found["height"].mean() - 1).max() < 0.02
    assert 1.4 < float(found["height"].mean()) < 2.1
    assert np.abs(found["level"][2:] - 5).max() < 0.2


@pytest.mark.parametrize("dicrotic", [0.0, 0.2, 0.4])
def test_the_dicrotic_wave_does_not_count(dicrotic: float) -> None:
    beats_s = regular_s(1.0, 40)
    signal = ppg(beats_s, 125, 40, dicrotic=dicrotic) + noise(5000, 0.003)

    assert_found(detect(signal, 125), beats_s, 125, 0.02)


@given(seed=st.integers(0, 2**32))
@settings(max_examples=20, deadline=None)
def test_the_weak_pulses_of_an_irregular_rhythm_count(seed: int) -> None:
    rng = np.random.default_rng(seed)
    intervals_s = rng.uniform(0.55, 1.1, 50)
    beats_s = 0.7 + np.cumsum(intervals_s)
    heights = np.clip(intervals_s / 0.8, 0.3, 1.2)  # less filling, less stroke volume
    duration_s = float(beats_s[-1]) + 1
    signal = ppg(beats_s, 125, duration_s, heights=heights, dicrotic=0.15)

    found = detect(signal + noise(signal.size, 0.003, seed), 125)

    assert abs(len(found) - len(beats_s)) <= 1
    nearest = np.abs(found["i_upslope"][:, np.newaxis] / 125 - beats_s).min(axis=1)
    assert np.median(nearest) < 0.012
    assert nearest.max() < 0.06


@pytest.mark.parametrize("after_s", [0.45, 0.55])
def test_what_swings_back_from_a_jerk_is_no_beat(after_s: float) -> None:
    beats_s = regular_s(1.0, 40)
    signal = ppg(beats_s, 125, 40, dicrotic=0.1) + noise(5000, 0.003)
    t_s = np.arange(5000) / 125
    for jerk_s in beats_s[8::5] + after_s:
        since_s = np.clip(t_s - jerk_s, 0, None)
        signal -= 2 * np.exp(-since_s / 0.25) * (t_s > jerk_s)

    found = detect(signal, 125)["i_upslope"] / 125

    assert len(found) == len(beats_s)
    assert np.abs(found - beats_s).max() < 0.05


@pytest.mark.parametrize("height", [2.0, 5.0])
def test_a_pulse_that_was_due_counts_though_a_jerk_follows(height: float) -> None:
    beats_s = regular_s(1.0, 40)
    signal = ppg(beats_s, 125, 40, dicrotic=0.1) + noise(5000, 0.003)
    t_s = np.arange(5000) / 125
    jerks_s = beats_s[8::5] + 0.34
    for jerk_s in jerks_s:
        signal += height * np.exp(-np.square((t_s - jerk_s - 0.05) / 0.05))

    found = detect(signal, 125)["i_upslope"] / 125

    nearest = np.abs(found[:, np.newaxis] - beats_s).min(axis=0)
    assert nearest.max() < 0.06


def test_an_interval_of_two_beats_is_told_by_its_timing() -> None:
    beats_s = regular_s(0.8, 40)

    found = detect(ppg(np.delete(beats_s, 25), 125, 40), 125)

    assert found["timing"][25] < 0.4
    assert np.delete(found["timing"], 25).min() > 0.99


def test_breathing_moves_the_baseline_and_not_the_count() -> None:
    beats_s = regular_s(0.9, 40)
    t_s = np.arange(5000) / 125
    signal = ppg(beats_s, 125, 40) + 1.5 * np.sin(2 * np.pi * 0.25 * t_s)

    found = detect(signal, 125)

    inside = (found["i_upslope"] > 0.5 * 125) & (found["i_upslope"] < 39 * 125)
    assert_found(found[inside], beats_s, 125, 0.03)


def test_a_sudden_loss_of_amplitude_is_caught_up_within_seconds() -> None:
    beats_s = regular_s(0.9, 60)
    signal = ppg(beats_s, 125, 60, heights=np.where(beats_s < 20, 1.0, 0.04))

    found = detect(signal + noise(signal.size, 1e-4), 125)["i_upslope"] / 125

    assert np.count_nonzero(found > 40) == np.count_nonzero(beats_s > 40)


@pytest.mark.parametrize("level", [0.0, -3e5, 2.0**23])
def test_a_flat_line_has_no_beats(level: float) -> None:
    assert detect(np.full(5000, level), 125).size == 0


def test_a_beat_comes_within_the_declared_delay_and_never_below_the_watermark() -> None:
    signal = ppg(regular_s(0.8, 60), 125, 60) + noise(7500, 0.02)
    detector = PulseWaveDetector(125)

    watermark, n_beats = 0, 0
    for i in range(0, signal.size, 25):
        for beat in detector.process(signal[i : i + 25]):
            n_beats += 1
            assert beat["i_upslope"] >= watermark
            learning = beat["i_upslope"] < 5 * 125
            assert learning or i + 25 - beat["i_upslope"] <= detector.n_delay + 25
        assert detector.watermark >= watermark
        watermark = detector.watermark

    assert n_beats > 60
    assert detector.delay_s < 0.8
    assert detector.watermark >= signal.size - detector.n_delay


@given(
    cuts=st.lists(st.integers(0, 2500), max_size=12),
    restore=st.booleans(),
    seed=st.integers(0, 100),
    fs_hz=st.sampled_from([40.0, 125.0, 500.0]),
)
@settings(max_examples=30, deadline=None)
def test_any_cutting_and_any_restart_gives_the_same_bits(
    cuts: list[int],
    restore: bool,  # noqa: FBT001
    seed: int,
    fs_hz: float,
) -> None:
    signal = ppg(regular_s(0.7, 20), fs_hz, 20) + noise(round(20 * fs_hz), 0.1, seed)
    whole = PulseWaveDetector(fs_hz)
    expected = whole.process(signal)

    detector = PulseWaveDetector(fs_hz)
    found = []
    for piece in np.split(signal, sorted(cuts)):
        found.append(detector.process(piece))
        if restore:
            detector = PulseWaveDetector.from_bytes(detector.to_bytes())

    assert np.concatenate(found).tobytes() == expected.tobytes()
    assert detector.to_bytes() == whole.to_bytes()


def test_a_gap_is_not_bridged_and_levels_survive_a_short_one() -> None:
    beats_s = regular_s(0.8, 20)
    signal = ppg(beats_s, 125, 20)
    detector = PulseWaveDetector(125)

    before = np.concatenate((detector.process(signal[:1250]), detector.skip(250)))
    after = detector.process(signal[1500:])

    assert np.all(before["i_upslope"] < 1250)
    assert np.all(after["i_upslope"] >= 1500)
    assert after["i_upslope"][0] < 1500 + 1.6 * 125
    assert detector.i_next == signal.size


@given(
    samples=st.lists(st.floats(-1e9, 1e9), min_size=1, max_size=200),
    repeat=st.integers(1, 20),
)
@settings(max_examples=40, deadline=None)
def test_hostile_samples_give_ordered_finite_beats(samples: list[float], repeat: int) -> None:
    found = detect(np.repeat(np.array(samples), repeat), 50)

    assert np.all(np.diff(found["i_upslope"]) > 0)
    for name in found.dtype.names or ():
        assert np.isfinite(found[name]).all()
    for name in ("certainty", "likeness", "timing"):
        assert np.all((found[name] >= 0) & (found[name] <= 1))


def test_the_compiled_kernel_gives_the_bits_of_its_source(monkeypatch: pytest.MonkeyPatch) -> None:
    signal = 3 - ppg(regular_s(0.8, 9), 60, 9) + noise(540, 0.02)
    signal[5 * 60 : 5 * 60 + 5] -= 1.0  # between two pulses
    compiled = PulseWaveDetector(60)
    expected = compiled.process(signal)
    for module in (
        pulse_waves_kernel,
        pulse_waves_levels_kernel,
        pulse_waves_rhythm_kernel,
        pulse_waves_shape_kernel,
    ):
        for name, value in list(vars(module).items()):
            if hasattr(value, "py_func"):
                monkeypatch.setattr(module, name, cast("Any", value).py_func)
    assert not hasattr(pulse_waves_kernel.take_samples, "py_func")
    monkeypatch.setattr(pulse_waves, "take_samples", pulse_waves_kernel.take_samples)

    plain = PulseWaveDetector(60)

    assert plain.process(signal).tobytes() == expected.tobytes()
    assert plain.to_bytes() == compiled.to_bytes()
    assert expected.size >= 8


@pytest.mark.parametrize("fs_hz", [0.0, 19.9, 1000.1, float("nan")])
def test_rates_beyond_the_declared_ones_are_refused(fs_hz: float) -> None:
    with pytest.raises(ValueError, match="Hz is not within"):
        PulseWaveDetector(fs_hz)


def test_a_damaged_state_is_refused() -> None:
    detector = PulseWaveDetector(125)
    detector.process(ppg(regular_s(0.8, 10), 125, 10))
    state = detector.to_bytes()

    for at in range(0, len(state), 997):
        damaged = bytearray(state)
        damaged[at] ^= 0x41
        with pytest.raises(StateError):
            PulseWaveDetector.from_bytes(bytes(damaged))
