"""Accuracy on all public recordings, and what the quality is worth: tables and JSON."""

from dataclasses import asdict
from pathlib import Path
from typing import Any

from processors.scoring.rates import CurvePoint, RateScore, coverage_error_curve
from tests.benchmarks import results
from tests.benchmarks.accuracy_ecg import arrhythmia, noise
from tests.benchmarks.accuracy_fusion import fusions
from tests.benchmarks.accuracy_monitor import monitors
from tests.benchmarks.figures import print_sections


def measure(folder: Path) -> dict[str, Any]:
    """Measure everything, print the tables, and keep them.

    Parameters
    ----------
    folder
        With the sets ``mitdb``, ``nstdb`` and ``bidmc``.

    Returns
    -------
    What is in the JSON.
    """
    found = {"mitdb": arrhythmia(folder), "nstdb": noise(folder), "bidmc": monitors(folder)}
    figures = [figure for listed, _ in found.values() for figure in listed] + fusions(folder)
    print_sections(figures)
    rates = {name: score for name, (_, score) in found.items()}
    rates["all"] = sum(list(rates.values())[1:], rates["mitdb"])
    curves = {name: coverage_error_curve(score) for name, score in rates.items()}
    for name, curve in curves.items():
        _show_curve(name, rates[name], curve)
    measured: dict[str, Any] = {
        "figures": [figure.as_json() for figure in figures],
        "curves": {name: [asdict(point) for point in curve] for name, curve in curves.items()},
    }
    results.save("accuracy", measured)
    return measured


def _show_curve(name: str, score: RateScore, curve: tuple[CurvePoint, ...]) -> None:
    results.show(
        f"Heart rates of at least some quality: {name}, {score.n_asked} seconds",
        ("quality from", "shown %", "within 5/min %", "mean error"),
        [
            (
                results.cell(point.quality_min),
                results.cell(point.coverage_percent),
                results.cell(point.within_5_percent),
                results.cell(point.mae_bpm),
            )
            for point in curve
        ],
    )
