"""Baseline removal: wander goes, waves keep their shape, pieces give the bits of the whole."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from processors.dsp.baseline import BaselineRemover
from processors.dsp.state import StateError
from tests.processors_core.synthetic_ecg import ecg_uv, regular_s

ECG = ecg_uv(regular_s(0.8, 20), 250, 20)
T = np.arange(ECG.size) / 250
WANDER = 2e4 + 800 * np.sin(2 * np.pi * 0.15 * T)


@given(cuts=st.lists(st.integers(0, 5000), max_size=8), restore=st.booleans())
@settings(deadline=None, max_examples=25)
def test_pieces_and_restarts_give_the_bits_of_the_whole(cuts: list[int], *, restore: bool) -> None:
    expected = BaselineRemover(250).process(ECG + WANDER)
    streaming = BaselineRemover(250)

    parts = []
    for piece in np.split(ECG + WANDER, sorted(cuts)):
        parts.append(streaming.process(piece))
        if restore:
            streaming = BaselineRemover.from_bytes(streaming.to_bytes())

    assert np.concatenate(parts).tobytes() == expected.tobytes()


def test_wander_goes_and_beats_keep_their_height_at_their_time() -> None:
    remover = BaselineRemover(250)

    level = remover.process(ECG + WANDER)

    n_late = round(remover.delay_s * 250)
    beats = np.flatnonzero(0.98 * ECG.max() < ECG)
    beats = beats[(beats > 500) & (beats < 4500)]
    assert level[beats + n_late] == pytest.approx(ECG[beats], abs=0.2 * ECG.max())
    wander = BaselineRemover(250).process(WANDER)
    assert np.abs(wander[1000:]).max() < 100


def test_a_constant_gives_nothing_from_the_first_sample_on() -> None:
    assert np.abs(BaselineRemover(250).process(np.full(1000, 1e5))).max() < 1e-9


def test_reset_forgets() -> None:
    remover = BaselineRemover(250)
    first = remover.process(ECG)
    remover.reset()

    assert remover.process(ECG).tobytes() == first.tobytes()


@given(st.binary(max_size=40))
def test_any_bytes_are_no_state(junk: bytes) -> None:
    with pytest.raises(StateError):
        BaselineRemover.from_bytes(junk)


@pytest.mark.parametrize(("fs_hz", "window_s"), [(0, 1), (250, 0), (250, -1)])
def test_a_window_that_is_none_is_refused(fs_hz: float, window_s: float) -> None:
    with pytest.raises(ValueError, match="no window"):
        BaselineRemover(fs_hz, window_s)
