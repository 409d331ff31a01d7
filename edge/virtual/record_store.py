"""The Record Access Control Point of a virtual peripheral whose records are payloads."""

import asyncio
from collections.abc import Awaitable, Callable, Iterable
from typing import Final

from bumble.att import ATT_Error
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue

from devices.errors import DecodeError
from devices.record_access import (
    RacpIndication,
    RacpNumberOfRecords,
    RacpOpCode,
    RacpRequest,
    RacpResponse,
    RacpResponseCode,
    decode_racp_request,
    encode_racp_indication,
)
from devices.uuids import RECORD_ACCESS_CONTROL_POINT
from edge.virtual.peripheral import Peripheral, Permissions, Properties, bumble_uuid

_RECORD_PACE_S: Final = 0.002
"""Between two reported records: a link takes only so much in one connection interval."""
_PROCEDURE_ALREADY_IN_PROGRESS: Final = 0xFE
_CCCD_IMPROPERLY_CONFIGURED: Final = 0xFD
"""ATT errors of the Core Specification Supplement, part B."""


class RecordStore:
    """Keeps records by their number, and reports them when asked.

    Parameters
    ----------
    peripheral
        Whose records they are.
    send
        Sends one on the peripheral's own characteristic.
    """

    def __init__(self, peripheral: Peripheral, send: Callable[[bytes], Awaitable[None]]) -> None:
        self._peripheral = peripheral
        self._send = send
        self._running = False
        self.records: dict[int, bytes] = {}
        """Payloads by number, ascending."""
        self.control_point: Characteristic[bytes] = Characteristic(
            bumble_uuid(RECORD_ACCESS_CONTROL_POINT),
            Properties.WRITE | Properties.INDICATE,
            Permissions.WRITEABLE,
            CharacteristicValue(write=self._on_write),
        )

    def chosen(self, request: RacpRequest) -> Iterable[bytes]:
        """List the records that a request is about, in their order."""
        least = request.minimum if isinstance(request.minimum, int) else 0
        return [payload for number, payload in self.records.items() if number >= least]

    def _on_write(self, connection: Connection, value: bytes) -> None:
        if not self._peripheral.is_subscribed(self.control_point):
            raise ATT_Error(_CCCD_IMPROPERLY_CONFIGURED)
        if self._running:
            raise ATT_Error(_PROCEDURE_ALREADY_IN_PROGRESS)
        try:
            request = decode_racp_request(bytes(value))
        except DecodeError:
            code = RacpResponseCode.INVALID_OPERAND
            answer = RacpResponse(request_op_code=value[0] if value else 0, response_code=code)
            self._peripheral.spawn(self._answer(answer))
        else:
            self._running = True
            self._peripheral.spawn(self._obey(connection, request))

    async def _obey(self, connection: Connection, request: RacpRequest) -> None:
        try:
            answer = await self._procedure(connection, request)
        finally:
            self._running = False
        if self._peripheral.connection is connection:
            await self._answer(answer)

    async def _procedure(self, connection: Connection, request: RacpRequest) -> RacpIndication:
        records = list(self.chosen(request))
        code = RacpResponseCode.SUCCESS if records else RacpResponseCode.NO_RECORDS_FOUND
        match request.op_code:
            case RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS:
                return RacpNumberOfRecords(n_records=len(records))
            case RacpOpCode.REPORT_STORED_RECORDS:
                for payload in records:
                    if self._peripheral.connection is not connection:
                        break
                    await self._send(payload)
                    await asyncio.sleep(_RECORD_PACE_S)
            case _:
                code = RacpResponseCode.OP_CODE_NOT_SUPPORTED
        return RacpResponse(request_op_code=request.op_code, response_code=code)

    async def _answer(self, indication: RacpIndication) -> None:
        await self._peripheral.indicate(self.control_point, encode_racp_indication(indication), ())
