"""Moving windows: what NumPy says of each window, in any pieces and after restarts."""

from collections.abc import Callable
from typing import Any, Protocol, cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp.state import State, StateError
from processors.dsp.windows import MovingExtreme, MovingMean, MovingMedian
from processors.dsp.windows_kernel import moving_extremes, moving_medians, moving_sums

Floats = NDArray[np.float64]


class Window(Protocol):
    def process(self, chunk: Floats, /) -> Floats: ...
    def reset(self) -> None: ...
    def to_bytes(self) -> bytes: ...


Make = Callable[[int], Window]
Restore = Callable[[bytes], Window]
Truth = Callable[[Floats], np.float64]


def highest(n: int) -> Window:
    return MovingExtreme(n, "highest")


def lowest(n: int) -> Window:
    return MovingExtreme(n, "lowest")


KINDS: dict[str, tuple[Make, Restore, Truth]] = {
    "mean": (MovingMean, MovingMean.from_bytes, np.mean),
    "highest": (highest, lambda state: MovingExtreme.from_bytes(state, "highest"), np.max),
    "lowest": (lowest, lambda state: MovingExtreme.from_bytes(state, "lowest"), np.min),
    "median": (MovingMedian, MovingMedian.from_bytes, np.median),
}


@pytest.mark.parametrize("kind", KINDS)
@given(
    samples=st.lists(st.integers(-50, 50), min_size=1, max_size=120),
    n_window=st.integers(1, 40),
    cuts=st.lists(st.integers(0, 120), max_size=5),
    restore=st.booleans(),
)
@settings(deadline=None, max_examples=60)
def test_each_value_is_that_of_its_window_in_any_pieces(
    kind: str, samples: list[int], n_window: int, cuts: list[int], *, restore: bool
) -> None:
    make, restored, truth = KINDS[kind]
    signal = np.array(samples, dtype=np.float64)
    streaming = make(n_window)

    parts = []
    for piece in np.split(signal, sorted(min(cut, signal.size) for cut in cuts)):
        parts.append(streaming.process(piece))
        if restore:
            streaming = restored(streaming.to_bytes())

    got = np.concatenate(parts)
    assert got.tobytes() == make(n_window).process(signal).tobytes()
    assert got == pytest.approx(
        [float(truth(signal[max(0, i + 1 - n_window) : i + 1])) for i in range(signal.size)],
        abs=1e-9,
    )


def test_a_sum_does_not_drift_when_large_values_have_passed() -> None:
    mean = MovingMean(100)
    mean.process(np.full(1000, 1e15) + np.arange(1000) % 7)

    assert mean.process(np.full(300, 0.1))[200:] == pytest.approx(0.1, rel=1e-12)


def test_the_delay_is_half_of_the_window() -> None:
    ramp = np.arange(1000.0)

    for window in (MovingMean(51), MovingMedian(51)):
        assert window.process(ramp)[100:] == pytest.approx(ramp[100:] - window.delay_samples)


@pytest.mark.parametrize("kind", KINDS)
def test_reset_forgets(kind: str) -> None:
    window = KINDS[kind][0](7)
    signal = np.random.default_rng(1).normal(size=100)
    first = window.process(signal)
    window.reset()

    assert window.process(signal).tobytes() == first.tobytes()


@pytest.mark.parametrize("kind", KINDS)
def test_an_empty_window_and_any_bytes_are_refused(kind: str) -> None:
    make, restored, _ = KINDS[kind]
    with pytest.raises(ValueError, match="holds nothing"):
        make(0)
    for state in (b"junk", State(kind=f"moving_{kind}", version=1).to_bytes()):
        with pytest.raises(StateError):
            restored(state)


def test_a_median_of_no_number_is_refused() -> None:
    with pytest.raises(ValueError, match="finite"):
        MovingMedian(5).process(np.array([1.0, np.nan]))


def test_kernels_and_their_sources_agree_bit_for_bit() -> None:
    signal = np.random.default_rng(5).normal(size=200)
    results: list[bytes] = []
    for source in (False, True):
        sums, extremes, medians = (
            cast("Any", kernel).py_func if source else cast("Any", kernel)
            for kernel in (moving_sums, moving_extremes, moving_medians)
        )
        out = np.zeros((3, 200))
        ring, ordered, total = np.zeros(9), np.zeros(9), np.zeros(1)
        indices, counts = np.zeros(9, np.int64), np.zeros((3, 3), np.int64)
        sums(ring, counts[0], total, signal, out[0])
        medians(np.zeros(9), ordered, counts[1], signal, out[1])
        extremes(np.zeros(9), indices, counts[2], 1.0, signal, out[2])
        parts = (out, ring, ordered, total, indices, counts)
        results.append(b"".join(part.tobytes() for part in parts))

    assert results[0] == results[1]
