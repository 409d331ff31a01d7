"""Run by run: couplets, short and long runs of ventricular ectopic beats.

For every run of the reference the longest run of the test is sought within it, and the other way
round, so that a run that is found in pieces is told from one that is found whole. Fusion beats
belong to a run; ventricular fibrillation is a run of the greatest length.

Source: ANSI/AAMI EC57:2012, run-by-run comparison; Moody, "Evaluating ECG Analyzers".
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np

from processors.scoring.tracks import LABELS, BeatTrack, Ints, within

LENGTH_MAX: Final = 6
"""Longer runs count as this long."""

_SIZES: Final = {"couplet": (2, 2), "short_run": (3, 5), "long_run": (LENGTH_MAX, LENGTH_MAX)}
_IN_RUN: Final = tuple(LABELS.index(label) for label in "VF")


@dataclass(frozen=True, slots=True, eq=False)
class RunScore:
    """Counts of one record, or sums of them; rows: run length of the reference, columns: test."""

    by_reference: Ints
    """For every run of the reference; shape ``(7, 7)``."""
    by_test: Ints
    """For every run of the test; shape ``(7, 7)``."""

    def __add__(self, other: RunScore) -> RunScore:
        return RunScore(self.by_reference + other.by_reference, self.by_test + other.by_test)

    def percentages(self) -> dict[str, float | None]:
        """Give sensitivity and predictivity of couplets, short (3 to 5) and long runs (over 5).

        A run is found if the other side has one there of at least the smallest length of its size.
        """
        figures: dict[str, float | None] = {}
        for name, (shortest, longest) in _SIZES.items():
            rows = self.by_reference[shortest : longest + 1]
            columns = self.by_test[:, shortest : longest + 1]
            figures[f"{name}_se_percent"] = _percent(rows[:, shortest:].sum(), rows.sum())
            figures[f"{name}_ppv_percent"] = _percent(columns[shortest:].sum(), columns.sum())
        return figures


NO_RUNS: Final = RunScore(
    np.zeros((LENGTH_MAX + 1, LENGTH_MAX + 1), dtype=np.int64),
    np.zeros((LENGTH_MAX + 1, LENGTH_MAX + 1), dtype=np.int64),
)


def _percent(n: np.int64, n_all: np.int64) -> float | None:
    return 100.0 * int(n) / int(n_all) if n_all else None


def score_runs(
    reference: BeatTrack, test: BeatTrack, n_max: int, *, from_sample: int = 0
) -> RunScore:
    """Compare one record's ventricular runs.

    Parameters
    ----------
    reference, test
        On the same grid.
    n_max
        The match window in samples: so far a run of the other side may reach out of this one.
    from_sample
        Runs that begin before are not compared.
    """
    score = RunScore(NO_RUNS.by_reference.copy(), NO_RUNS.by_test.copy())
    for first, last, length in _runs(reference):
        if first >= from_sample:
            score.by_reference[length, _longest(test, first - n_max, last + n_max)] += 1
    for first, last, length in _runs(test):
        if first >= from_sample:
            score.by_test[_longest(reference, first - n_max, last + n_max), length] += 1
    return score


def _runs(track: BeatTrack) -> Iterator[tuple[int, int, int]]:
    """Give first and last sample and length of every run, in order of time."""
    present: tuple[int, int, int] | None = None
    for at, last, length in _steps(track):
        if length:
            first, _, so_far = present or (at, last, 0)
            present = (first, last, min(LENGTH_MAX, so_far + length))
        elif present is not None:
            yield present
            present = None
    if present is not None:
        yield present


def _steps(track: BeatTrack) -> list[tuple[int, int, int]]:
    """Give first and last sample of beats and fibrillations, and what they add to a run."""
    is_in_run = np.isin(track.labels, _IN_RUN)
    is_free = ~within(track.samples, track.fibrillation)
    beats = zip(track.samples[is_free].tolist(), is_in_run[is_free].tolist(), strict=True)
    steps = [(at, at, int(adds)) for at, adds in beats]
    steps += [(first, last, LENGTH_MAX) for first, last in track.fibrillation.tolist()]
    return sorted(steps)


def _longest(track: BeatTrack, begin: int, end: int) -> int:
    """Give the length of the longest run of what lies within, or fibrillates into it."""
    fibrillates = (track.fibrillation[:, 0] <= end) & (track.fibrillation[:, 1] >= begin)
    if fibrillates.any():
        return LENGTH_MAX
    first, stop = np.searchsorted(track.samples, [begin, end + 1])
    longest = length = 0
    for label in track.labels[first:stop].tolist():
        length = length + 1 if label in _IN_RUN else 0
        longest = max(longest, length)
    return min(LENGTH_MAX, longest)
