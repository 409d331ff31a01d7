"""The R-peak detector as a stream step: in pieces as in one, restarted, behind gaps, in time."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.dsp import (
    r_peaks,
    r_peaks_decide_kernel,
    r_peaks_humps_kernel,
    r_peaks_kernel,
    r_peaks_levels_kernel,
    r_peaks_odds_kernel,
    r_peaks_shapes_kernel,
)
from processors.dsp.r_peaks import BEAT_DTYPE, LEARNING_S, RPeakDetector
from processors.dsp.state import MalformedStateError, State, StateError
from tests.processors_core.synthetic_ecg import NORMAL, WIDE, ecg_uv, regular_s

Floats = NDArray[np.float64]
FS_HZ = 250.0
MODULES = (
    r_peaks,
    r_peaks_decide_kernel,
    r_peaks_humps_kernel,
    r_peaks_kernel,
    r_peaks_levels_kernel,
    r_peaks_odds_kernel,
    r_peaks_shapes_kernel,
)


def rhythm(duration_s: float, fs_hz: float = FS_HZ, seed: int = 0) -> Floats:
    rng = np.random.default_rng(seed)
    r_peaks_s = np.cumsum(rng.uniform(0.5, 1.1, 2 * int(duration_s)))
    beats = ecg_uv(r_peaks_s[r_peaks_s < duration_s], fs_hz, duration_s, (NORMAL, NORMAL, WIDE))
    return beats + rng.normal(0, 30, beats.size)


def in_pieces(ecg: Floats, cuts: list[int], n_leads: int, *, restore: bool) -> bytes:
    streaming = RPeakDetector(FS_HZ, n_leads)
    beats = b""
    for piece in np.split(ecg, sorted(cuts), axis=-1):
        beats += streaming.process(piece).tobytes()
        if restore:
            streaming = RPeakDetector.from_bytes(streaming.to_bytes())
    return beats + streaming.to_bytes()


@given(cuts=st.lists(st.integers(0, 5000), max_size=10), restore=st.booleans())
@settings(deadline=None, max_examples=40)
def test_pieces_and_restarts_give_the_beats_of_the_whole(cuts: list[int], *, restore: bool) -> None:
    ecg = rhythm(20)
    whole = RPeakDetector(FS_HZ)
    beats = whole.process(ecg)

    assert in_pieces(ecg, cuts, 1, restore=restore) == beats.tobytes() + whole.to_bytes()
    assert beats.size > 15


@given(cuts=st.lists(st.integers(0, 5000), max_size=6), restore=st.booleans())
@settings(deadline=None, max_examples=20)
def test_two_leads_in_pieces_give_the_beats_of_the_whole(cuts: list[int], *, restore: bool) -> None:
    ecg = np.stack((rhythm(20), -0.6 * rhythm(20, seed=0) + rhythm(20, seed=5) * 0.05))
    whole = RPeakDetector(FS_HZ, 2)
    beats = whole.process(ecg)

    assert in_pieces(ecg, cuts, 2, restore=restore) == beats.tobytes() + whole.to_bytes()
    assert beats.size > 15


@pytest.mark.parametrize("fs_hz", [128.0, 360.0, 500.0])
def test_single_samples_give_the_beats_of_the_whole(fs_hz: float) -> None:
    ecg = rhythm(8, fs_hz)
    streaming = RPeakDetector(fs_hz)

    beats = np.concatenate([streaming.process(ecg[i : i + 1]) for i in range(ecg.size)])

    assert beats.tobytes() == RPeakDetector(fs_hz).process(ecg).tobytes()


@pytest.mark.parametrize("n_leads", [1, 2])
def test_the_compiled_kernels_are_their_source_bit_for_bit(
    monkeypatch: pytest.MonkeyPatch, n_leads: int
) -> None:
    ecg = np.stack((rhythm(9), rhythm(9, seed=3)))[:n_leads]
    ecg[:, 1000:] += np.random.default_rng(1).normal(
        0, 400, 1250
    )  # so that shapes are held against it
    compiled = RPeakDetector(FS_HZ, n_leads)
    beats = compiled.process(ecg)

    for module in MODULES:
        for name, kernel in vars(module).copy().items():
            if hasattr(kernel, "py_func"):
                monkeypatch.setattr(module, name, kernel.py_func)
    plain = RPeakDetector(FS_HZ, n_leads)

    assert plain.process(ecg).tobytes() == beats.tobytes()
    assert plain.to_bytes() == compiled.to_bytes()
    assert beats.size >= 4


@pytest.mark.parametrize("fs_hz", [125.0, 250.0, 360.0, 1000.0])
def test_a_beat_comes_between_a_quarter_and_half_a_second_after_its_r_peak(fs_hz: float) -> None:
    ecg = rhythm(60, fs_hz)
    detector = RPeakDetector(fs_hz)
    n_step = max(1, round(0.004 * fs_hz))

    watermark, i_last = 0, -1.0
    for i in range(0, ecg.size, n_step):
        for i_r in detector.process(ecg[i : i + n_step])["i_r"]:
            assert i_r > i_last
            assert i_r >= watermark - 1
            if i_last > 2.5 * fs_hz:
                assert 0.25 <= (i + n_step - i_r) / fs_hz <= detector.delay_s + n_step / fs_hz
            i_last = i_r
        assert detector.watermark >= watermark
        watermark = detector.watermark

    assert detector.delay_s <= 0.5
    assert ecg.size - watermark <= 0.5 * fs_hz


def test_the_first_beats_come_together_within_two_seconds() -> None:
    r_peaks_s = regular_s(0.6, 10, first_s=0.2)
    detector = RPeakDetector(FS_HZ)

    found = detector.process(ecg_uv(r_peaks_s, FS_HZ, 10)[: round((0.2 + 2.0) * FS_HZ)])

    assert LEARNING_S <= 1.5
    assert np.round(found["i_r"] / FS_HZ, 2).tolist() == [0.2, 0.8, 1.4]


@pytest.mark.parametrize("gap_s", [0.1, 1.0, 9.0, 60.0])
def test_beyond_a_gap_the_index_goes_on_and_beats_on_both_sides_are_kept(gap_s: float) -> None:
    r_peaks_s = regular_s(0.8, 20)
    rng = np.random.default_rng(0)
    ecg = ecg_uv(r_peaks_s, FS_HZ, 20) + rng.normal(0, 5, 5000)
    cut = round((r_peaks_s[10] + 0.1) * FS_HZ)  # a beat so close to the gap is not yet known
    detector = RPeakDetector(FS_HZ)

    before = [*detector.process(ecg[:cut])["i_r"], *detector.skip(round(gap_s * FS_HZ))["i_r"]]
    after = [*detector.process(ecg[cut:])["i_r"], *detector.skip(0)["i_r"]]

    assert before == pytest.approx(r_peaks_s[:11] * FS_HZ, abs=2)
    assert after == pytest.approx((r_peaks_s[11:] + gap_s) * FS_HZ, abs=2)


def test_an_empty_chunk_and_a_gap_at_the_start_change_nothing() -> None:
    detector = RPeakDetector(FS_HZ)

    assert detector.process(np.zeros(0)).dtype == BEAT_DTYPE
    assert detector.skip(100).size == 0
    assert (detector.i_next, detector.watermark) == (100, 100)


@pytest.mark.parametrize("fs_hz", [0.0, 50.0, 5000.0])
def test_a_sampling_rate_that_it_was_not_made_for_is_refused(fs_hz: float) -> None:
    with pytest.raises(ValueError, match="is not within"):
        RPeakDetector(fs_hz)


def test_another_number_of_leads_is_refused() -> None:
    with pytest.raises(ValueError, match="3 leads"):
        RPeakDetector(FS_HZ, 3)
    with pytest.raises(ValueError, match="1 leads were given"):
        RPeakDetector(FS_HZ, 2).process(np.zeros(10))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("n_pending", 10**6),
        ("n_in_block", -1),
        ("lead", 1),
        ("n_rrs", -5),
        ("n_paths", 99),
        ("i_last_r", np.nan),
    ],
)
def test_a_state_that_would_lead_astray_is_refused(name: str, value: float) -> None:
    detector = RPeakDetector(FS_HZ)
    detector.process(rhythm(5))
    kept = State.from_bytes(detector.to_bytes(), kind="r_peak_detector", version=2)
    record = np.frombuffer(kept.child("kernel"), detector._state.dtype).copy()
    record[name] = value
    spoilt = State(
        kind=kept.kind,
        version=kept.version,
        scalars=kept.scalars,
        arrays=kept.arrays,
        children={"kernel": record.tobytes()},
    )

    with pytest.raises(MalformedStateError):
        RPeakDetector.from_bytes(spoilt.to_bytes())


@given(st.binary(max_size=200))
def test_bytes_that_are_no_state_are_refused(state: bytes) -> None:
    with pytest.raises(StateError):
        RPeakDetector.from_bytes(state)
