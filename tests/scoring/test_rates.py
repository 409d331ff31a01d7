"""Rates against a reference, and the curve of what quality is worth."""

import numpy as np
import pytest

from processors.scoring.rates import coverage_error_curve, reference_rates_bpm, score_rates


def test_the_reference_is_the_mean_of_the_intervals_that_end_in_the_window() -> None:
    beats_s = np.concatenate([np.arange(0, 20.5, 1.0), np.arange(20.5, 40, 0.5)])

    rates = reference_rates_bpm(beats_s, np.array([0.0, 1.0, 10.0, 20.0, 35.0, 60.0]))

    assert np.isnan(rates[[0, 1, 5]]).all()
    assert rates[2:5] == pytest.approx([60.0, 60.0, 120.0])


def test_errors_count_only_where_both_have_a_rate() -> None:
    nan = np.nan
    score = score_rates(
        test_bpm=np.array([60.0, 66.0, nan, 80.0]),
        quality=np.array([0.9, 0.5, 0.1, 0.9]),
        reference_bpm=np.array([60.0, 60.0, 60.0, nan]),
    )

    figures = score.figures()
    assert figures["coverage_percent"] == pytest.approx(200 / 3)
    assert figures["mae_bpm"] == pytest.approx(3.0)
    assert figures["rms_bpm"] == pytest.approx(18**0.5)
    assert figures["rms_percent"] == pytest.approx(100 * 18**0.5 / 60)
    assert figures["within_5_percent"] == pytest.approx(50.0)


def test_believing_only_good_values_costs_coverage_and_lowers_the_error() -> None:
    quality = np.linspace(0, 1, 1001)
    reference = np.full(1001, 70.0)

    curve = coverage_error_curve(score_rates(reference + 20 * (1 - quality), quality, reference))

    errors = [point.mae_bpm for point in curve if point.mae_bpm is not None]
    coverages = [point.coverage_percent for point in curve]
    assert errors == sorted(errors, reverse=True)
    assert coverages == sorted(coverages, reverse=True)
    assert len(errors) == len(coverages)


def test_no_rate_at_all_has_no_error() -> None:
    nothing = np.full(3, np.nan)

    figures = score_rates(nothing, np.zeros(3), nothing).figures()

    assert figures["coverage_percent"] is None
    assert figures["mae_bpm"] is None
