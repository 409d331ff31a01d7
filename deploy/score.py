"""``chevet score``: annotation files against a reference, as bxb, rxr, epicmp and mxm compare."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np

from deploy.observation_files import read_values
from deploy.score_report import SPANS, RecordScore, Report
from deploy.wfdb_files import WfdbFileError, read_annotations, read_header
from devices import codes
from ingest.wfdb_annotations import AnnotationFile
from processors.scoring.beats import CONDITIONS, WINDOW_S, PairingRule, score_beats
from processors.scoring.episodes import EPISODE_KINDS, score_episodes
from processors.scoring.rates import RateScore, reference_rates_bpm, score_rates
from processors.scoring.runs import score_runs
from processors.scoring.tracks import beat_track

_TABLES: Final = (".parquet", ".csv")


@dataclass(frozen=True, slots=True, kw_only=True)
class ScoreOptions:
    """What is compared with what."""

    reference: str
    """Folder of the reference annotations, or their annotator: then they are beside the record."""
    test: str
    """Likewise, of what is to be judged."""
    reference_annotator: str = "atr"
    """Suffix of the reference's files in a folder."""
    test_annotator: str = "qrs"
    observations: Path | None = None
    """Folder with the tables of chevet analyze: heart rates are compared too."""
    window_s: float = WINDOW_S
    rule: PairingRule = "maximal"
    fs_hz: float | None = None
    """Samples per second that the files count in, where neither they nor a header say so."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordFiles:
    """Where one record's files are."""

    name: str
    reference: Path
    test: Path
    header: Path | None
    table: Path | None = None


def find_files(records: Sequence[str], options: ScoreOptions) -> list[RecordFiles]:
    """Find every record's files; without records, all that the reference folder has.

    Raises
    ------
    WfdbFileError
        Names every file that is missing.
    """
    specs = [spec.removesuffix(".hea") for spec in records] or _names_in(options)
    found = [_files(Path(spec).expanduser(), options) for spec in specs]
    missing = [str(one.reference) for one in found if not one.reference.is_file()]
    if missing:
        raise WfdbFileError(f"no reference annotations: {', '.join(missing)}; see --reference")
    missing = [str(one.test) for one in found if not one.test.is_file()]
    if missing:
        raise WfdbFileError(
            f"no test annotations: {', '.join(missing)}; make them with chevet analyze, or name "
            "the records that are to be compared"
        )
    return found


def _names_in(options: ScoreOptions) -> list[str]:
    folder = Path(options.reference).expanduser()
    pattern = f"*.{options.reference_annotator}"
    names = sorted(path.stem for path in folder.glob(pattern)) if folder.is_dir() else []
    if not names:
        raise WfdbFileError(
            f"no records are named, and {folder} is no folder with files {pattern}: name the "
            "records, or see --reference and --reference-annotator"
        )
    return names


def _files(spec: Path, options: ScoreOptions) -> RecordFiles:
    reference = _beside(spec, options.reference, options.reference_annotator)
    headers = [path.with_name(f"{spec.name}.hea") for path in (reference, spec)]
    tables = [
        options.observations / f"{spec.name}{suffix}"
        for suffix in _TABLES
        if options.observations is not None
    ]
    return RecordFiles(
        name=spec.name,
        reference=reference,
        test=_beside(spec, options.test, options.test_annotator),
        header=next((path for path in headers if path.is_file()), None),
        table=next((path for path in tables if path.is_file()), None),
    )


def _beside(spec: Path, place: str, annotator: str) -> Path:
    folder = Path(place).expanduser()
    if folder.is_dir():
        return folder / f"{spec.name}.{annotator}"
    return spec.with_name(f"{spec.name}.{place}")


def score_records(records: Sequence[str], options: ScoreOptions) -> Report:
    """Compare the annotation files of records.

    Parameters
    ----------
    records
        Names, or paths with or without ``.hea``; none: all of the reference folder.

    Raises
    ------
    WfdbFileError
        A file is missing, or cannot be read.
    """
    found = find_files(records, options)
    return Report(
        reference=options.reference,
        test=options.test,
        window_s=options.window_s,
        rule=options.rule,
        records=tuple(_score(files, options) for files in found),
    )


def _score(files: RecordFiles, options: ScoreOptions) -> RecordScore:
    reference, test = read_annotations(files.reference), read_annotations(files.test)
    header = None if files.header is None else read_header(files.header)
    fs_hz = options.fs_hz or reference.fs_hz or (header and header.fs_hz) or test.fs_hz
    if not fs_hz:
        raise WfdbFileError(
            f"nothing says how many samples a second {files.reference} counts in: there is no "
            f"{files.name}.hea beside it; see --fs"
        )
    scale = fs_hz / (test.fs_hz or fs_hz)
    n_samples = (header and header.n_samples) or _last_sample(reference, test, scale)
    known = beat_track(reference.annotations)
    judged = beat_track(test.annotations, scale=scale)
    return RecordScore(
        name=files.name,
        fs_hz=fs_hz,
        beats={
            condition.name: score_beats(
                known, judged, fs_hz, condition, window_s=options.window_s, rule=options.rule
            )
            for condition in CONDITIONS
        },
        episodes={
            span: {
                kind: score_episodes(
                    kind,
                    reference.annotations,
                    test.annotations,
                    fs_hz,
                    end_sample=n_samples,
                    from_s=from_s,
                    scale=scale,
                )
                for kind in EPISODE_KINDS
            }
            for span, from_s in SPANS.items()
        },
        runs={
            span: score_runs(
                known,
                judged,
                round(options.window_s * fs_hz),
                from_sample=round(from_s * fs_hz),
            )
            for span, from_s in SPANS.items()
        },
        heart_rate=None
        if files.table is None
        else _score_heart_rate(files.table, known.samples.astype(np.float64) / fs_hz),
    )


def _last_sample(reference: AnnotationFile, test: AnnotationFile, scale: float) -> int:
    ends = [one.annotations[-1].sample for one in (reference, test) if one.annotations]
    return round(max(ends, default=0) * max(1.0, scale)) + 1


def _score_heart_rate(table: Path, beats_s: np.ndarray[Any, np.dtype[np.float64]]) -> RateScore:
    times_s, rates_bpm, quality = read_values(table, codes.HEART_RATE.name)
    return score_rates(rates_bpm, quality, reference_rates_bpm(beats_s, times_s))
