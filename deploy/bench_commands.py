"""``chevet bench``: load on the whole system, and what it costs."""

import asyncio
import json
import os
import signal
import sys
from datetime import UTC, datetime
from pathlib import Path

import click

from deploy.options import fail
from deploy.process import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, run_until_signal, set_up_logs

_records_option = click.option(
    "--record",
    "records",
    multiple=True,
    metavar="RECORD",
    help="Recording that subjects wear, in turn; may be given several times. Those of CHEVET_DATA "
    "with ECG and pulse wave unless told, else the built-in ones.",
)


@click.group()
def bench() -> None:
    """Put load on the whole system and say what it costs.

    \b
    chevet bench scale                    how many subjects this machine keeps up with
    chevet bench scale --subjects 500     whether it keeps up with so many, and at what cost
    chevet bench load --subjects 20       simulated subjects onto a broker that runs already

    A simulated subject wears ECG at 250 Hz, a pulse wave at 125 Hz, three axes of acceleration at
    50 Hz, and an oximeter's and a thermometer's figures once a second: one Frame a second.
    """


@bench.command()
@click.option(
    "--subjects",
    type=click.IntRange(1, 100_000),
    help="So many; unless told, the largest number that is kept up with is looked for.",
)
@click.option(
    "--duration",
    type=click.IntRange(5, 86_400),
    default=300,
    show_default=True,
    help="Seconds that are measured, after some that are not.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 12),
    help="Worker processes; one per core unless told.",
)
@click.option(
    "--raw-share",
    type=click.FloatRange(0, 1),
    default=0.05,
    show_default=True,
    help="Share of the subjects whose raw waveforms go into InfluxDB.",
)
@click.option(
    "--latency-max",
    type=click.FloatRange(0, 600, min_open=True),
    default=2.0,
    show_default=True,
    help="Seconds: bound of p99 from a Frame made to its observations stored.",
)
@_records_option
@click.option(
    "--write",
    "page",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    help="Also put the card into the marked part of this page (docs/scale.md).",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def scale(
    subjects: int | None,
    duration: int,
    workers: int | None,
    raw_share: float,
    latency_max: float,
    records: tuple[str, ...],
    page: Path | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Measure how many subjects this machine carries, through every stage.

    Starts Apache Kafka, InfluxDB, workers and a sink, each its own process, and so many simulated
    subjects. Kept up means: p99 from a Frame made to its observations readable in InfluxDB is
    within the bound, the lag does not grow, and at the end everything is stored. Nothing else
    should run.

    Exit code 1 where it did not keep up.
    """
    from deploy.bench.card_text import as_text, check_page, write_into
    from deploy.bench.scale import find, runner
    from deploy.bench.scale_run import RunFailedError, RunOptions
    from deploy.bench.waveforms import find_recordings
    from deploy.local.process import ServerError
    from ingest.errors import IngestError

    set_up_logs("warning")
    # Ended by a supervisor, it stops its servers too.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    options = RunOptions(
        records=tuple(_absolute(record) for record in records) or find_recordings(),
        n_workers=workers or len(os.sched_getaffinity(0)),
        raw_share=raw_share,
        latency_s_max=latency_max,
    )

    def say(text: str) -> None:
        click.echo(text, err=as_json)

    try:
        if page is not None:
            check_page(page, raw_share)
    except (ValueError, OSError) as error:
        fail(str(error), EXIT_USAGE)
    try:
        run = runner(options, say)
        card = find(run, duration, say) if subjects is None else run(subjects, duration).as_json()
        click.echo(json.dumps(card, indent=2) if as_json else "\n" + as_text(card))
        if page is not None:
            write_into(page, card, datetime.now(UTC))
    except (RunFailedError, ServerError, IngestError, ValueError, OSError) as error:
        fail(str(error))
    sys.exit(EXIT_DONE if card["kept_up"] else EXIT_FAILED)


def _absolute(record: str) -> str:
    """Name a record so that another working folder finds it; the built-in ones have no path."""
    path = Path(record)
    is_path = path.parent != Path() or path.with_suffix(".hea").exists()
    return str(path.absolute()) if is_path else record


@bench.command()
@click.option("--kafka", metavar="HOST:PORT", help="Kafka's bootstrap servers, with commas.")
@click.option("--subjects", type=click.IntRange(1, 100_000), required=True, help="So many.")
@click.option(
    "--seconds", type=click.IntRange(1), default=60, show_default=True, help="Frames of each."
)
@_records_option
@click.option(
    "--statistics",
    type=click.Path(dir_okay=False, path_type=Path),
    help="JSON file: when the first Frame was made, and at the end how many and how late.",
)
def load(
    kafka: str | None,
    subjects: int,
    seconds: int,
    records: tuple[str, ...],
    statistics: Path | None,
) -> None:
    """Send the Frames of simulated subjects to a broker, at the speed of life.

    The subjects are called bench-00000, bench-00001 and so on: not for a system in use, whose
    stores and screens would show them.
    """
    from deploy.bench.generator import LoadStatistics, run_load
    from deploy.bench.waveforms import find_recordings
    from ingest.errors import IngestError
    from ingest.settings import ProcessSettings, SettingsError, load_settings

    set_up_logs("warning")
    try:
        settings = load_settings(ProcessSettings, None).kafka
    except SettingsError as error:
        fail(str(error), EXIT_USAGE)
    if kafka:
        settings = settings.model_copy(update={"bootstrap_servers": kafka})
    said: list[LoadStatistics] = []

    async def send(stop: asyncio.Event) -> None:
        said.append(
            await run_load(
                settings,
                records or find_recordings(),
                n_subjects=subjects,
                seconds=seconds,
                statistics=statistics,
                stop=stop,
            )
        )

    try:
        run_until_signal(send)
    except IngestError as error:
        fail(str(error))
    done = said[0]
    click.echo(f"{done.n_frames} Frames of {subjects} subjects, {done.n_bytes / 1e6:.1f} MB")
