"""Mains: found where it is and only there, taken out without a trace on the QRS complex."""

from itertools import product
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import signal

from processors.dsp import mains_kernel
from processors.dsp.kernel import new_record
from processors.dsp.mains import FOUND_AFTER_S, RAILWAY_HZ, MainsCanceller
from processors.dsp.mains_kernel import MAINS
from processors.dsp.state import StateError
from tests.processors_core.scoring import read_ecg_uv
from tests.processors_core.synthetic_ecg import Wave, ecg_uv, regular_s

Floats = NDArray[np.float64]


def clean_ecg(fs_hz: int, duration_s: int = 40) -> Floats:
    noise = np.random.default_rng(3).normal(0, 5, fs_hz * duration_s)
    return ecg_uv(regular_s(0.8, duration_s), fs_hz, duration_s) + noise


def hum(fs_hz: int, f_hz: float, amplitude: float, n: int) -> Floats:
    return amplitude * np.sin(2 * np.pi * f_hz * np.arange(n) / fs_hz + 0.3)


HUMMING = clean_ecg(250) + hum(250, 50.1, 80, 10_000) * (np.arange(10_000) < 6000)


@given(cuts=st.lists(st.integers(0, 10_000), max_size=8), restore=st.booleans())
@settings(deadline=None, max_examples=25)
def test_pieces_and_restarts_give_the_bits_of_the_whole(cuts: list[int], *, restore: bool) -> None:
    whole, streaming = MainsCanceller(250), MainsCanceller(250)
    expected = whole.process(HUMMING)

    parts = []
    for piece in np.split(HUMMING, sorted(cuts)):
        parts.append(streaming.process(piece))
        if restore:
            streaming = MainsCanceller.from_bytes(streaming.to_bytes())

    assert np.concatenate(parts).tobytes() == expected.tobytes()
    assert streaming.to_bytes() == whole.to_bytes()


@pytest.mark.parametrize(
    ("fs_hz", "f_hz"),
    [(125, 50.0), (125, 49.7), *product((250, 360, 500, 1000), (50.0, 49.7, 60.0, 60.4))],
)
@pytest.mark.parametrize("amplitude", [20, 500])
def test_mains_is_found_and_taken_out_better_than_by_a_notch(
    fs_hz: int, f_hz: float, amplitude: float
) -> None:
    ecg = clean_ecg(fs_hz)
    humming = ecg + hum(fs_hz, f_hz, amplitude, ecg.size)
    canceller = MainsCanceller(fs_hz)

    left = (canceller.process(humming) - ecg)[20 * fs_hz :]

    assert canceller.found_hz == 10 * round(f_hz / 10)
    assert canceller.frequency_hz == pytest.approx(f_hz, abs=0.02)
    assert canceller.amplitude == pytest.approx(amplitude, abs=4)
    b, a = signal.iirnotch(10 * round(f_hz / 10), 30, fs_hz)
    by_notch = (signal.lfilter(b, a, humming) - ecg)[20 * fs_hz :]
    assert left.std() < min(1.5, by_notch.std())
    assert np.abs(left).max() < 6


@pytest.mark.parametrize(("amplitude", "within_s"), [(20, FOUND_AFTER_S), (500, 2.0)])
def test_it_is_found_within_seconds_the_strong_one_sooner(
    amplitude: float, within_s: float
) -> None:
    canceller = MainsCanceller(250)
    begins = 5.5
    humming = clean_ecg(250) + hum(250, 50.1, amplitude, 10_000) * (np.arange(10_000) >= 1375)

    found = [
        canceller.process(humming[i : i + 125]).size and canceller.found_hz
        for i in range(0, 10_000, 125)
    ]

    first = next(n for n, f_hz in enumerate(found, 1) if f_hz) / 2
    assert begins < first <= begins + within_s
    assert set(found[round(2 * first) :]) == {50.0}


def test_what_has_ended_is_not_taken_out_any_longer() -> None:
    ecg = clean_ecg(250)

    left = MainsCanceller(250).process(HUMMING) - ecg

    assert np.abs(left[10 * 250 : 6000]).max() < 6
    assert np.abs(left[6000 + 75 :]).max() < 6


def test_a_steady_beat_is_no_mains() -> None:
    sharp = ((Wave(0.0, 0.004, 1000.0),),)
    for rr_s in (0.25, 0.4, 0.5, 1.0):
        ecg = ecg_uv(regular_s(rr_s, 40), 250, 40, sharp)
        assert MainsCanceller(250).process(ecg).tobytes() == ecg.tobytes()


def test_the_stronger_of_two_is_taken_out() -> None:
    ecg = clean_ecg(250, 60)
    late = np.arange(ecg.size) >= 20 * 250
    humming = ecg + hum(250, 60, 20, ecg.size) + hum(250, 50, 300, ecg.size) * late
    canceller = MainsCanceller(250)
    canceller.process(humming[: 20 * 250])
    before_hz = canceller.found_hz

    left = canceller.process(humming[20 * 250 :]) - ecg[20 * 250 :]

    assert (before_hz, canceller.found_hz) == (60.0, 50.0)
    assert left[20 * 250 :].std() < 20


def test_behind_a_gap_it_is_known_and_only_its_phase_is_new() -> None:
    canceller = MainsCanceller(250)
    canceller.process(HUMMING[:4000])
    canceller.skip()
    assert canceller.found_hz == 50.0

    left = canceller.process(HUMMING[4077:6000]) - clean_ecg(250)[4077:6000]

    assert np.abs(left[500:]).max() < 10


@pytest.mark.parametrize("fs_hz", [125, 130])
def test_sixty_hertz_just_below_half_the_rate_is_taken_out(fs_hz: int) -> None:
    ecg = clean_ecg(fs_hz)
    canceller = MainsCanceller(fs_hz)

    left = canceller.process(ecg + hum(fs_hz, 60.1, 200, ecg.size)) - ecg

    assert canceller.found_hz == 60.0
    assert left[20 * fs_hz :].std() < 4


def test_where_there_is_none_not_a_bit_changes() -> None:
    ecg = clean_ecg(250)

    assert MainsCanceller(250).process(ecg).tobytes() == ecg.tobytes()


def test_a_hum_of_three_times_the_ecg_leaves_the_ecg() -> None:
    ecg = clean_ecg(250)

    cleaned = MainsCanceller(250).process(ecg + hum(250, 50, 4000, ecg.size))

    assert np.abs((cleaned - ecg)[15 * 250 :]).max() < 10


def test_a_railway_is_looked_for_only_when_asked() -> None:
    ecg = clean_ecg(250)
    humming = ecg + hum(250, RAILWAY_HZ, 300, ecg.size)
    canceller = MainsCanceller(250, (RAILWAY_HZ, 50.0, 60.0))

    left = (canceller.process(humming) - ecg)[20 * 250 :]

    assert canceller.found_hz == RAILWAY_HZ
    assert left.std() < 12
    assert MainsCanceller(250).process(humming).tobytes() == humming.tobytes()


def test_a_rate_too_low_for_mains_leaves_the_signal_alone() -> None:
    breath = np.sin(np.arange(1000) / 10)

    assert MainsCanceller(25).process(breath).tobytes() == breath.tobytes()


@pytest.mark.parametrize("level", [0.0, 1e9])
def test_a_flat_line_has_no_mains_and_stays_finite(level: float) -> None:
    canceller = MainsCanceller(250)
    flat = np.full(5000, level)

    assert canceller.process(flat).tobytes() == flat.tobytes()
    assert canceller.found_hz is None
    assert np.isfinite(canceller.process(hum(250, 50, 1e6, 5000))).all()
    MainsCanceller.from_bytes(canceller.to_bytes())


def test_reset_forgets() -> None:
    canceller = MainsCanceller(250)
    first = canceller.process(HUMMING)
    canceller.reset()

    assert canceller.process(HUMMING).tobytes() == first.tobytes()


def test_american_recordings_hum_at_60_hertz_and_never_at_50(chevet_data: Path) -> None:
    found: set[float | None] = set()
    for record in ("109", "114", "119"):
        ecg = read_ecg_uv(chevet_data / "mitdb" / record)[: 360 * 600]
        canceller = MainsCanceller(360)
        for i in range(0, ecg.size, 360):
            canceller.process(ecg[i : i + 360])
            found.add(canceller.found_hz)

    assert found == {None, 60.0}


@pytest.mark.parametrize("fs_hz", [0.0, float("nan")])
def test_a_rate_that_is_none_is_refused(fs_hz: float) -> None:
    with pytest.raises(ValueError, match="cannot be looked for"):
        MainsCanceller(fs_hz)


@given(st.binary(max_size=40))
def test_any_bytes_are_no_state(junk: bytes) -> None:
    with pytest.raises(StateError):
        MainsCanceller.from_bytes(junk)


def test_the_kernel_and_its_source_agree_bit_for_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    canceller = MainsCanceller(125)
    humming = clean_ecg(125, 8) + hum(125, 50, 50, 1000) * (np.arange(1000) < 800)
    compiled = canceller.process(humming).tobytes() + canceller._record.tobytes()

    for name in ("_line", "_track", "_look", "_weigh", "_follow", "_pass_through"):
        source = cast("Any", getattr(mains_kernel, name)).py_func
        monkeypatch.setattr(mains_kernel, name, source)
    record, cleaned = new_record(MAINS), np.zeros(1000)
    source = cast("Any", mains_kernel.cancel_mains).py_func
    source(record, canceller._design, canceller._window, humming, cleaned)

    assert cleaned.tobytes() + record.tobytes() == compiled
