"""Beat by beat: the confusion matrix of beat labels, and what the standards read from it.

Source: ANSI/AAMI EC57:2012, beat-by-beat comparison; Moody, "Evaluating ECG Analyzers" (WFDB
Applications Guide), for what the reference implementation counts.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

from processors.scoring.pairing import Pairing, pair_beats, pair_beats_as_bxb
from processors.scoring.tracks import LABELS, BeatTrack, within, without_fibrillation

Floats = NDArray[np.float64]
Ints = NDArray[np.int64]
PairingRule: TypeAlias = Literal["maximal", "bxb"]

WINDOW_S: Final = 0.15
"""Match window of the standard."""
NARROW_WINDOW_S: Final = 0.05
"""For who wants to know whether the beat was found, or only its neighbourhood."""
LEARNING_S: Final = 300.0
"""The standard leaves the first five minutes to the algorithm for learning."""

ROWS: Final = (*LABELS, "O", "X")
"""Of the reference; O: no beat there, X: none, and the reference is shut down."""
COLUMNS: Final = tuple(row.lower() for row in ROWS)
"""Of the test, likewise."""
_N_LABELS: Final = len(LABELS)
_S, _V, _F, _Q, _O, _X = range(1, len(ROWS))

_PAIR: Final = {"maximal": pair_beats, "bxb": pair_beats_as_bxb}


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """Which part of a record counts."""

    name: str
    from_s: float = 0.0
    without_fibrillation: bool = False
    """Leave out what the reference marks as ventricular flutter or fibrillation."""


CONDITIONS: Final = (
    Condition(name="all"),
    Condition(name="without_vf", without_fibrillation=True),
    Condition(name="from_5_min", from_s=LEARNING_S),
    Condition(name="ec57", from_s=LEARNING_S, without_fibrillation=True),
)
"""Nothing left out; without VF; without the learning period; and as the standard has it."""


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class BeatScore:
    """Counts of one record under one condition, or sums of them: everything else follows.

    A percentage whose denominator is 0 is None. FPR of ventricular beats is over all that is no
    ventricular beat of the reference; what the reference calls fusion or unknown is not held
    against a V of the test, as the standard has it.
    """

    matrix: Ints
    """Shape ``(7, 7)``: `ROWS` of the reference by `COLUMNS` of the test."""
    n_matched_50_ms: int
    """Pairs where the match window is 50 ms."""
    offsets_ms: Floats
    """Test minus reference of every pair, in order of time; shape ``(n_matched,)``."""
    rr_errors_ms: Floats
    """Test minus reference of every RR interval that both know; shape ``(n,)``."""
    test_has_s: bool
    """False: the test does not claim to tell supraventricular ectopic beats from normal ones."""

    @property
    def n_matched(self) -> int:
        """Beats of the reference that the test has, whatever their labels."""
        return int(self.matrix[:_N_LABELS, :_N_LABELS].sum())

    @property
    def n_reference(self) -> int:
        """Beats of the reference."""
        return int(self.matrix[:_N_LABELS].sum())

    @property
    def n_test(self) -> int:
        """Beats of the test."""
        return int(self.matrix[:, :_N_LABELS].sum())

    def __add__(self, other: BeatScore) -> BeatScore:
        return BeatScore(
            matrix=self.matrix + other.matrix,
            n_matched_50_ms=self.n_matched_50_ms + other.n_matched_50_ms,
            offsets_ms=np.concatenate([self.offsets_ms, other.offsets_ms]),
            rr_errors_ms=np.concatenate([self.rr_errors_ms, other.rr_errors_ms]),
            test_has_s=self.test_has_s or other.test_has_s,
        )

    def percentages(self) -> dict[str, float | None]:
        """Everything that is stated in percent, by name."""
        n_both = self.n_reference + self.n_test
        known: dict[str, float | None] = {
            "qrs_se_percent": _percent(self.n_matched, self.n_reference),
            "qrs_ppv_percent": _percent(self.n_matched, self.n_test),
            "qrs_f1_percent": _percent(2 * self.n_matched, n_both),
            "qrs_se_50_ms_percent": _percent(self.n_matched_50_ms, self.n_reference),
            "qrs_ppv_50_ms_percent": _percent(self.n_matched_50_ms, self.n_test),
            "qrs_f1_50_ms_percent": _percent(2 * self.n_matched_50_ms, n_both),
        }
        return {**known, **self._ventricular(), **self._supraventricular()}

    def _ventricular(self) -> dict[str, float | None]:
        m = self.matrix
        n_true = int(m[_V, _V])
        n_false = int(m[[0, _S, _O, _X], _V].sum())
        n_neither = int(m[:, :_N_LABELS].sum() - m[_V, :_N_LABELS].sum() - m[:, _V].sum() + n_true)
        return {
            "veb_se_percent": _percent(n_true, int(m[_V].sum())),
            "veb_ppv_percent": _percent(n_true, n_true + n_false),
            "veb_fpr_percent": _percent(n_false, n_neither + n_false),
        }

    def _supraventricular(self) -> dict[str, float | None]:
        m = self.matrix
        n_true = int(m[_S, _S])
        n_false = int(m[[0, _V, _F, _O, _X], _S].sum())
        return {
            "sveb_se_percent": _percent(n_true, int(m[_S].sum())) if self.test_has_s else None,
            "sveb_ppv_percent": _percent(n_true, n_true + n_false),
        }

    def jitter_ms(self) -> dict[str, float | None]:
        """Offset of the pairs: median, median absolute deviation from it, RMS; RMS of RR errors."""
        if self.offsets_ms.size == 0:
            return dict.fromkeys(("offset_ms", "offset_mad_ms", "offset_rms_ms", "rr_rms_ms"))
        median = float(np.median(self.offsets_ms))
        return {
            "offset_ms": median,
            "offset_mad_ms": float(np.median(np.abs(self.offsets_ms - median))),
            "offset_rms_ms": _rms(self.offsets_ms),
            "rr_rms_ms": _rms(self.rr_errors_ms) if self.rr_errors_ms.size else None,
        }


def _percent(n: int, n_all: int) -> float | None:
    return 100.0 * n / n_all if n_all else None


def _rms(values: Floats) -> float:
    return math.sqrt(float(np.mean(np.square(values))))


def score_beats(
    reference: BeatTrack,
    test: BeatTrack,
    fs_hz: float,
    condition: Condition = CONDITIONS[0],
    *,
    window_s: float = WINDOW_S,
    rule: PairingRule = "maximal",
) -> BeatScore:
    """Compare one record's beats.

    A pair counts if its reference beat does; a beat without a partner counts where it is itself.
    So a test beat just within the counted part is not a false one if its partner is just outside.
    Where fibrillation is left out, so are the beats that either file marks within its own.

    Parameters
    ----------
    reference, test
        On the same grid of ``fs_hz`` samples per second.
    condition
        What counts; the whole record unless told.
    window_s
        Largest distance of a pair, rounded to whole samples.
    """
    if condition.without_fibrillation:
        reference, test = without_fibrillation(reference), without_fibrillation(test)
    pairing = _PAIR[rule](reference.samples, test.samples, round(window_s * fs_hz))
    narrow = _PAIR[rule](reference.samples, test.samples, round(NARROW_WINDOW_S * fs_hz))
    counts = _counter(reference, condition, fs_hz)
    is_kept = counts(reference.samples)[pairing.i_reference]
    kept = Pairing(pairing.i_reference[is_kept], pairing.i_test[is_kept])
    matrix = np.zeros((len(ROWS), len(COLUMNS)), dtype=np.int64)
    np.add.at(matrix, (reference.labels[kept.i_reference], test.labels[kept.i_test]), 1)
    missed = _alone(reference, pairing.i_reference, counts)
    extra = _alone(test, pairing.i_test, counts)
    is_shut = within(reference.samples[missed], test.shutdown)
    np.add.at(matrix, (reference.labels[missed], np.where(is_shut, _X, _O)), 1)
    is_shut = within(test.samples[extra], reference.shutdown)
    np.add.at(matrix, (np.where(is_shut, _X, _O), test.labels[extra]), 1)
    return BeatScore(
        matrix=matrix,
        n_matched_50_ms=int(counts(reference.samples)[narrow.i_reference].sum()),
        offsets_ms=_offsets(reference, test, kept) * (1e3 / fs_hz),
        rr_errors_ms=_rr_errors(reference, test, kept) * (1e3 / fs_hz),
        test_has_s=bool((test.labels == _S).any()),
    )


def _counter(
    reference: BeatTrack, condition: Condition, fs_hz: float
) -> Callable[[Ints], NDArray[np.bool_]]:
    """Tell of samples whether they count."""
    i_from = round(condition.from_s * fs_hz)

    def counts(samples: Ints) -> NDArray[np.bool_]:
        counted = samples >= i_from
        if condition.without_fibrillation:
            counted &= ~within(samples, reference.fibrillation)
        return counted

    return counts


def _alone(track: BeatTrack, paired: Ints, counts: Callable[[Ints], NDArray[np.bool_]]) -> Ints:
    is_alone = counts(track.samples)
    is_alone[paired] = False
    return np.flatnonzero(is_alone)


def _offsets(reference: BeatTrack, test: BeatTrack, kept: Pairing) -> Floats:
    offsets = test.samples[kept.i_test] - reference.samples[kept.i_reference]
    return offsets.astype(np.float64)


def _rr_errors(reference: BeatTrack, test: BeatTrack, kept: Pairing) -> Floats:
    """Take the intervals between two pairs that follow each other on both sides."""
    follows = (np.diff(kept.i_reference) == 1) & (np.diff(kept.i_test) == 1)
    # Across a fibrillation there is no interval.
    after = reference.samples[kept.i_reference[1:]]
    before = reference.samples[kept.i_reference[:-1]]
    for first, _ in reference.fibrillation.tolist():
        follows &= ~((before <= first) & (first < after))
    errors: Floats = np.diff(_offsets(reference, test, kept))[follows]
    return errors


def total(scores: Iterable[BeatScore]) -> BeatScore:
    """Gross statistics: every beat of every record counts the same."""
    summed = BeatScore(
        matrix=np.zeros((len(ROWS), len(COLUMNS)), dtype=np.int64),
        n_matched_50_ms=0,
        offsets_ms=np.zeros(0),
        rr_errors_ms=np.zeros(0),
        test_has_s=False,
    )
    for score in scores:
        summed += score
    return summed


def average(scores: Iterable[BeatScore]) -> dict[str, float | None]:
    """Average statistics: every record in which a percentage is defined counts the same."""
    rows = [score.percentages() for score in scores]
    means: dict[str, float | None] = {}
    for name in rows[0] if rows else ():
        known = [value for row in rows if (value := row[name]) is not None]
        means[name] = math.fsum(known) / len(known) if known else None
    return means
