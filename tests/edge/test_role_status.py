"""What of an agent's status everybody may know."""

from dataclasses import replace

import pytest

from edge.role_status import said_of
from edge.status import AgentStatus, BrokerStatus
from ingest.role_status import RoleState, RoleStatus
from tests.edge.test_status import GOOD, NOW, WELL, S

AWAY = BrokerStatus(connected=False, acknowledged_ns=NOW - 40 * S, n_failures=7, error="gone")


@pytest.mark.parametrize(
    ("status", "state", "reason"),
    [
        (WELL, RoleState.READY, ""),
        (GOOD, RoleState.READY, ""),
        (replace(WELL, broker=AWAY), RoleState.WAITING, "broker"),
        (replace(WELL, devices=GOOD.devices[1:]), RoleState.WAITING, "sensor"),
        (replace(WELL, loops={"flush": 31.0}), RoleState.WAITING, "loop"),
    ],
)
def test_an_agent_says_what_it_waits_for(
    status: AgentStatus, state: RoleState, reason: str
) -> None:
    said = said_of(status)

    assert (said.state, said.reason) == (state, reason)


def test_the_figures_are_those_of_spool_links_and_clocks() -> None:
    gauges = said_of(replace(GOOD, broker=AWAY)).gauges

    assert gauges == {
        "up_s": 7_500.0,
        "links_wanted": 2.0,
        "links_up": 1.0,
        "spool_frames": 3.0,
        "spool_samples": 99.0,
        "spool_bytes": 1_500.0,
        "spool_bytes_max": 10_000.0,
        "undelivered_s": 40.0,
        "broker_failures": 7.0,
        "battery_percent_min": 80.0,
        "clock_uncertainty_ms_max": 4.2,
        "clock_drift_ppm_max": 12.34,
    }


def test_no_device_is_named() -> None:
    said = said_of(GOOD)
    written = str(
        RoleStatus(
            role="agent",
            instance="p-1/bed-12",
            state=said.state,
            reason=said.reason,
            t_ns=NOW,
            gauges=said.gauges,
        )
    )

    for one in GOOD.devices:
        assert one.label not in written
        assert one.device_id is None or one.device_id not in written


def test_nothing_is_undelivered_where_nothing_waits() -> None:
    status = replace(WELL, spool=replace(WELL.spool, n_frames=0), broker=AWAY)

    said = said_of(status)

    assert said.gauges["undelivered_s"] == 0.0
    assert said.state is RoleState.READY
