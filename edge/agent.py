"""The agent: one subject, several devices, and nothing lost silently. A shell.

supervisor ─► sessions ─► inbox ─► intakes ─► framer ─► spool ─► sender ─► Kafka
(scan, connect)  (callbacks only stamp)  (pure: decode, number)   (disk)
"""

import asyncio
from collections.abc import Iterable, Mapping
from typing import Final

import structlog

from devices.catalogue import DeviceModel
from edge import metrics
from edge.clocks.clock_state import ClockStateError, host_state, host_text
from edge.clocks.clocks import boot_id, read_clocks
from edge.clocks.device_clock import jump_text
from edge.clocks.host_clock import HostClock, HostState, HostTime
from edge.framer import Framer
from edge.health import HealthServer
from edge.identity import device_label, device_pseudonym, load_key
from edge.inbox import Inbox
from edge.intakes.intake import DeviceIntake
from edge.ledger import ChannelTotals, totals_of
from edge.links.radio import Radio, open_radio
from edge.links.supervisor import Supervisor
from edge.reporter import Reporter
from edge.role_status import said_of
from edge.sender import Sender
from edge.settings import EdgeSettings
from edge.spool.settings import open_spool
from edge.spool.spool import Spool, SpoolError
from edge.waiting import wait_any
from ingest.frame import DeviceEventKind, GapCause
from ingest.role_status import AGENT, agent_instance
from ingest.status_reporter import StatusReporter

log = structlog.get_logger()

LEDGER_TOLD_S: Final = 60.0
"""How often a Frame carries the ledger; the last one before a stop does, too."""

LEDGER_SHOWN_S: Final = 5.0

FRAMER_SAMPLES_MAX: Final = 500_000
"""Samples kept in memory while the disk is full; then the oldest become a gap."""


_FLUSH: Final = "flush"
_HOST_CLOCK: Final = "host_clock"
"""Where the spool keeps the clock; the keys of devices have a slash."""


class Agent:
    """All of one agent's links and its one way out."""

    def __init__(self, settings: EdgeSettings, radio: Radio, spool: Spool, key: bytes) -> None:
        self._settings = settings
        self._spool = spool
        self._key = key
        self._framer = Framer(settings.subject_id, settings.agent_id, spool.taken())
        self._sender = Sender(settings.kafka, spool, settings.subject_id)
        self._states = spool.streams()
        self._users = {one.name or one.serial: one.user_index for one in settings.devices}
        self._host = _host_clock(self._states)
        self._ledger_told_s = self._ledger_shown_s = -LEDGER_TOLD_S
        self._inbox = Inbox(self._host, self._host_stepped)
        self._intakes: dict[str, DeviceIntake] = {}
        self._supervisor = Supervisor(
            settings, radio, self._inbox, self._intake_of, lambda name: device_label(name, key)
        )

        self.reporter = Reporter(
            settings, spool, self._sender, self._supervisor.keepers, self.ledger
        )
        self._status = StatusReporter(
            settings.kafka,
            AGENT,
            agent_instance(settings.subject_id, settings.agent_id),
            lambda: said_of(self.reporter.now()),
        )

    async def run(self, stop: asyncio.Event) -> None:
        """Run until ``stop`` is set; then stop the streams, flush and deliver what can be."""
        links_over = asyncio.Event()
        spooled = asyncio.Event()
        async with asyncio.TaskGroup() as tasks:
            reporting = tasks.create_task(self.reporter.run(), name="report")
            saying = tasks.create_task(self._status.run(), name="status")
            tasks.create_task(self._deliver(spooled, (reporting, saying)), name="sender")
            tasks.create_task(self._flush(links_over, spooled), name="flush")
            tasks.create_task(self._run_links(stop, links_over), name="links")

    async def _deliver(
        self, spooled: asyncio.Event, reporting: Iterable[asyncio.Task[None]]
    ) -> None:
        """Deliver to the end, and then there is nothing more to report."""
        try:
            await self._sender.run(spooled, drain_s=self._settings.drain_s)
        finally:
            for task in reporting:
                task.cancel()

    async def _run_links(self, stop: asyncio.Event, over: asyncio.Event) -> None:
        try:
            await self._supervisor.run(stop)
        finally:
            over.set()

    def _intake_of(self, model: DeviceModel, identity: str, name: str) -> DeviceIntake:
        """Give the intake of a device by what identifies it: the same one after every reconnect."""
        device_id = device_pseudonym(model.name, identity, self._key)
        if device_id not in self._intakes:
            self._intakes[device_id] = DeviceIntake(
                device_id,
                model,
                self._framer,
                self._states,
                self._host,
                zone=self._settings.zone,
                user_index=self._users.get(name),
            )
        return self._intakes[device_id]

    def _host_stepped(self, now: HostTime) -> None:
        log.warning("host_clock_stepped", stepped=jump_text(now.stepped_ns))
        metrics.HOST_CLOCK_STEPS.inc()
        for intake in self._intakes.values():
            detail = jump_text(now.stepped_ns)
            intake.event(DeviceEventKind.HOST_CLOCK_STEPPED, now.told_ns, detail)

    async def _flush(self, over: asyncio.Event, spooled: asyncio.Event) -> None:
        """Cut a Frame every flush interval; a last one when the links are over."""
        try:
            while not over.is_set():
                self.reporter.heart.beat(_FLUSH)
                await wait_any(self._settings.flush_interval_s, over)
                if not over.is_set():
                    await self._spool_frame()
            await self._spool_frame(last=True)
        finally:
            self.reporter.heart.ended(_FLUSH)
            spooled.set()
            self._sender.wake()

    def ledger(self) -> list[ChannelTotals]:
        """Give what became of every sample; to be called in the agent's event loop."""
        return totals_of(self._framer.taken(), self._spool.stored())

    def _tells_ledger(self, *, last: bool) -> bool:
        """Tell whether the next Frame is to carry the ledger; show it to Prometheus as well."""
        now_s = asyncio.get_running_loop().time()
        if now_s - self._ledger_shown_s >= LEDGER_SHOWN_S:
            self._ledger_shown_s = now_s
            metrics.tell_ledger(self.ledger())
        if not last and now_s - self._ledger_told_s < LEDGER_TOLD_S:
            return False
        self._ledger_told_s = now_s
        return True

    async def _spool_frame(self, *, last: bool = False) -> None:
        self._inbox.decode()
        self._inbox.now_ns()  # a host that is set is noticed though nothing comes
        if self._framer.empty and not last:
            return
        stored = (
            await asyncio.to_thread(self._spool.stored) if self._tells_ledger(last=last) else None
        )
        frames = self._framer.cut(self._spool.next_sequence, stored=stored)
        for intake in self._intakes.values():
            intake.note_states()
        self._states[_HOST_CLOCK] = host_text(self._host.state)
        try:
            await asyncio.to_thread(
                self._spool.append, frames, dict(self._states), self._framer.taken()
            )
        except SpoolError as error:
            log.error("frame_not_spooled", error=str(error))
            metrics.SPOOL_FAILURES.inc()
            metrics.READINGS_LOST.inc(self._framer.restore(frames))
            self._framer.give_up(FRAMER_SAMPLES_MAX, GapCause.SPOOL_FULL)
            self._ledger_told_s = -LEDGER_TOLD_S
            return
        metrics.FRAMES_SPOOLED.inc(len(frames))
        self._sender.wake()


def _host_clock(states: Mapping[str, str]) -> HostClock:
    """Go on with the clock of the run before."""
    before: HostState | None = None
    try:
        before = host_state(states[_HOST_CLOCK]) if _HOST_CLOCK in states else None
    except ClockStateError:
        metrics.STATES_UNREADABLE.inc()
    now = read_clocks()
    return HostClock(now.mono_ns, now.wall_ns, boot=boot_id(), before=before)


async def run_agent(settings: EdgeSettings, stop: asyncio.Event) -> None:
    """Run an agent with these settings until ``stop`` is set.

    Raises
    ------
    SpoolError, RadioUnavailableError
    """
    spool = open_spool(settings)
    try:
        key = load_key(settings.key_path)
        async with open_radio(settings) as radio:
            agent = Agent(settings, radio, spool, key)
            with HealthServer(
                agent.reporter.now, settings.socket_path, settings.health_port or None
            ):
                await agent.run(stop)
    finally:
        spool.close()
