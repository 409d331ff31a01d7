"""``chevet export``: an archive in the formats of others."""

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from deploy.options import fail
from deploy.process import EXIT_DONE, EXIT_FAILED

if TYPE_CHECKING:
    from deploy.export_strips import StripPlan
    from deploy.extracting import Span
    from processors.exports.deidentify import Deidentifier
    from processors.sinks.archive import Archive

FORMATS: Final = ("wfdb", "edf", "bdf", "parquet", "csv", "fhir", "oru")
WITH_STRIPS: Final = ("fhir", "oru")
STRIPS: Final = ("alarms", "suspicions", "beats", "annotations")
KEY: Final = "_study.key"
"""In the archive's folder, unless another is named."""


@click.command("export")
@click.argument("archive", type=click.Path(exists=True, file_okay=False, path_type=Path))
@click.option(
    "--format",
    "form",
    type=click.Choice(FORMATS),
    required=True,
    help="WFDB; EDF+ and BDF+; Parquet (an archive of its own) and CSV; FHIR R4; HL7 v2 ORU^R01.",
)
@click.option(
    "--out",
    type=click.Path(file_okay=False, path_type=Path),
    required=True,
    help="Folder, made where there is none; files of the same name are replaced.",
)
@click.option("--subject", "subjects", multiple=True, help="This one only; may be given again.")
@click.option("--start", metavar="TIME", help="From this time on: 2026-11-22T08:00:00Z.")
@click.option("--end", metavar="TIME", help="Before this time.")
@click.option(
    "--strips",
    "around",
    type=click.Choice(STRIPS),
    multiple=True,
    help="With fhir and oru: waveforms around each of these; may be given again. Beats are those "
    "of another class than normal.",
)
@click.option(
    "--strip",
    "strip_times",
    metavar="TIME",
    multiple=True,
    help="With fhir and oru: waveforms around this time; may be given again.",
)
@click.option(
    "--strip-seconds",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    help="Length of a strip, half of it before its moment.",
)
@click.option(
    "--study-key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Secret key of the names; made where there is none. Unless told: _study.key in ARCHIVE.",
)
@click.option(
    "--shift-days",
    type=click.IntRange(0, 36_500),
    default=0,
    help="Move each subject's times back by 1 to so many days, always by as many; 0: not.",
)
@click.option("--as-recorded", is_flag=True, help="Leave names as they stand in the archive.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def export(
    archive: Path,
    form: str,
    out: Path,
    subjects: tuple[str, ...],
    start: str | None,
    end: str | None,
    around: tuple[str, ...],
    strip_times: tuple[str, ...],
    strip_seconds: float,
    study_key: Path | None,
    shift_days: int,
    as_recorded: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Write what an archive has into files of another format, de-identified.

    Subjects, devices and agents get names that follow from the study's secret key: the same in
    every export with that key, and nobody without it finds back. Free texts are left out. What the
    format does not hold is said. docs/exports.md and docs/exports-clinical.md say what each holds.

    \b
    chevet export study --format wfdb --out shared
    chevet export study --format fhir --out bundles --shift-days 365
    chevet export study --format oru --out messages --strips suspicions --strip-seconds 6

    Exit codes: 0 everything was written, 1 not of every subject, 2 usage.
    """
    if as_recorded and (study_key is not None or shift_days):
        fail("--as-recorded leaves names and times as they are: without a key, without a shift", 2)
    _check_form(form, out, strips=bool(around or strip_times))
    try:
        from processors.sinks.archive import ArchiveError, open_archive
    except ImportError:
        fail("the archive needs the package pyarrow: pip install 'chevet[archive]'")

    try:
        opened = open_archive(archive)
        names = None if as_recorded else _names(study_key or archive / KEY, shift_days)
        span = _span(start, end)
        plan = _plan(around, strip_times, strip_seconds)
        chosen = subjects or opened.subjects()
    except (ArchiveError, OSError, ValueError) as error:
        fail(str(error))
    done: dict[str, dict[str, Any]] = {}
    for subject_id in chosen:
        done[subject_id] = _tried(opened, subject_id, names, span, form, plan, out)
        if not as_json:
            click.echo("\n".join(_said(subject_id, done[subject_id])))
    if as_json:
        click.echo(json.dumps({"format": form, "out": str(out), "subjects": done}, indent=2))
    sys.exit(EXIT_FAILED if any("error" in one for one in done.values()) else EXIT_DONE)


def _check_form(form: str, out: Path, *, strips: bool) -> None:
    if strips and form not in WITH_STRIPS:
        fail(f"--strips and --strip are for {' and '.join(WITH_STRIPS)}: {form} has all samples", 2)
    if form == "parquet" and out.exists() and any(out.iterdir()):
        fail(f"{out} is not empty: an archive is written into a folder of its own", 2)


def _names(key: Path, shift_days: int) -> "Deidentifier":
    from edge.identity import load_key
    from processors.exports.deidentify import Deidentifier

    return Deidentifier(load_key(key), shift_days_max=shift_days)


def _span(start: str | None, end: str | None) -> "Span":
    from deploy.extracting import Span
    from processors.sinks.archive.reader import ns_of

    whole = Span()
    begin_ns, end_ns = ns_of(start), ns_of(end)
    span = Span(
        whole.begin_ns if begin_ns is None else begin_ns,
        whole.end_ns if end_ns is None else end_ns,
    )
    if span.end_ns <= span.begin_ns:
        raise ValueError(f"--end {end} is not later than --start {start}")
    return span


def _plan(around: tuple[str, ...], times: tuple[str, ...], seconds: float) -> "StripPlan":
    from deploy.export_strips import StripPlan
    from processors.sinks.archive.reader import ns_of

    moments = [t_ns for t_ns in map(ns_of, times) if t_ns is not None]
    return StripPlan(around=around, times_ns=moments, seconds=seconds)


def _tried(
    archive: "Archive",
    subject_id: str,
    names: "Deidentifier | None",
    span: "Span",
    form: str,
    plan: "StripPlan",
    out: Path,
) -> dict[str, Any]:
    """Export a subject; say what came of it, or why nothing did."""
    from deploy.exporting import FORMATS as WRITERS
    from deploy.extracting import extract
    from ingest.errors import IngestError
    from processors.sinks.archive import ArchiveError

    try:
        found = extract(archive.subject(subject_id), names, span)
        written = WRITERS[form](found, out, plan)
    except (ArchiveError, IngestError, OSError, ValueError) as error:
        return {"error": str(error)}
    return {
        "name": found.subject_id,
        "samples": found.n_samples,
        "observations": found.n_observations,
        "strips": written.n_strips,
        "annotations": len(found.annotations),
        "files": [str(path.relative_to(out)) for path in written.files],
        "lost": [*found.left_out, *written.lost],
    }


def _said(subject_id: str, done: dict[str, Any]) -> list[str]:
    if "error" in done:
        return [f"{subject_id}: not written: {done['error']}"]
    strips = f", {done['strips']} strips" if done["strips"] else ""
    return [
        f"{subject_id} as {done['name']}: {done['samples']} samples and {done['observations']} "
        f"observations{strips} in {len(done['files'])} files",
        *(f"  not held: {words}" for words in done["lost"]),
    ]
