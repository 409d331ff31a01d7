"""Rates against a reference: how often one is shown, and how far it is off.

Source: ANSI/AAMI EC57:2012, heart rate measurement: the error is normalised by the mean of the
reference, whose rule is disclosed (`reference_rates_bpm`).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

WINDOW_S: Final = 10.0
"""Span of the reference's mean."""
CLOSE_BPM: Final = 5.0
"""A rate that is no further off is called right."""
LEVELS: Final = (0.0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95)
"""Lowest qualities of the rows of a coverage/error curve."""


def reference_rates_bpm(
    beats_s: Floats, at_s: Floats, *, window_s: float = WINDOW_S, n_intervals_min: int = 2
) -> Floats:
    """Give the rate that the reference beats have: 60 over the mean of the latest RR intervals.

    Parameters
    ----------
    beats_s : shape (n_beats,)
        Times of the beats, ascending.
    at_s : shape (n,)
        When a rate is asked for.
    window_s
        Intervals count that end within so many seconds before.
    n_intervals_min
        With fewer there is no reference.

    Returns
    -------
    shape (n,)
        Beats per minute; NaN where there is none.
    """
    last = np.searchsorted(beats_s, at_s, "right") - 1
    first = np.maximum(np.searchsorted(beats_s, at_s - window_s, "right") - 1, 0)
    n_intervals = last - first
    known = n_intervals >= max(1, n_intervals_min)
    rates = np.full(at_s.shape, np.nan)
    span_s = beats_s[last[known]] - beats_s[first[known]]
    rates[known] = 60.0 * n_intervals[known] / span_s
    return rates


@dataclass(frozen=True, slots=True, eq=False)
class RateScore:
    """The pairs of test and reference, and how many there might have been."""

    n_asked: int
    """Instants at which the reference has a rate."""
    test_bpm: Floats
    """Where the test had one too; shape ``(n_shown,)``."""
    reference_bpm: Floats
    """Shape ``(n_shown,)``."""
    quality: Floats
    """What the test said of its own rate; shape ``(n_shown,)``."""

    def __add__(self, other: RateScore) -> RateScore:
        return RateScore(
            n_asked=self.n_asked + other.n_asked,
            test_bpm=np.concatenate([self.test_bpm, other.test_bpm]),
            reference_bpm=np.concatenate([self.reference_bpm, other.reference_bpm]),
            quality=np.concatenate([self.quality, other.quality]),
        )

    @property
    def errors_bpm(self) -> Floats:
        """Test minus reference."""
        return self.test_bpm - self.reference_bpm

    def figures(self) -> dict[str, float | int | None]:
        """Coverage, mean absolute and root mean square error, and shares, by name."""
        n_shown = int(self.test_bpm.size)
        known: dict[str, float | int | None] = {
            "n_asked": self.n_asked,
            "n_shown": n_shown,
            "coverage_percent": 100.0 * n_shown / self.n_asked if self.n_asked else None,
        }
        if n_shown == 0:
            return known | dict.fromkeys(("mae_bpm", "rms_bpm", "rms_percent", "within_5_percent"))
        rms = math.sqrt(float(np.mean(np.square(self.errors_bpm))))
        return known | {
            "mae_bpm": float(np.mean(np.abs(self.errors_bpm))),
            "rms_bpm": rms,
            "rms_percent": 100.0 * rms / float(np.mean(self.reference_bpm)),
            "within_5_percent": 100.0 * float(np.mean(np.abs(self.errors_bpm) <= CLOSE_BPM)),
        }


def score_rates(test_bpm: Floats, quality: Floats, reference_bpm: Floats) -> RateScore:
    """Compare rates that were given for the same instants.

    Parameters
    ----------
    test_bpm, quality, reference_bpm : shape (n,)
        A rate is NaN where there is none; where the reference has none nothing is asked.
    """
    asked = np.isfinite(reference_bpm)
    shown = asked & np.isfinite(test_bpm)
    return RateScore(int(asked.sum()), test_bpm[shown], reference_bpm[shown], quality[shown])


@dataclass(frozen=True, slots=True, kw_only=True)
class CurvePoint:
    """What is left, and how good it is, if only values of some quality are believed."""

    quality_min: float
    coverage_percent: float
    """Of all instants that the reference has."""
    within_5_percent: float | None
    """Of those that are left."""
    mae_bpm: float | None


def coverage_error_curve(
    score: RateScore, levels: tuple[float, ...] = LEVELS
) -> tuple[CurvePoint, ...]:
    """Show whether quality means something: with its lower limit the error must fall."""
    errors = np.abs(score.errors_bpm)
    points: list[CurvePoint] = []
    for level in levels:
        left = errors[score.quality >= level]
        points.append(
            CurvePoint(
                quality_min=level,
                coverage_percent=100.0 * left.size / max(1, score.n_asked),
                within_5_percent=100.0 * float(np.mean(left <= CLOSE_BPM)) if left.size else None,
                mae_bpm=float(np.mean(left)) if left.size else None,
            )
        )
    return tuple(points)
