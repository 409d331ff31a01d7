"""Recursive filters: the same bits however the signal is cut, and the delay that they declare."""

from typing import Any, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal

from processors.dsp.at_rest import sections_at_rest
from processors.dsp.filters import SosFilter, bandpass, highpass, lowpass
from processors.dsp.filters_kernel import filter_sections
from processors.dsp.state import StateError

FS_HZ = 250.0
SIGNAL = np.random.default_rng(1).normal(0, 100, 1000) + 3e5


@given(cuts=st.lists(st.integers(0, 1000), max_size=8), i_kept=st.integers(0, 8))
@settings(deadline=None)
def test_pieces_and_restarts_give_the_bits_of_the_whole(cuts: list[int], i_kept: int) -> None:
    whole = bandpass(0.5, 40.0, FS_HZ, order=2).process(SIGNAL)
    streaming = bandpass(0.5, 40.0, FS_HZ, order=2)

    parts = []
    for i, piece in enumerate(np.split(SIGNAL, sorted(cuts))):
        parts.append(streaming.process(piece))
        if i == i_kept:
            streaming = SosFilter.from_bytes(streaming.to_bytes())

    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_a_constant_of_any_size_passes_without_a_transient() -> None:
    filtered = bandpass(8.0, 20.0, FS_HZ, order=2).process(np.full(500, 1e6))

    assert np.abs(filtered).max() < 1e-3


def test_reset_forgets() -> None:
    streaming = bandpass(1.0, 30.0, FS_HZ, order=2)
    first = streaming.process(SIGNAL)
    streaming.reset()

    assert streaming.process(SIGNAL).tobytes() == first.tobytes()


def test_the_group_delay_is_what_a_wave_packet_takes() -> None:
    band = bandpass(8.0, 20.0, FS_HZ, order=2)
    t = np.arange(1000) / FS_HZ
    packet = np.exp(-0.5 * ((t - 2) / 0.2) ** 2)

    late = band.process(packet * np.cos(2 * np.pi * 12.6 * t)) ** 2

    assert (t * late).sum() / late.sum() - 2 == pytest.approx(band.group_delay_s(12.6), abs=2e-3)


@pytest.mark.parametrize(("low", "high"), [(0.0, 10.0), (20.0, 10.0), (10.0, 125.0)])
def test_a_band_that_is_none_is_refused(low: float, high: float) -> None:
    with pytest.raises(ValueError, match="no band"):
        bandpass(low, high, FS_HZ, order=2)


def test_a_filter_that_is_none_is_not_restored() -> None:
    broken = SosFilter(bandpass(8.0, 20.0, FS_HZ, order=1)._sos, FS_HZ)
    broken._sos = np.zeros((1, 6))

    with pytest.raises(StateError):
        SosFilter.from_bytes(broken.to_bytes())


def test_the_bits_are_those_of_scipy_and_of_the_source_of_the_kernel() -> None:
    sos = bandpass(0.5, 40.0, FS_HZ, order=3)._sos
    memory = sections_at_rest(sos) * SIGNAL[0]
    expected, _ = signal.sosfilt(sos, SIGNAL, zi=memory)
    plain = np.empty(SIGNAL.size)
    cast("Any", filter_sections).py_func(sos, memory.copy(), SIGNAL, plain)

    compiled = SosFilter(sos, FS_HZ).process(SIGNAL)

    assert compiled.tobytes() == expected.tobytes()
    assert plain.tobytes() == expected.tobytes()


def test_low_and_high_pass_share_a_signal_between_them() -> None:
    t = np.arange(5000) / FS_HZ
    slow, fast = np.sin(2 * np.pi * 0.2 * t), np.sin(2 * np.pi * 20 * t)

    low = lowpass(2.0, FS_HZ, order=2).process(slow + fast)
    high = highpass(2.0, FS_HZ, order=2).process(slow + fast)

    assert low[2500:].std() == pytest.approx(slow.std(), rel=0.02)
    assert high[2500:].std() == pytest.approx(fast.std(), rel=0.02)


@pytest.mark.parametrize("design", [lowpass, highpass])
@pytest.mark.parametrize("edge_hz", [0.0, 125.0, -1.0])
def test_an_edge_that_is_none_is_refused(design: Any, edge_hz: float) -> None:  # noqa: ANN401
    with pytest.raises(ValueError, match="no edge"):
        design(edge_hz, FS_HZ, 2)
