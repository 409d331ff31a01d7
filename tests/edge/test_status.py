"""What an agent says of itself: the same to people and machines, and what is wrong named."""

import json
import re
from dataclasses import replace

import pytest

from edge.status import (
    AgentStatus,
    BrokerStatus,
    ClockStatus,
    DeviceStatus,
    SpoolStatus,
    age_text,
    as_text,
    is_ready,
    size_text,
    status_of_json,
    troubles,
)

S = 10**9
NOW = 1_800_000_000 * S
GOOD = AgentStatus(
    version="1.2.3",
    agent_id="bed-12",
    subject_id="p-1",
    now_ns=NOW,
    started_ns=NOW - 7_500 * S,
    devices=(
        DeviceStatus(
            label="device-00aa11",
            device_id="polar-h10-123456",
            model="Polar H10",
            connected=True,
            since_ns=NOW - 65 * S,
            last_payload_ns=NOW,
            n_payloads=10,
            n_links=2,
            streams=("ecg", "acc"),
            battery_percent=80.0,
            clock=ClockStatus(offset_ns=5, drift_ppm=-12.34, uncertainty_ns=4_200_000),
        ),
        DeviceStatus(label="device-22bb33"),
    ),
    spool=SpoolStatus(n_frames=3, n_samples=99, n_bytes=1_500, n_bytes_max=10_000),
    broker=BrokerStatus(connected=True, acknowledged_ns=NOW - S),
    channels=(
        {"device_id": "polar-h10-123456", "channel": "ecg", "on_air": 10, "in_gaps": {"x": 2}},
    ),
    loops={"flush": 0.2},
)
WELL = replace(GOOD, devices=GOOD.devices[:1])


def test_a_status_survives_json() -> None:
    assert status_of_json(json.loads(json.dumps(GOOD.as_json()))) == GOOD


def test_all_is_well_where_it_is() -> None:
    assert troubles(WELL) == []
    assert is_ready(WELL)
    assert "all is well" in as_text(WELL)


@pytest.mark.parametrize(
    ("status", "words"),
    [
        (GOOD, "device-22bb33: not seen for 2 h 5 min"),
        (
            replace(
                WELL, devices=(replace(WELL.devices[0], connected=False, since_ns=NOW - 200 * S),)
            ),
            "polar-h10-123456: away for 3 min 20 s",
        ),
        (replace(WELL, spool=replace(WELL.spool, n_bytes=9_000)), "spool is 90% full"),
        (
            replace(WELL, broker=BrokerStatus(acknowledged_ns=NOW - 90 * S, error="gone")),
            r"acknowledged nothing for 1 min 30 s \(gone\)",
        ),
        (replace(WELL, loops={"flush": 31.0}), "loop flush has not come round for 31 s"),
    ],
)
def test_what_is_wrong_is_named(status: AgentStatus, words: str) -> None:
    [trouble] = troubles(status)

    assert re.search(words, trouble)
    assert trouble in as_text(status)


def test_a_broker_that_has_nothing_to_acknowledge_is_no_trouble() -> None:
    idle = replace(
        WELL,
        spool=replace(WELL.spool, n_frames=0),
        broker=replace(WELL.broker, acknowledged_ns=NOW - 10_000 * S),
    )

    assert troubles(idle) == []


def test_an_agent_without_a_link_or_a_broker_is_not_ready() -> None:
    assert not is_ready(replace(WELL, devices=GOOD.devices[1:]))
    assert not is_ready(replace(WELL, broker=BrokerStatus()))
    assert not is_ready(replace(WELL, loops={"flush": 31.0}))


def test_the_table_shows_every_channel_with_its_causes() -> None:
    text = as_text(GOOD)

    assert "polar-h10-123456  ecg      10      x 2" in text
    assert "-12.3 ppm ±4.2 ms" in text
    assert "1.5 kB of 10.0 kB" in text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0 s"),
        (59.9, "59 s"),
        (60, "1 min 0 s"),
        (3_600, "1 h"),
        (90_061, "1 d 1 h"),
        (-5, "0 s"),
    ],
)
def test_durations_have_two_units_at_most(seconds: float, text: str) -> None:
    assert age_text(seconds) == text


@pytest.mark.parametrize(
    ("n_bytes", "text"), [(0, "0 B"), (999, "999 B"), (1_000, "1.0 kB"), (2_500_000_000, "2.5 GB")]
)
def test_sizes_have_a_decimal_prefix(n_bytes: int, text: str) -> None:
    assert size_text(n_bytes) == text
