"""Generic Health Sensor: its clock is read and set, its live observations are started. A shell."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Final

import structlog

from devices import uuids
from devices.current_time import TimeSource
from devices.elapsed_time import (
    CurrentElapsedTime,
    decode_current_elapsed_time,
    elapsed_time_to_set,
    encode_elapsed_time,
)
from devices.errors import DecodeError
from devices.generic_health_sensor import GhsControlPointCode, encode_ghs_control_point
from edge.errors import DeviceRefusedError, LinkLostError
from edge.inbox import Inbox
from edge.intakes.health import HealthIntake
from edge.intakes.intake import DeviceIntake
from edge.links.link import RESPONSE_S_MAX, Link
from edge.protocols.conversation import Conversation
from edge.protocols.stored_records import StoredRecordsSpeaker
from ingest.frame import NS_PER_S, DeviceEventKind

log = structlog.get_logger()

ERROR_NS_MAX: Final = NS_PER_S
"""A clock that is this near is left alone: setting it breaks its timeline."""
_QUARTER: Final = timedelta(minutes=15)


class HealthSpeaker:
    """Hears what a sensor observes.

    What it has stored comes first: its times are of the clock as it was. Then the clock is set, if
    it is wrong, and then it begins to observe live: so the clock is not set in the middle of a
    waveform.

    Parameters
    ----------
    stores
        Who takes over what it has stored: where that is not complete the clock is left as it is
        until the next link.
    """

    def __init__(
        self,
        link: Link,
        intake: DeviceIntake,
        inbox: Inbox,
        stores: Sequence[StoredRecordsSpeaker],
    ) -> None:
        self._link = link
        self._intake = intake
        self._inbox = inbox
        self._stores = stores
        self._sensor = HealthIntake(intake)
        self._conversation = Conversation(link, intake, inbox)
        self._live = False

    async def open(self) -> None:
        """Read the clock, and subscribe."""
        await self._compare()
        for uuid in (
            uuids.CURRENT_ELAPSED_TIME,
            uuids.LIVE_HEALTH_OBSERVATIONS,
            uuids.GHS_CONTROL_POINT,
        ):
            await self._conversation.listen(uuid)

    async def attend(self) -> None:
        """Set the clock once nothing stored depends on it, and start live observations."""
        for one in self._stores:
            await one.first_ended.wait()
        if all(one.complete.is_set() for one in self._stores):
            await self._set_clock()
        if not self._link.can_write(uuids.GHS_CONTROL_POINT):
            return
        try:
            await self._order(GhsControlPointCode.START_LIVE_OBSERVATIONS)
        except DeviceRefusedError as error:
            detail = f"live observations: {error}"
            self._intake.event(DeviceEventKind.STREAM_REFUSED, self._inbox.now_ns(), detail)
            raise
        self._live = True

    async def restart(self, name: str) -> bool:
        """Start live observations anew: a waveform is one of them."""
        if not self._live or name not in self._intake.streams.progress:
            return False
        await self._order(GhsControlPointCode.STOP_LIVE_OBSERVATIONS)
        await self._order(GhsControlPointCode.START_LIVE_OBSERVATIONS)
        return True

    async def close(self) -> None:
        """Stop live observations: the sensor then keeps what it measures."""
        if self._live:
            await self._order(GhsControlPointCode.STOP_LIVE_OBSERVATIONS)
            self._live = False

    async def _order(self, code: GhsControlPointCode) -> None:
        """Give a command and wait for its success.

        Raises
        ------
        DeviceRefusedError, LinkLostError
        """
        found: list[int] = []

        def answered() -> bool:
            response = self._sensor.response()
            found.extend([] if response is None else [response])
            return bool(found)

        self._sensor.forget_responses()
        try:
            await self._link.write(uuids.GHS_CONTROL_POINT, encode_ghs_control_point(code))
        except LinkLostError as error:
            if self._link.lost.is_set():
                raise
            raise DeviceRefusedError(f"{code.name}: {error}") from error
        if not await self._conversation.within(answered, RESPONSE_S_MAX):
            raise DeviceRefusedError(f"{code.name}: no answer in {RESPONSE_S_MAX} s")
        if found[0] != GhsControlPointCode.SUCCESS:
            raise DeviceRefusedError(f"{code.name}: answer {found[0]:#04x}")

    async def _compare(self) -> tuple[CurrentElapsedTime, int] | None:
        """Read the clock, and note what it stands at; None: it cannot be read."""
        if not self._link.can_read(uuids.CURRENT_ELAPSED_TIME):
            return None
        before_ns = self._inbox.now_ns()
        payload = await self._link.read(uuids.CURRENT_ELAPSED_TIME)
        at_ns = (before_ns + self._inbox.now_ns()) // 2
        try:
            current = decode_current_elapsed_time(payload)
        except DecodeError as error:
            log.warning("clock_undecodable", device_id=self._intake.device_id, error=str(error))
            return None
        self._intake.clock.compare_elapsed(current.time, at_ns)
        return current, at_ns

    async def _set_clock(self) -> None:
        compared = await self._compare()
        if compared is None or not self._link.can_write(uuids.CURRENT_ELAPSED_TIME):
            return
        current, at_ns = compared
        shown_ns = current.time.utc_ns
        error_ns = None if shown_ns is None else shown_ns - at_ns
        if not current.needs_set and error_ns is not None and abs(error_ns) <= ERROR_NS_MAX:
            return
        now_ns = self._inbox.now_ns()
        right = elapsed_time_to_set(
            current.time,
            now_ns,
            source=TimeSource.NETWORK_TIME_PROTOCOL,
            offset_quarters=round(self._intake.clock.ahead_of_utc(now_ns) / _QUARTER),
        )
        if right is None:
            return
        try:
            await self._link.write(uuids.CURRENT_ELAPSED_TIME, encode_elapsed_time(right))
        except LinkLostError as error:
            if self._link.lost.is_set():
                raise
            log.warning("clock_not_set", device_id=self._intake.device_id, error=str(error))
            return
        self._intake.clock.elapsed_was_set(self._inbox.now_ns())
        await self._compare()
        known = "" if error_ns is None else f"it was {error_ns / NS_PER_S:+.3f} s off"
        log.info("clock_set", device_id=self._intake.device_id, error=known)
        self._intake.event(DeviceEventKind.CLOCK_SET, now_ns, known)
