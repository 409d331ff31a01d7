"""Ventricular fibrillation from samples: found in models of it, never in a rhythm with beats."""

import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp import fibrillation_kernel
from processors.dsp.fibrillation import FibrillationDetector
from processors.dsp.state import StateError
from tests.processors_core.scoring import quiet, read_ecg_uv
from tests.processors_core.simulated_rhythms import (
    flutter_uv,
    modulated_sinusoids_uv,
    narrow_band_uv,
    sawtooth_flutter_uv,
    torsade_uv,
    ventricular_fibrillation_uv,
)
from tests.processors_core.synthetic_ecg import TALL_T, WIDE, ecg_uv, regular_s

Floats = NDArray[np.float64]

FS_HZ = 250


def verdicts(signal_uv: Floats, fs_hz: float = FS_HZ) -> list[bool | None]:
    """What is said on each whole second."""
    detector = FibrillationDetector(fs_hz)
    detector.process(signal_uv)
    n_seconds = int(signal_uv.size / fs_hz)
    return [detector.at(round(second * fs_hz))[0] for second in range(1, n_seconds + 1)]


@pytest.mark.parametrize("fs_hz", [125, 250, 360, 500, 1000])
def test_fibrillation_is_suspected_within_eight_seconds_and_stays_so(fs_hz: int) -> None:
    rng = np.random.default_rng(1)

    said = [
        verdicts(
            ventricular_fibrillation_uv(rng, fs_hz, 24, rng.uniform(3.2, 7), rng.uniform(80, 600)),
            fs_hz,
        )[8:]
        for _ in range(20)
    ]

    assert np.mean([yes is True for seconds in said for yes in seconds]) >= 0.98


@pytest.mark.parametrize(
    "drawn_uv", [modulated_sinusoids_uv, narrow_band_uv, torsade_uv, sawtooth_flutter_uv]
)
def test_other_models_of_fibrillation_are_suspected_as_well(
    drawn_uv: Callable[[np.random.Generator, float, float], Floats],
) -> None:
    rng = np.random.default_rng(5)

    said = [verdicts(drawn_uv(rng, FS_HZ, 24))[9:] for _ in range(15)]

    assert np.mean([yes is True for seconds in said for yes in seconds]) >= 0.98


@pytest.mark.parametrize("rate_hz", [3.5, 4.5, 5.5])
def test_ventricular_flutter_is_suspected_too(rate_hz: float) -> None:
    assert all(verdicts(flutter_uv(FS_HZ, 20, rate_hz))[8:])


@pytest.mark.parametrize(
    "signal_uv",
    [
        ecg_uv(regular_s(0.8, 60), FS_HZ, 60),
        ecg_uv(regular_s(0.35, 60), FS_HZ, 60),
        ecg_uv(regular_s(0.24, 60), FS_HZ, 60),
        ecg_uv(regular_s(0.8, 60), FS_HZ, 60, (TALL_T,)),
        ecg_uv(regular_s(0.4, 60), FS_HZ, 60, (WIDE,)),
        np.zeros(60 * FS_HZ),
        np.random.default_rng(1).normal(size=60 * FS_HZ) * 12,
        np.random.default_rng(2).normal(size=60 * FS_HZ) * 200,
        np.cumsum(np.random.default_rng(3).normal(size=60 * FS_HZ)) * 10,
        400 * np.sin(2 * np.pi * 50 * np.arange(60 * FS_HZ) / FS_HZ),
        900 * np.sin(2 * np.pi * 1.2 * np.arange(60 * FS_HZ) / FS_HZ),
    ],
    ids=[
        "sinus",
        "170/min",
        "250/min",
        "tall T",
        "wide",
        "flat",
        "asystole",
        "noise",
        "drift",
        "mains",
        "sway",
    ],
)
def test_what_is_no_fibrillation_is_not_suspected(signal_uv: Floats) -> None:
    said = verdicts(signal_uv)

    assert said[:5] == [None] * 5
    assert not any(said)
    assert said[10] is False


def test_fine_fibrillation_that_no_longer_differs_from_noise_is_not_suspected() -> None:
    fine = ventricular_fibrillation_uv(np.random.default_rng(1), FS_HZ, 20, mean_uv=12.0)

    assert not any(verdicts(fine - 100 * np.sin(0.4 * np.pi * np.arange(fine.size) / FS_HZ)))


def test_no_second_of_the_arrhythmia_database_is_suspected(chevet_data: Path) -> None:
    seconds = {
        header.stem: sum(yes is True for yes in verdicts(read_ecg_uv(header.with_suffix("")), 360))
        for header in sorted((chevet_data / "mitdb").glob("*.hea"))
    }

    assert seconds == dict.fromkeys(seconds, 0)


def test_electrode_motion_is_not_suspected(chevet_data: Path) -> None:
    with quiet():
        import wfdb

        noise_mv = wfdb.rdrecord(str(chevet_data / "nstdb" / "em")).p_signal

    assert not any(verdicts(np.ascontiguousarray(noise_mv[:, 0]) * 1e3, 360))
    assert not any(verdicts(np.ascontiguousarray(noise_mv[:, 1]) * 1e3, 360))


MIXED = np.concatenate(
    [
        ecg_uv(regular_s(0.8, 12), FS_HZ, 12),
        ventricular_fibrillation_uv(np.random.default_rng(4), FS_HZ, 15),
        ecg_uv(regular_s(0.8, 12), FS_HZ, 12),
    ]
)


def test_the_suspicion_ends_when_the_beats_are_back() -> None:
    said = verdicts(MIXED)

    assert said[11] is False
    assert said[24] is True
    assert said[38] is False


@settings(max_examples=25, deadline=None)
@given(cuts=st.lists(st.integers(0, MIXED.size), max_size=8))
def test_chunking_and_restart_change_neither_verdicts_nor_state(cuts: list[int]) -> None:
    whole = FibrillationDetector(FS_HZ)
    whole.process(MIXED)
    pieces = FibrillationDetector(FS_HZ)
    bounds = [0, *sorted(cuts), MIXED.size]
    for first, end in itertools.pairwise(bounds):
        pieces.process(MIXED[first:end])
        pieces = FibrillationDetector.from_bytes(pieces.to_bytes())

    assert pieces.to_bytes() == whole.to_bytes()
    assert pieces.at(30 * FS_HZ) == whole.at(30 * FS_HZ)


def test_behind_a_gap_nothing_is_said_until_the_window_is_full() -> None:
    detector = FibrillationDetector(FS_HZ)
    detector.process(MIXED[: 25 * FS_HZ])
    assert detector.at(25 * FS_HZ)[0] is True

    detector.skip(10 * FS_HZ)
    assert detector.at(35 * FS_HZ) == (None, 0.0)
    detector.process(MIXED[: 7 * FS_HZ])

    assert detector.at(40 * FS_HZ) == (None, 0.0)
    assert detector.at(42 * FS_HZ)[0] is False


def test_the_kernel_is_its_plain_form_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    compiled = FibrillationDetector(FS_HZ)
    compiled.process(MIXED[: 14 * FS_HZ])
    for name, value in vars(fibrillation_kernel).items():
        if hasattr(value, "py_func"):
            monkeypatch.setattr(fibrillation_kernel, name, value.py_func)
    monkeypatch.setattr(
        "processors.dsp.fibrillation.follow_fibrillation",
        fibrillation_kernel.follow_fibrillation,
    )
    plain = FibrillationDetector(FS_HZ)
    plain.process(MIXED[: 14 * FS_HZ])

    assert plain.to_bytes() == compiled.to_bytes()


@settings(max_examples=30, deadline=None)
@given(values=st.lists(st.floats(-1e7, 1e7), min_size=1, max_size=60), repeats=st.integers(1, 80))
def test_any_finite_samples_give_a_verdict_and_a_state(values: list[float], repeats: int) -> None:
    detector = FibrillationDetector(100.0)

    detector.process(np.tile(np.array(values), repeats))

    _, confidence = detector.at(len(values) * repeats)
    assert 0.0 <= confidence <= 1.0
    assert FibrillationDetector.from_bytes(detector.to_bytes()).to_bytes() == detector.to_bytes()


@pytest.mark.parametrize("fs_hz", [0.0, 99.0, 2001.0, float("nan")])
def test_rates_outside_the_range_are_refused(fs_hz: float) -> None:
    with pytest.raises(ValueError, match="Hz is not within"):
        FibrillationDetector(fs_hz)


def test_junk_is_no_state() -> None:
    with pytest.raises(StateError):
        FibrillationDetector.from_bytes(b"junk")
