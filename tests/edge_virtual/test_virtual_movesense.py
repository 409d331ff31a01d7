"""The virtual Movesense, seen from a central: every sample, every part, every count."""

from collections import Counter
from http import HTTPStatus

import numpy as np
import pytest
from bleak import BleakClient
from bleak.exc import BleakError
from numpy.typing import NDArray

from devices import uuids
from devices.movesense import (
    GspCommand,
    GspData,
    GspDataPart,
    GspGetCommand,
    GspHello,
    GspHelloCommand,
    GspNotification,
    GspPutUtcTimeCommand,
    GspResponse,
    GspSubscribeCommand,
    GspUnsubscribeCommand,
    decode_gsp_hello,
    decode_gsp_notification,
    decode_gsp_result,
    encode_gsp_command,
)
from devices.movesense_data import (
    FRAME_DECODERS,
    HEART_RATE_PATH,
    TEMPERATURE_PATH,
    GspFrame,
    GspKind,
    decode_gsp_heart_rate,
    decode_gsp_temperature,
    gsp_path,
    gsp_whole_bytes,
)
from devices.movesense_parts import GspAssembler, GspLossCause
from edge.virtual.movesense import BATTERY_PATH, MODEL, Movesense, still_person
from edge.virtual.peripheral import Identity
from ingest.errors import RecordingError
from ingest.recording import Recording
from tests.edge_virtual.conftest import (
    ADVERTISING_INTERVAL_MS,
    Inbox,
    World,
    ecg_recording,
    ppg_recording,
)
from tests.waiting import until

ECG_REFERENCE = 100
IMU_REFERENCE = 99
ECG_PATH = gsp_path(GspKind.ECG, 250)
IMU9_PATH = gsp_path(GspKind.IMU9, 104)


def made(world: World, recording: Recording | None = None) -> Movesense:
    identity = Identity(model=MODEL, serial="0001", address="C4:E7:08:00:00:01")
    return Movesense(
        world.ether,
        identity,
        world.clock,
        world.body(recording or ecg_recording()),
        advertising_interval_ms=ADVERTISING_INTERVAL_MS,
    )


async def started(world: World, recording: Recording | None = None) -> Movesense:
    return await world._stack.enter_async_context(made(world, recording).running())


class Gsp:
    """The central's side."""

    def __init__(self, client: BleakClient, *paths: tuple[int, GspKind, int]) -> None:
        self.client = client
        self.inbox: Inbox[GspNotification] = Inbox(decode_gsp_notification)
        self._kinds = {reference: kind for reference, kind, _ in paths}
        self._paths = paths
        self.assembler = GspAssembler(
            {reference: gsp_whole_bytes(kind, rate_hz) for reference, kind, rate_hz in paths}
        )

    async def listen(self) -> "Gsp":
        await self.client.start_notify(uuids.GSP_DATA, self.inbox)
        for reference, kind, rate_hz in self._paths:
            command = GspSubscribeCommand(reference=reference, path=gsp_path(kind, rate_hz))
            assert await self.ask(command) == HTTPStatus.OK
        return self

    async def ask(self, command: GspCommand) -> int:
        return decode_gsp_result(await self.ask_raw(encode_gsp_command(command))).status

    async def ask_raw(self, command: bytes) -> bytes:
        def answers(items: list[GspNotification]) -> list[GspResponse]:
            return [item for item in items if isinstance(item, GspResponse)]

        n_before = len(answers(self.inbox.items))
        await self.client.write_gatt_char(uuids.GSP_COMMAND, command, response=True)
        items = await self.inbox.until(lambda items: len(answers(items)) > n_before)
        answer = answers(items)[n_before]
        assert answer.reference == command[1]
        return answer.body

    def data(self, reference: int) -> list[GspData]:
        return [
            item
            for item in self.inbox.items
            if isinstance(item, GspData) and item.reference == reference
        ]

    def frames(self) -> dict[int, list[GspFrame]]:
        """Join all that has come, once."""
        frames: dict[int, list[GspFrame]] = {reference: [] for reference in self._kinds}
        for item in self.inbox.items:
            whole = None if isinstance(item, GspResponse) else self.assembler.process(item)
            if whole is not None:
                decode = FRAME_DECODERS[self._kinds[whole.reference]]
                frames[whole.reference].append(decode(whole.body))
        return frames


def joined(frames: list[GspFrame]) -> NDArray[np.float64]:
    return np.concatenate([frame.samples.astype(np.float64) for frame in frames])


async def test_hello_time_and_resources_are_answered(world: World) -> None:
    sensor = await started(world)
    agent = await world.agent()
    gsp = await Gsp(await agent.connect(sensor)).listen()

    hello = decode_gsp_hello(await gsp.ask_raw(encode_gsp_command(GspHelloCommand(reference=1))))
    set_time = await gsp.ask(GspPutUtcTimeCommand(reference=2, utc_us=1_800_000_000_000_000))
    battery = decode_gsp_result(
        await gsp.ask_raw(encode_gsp_command(GspGetCommand(reference=3, path=BATTERY_PATH)))
    )
    temperature = decode_gsp_result(
        await gsp.ask_raw(encode_gsp_command(GspGetCommand(reference=4, path=TEMPERATURE_PATH)))
    )
    missing = await gsp.ask(GspGetCommand(reference=5, path="/Misc/Nothing"))

    assert hello == GspHello(
        protocol_version=1,
        serial_number="0001",
        product_name=MODEL,
        dfu_address=sensor.identity.address,
        app_name="Chevet",
        app_version="virtual",
    )
    assert (set_time, sensor.utc_us_set) == (HTTPStatus.OK, 1_800_000_000_000_000)
    assert battery.content == bytes([85])
    kelvin = decode_gsp_temperature(temperature.content).temperature_kelvin
    assert kelvin == pytest.approx(306.9, abs=1e-4)
    assert missing == HTTPStatus.NOT_FOUND


@pytest.mark.parametrize("kind", [GspKind.ECG, GspKind.ECG_MV])
async def test_ecg_is_the_recording_on_the_exact_grid(world: World, kind: GspKind) -> None:
    recording = ecg_recording(rate_hz=250)
    sensor = await started(world, recording)
    agent = await world.agent()
    await world.clock.advance(1.2345)
    gsp = await Gsp(await agent.connect(sensor), (ECG_REFERENCE, kind, 250)).listen()

    await world.clock.advance(3.21)
    assert await gsp.ask(GspUnsubscribeCommand(reference=ECG_REFERENCE)) == HTTPStatus.OK

    frames = gsp.frames()[ECG_REFERENCE]
    counters = sensor.channels["ecg"]
    i_first = counters.i_first
    assert i_first == 309  # the first sample after 1.2345 s
    samples = joined(frames)[:, 0]
    n_samples = 50 * 16  # 803 were taken: the last three fill no packet
    assert counters.produced == counters.sent == len(samples) == n_samples
    expected_uv = recording.signals[0].counts[i_first : i_first + n_samples]
    if kind is GspKind.ECG:
        np.testing.assert_array_equal(samples, np.rint(expected_uv / 0.381469726563))
    else:
        np.testing.assert_array_equal(samples, expected_uv)
    np.testing.assert_allclose(
        np.concatenate([frame.scaled()[:, 0] for frame in frames]), expected_uv / 1000, atol=2e-4
    )
    assert [frame.timestamp_ms for frame in frames] == [
        round((309 + 16 * i_packet) * 1000 / 250) for i_packet in range(50)
    ]


async def test_nine_axes_come_in_two_parts_and_are_joined(world: World) -> None:
    sensor = await started(world)
    agent = await world.agent()
    gsp = await Gsp(await agent.connect(sensor), (IMU_REFERENCE, GspKind.IMU9, 104)).listen()

    await world.clock.advance(2.0)
    await gsp.ask(GspUnsubscribeCommand(reference=IMU_REFERENCE))

    samples = joined(gsp.frames()[IMU_REFERENCE])
    assert gsp.assembler.n_joined == gsp.assembler.n_parts == sensor.parts.sent == 2 * 26
    assert not gsp.assembler.n_lost
    assert sensor.channels["magn/z"].produced == sensor.channels["acc/x"].sent == 26 * 8
    np.testing.assert_array_equal(samples, still_person(104, seed=0)[: len(samples)])
    gravity = np.linalg.norm(samples[:, :3], axis=1).mean()
    assert gravity == pytest.approx(9.8, abs=0.2)


async def test_two_streams_share_the_link_under_their_references(world: World) -> None:
    sensor = await started(world)
    agent = await world.agent()
    gsp = await Gsp(
        await agent.connect(sensor),
        (ECG_REFERENCE, GspKind.ECG, 250),
        (IMU_REFERENCE, GspKind.IMU6, 104),
    ).listen()

    await world.clock.advance(2.0)

    assert sensor.subscribed == {ECG_REFERENCE: ECG_PATH, IMU_REFERENCE: "/Meas/IMU6/104"}
    await gsp.ask(GspUnsubscribeCommand(reference=ECG_REFERENCE))
    await gsp.ask(GspUnsubscribeCommand(reference=IMU_REFERENCE))
    frames = gsp.frames()
    assert sum(len(frame.samples) for frame in frames[ECG_REFERENCE]) == 31 * 16
    assert sum(len(frame.samples) for frame in frames[IMU_REFERENCE]) == 26 * 8
    assert sensor.subscribed == {}


@pytest.mark.parametrize(
    ("n_dropped", "lost"),
    [
        (1, {GspLossCause.FIRST_PART_MISSING: 1}),
        (2, {}),
        (3, {GspLossCause.FIRST_PART_MISSING: 1}),
    ],
)
async def test_lost_notifications_are_accounted_for_on_both_sides(
    world: World, n_dropped: int, lost: dict[GspLossCause, int]
) -> None:
    sensor = await started(world)
    agent = await world.agent()
    gsp = await Gsp(await agent.connect(sensor), (IMU_REFERENCE, GspKind.IMU9, 104)).listen()

    sensor.drop_next_notifications(n_dropped)
    await world.clock.advance(2.0)
    await gsp.ask(GspUnsubscribeCommand(reference=IMU_REFERENCE))

    n_samples = sum(len(frame.samples) for frame in gsp.frames()[IMU_REFERENCE])
    n_wholes_lost = -(-n_dropped // 2)
    counters = sensor.channels["gyro/y"]
    assert (counters.produced, counters.sent, counters.unsent) == (
        26 * 8,
        n_samples,
        8 * n_wholes_lost,
    )
    assert (sensor.parts.sent, sensor.parts.unsent) == (52 - n_dropped, n_dropped)
    assert gsp.assembler.n_parts == sensor.parts.sent
    assert gsp.assembler.n_lost == lost


async def test_refusals_say_why(world: World) -> None:
    sensor = await started(world)
    agent = await world.agent()
    gsp = await Gsp(await agent.connect(sensor), (ECG_REFERENCE, GspKind.ECG, 250)).listen()

    async def subscribe(reference: int, path: str) -> int:
        return await gsp.ask(GspSubscribeCommand(reference=reference, path=path))

    answers = {
        "another rate": await subscribe(1, "/Meas/ECG/125"),
        "another unit of what is sent": await subscribe(1, "/Meas/ECG/250/mV"),
        "reference in use": await subscribe(ECG_REFERENCE, HEART_RATE_PATH),
        "not subscribed": await gsp.ask(GspUnsubscribeCommand(reference=7)),
        "no such command": decode_gsp_result(await gsp.ask_raw(b"\x05\x01")).status,
        "path is not UTF-8": decode_gsp_result(await gsp.ask_raw(b"\x01\x01\xff")).status,
    }

    assert answers == {
        "another rate": HTTPStatus.NOT_FOUND,
        "another unit of what is sent": HTTPStatus.CONFLICT,
        "reference in use": HTTPStatus.CONFLICT,
        "not subscribed": HTTPStatus.NOT_FOUND,
        "no such command": HTTPStatus.BAD_REQUEST,
        "path is not UTF-8": HTTPStatus.BAD_REQUEST,
    }
    with pytest.raises(BleakError):
        await gsp.client.write_gatt_char(uuids.GSP_COMMAND, b"\x00", response=True)


async def test_data_that_would_need_three_parts_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.virtual.bleak_bumble.MTU_REQUESTED", 64)
    sensor = await started(world)
    agent = await world.agent()
    gsp = await Gsp(await agent.connect(sensor), (ECG_REFERENCE, GspKind.ECG, 250)).listen()

    refused = await gsp.ask(GspSubscribeCommand(reference=IMU_REFERENCE, path=IMU9_PATH))
    await world.clock.advance(1.0)
    await gsp.ask(GspUnsubscribeCommand(reference=ECG_REFERENCE))

    assert refused == HTTPStatus.REQUEST_ENTITY_TOO_LARGE
    kinds = Counter(type(item) for item in gsp.inbox.items)
    assert kinds[GspDataPart] == kinds[GspData] == 15  # ECG in two parts each
    assert sum(len(frame.samples) for frame in gsp.frames()[ECG_REFERENCE]) == 15 * 16


async def test_subscriptions_end_with_their_link(world: World) -> None:
    sensor = await started(world)
    agent = await world.agent()
    client = await agent.connect(sensor)
    await Gsp(client, (ECG_REFERENCE, GspKind.ECG, 250)).listen()
    await world.clock.advance(1.0)

    await client.disconnect()
    await until(lambda: not sensor.subscribed)
    await world.clock.advance(1.0)

    counters = sensor.channels["ecg"]
    assert counters.produced == counters.sent + counters.unsent
    n_before = counters.produced
    again = await Gsp(await agent.connect(sensor), (ECG_REFERENCE, GspKind.ECG, 250)).listen()
    await world.clock.advance(1.0)
    await again.ask(GspUnsubscribeCommand(reference=ECG_REFERENCE))
    n_samples = sum(len(frame.samples) for frame in again.frames()[ECG_REFERENCE])
    assert n_samples == 15 * 16
    assert counters.produced == n_before + n_samples
    assert counters.n_starts == 2


async def test_each_beat_is_an_event_with_its_interval(world: World) -> None:
    recording = ecg_recording()
    sensor = await started(world, recording)
    agent = await world.agent()
    gsp = await Gsp(await agent.connect(sensor)).listen()
    await gsp.ask(GspSubscribeCommand(reference=5, path=HEART_RATE_PATH))
    await gsp.ask(GspSubscribeCommand(reference=6, path=TEMPERATURE_PATH))

    await world.clock.advance(15.0)
    await gsp.inbox.until(lambda _: len(gsp.data(5)) == sensor.readings["heart_rate"].sent)

    events = [decode_gsp_heart_rate(item.body) for item in gsp.data(5)]
    assert recording.beats_s is not None
    beats_s = recording.beats_s[recording.beats_s <= 15]
    intervals_ms = [interval for event in events for interval in event.rr_intervals_ms]
    np.testing.assert_allclose(intervals_ms, 1000 * np.diff(beats_s), atol=1.5)
    assert {len(event.rr_intervals_ms) for event in events} == {1}
    assert events[-1].average_bpm == pytest.approx(60 / np.mean(np.diff(beats_s[-14:])), rel=0.03)
    temperatures = [decode_gsp_temperature(item.body) for item in gsp.data(6)]
    assert [one.timestamp_ms for one in temperatures] == [5000, 10000, 15000]


async def test_what_is_not_subscribed_is_not_measured(world: World) -> None:
    sensor = await started(world)
    agent = await world.agent()
    await Gsp(await agent.connect(sensor)).listen()

    await world.clock.advance(10.0)

    every = (*sensor.channels.values(), *sensor.readings.values(), sensor.parts)
    assert {counters.produced for counters in every} == {0}


async def test_a_recording_that_the_sensor_cannot_play_is_refused(tcp_world: World) -> None:
    with pytest.raises(RecordingError, match="360 samples per second"):
        made(tcp_world, ecg_recording(rate_hz=360))
    with pytest.raises(RecordingError, match="no ECG"):
        made(tcp_world, ppg_recording(with_numerics=True))


async def test_what_a_dark_link_swallows_is_unsent_on_one_side_and_missing_on_the_other(
    world: World,
) -> None:
    sensor = await started(world)
    agent = await world.agent()
    client = await agent.connect(sensor)
    gsp = await Gsp(
        client, (ECG_REFERENCE, GspKind.ECG, 250), (IMU_REFERENCE, GspKind.IMU9, 104)
    ).listen()
    await world.clock.advance(1.0)

    world.ether.silence(sensor.identity.address)
    await world.clock.advance(2.0)
    await until(lambda: not sensor.connected and not sensor.subscribed)

    frames = gsp.frames()
    gsp.assembler.end()
    for name, reference in (("ecg", ECG_REFERENCE), ("acc/x", IMU_REFERENCE)):
        counters = sensor.channels[name]
        assert counters.unsent > 0
        assert counters.produced == counters.sent + counters.unsent
        assert sum(len(frame.samples) for frame in frames[reference]) == counters.sent
    assert gsp.assembler.n_parts == sensor.parts.sent
    assert gsp.assembler.n_parts == gsp.assembler.n_joined + gsp.assembler.n_lost.total()
