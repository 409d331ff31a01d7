"""Breaths are found once each, whatever their height, drift or the heart between them."""

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp import breaths, breaths_kernel
from processors.dsp.breaths import BreathDetector, BreathWindow
from processors.dsp.kernel import new_record
from processors.dsp.state import State, StateError

Floats = NDArray[np.float64]
FS_HZ = 25.0


def breathing(rate: float, seconds: float, fs_hz: float = FS_HZ) -> Floats:
    """Breaths with their peaks at odd multiples of half a period."""
    phase = 2 * np.pi * rate / 60 * np.arange(round(seconds * fs_hz)) / fs_hz
    return np.asarray(-np.cos(phase))


def window_of(
    samples: Floats, fs_hz: float = FS_HZ, detector: BreathDetector | None = None
) -> BreathWindow:
    detector = detector or BreathDetector(fs_hz)
    detector.process(samples)
    return detector.window(-1.0, float(samples.size))


@pytest.mark.parametrize("rate", [6.0, 15.0, 30.0, 55.0])
@pytest.mark.parametrize("fs_hz", [4.0, 25.0, 125.0, 500.0])
def test_regular_breaths_are_counted_at_every_rate_and_sampling_rate(
    rate: float, fs_hz: float
) -> None:
    found = window_of(breathing(rate, 60, fs_hz), fs_hz)

    mean = (found.i_last - found.i_first) / (found.n_breaths - 1)
    assert abs(60 * fs_hz / mean - rate) <= 0.01 * rate
    assert (60 - 6) * rate / 60 - 2 <= found.n_breaths <= 60 * rate / 60


def test_the_fiducial_is_the_end_of_inspiration() -> None:
    found = window_of(breathing(15, 60))

    assert abs(found.i_first / FS_HZ % 4.0 - 2.0) < 0.15


@pytest.mark.parametrize("heart_bpm", [60.0, 75.0, 110.0])
def test_what_the_heart_moves_is_no_breath(heart_bpm: float) -> None:
    heart = 0.3 * breathing(heart_bpm, 120)

    found = window_of(breathing(12, 120) + heart)

    assert abs(60 * FS_HZ / found.interval - 12) < 0.3
    assert found.n_breaths <= 24


def test_a_hint_of_the_heart_rate_keeps_small_swings_in_its_rhythm_out() -> None:
    def swings_after_breaths(hint: float | None) -> int:
        signal = np.concatenate((breathing(15, 60), 0.25 * breathing(50, 60)))
        detector = BreathDetector(FS_HZ)
        detector.heart_rate_hint(hint)
        detector.process(signal)
        return detector.window(62 * FS_HZ, 80 * FS_HZ).n_breaths

    assert swings_after_breaths(50.0) == 0
    assert swings_after_breaths(None) >= swings_after_breaths(50.0)


def test_drift_and_offset_change_nothing() -> None:
    drift = 1e4 + 0.004 * np.arange(3000)

    plain, drifting = window_of(breathing(15, 120)), window_of(breathing(15, 120) + drift)

    assert drifting.n_breaths == plain.n_breaths


def test_breathing_that_becomes_shallow_is_found_again() -> None:
    detector = BreathDetector(FS_HZ)
    detector.process(np.concatenate((breathing(15, 60), 0.1 * breathing(15, 90) - 0.9)))

    found = detector.window(100 * FS_HZ, 150 * FS_HZ)

    assert 11 <= found.n_breaths <= 13


def test_a_sigh_does_not_hide_the_breaths_after_it() -> None:
    signal = breathing(15, 120)
    signal[round(60 * FS_HZ) : round(64 * FS_HZ)] *= 4.0

    assert window_of(signal).n_breaths >= 27


def test_a_clipped_signal_has_the_same_breaths() -> None:
    clipped = np.clip(breathing(15, 120), -0.3, 0.3)

    assert window_of(clipped).n_breaths == window_of(breathing(15, 120)).n_breaths


def noisy() -> Floats:
    noise = np.random.default_rng(5).normal(0, 0.1, 2000)
    return breathing(17, 80) + noise


@given(cuts=st.lists(st.integers(0, 2000), max_size=8), restore=st.booleans())
@settings(deadline=None, max_examples=40)
def test_pieces_and_restarts_find_the_same(cuts: list[int], *, restore: bool) -> None:
    whole = BreathDetector(FS_HZ)
    whole.process(noisy())
    streaming = BreathDetector(FS_HZ)

    for piece in np.split(noisy(), sorted(cuts)):
        streaming.process(piece)
        if restore:
            streaming = BreathDetector.from_bytes(streaming.to_bytes())

    assert streaming.to_bytes() == whole.to_bytes()
    assert streaming.window(0.0, 2000.0) == whole.window(0.0, 2000.0)


def test_the_compiled_loop_does_what_its_source_says(monkeypatch: pytest.MonkeyPatch) -> None:
    samples = noisy()[:900]
    compiled = BreathDetector(FS_HZ)
    compiled.process(samples)
    expected = (compiled.to_bytes(), compiled.window(0.0, 900.0))

    as_source(monkeypatch)
    plain = BreathDetector(FS_HZ)
    plain.process(samples)

    assert (plain.to_bytes(), plain.window(0.0, 900.0)) == expected


def as_source(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put the plain form of every kernel in its place."""
    for name, value in list(vars(breaths_kernel).items()):
        if hasattr(value, "py_func"):
            function: Any = value
            monkeypatch.setattr(breaths_kernel, name, function.py_func)
            if hasattr(breaths, name):
                monkeypatch.setattr(breaths, name, function.py_func)


@given(
    samples=st.lists(
        st.floats(-1e12, 1e12) | st.sampled_from([0.0, 1.0, -1.0]), min_size=1, max_size=300
    )
)
@settings(deadline=None, max_examples=50)
def test_any_finite_samples_keep_the_state_readable(samples: list[float]) -> None:
    detector = BreathDetector(4.0)
    detector.process(np.array(samples))

    assert BreathDetector.from_bytes(detector.to_bytes()).to_bytes() == detector.to_bytes()


@pytest.mark.parametrize("fs_hz", [0.0, 3.9, 501.0, float("nan")])
def test_a_rate_out_of_bounds_is_refused(fs_hz: float) -> None:
    with pytest.raises(ValueError, match="Hz"):
        BreathDetector(fs_hz)


def test_counts_that_cannot_be_are_no_state() -> None:
    record = new_record(breaths_kernel.STATE_DTYPE)
    record["n_swings"] = breaths_kernel.N_SWINGS + 1
    state = State(
        kind="breath_detector",
        version=1,
        scalars={"fs_hz": 25.0},
        children={"kernel": record.tobytes()},
    )

    with pytest.raises(StateError):
        BreathDetector.from_bytes(state.to_bytes())
