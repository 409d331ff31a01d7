"""Settings of everything that talks to Kafka, and how settings are read at all.

Order: arguments > environment (``CHEVET_…``) > TOML file > default. A key or a ``CHEVET_``
variable that nobody knows is an error: a misspelt setting must not be ignored.
"""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, SecretStr, model_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

ENV_PREFIX: Final = "CHEVET_"

OTHER_VARIABLES: Final = frozenset(
    {"CHEVET_DATA", "CHEVET_HOME", "CHEVET_REQUIRE_SERVICES", "CHEVET_CONFIG"}
)
"""Variables with the prefix that are no settings of a process: recordings, caches, tests."""


def _no_blank_servers(servers: str) -> str:
    addresses = [address.strip() for address in servers.split(",")]
    for address in addresses:
        host, _, port = address.rpartition(":")
        if not host or not port.isdigit():
            raise ValueError(f"{address!r} is not host:port")
    return ",".join(addresses)


class KafkaSettings(BaseModel):
    """How to reach Kafka. The same fields for every role."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    bootstrap_servers: Annotated[str, AfterValidator(_no_blank_servers)] = "127.0.0.1:9092"
    """``host:port``, several with commas."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    sasl_username: str | None = None
    sasl_password: SecretStr | None = None
    ssl_ca_file: Path | None = None
    """PEM file with the authorities to trust; None: the system's."""
    ssl_certificate_file: Path | None = None
    """PEM file with this client's certificate, where the broker asks for one."""
    ssl_key_file: Path | None = None
    compression: Literal["none", "gzip", "lz4", "snappy", "zstd"] = "lz4"
    request_timeout_s: Annotated[float, Field(ge=1, le=300)] = 10.0
    n_partitions: Annotated[int, Field(ge=1, le=1000)] = 12
    """Partitions of topics that are created by this program; existing topics are left alone."""
    replication_factor: Annotated[int, Field(ge=1, le=9)] = 1
    exact_end_offsets: bool = True
    """False for brokers whose latest offset cannot be trusted (the embedded one)."""

    @model_validator(mode="after")
    def _complete(self) -> "KafkaSettings":
        if self.security_protocol.startswith("SASL") and (
            self.sasl_username is None or self.sasl_password is None
        ):
            raise ValueError(f"{self.security_protocol} needs sasl_username and sasl_password")
        if (self.ssl_certificate_file is None) != (self.ssl_key_file is None):
            raise ValueError("ssl_certificate_file and ssl_key_file go together")
        return self


class ProcessSettings(BaseSettings):
    """What every process of the system is told. Each role adds its own fields."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter="__",
        frozen=True,
        extra="forbid",
        toml_file=None,
    )

    kafka: KafkaSettings = KafkaSettings()
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of Prometheus metrics on 127.0.0.1; 0: none."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Read arguments, then the environment, then the TOML file."""
        del dotenv_settings, file_secret_settings
        return (init_settings, env_settings, TomlConfigSettingsSource(settings_cls))


Settings = TypeVar("Settings", bound=ProcessSettings)


class SettingsError(Exception):
    """Settings that cannot be used; the message names each of them."""


def unknown_variables(settings: type[BaseSettings], names: Iterable[str]) -> list[str]:
    """Name the variables with our prefix that match no field of ``settings``.

    pydantic-settings ignores them, so a misspelt one would be silent.
    """
    known = {f"{ENV_PREFIX}{name.upper()}" for name in settings.model_fields}
    ours = {name.upper() for name in names if name.upper().startswith(ENV_PREFIX)}
    return sorted(name for name in ours - OTHER_VARIABLES if name.partition("__")[0] not in known)


def load_settings(
    settings: type[Settings],
    config_file: Path | None,
    **arguments: Any,  # noqa: ANN401
) -> Settings:
    """Read one process's settings from arguments, environment and a TOML file.

    Parameters
    ----------
    config_file
        TOML; None: the file that ``CHEVET_CONFIG`` names, if any.
    arguments
        Values from the command line; those that are None do not count.

    Raises
    ------
    SettingsError
        Naming the field or variable, what it holds and what is allowed.
    """
    if unknown := unknown_variables(settings, os.environ):
        known = ", ".join(f"{ENV_PREFIX}{name.upper()}" for name in settings.model_fields)
        raise SettingsError(
            f"unknown environment variable {', '.join(unknown)}; this command knows {known} "
            f"(fields within one: two underscores, as in {ENV_PREFIX}KAFKA__BOOTSTRAP_SERVERS)"
        )
    file = config_file or (
        Path(os.environ["CHEVET_CONFIG"]) if "CHEVET_CONFIG" in os.environ else None
    )
    if file is not None and not file.is_file():
        raise SettingsError(f"no settings file at {file}")

    class FromFile(settings):  # type: ignore[misc, valid-type]
        model_config = SettingsConfigDict(toml_file=file)

    given = {name: value for name, value in arguments.items() if value is not None}
    try:
        return FromFile(**given)  # type: ignore[no-any-return]
    except ValueError as error:
        raise SettingsError(f"settings of {settings.__name__}: {error}") from error
