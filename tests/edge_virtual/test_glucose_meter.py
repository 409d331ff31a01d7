"""A virtual glucose meter over a real host stack: each record once, whatever the link does."""

import asyncio
from collections.abc import Callable
from functools import partial

import pytest
from bleak import BleakClient
from bleak.exc import BleakError

from devices import uuids
from devices.date_time import DeviceDateTime
from devices.glucose import GlucoseMeasurement, decode_glucose_feature, decode_glucose_measurement
from devices.glucose_context import GlucoseContext, decode_glucose_context
from devices.record_access import (
    ABORT,
    RacpIndication,
    RacpNumberOfRecords,
    RacpOpCode,
    RacpOperator,
    RacpRequest,
    RacpResponse,
    RacpResponseCode,
    decode_racp_indication,
    encode_racp_request,
)
from devices.record_transfer import RecordTransfer
from devices.taken_records import TakenRecords
from devices.transfer_report import GlucoseRecord, MeterMemory, TransferEnd, TransferStep
from edge.virtual.glucose_meter import MODEL, GlucoseMeter, MeterSettings
from edge.virtual.peripheral import Identity
from tests.edge_virtual.conftest import ADVERTISING_INTERVAL_MS, START_NS, Agent, Inbox, World
from tests.waiting import WAIT_S, until

Message = GlucoseMeasurement | GlucoseContext | RacpIndication
RACP = uuids.RECORD_ACCESS_CONTROL_POINT
HOUR_S = 3600.0


async def meter_in(world: World, **settings: float) -> GlucoseMeter:
    meter = GlucoseMeter(
        world.ether,
        Identity(model=MODEL, serial="0001", address="C4:E7:04:00:00:01"),
        world.clock,
        MeterSettings(**{"period_s": HOUR_S, **settings}),  # type: ignore[arg-type]
        advertising_interval_ms=ADVERTISING_INTERVAL_MS,
    )
    await world._stack.enter_async_context(meter.running())
    return meter


class Collector:
    """The agent's part, kept small: subscriptions, writes, and one commit for what was taken."""

    def __init__(self, agent: Agent, meter: GlucoseMeter) -> None:
        self.records: list[GlucoseRecord] = []
        self._kept = TakenRecords().to_bytes()
        self._agent = agent
        self._meter = meter

    async def collect(self, *, cut_after: int | None = None) -> RecordTransfer:
        """Run one transfer on a link of its own; it is lost after so many messages."""
        lost = asyncio.Event()
        client = await self._agent.connect(self._meter, lambda _: lost.set())
        arrived = await subscribe(client)
        transfer = RecordTransfer(TakenRecords.from_bytes(self._kept))
        await self._follow(client, transfer, transfer.begin())
        n_messages = 0
        while transfer.end is None:
            if n_messages == cut_after:
                await client.disconnect()
                transfer.link_lost()
                break
            async with asyncio.timeout(WAIT_S):
                step = tell(transfer, await arrived.get())
            n_messages += 1
            await self._follow(client, transfer, step)
        await client.disconnect()
        await lost.wait()
        await until(lambda: not self._meter.connected)
        return transfer

    async def _follow(
        self, client: BleakClient, transfer: RecordTransfer, step: TransferStep
    ) -> None:
        self.records += step.records
        self._kept = transfer.taken.to_bytes()
        if step.request is not None:
            await client.write_gatt_char(RACP, encode_racp_request(step.request), response=True)


async def subscribe(client: BleakClient) -> asyncio.Queue[Message]:
    """Subscribe to all that a transfer needs, into one queue: the order of arrival matters."""
    arrived: asyncio.Queue[Message] = asyncio.Queue()
    decoders: dict[str, Callable[[bytes], Message]] = {
        uuids.GLUCOSE_MEASUREMENT: decode_glucose_measurement,
        uuids.GLUCOSE_MEASUREMENT_CONTEXT: decode_glucose_context,
        RACP: decode_racp_indication,
    }
    for uuid, decode in decoders.items():
        await client.start_notify(uuid, partial(_put, arrived, decode))
    return arrived


def _put(
    arrived: asyncio.Queue[Message],
    decode: Callable[[bytes], Message],
    _characteristic: object,
    payload: bytearray,
) -> None:
    arrived.put_nowait(decode(bytes(payload)))


def tell(transfer: RecordTransfer, message: Message) -> TransferStep:
    if isinstance(message, GlucoseMeasurement):
        return transfer.measurement(message)
    if isinstance(message, GlucoseContext):
        return transfer.context(message)
    return transfer.indication(message)


async def test_all_stored_records_come_with_their_contexts(world: World) -> None:
    meter = await meter_in(world, n_stored=7)
    collector = Collector(await world.agent(), meter)

    transfer = await collector.collect()

    assert transfer.end is TransferEnd.COMPLETE
    assert transfer.memory is MeterMemory.FIRST
    assert collector.records == list(meter.stored)
    assert sum(record.context is not None for record in collector.records) == 3
    assert meter.readings["glucose"].sent == meter.readings["glucose"].produced == 7
    assert transfer.counts.n_contexts_missing == transfer.counts.n_contexts_orphaned == 0


async def test_next_transfer_brings_what_was_measured_since(world: World) -> None:
    meter = await meter_in(world, n_stored=5)
    collector = Collector(await world.agent(), meter)
    await collector.collect()

    await world.clock.advance(3 * HOUR_S)
    transfer = await collector.collect()

    assert transfer.counts.n_taken == 3
    assert transfer.counts.n_known == 1
    assert collector.records == list(meter.stored)
    assert [record.measurement.sequence_number for record in collector.records] == [*range(8)]


@pytest.mark.parametrize("cut_after", [0, 1, 2, 3, 6, 9, 12])
async def test_lost_link_is_made_good_by_the_next(tcp_world: World, cut_after: int) -> None:
    meter = await meter_in(tcp_world, n_stored=9)
    collector = Collector(await tcp_world.agent(), meter)

    cut = await collector.collect(cut_after=cut_after)
    transfer = await collector.collect()

    assert cut.end is TransferEnd.LINK_LOST
    assert transfer.end is TransferEnd.COMPLETE
    assert collector.records == list(meter.stored)


async def test_dropped_notification_is_missed_aloud_and_made_good(world: World) -> None:
    meter = await meter_in(world, n_stored=4)
    collector = Collector(await world.agent(), meter)

    meter.drop_next_notifications(1)
    short = await collector.collect()
    transfer = await collector.collect()

    assert short.end is TransferEnd.INCOMPLETE
    assert short.counts.n_missing == 1
    assert meter.readings["glucose"].unsent == 1
    assert transfer.end is TransferEnd.COMPLETE
    assert sorted(record.measurement.sequence_number for record in collector.records) == [*range(4)]


async def test_reset_meter_gives_its_new_records(world: World) -> None:
    meter = await meter_in(world, n_stored=4)
    collector = Collector(await world.agent(), meter)
    await collector.collect()

    meter.reset()
    await world.clock.advance(2 * HOUR_S)
    transfer = await collector.collect()

    assert transfer.memory is MeterMemory.RESET
    assert collector.records[4:] == list(meter.stored)
    assert len(collector.records) == 6


async def test_overwritten_records_are_counted_and_numbers_may_go_round(world: World) -> None:
    meter = await meter_in(world, n_stored=3, capacity=4, first_number=65530)
    collector = Collector(await world.agent(), meter)
    await collector.collect()

    await world.clock.advance(9 * HOUR_S)
    transfer = await collector.collect()

    assert transfer.memory is MeterMemory.OVERWRITTEN
    assert transfer.counts.n_overwritten == 5
    assert [record.measurement.sequence_number for record in meter.stored] == [2, 3, 4, 5]


async def ask(client: BleakClient, inbox: Inbox[RacpIndication], payload: bytes) -> RacpIndication:
    n_before = len(inbox.items)
    await client.write_gatt_char(RACP, payload, response=True)
    return (await inbox.count(n_before + 1))[n_before]


async def test_requests_select_count_and_delete(world: World) -> None:
    meter = await meter_in(world, n_stored=6)
    client = await (await world.agent()).connect(meter)
    inbox = Inbox(decode_racp_indication)
    await client.start_notify(RACP, inbox)
    feature = await client.read_gatt_char(uuids.GLUCOSE_FEATURE)
    third = meter.stored[2].measurement.measured_at
    assert isinstance(third, DeviceDateTime)
    count = RacpOpCode.REPORT_NUMBER_OF_STORED_RECORDS

    requests = [
        RacpRequest(op_code=count, operator=RacpOperator.WITHIN_RANGE, minimum=1, maximum=3),
        RacpRequest(op_code=count, operator=RacpOperator.LESS_OR_EQUAL, maximum=third),
        RacpRequest(op_code=RacpOpCode.DELETE_STORED_RECORDS, operator=RacpOperator.FIRST_RECORD),
        RacpRequest(op_code=RacpOpCode.DELETE_STORED_RECORDS, operator=RacpOperator.LAST_RECORD),
        RacpRequest(op_code=count),
        RacpRequest(
            op_code=RacpOpCode.REPORT_STORED_RECORDS,
            operator=RacpOperator.GREATER_OR_EQUAL,
            minimum=99,
        ),
    ]
    answers = [await ask(client, inbox, encode_racp_request(request)) for request in requests]

    deleted = RacpResponse(
        request_op_code=RacpOpCode.DELETE_STORED_RECORDS, response_code=RacpResponseCode.SUCCESS
    )
    assert answers == [
        RacpNumberOfRecords(n_records=3),
        RacpNumberOfRecords(n_records=3),
        deleted,
        deleted,
        RacpNumberOfRecords(n_records=4),
        RacpResponse(
            request_op_code=RacpOpCode.REPORT_STORED_RECORDS,
            response_code=RacpResponseCode.NO_RECORDS_FOUND,
        ),
    ]
    assert decode_glucose_feature(bytes(feature)) == 0
    assert meter.stored[0].measurement.base_time.to_datetime() is not None
    assert meter.n_measured == 6


@pytest.mark.parametrize(
    ("payload", "response_code"),
    [
        ("09 01", RacpResponseCode.OP_CODE_NOT_SUPPORTED),
        ("07 01", RacpResponseCode.OP_CODE_NOT_SUPPORTED),
        ("01 00", RacpResponseCode.INVALID_OPERATOR),
        ("01 07", RacpResponseCode.OPERATOR_NOT_SUPPORTED),
        ("01 03 07 00 00", RacpResponseCode.OPERAND_NOT_SUPPORTED),
        ("01 03 01 00", RacpResponseCode.INVALID_OPERAND),
        ("03 00", RacpResponseCode.ABORT_UNSUCCESSFUL),
    ],
)
async def test_refusals_say_why(
    tcp_world: World, payload: str, response_code: RacpResponseCode
) -> None:
    meter = await meter_in(tcp_world, n_stored=1)
    client = await (await tcp_world.agent()).connect(meter)
    inbox = Inbox(decode_racp_indication)
    await client.start_notify(RACP, inbox)

    answer = await ask(client, inbox, bytes.fromhex(payload))

    assert answer == RacpResponse(request_op_code=int(payload[:2]), response_code=response_code)


async def test_control_point_wants_a_subscription_first(world: World) -> None:
    meter = await meter_in(world, n_stored=1)
    client = await (await world.agent()).connect(meter)

    with pytest.raises(BleakError):
        await client.write_gatt_char(RACP, b"\x01\x01", response=True)


async def test_abort_ends_a_report(world: World) -> None:
    meter = await meter_in(world, n_stored=400)
    client = await (await world.agent()).connect(meter)
    arrived = await subscribe(client)
    transfer = RecordTransfer()
    step = transfer.begin()
    n_written = 0
    while transfer.end is None:
        if step.request is not None:
            await client.write_gatt_char(RACP, encode_racp_request(step.request), response=True)
            n_written += 1
        async with asyncio.timeout(WAIT_S):
            step = tell(transfer, await arrived.get())
        if transfer.counts.n_taken == 5:
            step = transfer.abort()

    assert step.request is None
    assert n_written == 3
    assert transfer.end is TransferEnd.ABORTED
    assert transfer.counts.n_taken < 400
    assert encode_racp_request(ABORT) == b"\x03\x00"


async def test_second_procedure_has_to_wait(world: World) -> None:
    meter = await meter_in(world, n_stored=300)
    client = await (await world.agent()).connect(meter)
    inbox = Inbox(decode_racp_indication)
    await client.start_notify(RACP, inbox)
    await client.start_notify(uuids.GLUCOSE_MEASUREMENT, lambda *_: None)
    report = encode_racp_request(RacpRequest(op_code=RacpOpCode.REPORT_STORED_RECORDS))
    await client.write_gatt_char(RACP, report, response=True)

    with pytest.raises(BleakError):
        await client.write_gatt_char(RACP, report, response=True)

    assert len(await inbox.count(1)) == 1


async def test_glucose_is_simulated_and_plausible(world: World) -> None:
    meter = await meter_in(world)

    kg_per_l = [meter.glucose_kg_per_l(START_NS + k * 900 * 10**9) for k in range(96)]

    assert min(kg_per_l) > 0.00060
    assert max(kg_per_l) < 0.00160
    assert kg_per_l[0] == meter.glucose_kg_per_l(START_NS)
    assert meter.record_name is None
