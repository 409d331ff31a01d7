"""The units of the server roles, judged by systemd; the agent's is in tests/edge."""

import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Final

import pytest

from deploy.cli import main
from ingest.settings import ENV_PREFIX, ProcessSettings, unknown_variables
from processors.settings import (
    GrafanaLiveSettings,
    LiveSettings,
    RecorderSettings,
    SinkSettings,
    WorkerSettings,
)

FOLDER: Final = Path("deploy/systemd")
UNITS: Final = sorted(
    unit for unit in FOLDER.glob("chevet-*.service") if unit.stem != "chevet-edge"
)
SETTINGS: Final[dict[str, type[ProcessSettings]]] = {
    "worker": WorkerSettings,
    "sink": SinkSettings,
    "live": LiveSettings,
    "grafana-live": GrafanaLiveSettings,
    "record": RecorderSettings,
}
PORT: Final = "9101"
"""The instance of a template: the port of a worker's metrics."""

by_unit = pytest.mark.parametrize("unit", UNITS, ids=lambda unit: unit.stem)


def settings_of(unit: Path) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for line in unit.read_text("utf-8").splitlines():
        if "=" in line and not line.startswith("#"):
            name, value = line.split("=", 1)
            found.setdefault(name, []).append(value)
    return found


def words_of(unit: Path) -> list[str]:
    (start,) = settings_of(unit)["ExecStart"]
    program, *words = start.replace("%i", PORT).split()
    assert program == "/opt/chevet/bin/chevet"
    return words


def systemd_analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program is not None, "no systemd-analyze: make services installs it"
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def test_there_is_a_unit_for_each_role() -> None:
    assert [unit.stem for unit in UNITS] == [
        "chevet-grafana-live",
        "chevet-live",
        "chevet-recorder",
        "chevet-sink",
        "chevet-worker@",
    ]


@by_unit
def test_a_unit_is_one_that_systemd_takes(unit: Path, tmp_path: Path) -> None:
    # Its program is where an installation puts it, which is not here; a template needs an instance.
    name = unit.name.replace("@.", f"@{PORT}.")
    here = tmp_path / name
    here.write_text(unit.read_text("utf-8").replace("/opt/chevet/bin/chevet", sys.executable))

    done = systemd_analyze("verify", here)

    assert [line for line in done.stderr.splitlines() if name in line] == []


@by_unit
def test_a_unit_exposes_little(unit: Path) -> None:
    done = systemd_analyze("security", "--offline=true", "--threshold=20", "--no-pager", unit)

    assert done.returncode == 0, done.stdout[-300:]


@by_unit
def test_a_unit_starts_a_command_that_there_is(unit: Path) -> None:
    name, *arguments = words_of(unit)

    context = main.commands[name].make_context(name, arguments)

    assert str(context.params["config"]).startswith("/etc/chevet/")


@by_unit
def test_a_unit_sets_nothing_that_its_role_does_not_know(unit: Path) -> None:
    ours = [
        one.split("=")[0]
        for one in settings_of(unit).get("Environment", [])
        if one.startswith(ENV_PREFIX)
    ]

    assert unknown_variables(SETTINGS.get(words_of(unit)[0], ProcessSettings), ours) == []


def test_no_two_roles_of_a_host_have_one_port() -> None:
    ports = [
        port
        for unit in UNITS
        for port in re.findall(r"(?:METRICS_PORT=|--metrics-port )(\d+|%i)", unit.read_text())
    ]

    assert len(ports) == len(UNITS) == len(set(ports))


@by_unit
def test_a_unit_says_that_it_restarts_and_ends_in_good_order(unit: Path) -> None:
    said = settings_of(unit)

    assert said["Restart"] == ["always"]
    assert said["StartLimitIntervalSec"] == ["0"]
    assert int(said["TimeoutStopSec"][0]) >= 30
    assert said["User"] == ["chevet"]
    assert "MemoryMax" in said


@by_unit
def test_a_unit_lets_kernels_be_compiled(unit: Path) -> None:
    """Machine code that a process makes itself is written and run: numba cannot do without."""
    assert "MemoryDenyWriteExecute" not in settings_of(unit)
