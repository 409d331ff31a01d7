"""A Generic Health Sensor seen from a central: every observation, every segment, every count."""

import contextlib
from collections.abc import AsyncIterator

import pytest
from bleak import BleakClient
from bleak.exc import BleakError

from devices import codes, uuids
from devices.current_time import TimeSource
from devices.elapsed_time import (
    CurrentElapsedTime,
    decode_current_elapsed_time,
    elapsed_time_to_set,
    encode_elapsed_time,
)
from devices.generic_health_sensor import (
    GhsControlPointCode,
    decode_ghs_control_point,
    decode_health_sensor_features,
    encode_ghs_control_point,
)
from devices.ghs_header import ObservationStatus
from devices.ghs_observation import Observation, decode_health_observation
from devices.ghs_readings import health_observation_readings, health_observation_waveforms
from devices.ghs_segments import SegmentAssembler
from devices.readings import NoValueReason
from devices.uuids import CURRENT_ELAPSED_TIME
from edge.virtual.health_sensor import MODEL, PLETH_HZ, HealthSensor, PatchSettings
from edge.virtual.peripheral import Identity
from edge.virtual.player import NS_PER_S
from tests.edge_virtual.conftest import ADVERTISING_INTERVAL_MS, START_NS, Inbox, World, let_run
from tests.waiting import until

LIVE = uuids.LIVE_HEALTH_OBSERVATIONS
CONTROL_POINT = uuids.GHS_CONTROL_POINT
START = GhsControlPointCode.START_LIVE_OBSERVATIONS
STOP = GhsControlPointCode.STOP_LIVE_OBSERVATIONS


class Observed:
    """What a subscription to live observations has brought, put together."""

    def __init__(self) -> None:
        self.assembler = SegmentAssembler()
        self.inbox: Inbox[Observation | None] = Inbox(self._decode)

    @property
    def observations(self) -> list[Observation]:
        return [one for one in self.inbox.items if one is not None]

    async def count(self, n_observations: int) -> list[Observation]:
        await self.inbox.until(lambda _: len(self.observations) >= n_observations)
        return self.observations

    def _decode(self, payload: bytes) -> Observation | None:
        whole = self.assembler.process(payload)
        return None if whole is None else decode_health_observation(whole)


@contextlib.asynccontextmanager
async def patch(
    world: World,
    *,
    status: ObservationStatus | None = None,
    clock_ahead_s: float = 0.0,
    segment_bytes_max: int = 60,
) -> AsyncIterator[HealthSensor]:
    sensor = HealthSensor(
        world.ether,
        Identity(model=MODEL, serial="0001", address="C4:E7:41:00:00:01"),
        world.clock,
        settings=PatchSettings(
            status=status, clock_ahead_s=clock_ahead_s, segment_bytes_max=segment_bytes_max
        ),
        advertising_interval_ms=ADVERTISING_INTERVAL_MS,
    )
    async with sensor.running():
        yield sensor


async def command(client: BleakClient, code: int) -> None:
    await client.write_gatt_char(CONTROL_POINT, encode_ghs_control_point(code), response=True)


async def started(client: BleakClient) -> Observed:
    observed = Observed()
    answers: Inbox[int] = Inbox(decode_ghs_control_point)
    await client.start_notify(CONTROL_POINT, answers)
    await client.start_notify(LIVE, observed.inbox)
    await command(client, START)
    assert await answers.count(1) == [GhsControlPointCode.SUCCESS]
    return observed


async def read_time(client: BleakClient) -> CurrentElapsedTime:
    return decode_current_elapsed_time(bytes(await client.read_gatt_char(CURRENT_ELAPSED_TIME)))


async def test_every_observation_arrives_in_segments(world: World) -> None:
    async with patch(world) as sensor:
        client = await (await world.agent()).connect(sensor)
        observed = await started(client)

        for n_seconds in (1, 2, 3):
            await world.clock.advance(1.0)
            await observed.count(2 * n_seconds)
        await until(lambda: sensor.readings["segment"].sent == len(observed.inbox.items))

        for n_seconds in (1, 2, 3):
            t_ns = START_NS + n_seconds * NS_PER_S
            numbers, array = observed.observations[2 * n_seconds - 2 : 2 * n_seconds]
            readings = health_observation_readings(numbers)
            (pleth,) = health_observation_waveforms(array, signed=False)
            assert {one.quantity.name: one.value for one in readings} == sensor.numbers(t_ns)
            assert pleth.quantity is codes.PLETH
            assert pleth.counts.tolist() == sensor.pleth_counts(t_ns - NS_PER_S).tolist()
            assert pleth.measured_at_utc_ns == t_ns - NS_PER_S
            assert pleth.scaling is not None
            assert pleth.scaling.period_s == 1 / PLETH_HZ
        counts = observed.assembler.counts
        assert counts.observations == 6
        assert counts.received == counts.delivered == sensor.readings["segment"].sent > 12
        assert (counts.lost, counts.discarded, counts.duplicated) == (0, 0, 0)
        assert sensor.channels["pleth"].sent == 3 * PLETH_HZ
        assert [sensor.readings[name].sent for name in sensor.numbers(0)] == [3, 3, 3]


async def test_a_lost_segment_costs_its_observation_and_is_counted(world: World) -> None:
    async with patch(world) as sensor:
        client = await (await world.agent()).connect(sensor)
        observed = await started(client)
        await world.clock.advance(1.0)
        await observed.count(2)

        sensor.drop_next_notifications(1)
        await world.clock.advance(1.0)
        await world.clock.advance(1.0)
        await observed.count(5)

        counts = observed.assembler.counts
        segments = sensor.readings["segment"]
        assert counts.lost == segments.unsent == 1
        assert counts.received == segments.sent == segments.produced - 1
        assert counts.received == counts.delivered + counts.discarded
        assert sensor.readings[codes.HEART_RATE.name].unsent == 1
        assert sensor.readings[codes.HEART_RATE.name].sent == 2
        assert sensor.channels["pleth"].sent == 3 * PLETH_HZ


async def test_nothing_is_sent_before_the_start_and_after_the_stop(world: World) -> None:
    async with patch(world) as sensor:
        client = await (await world.agent()).connect(sensor)
        observed = Observed()
        await client.start_notify(LIVE, observed.inbox)
        await world.clock.advance(3.0)
        assert sensor.readings["segment"].produced == 0

        with pytest.raises(BleakError):  # the control point has no subscriber to answer to
            await command(client, START)
        answers: Inbox[int] = Inbox(decode_ghs_control_point)
        await client.start_notify(CONTROL_POINT, answers)
        await command(client, START)
        await answers.count(1)
        await world.clock.advance(1.0)
        await observed.count(2)
        await command(client, STOP)
        await answers.count(2)
        await world.clock.advance(3.0)
        await let_run()

        assert len(observed.observations) == 2
        with pytest.raises(BleakError):
            await command(client, 0x7F)


async def test_observations_of_test_data_have_no_value(world: World) -> None:
    async with patch(world, status=ObservationStatus.TEST_DATA) as sensor:
        client = await (await world.agent()).connect(sensor)
        observed = await started(client)
        await world.clock.advance(1.0)
        numbers, array = await observed.count(2)

        readings = health_observation_readings(numbers)
        (pleth,) = health_observation_waveforms(array, signed=False)
        assert {one.reason for one in readings} == {NoValueReason.TEST_DATA}
        assert (pleth.reason, pleth.n_withheld) == (NoValueReason.TEST_DATA, PLETH_HZ)


async def test_what_it_observes_can_be_read(world: World) -> None:
    async with patch(world) as sensor:
        client = await (await world.agent()).connect(sensor)

        payload = await client.read_gatt_char(uuids.HEALTH_SENSOR_FEATURES)

        features = decode_health_sensor_features(bytes(payload))
        assert {codes.by_mdc(mdc).name for mdc in features.observation_types} == {
            "heart_rate",
            "respiratory_rate",
            "body_temperature",
            "pleth",
        }


async def test_a_clock_that_is_wrong_is_read_and_set(world: World) -> None:
    async with patch(world, clock_ahead_s=3600.0) as sensor:
        client = await (await world.agent()).connect(sensor)

        before = await read_time(client)
        now_ns = world.clock.now_ns()
        right = elapsed_time_to_set(
            before.time, now_ns, source=TimeSource.NETWORK_TIME_PROTOCOL, offset_quarters=4
        )
        assert right is not None
        await client.write_gatt_char(
            CURRENT_ELAPSED_TIME, encode_elapsed_time(right), response=True
        )
        after = await read_time(client)

        assert before.needs_set
        assert before.time.utc_ns == now_ns + 3600 * NS_PER_S
        assert not after.needs_set
        assert after.time.utc_ns == now_ns
        with pytest.raises(BleakError):
            await client.write_gatt_char(CURRENT_ELAPSED_TIME, b"\0", response=True)


async def test_the_counter_rolls_over(world: World) -> None:
    async with patch(world, segment_bytes_max=20) as sensor:
        client = await (await world.agent()).connect(sensor)
        observed = await started(client)

        for n_seconds in range(1, 11):
            await world.clock.advance(1.0)
            await observed.count(2 * n_seconds)

        counts = observed.assembler.counts
        assert counts.received > 64
        assert counts.received == counts.delivered == sensor.readings["segment"].sent
        assert (counts.observations, counts.lost) == (20, 0)


async def test_a_central_that_comes_back_starts_anew(world: World) -> None:
    async with patch(world) as sensor:
        agent = await world.agent()
        client = await agent.connect(sensor)
        observed = await started(client)
        await world.clock.advance(1.0)
        await observed.count(2)
        n_segments = sensor.readings["segment"].sent

        await client.disconnect()
        await until(lambda: not sensor.connected)
        await world.clock.advance(5.0)
        assert sensor.readings["segment"].produced == n_segments
        again = await started(await agent.connect(sensor))
        await world.clock.advance(1.0)
        await again.count(2)

        assert again.assembler.counts.lost == 0
        assert sensor.n_connections == 2
