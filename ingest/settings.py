"""Settings of everything that talks to Kafka, and how settings are read at all.

Order: arguments > environment (``CHEVET_…``) > TOML file > default. A key or a ``CHEVET_``
variable that nobody knows is an error: a misspelt setting must not be ignored. Secrets may stand in
files that the environment names, see `ingest.secret_files`.
"""

import os
from collections.abc import Iterable, Iterator, Sequence
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any, ClassVar, Final, Literal, TypeVar, cast, get_args

from pydantic import (
    AfterValidator,
    BaseModel,
    ConfigDict,
    Field,
    SecretStr,
    ValidationError,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    TomlConfigSettingsSource,
)

from ingest.secret_files import EnvironmentWithFiles, SecretFileError, file_variables
from ingest.topics import N_PARTITIONS

ENV_PREFIX: Final = "CHEVET_"
ENV_DELIMITER: Final = "__"
PORT_MAX: Final = 65535

OTHER_VARIABLES: Final = frozenset(
    {"CHEVET_DATA", "CHEVET_HOME", "CHEVET_REQUIRE_SERVICES", "CHEVET_CONFIG", "CHEVET_AUTHOR"}
)
"""Variables with the prefix that are no settings of a process: recordings, caches, tests."""


def _no_blank_servers(servers: str) -> str:
    addresses = [address.strip() for address in servers.split(",")]
    for address in addresses:
        host, _, port = address.rpartition(":")
        is_port = port.isascii() and port.isdigit() and 1 <= int(port) <= PORT_MAX
        if not host or not is_port:
            raise ValueError(f"{address!r} is not host:port")
    return ",".join(addresses)


class KafkaSettings(BaseModel):
    """How to reach Kafka. The same fields for every role."""

    model_config = ConfigDict(
        frozen=True, extra="forbid", hide_input_in_errors=True, use_attribute_docstrings=True
    )

    bootstrap_servers: Annotated[str, AfterValidator(_no_blank_servers)] = "127.0.0.1:9092"
    """``host:port``, several with commas."""
    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    """PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL: anything but a test wants the last."""
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512"] = "SCRAM-SHA-512"
    """PLAIN, SCRAM-SHA-256 or SCRAM-SHA-512."""
    sasl_username: str | None = None
    """Needed with SASL."""
    sasl_password: SecretStr | None = None
    """Needed with SASL; better given as a variable than in a file that others read."""
    ssl_ca_file: Path | None = None
    """PEM file with the authorities to trust; unless told the system's."""
    ssl_certificate_file: Path | None = None
    """PEM file with this client's certificate, where the broker asks for one."""
    ssl_key_file: Path | None = None
    """PEM file with the key of that certificate."""
    compression: Literal["none", "gzip", "lz4", "snappy", "zstd"] = "lz4"
    """none, gzip, lz4, snappy or zstd."""
    request_timeout_s: Annotated[float, Field(ge=1, le=300)] = 10.0
    """How long a broker may take to answer."""
    session_timeout_s: Annotated[float, Field(ge=1, le=300)] = 10.0
    """After so long without a word from it, a consumer's partitions go to the others."""
    n_partitions: Annotated[int, Field(ge=1, le=1000)] = N_PARTITIONS
    """Partitions of topics that are created by this program; existing topics are left alone."""
    replication_factor: Annotated[int, Field(ge=1, le=9)] = 1
    """Copies of topics that are created by this program; 3 in a hospital."""

    @model_validator(mode="after")
    def _complete(self) -> "KafkaSettings":
        if self.security_protocol.startswith("SASL") and (
            self.sasl_username is None or self.sasl_password is None
        ):
            raise ValueError(f"{self.security_protocol} needs sasl_username and sasl_password")
        if (self.ssl_certificate_file is None) != (self.ssl_key_file is None):
            raise ValueError("ssl_certificate_file and ssl_key_file go together")
        if self.sasl_password is not None and not self.security_protocol.startswith("SASL"):
            raise ValueError(f"sasl_password is of no use with {self.security_protocol}")
        if self.ssl_ca_file is not None and "SSL" not in self.security_protocol:
            raise ValueError(f"ssl_ca_file is of no use with {self.security_protocol}")
        return self


class ProcessSettings(BaseSettings):
    """What every process of the system is told. Each role adds its own fields."""

    model_config = SettingsConfigDict(
        env_prefix=ENV_PREFIX,
        env_nested_delimiter=ENV_DELIMITER,
        frozen=True,
        extra="forbid",
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
        toml_file=None,
    )

    kafka: KafkaSettings = KafkaSettings()
    metrics_port: Annotated[int, Field(ge=0, le=65535)] = 0
    """Port of Prometheus metrics; 0: none."""
    metrics_host: Annotated[str, Field(min_length=1, max_length=253)] = "127.0.0.1"
    """Address on which they are served. Nobody is asked there who they are: one that others reach
    is for a container, or for where a firewall lets only Prometheus through."""
    log_level: Literal["debug", "info", "warning", "error"] = "info"
    """debug, info, warning or error."""

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
        del env_settings, dotenv_settings, file_secret_settings

        class Environment(EnvironmentWithFiles):
            secret_variables: ClassVar = secret_file_variables(settings_cls)

        return (init_settings, Environment(settings_cls), TomlConfigSettingsSource(settings_cls))


Settings = TypeVar("Settings", bound=ProcessSettings)


class SettingsError(Exception):
    """Settings that cannot be used; the message names each of them."""


def unknown_variables(settings: type[BaseSettings], names: Iterable[str]) -> list[str]:
    """Name the variables with our prefix that match no field of ``settings``.

    pydantic-settings ignores them, so a misspelt one would be silent.
    """
    known = {*_variables(settings, ENV_PREFIX), *secret_file_variables(settings)}
    ours = {name.upper() for name in names if name.upper().startswith(ENV_PREFIX)}
    return sorted(ours - OTHER_VARIABLES - known)


def secret_file_variables(settings: type[BaseModel]) -> dict[str, str]:
    """Give the variable of each secret by the variable that may name its file."""
    annotations = dict(_annotated_variables(settings, ENV_PREFIX))
    secrets = (name for name, annotation in annotations.items() if _is_secret(annotation))
    return file_variables(secrets, annotations)


def _is_secret(annotation: object) -> bool:
    return annotation is SecretStr or SecretStr in get_args(annotation)


def _variables(model: type[BaseModel], prefix: str) -> Iterator[str]:
    """Name the variable of every field, and of the fields within it."""
    return (name for name, _ in _annotated_variables(model, prefix))


def _annotated_variables(model: type[BaseModel], prefix: str) -> Iterator[tuple[str, object]]:
    for name, field in model.model_fields.items():
        variable = f"{prefix}{name.upper()}"
        yield variable, field.annotation
        for kind in _models_in(field.annotation):
            yield from _annotated_variables(kind, f"{variable}{ENV_DELIMITER}")


_SILENT_ERRORS: Final = frozenset({"extra_forbidden", "model_type", "string_type"})
"""What an unknown key or a password holds is not repeated in messages."""


def _explain(error: ValidationError, settings: type[BaseModel]) -> str:
    """Name each field with what is allowed and what it holds, unless that may be a secret."""
    return "; ".join(
        f"{'.'.join(map(str, one['loc']))}: {one['msg']}"
        + ("" if _may_be_secret(one["type"], one["input"]) else f", not {one['input']!r}")
        + (_nearest_key(settings, one["loc"]) if one["type"] == "extra_forbidden" else "")
        for one in error.errors(include_url=False)
    )


def _nearest_key(settings: type[BaseModel], path: Sequence[str | int]) -> str:
    """Ask whether the key at the end of a path was meant to be one that there is."""
    models: list[type[BaseModel]] = [settings]
    for step in path[:-1]:
        if isinstance(step, str):
            fields = [model.model_fields[step] for model in models if step in model.model_fields]
            models = [kind for field in fields for kind in _models_in(field.annotation)]
    known = [name for model in models for name in model.model_fields]
    return did_you_mean(str(path[-1]), known)


def _models_in(annotation: object) -> Iterator[type[BaseModel]]:
    """Name the models that an annotation is made of."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
    for part in get_args(annotation):
        yield from _models_in(part)


def did_you_mean(word: str, known: Iterable[str]) -> str:
    """Ask whether a word was meant to be the nearest of those that are known; empty if none is."""
    nearest = get_close_matches(word, list(known), n=1, cutoff=0.75)
    return f"; did you mean {nearest[0]}?" if nearest else ""


def _may_be_secret(kind: str, held: object) -> bool:
    return kind in _SILENT_ERRORS or not isinstance(held, str | int | float)


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
        all_known = [*_variables(settings, ENV_PREFIX), *secret_file_variables(settings)]
        nearest = "".join(did_you_mean(name, all_known) for name in unknown)
        raise SettingsError(
            f"unknown environment variable {', '.join(unknown)}{nearest}; this command knows "
            f"{known} (fields within one: two underscores, as in "
            f"{ENV_PREFIX}KAFKA__BOOTSTRAP_SERVERS)"
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
        return cast(Settings, FromFile(**given))
    except ValidationError as error:
        raise SettingsError(
            f"settings of {settings.__name__}: {_explain(error, settings)}"
        ) from error
    except SecretFileError as error:
        raise SettingsError(str(error)) from error
    except (ValueError, OSError) as error:
        raise SettingsError(f"settings of {settings.__name__}, {file}: {error}") from error
