"""Episode by episode: atrial fibrillation, ventricular fibrillation.

An episode of the reference is found if the test has any of it; one of the test is right if the
reference has any of it. Durations are compared second for second. Atrial flutter of the reference
is left out where the test's atrial fibrillation is judged: to call it fibrillation is no fault.

Source: ANSI/AAMI EC57:2012, episode-by-episode comparison; Moody, "Evaluating ECG Analyzers".
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from ingest.wfdb_annotations import Annotation
from processors.scoring.tracks import Ints, fibrillates, scaled, spans


def _rhythm(name: str) -> Callable[[Annotation], bool | None]:
    def is_in(one: Annotation) -> bool | None:
        return one.aux.strip() == name if one.symbol == "+" else None

    return is_in


EPISODE_KINDS: Final[Mapping[str, Callable[[Annotation], bool | None]]] = MappingProxyType(
    {
        "atrial_fibrillation": _rhythm("(AFIB"),
        "ventricular_fibrillation": fibrillates,
        "ventricular_tachycardia": _rhythm("(VT"),
    }
)
"""How each kind of episode is marked in an annotation file."""

_ATRIAL_FLUTTER: Final = _rhythm("(AFL")


@dataclass(frozen=True, slots=True, kw_only=True)
class EpisodeScore:
    """Counts of one record, or sums of them."""

    n_reference: int = 0
    n_found: int = 0
    """Episodes of the reference that the test has some of."""
    n_test: int = 0
    n_right: int = 0
    """Episodes of the test that the reference has some of."""
    reference_s: float = 0.0
    test_s: float = 0.0
    both_s: float = 0.0
    judged_s: float = 0.0
    """Length of what was compared."""

    def __add__(self, other: EpisodeScore) -> EpisodeScore:
        return EpisodeScore(
            n_reference=self.n_reference + other.n_reference,
            n_found=self.n_found + other.n_found,
            n_test=self.n_test + other.n_test,
            n_right=self.n_right + other.n_right,
            reference_s=self.reference_s + other.reference_s,
            test_s=self.test_s + other.test_s,
            both_s=self.both_s + other.both_s,
            judged_s=self.judged_s + other.judged_s,
        )

    def percentages(self) -> dict[str, float | None]:
        """Sensitivity and predictivity of episodes and durations, and specificity of durations."""
        neither_s = self.judged_s - self.reference_s - self.test_s + self.both_s
        return {
            "episode_se_percent": _percent(self.n_found, self.n_reference),
            "episode_ppv_percent": _percent(self.n_right, self.n_test),
            "duration_se_percent": _percent(self.both_s, self.reference_s),
            "duration_ppv_percent": _percent(self.both_s, self.test_s),
            "duration_sp_percent": _percent(neither_s, self.judged_s - self.reference_s),
        }


def _percent(part: float, whole: float) -> float | None:
    return 100.0 * part / whole if whole > 0 else None


def score_episodes(
    kind: str,
    reference: Iterable[Annotation],
    test: Iterable[Annotation],
    fs_hz: float,
    *,
    end_sample: int,
    from_s: float = 0.0,
    scale: float = 1.0,
) -> EpisodeScore:
    """Compare one record's episodes of one kind.

    Parameters
    ----------
    kind
        One of `EPISODE_KINDS`.
    reference, test
        Annotations in order of time.
    fs_hz
        Of the reference's grid.
    end_sample
        Where the record ends, on the reference's grid.
    from_s
        What is before is not compared.
    scale
        Samples of the reference's grid per sample of the test.
    """
    state = EPISODE_KINDS[kind]
    references = tuple(reference)
    begin = round(from_s * fs_hz)
    is_excused = np.zeros(max(0, end_sample - begin), dtype=bool)
    in_reference, in_test = is_excused.copy(), is_excused.copy()
    spans_reference = _clipped(scaled(spans(references, state), 1.0), begin, end_sample)
    spans_test = _clipped(scaled(spans(test, state), scale), begin, end_sample)
    _paint(in_reference, spans_reference)
    _paint(in_test, spans_test)
    if kind == "atrial_fibrillation":
        flutter = scaled(spans(references, _ATRIAL_FLUTTER), 1.0)
        _paint(is_excused, _clipped(flutter, begin, end_sample))
    judged = ~is_excused
    in_test &= judged
    return EpisodeScore(
        n_reference=len(spans_reference),
        n_found=sum(bool(in_test[first:stop].any()) for first, stop in spans_reference),
        n_test=sum(bool(judged[first:stop].any()) for first, stop in spans_test),
        n_right=sum(bool(in_reference[first:stop].any()) for first, stop in spans_test),
        reference_s=float(in_reference.sum() / fs_hz),
        test_s=float(in_test.sum() / fs_hz),
        both_s=float((in_reference & in_test).sum() / fs_hz),
        judged_s=float(judged.sum() / fs_hz),
    )


def _clipped(intervals: Ints, begin: int, end: int) -> list[tuple[int, int]]:
    """Count from ``begin``, and drop what is outside."""
    if end <= begin:
        return []
    pairs = np.clip(intervals.reshape(-1, 2), begin, end) - begin
    return [(first, stop) for first, stop in pairs.tolist() if first < stop]


def _paint(mask: np.ndarray[tuple[int], np.dtype[np.bool_]], where: list[tuple[int, int]]) -> None:
    for first, stop in where:
        mask[first:stop] = True
