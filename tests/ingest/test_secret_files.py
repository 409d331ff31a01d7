import os
from pathlib import Path

import pytest

from edge.settings import AgentSettings
from ingest.secret_files import SECRET_BYTES_MAX, file_variables
from ingest.settings import ProcessSettings, SettingsError, load_settings, unknown_variables
from processors.settings import SinkSettings

SECRET = "hunter2 and more"  # noqa: S105  # nobody's
TOKEN_FILE = "CHEVET_INFLUX__TOKEN_FILE"  # noqa: S105


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("CHEVET_"):
            monkeypatch.delenv(name)


@pytest.fixture
def sink(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A sink that has all but its token; the file of the token."""
    monkeypatch.setenv("CHEVET_INFLUX__URL", "http://influx.example")
    monkeypatch.setenv(TOKEN_FILE, str(tmp_path / "token"))
    return tmp_path / "token"


def token() -> str:
    influx = load_settings(SinkSettings, None).influx
    assert influx is not None
    return influx.token.get_secret_value()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_the_text_of_its_file_without_the_end_of_the_line(sink: Path, end: str) -> None:
    sink.write_bytes(f"{SECRET}{end}".encode())

    assert token() == SECRET


def test_the_variable_counts_in_small_letters_too(
    sink: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sink.write_text(SECRET)
    monkeypatch.delenv(TOKEN_FILE)
    monkeypatch.setenv(TOKEN_FILE.lower(), str(sink))

    assert token() == SECRET


def test_the_file_comes_before_the_settings_file(sink: Path, tmp_path: Path) -> None:
    sink.write_text(SECRET)
    toml = tmp_path / "sink.toml"
    toml.write_text('[influx]\nurl = "http://other.example"\ntoken = "old"')

    influx = load_settings(SinkSettings, toml).influx

    assert influx is not None
    assert (influx.url, influx.token.get_secret_value()) == ("http://influx.example", SECRET)


def test_a_password_of_kafka_may_stand_in_a_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "password"
    file.write_text(SECRET)
    for name, value in {
        "SECURITY_PROTOCOL": "SASL_SSL",
        "SASL_USERNAME": "worker",
        "SASL_PASSWORD_FILE": str(file),
    }.items():
        monkeypatch.setenv(f"CHEVET_KAFKA__{name}", value)

    kafka = load_settings(ProcessSettings, None).kafka

    assert kafka.sasl_password is not None
    assert kafka.sasl_password.get_secret_value() == SECRET


def test_given_both_ways_it_is_refused(sink: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sink.write_text(SECRET)
    monkeypatch.setenv("CHEVET_INFLUX__TOKEN", "another")

    with pytest.raises(SettingsError, match="one of them, not both") as refused:
        token()

    assert SECRET not in str(refused.value)


@pytest.mark.parametrize(
    ("held", "why"),
    [
        (None, "cannot be read: No such file"),
        (b"", "is empty"),
        (b"\n", "is empty"),
        (b"\xff\xfe" + SECRET.encode(), "no text in UTF-8"),
        (SECRET.encode() * SECRET_BYTES_MAX, "longer than a secret"),
    ],
)
def test_a_file_that_holds_no_secret_is_named_and_not_repeated(
    sink: Path, held: bytes | None, why: str
) -> None:
    if held is not None:
        sink.write_bytes(held)

    with pytest.raises(SettingsError, match=why) as refused:
        token()

    assert TOKEN_FILE in str(refused.value)
    assert str(sink) in str(refused.value)
    assert SECRET not in f"{refused.value} {refused.value.__cause__}"


def test_only_secrets_have_files() -> None:
    known = unknown_variables(SinkSettings, [TOKEN_FILE, "CHEVET_KAFKA__SASL_PASSWORD_FILE"])

    assert known == []
    assert unknown_variables(SinkSettings, ["CHEVET_INFLUX__URL_FILE"]) == [
        "CHEVET_INFLUX__URL_FILE"
    ]
    assert unknown_variables(ProcessSettings, [TOKEN_FILE]) == [TOKEN_FILE]


def test_a_misspelt_one_is_told_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHEVET_INFLUX__TOKN_FILE", "x")

    with pytest.raises(SettingsError, match=f"did you mean {TOKEN_FILE}"):
        load_settings(SinkSettings, None)


def test_a_field_of_that_name_goes_on_being_the_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent's spool_key_file holds several keys, one a line."""
    monkeypatch.setenv("CHEVET_SPOOL_KEY_FILE", str(tmp_path / "keys"))

    assert load_settings(AgentSettings, None).spool_key_file == tmp_path / "keys"
    assert file_variables(["A"], ["A", "A_FILE"]) == {}
