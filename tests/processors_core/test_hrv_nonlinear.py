"""Entropy, scaling and the Poincaré plot: against textbook forms and against NeuroKit2."""

import math
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from processors.vitals import hrv_kernel
from processors.vitals.hrv_nonlinear import (
    ALPHA1_BEATS,
    ALPHA2_BEATS,
    FluctuationBoxes,
    all_follow,
    dfa_exponent,
    poincare_ms,
    sample_entropy,
)
from processors.vitals.nn_intervals import TooFewIntervalsError
from tests.processors_core.scoring import quiet
from tests.processors_core.simulated_nn import sinus_beats_s

Floats = NDArray[np.float64]

NN_S = np.diff(sinus_beats_s(401))


def textbook_entropy(x: Floats, m: int, r: float) -> float:
    """Richman and Moorman, in so many words."""

    def n_matches(length: int) -> int:
        templates = np.array([x[i : i + length] for i in range(x.size - m)])
        distance = np.abs(templates[:, None, :] - templates[None, :, :]).max(axis=2)
        return int((distance <= r).sum()) - len(templates)

    return -math.log(n_matches(m + 1) / n_matches(m))


def textbook_dfa(x: Floats, beats: tuple[int, int]) -> float:
    """Peng et al., in so many words."""
    profile = np.cumsum(x - x.mean())
    lengths = np.arange(beats[0], beats[1] + 1)
    fluctuation = []
    for n in lengths.tolist():
        boxes = profile[: profile.size // n * n].reshape(-1, n)
        lines = np.polyfit(np.arange(n), boxes.T, 1)
        trend = np.outer(lines[0], np.arange(n)) + lines[1][:, None]
        fluctuation.append(math.sqrt(float(((boxes - trend) ** 2).mean())))
    return float(np.polyfit(np.log10(lengths), np.log10(fluctuation), 1)[0])


def test_sample_entropy_is_that_of_the_textbook_and_of_neurokit() -> None:
    tolerance_s = 0.2 * float(np.std(NN_S, ddof=1))
    with quiet():
        import neurokit2 as nk

        peer, _ = nk.entropy_sample(NN_S, dimension=2, delay=1, tolerance=tolerance_s)

    assert sample_entropy(NN_S) == pytest.approx(textbook_entropy(NN_S, 2, tolerance_s), rel=1e-12)
    assert sample_entropy(NN_S) == pytest.approx(float(peer), rel=1e-9)


@pytest.mark.parametrize("beats", [ALPHA1_BEATS, ALPHA2_BEATS])
def test_dfa_is_that_of_the_textbook_and_of_neurokit(beats: tuple[int, int]) -> None:
    with quiet():
        import neurokit2 as nk

        scale = np.arange(beats[0], beats[1] + 1)
        peer, _ = nk.fractal_dfa(NN_S, scale=scale, overlap=False)

    assert dfa_exponent(NN_S, beats) == pytest.approx(textbook_dfa(NN_S, beats), rel=1e-9)
    assert dfa_exponent(NN_S, beats) == pytest.approx(float(peer), rel=1e-9)


def test_the_poincare_axes_are_those_of_neurokit_and_of_brennan() -> None:
    with quiet():
        import neurokit2 as nk

        peer = nk.hrv_nonlinear(
            {"RRI": 1e3 * NN_S, "RRI_Time": np.cumsum(NN_S)}, sampling_rate=1000
        )
    sd1_ms, sd2_ms = poincare_ms(NN_S)

    assert sd1_ms == pytest.approx(float(peer["HRV_SD1"].iloc[0]), rel=1e-9)
    assert sd2_ms == pytest.approx(float(peer["HRV_SD2"].iloc[0]), rel=1e-9)
    sdnn_ms, sdsd_ms = (1e3 * float(np.std(x, ddof=1)) for x in (NN_S, np.diff(NN_S)))
    assert sd1_ms**2 == pytest.approx(sdsd_ms**2 / 2)
    assert sd2_ms**2 == pytest.approx(2 * sdnn_ms**2 - sdsd_ms**2 / 2, rel=0.01)


def test_noise_has_an_exponent_of_one_half_and_its_sum_of_one_and_a_half() -> None:
    noise = np.random.default_rng(2).standard_normal(20_000)

    assert dfa_exponent(noise, ALPHA2_BEATS) == pytest.approx(0.5, abs=0.03)
    assert dfa_exponent(np.cumsum(noise), ALPHA2_BEATS) == pytest.approx(1.5, abs=0.03)


def test_boxes_and_templates_do_not_span_what_was_left_out() -> None:
    follows = all_follow(NN_S.size)
    follows[150] = False
    pieces = NN_S[:150], NN_S[150:]
    boxes = FluctuationBoxes(ALPHA1_BEATS)
    for piece in pieces:
        boxes.add(piece, all_follow(piece.size))
    together = FluctuationBoxes(ALPHA1_BEATS)
    together.add(NN_S, follows)

    assert together.n_boxes.tolist() == boxes.n_boxes.tolist()
    assert together.n_boxes[0] == 150 // 4 + 250 // 4
    assert together.residual_s2.tobytes() == boxes.residual_s2.tobytes()

    far = np.concatenate((pieces[0], pieces[1] + 5.0))
    r = 0.01
    counts = [
        hrv_kernel.count_matches(x, all_follow(x.size).astype(np.int64), 2, r) for x in pieces
    ]
    apart = hrv_kernel.count_matches(far, follows.astype(np.int64), 2, r)
    assert apart == (counts[0][0] + counts[1][0], counts[0][1] + counts[1][1])


@given(cuts=st.sets(st.integers(0, NN_S.size), max_size=5))
@settings(deadline=None)
def test_boxes_filled_in_pieces_are_the_same_bit_for_bit(cuts: set[int]) -> None:
    follows = all_follow(NN_S.size)
    follows[[40, 41, 300]] = False
    whole = FluctuationBoxes(ALPHA2_BEATS)
    whole.add(NN_S, follows)
    pieces = FluctuationBoxes(ALPHA2_BEATS)
    bounds = [0, *sorted(cuts), NN_S.size]
    for first, end in pairwise(bounds):
        pieces.add(NN_S[first:end], follows[first:end])

    assert pieces.residual_s2.tobytes() == whole.residual_s2.tobytes()
    assert pieces.boxes.tobytes() == whole.boxes.tobytes()
    assert pieces.n_boxes.tolist() == whole.n_boxes.tolist()


def test_what_does_not_vary_has_neither_exponent_nor_surprise() -> None:
    constant = np.full(300, 0.8)

    assert math.isnan(dfa_exponent(constant, ALPHA1_BEATS))
    assert sample_entropy(constant) == 0.0


def test_where_nothing_is_alike_there_is_no_entropy() -> None:
    assert math.isnan(sample_entropy(np.array([0.5, 1.0, 0.6, 1.4, 0.7])))


def test_too_few_intervals_say_how_many_are_needed() -> None:
    with pytest.raises(TooFewIntervalsError, match="Poincaré plot needs 3 intervals, 2 available"):
        poincare_ms(NN_S[:2])
    with pytest.raises(TooFewIntervalsError, match="sample entropy needs 4"):
        sample_entropy(NN_S[:3])
    with pytest.raises(TooFewIntervalsError, match="fluctuation needs 16"):
        dfa_exponent(NN_S[:15], ALPHA1_BEATS)


def test_the_kernels_and_their_plain_forms_agree_bit_for_bit() -> None:
    x = np.ascontiguousarray(NN_S[:80])
    follows = all_follow(80).astype(np.int64)
    follows[30] = 0
    count = hrv_kernel.count_matches
    arguments = (x, follows, 2, 0.01)
    assert count(*arguments) == count.py_func(*arguments)  # type: ignore[attr-defined]

    compiled, plain = FluctuationBoxes((4, 9)), FluctuationBoxes((4, 9))
    fill = hrv_kernel.fill_boxes
    fill(x, follows, 4, compiled.boxes, compiled.residual_s2, compiled.n_boxes)
    fill.py_func(  # type: ignore[attr-defined]
        x, follows, 4, plain.boxes, plain.residual_s2, plain.n_boxes
    )
    assert compiled.boxes.tobytes() == plain.boxes.tobytes()
    assert compiled.residual_s2.tobytes() == plain.residual_s2.tobytes()
    assert compiled.n_boxes.tolist() == plain.n_boxes.tolist()
