"""Movesense's GATT sensor data protocol: a greeting, the time, subscriptions. A shell."""

from http import HTTPStatus
from typing import Final

import structlog

from devices import uuids
from devices.errors import DecodeError
from devices.movesense import (
    GspCommand,
    GspHelloCommand,
    GspPutUtcTimeCommand,
    GspResponse,
    GspResult,
    GspSubscribeCommand,
    GspUnsubscribeCommand,
    decode_gsp_hello,
    decode_gsp_result,
    encode_gsp_command,
)
from edge.errors import DeviceRefusedError
from edge.inbox import Inbox
from edge.intakes.intake import DeviceIntake
from edge.intakes.movesense import MovesenseIntake
from edge.links.link import RESPONSE_S_MAX, Link
from edge.protocols.conversation import Conversation
from ingest.frame import DeviceEventKind

log = structlog.get_logger()

_HELLO: Final = 254
_PUT_TIME: Final = 255
"""References of commands that begin nothing; subscriptions count from 1."""
_NS_PER_US: Final = 1000


class MovesenseSpeaker:
    """Subscribes to what a device's row says, each resource under its own reference."""

    def __init__(self, link: Link, intake: DeviceIntake, inbox: Inbox) -> None:
        self._link = link
        self._intake = intake
        self._inbox = inbox
        self._sensor = MovesenseIntake(intake)
        self._conversation = Conversation(link, intake, inbox)
        self._subscribed: list[int] = []

    async def open(self) -> None:
        """Greet, set the time and subscribe.

        Raises
        ------
        DeviceRefusedError
            The device has not what its row says. One resource that it cannot give does not cost
            the others.
        LinkLostError
        """
        if not self._link.offers(uuids.GSP_COMMAND) or not self._link.offers(uuids.GSP_DATA):
            raise DeviceRefusedError("it lacks its maker's service, though its model has one")
        await self._conversation.listen(uuids.GSP_DATA)
        await self._greet()
        for reference, row in self._sensor.streams.items():
            # The intake must know the stream before its first data arrive.
            self._sensor.begin(reference, self._inbox.now_ns())
            await self._subscribe(reference, row.path)
        for reference, path in self._sensor.events.items():
            await self._subscribe(reference, path)

    async def attend(self) -> None:
        """Say nothing more."""

    async def restart(self, name: str) -> bool:
        """Subscribe anew to a stream that has fallen silent."""
        for reference, row in self._sensor.streams.items():
            if row.kind == name:
                if reference not in self._subscribed:
                    raise DeviceRefusedError(f"{name} was never granted")
                await self._ask(GspUnsubscribeCommand(reference=reference))
                command = GspSubscribeCommand(reference=reference, path=row.path)
                _check(command, await self._order(command))
                return True
        return False

    async def close(self) -> None:
        """End the subscriptions: a sensor that nobody hears need not measure."""
        for reference in reversed(self._subscribed):
            await self._ask(GspUnsubscribeCommand(reference=reference))
        self._subscribed.clear()

    async def _greet(self) -> None:
        """Find out which protocol it speaks, and tell it the time for its own memory."""
        response = await self._ask(GspHelloCommand(reference=_HELLO))
        try:
            version = decode_gsp_hello(response.body).protocol_version
            log.info("greeted", device_id=self._intake.device_id, protocol_version=version)
        except DecodeError as error:
            # Its text would quote the serial number, which the greeting states.
            kind = type(error).__name__
            log.warning("greeting_undecodable", device_id=self._intake.device_id, error=kind)
        utc_us = self._inbox.now_ns() // _NS_PER_US
        try:
            command = GspPutUtcTimeCommand(reference=_PUT_TIME, utc_us=utc_us)
            _check(command, await self._order(command))
        except DeviceRefusedError as error:
            # Samples are timed by the time since its start: nothing of ours depends on this.
            log.warning("clock_not_set", device_id=self._intake.device_id, error=str(error))

    async def _subscribe(self, reference: int, path: str) -> None:
        command = GspSubscribeCommand(reference=reference, path=path)
        try:
            status = await self._order(command)
            if status == HTTPStatus.CONFLICT:
                # Left over from an earlier link: ours begins anew.
                await self._ask(GspUnsubscribeCommand(reference=reference))
                status = await self._order(command)
            _check(command, status)
            self._subscribed.append(reference)
        except DeviceRefusedError as error:
            log.error("stream_refused", device_id=self._intake.device_id, error=str(error))
            if reference in self._sensor.streams:
                self._intake.withdraw(self._sensor.streams[reference].kind)
            detail = str(error)[:200]
            self._intake.event(DeviceEventKind.STREAM_REFUSED, self._inbox.now_ns(), detail)

    async def _order(self, command: GspCommand) -> int:
        """Give a command; return the status with which it ended.

        Raises
        ------
        DeviceRefusedError
            It was not answered, or not so that it can be understood.
        LinkLostError
        """
        response = await self._ask(command)
        try:
            return decode_gsp_result(response.body).status
        except DecodeError as error:
            raise DeviceRefusedError(f"{command}: answer not understood: {error}") from error

    async def _ask(self, command: GspCommand) -> GspResponse:
        found: list[GspResponse] = []

        def answered() -> bool:
            response = self._sensor.response(command.reference)
            found.extend([] if response is None else [response])
            return bool(found)

        await self._link.write(uuids.GSP_COMMAND, encode_gsp_command(command))
        if not await self._conversation.within(answered, RESPONSE_S_MAX):
            raise DeviceRefusedError(f"{command}: no answer in {RESPONSE_S_MAX} s")
        return found[0]


def _check(command: GspCommand, status: int) -> None:
    """Refuse a status that is no success.

    Raises
    ------
    DeviceRefusedError
    """
    if not GspResult(status=status).succeeded:
        raise DeviceRefusedError(f"{command}: status {int(status)}")
