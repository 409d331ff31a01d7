"""What ``chevet influx setup`` asks of a server: the real 1.x, and the v2 API as documented.

InfluxDB 2 does not run here: its side is a stand-in with the contract of ``influx_v2``.
"""

import json
import stat
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from deploy.cli import main
from deploy.influx_setup import SetupError, server_version
from deploy.local.influx import InfluxServer
from deploy.local.process import free_ports
from deploy.roles import build_store
from processors.settings import InfluxSettings, SinkSettings
from processors.sinks.influx import InfluxStore
from processors.sinks.store import StoreRefusedError
from tests.deploy.influx_v2 import ORG, TOKEN, FakeInflux2

HOUR_S = 3_600


@pytest.fixture
def influx2(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeInflux2]:
    monkeypatch.setenv("CHEVET_INFLUX__TOKEN", TOKEN)
    with FakeInflux2() as fake:
        yield fake


def run(url: str, *words: str) -> Result:
    return CliRunner().invoke(main, ["influx", "setup", "--influx-url", url, *words])


def findings(result: Result) -> dict[str, str]:
    return {one["what"]: one["state"] for one in json.loads(result.stdout)["findings"]}


# InfluxDB 2


def test_version_2_gets_buckets_a_default_mapping_and_two_tokens_of_least_rights(
    influx2: FakeInflux2,
) -> None:
    result = run(influx2.url, "--json")

    assert result.exit_code == 0, result.output
    assert set(findings(result).values()) == {"made", "right"}
    assert {one["name"]: one["retentionRules"] for one in influx2.buckets} == {
        "chevet": [
            {"type": "expire", "everySeconds": 0, "shardGroupDurationSeconds": 168 * HOUR_S}
        ],
        "chevet/waveforms": [
            {"type": "expire", "everySeconds": 72 * HOUR_S, "shardGroupDurationSeconds": 6 * HOUR_S}
        ],
        "chevet/envelopes": [
            {
                "type": "expire",
                "everySeconds": 720 * HOUR_S,
                "shardGroupDurationSeconds": 24 * HOUR_S,
            }
        ],
    }
    ids = {one["name"]: one["id"] for one in influx2.buckets}
    # Every virtual mapping calls itself the default: one that was made decides.
    (mapping,) = influx2.mappings
    assert (mapping["database"], mapping["retention_policy"]) == ("chevet", "autogen")
    assert (mapping["bucketID"], mapping["default"]) == (ids["chevet"], True)
    rights = {
        one["description"]: {
            (each["action"], each["resource"]["type"], each["resource"]["id"])
            for each in one["permissions"]
        }
        for one in influx2.authorizations
    }
    assert rights == {
        "chevet sink: write": {("write", "buckets", one) for one in ids.values()},
        "chevet grafana: read": {("read", "buckets", one) for one in ids.values()},
    }
    assert json.loads(result.stdout)["tokens"] == {
        name: one["token"]
        for name, one in zip(("sink", "grafana"), influx2.authorizations, strict=True)
    }


def test_a_second_run_changes_nothing_and_shows_no_token(influx2: FakeInflux2) -> None:
    run(influx2.url)
    influx2.changes.clear()

    again, checked = run(influx2.url, "--json"), run(influx2.url, "--check")

    assert influx2.changes == []
    assert (again.exit_code, checked.exit_code) == (0, 0)
    assert set(findings(again).values()) == {"right"}
    assert "secret" not in again.output + checked.output


def test_a_check_of_an_empty_server_says_what_is_missing_and_makes_nothing(
    influx2: FakeInflux2,
) -> None:
    result = run(influx2.url, "--check", "--json")

    assert result.exit_code == 1
    assert set(findings(result).values()) == {"missing"}
    assert len(findings(result)) == 3 + 3 + 2
    assert influx2.changes == []


def test_requests_are_in_the_order_in_which_one_needs_the_other(influx2: FakeInflux2) -> None:
    run(influx2.url)

    assert influx2.changes == [
        *[("POST", "buckets")] * 3,
        ("POST", "dbrps"),
        *[("POST", "authorizations")] * 2,
    ]


def test_where_the_server_maps_nothing_by_itself_each_bucket_gets_a_mapping(
    influx2: FakeInflux2,
) -> None:
    influx2.has_virtual_mappings = False

    assert run(influx2.url).exit_code == 0

    assert {(one["retention_policy"], one["default"]) for one in influx2.mappings} == {
        ("autogen", True),
        ("waveforms", False),
        ("envelopes", False),
    }


def test_a_mapping_of_somebody_elses_is_left_and_said(influx2: FakeInflux2) -> None:
    influx2.mappings.append(
        {
            "id": "00000000000000aa",
            "orgID": ORG["id"],
            "bucketID": "00000000000000bb",
            "database": "chevet",
            "retention_policy": "waveforms",
            "default": True,
            "virtual": False,
        }
    )

    result = run(influx2.url, "--json")

    assert result.exit_code == 1
    assert findings(result)["mapping chevet/waveforms"] == "different"
    assert influx2.mappings[0]["bucketID"] == "00000000000000bb"


def test_the_mapping_of_what_is_kept_long_becomes_the_default(influx2: FakeInflux2) -> None:
    run(influx2.url)
    influx2.mappings[0]["default"] = False

    checked, result = run(influx2.url, "--check", "--json"), run(influx2.url, "--json")

    assert findings(checked)["mapping chevet/autogen"] == "different"
    assert findings(result)["mapping chevet/autogen"] == "changed"
    assert influx2.mappings[0]["default"]


@pytest.mark.parametrize(
    ("every_h", "words", "state", "kept_h"),
    [
        (24, (), "changed", 72),
        (24, ("--check",), "different", 24),
        (0, (), "different", 0),
        (100, (), "different", 100),
        (100, ("--shorten",), "changed", 72),
        (100, ("--shorten", "--check"), "different", 100),
    ],
)
def test_a_bucket_is_never_made_shorter_unless_told(
    influx2: FakeInflux2, every_h: int, words: tuple[str, ...], state: str, kept_h: int
) -> None:
    run(influx2.url)
    bucket = next(one for one in influx2.buckets if one["name"] == "chevet/waveforms")
    bucket["retentionRules"][0]["everySeconds"] = every_h * HOUR_S

    result = run(influx2.url, "--json", *words)

    assert findings(result)["bucket chevet/waveforms"] == state
    assert result.exit_code == (1 if state == "different" else 0)
    assert bucket["retentionRules"][0]["everySeconds"] == kept_h * HOUR_S


def test_a_token_with_other_rights_is_not_enough(influx2: FakeInflux2) -> None:
    run(influx2.url)
    influx2.authorizations[0]["permissions"] = influx2.authorizations[0]["permissions"][:2]

    checked, result = run(influx2.url, "--check", "--json"), run(influx2.url, "--json")

    assert findings(checked)["token of sink"] == "different"
    assert findings(result)["token of sink"] == "made"
    assert "1 of other rights stay" in result.stdout
    assert len(influx2.authorizations) == 3


def test_tokens_go_into_files_that_only_their_owner_reads(
    influx2: FakeInflux2, tmp_path: Path
) -> None:
    folder = tmp_path / "secrets"

    result = run(influx2.url, "--tokens-folder", str(folder))

    assert result.exit_code == 0, result.output
    assert "secret-" not in result.output
    files = {file.name: file for file in folder.iterdir()}
    assert set(files) == {"influx-sink.token", "influx-grafana.token"}
    for file, made in zip(
        (files["influx-sink.token"], files["influx-grafana.token"]),
        influx2.authorizations,
        strict=True,
    ):
        assert stat.S_IMODE(file.stat().st_mode) == 0o600
        assert file.read_text() == f"{made['token']}\n"


def test_tokens_whose_files_cannot_be_written_are_shown(
    influx2: FakeInflux2, tmp_path: Path
) -> None:
    in_the_way = tmp_path / "file"
    in_the_way.touch()

    result = run(influx2.url, "--tokens-folder", str(in_the_way / "below"))

    assert result.exit_code == 1
    for made in influx2.authorizations:
        assert made["token"] in result.stderr


def test_without_the_right_token_it_is_said_which_one_it_takes(
    influx2: FakeInflux2, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHEVET_INFLUX__TOKEN", "s3cr3t")

    result = run(influx2.url)

    assert result.exit_code == 1
    assert "401" in result.stderr
    assert "the one of the server's setup may" in result.stderr
    assert "s3cr3t" not in result.output


def test_the_token_may_be_in_a_file(
    influx2: FakeInflux2, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    file = tmp_path / "operator"
    file.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("CHEVET_INFLUX__TOKEN_FILE", str(file))

    both = run(influx2.url, "--check")
    monkeypatch.delenv("CHEVET_INFLUX__TOKEN")
    alone = run(influx2.url)
    file.unlink()
    gone = run(influx2.url)

    assert (both.exit_code, alone.exit_code, gone.exit_code) == (2, 0, 1)
    assert "token and token_file are both given" in both.stderr
    assert str(file) in gone.stderr
    assert TOKEN not in both.output + alone.output


def test_a_sink_reads_its_token_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "influx-sink.token"
    settings = SinkSettings(influx=InfluxSettings(url="http://127.0.0.1:1", token_file=file))

    with pytest.raises(StoreRefusedError, match=r"influx-sink\.token"):
        build_store(settings, None, None)
    file.write_text("secret\n")
    store = build_store(settings, None, None)

    assert isinstance(store, InfluxStore)
    assert store._client.token == "secret"  # noqa: S105


def test_an_organization_that_is_not_there_is_said(influx2: FakeInflux2) -> None:
    result = run(influx2.url, "--influx-org", "elsewhere")

    assert result.exit_code == 1
    assert "elsewhere" in result.stderr


# Which server it is


def test_a_server_that_is_neither_is_refused(influx2: FakeInflux2) -> None:
    influx2.version = "3.1.0"
    result = run(influx2.url)

    assert result.exit_code == 1
    assert "InfluxDB 3.1.0; 1.x and 2.x are known" in result.stderr


def test_something_else_is_no_influxdb(influx2: FakeInflux2) -> None:
    influx2.version = ""

    with pytest.raises(SetupError, match="is it an InfluxDB"):
        server_version(influx2.url, 5.0)


def test_a_server_that_is_away_is_named() -> None:
    (port,) = free_ports(1)

    result = run(f"http://127.0.0.1:{port}")

    assert result.exit_code == 1
    assert f"http://127.0.0.1:{port} does not answer" in result.stderr


@pytest.mark.parametrize("hours", [23, 73])
def test_waveforms_are_kept_for_one_day_to_three(
    hours: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHEVET_INFLUX__WAVEFORMS_RETENTION_H", str(hours))

    result = run("http://127.0.0.1:1")

    assert result.exit_code == 2
    assert "waveforms_retention_h" in result.stderr


# The real 1.x


def query(server: InfluxServer, statement: str) -> list[list[Any]]:
    body = urllib.parse.urlencode({"q": statement}).encode()
    with urllib.request.urlopen(f"{server.url}/query", body) as answer:
        (result,) = json.load(answer)["results"]
    return [row for series in result.get("series", []) for row in series["values"]]


def policies(server: InfluxServer, database: str) -> dict[str, tuple[str, str, bool]]:
    rows = query(server, f'SHOW RETENTION POLICIES ON "{database}"')
    return {name: (kept, shard, default) for name, kept, shard, _, default in rows}


def test_version_1_gets_a_database_and_its_policies(
    influx_server: InfluxServer, unique_name: str
) -> None:
    words = ("--influx-bucket", unique_name, "--json")

    checked = run(influx_server.url, *words, "--check")
    assert (checked.exit_code, set(findings(checked).values())) == (1, {"missing"})
    assert [unique_name] not in query(influx_server, "SHOW DATABASES")

    made, again = run(influx_server.url, *words), run(influx_server.url, *words, "--check")

    assert made.exit_code == 0, made.output
    assert json.loads(made.stdout)["version"].startswith("1.")
    assert (again.exit_code, set(findings(again).values())) == (0, {"right"})
    assert policies(influx_server, unique_name) == {
        "autogen": ("0s", "168h0m0s", True),
        "waveforms": ("72h0m0s", "6h0m0s", False),
        "envelopes": ("720h0m0s", "24h0m0s", False),
    }


def test_version_1_is_changed_to_what_is_planned_but_never_shortened(
    influx_server: InfluxServer, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    words = ("--influx-bucket", unique_name, "--json")
    run(influx_server.url, *words)
    monkeypatch.setenv("CHEVET_INFLUX__WAVEFORMS_RETENTION_H", "24")
    monkeypatch.setenv("CHEVET_INFLUX__ENVELOPES_RETENTION_H", str(60 * 24))
    monkeypatch.setenv("CHEVET_INFLUX__LONG_RETENTION_H", str(365 * 24))

    result = run(influx_server.url, *words)

    assert result.exit_code == 1
    assert findings(result) == {
        f"database {unique_name}": "right",
        f"retention policy {unique_name}/autogen": "different",
        f"retention policy {unique_name}/waveforms": "different",
        f"retention policy {unique_name}/envelopes": "changed",
    }
    assert "To delete what is older: --shorten" in result.stdout
    assert policies(influx_server, unique_name)["waveforms"][0] == "72h0m0s"
    assert policies(influx_server, unique_name)["envelopes"][0] == "1440h0m0s"

    assert run(influx_server.url, *words, "--shorten").exit_code == 0

    assert policies(influx_server, unique_name)["waveforms"][0] == "24h0m0s"
    assert policies(influx_server, unique_name)["autogen"] == ("8760h0m0s", "168h0m0s", True)


def test_a_policy_that_is_named_becomes_the_default(
    influx_server: InfluxServer, unique_name: str
) -> None:
    result = run(influx_server.url, "--influx-bucket", f"{unique_name}/years", "--json")

    assert result.exit_code == 0, result.output
    found = policies(influx_server, unique_name)
    assert found["years"] == ("0s", "168h0m0s", True)
    assert not found["autogen"][2]
