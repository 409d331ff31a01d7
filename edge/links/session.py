"""One link to one device, from its opening to its end. A shell."""

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable, Iterator
from enum import StrEnum
from typing import Final

import structlog

from devices import uuids
from devices.catalogue import DeviceModel, Quirk
from edge import metrics
from edge.errors import (
    DeviceFaultError,
    DeviceRefusedError,
    EdgeError,
    LinkLostError,
    StaleServicesError,
)
from edge.inbox import Inbox
from edge.intakes.intake import DeviceIntake
from edge.links import link_metrics
from edge.links.link import Link
from edge.links.stream_watch import Stall, StreamWatch, WatchLimits, WatchStep
from edge.protocols.device_clock import ClockSpeaker
from edge.protocols.health_sensor import HealthSpeaker
from edge.protocols.movesense import MovesenseSpeaker
from edge.protocols.polar import PolarSpeaker
from edge.protocols.speaker import Speaker
from edge.protocols.standard import StandardSpeaker
from edge.protocols.stored_records import StoredRecordsSpeaker, stored_records
from edge.protocols.viatom import ViatomSpeaker
from edge.waiting import wait_any
from ingest.frame import DeviceEventKind

log = structlog.get_logger()

STOP_S_MAX: Final = 5.0
OPEN_GRACE_S: Final = 3.0
"""An agent that stops lets a device be opened for so long, then closes it: commands that are
answered are easier to take back."""
LOOKS_PER_SILENCE: Final = 8
FULL_MTU_BYTES: Final = 232

IntakeOf = Callable[[DeviceModel, str, str], DeviceIntake]
"""Gives the intake of a device by its model, its serial number or address, and its name (or serial
number) in the settings."""


class Ended(StrEnum):
    """Why a session is over that the agent has ended."""

    STOPPED = "stopped"
    GAVE_WAY = "gave_way"


class Session:
    """One link to a device that is known.

    Parameters
    ----------
    link, intake, inbox
        Its own link; what takes its payloads; where they wait.
    limits
        When its streams count as silent.
    """

    def __init__(self, link: Link, intake: DeviceIntake, inbox: Inbox, limits: WatchLimits) -> None:
        self.link = link
        self.intake = intake
        self._inbox = inbox
        self._limits = limits
        self._watch = StreamWatch(limits)
        self._speakers = tuple(_speakers(link, intake, inbox))
        self._silent = asyncio.Event()
        self._faulty = asyncio.Event()

    async def open(self) -> None:
        """Say what has to be said before the device sends.

        Raises
        ------
        LinkLostError, DeviceRefusedError
        """
        for one in self._speakers:
            await one.open()

    async def stay(self, stop: asyncio.Event, give_way: asyncio.Event) -> Ended:
        """Stay until the agent stops, or another device needs the link's place.

        Raises
        ------
        LinkLostError
            The link is lost, or a stream has fallen silent and could not be mended.
        DeviceFaultError
            What it sends meets an error of this program.
        """
        async with asyncio.TaskGroup() as tasks:
            jobs = [
                *(tasks.create_task(self._attend(one)) for one in self._speakers),
                tasks.create_task(self._watch_streams(), name="streams"),
                tasks.create_task(self._watch_link(), name="link"),
            ]
            await wait_any(None, stop, give_way, self.link.lost, self._silent, self._faulty)
            for job in jobs:
                job.cancel()
        if self._faulty.is_set():
            raise DeviceFaultError("what it sends meets an error of the agent itself")
        if self.link.lost.is_set():
            raise LinkLostError("disconnected")
        if self._silent.is_set():
            raise LinkLostError("silent")
        return Ended.STOPPED if stop.is_set() else Ended.GAVE_WAY

    async def close(self) -> None:
        """Stop the streams in good order, as far as the link still stands."""
        with contextlib.suppress(LinkLostError, TimeoutError):
            async with asyncio.timeout(STOP_S_MAX):
                asked_ns = self.intake.steady_ns(self._inbox.now_ns())
                for one in self._speakers:
                    with contextlib.suppress(DeviceRefusedError):
                        await one.close()
                self._inbox.decode()
                self.intake.stop_streams(self._inbox.now_ns(), asked_ns=asked_ns)

    def fail(self) -> None:
        """Note an error that nobody foresaw: the link ends as if it were lost."""
        self._faulty.set()

    def end(self) -> None:
        """Decode what the link has delivered, then note that it is over."""
        self._inbox.decode()
        lost = self.link.lost.is_set() or self._silent.is_set() or self._faulty.is_set()
        self.intake.end_link(self._inbox.now_ns(), lost=lost)
        metrics.CONNECTED.labels(self.intake.device_id).set(0)
        if lost:
            metrics.LINKS_LOST.labels(self.intake.device_id).inc()

    async def _attend(self, speaker: Speaker) -> None:
        try:
            await speaker.attend()
        except DeviceRefusedError as error:
            log.error("device_refused", device_id=self.intake.device_id, error=str(error))
        except LinkLostError:
            self.link.lost.set()

    # Streams that fall silent

    async def _watch_streams(self) -> None:
        """Look at every stream, and climb the ladder of each that is silent."""
        pause_s = min(self._limits.least_s, self._limits.longest_s) / LOOKS_PER_SILENCE
        while True:
            # What waits has come, however long it is until a Frame is cut.
            self._inbox.decode()
            if self.intake.has_failed:
                self.fail()
            for stall in self._watch.look(self.intake.streams.progress, time.monotonic()):
                try:
                    await self._mend(stall)
                except LinkLostError:
                    self._silent.set()
            await asyncio.sleep(pause_s)

    async def _mend(self, stall: Stall) -> None:
        """Do what is due for a silent stream.

        Raises
        ------
        LinkLostError
            It does not answer, either.
        """
        device_id, step = self.intake.device_id, stall.step.name.lower()
        log.warning("stream_stalled", device_id=device_id, stream=stall.name, step=step)
        link_metrics.STALLS.labels(device_id, step).inc()
        detail = f"{stall.name}: silent for {stall.silent_s:.1f} s: {step}"
        self.intake.event(DeviceEventKind.STREAM_STALLED, self._inbox.now_ns(), detail)
        try:
            if stall.step is WatchStep.RESUBSCRIBE:
                await self.link.notify_again(stall.characteristic)
            elif stall.step is WatchStep.RESTART:
                for one in self._speakers:
                    if await one.restart(stall.name):
                        break
            else:
                self._silent.set()
        except DeviceRefusedError as error:
            log.error("stream_refused", device_id=device_id, error=str(error))
            detail = f"{stall.name}: {error}"[:200]
            self.intake.event(DeviceEventKind.STREAM_REFUSED, self._inbox.now_ns(), detail)
            self._watch.ignore(stall.name)

    async def _watch_link(self) -> None:
        """See that something comes at all: readings, too, are streams of a device that streams."""
        n_payloads = self.intake.n_payloads
        # A thermometer may rightly say nothing for hours; a stream may not.
        while self.intake.model.is_streaming:
            await asyncio.sleep(3 * self._limits.longest_s)
            self._inbox.decode()
            if n_payloads == (n_payloads := self.intake.n_payloads):
                self._silent.set()


def _speakers(link: Link, intake: DeviceIntake, inbox: Inbox) -> Iterator[Speaker]:
    stores = [
        StoredRecordsSpeaker(link, intake, inbox, records)
        for records in stored_records(link, intake)
    ]
    complete = [one.complete for one in stores]
    yield ClockSpeaker(link, intake, inbox, complete)
    left_out = {uuid for one in stores for uuid in one.characteristics}
    yield StandardSpeaker(link, intake, inbox, left_out)
    yield from stores
    if uuids.GENERIC_HEALTH_SENSOR_SERVICE in intake.model.services:
        yield HealthSpeaker(link, intake, inbox, stores)
    if intake.model.pmd_streams:
        yield PolarSpeaker(link, intake, inbox)
    if intake.model.gsp_streams:
        yield MovesenseSpeaker(link, intake, inbox)
    if intake.model.viatom_question is not None:
        yield ViatomSpeaker(link, intake, inbox, intake.model.viatom_question)


@contextlib.asynccontextmanager
async def open_session(
    link: Link, intake: DeviceIntake, inbox: Inbox, limits: WatchLimits
) -> AsyncIterator[Session]:
    """Note that a device is connected, and end its link in good order.

    Whoever leaves by an error has lost the link; whoever does not has called `Session.close`.

    Raises
    ------
    StaleServicesError
        The device lacks what its model has.
    """
    if lacking := intake.model.services - set(link.service_uuids()):
        raise StaleServicesError(f"{intake.model.name}: no service {', '.join(sorted(lacking))}")
    session = Session(link, intake, inbox, limits)
    try:
        intake.begin_link(inbox.now_ns())
        metrics.CONNECTIONS.labels(intake.device_id).inc()
        metrics.CONNECTED.labels(intake.device_id).set(1)
        link_metrics.LINK_MTU.labels(intake.device_id).set(link.mtu_bytes)
        if Quirk.FULL_MTU_NEEDED in intake.model.quirks and link.mtu_bytes < FULL_MTU_BYTES:
            log.warning("mtu_too_small", device_id=intake.device_id, mtu_bytes=link.mtu_bytes)
        yield session
    except EdgeError:
        raise
    except Exception:
        session.fail()
        raise
    finally:
        session.end()
