"""Puts an agent's status together, now and then, for those who ask: other threads, and systemd.

A status is made in the agent's loop and never changes afterwards; only its ages are worked out when
somebody asks. So a loop that hangs is seen to hang.
"""

import asyncio
import time
from collections.abc import Callable, Iterable
from dataclasses import asdict, replace
from importlib.metadata import version
from typing import Final

import structlog

from edge import systemd
from edge.heartbeat import Heartbeat
from edge.ledger import ChannelTotals
from edge.links.keeper import Keeper
from edge.sender import Sender
from edge.settings import EdgeSettings
from edge.spool.spool import Spool
from edge.status import (
    AgentStatus,
    ClockStatus,
    DeviceStatus,
    SpoolStatus,
    hanging,
    troubles,
)

log = structlog.get_logger()

PERIOD_S: Final = 1.0
SIGNS_PER_TIMEOUT: Final = 3
"""systemd is given a sign of life so often within the time that it waits."""


class Reporter:
    """What an agent says of itself.

    Parameters
    ----------
    settings, spool, sender
        Of the agent.
    keepers
        One for each device of the settings.
    ledger
        Gives what became of every sample.
    """

    def __init__(
        self,
        settings: EdgeSettings,
        spool: Spool,
        sender: Sender,
        keepers: Iterable[Keeper],
        ledger: Callable[[], list[ChannelTotals]],
    ) -> None:
        self.heart = Heartbeat()
        self._settings = settings
        self._spool = spool
        self._sender = sender
        self._keepers = tuple(keepers)
        self._ledger = ledger
        self._version = version("chevet")
        self._started_ns = time.time_ns()
        self._taken = self._take()

    def now(self) -> AgentStatus:
        """Give the newest status with the ages of this moment; from any thread."""
        return replace(self._taken, now_ns=time.time_ns(), loops=self.heart.ages_s())

    async def run(self) -> None:
        """Keep the status up to date, and systemd informed, until cancelled."""
        timeout_s = systemd.watchdog_s()
        pause_s = min(PERIOD_S, timeout_s / SIGNS_PER_TIMEOUT) if timeout_s else PERIOD_S
        systemd.notify("READY=1")
        said: list[str] = []
        try:
            while True:
                self._taken = self._take()
                now = self.now()
                if not hanging(now):
                    systemd.notify("WATCHDOG=1", f"STATUS={_line(now)}")
                if said != (said := [text.partition(":")[0] for text in troubles(now)]):
                    log.info("troubles", troubles=troubles(now))
                await asyncio.sleep(pause_s)
        finally:
            systemd.notify("STOPPING=1")

    def _take(self) -> AgentStatus:
        size = self._spool.size()
        return AgentStatus(
            version=self._version,
            agent_id=self._settings.agent_id,
            subject_id=self._settings.subject_id,
            now_ns=time.time_ns(),
            started_ns=self._started_ns,
            devices=tuple(_device(keeper) for keeper in self._keepers),
            spool=SpoolStatus(
                n_frames=size.n_frames,
                n_samples=size.n_samples,
                n_bytes=size.n_bytes,
                n_bytes_max=self._settings.spool_bytes_max,
                encrypted=self._spool.encrypted,
            ),
            broker=self._sender.status(),
            channels=tuple(asdict(one) for one in self._ledger()),
        )


def _device(keeper: Keeper) -> DeviceStatus:
    label, intake = keeper.wanted.label, keeper.intake
    if intake is None:
        return DeviceStatus(label=label)
    relation = intake.streams.clock_relation
    return DeviceStatus(
        label=label,
        device_id=intake.device_id,
        model=intake.model.name,
        connected=intake.connected,
        since_ns=intake.since_ns,
        last_payload_ns=intake.last_payload_ns,
        n_payloads=intake.n_payloads,
        n_links=intake.n_links,
        streams=intake.streams.names,
        battery_percent=intake.battery_percent,
        clock=None
        if relation is None
        else ClockStatus(
            offset_ns=relation.offset_ns,
            drift_ppm=relation.drift_ppm,
            uncertainty_ns=relation.uncertainty_ns,
        ),
    )


def _line(status: AgentStatus) -> str:
    """Say the most of it in a line."""
    n_connected = sum(one.connected for one in status.devices)
    broker = "broker takes Frames" if status.broker.connected else "broker away"
    return (
        f"{n_connected} of {len(status.devices)} devices connected, {broker}, "
        f"{status.spool.n_frames} Frames wait"
    )
