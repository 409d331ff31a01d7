import os
from pathlib import Path

import pytest

from edge.settings import AgentSettings
from ingest.secret_files import SECRET_BYTES_MAX, file_variables
from ingest.settings import ProcessSettings, SettingsError, load_settings, unknown_variables

SECRET = "hunter2 and more"  # noqa: S105  # nobody's
PASSWORD_FILE = "CHEVET_KAFKA__SASL_PASSWORD_FILE"  # noqa: S105


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.upper().startswith("CHEVET_"):
            monkeypatch.delenv(name)


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Settings that have all but their password; the file of the password."""
    monkeypatch.setenv("CHEVET_KAFKA__SECURITY_PROTOCOL", "SASL_SSL")
    monkeypatch.setenv("CHEVET_KAFKA__SASL_USERNAME", "worker")
    monkeypatch.setenv(PASSWORD_FILE, str(tmp_path / "password"))
    return tmp_path / "password"


def password(toml: Path | None = None) -> str:
    held = load_settings(ProcessSettings, toml).kafka.sasl_password
    assert held is not None
    return held.get_secret_value()


@pytest.mark.parametrize("end", ["", "\n", "\r\n"])
def test_a_secret_is_the_text_of_its_file_without_the_end_of_the_line(file: Path, end: str) -> None:
    file.write_bytes(f"{SECRET}{end}".encode())

    assert password() == SECRET


def test_the_variable_counts_in_small_letters_too(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file.write_text(SECRET)
    monkeypatch.delenv(PASSWORD_FILE)
    monkeypatch.setenv(PASSWORD_FILE.lower(), str(file))

    assert password() == SECRET


def test_the_file_comes_before_the_settings_file(file: Path, tmp_path: Path) -> None:
    file.write_text(SECRET)
    toml = tmp_path / "worker.toml"
    toml.write_text('[kafka]\nsasl_password = "old"')

    assert password(toml) == SECRET


def test_given_both_ways_it_is_refused(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file.write_text(SECRET)
    monkeypatch.setenv("CHEVET_KAFKA__SASL_PASSWORD", "another")

    with pytest.raises(SettingsError, match="one of them, not both") as refused:
        password()

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
    file: Path, held: bytes | None, why: str
) -> None:
    if held is not None:
        file.write_bytes(held)

    with pytest.raises(SettingsError, match=why) as refused:
        password()

    assert PASSWORD_FILE in str(refused.value)
    assert str(file) in str(refused.value)
    assert SECRET not in f"{refused.value} {refused.value.__cause__}"


def test_only_secrets_have_files() -> None:
    assert unknown_variables(ProcessSettings, [PASSWORD_FILE]) == []
    for name in ("CHEVET_KAFKA__SASL_USERNAME_FILE", "CHEVET_OTHER_FILE"):
        assert unknown_variables(ProcessSettings, [name]) == [name]


def test_a_misspelt_one_is_told_what_was_meant(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHEVET_KAFKA__SASL_PASWORD_FILE", "x")

    with pytest.raises(SettingsError, match=f"did you mean {PASSWORD_FILE}"):
        load_settings(ProcessSettings, None)


def test_a_field_of_that_name_goes_on_being_the_field(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The agent's spool_key_file holds several keys, one a line."""
    monkeypatch.setenv("CHEVET_SPOOL_KEY_FILE", str(tmp_path / "keys"))

    assert load_settings(AgentSettings, None).spool_key_file == tmp_path / "keys"
    assert file_variables(["A"], ["A", "A_FILE"]) == {}
