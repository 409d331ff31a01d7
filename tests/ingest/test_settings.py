import os
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsConfigDict

from ingest.settings import (
    OTHER_VARIABLES,
    KafkaSettings,
    ProcessSettings,
    SettingsError,
    load_settings,
    unknown_variables,
)
from ingest.topics import N_PARTITIONS
from processors.settings import SinkSettings

SECRET = "hunter2"  # noqa: S105  # nobody's
SASL = {"security_protocol": "SASL_SSL", "sasl_username": "chevet", "sasl_password": SECRET}


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("CHEVET_"):
            monkeypatch.delenv(name)


@pytest.fixture
def toml(tmp_path: Path) -> Path:
    return tmp_path / "chevet.toml"


def test_arguments_come_before_environment_before_file_before_default(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def port(argument: int | None = None) -> int:
        return load_settings(ProcessSettings, toml, metrics_port=argument).metrics_port

    toml.write_text("", "utf-8")
    assert port() == 0
    toml.write_text("metrics_port = 1", "utf-8")
    assert port() == 1
    monkeypatch.setenv("CHEVET_METRICS_PORT", "2")
    assert port() == 2
    assert port(3) == 3


def test_fields_within_a_field_mix_from_environment_and_file(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text('[kafka]\nbootstrap_servers = "file:1"\nn_partitions = 3', "utf-8")
    monkeypatch.setenv("CHEVET_KAFKA__BOOTSTRAP_SERVERS", "environment:2, other:3")
    monkeypatch.setenv("chevet_kafka__compression", "zstd")

    kafka = load_settings(ProcessSettings, toml).kafka

    assert kafka.bootstrap_servers == "environment:2,other:3"
    assert (kafka.n_partitions, kafka.compression) == (3, "zstd")


def test_the_file_may_be_named_by_the_environment(
    toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text('log_level = "error"', "utf-8")
    monkeypatch.setenv("CHEVET_CONFIG", str(toml))

    assert load_settings(ProcessSettings, None).log_level == "error"


def test_a_field_that_may_be_none_is_known_with_all_within(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("CHEVET_INFLUX__URL", "http://influx.example")
    monkeypatch.setenv("CHEVET_INFLUX__TOKEN", SECRET)

    influx = load_settings(SinkSettings, None).influx

    assert influx is not None
    assert influx.token.get_secret_value() == SECRET


@pytest.mark.parametrize(
    "name",
    [
        "CHEVET_KAFFKA",
        "CHEVET_KAFKA__BOOTSTRAP",
        "CHEVET_KAFKA__BOOTSTRAP_SERVERS__PORT",
        "CHEVET_KAFKA_BOOTSTRAP_SERVERS",
        "CHEVET_LOG_LEVEL__DEBUG",
        "CHEVET_INFLUX__TOKN",
        "chevet_metrics_prt",
    ],
)
def test_a_variable_that_nobody_knows_is_an_error_that_names_it(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SECRET)

    with pytest.raises(SettingsError, match=f"unknown environment variable {name.upper()};") as no:
        load_settings(SinkSettings, None)

    assert SECRET not in str(no.value)


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("CHEVET_KAFKA__BOOTSTRAP_SERVER", "CHEVET_KAFKA__BOOTSTRAP_SERVERS"),
        ("CHEVET_INFLUX__TOKN", "CHEVET_INFLUX__TOKEN"),
        ("CHEVET_LOGLEVEL", "CHEVET_LOG_LEVEL"),
    ],
)
def test_the_variable_that_was_meant_is_named(
    name: str, meant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, SECRET)

    with pytest.raises(SettingsError, match=f"did you mean {meant}\\?"):
        load_settings(SinkSettings, None)


def test_a_variable_of_another_role_is_not_this_ones() -> None:
    names = ["CHEVET_INFLUX__URL", "PATH", "CHEVET_KAFKA__N_PARTITIONS"]

    assert unknown_variables(ProcessSettings, names) == ["CHEVET_INFLUX__URL"]
    assert unknown_variables(SinkSettings, names) == []


def test_variables_that_are_no_settings_are_left_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in OTHER_VARIABLES - {"CHEVET_CONFIG"}:
        monkeypatch.setenv(name, "1")

    load_settings(ProcessSettings, None)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("metrics_prt = 1", "metrics_prt: Extra inputs are not permitted"),
        ("metrics_prt = 1", r"metrics_prt: .*; did you mean metrics_port\?"),
        ("[kafka]\nbootstrap = 'h:1'", r"kafka\.bootstrap: Extra inputs"),
        ("[kafka]\ncompresion = 'none'", r"kafka\.compresion: .*; did you mean compression\?"),
        ("metrics_port = 70000", "metrics_port: .*less than or equal to 65535, not 70000"),
        ("log_level = 'loud'", "log_level: .*'debug', 'info', .* not 'loud'"),
        ("[kafka]\nrequest_timeout_s = 0.5", r"kafka\.request_timeout_s: .*, not 0\.5"),
        ("[kafka", "chevet.toml: Expected ']'"),
        ("é = '\xff'", "chevet.toml: "),
    ],
)
def test_what_a_file_says_wrong_is_named(text: str, message: str, toml: Path) -> None:
    toml.write_bytes(text.encode("latin-1"))

    with pytest.raises(SettingsError, match=message):
        load_settings(ProcessSettings, toml)


def test_a_file_that_is_not_there_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(SettingsError, match=r"no settings file at .*absent\.toml"):
        load_settings(ProcessSettings, tmp_path / "absent.toml")
    monkeypatch.setenv("CHEVET_CONFIG", str(tmp_path))
    with pytest.raises(SettingsError, match="no settings file at"):
        load_settings(ProcessSettings, None)


def test_a_file_that_cannot_be_read_is_named(toml: Path) -> None:
    toml.touch()

    class Unreadable(ProcessSettings):
        model_config = SettingsConfigDict(env_prefix="CHEVET_")

        def __init__(self, **values: object) -> None:
            del values
            raise PermissionError(13, "Permission denied")

    with pytest.raises(SettingsError, match=r"chevet\.toml: .*Permission denied"):
        load_settings(Unreadable, toml)


@pytest.mark.parametrize(
    "servers", ["", "host", ":9092", "host:", "host:0", "host:65536", "host:²", "a:1,,b:2"]
)
def test_servers_without_host_or_port_are_refused(servers: str) -> None:
    with pytest.raises(ValidationError, match="is not host:port"):
        KafkaSettings(bootstrap_servers=servers)


def test_servers_may_be_addresses_of_ip_version_6() -> None:
    assert KafkaSettings(bootstrap_servers="[::1]:9092").bootstrap_servers == "[::1]:9092"


@pytest.mark.parametrize(
    "fields",
    [
        {"security_protocol": "SASL_SSL"},
        {"security_protocol": "SASL_PLAINTEXT", "sasl_username": "chevet"},
        {"security_protocol": "SASL_SSL", "sasl_password": SECRET},
        # What would be ignored, and everything sent in the clear.
        {"sasl_username": "chevet", "sasl_password": SECRET},
        {"security_protocol": "SSL", "sasl_username": "chevet", "sasl_password": SECRET},
        {"ssl_ca_file": "ca.pem"},
        {"security_protocol": "SSL", "ssl_certificate_file": "a.pem"},
        {"security_protocol": "SSL", "ssl_key_file": "a.pem"},
    ],
)
def test_security_by_halves_is_refused(fields: dict[str, Any]) -> None:
    with pytest.raises(ValidationError) as refused:
        KafkaSettings(**fields)

    assert SECRET not in str(refused.value)


def test_a_secret_does_not_show() -> None:
    settings = ProcessSettings(kafka=KafkaSettings(**SASL))  # type: ignore[arg-type]

    assert settings.kafka.sasl_password == SecretStr(SECRET)
    assert SECRET not in f"{settings!r} {settings} {settings.model_dump()}"


@pytest.mark.parametrize(
    ("variables", "text"),
    [
        (
            {"CHEVET_KAFKA__SECURITY_PROTOCOL": "SASL_SSL", "CHEVET_KAFKA__SASL_PASSWORD": SECRET},
            "",
        ),
        ({"CHEVET_KAFKA": f'{{"sasl_password": "{SECRET}"'}, ""),
        ({"CHEVET_KAFKA": f'{{"sasl_pass": "{SECRET}"}}'}, ""),
        ({}, f"[kafka]\nsasl_pasword = '{SECRET}'"),
        ({}, f"[kafka]\nsasl_password = ['{SECRET}']"),
        ({}, f"kafka = '{SECRET}'"),
        ({}, f"[influx]\ntoken = '{SECRET}'"),
    ],
)
def test_a_secret_does_not_show_in_an_error(
    variables: dict[str, str], text: str, toml: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    toml.write_text(text, "utf-8")
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(SettingsError) as refused:
        load_settings(SinkSettings, toml)

    assert SECRET not in f"{refused.value} {refused.value.__cause__}"


def test_settings_do_not_change() -> None:
    with pytest.raises(ValidationError, match="frozen"):
        KafkaSettings().n_partitions = 3


def test_partitions_have_one_default() -> None:
    assert KafkaSettings().n_partitions == N_PARTITIONS
