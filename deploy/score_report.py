"""What ``chevet score`` says: as JSON for machines and as tables for people.

The JSON (`SCHEMA`) has ``reference``, ``test``, ``window_ms`` and ``pairing`` as they were asked
for, then

``records``
    One object per record: ``record``, ``fs_hz``, ``conditions``, ``episodes``, ``runs``,
    ``heart_rate``.
``gross``, ``average``
    By condition (``all``, ``without_vf``, ``from_5_min``, ``ec57``): the records' beats summed up,
    and the mean of their percentages over the records in which they are defined.
``episodes``
    By span (``all``, ``from_5_min``) and kind (``atrial_fibrillation`` …), summed: numbers of
    episodes and of those that were found or right, durations in seconds, percentages.
``runs``
    By span, summed: sensitivity and predictivity of couplets, short and long runs of ventricular
    beats, and the two matrices of run lengths (0 to over 5).
``heart_rate``
    Where tables of observations were given: instants asked and shown, mean absolute and RMS error
    in beats per minute, RMS error in percent of the mean reference.

Beats of one condition have ``n_reference``, ``n_test``, ``n_matched``, ``n_matched_50_ms``;
``qrs_``, ``veb_`` and ``sveb_`` sensitivity (``se``) and positive predictivity (``ppv``), for
ventricular beats the false positive rate (``fpr``), for all beats F1, each in ``_percent``;
``offset_ms`` (median of test minus reference), ``offset_mad_ms``, ``offset_rms_ms``,
``rr_rms_ms``; and the ``matrix`` of labels, reference rows in capitals by test columns. What is not
defined is null.
"""

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from typing import Any, Final

from processors.scoring.beats import (
    COLUMNS,
    CONDITIONS,
    LEARNING_S,
    ROWS,
    BeatScore,
    PairingRule,
    average,
    total,
)
from processors.scoring.episodes import EPISODE_KINDS, EpisodeScore
from processors.scoring.rates import RateScore
from processors.scoring.runs import NO_RUNS, RunScore

SCHEMA: Final = "chevet-score/1"
"""Name and version of the JSON; the version goes up when a field changes its meaning."""

SPANS: Final = {"all": 0.0, "from_5_min": LEARNING_S}
"""From which second on episodes and runs are compared, by name."""
CONDITION_NAMES: Final = tuple(condition.name for condition in CONDITIONS)


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordScore:
    """Everything that was compared of one record."""

    name: str
    fs_hz: float
    beats: dict[str, BeatScore]
    """By condition."""
    episodes: dict[str, dict[str, EpisodeScore]]
    """By span, then by kind."""
    runs: dict[str, RunScore]
    """By span."""
    heart_rate: RateScore | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """The scores of all records."""

    reference: str
    test: str
    window_s: float
    rule: PairingRule
    records: tuple[RecordScore, ...]

    def beats(self, condition: str) -> list[BeatScore]:
        """Give the records' scores under one condition."""
        return [record.beats[condition] for record in self.records]

    def episodes(self, span: str) -> dict[str, EpisodeScore]:
        """Sum up the episodes, by kind."""
        return {
            kind: sum((record.episodes[span][kind] for record in self.records), EpisodeScore())
            for kind in EPISODE_KINDS
        }

    def runs(self, span: str) -> RunScore:
        """Sum up the runs of ventricular beats."""
        return sum((record.runs[span] for record in self.records), NO_RUNS)

    def heart_rate(self) -> RateScore | None:
        """Sum up the records that have one; None if none has."""
        known = [one for record in self.records if (one := record.heart_rate) is not None]
        return sum(known[1:], known[0]) if known else None

    def as_json(self) -> dict[str, Any]:
        """Everything, for ``--json``."""
        rate = self.heart_rate()
        return {
            "schema": SCHEMA,
            "reference": self.reference,
            "test": self.test,
            "window_ms": round(1e3 * self.window_s, 3),
            "pairing": self.rule,
            "records": [_record_json(record) for record in self.records],
            "gross": {name: _beats_json(total(self.beats(name))) for name in CONDITION_NAMES},
            "average": {name: _rounded(average(self.beats(name))) for name in CONDITION_NAMES},
            "episodes": {span: _episodes_json(self.episodes(span)) for span in SPANS},
            "runs": {span: _runs_json(self.runs(span)) for span in SPANS},
            "heart_rate": None if rate is None else _rounded(rate.figures()),
        }


def _record_json(record: RecordScore) -> dict[str, Any]:
    rate = record.heart_rate
    return {
        "record": record.name,
        "fs_hz": record.fs_hz,
        "conditions": {name: _beats_json(score) for name, score in record.beats.items()},
        "episodes": {span: _episodes_json(found) for span, found in record.episodes.items()},
        "runs": {span: _runs_json(found) for span, found in record.runs.items()},
        "heart_rate": None if rate is None else _rounded(rate.figures()),
    }


def _beats_json(score: BeatScore) -> dict[str, Any]:
    matrix = {
        row: dict(zip(COLUMNS, counts, strict=True))
        for row, counts in zip(ROWS, score.matrix.tolist(), strict=True)
    }
    counts = {
        "n_reference": score.n_reference,
        "n_test": score.n_test,
        "n_matched": score.n_matched,
        "n_matched_50_ms": score.n_matched_50_ms,
    }
    return counts | _rounded(score.percentages() | score.jitter_ms()) | {"matrix": matrix}


def _episodes_json(scores: dict[str, EpisodeScore]) -> dict[str, Any]:
    return {kind: _rounded(asdict(score) | score.percentages()) for kind, score in scores.items()}


def _runs_json(score: RunScore) -> dict[str, Any]:
    return _rounded(score.percentages()) | {
        "by_reference": score.by_reference.tolist(),
        "by_test": score.by_test.tolist(),
    }


def _rounded(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        name: round(value, 4) if isinstance(value, float) else value
        for name, value in figures.items()
    }


# For people


def as_text(report: Report, condition: str) -> str:
    """Lay the report out as tables, records under one condition, sums under all."""
    lines = [
        f"Beats within {1e3 * report.window_s:.0f} ms, one to one "
        f"({report.rule} pairing), condition: {condition}",
        _HEAD,
    ]
    lines += [_row(record.name, record.beats[condition]) for record in report.records]
    gross = total(report.beats(condition))
    lines += ["", *(_row(f"gross {name}", total(report.beats(name))) for name in CONDITION_NAMES)]
    lines += [_average_row(f"average {name}", report.beats(name)) for name in CONDITION_NAMES]
    lines += ["", f"Labels ({condition}); o, x: missed; O, X: no such beat", *_matrix(gross)]
    if not gross.test_has_s:
        lines.append("The test does not tell S from N.")
    lines += _episode_lines(report) + _run_lines(report)
    rate = report.heart_rate()
    if rate is not None:
        lines += ["", "Heart rate against the mean of the reference over 10 s", _rate_line(rate)]
    return "\n".join(lines)


_HEAD: Final = (
    f"{'record':18s} {'beats':>7s} {'missed':>6s} {'extra':>6s} {'Se':>7s} {'PPV':>7s} {'F1':>7s} "
    f"{'F1@50':>7s} {'V Se':>6s} {'V PPV':>6s} {'V FPR':>6s} {'off':>5s} {'MAD':>5s} {'RMS':>5s}"
)
_SHOWN: Final = (
    ("qrs_se_percent", 7, 2),
    ("qrs_ppv_percent", 7, 2),
    ("qrs_f1_percent", 7, 2),
    ("qrs_f1_50_ms_percent", 7, 2),
    ("veb_se_percent", 6, 2),
    ("veb_ppv_percent", 6, 2),
    ("veb_fpr_percent", 6, 3),
    ("offset_ms", 5, 1),
    ("offset_mad_ms", 5, 1),
    ("offset_rms_ms", 5, 1),
)


def _row(name: str, score: BeatScore) -> str:
    n_missed, n_extra = score.n_reference - score.n_matched, score.n_test - score.n_matched
    figures = _columns(score.percentages() | score.jitter_ms())
    return f"{name:18s} {score.n_reference:7d} {n_missed:6d} {n_extra:6d} {figures}"


def _average_row(name: str, scores: Iterable[BeatScore]) -> str:
    return f"{name:18s} {'':7s} {'':6s} {'':6s} {_columns(average(scores))}".rstrip()


def _columns(figures: dict[str, float | None]) -> str:
    cells = []
    for name, width, n_digits in _SHOWN:
        value = figures.get(name)
        cells.append(f"{'-':>{width}s}" if value is None else f"{value:{width}.{n_digits}f}")
    return " ".join(cells)


def _matrix(score: BeatScore) -> list[str]:
    head = "     " + "".join(f"{column:>8s}" for column in COLUMNS)
    rows = [
        f"  {row}  " + "".join(f"{n:8d}" for n in counts)
        for row, counts in zip(ROWS, score.matrix.tolist(), strict=True)
    ]
    return [head, *rows]


def _episode_lines(report: Report) -> list[str]:
    lines: list[str] = []
    for kind, score in report.episodes("all").items():
        if score.n_reference or score.n_test:
            figures = ", ".join(
                f"{name.removesuffix('_percent').replace('_', ' ')} {value:.1f} %"
                for name, value in score.percentages().items()
                if value is not None
            )
            lines.append(
                f"{kind}: {score.n_reference} episodes of {score.reference_s:.0f} s, test "
                f"{score.n_test} of {score.test_s:.0f} s; {figures}"
            )
    return ["", "Episodes, whole records", *lines] if lines else []


def _run_lines(report: Report) -> list[str]:
    figures = report.runs("all").percentages()
    known = [
        f"{name.removesuffix('_percent').replace('_', ' ')} {value:.1f} %"
        for name, value in figures.items()
        if value is not None
    ]
    return ["", "Runs of ventricular beats, whole records", ", ".join(known)] if known else []


def _rate_line(rate: RateScore) -> str:
    return ", ".join(
        f"{name} {value:.3f}" if isinstance(value, float) else f"{name} {value}"
        for name, value in rate.figures().items()
    )
