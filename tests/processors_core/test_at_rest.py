"""What a filter remembers of a constant: as SciPy has it, and no more than arithmetic."""

from typing import Literal

import numpy as np
import pytest
from scipy import signal

from processors.dsp.at_rest import sections_at_rest, taps_at_rest


@pytest.mark.parametrize("kind", ["lowpass", "highpass"])
@pytest.mark.parametrize("order", [1, 2, 5])
def test_taps_remember_what_scipy_says(kind: Literal["lowpass", "highpass"], order: int) -> None:
    b, a = signal.butter(order, 10.0, kind, fs=250.0)

    np.testing.assert_allclose(taps_at_rest(b, a), signal.lfilter_zi(b, a), rtol=1e-7, atol=1e-10)


@pytest.mark.parametrize("band", [(0.5, 40.0), (5.0, 15.0)])
def test_a_constant_that_has_always_been_there_passes_without_a_start(
    band: tuple[float, float],
) -> None:
    sos = np.concatenate(
        [
            signal.butter(3, band[1], "lowpass", fs=250.0, output="sos"),
            signal.butter(2, band[0], "highpass", fs=250.0, output="sos"),
        ]
    )

    filtered, _ = signal.sosfilt(sos, np.full(500, 7.0), zi=7.0 * sections_at_rest(sos))

    np.testing.assert_allclose(filtered, 0.0, atol=1e-9)
    np.testing.assert_allclose(sections_at_rest(sos), signal.sosfilt_zi(sos), rtol=1e-7, atol=1e-9)
