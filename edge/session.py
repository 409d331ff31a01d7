"""One link to one device, from its opening to its end. A shell."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from typing import Final

import structlog
from bleak.backends.device import BLEDevice
from bleak.backends.scanner import AdvertisementData

from devices import uuids
from devices.catalogue import DeviceModel, find_model
from edge import metrics
from edge.errors import DeviceRefusedError, LinkLostError
from edge.inbox import Inbox
from edge.intake import DeviceIntake
from edge.link import Link
from edge.protocols.polar import PolarSpeaker
from edge.protocols.speaker import Speaker
from edge.protocols.standard import StandardSpeaker
from ingest.frame import DeviceEventKind

log = structlog.get_logger()

STOP_S_MAX: Final = 10.0

IntakeOf = Callable[[DeviceModel, str], DeviceIntake]
"""Gives the intake of a device by its model and its serial number or address."""


class Session:
    """One link to a device that is known.

    Parameters
    ----------
    speakers
        The protocols that its row asks for.
    """

    def __init__(self, link: Link, intake: DeviceIntake, inbox: Inbox) -> None:
        self.link = link
        self.intake = intake
        self._inbox = inbox
        self._speakers = tuple(_speakers(link, intake, inbox))

    async def stay(self, stop: asyncio.Event, silence_s: float) -> None:
        """Wait until the agent stops.

        Raises
        ------
        LinkLostError
            The link is lost, or a stream has fallen silent.
        """
        async with asyncio.TaskGroup() as tasks:
            attending = [
                tasks.create_task(self._attend(one), name=type(one).__name__)
                for one in self._speakers
            ]
            try:
                await self._watch(stop, silence_s)
            finally:
                for one in attending:
                    one.cancel()

    async def close(self) -> None:
        """Stop the streams in good order."""
        with contextlib.suppress(LinkLostError, DeviceRefusedError, TimeoutError):
            async with asyncio.timeout(STOP_S_MAX):
                for one in self._speakers:
                    await one.close()
                self._inbox.decode()
                self.intake.stop_streams(self._inbox.now_ns())

    async def open(self) -> None:
        """Say what has to be said before the device sends.

        Raises
        ------
        LinkLostError, DeviceRefusedError
        """
        for one in self._speakers:
            await one.open()

    def end(self) -> None:
        """Decode what the link has delivered, then note that it is over."""
        self._inbox.decode()
        self.intake.end_link(self._inbox.now_ns(), lost=self.link.lost.is_set())
        metrics.CONNECTED.labels(self.intake.device_id).set(0)
        if self.link.lost.is_set():
            metrics.LINKS_LOST.labels(self.intake.device_id).inc()

    async def _attend(self, speaker: Speaker) -> None:
        try:
            await speaker.attend()
        except DeviceRefusedError as error:
            log.error("device_refused", device_id=self.intake.device_id, error=str(error))
        except LinkLostError:
            self.link.lost.set()

    async def _watch(self, stop: asyncio.Event, silence_s: float) -> None:
        n_payloads = -1
        while not self.link.lost.is_set() and not stop.is_set():
            # A thermometer may rightly say nothing for hours; a stream may not.
            streaming = bool(self.intake.model.pmd_streams)
            if n_payloads == (n_payloads := self.intake.n_payloads) and streaming:
                raise LinkLostError(f"silent for {silence_s} s")
            await wait_any(silence_s, stop, self.link.lost)
        if self.link.lost.is_set():
            raise LinkLostError("disconnected")


def _speakers(link: Link, intake: DeviceIntake, inbox: Inbox) -> Iterator[Speaker]:
    yield StandardSpeaker(link, intake, inbox)
    if intake.model.pmd_streams:
        yield PolarSpeaker(link, intake, inbox)


@contextlib.asynccontextmanager
async def open_session(
    link: Link,
    heard: tuple[BLEDevice, AdvertisementData],
    intake_of: IntakeOf,
    inbox: Inbox,
) -> AsyncIterator[Session]:
    """Find out what a link leads to, start what it has to send, and end it in good order.

    Raises
    ------
    LinkLostError, DeviceRefusedError
    """
    try:
        intake = await _identify(link, heard, intake_of)
        session = Session(link, intake, inbox)
        try:
            intake.event(DeviceEventKind.CONNECTED, inbox.now_ns(), intake.model.name)
            metrics.CONNECTIONS.labels(intake.device_id).inc()
            metrics.CONNECTED.labels(intake.device_id).set(1)
            log.info("connected", device_id=intake.device_id, model=intake.model.name)
            await session.open()
            yield session
        finally:
            session.end()
    finally:
        await link.disconnect()


async def _identify(
    link: Link, heard: tuple[BLEDevice, AdvertisementData], intake_of: IntakeOf
) -> DeviceIntake:
    device, advertisement = heard
    name = advertisement.local_name or device.name
    identity: Mapping[str, str] = await link.identity()
    model = find_model(
        local_name=name,
        manufacturer=identity.get(uuids.MANUFACTURER_NAME),
        model_number=identity.get(uuids.MODEL_NUMBER),
        service_uuids=link.service_uuids(),
    )
    if model is None:
        raise DeviceRefusedError(f"{name} is no model of the catalogue")
    if model.gsp_streams or model.viatom_question is not None:
        raise DeviceRefusedError(f"{model.name}: this agent does not speak its protocol yet")
    return intake_of(model, identity.get(uuids.SERIAL_NUMBER) or device.address)


async def wait_any(timeout_s: float, *events: asyncio.Event) -> None:
    """Wait until one of the events is set, at most ``timeout_s``."""
    waiters = [asyncio.create_task(event.wait()) for event in events]
    await asyncio.wait(waiters, timeout=timeout_s, return_when=asyncio.FIRST_COMPLETED)
    for waiter in waiters:
        waiter.cancel()
    await asyncio.gather(*waiters, return_exceptions=True)
