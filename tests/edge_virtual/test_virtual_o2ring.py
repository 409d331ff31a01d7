"""The virtual O2Ring, polled from a central by the poller that the agent is to use."""

import dataclasses

import numpy as np
import pytest
from bleak import BleakClient

from devices import codes, uuids
from devices.readings import NoValueReason
from devices.viatom import (
    ViatomReply,
    ViatomRequest,
    decode_viatom_reply,
    encode_viatom_request,
    viatom_chunks,
)
from devices.viatom_data import ViatomMeasurement, ViatomRealTime, ViatomSensors, viatom_readings
from devices.viatom_poll import ViatomFailure, ViatomPoller, ViatomQuestion
from edge.virtual.o2ring import MODEL, O2Ring, ring_waveform
from edge.virtual.peripheral import Identity
from ingest.recording import Recording
from tests.edge_virtual.conftest import (
    ADVERTISING_INTERVAL_MS,
    START_NS,
    World,
    ecg_recording,
    ppg_recording,
)
from tests.waiting import until

NS_PER_S = 1_000_000_000


async def started(world: World, recording: Recording | None = None) -> O2Ring:
    ring = O2Ring(
        world.ether,
        Identity(model=MODEL, serial="0001", address="C4:E7:09:00:00:01"),
        world.clock,
        world.body(recording or ppg_recording(with_numerics=True)),
        advertising_interval_ms=ADVERTISING_INTERVAL_MS,
    )
    return await world._stack.enter_async_context(ring.running())


class Polled:
    """A central that does what the poller says."""

    def __init__(self, world: World, client: BleakClient, question: ViatomQuestion) -> None:
        self.poller = ViatomPoller(question, start_ns=START_NS + NS_PER_S)
        self.measured: list[ViatomMeasurement] = []
        self._world = world
        self._client = client

    async def listen(self) -> "Polled":
        await self._client.start_notify(uuids.VIATOM_NOTIFY, self._on_notification)
        return self

    async def poll_for(self, n_seconds: int, *, answered: bool = True) -> None:
        for _ in range(n_seconds):
            await self._world.clock.advance(1.0)
            for chunk in self.poller.tick(self._world.clock.now_ns()):
                await self._client.write_gatt_char(uuids.VIATOM_WRITE, chunk, response=False)
            if answered:
                await until(lambda: not self.poller.is_open)

    def _on_notification(self, _characteristic: object, payload: bytearray) -> None:
        self.measured += self.poller.receive(bytes(payload))


async def test_the_ring_answers_each_poll_with_what_was_recorded(world: World) -> None:
    ring = await started(world)
    agent = await world.agent()
    polled = await Polled(world, await agent.connect(ring), ViatomQuestion.SENSORS).listen()

    await polled.poll_for(6)

    assert [(one.spo2_percent, one.pulse_rate_bpm) for one in polled.measured] == [
        (91, 61),
        (0, 63),  # at 3 s the recording has no saturation
        (90, 65),
    ]
    first, second, _ = polled.measured
    assert isinstance(first, ViatomSensors)
    assert [reading.value for reading in viatom_readings(first)] == [91.0, 61.0, 0.0, 85.0, 0.0]
    assert viatom_readings(second)[0].reason is NoValueReason.CALIBRATING
    assert polled.poller.n_asked == polled.poller.n_answered == ring.n_asked == 3
    counters = ring.readings["sensors"]
    assert counters.produced == counters.sent == 3
    assert polled.poller.assembler.n_bytes == polled.poller.assembler.n_framed_bytes == 3 * 21


@pytest.mark.parametrize("question", [ViatomQuestion.REAL_TIME, ViatomQuestion.SENSORS_WAVE])
async def test_the_waveform_goes_on_where_the_last_answer_ended(
    world: World, question: ViatomQuestion
) -> None:
    recording = ppg_recording(with_numerics=True)
    ring = await started(world, recording)
    agent = await world.agent()
    polled = await Polled(world, await agent.connect(ring), question).listen()

    await polled.poll_for(9)

    answers = [one for one in polled.measured if isinstance(one, ViatomRealTime)]
    assert [len(one.waveform) for one in answers] == [0, 250, 250, 250, 250]
    sent = [sample for one in answers for sample in one.waveform]
    assert sent == list(ring.waveform_between(126, 126 + 1000))
    assert [one.pulse_rate_bpm for one in answers] == [61, 63, 65, 67, 69]


async def test_a_silent_ring_is_given_up(world: World) -> None:
    ring = await started(world)
    agent = await world.agent()
    polled = await Polled(world, await agent.connect(ring), ViatomQuestion.SENSORS).listen()
    await polled.poll_for(1)
    ring.answers = False

    await polled.poll_for(30, answered=False)

    assert polled.poller.has_given_up
    assert polled.poller.n_answered == 1
    assert polled.poller.n_failed == {ViatomFailure.NO_REPLY: 5}
    assert polled.poller.n_asked == 6
    await until(lambda: ring.n_asked == 6)


async def test_a_lost_chunk_costs_one_answer(world: World) -> None:
    ring = await started(world)
    agent = await world.agent()
    polled = await Polled(world, await agent.connect(ring), ViatomQuestion.SENSORS).listen()

    ring.drop_next_notifications(1)
    await polled.poll_for(4, answered=False)
    await polled.poll_for(4)

    poller = polled.poller
    assert poller.n_asked == ring.n_asked == poller.n_answered + 1
    assert poller.n_failed == {ViatomFailure.NO_REPLY: 1}
    counters = ring.readings["sensors"]
    assert (counters.sent, counters.unsent) == (poller.n_answered, 1)
    assert poller.assembler.n_lost_bytes.total() == 1  # the chunk that came was the check byte


async def test_a_ring_that_is_not_worn_gives_only_its_battery(world: World) -> None:
    ring = await started(world)
    ring.worn = False
    agent = await world.agent()
    polled = await Polled(world, await agent.connect(ring), ViatomQuestion.SENSORS).listen()

    await polled.poll_for(1)

    readings = viatom_readings(polled.measured[0])
    assert {reading.quantity: reading.reason for reading in readings[:4]} == {
        codes.SPO2: NoValueReason.NO_CONTACT,
        codes.PULSE_RATE: NoValueReason.NO_CONTACT,
        codes.PERFUSION_INDEX: NoValueReason.NO_CONTACT,
        codes.BATTERY_LEVEL: None,
    }


async def test_what_was_not_recorded_is_not_made_up(world: World) -> None:
    ring = await started(world, ecg_recording())
    agent = await world.agent()
    polled = await Polled(world, await agent.connect(ring), ViatomQuestion.REAL_TIME).listen()

    await polled.poll_for(9)

    last = polled.measured[-1]
    assert isinstance(last, ViatomRealTime)
    assert (last.spo2_percent, last.waveform) == (0, ())
    assert last.pulse_rate_bpm is not None
    assert 60 <= last.pulse_rate_bpm <= 100  # from the recording's beats


async def test_a_question_that_the_ring_does_not_know_is_refused(world: World) -> None:
    ring = await started(world)
    agent = await world.agent()
    client = await agent.connect(ring)
    came = bytearray()
    await client.start_notify(uuids.VIATOM_NOTIFY, lambda _, payload: came.extend(payload))

    for chunk in viatom_chunks(encode_viatom_request(ViatomRequest(command=0x16, data=b"{}"))):
        await client.write_gatt_char(uuids.VIATOM_WRITE, chunk, response=True)
    await until(lambda: len(came) == 8)

    assert decode_viatom_reply(bytes(came)) == ViatomReply(status=1)
    assert ring.readings["sensors"].produced == 0


async def test_half_a_question_is_forgotten_with_its_link(world: World) -> None:
    ring = await started(world)
    agent = await world.agent()
    client = await agent.connect(ring)
    await client.write_gatt_char(uuids.VIATOM_WRITE, b"\xaa\x17\xe8", response=True)
    await client.disconnect()
    await until(lambda: not ring.connected)

    polled = await Polled(world, await agent.connect(ring), ViatomQuestion.SENSORS).listen()
    await polled.poll_for(1)

    assert polled.poller.n_answered == 1
    assert ring.requests.n_lost_bytes.total() == 3


async def test_the_waveform_is_the_recordings_scaled_to_the_rings_byte(tcp_world: World) -> None:
    recording = ppg_recording(with_numerics=False)
    halved = dataclasses.replace(
        recording.signals[0],
        sampling_rate=recording.signals[0].sampling_rate / 2,
        counts=recording.signals[0].counts[::2],
    )

    waveform = ring_waveform(tcp_world.body(recording))
    slower = ring_waveform(tcp_world.body(dataclasses.replace(recording, signals=(halved,))))

    assert (len(waveform), waveform.min(), waveform.max()) == (2500, 0, 200)
    assert 156 not in waveform  # the maker's mark is no sample
    assert np.all(np.diff(waveform) >= 0)  # as the made recording rises
    assert len(slower) == 2500
    np.testing.assert_allclose(slower, waveform, atol=1)
