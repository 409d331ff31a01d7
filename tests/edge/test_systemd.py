"""Words to systemd, heard by a socket that stands for it; and the unit file, judged by systemd."""

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from edge.heartbeat import Heartbeat
from edge.systemd import notify, watchdog_s

UNIT = Path("deploy/systemd/chevet-edge.service")


@pytest.mark.parametrize("form", ["path", "abstract"])
def test_what_is_said_arrives_line_by_line(tmp_path: Path, form: str) -> None:
    abstract = form == "abstract"
    name = f"chevet-test-{os.getpid()}" if abstract else str(tmp_path / "notify")
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as systemd:
        systemd.bind(f"\0{name}" if abstract else name)
        systemd.settimeout(10)

        said = notify(
            "READY=1", "STATUS=ok", environ={"NOTIFY_SOCKET": f"@{name}" if abstract else name}
        )

        assert said
        assert systemd.recv(100) == b"READY=1\nSTATUS=ok"


def test_where_nobody_listens_nothing_is_said(tmp_path: Path) -> None:
    assert not notify("READY=1", environ={})
    assert not notify("READY=1", environ={"NOTIFY_SOCKET": str(tmp_path / "none")})


@pytest.mark.parametrize(
    ("environ", "seconds"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "60000000"}, 60.0),
        ({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_for_the_process_that_it_names(
    environ: dict[str, str], seconds: float | None
) -> None:
    assert watchdog_s(environ) == seconds


def test_a_loop_that_does_not_come_round_grows_old() -> None:
    now = [0.0]
    heart = Heartbeat(lambda: now[0])
    heart.beat("flush")
    heart.beat("scan")
    now[0] = 5.0
    heart.beat("scan")
    assert heart.ages_s() == {"flush": 5.0, "scan": 0.0}

    heart.ended("flush")

    assert heart.ages_s() == {"scan": 0.0}


def systemd_analyze(*words: str | Path) -> subprocess.CompletedProcess[str]:
    program = shutil.which("systemd-analyze")
    assert program is not None, "no systemd-analyze: make services installs it"
    return subprocess.run([program, *words], capture_output=True, text=True, check=False)


def test_the_unit_is_one_that_systemd_takes(tmp_path: Path) -> None:
    # Its program is where an installation puts it, which is not here.
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text("utf-8").replace("/opt/chevet/bin/chevet", sys.executable))

    done = systemd_analyze("verify", unit)

    complaints = [line for line in done.stderr.splitlines() if UNIT.name in line]
    assert complaints == []


def test_the_unit_exposes_little() -> None:
    done = systemd_analyze("security", "--offline=true", "--threshold=25", "--no-pager", UNIT)

    assert done.returncode == 0, done.stdout[-300:]


def unit_settings() -> dict[str, str]:
    lines = UNIT.read_text("utf-8").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def test_the_unit_hides_nothing_that_tells_one_boot_from_the_next() -> None:
    """An agent that cannot read it does not know that the host's clock ran on between two runs."""
    assert unit_settings().get("ProcSubset", "all") == "all"


def test_the_unit_lets_a_damaged_spool_be_copied_however_long_it_takes() -> None:
    assert unit_settings().get("TimeoutStartSec") == "infinity"
