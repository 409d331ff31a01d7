"""``chevet edge``: the agent beside the patient, and what its operator needs."""

import asyncio
import json
import sys
from pathlib import Path

import click

from deploy.options import config_option, fail, read_settings, role_settings
from deploy.process import EXIT_DONE, EXIT_FAILED, EXIT_USAGE, run_until_signal

DEFAULT_CONFIG = Path("agent.toml")


_listen_option = click.option(
    "--seconds",
    "listen_s",
    type=click.FloatRange(0.1, 600),
    default=10.0,
    show_default=True,
    help="How long to listen.",
)


@click.group()
def edge() -> None:
    """Run the agent beside the patient: Bluetooth LE sensors to Kafka.

    \b
    First time
      chevet edge enrol --config agent.toml      choose devices, name the subject
      chevet edge check --config agent.toml      adapter, broker, clock, disk
      chevet edge run --config agent.toml        until SIGTERM
      chevet edge status --config agent.toml     what it does, and every sample's fate
    \b
    A minimal settings file (agent.toml):
      subject_id = "p-4711"                 # a pseudonym, never a name
      agent_id = "bed-12"
      [[devices]]
      name = "Polar H10 ABCDEF01"           # as the device advertises itself
      [kafka]
      bootstrap_servers = "kafka.example:9092"
    """


@edge.command("run")
@config_option
def edge_run(config: Path | None) -> None:
    """Connect the subject's devices and deliver what they send until SIGTERM.

    Frames wait on disk (spool_path) until Kafka has acknowledged them; a restarted agent goes on
    where it stood, and counts what was on the air meanwhile as a gap with its cause.
    """
    from edge.agent import run_agent
    from edge.errors import EdgeError
    from edge.settings import EdgeSettings
    from edge.spool.spool import SpoolError

    settings = role_settings(EdgeSettings, config)
    try:
        run_until_signal(lambda stop: run_agent(settings, stop))
    except* (EdgeError, SpoolError, OSError, ValueError) as group:
        fail("; ".join(str(error) for error in group.exceptions))


@edge.command("check")
@config_option
@click.option("--scan", is_flag=True, help="Also listen for the devices of the settings.")
@_listen_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def edge_check(
    config: Path | None,
    scan: bool,  # noqa: FBT001
    listen_s: float,
    as_json: bool,  # noqa: FBT001
) -> None:
    """Say whether the agent of these settings can do its work here, and what to do if not.

    Looks at the Bluetooth adapter, the broker (with the agent's own credentials), the clock, the
    disk and the keys, and changes nothing. A running agent may go on: its links are left alone.
    """
    from deploy.edge_check import run_edge_checks
    from deploy.findings import as_records, render
    from edge.settings import EdgeSettings

    settings = read_settings(EdgeSettings, config)
    findings = run_edge_checks(settings, listen_s=listen_s if scan else None)
    click.echo(json.dumps(as_records(findings), indent=2) if as_json else render(findings))
    sys.exit(EXIT_FAILED if any(finding.ok is False for finding in findings) else EXIT_DONE)


@edge.command("status")
@config_option
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
def edge_status(config: Path | None, as_json: bool) -> None:  # noqa: FBT001
    """Ask the running agent what it does: devices, clocks, spool, broker, ledger.

    The ledger says of every channel what became of its samples: on air = acknowledged + spooled +
    dropped, by cause + in gaps, by cause. Exit code 1: no agent answers, or something needs a look.
    """
    from edge.health import ask
    from edge.settings import EdgeSettings
    from edge.status import as_text, status_of_json

    settings = read_settings(EdgeSettings, config)
    try:
        said = ask(settings.socket_path)
        status = status_of_json(said)
    except OSError as error:
        fail(f"no agent answers at {settings.socket_path}: {error}; is it running?")
    except (ValueError, KeyError, TypeError) as error:
        fail(f"what answers at {settings.socket_path} is no agent of this version: {error!r}")
    click.echo(json.dumps(said, indent=2) if as_json else as_text(status))
    sys.exit(EXIT_FAILED if said["troubles"] else EXIT_DONE)


@edge.command("enrol")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, path_type=Path),
    default=DEFAULT_CONFIG,
    show_default=True,
    help="TOML file to write; its other settings and comments stay.",
)
@click.option(
    "--name",
    "names",
    multiple=True,
    help="Advertised name of a device; without it, choose from those that are heard.",
)
@click.option("--subject", metavar="PSEUDONYM", help="Of the subject, where it has one already.")
@click.option(
    "--patient-id",
    metavar="ID",
    help="The patient's identifier, or - to type it: it becomes a pseudonym, and is not kept.",
)
@click.option(
    "--subject-key",
    type=click.Path(dir_okay=False, path_type=Path),
    help="Secret key of the pseudonyms; subject.key beside the spool unless told. Made if missing.",
)
@click.option(
    "--pair/--no-pair",
    default=None,
    help="Pair with the devices, anew where there is a key; unless told with those that need it.",
)
@_listen_option
def edge_enrol(
    config: Path,
    names: tuple[str, ...],
    subject: str | None,
    patient_id: str | None,
    subject_key: Path | None,
    pair: bool | None,  # noqa: FBT001
    listen_s: float,
) -> None:
    """Bind devices to a subject, in the agent's settings file.

    The pseudonym is a keyed hash of the patient's identifier: one patient has one pseudonym at
    every agent that has the same subject key. Whoever has the key can find a patient again by
    trying identifiers: keep it as you keep the list of patients.

    A device that sends nothing without a key it shares with this machine, such as a cuff or a
    glucose meter, is paired with here and now, anew if it was before. Questions about passkeys come
    at the terminal; without one only devices that ask for none can be paired with.

    \b
    chevet edge enrol --patient-id -                          # asks, scans, lets you choose
    chevet edge enrol --subject p-4711 --name "Polar H10 ABCDEF01"
    """
    from deploy.edge_enrol import (
        EnrolError,
        UnfinishedSettings,
        check_enrol,
        choose,
        enrol,
        find_candidates,
    )
    from deploy.edge_pair import need_bond, pair_devices, terminal
    from edge.identity import load_key, subject_pseudonym

    if subject is not None and patient_id is not None:
        fail("give --subject or --patient-id, not both", EXIT_USAGE)
    settings = read_settings(UnfinishedSettings, config if config.exists() else None)
    try:
        if patient_id is not None:
            typed = (
                click.prompt("Patient's identifier", hide_input=True, err=True)
                if patient_id == "-"
                else patient_id
            )
            key_path = subject_key or settings.spool_path.with_name("subject.key")
            subject = subject_pseudonym(typed, load_key(key_path))
        if not names:
            click.echo(f"listening for {listen_s:g} s …", err=True)
            candidates = asyncio.run(find_candidates(settings, listen_s))
            names = tuple(choose(candidates, lambda text: str(click.prompt(text, err=True))))
            needy = [one.name for one in candidates if one.needs_bond and one.name in names]
        else:
            needy = need_bond(names)
        check_enrol(config, subject)
        if to_pair := {None: needy, True: list(names), False: []}[pair]:
            click.echo("pairing …", err=True)
            asyncio.run(pair_devices(settings, to_pair, listen_s, terminal()))
            click.echo(f"paired with {len(to_pair)} of {len(names)} devices", err=True)
        changes = enrol(config, names, subject)
    except (EnrolError, OSError, ValueError) as error:
        fail(str(error))
    for change in changes or ["nothing has changed"]:
        click.echo(f"{config}: {change}")


@edge.command("release")
@click.option(
    "--config",
    type=click.Path(dir_okay=False, exists=True, path_type=Path),
    default=DEFAULT_CONFIG,
    show_default=True,
    help="TOML file to write.",
)
@click.argument("name")
def edge_release(config: Path, name: str) -> None:
    """Take a device out of the agent's settings file: it belongs to nobody any more."""
    from deploy.edge_enrol import EnrolError, release

    try:
        release(config, name)
    except EnrolError as error:
        fail(str(error))
    click.echo(f"{config}: device {name} released; restart the agent")
