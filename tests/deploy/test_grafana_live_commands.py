"""``chevet grafana-live``: what it needs to be told, and what it says where that is missing."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from deploy.cli import main
from ingest.settings import SettingsError, load_settings
from processors.settings import GrafanaLiveSettings


def run(*arguments: str, **environment: str) -> tuple[int, str]:
    done = CliRunner().invoke(main, ["grafana-live", *arguments], env=environment)
    return done.exit_code, done.output


def test_without_a_grafana_it_says_which_options_name_one() -> None:
    code, said = run()

    assert code == 2
    assert "--grafana-url and --token-file" in said


def test_a_grafana_without_a_token_file_is_a_setting_that_is_missing() -> None:
    code, said = run("--grafana-url", "http://127.0.0.1:1")

    assert code == 2
    assert "grafana.token_file" in said


def test_a_token_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    file = tmp_path / "nowhere"

    code, said = run("--grafana-url", "http://127.0.0.1:1", "--token-file", str(file))

    assert code == 1
    assert str(file) in said


@pytest.mark.parametrize("url", ["grafana:3000", "ftp://x", "http://", "http://a b", "http://u@h"])
def test_what_is_no_address_is_refused(url: str, tmp_path: Path) -> None:
    code, said = run("--grafana-url", url, "--token-file", str(tmp_path / "token"))

    assert code == 2
    assert "grafana.url" in said


def test_options_are_laid_over_the_file(tmp_path: Path) -> None:
    file = tmp_path / "settings.toml"
    file.write_text(
        'watched = ["icu-*"]\n[grafana]\nurl = "http://old"\ntoken_file = "token"\n', "utf-8"
    )

    settings = load_settings(GrafanaLiveSettings, file, grafana={"url": "https://new/grafana"})

    assert settings.grafana is not None
    assert settings.grafana.url == "https://new/grafana"
    assert settings.grafana.token_file == Path("token")
    assert settings.watched == ("icu-*",)


def test_by_default_nobody_is_watched() -> None:
    assert GrafanaLiveSettings().watched == ()


@pytest.mark.parametrize("stream", ["", "a/b", "x" * 33])
def test_a_stream_has_a_legal_name(stream: str) -> None:
    given = {"url": "http://h", "token_file": "t", "stream": stream}

    with pytest.raises(SettingsError, match="stream"):
        load_settings(GrafanaLiveSettings, None, grafana=given)


def test_settings_are_read_without_the_sink_that_they_are_for() -> None:
    """Every role reads them; numba alone takes a second to import."""
    command = "import sys, processors.settings; print(sys.modules.keys() & {'numba', 'aiohttp'})"

    done = subprocess.run(
        [sys.executable, "-c", command], capture_output=True, text=True, check=True
    )

    assert done.stdout == "set()\n"
