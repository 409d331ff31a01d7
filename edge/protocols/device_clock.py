"""A device's own clock: read at every link, and set if it is wrong. A shell."""

import asyncio
from collections.abc import Sequence
from datetime import datetime
from typing import Final

import structlog

from devices import uuids
from devices.current_time import (
    current_time_of,
    decode_current_time,
    decode_date_time,
    encode_current_time,
    encode_date_time,
)
from devices.errors import DecodeError
from edge.errors import LinkLostError
from edge.inbox import Inbox
from edge.intakes.intake import DeviceIntake
from edge.links.link import Link
from ingest.frame import NS_PER_S, DeviceEventKind

log = structlog.get_logger()

ERROR_NS_MAX: Final = 2 * NS_PER_S
"""A clock that is this near is left alone: dates have whole seconds."""


class ClockSpeaker:
    """Reads a device's date and time, and sets it once all that was stored has been taken over.

    In this order, because what is stored has the times of the clock as it was.

    Parameters
    ----------
    after
        Set when the clock may be changed.
    """

    def __init__(
        self, link: Link, intake: DeviceIntake, inbox: Inbox, after: Sequence[asyncio.Event]
    ) -> None:
        self._link = link
        self._intake = intake
        self._inbox = inbox
        self._after = after
        offered = filter(link.offers, (uuids.CURRENT_TIME, uuids.DATE_TIME))
        self._uuid = next(offered, None)

    async def open(self) -> None:
        """Read the clock, if there is one to be read."""
        shown = await self._read()
        if shown is not None:
            self._intake.clock.compare(*shown)

    async def attend(self) -> None:
        """Set the clock if it is wrong."""
        for event in self._after:
            await event.wait()
        shown = await self._read()
        if self._uuid is None or shown is None or not self._link.can_write(self._uuid):
            return
        error_ns = self._intake.clock.error_ns(*shown)
        if abs(error_ns) > ERROR_NS_MAX:
            await self._set(self._uuid, error_ns)

    async def restart(self, name: str) -> bool:
        """Leave it to others: it has no streams."""
        return False

    async def close(self) -> None:
        """Leave it running."""

    async def _set(self, uuid: str, error_ns: int) -> None:
        now_ns = self._inbox.now_ns()
        current = current_time_of(self._intake.clock.local(now_ns))
        encoded = (
            encode_current_time(current)
            if uuid == uuids.CURRENT_TIME
            else encode_date_time(current.date_time)
        )
        # What is measured before we have read it again is dated by it all the same.
        self._intake.clock.was_set(now_ns)
        try:
            await self._link.write(uuid, encoded)
        except LinkLostError as error:
            if self._link.lost.is_set():
                raise
            self._note_not_set(now_ns, str(error))
            return
        shown = await self._read()
        if shown is None:
            self._note_not_set(now_ns, "it tells nothing any more")
            return
        left_ns = self._intake.clock.error_ns(*shown)
        if abs(left_ns) >= abs(error_ns) - ERROR_NS_MAX:
            self._note_not_set(now_ns, "it did not move")
            return
        self._intake.clock.was_set(now_ns, left_ns)
        seconds = round(error_ns / NS_PER_S)
        detail = f"{abs(seconds)} s {'ahead' if seconds > 0 else 'behind'}"
        log.info("clock_set", device_id=self._intake.device_id, error=detail)
        self._intake.event(DeviceEventKind.CLOCK_SET, now_ns, detail)

    def _note_not_set(self, at_ns: int, why: str) -> None:
        self._intake.clock.was_not_set(at_ns)
        log.warning("clock_not_set", device_id=self._intake.device_id, error=why)

    async def _read(self) -> tuple[datetime, int] | None:
        """Read what the clock shows, and the UTC at which it did; None: it does not know."""
        if self._uuid is None or not self._link.can_read(self._uuid):
            return None
        before_ns = self._inbox.now_ns()
        payload = await self._link.read(self._uuid)
        at_ns = (before_ns + self._inbox.now_ns()) // 2
        try:
            if self._uuid == uuids.CURRENT_TIME:
                shown = decode_current_time(payload).to_datetime()
            else:
                shown = decode_date_time(payload).to_datetime()
        except DecodeError as error:
            log.warning("clock_undecodable", device_id=self._intake.device_id, error=str(error))
            return None
        return None if shown is None else (shown, at_ns)
