"""``chevet influx``: what the database must have before anything is written."""

import json
import os
import sys
from collections.abc import Mapping
from pathlib import Path

import click

from deploy.options import config_option, fail, read_settings
from deploy.process import EXIT_DONE, EXIT_FAILED, set_up_logs


@click.group()
def influx() -> None:
    """Make InfluxDB ready, and see whether it is."""


@influx.command("setup")
@config_option
@click.option("--influx-url", metavar="URL", help="Of the server; http://127.0.0.1:8086.")
@click.option("--influx-bucket", metavar="NAME", help="Bucket, or database on 1.x; chevet.")
@click.option("--influx-org", metavar="NAME", help="Organization on 2.x; chevet.")
@click.option(
    "--tokens-folder",
    type=click.Path(file_okay=False, path_type=Path),
    help="Write new tokens into files here that only you can read, and do not print them.",
)
@click.option("--check", is_flag=True, help="Change nothing; exit code 1 if anything differs.")
@click.option(
    "--shorten", is_flag=True, help="Also keep points for shorter than now: the older are deleted."
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def setup(
    config: Path | None,
    influx_url: str | None,
    influx_bucket: str | None,
    influx_org: str | None,
    tokens_folder: Path | None,
    check: bool,  # noqa: FBT001
    shorten: bool,  # noqa: FBT001
    as_json: bool,  # noqa: FBT001
) -> None:
    """Make the buckets, with their retention, and what reads and writes them.

    \b
    1.x  the database, and its retention policies waveforms and envelopes
    2.x  buckets, the mapping that InfluxQL needs, and two tokens: the sink's may only write
         these buckets, Grafana's may only read them

    A second run changes nothing. How long waveforms are kept is influx.waveforms_retention_h, 24
    to 72. The token that may do this comes from CHEVET_INFLUX__TOKEN, the file that
    CHEVET_INFLUX__TOKEN_FILE names, or the TOML file: on 2.x the one of the server's first user,
    on 1.x with users USER:PASSWORD of an administrator. New tokens are shown once.

    \b
    chevet influx setup --influx-url http://influxdb:8086 --tokens-folder secrets
    chevet influx setup --check --json
    """
    from deploy.influx_setup import SetupError, set_up, texts
    from processors.settings import SetupSettings

    loaded = read_settings(SetupSettings, config)
    set_up_logs(loaded.log_level)
    told = {"url": influx_url, "bucket": influx_bucket, "org": influx_org}
    settings = loaded.influx.model_copy(
        update={name: value for name, value in told.items() if value is not None}
    )
    try:
        outcome = set_up(settings, check=check, shorten=shorten)
    except SetupError as error:
        fail(str(error))
    files = _write_tokens(tokens_folder, outcome.tokens) if tokens_folder is not None else {}
    printed = {} if tokens_folder is not None else outcome.tokens
    if as_json:
        said = outcome.as_json() | {"token_files": files, "tokens": printed}
        click.echo(json.dumps(said, indent=2))
    else:
        click.echo(f"InfluxDB {outcome.version} at {settings.url}")
        for line in texts(outcome.findings):
            click.echo(line)
        for name, file in files.items():
            click.echo(f"token of {name} in {file}")
        for name, token in printed.items():
            click.echo(f"token of {name}, shown only now: {token}")
    sys.exit(EXIT_DONE if outcome.ok else EXIT_FAILED)


def _write_tokens(folder: Path, tokens: Mapping[str, str]) -> dict[str, str]:
    """Write each token into a file of mode 0600; give the files."""
    files: dict[str, str] = {}
    for name, token in tokens.items():
        file = folder / f"influx-{name}.token"
        new = file.with_suffix(".new")
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            new.unlink(missing_ok=True)
            descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as opened:
                opened.write(f"{token}\n")
            new.replace(file)
        except OSError as error:
            # The server never shows them again: better on the screen than lost.
            for left in tokens.keys() - files.keys():
                click.echo(f"token of {left}, shown only now: {tokens[left]}", err=True)
            fail(f"{file} cannot be written: {error.strerror}")
        files[name] = str(file)
    return files
