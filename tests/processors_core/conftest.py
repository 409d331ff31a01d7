import numpy as np
import pytest
from numpy.typing import NDArray

from tests.processors_core.scoring import wheel_ecg_uv


@pytest.fixture(scope="session")
def wheel_ecg() -> NDArray[np.float64]:
    """Five minutes of a real ECG at 360 Hz, in microvolt; nothing to download."""
    return wheel_ecg_uv()
