"""The store of a virtual Generic Health Sensor: records, and the control point that gives them."""

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from bumble.att import ATT_INVALID_ATTRIBUTE_LENGTH_ERROR, ATT_Error
from bumble.device import Connection
from bumble.gatt import Characteristic, CharacteristicValue

from devices.errors import DecodeError, ReservedValueError
from devices.ghs_observation import Observation, StoredObservation, encode_stored_observation
from devices.ghs_record_access import (
    RecordAnswer,
    RecordAnswerCode,
    RecordCount,
    RecordOpCode,
    RecordOperator,
    RecordRequest,
    decode_record_request,
    encode_record_answer,
)
from devices.uuids import RECORD_ACCESS_CONTROL_POINT, STORED_HEALTH_OBSERVATIONS
from edge.virtual.peripheral import (
    Counters,
    Peripheral,
    Permissions,
    Properties,
    bumble_uuid,
    notifying,
)
from edge.virtual.segments import SegmentSender

RECORDS_MAX: Final = 1000
"""The oldest record makes room for the newest."""
_CCCD_IMPROPERLY_CONFIGURED: Final = 0xFD
"""ATT error of the Core Specification Supplement, part B."""
_Chosen = Callable[[int, tuple[int, ...]], bool]


class HealthStore:
    """Keeps observations until they are deleted, and reports them when asked.

    Counts ``record``, once for each time that one is reported, and ``stored_segment``.

    Parameters
    ----------
    peripheral
        Whose store it is.
    segment_bytes_max
        The longest notification.
    """

    def __init__(self, peripheral: Peripheral, segment_bytes_max: int) -> None:
        self._peripheral = peripheral
        self._records: dict[int, Observation] = {}
        self._next_number = 1
        self._reporting = False
        self._aborted = False
        self._stored = notifying(STORED_HEALTH_OBSERVATIONS)
        self._control_point: Characteristic[bytes] = Characteristic(
            bumble_uuid(RECORD_ACCESS_CONTROL_POINT),
            Properties.WRITE | Properties.INDICATE,
            Permissions.WRITEABLE,
            CharacteristicValue(write=self._on_request),
        )
        peripheral.readings |= {"record": Counters(), "stored_segment": Counters()}
        self._sender = SegmentSender(
            peripheral, self._stored, peripheral.readings["stored_segment"], segment_bytes_max
        )

    @property
    def characteristics(self) -> "list[Characteristic[bytes]]":
        """Its part of the service."""
        return [self._stored, self._control_point]

    @property
    def records(self) -> Mapping[int, Observation]:
        """What is in the store, by record number, ascending."""
        return dict(self._records)

    def keep(self, observation: Observation) -> None:
        """Put an observation into the store."""
        self._records[self._next_number] = observation
        self._next_number += 1
        if len(self._records) > RECORDS_MAX:
            del self._records[next(iter(self._records))]

    def leave_timeline(self) -> None:
        """Note that the clock was set: what was kept before is of an earlier timeline."""
        self._records = {number: _earlier(one) for number, one in self._records.items()}

    def _on_request(self, _connection: Connection, value: bytes) -> None:
        subscribed = map(self._peripheral.is_subscribed, self.characteristics)
        if not all(subscribed):
            raise ATT_Error(_CCCD_IMPROPERLY_CONFIGURED)
        try:
            request = decode_record_request(bytes(value))
        except ReservedValueError as error:
            self._peripheral.spawn(self._refuse(value[0], _REFUSALS[error.field]))
        except DecodeError as error:
            raise ATT_Error(ATT_INVALID_ATTRIBUTE_LENGTH_ERROR) from error
        else:
            self._peripheral.spawn(self._obey(request))

    async def _obey(self, request: RecordRequest) -> None:
        if request.op_code == RecordOpCode.ABORT:
            self._aborted = True
            while self._reporting:  # noqa: ASYNC110  # it ends at once
                await asyncio.sleep(0.001)
            await self._refuse(request.op_code, RecordAnswerCode.SUCCESS)
        elif self._reporting:
            await self._refuse(request.op_code, RecordAnswerCode.SERVER_BUSY)
        elif request.time_operand is not None:
            await self._refuse(request.op_code, RecordAnswerCode.OPERAND_NOT_SUPPORTED)
        elif request.operator == RecordOperator.NONE:
            await self._refuse(request.op_code, RecordAnswerCode.INVALID_OPERATOR)
        else:
            await self._procedure(request.op_code, self._choose(request))

    async def _procedure(self, op_code: RecordOpCode, numbers: list[int]) -> None:
        if op_code == RecordOpCode.COUNT:
            await self._answer(
                RecordCount(op_code=RecordOpCode.COUNT_ANSWER, n_records=len(numbers))
            )
        elif not numbers:
            await self._refuse(op_code, RecordAnswerCode.NO_RECORDS_FOUND)
        elif op_code == RecordOpCode.DELETE:
            for number in numbers:
                del self._records[number]
            await self._refuse(op_code, RecordAnswerCode.SUCCESS)
        else:
            await self._report(numbers)

    async def _report(self, numbers: list[int]) -> None:
        n_before = self._peripheral.readings["record"].unsent
        self._reporting, self._aborted = True, False
        try:
            await self._send_records(numbers)
        finally:
            self._reporting = False
        if self._aborted:
            return
        if self._peripheral.readings["record"].unsent == n_before:
            await self._answer(
                RecordCount(op_code=RecordOpCode.REPORT_ANSWER, n_records=len(numbers))
            )
        else:
            await self._refuse(RecordOpCode.REPORT, RecordAnswerCode.PROCEDURE_NOT_COMPLETED)

    async def _send_records(self, numbers: list[int]) -> None:
        for number in numbers:
            observation = self._records.get(number)
            if observation is None or self._aborted:
                continue
            stored = StoredObservation(record_number=number, observation=observation)
            counts = [(self._peripheral.readings["record"], 1)]
            await self._sender.send(encode_stored_observation(stored), counts)
            await self._peripheral.room(lambda: self._aborted)

    def _choose(self, request: RecordRequest) -> list[int]:
        numbers = list(self._records)
        if request.operator == RecordOperator.FIRST:
            return numbers[:1]
        if request.operator == RecordOperator.LAST:
            return numbers[-1:]
        is_chosen = _CHOICES[request.operator]
        return [number for number in numbers if is_chosen(number, request.record_numbers)]

    async def _refuse(self, op_code: int, code: RecordAnswerCode) -> None:
        await self._answer(RecordAnswer(request=op_code, code=code))

    async def _answer(self, answer: RecordAnswer | RecordCount) -> None:
        await self._peripheral.indicate(self._control_point, encode_record_answer(answer), ())


def _earlier(observation: Observation) -> Observation:
    header = observation.header
    if header.time is None:
        return observation
    time = replace(header.time, on_current_timeline=False)
    return replace(observation, header=replace(header, time=time))


_REFUSALS: Final[Mapping[str, RecordAnswerCode]] = {
    "op_code": RecordAnswerCode.OP_CODE_NOT_SUPPORTED,
    "operator": RecordAnswerCode.OPERATOR_NOT_SUPPORTED,
    "filter_type": RecordAnswerCode.OPERAND_NOT_SUPPORTED,
}
_CHOICES: Final[Mapping[RecordOperator, _Chosen]] = {
    RecordOperator.ALL: lambda _number, _operands: True,
    RecordOperator.LESS_OR_EQUAL: lambda number, operands: number <= operands[0],
    RecordOperator.GREATER_OR_EQUAL: lambda number, operands: number >= operands[0],
    RecordOperator.WITHIN_RANGE: lambda number, operands: operands[0] <= number <= operands[1],
}
