"""The store of a Generic Health Sensor seen from a central: counted, reported, resumed, deleted."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from bleak import BleakClient
from bleak.exc import BleakError

from devices.ghs_observation import StoredObservation, decode_stored_observation
from devices.ghs_record_access import (
    RecordAnswer,
    RecordAnswerCode,
    RecordCount,
    RecordOpCode,
    RecordOperator,
    RecordRequest,
    decode_record_answer,
    encode_record_request,
)
from devices.ghs_segments import SegmentAssembler
from devices.uuids import RECORD_ACCESS_CONTROL_POINT, STORED_HEALTH_OBSERVATIONS
from edge.virtual.health_sensor import MODEL, HealthSensor, PatchSettings
from edge.virtual.health_store import RECORDS_MAX
from edge.virtual.peripheral import Identity
from edge.virtual.player import NS_PER_S
from tests.edge_virtual.conftest import ADVERTISING_INTERVAL_MS, START_NS, Inbox, World
from tests.waiting import until

COUNT = RecordOpCode.COUNT
REPORT = RecordOpCode.REPORT
DELETE = RecordOpCode.DELETE
ALL = RecordOperator.ALL


class Records:
    """The collector's side of the store."""

    def __init__(self, client: BleakClient) -> None:
        self._client = client
        self.answers: Inbox[RecordAnswer | RecordCount] = Inbox(decode_record_answer)
        self.assembler = SegmentAssembler()
        self._inbox: Inbox[StoredObservation | None] = Inbox(self._decode)

    async def subscribe(self) -> "Records":
        await self._client.start_notify(RECORD_ACCESS_CONTROL_POINT, self.answers)
        await self._client.start_notify(STORED_HEALTH_OBSERVATIONS, self._inbox)
        return self

    @property
    def stored(self) -> list[StoredObservation]:
        return [one for one in self._inbox.items if one is not None]

    @property
    def numbers(self) -> list[int]:
        return [one.record_number for one in self.stored]

    async def ask(
        self, op_code: RecordOpCode, operator: RecordOperator, *numbers: int
    ) -> RecordAnswer | RecordCount:
        request = RecordRequest(op_code=op_code, operator=operator, record_numbers=numbers)
        return await self.ask_raw(encode_record_request(request))

    async def ask_raw(self, request: bytes) -> RecordAnswer | RecordCount:
        n_before = len(self.answers.items)
        await self.write(request)
        return (await self.answers.count(n_before + 1))[n_before]

    async def write(self, request: bytes) -> None:
        await self._client.write_gatt_char(RECORD_ACCESS_CONTROL_POINT, request, response=True)

    def _decode(self, payload: bytes) -> StoredObservation | None:
        whole = self.assembler.process(payload)
        return None if whole is None else decode_stored_observation(whole)


@contextlib.asynccontextmanager
async def patch_with_records(world: World, n_records: int) -> AsyncIterator[HealthSensor]:
    sensor = HealthSensor(
        world.ether,
        Identity(model=MODEL, serial="0001", address="C4:E7:41:00:00:01"),
        world.clock,
        settings=PatchSettings(status=None, store_period_s=10.0),
        advertising_interval_ms=ADVERTISING_INTERVAL_MS,
    )
    async with sensor.running():
        await until(lambda: len(sensor.store.records) == 1)  # the one at its start
        await world.clock.advance(10.0 * (n_records - 1))
        yield sensor


async def test_what_was_kept_is_counted_and_reported(world: World) -> None:
    async with patch_with_records(world, 5) as sensor:
        client = await (await world.agent()).connect(sensor)
        records = await Records(client).subscribe()

        assert await records.ask(COUNT, ALL) == RecordCount(
            op_code=RecordOpCode.COUNT_ANSWER, n_records=5
        )
        assert await records.ask(REPORT, ALL) == RecordCount(
            op_code=RecordOpCode.REPORT_ANSWER, n_records=5
        )

        assert records.numbers == [1, 2, 3, 4, 5]
        assert {one.record_number: one.observation for one in records.stored} == dict(
            sensor.store.records
        )
        times = [one.observation.header.time for one in records.stored]
        assert [time and time.utc_ns for time in times] == [
            START_NS + k * 10 * NS_PER_S for k in range(5)
        ]
        assert sensor.readings["record"].sent == 5
        assert records.assembler.counts.delivered == sensor.readings["stored_segment"].sent


@pytest.mark.parametrize(
    ("operator", "numbers", "expected"),
    [
        (RecordOperator.GREATER_OR_EQUAL, (4,), [4, 5]),
        (RecordOperator.LESS_OR_EQUAL, (2,), [1, 2]),
        (RecordOperator.WITHIN_RANGE, (2, 3), [2, 3]),
        (RecordOperator.FIRST, (), [1]),
        (RecordOperator.LAST, (), [5]),
        (RecordOperator.GREATER_OR_EQUAL, (6,), []),
    ],
)
async def test_records_are_chosen_by_their_number(
    world: World, operator: RecordOperator, numbers: tuple[int, ...], expected: list[int]
) -> None:
    async with patch_with_records(world, 5) as sensor:
        client = await (await world.agent()).connect(sensor)
        records = await Records(client).subscribe()

        answer = await records.ask(REPORT, operator, *numbers)

        assert records.numbers == expected
        if expected:
            assert answer == RecordCount(
                op_code=RecordOpCode.REPORT_ANSWER, n_records=len(expected)
            )
        else:
            assert answer == RecordAnswer(request=REPORT, code=RecordAnswerCode.NO_RECORDS_FOUND)


async def test_a_transfer_that_lost_a_segment_is_resumed_from_the_record_that_is_missing(
    world: World,
) -> None:
    async with patch_with_records(world, 5) as sensor:
        client = await (await world.agent()).connect(sensor)
        records = await Records(client).subscribe()
        await records.ask(REPORT, RecordOperator.LESS_OR_EQUAL, 2)

        sensor.drop_next_notifications(1)
        answer = await records.ask(REPORT, RecordOperator.GREATER_OR_EQUAL, 3)
        assert answer == RecordAnswer(request=REPORT, code=RecordAnswerCode.PROCEDURE_NOT_COMPLETED)
        assert records.numbers == [1, 2, 4, 5]
        assert records.assembler.counts.lost == 1
        await records.ask(REPORT, RecordOperator.WITHIN_RANGE, 3, 3)

        assert sorted(records.numbers) == [1, 2, 3, 4, 5]
        counts = records.assembler.counts
        assert counts.received == counts.delivered + counts.discarded
        assert sensor.readings["record"].unsent == 1


async def test_a_report_is_aborted_between_two_records(world: World) -> None:
    async with patch_with_records(world, 1) as sensor:
        (observation,) = sensor.store.records.values()
        for _ in range(RECORDS_MAX):
            sensor.store.keep(observation)
        client = await (await world.agent()).connect(sensor)
        records = await Records(client).subscribe()

        await records.write(b"\x07\x01")
        busy = await records.ask(COUNT, ALL)
        aborted = await records.ask(RecordOpCode.ABORT, RecordOperator.NONE)
        afterwards = await records.ask(COUNT, ALL)

        assert busy == RecordAnswer(request=COUNT, code=RecordAnswerCode.SERVER_BUSY)
        assert aborted == RecordAnswer(request=RecordOpCode.ABORT, code=RecordAnswerCode.SUCCESS)
        assert afterwards == RecordCount(op_code=RecordOpCode.COUNT_ANSWER, n_records=RECORDS_MAX)
        await until(lambda: len(records.stored) == sensor.readings["record"].sent)
        assert 0 < len(records.stored) < RECORDS_MAX
        assert records.assembler.counts.lost == 0


async def test_what_was_deleted_is_gone_and_numbers_go_on(world: World) -> None:
    async with patch_with_records(world, 3) as sensor:
        client = await (await world.agent()).connect(sensor)
        records = await Records(client).subscribe()

        answer = await records.ask(DELETE, ALL)
        await world.clock.advance(10.0)

        assert answer == RecordAnswer(request=DELETE, code=RecordAnswerCode.SUCCESS)
        assert list(sensor.store.records) == [4]
        assert await records.ask(DELETE, RecordOperator.LESS_OR_EQUAL, 3) == RecordAnswer(
            request=DELETE, code=RecordAnswerCode.NO_RECORDS_FOUND
        )


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ("01 01", RecordAnswerCode.OP_CODE_NOT_SUPPORTED),
        ("07 09", RecordAnswerCode.OPERATOR_NOT_SUPPORTED),
        ("07 00", RecordAnswerCode.INVALID_OPERATOR),
        ("07 03 02 00 00 00 00 00 00", RecordAnswerCode.OPERAND_NOT_SUPPORTED),
        ("07 03 05 00 00 00 00", RecordAnswerCode.OPERAND_NOT_SUPPORTED),
        ("03 00", RecordAnswerCode.SUCCESS),
    ],
)
async def test_what_it_cannot_do_is_said(
    world: World, request_: str, code: RecordAnswerCode
) -> None:
    async with patch_with_records(world, 1) as sensor:
        client = await (await world.agent()).connect(sensor)
        records = await Records(client).subscribe()

        payload = bytes.fromhex(request_)
        assert await records.ask_raw(payload) == RecordAnswer(
            request=RecordOpCode(payload[0]) if payload[0] in set(RecordOpCode) else payload[0],
            code=code,
        )
        with pytest.raises(BleakError):
            await records.write(b"\x07")


async def test_nobody_is_answered_who_does_not_listen(world: World) -> None:
    async with patch_with_records(world, 1) as sensor:
        client = await (await world.agent()).connect(sensor)

        with pytest.raises(BleakError):
            await Records(client).write(b"\x07\x01")


async def test_the_oldest_record_makes_room(world: World) -> None:
    async with patch_with_records(world, 1) as sensor:
        (observation,) = sensor.store.records.values()
        for _ in range(RECORDS_MAX):
            sensor.store.keep(observation)

        numbers = list(sensor.store.records)
        assert (numbers[0], numbers[-1]) == (2, RECORDS_MAX + 1)
