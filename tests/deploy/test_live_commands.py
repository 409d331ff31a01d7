"""``chevet live``: users with tokens, the access log, and settings that are refused."""

import json
import socket
import threading
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from deploy.cli import main
from processors.sinks.live.access_users import sha256_of
from processors.sinks.live.access_users_file import change_users, read_users


@pytest.fixture
def config(tmp_path: Path) -> Path:
    file = tmp_path / "live.toml"
    file.write_text(
        f'[access]\nmode = "tokens"\nusers_file = "{tmp_path}/users.json"\n'
        f'log_file = "{tmp_path}/access.jsonl"\n'
    )
    return file


def chevet(*words: object) -> Result:
    return CliRunner().invoke(main, [str(word) for word in words], prog_name="chevet")


def test_a_token_is_shown_once_and_only_its_hash_is_kept(config: Path, tmp_path: Path) -> None:
    said = chevet("live", "token", "add", "anna", "--subject", "icu-*", "--config", config)

    assert said.exit_code == 0
    token = said.output.strip()
    kept = (tmp_path / "users.json").read_text()
    assert token not in kept
    [user] = read_users(tmp_path / "users.json")
    assert (user.name, user.subjects, user.token_sha256) == ("anna", ("icu-*",), sha256_of(token))
    assert (tmp_path / "users.json").stat().st_mode & 0o077 == 0
    listed = chevet("live", "token", "list", "--config", config).output
    assert "anna  icu-*  without end" in listed
    assert token not in listed


def test_who_is_revoked_is_no_user_and_may_get_another_token(config: Path, tmp_path: Path) -> None:
    add = ("live", "token", "add", "anna", "--subject", "*", "--config", config)
    first = chevet(*add).output

    assert chevet(*add).exit_code == 1, "a name stands once"
    assert chevet("live", "token", "revoke", "anna", "--config", config).exit_code == 0
    assert read_users(tmp_path / "users.json") == ()
    said = chevet("live", "token", "revoke", "anna", "--config", config)
    assert (said.exit_code, "no user anna" in said.output) == (1, True)
    assert chevet(*add).output != first


@pytest.mark.parametrize(
    ("text", "ok"), [("90d", True), ("2030-01-31T08:00", True), ("soon", False)]
)
def test_an_expiry_is_a_time_or_some_days(config: Path, text: str, *, ok: bool) -> None:
    said = chevet(
        "live", "token", "add", "a", "--subject", "x", "--expires", text, "--config", config
    )

    assert said.exit_code == (0 if ok else 2)
    if ok:
        [row] = json.loads(chevet("live", "token", "list", "--json", "--config", config).output)
        assert row["expires"] is not None
        assert row["expired"] is False


def test_an_expired_token_is_listed_as_such(config: Path) -> None:
    chevet("live", "token", "add", "a", "--subject", "x", "--expires", "0d", "--config", config)

    assert "EXPIRED" in chevet("live", "token", "list", "--config", config).output


def test_without_users_it_is_said_how_to_make_one(config: Path) -> None:
    for words in (("live", "token", "list"), ("live",)):
        said = chevet(*words, "--config", config)

        assert said.exit_code == 1
        assert "chevet live token add" in said.output


def test_a_file_that_was_spoilt_is_not_written_over(config: Path, tmp_path: Path) -> None:
    (tmp_path / "users.json").write_text('{"users": [')

    said = chevet("live", "token", "add", "a", "--subject", "x", "--config", config)

    assert said.exit_code == 1
    assert "users.json" in said.output
    assert (tmp_path / "users.json").read_text() == '{"users": ['


def test_two_who_add_at_the_same_time_both_stay(config: Path, tmp_path: Path) -> None:
    chevet("live", "token", "add", "u", "--subject", "x", "--config", config)
    [user] = read_users(tmp_path / "users.json")

    def add(number: int) -> None:
        from dataclasses import replace

        made = replace(user, name=f"u{number}")
        change_users(tmp_path / "users.json", lambda users: (*users, made))

    threads = [threading.Thread(target=add, args=(number,)) for number in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len(read_users(tmp_path / "users.json")) == 13
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"live.toml", "users.json", ".users.json.lock"}


def test_the_access_log_is_shown(config: Path, tmp_path: Path) -> None:
    lines = [
        {"t": "2027-01-01T08:00:00.000Z", "event": "watch_began", "watch": "1", "user": "anna",
         "subject": "icu-7", "by": "socket", "address": "192.0.2.1"},
        {"t": "2027-01-01T08:05:00.000Z", "event": "watch_ended", "watch": "1", "reason": "x"},
        {"t": "2027-01-01T08:06:00.000Z", "event": "refused", "user": "bert",
         "subject": "icu-7\x1b[2J"},
    ]  # fmt: skip
    (tmp_path / "access.jsonl").write_text("".join(json.dumps(line) + "\n" for line in lines))

    table = chevet("live", "access-log", "--config", config).output
    [row] = chevet(
        "live", "access-log", "--subject", "icu-7", "--json", "--config", config
    ).output.splitlines()
    moved = chevet("live", "access-log", "--user", "bert", tmp_path / "access.jsonl").output

    assert "2027-01-01T08:00:00.000Z  2027-01-01T08:05:00.000Z  anna  watched  icu-7" in table
    assert "\x1b" not in table
    assert json.loads(row)["ended"] == "2027-01-01T08:05:00.000Z"
    assert "bert" in moved
    assert "anna" not in moved
    assert chevet("live", "access-log", tmp_path / "none").exit_code == 2


def test_an_open_page_for_everybody_is_refused_with_the_way_out() -> None:
    said = chevet("live", "--host", "192.0.2.1")

    assert said.exit_code == 2
    assert 'access.mode to "tokens" or "oidc"' in said.output


def test_a_port_that_is_taken_is_told() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()

        said = chevet("live", "--port", taken.getsockname()[1], "--kafka", "127.0.0.1:1")

    assert said.exit_code == 1
    assert "address already in use" in said.output
    assert "Traceback" not in said.output
