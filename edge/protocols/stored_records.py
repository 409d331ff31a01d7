"""Records that a device has stored: asked for at every link, and again while it lasts. A shell."""

import asyncio
from collections.abc import Iterator
from typing import Any, ClassVar

import structlog

from devices import uuids
from devices.errors import DecodeError
from edge.errors import LinkLostError
from edge.inbox import Inbox
from edge.intakes.health import HealthRecords
from edge.intakes.intake import DeviceIntake
from edge.intakes.records import GlucoseRecords, StoredRecords
from edge.intakes.stock import CgmRecords, SpotCheckRecords
from edge.links.link import Link
from edge.protocols.conversation import Conversation

log = structlog.get_logger()


class StoredRecordsSpeaker:
    """Takes over what a device has stored.

    A device has one control point for its records, and a procedure that was begun ends before the
    next.
    """

    SILENCE_S_MAX: ClassVar[float] = 30.0
    """Glucose Profile 1.0.1, section 5.10: after this a procedure has failed, and a new one needs a
    new link."""
    ASK_AGAIN_S: ClassVar[float] = 60.0
    """A measurement that is taken while the link stands is only sent when it is asked for."""
    RETRY_S: ClassVar[float] = 1.0
    TRIES_MAX: ClassVar[int] = 3
    """A first transfer that was not complete is tried again at once, so often."""

    def __init__(
        self, link: Link, intake: DeviceIntake, inbox: Inbox, records: StoredRecords[Any]
    ) -> None:
        self._link = link
        self._intake = intake
        self._inbox = inbox
        self._records = records
        self._conversation = Conversation(link, intake, inbox)
        self.first_ended = asyncio.Event()
        """Set once a transfer was complete, or has failed several times: live ones may begin."""
        self.complete = asyncio.Event()
        """Set once a transfer was complete: nothing stored depends on the device's clock."""

    @property
    def characteristics(self) -> tuple[str, ...]:
        """What it subscribes to."""
        return self._records.characteristics

    async def open(self) -> None:
        """Subscribe; the control point last, so that nothing it leads to is missed."""
        for uuid in filter(self._link.can_read, self._records.reads):
            payload = await self._link.read(uuid)
            try:
                self._records.learn(uuid, payload, self._inbox.now_ns())
            except DecodeError as error:
                device_id = self._intake.device_id
                log.warning("undecodable", device_id=device_id, uuid=uuid, error=str(error))
        for uuid in self._records.characteristics:
            await self._conversation.listen(uuid)

    async def attend(self) -> None:
        """Take over what is stored, at once and then from time to time."""
        n_tries = 0
        while True:
            await self._transfer()
            n_tries += 1
            if self._records.in_order:
                self.complete.set()
            if self._records.in_order or n_tries >= self.TRIES_MAX:
                self.first_ended.set()
                await asyncio.sleep(self.ASK_AGAIN_S)
            else:
                await asyncio.sleep(self.RETRY_S)

    async def restart(self, name: str) -> bool:
        """Leave it to others: it has no streams."""
        return False

    async def close(self) -> None:
        """Leave the subscriptions to the end of the link: what is taken is kept."""

    async def _transfer(self) -> None:
        try:
            await self._follow()
        except (LinkLostError, asyncio.CancelledError):
            self._records.link_lost()
            raise
        finally:
            if self._records.ended:
                self._records.report(self._inbox.now_ns())

    async def _follow(self) -> None:
        request: bytes | None = self._records.begin()
        while request is not None:
            await self._link.write(self._records.control_point, request)
            request = await self._next_request()

    async def _next_request(self) -> bytes | None:
        """Wait for what follows; None: the transfer has come to its end."""
        requests: list[bytes] = []

        def moved() -> bool:
            request = self._records.next_request()
            requests.extend([] if request is None else [request])
            return bool(requests) or self._records.ended

        if not await self._conversation.until(moved, self.SILENCE_S_MAX):
            self._records.time_out()
            raise LinkLostError(f"stored records: silent for {self.SILENCE_S_MAX} s")
        return requests[0] if requests else None


def stored_records(link: Link, intake: DeviceIntake) -> Iterator[StoredRecords[Any]]:
    """Give what a device has stored, by its row and by what it offers."""
    if not link.can_write(uuids.RECORD_ACCESS_CONTROL_POINT):
        return
    if uuids.GLUCOSE_MEASUREMENT in intake.model.characteristics:
        yield GlucoseRecords(intake)
    if uuids.CGM_MEASUREMENT in intake.model.characteristics:
        yield CgmRecords(intake)
    if uuids.PLX_SPOT_CHECK in intake.model.characteristics and link.offers(uuids.PLX_SPOT_CHECK):
        yield SpotCheckRecords(intake)
    if uuids.GENERIC_HEALTH_SENSOR_SERVICE in intake.model.services:
        yield HealthRecords(intake)
