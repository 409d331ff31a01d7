"""Envelope and peaks: plain definitions, and the same bits however the signal is cut."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from processors.dsp.envelope import Envelope, Peak, PeakFinder, sliding_sum
from processors.dsp.filters import bandpass

SIGNAL = np.random.default_rng(2).normal(0, 100, 1500)


@given(n=st.integers(1, 40), window=st.integers(1, 45), start=st.integers(0, 100))
def test_a_sliding_sum_does_not_know_where_it_stands(n: int, window: int, start: int) -> None:
    sums = sliding_sum(SIGNAL[start : start + n], window)

    assert sums.size == max(0, n - window + 1)
    assert sums.tobytes() == sliding_sum(SIGNAL, window)[start : start + sums.size].tobytes()
    assert sums == pytest.approx(
        [SIGNAL[start + i : start + i + window].sum() for i in range(sums.size)]
    )


@given(cuts=st.lists(st.integers(0, 1500), max_size=8))
def test_pieces_give_the_envelope_and_the_peaks_of_the_whole(cuts: list[int]) -> None:
    band = (8.0, 20.0, 250.0, 2)
    whole = Envelope(bandpass(*band), 35).process(SIGNAL)
    peaks = PeakFinder(30, 1.0).process(whole)
    streaming, finder = Envelope(bandpass(*band), 35), PeakFinder(30, 1.0)

    parts, found = [], []
    for piece in np.split(SIGNAL, sorted(cuts)):
        parts.append(streaming.process(piece))
        found += finder.process(parts[-1])
        streaming = Envelope.from_bytes(streaming.to_bytes())
        finder = PeakFinder.from_bytes(finder.to_bytes())

    assert np.concatenate(parts).tobytes() == whole.tobytes()
    assert found == peaks
    assert len(peaks) > 5


def test_of_equal_heights_the_first_is_the_peak() -> None:
    finder = PeakFinder(3, 0.5)

    peaks = finder.process(
        np.array([0, 0, 0, 1, 2, 2, 2, 1, 0, 0, 0, 0, 0.4, 0, 0, 0], dtype=float)
    )

    assert peaks == [Peak(4, 2.0)]
    assert finder.i_undecided == 13
