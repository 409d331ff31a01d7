"""What the commands have in common: how settings are read, and how a command ends."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, NoReturn, TypeVar

import click

from deploy.process import EXIT_FAILED, EXIT_USAGE, serve_metrics, set_up_logs

_Settings = TypeVar("_Settings")


def fail(message: str, code: int = EXIT_FAILED) -> NoReturn:
    """Say why a command ends, and end it."""
    click.echo(f"chevet: {message}", err=True)
    sys.exit(code)


def read_settings(
    settings: type[_Settings],
    config: Path | None,
    **arguments: Any,  # noqa: ANN401
) -> _Settings:
    """Read settings; wrong ones end the program."""
    from ingest.settings import ProcessSettings, SettingsError, load_settings

    if not issubclass(settings, ProcessSettings):
        raise TypeError(settings)
    try:
        return load_settings(settings, config, **arguments)
    except SettingsError as error:
        fail(str(error), EXIT_USAGE)


def role_settings(
    settings: type[_Settings],
    config: Path | None,
    **arguments: Any,  # noqa: ANN401
) -> _Settings:
    """Read a role's settings, set up its logs and metrics; wrong ones end the program."""
    from ingest.settings import ProcessSettings

    loaded = read_settings(settings, config, **arguments)
    if not isinstance(loaded, ProcessSettings):
        raise TypeError(settings)
    set_up_logs(loaded.log_level)
    serve_metrics(loaded.metrics_port, loaded.metrics_host)
    return loaded


def config_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --config."""
    return click.option(
        "--config",
        type=click.Path(dir_okay=False, path_type=Path),
        help="TOML file with settings; the environment (CHEVET_…) comes before it.",
    )(command)


def mapping_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --mapping."""
    return click.option(
        "--mapping",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Of a CSV file: TOML that says what its columns are; unless told the one beside it.",
    )(command)


def annotator_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --annotator, of a recording's own annotations."""
    return click.option(
        "--annotator",
        "annotators",
        multiple=True,
        metavar="SET",
        help="With RECORD: take this set of its annotations; may be given again. Unless told atr "
        "and breath, what of these there is.",
    )(command)


def kafka_option(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --kafka."""
    return click.option(
        "--kafka",
        metavar="HOST:PORT",
        help="Kafka's bootstrap servers, with commas. Security is set in the TOML file.",
    )(command)


def kafka_settings(config: Path | None, servers: str | None) -> Any:  # noqa: ANN401
    """Take the Kafka settings from wherever they are, with the servers of the command line."""
    from ingest.settings import ProcessSettings

    loaded = role_settings(ProcessSettings, config)
    return loaded.kafka.model_copy(update={"bootstrap_servers": servers} if servers else {})
