"""Finite filters: exact delay, exact convolution, the same bits in any pieces."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.dsp.filters import FirFilter, linear_bandpass
from processors.dsp.filters_kernel import filter_taps, weighted_sum
from processors.dsp.state import StateError

FS_HZ = 250.0
SIGNAL = np.random.default_rng(2).normal(0, 100, 1000) + 3e4


@given(
    cuts=st.lists(st.integers(0, 1000), max_size=8),
    n_taps=st.integers(1, 60),
    restore=st.booleans(),
)
@settings(deadline=None, max_examples=50)
def test_pieces_and_restarts_give_the_bits_of_the_whole(
    cuts: list[int], n_taps: int, *, restore: bool
) -> None:
    taps = np.random.default_rng(n_taps).normal(0, 1, n_taps)
    expected = FirFilter(taps, FS_HZ).process(SIGNAL)
    streaming = FirFilter(taps, FS_HZ)

    parts = []
    for piece in np.split(SIGNAL, sorted(cuts)):
        parts.append(streaming.process(piece))
        if restore:
            streaming = FirFilter.from_bytes(streaming.to_bytes())

    assert np.concatenate(parts).tobytes() == expected.tobytes()


def test_it_is_the_convolution_of_a_signal_that_was_always_there() -> None:
    taps = np.random.default_rng(3).normal(0, 1, 31)
    before = np.full(30, SIGNAL[0])

    filtered = FirFilter(taps, FS_HZ).process(SIGNAL)

    assert filtered == pytest.approx(
        np.convolve(np.concatenate([before, SIGNAL]), taps, mode="valid"), rel=1e-9
    )


def test_the_delay_is_declared_where_there_is_one() -> None:
    band = linear_bandpass(5.0, 15.0, FS_HZ, edge_hz=2.0)
    t = np.arange(2000) / FS_HZ

    late = band.process(np.sin(2 * np.pi * 9 * t))

    n_late = round(band.delay_s * FS_HZ)
    assert late[1000:] == pytest.approx(
        np.sin(2 * np.pi * 9 * (t[1000:] - n_late / FS_HZ)), abs=2e-3
    )
    with pytest.raises(ValueError, match="no one delay"):
        _ = FirFilter(np.array([1.0, 0.5]), FS_HZ).delay_s


def test_a_baseline_of_any_size_does_not_pass_from_the_first_sample_on() -> None:
    assert np.abs(linear_bandpass(5.0, 15.0, FS_HZ, 2.0).process(np.full(500, 1e6))).max() < 500


def test_reset_forgets() -> None:
    band = linear_bandpass(5.0, 15.0, FS_HZ, edge_hz=2.0)
    first = band.process(SIGNAL)
    band.reset()

    assert band.process(SIGNAL).tobytes() == first.tobytes()


@pytest.mark.parametrize(("low", "high"), [(1.0, 15.0), (15.0, 5.0), (5.0, 124.0)])
def test_a_band_that_is_none_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="no band"):
        linear_bandpass(low, high, FS_HZ, edge_hz=2.0)


@pytest.mark.parametrize("taps", [np.zeros(0), np.array([np.nan]), np.zeros((2, 2))])
def test_taps_that_are_none_are_refused(taps: np.ndarray) -> None:
    with pytest.raises(ValueError, match="taps"):
        FirFilter(taps, FS_HZ)


@given(st.binary(max_size=40))
def test_any_bytes_are_no_state(junk: bytes) -> None:
    with pytest.raises(StateError):
        FirFilter.from_bytes(junk)


def test_the_kernel_and_its_source_agree_bit_for_bit() -> None:
    taps = np.random.default_rng(4).normal(0, 1, 17)
    results: list[bytes] = []
    for form in (filter_taps, cast("Any", filter_taps).py_func):
        ring, out = np.zeros(34), np.zeros(200)
        at = form(taps, ring, 3, SIGNAL[:200], out)
        results.append(ring.tobytes() + out.tobytes() + bytes([at]))

    assert results[0] == results[1]
    assert weighted_sum(taps, SIGNAL, 40) == cast("Any", weighted_sum).py_func(taps, SIGNAL, 40)
