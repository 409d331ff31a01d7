"""What the virtual sensors send, seen from a central: every sample, every time, every count."""

import asyncio
from fractions import Fraction

import numpy as np
import pytest
from bleak import BleakClient

from devices import uuids
from devices.battery import decode_battery_level
from devices.catalogue import find_model
from devices.heart_rate import (
    BodySensorLocation,
    HeartRateMeasurement,
    decode_body_sensor_location,
    decode_heart_rate,
)
from devices.medfloat import Special
from devices.polar_frames import PMD_EPOCH_UNIX_NS, PmdFrame
from devices.polar_pmd import (
    PmdFeatures,
    PmdMeasurement,
    PmdOpCode,
    PmdSettings,
    PmdStatus,
    decode_indication,
    decode_settings,
)
from devices.pulse_oximeter import (
    MeasurementStatus,
    PlxContinuous,
    decode_plx_continuous,
    decode_plx_features,
)
from devices.thermometer import TemperatureMeasurement, TemperatureSite, decode_temperature
from edge.virtual.ether import Ether, EtherSettings
from edge.virtual.oximeter import ppg_columns
from edge.virtual.pmd import whole_rate_hz
from edge.virtual.strap import microvolts, still_person_mg
from ingest.errors import RecordingError
from ingest.recording import Signal
from tests.edge_virtual.conftest import (
    START_NS,
    Inbox,
    Pmd,
    World,
    ecg_recording,
    let_run,
    ppg_recording,
)
from tests.waiting import until

ECG = PmdMeasurement.ECG
ACC = PmdMeasurement.ACC
PPG = PmdMeasurement.PPG
NS_PER_S = 1_000_000_000


def last_index(frame: PmdFrame, rate_hz: int) -> int:
    """Where on the recording's grid a frame's last sample is; its time must be on the grid."""
    elapsed_ns = frame.timestamp_ns + PMD_EPOCH_UNIX_NS - START_NS
    i_last = round(elapsed_ns * rate_hz / NS_PER_S)
    assert elapsed_ns == round(i_last * NS_PER_S / rate_hz)
    return i_last


async def subscribed(client: BleakClient) -> Pmd:
    return await Pmd(client).subscribe()


async def test_settings_offer_the_recordings_own_rate(world: World) -> None:
    strap = await world.strap(body=world.body(ecg_recording(rate_hz=360)))
    agent = await world.agent()
    client = await agent.connect(strap)
    pmd = await subscribed(client)

    features = decode_indication(bytes(await client.read_gatt_char(uuids.PMD_CONTROL_POINT)))
    ecg = await pmd.settings(ECG)
    acc = await pmd.settings(ACC)

    assert features == PmdFeatures(measurements=frozenset({ECG, ACC}))
    assert ecg.status == PmdStatus.SUCCESS
    assert decode_settings(ecg.parameters) == PmdSettings(
        sample_rates_hz=(360,), resolutions_bits=(14,)
    )
    assert decode_settings(acc.parameters).sample_rates_hz == (25, 50, 100, 200)


@pytest.mark.parametrize("rate_hz", [125, 130, 360, 1000])
async def test_ecg_is_the_recording_bit_for_bit_on_the_exact_grid(
    world: World, rate_hz: int
) -> None:
    recording = ecg_recording(rate_hz)
    strap = await world.strap(body=world.body(recording))
    agent = await world.agent()
    pmd = await subscribed(await agent.connect(strap))
    await world.clock.advance(1.2345)

    assert (await pmd.start(ECG, rate_hz)).status == PmdStatus.SUCCESS
    await world.clock.advance(3.21)
    assert (await pmd.stop(ECG)).status == PmdStatus.SUCCESS

    counters = strap.channels["ecg"]
    i_first = counters.i_first
    assert i_first is not None
    assert i_first == -(-12345 * rate_hz // 10_000)
    assert counters.first_sample_utc_ns == START_NS + round(i_first * NS_PER_S / rate_hz)
    n_samples = counters.produced
    assert n_samples == pmd.n_samples == counters.sent
    assert n_samples == int(4.4445 * rate_hz) + 1 - i_first  # all taken until the stop, no more
    assert counters.unsent == 0
    expected = recording.signals[0].counts[i_first : i_first + n_samples]
    assert pmd.samples() == expected.tolist()
    i_next = i_first
    for frame in pmd.frames.items:
        i_next += len(frame.samples)
        assert last_index(frame, rate_hz) == i_next - 1
        assert len(frame.samples) <= 73


async def test_stop_sends_the_partly_filled_frame_before_its_answer(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    pmd = await subscribed(await agent.connect(strap))
    await pmd.start(ECG)
    await world.clock.advance(0.1)
    assert pmd.n_samples == 0

    await pmd.stop(ECG)

    assert pmd.n_samples == strap.channels["ecg"].produced == 26


async def test_stream_goes_on_where_the_recording_begins_again(world: World) -> None:
    recording = ecg_recording(rate_hz=125, duration_s=2)
    strap = await world.strap(body=world.body(recording))
    agent = await world.agent()
    pmd = await subscribed(await agent.connect(strap))

    await pmd.start(ECG)
    await world.clock.advance(5.0)
    await pmd.stop(ECG)

    repeated = np.tile(recording.signals[0].counts, 3)[: pmd.n_samples]
    assert pmd.samples() == repeated.tolist()
    assert pmd.n_samples == 5 * 125 + 1


async def test_recording_that_ends_sends_its_last_sample_and_no_more(world: World) -> None:
    recording = ecg_recording(rate_hz=125, duration_s=2)
    strap = await world.strap(body=world.body(recording, loops=False))
    agent = await world.agent()
    pmd = await subscribed(await agent.connect(strap))

    await pmd.start(ECG)
    await world.clock.advance(5.0)
    await pmd.frames.until(lambda _: pmd.n_samples >= 250)
    await pmd.stop(ECG)

    assert pmd.samples() == recording.signals[0].counts.tolist()
    assert strap.channels["ecg"].produced == 250


async def test_acceleration_is_the_simulated_one_at_each_offered_rate(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    pmd = await subscribed(await agent.connect(strap))

    for rate_hz in (25, 200):
        pmd.frames.items.clear()
        i_first = round((world.clock.now_ns() - START_NS) * rate_hz / NS_PER_S)
        await pmd.start(ACC, rate_hz)
        await world.clock.advance(1.0)
        await pmd.stop(ACC)
        expected = still_person_mg(rate_hz, seed=0)[i_first : i_first + pmd.n_samples]
        for axis in range(3):
            assert strap.channels[f"acc/{'xyz'[axis]}"].sampling_rate_hz == rate_hz
            assert pmd.samples(axis) == expected[:, axis].tolist()
        assert pmd.n_samples == rate_hz + 1
    assert np.linalg.norm(expected, axis=1).mean() == pytest.approx(1000, abs=20)
    assert {strap.channels[f"acc/{axis}"].produced for axis in "xyz"} == {26 + 201}


async def test_two_streams_share_the_link(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    pmd = await subscribed(await agent.connect(strap))

    await pmd.start(ECG)
    await pmd.start(ACC, 50)
    await world.clock.advance(2.0)
    await pmd.stop(ECG)
    await pmd.stop(ACC)

    by_kind = {ECG: 0, ACC: 0}
    for frame in pmd.frames.items:
        by_kind[frame.measurement] += len(frame.samples)
    assert by_kind == {ECG: 501, ACC: 101}


async def test_refusals_say_why(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    pmd = await subscribed(await agent.connect(strap))

    answers = {
        "another rate": await pmd.start(ECG, 130),
        "two rates": await pmd.start(ACC, 25, 50),
        "not offered": await pmd.start(PPG),
        "not started": await pmd.stop(ECG),
        "no such command": await pmd.ask_raw(b"\x09\x00"),
        "broken settings": await pmd.ask_raw(b"\x02\x00\x00"),
    }
    await pmd.start(ECG)
    answers["started already"] = await pmd.start(ECG)

    assert {why: answer.status for why, answer in answers.items()} == {
        "another rate": PmdStatus.INVALID_SAMPLE_RATE,
        "two rates": PmdStatus.INVALID_PARAMETER,
        "not offered": PmdStatus.INVALID_MEASUREMENT_TYPE,
        "not started": PmdStatus.ALREADY_IN_STATE,
        "no such command": PmdStatus.INVALID_OP_CODE,
        "broken settings": PmdStatus.INVALID_PARAMETER,
        "started already": PmdStatus.ALREADY_IN_STATE,
    }
    assert answers["another rate"].op_code == PmdOpCode.START
    assert strap.pmd.running == {ECG}


async def test_frames_that_do_not_fit_the_link_are_refused(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("edge.virtual.bleak_bumble.MTU_REQUESTED", 23)
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)
    pmd = await subscribed(client)

    assert client.mtu_size == 23
    assert (await pmd.start(ECG)).status == PmdStatus.INVALID_MTU


async def test_running_stream_is_not_cut_short_for_a_link_that_is_too_narrow(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)
    await (await subscribed(client)).start(ECG)
    await client.disconnect()
    monkeypatch.setattr("edge.virtual.bleak_bumble.MTU_REQUESTED", 23)
    pmd = await subscribed(await agent.connect(strap))

    await world.clock.advance(1.0)

    assert pmd.n_samples == 0
    assert strap.channels["ecg"].unsent == strap.channels["ecg"].produced == 250


async def test_second_central_may_choose_another_rate(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)
    await (await subscribed(client)).start(ACC, 25)
    await client.disconnect()
    pmd = await subscribed(await agent.connect(strap))

    assert (await pmd.start(ACC, 100)).status == PmdStatus.SUCCESS
    await world.clock.advance(1.0)
    await pmd.stop(ACC)

    assert pmd.n_samples == 1 + 101  # the one that was taken at the old rate, and the new ones
    assert strap.channels["acc/x"].n_starts == 2


async def test_without_subscription_samples_are_taken_and_counted_as_unsent(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)
    pmd = await subscribed(client)
    await pmd.start(ECG)

    await client.stop_notify(uuids.PMD_DATA)
    await world.clock.advance(1.0)

    counters = strap.channels["ecg"]
    assert counters.produced == counters.unsent == 250
    assert pmd.n_samples == 0


async def test_dropped_notifications_are_unsent_and_leave_a_hole_of_known_size(
    world: World,
) -> None:
    strap = await world.strap()
    agent = await world.agent()
    pmd = await subscribed(await agent.connect(strap))
    await pmd.start(ECG)
    await world.clock.advance(1.0)

    strap.drop_next_notifications(2)
    await world.clock.advance(1.0)
    await pmd.stop(ECG)

    counters = strap.channels["ecg"]
    assert counters.unsent == 100
    assert counters.produced == pmd.n_samples + counters.unsent
    holes = [
        last_index(later, 250) - last_index(earlier, 250) - len(later.samples)
        for earlier, later in zip(pmd.frames.items, pmd.frames.items[1:], strict=False)
    ]
    assert sum(holes) == counters.unsent


async def test_silent_central_fills_the_link_and_the_rest_is_unsent(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    lost = asyncio.Event()
    pmd = await subscribed(await agent.connect(strap, lambda _: lost.set()))
    await pmd.start(ECG)
    await world.clock.advance(1.0)
    await pmd.frames.until(lambda _: pmd.n_samples >= 250)

    world.ether.silence(strap.identity.address)
    await world.clock.advance(30.0)
    await until(lambda: not strap.connected)
    await lost.wait()

    counters = strap.channels["ecg"]
    assert counters.produced == 250 * 31
    assert counters.sent == pmd.n_samples == 250  # what the link still held was taken back
    assert counters.unsent == 250 * 30


async def test_silence_shorter_than_the_supervision_timeout_loses_nothing(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    pmd = await subscribed(await agent.connect(strap))
    await pmd.start(ECG)

    world.ether.silence(strap.identity.address)
    await world.clock.advance(2.0)
    held = pmd.n_samples
    world.ether.restore(strap.identity.address)
    await pmd.frames.until(lambda _: pmd.n_samples >= 500)

    assert held == 0
    assert pmd.samples() == ecg_recording().signals[0].counts[:500].tolist()
    assert strap.channels["ecg"].unsent == 0


async def test_a_sensor_whose_host_was_held_up_sends_all_that_it_took(world: World) -> None:
    """A real one does not stand still with somebody's computer."""
    world.ether = Ether(EtherSettings(connection_interval_s=0.05))
    strap = await world.strap()
    agent = await world.agent()
    pmd = await subscribed(await agent.connect(strap))
    await pmd.start(ECG)
    ecg = strap.channels["ecg"]

    await world.clock.leap(30.0)
    await pmd.stop(ECG)

    assert ecg.produced == 30 * 250 + 1
    assert (ecg.sent, ecg.unsent) == (pmd.n_samples, 0)


async def test_killed_agent_is_followed_by_one_that_knows_what_it_missed(
    tcp_world: World,
) -> None:
    world = tcp_world
    strap = await world.strap()
    first = await world.agent()
    pmd = await subscribed(await first.connect(strap))
    await pmd.start(ECG)
    await world.clock.advance(2.0)
    await pmd.frames.until(lambda _: pmd.n_samples >= 500)
    i_seen = last_index(pmd.frames.items[-1], 250)

    cut_off(world)  # as by SIGKILL: no disconnect, no farewell
    await until(lambda: not strap.connected)
    await world.clock.advance(3.0)
    second = await world.agent()
    again = await subscribed(await second.connect(strap))
    assert (await again.start(ECG)).status == PmdStatus.SUCCESS
    await world.clock.advance(2.0)
    await again.stop(ECG)

    frame = again.frames.items[0]
    n_missed = last_index(frame, 250) - len(frame.samples) - i_seen
    counters = strap.channels["ecg"]
    assert n_missed == counters.unsent == 750
    assert counters.produced == pmd.n_samples + n_missed + again.n_samples
    assert counters.n_starts == 1
    assert strap.n_connections == 2
    i_second = i_seen + 1 + n_missed
    expected = ecg_recording().signals[0].counts[i_second : i_second + again.n_samples]
    assert again.samples() == expected.tolist()


def cut_off(world: World) -> None:
    """End all agents' HCI connections as the death of their process does."""
    assert world.radio is not None
    for session in list(world.radio._sessions):
        session.abort()


async def test_heart_rate_is_that_of_ten_seconds_and_each_rr_comes_once(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)
    inbox = Inbox(decode_heart_rate)
    await client.start_notify(uuids.HEART_RATE_MEASUREMENT, inbox)

    await world.clock.advance(50.0)
    notified = await inbox.count(50)

    location = bytes(await client.read_gatt_char(uuids.BODY_SENSOR_LOCATION))
    assert decode_body_sensor_location(location) == BodySensorLocation.CHEST
    assert all(measurement.contact for measurement in notified)
    # 20 s of recording, played two and a half times
    beats_s = ecg_recording().beats_s
    assert beats_s is not None
    played = np.concatenate([beats_s, beats_s + 20, beats_s + 40])
    ticks = np.rint(played[played <= 50] * 1024)
    rr_intervals_s = [rr for measurement in notified for rr in measurement.rr_intervals_s]
    n_in_first_notification = len(strap.heart_rate_at(START_NS).rr_intervals_s)
    assert n_in_first_notification == 0
    assert rr_intervals_s == (np.diff(ticks) / 1024).tolist()
    last: HeartRateMeasurement = notified[-1]
    of_ten_seconds = np.diff(ticks)[ticks[1:] > 40 * 1024]
    assert last.heart_rate_bpm == round(60 / np.mean(of_ten_seconds / 1024))
    assert notified[0].heart_rate_bpm == 0  # one second in, only one beat


async def test_oximeter_plays_what_the_monitor_showed(world: World) -> None:
    oximeter = await world.oximeter(ppg_recording(with_numerics=True))
    agent = await world.agent()
    client = await agent.connect(oximeter)
    features = decode_plx_features(bytes(await client.read_gatt_char(uuids.PLX_FEATURES)))
    inbox = Inbox(decode_plx_continuous)
    await client.start_notify(uuids.PLX_CONTINUOUS, inbox)

    await world.clock.advance(5.0)
    shown: list[PlxContinuous] = await inbox.count(5)

    assert [plx.normal.spo2_percent for plx in shown] == [91, 92, Special.NAN, 94, 90]
    assert [plx.normal.pulse_rate_bpm for plx in shown] == [61, 62, 63, 64, 65]
    assert {plx.measurement_status for plx in shown} == {MeasurementStatus.ONGOING}
    assert features.measurement_status is not None
    assert MeasurementStatus.UNAVAILABLE in features.measurement_status


async def test_saturation_that_was_not_recorded_is_not_made_up(world: World) -> None:
    oximeter = await world.oximeter(ppg_recording(with_numerics=False))
    agent = await world.agent()
    client = await agent.connect(oximeter)
    inbox = Inbox(decode_plx_continuous)
    await client.start_notify(uuids.PLX_CONTINUOUS, inbox)

    await world.clock.advance(6.0)
    last = (await inbox.count(6))[-1]

    assert last.normal.spo2_percent is Special.NAN
    assert last.normal.pulse_rate_bpm == 75  # pulses 0.8 s apart
    assert last.measurement_status == MeasurementStatus.ONGOING


async def test_oximeter_streams_the_raw_counts_in_column_0(world: World) -> None:
    recording = ppg_recording(with_numerics=True)
    oximeter = await world.oximeter(recording)
    agent = await world.agent()
    pmd = await subscribed(await agent.connect(oximeter))

    offered = decode_settings((await pmd.settings(PPG)).parameters)
    await pmd.start(PPG, 125)
    await world.clock.advance(2.0)
    await pmd.stop(PPG)

    assert offered.sample_rates_hz == (125,)
    assert offered.n_channels == (4,)
    assert pmd.n_samples == 251
    assert pmd.samples() == recording.signals[0].counts[:251].tolist()
    for column in (1, 2, 3):
        assert set(pmd.samples(column)) == {0}


async def test_thermometer_indicates_a_simulated_temperature(world: World) -> None:
    thermometer = await world.thermometer()
    agent = await world.agent()
    client = await agent.connect(thermometer)
    inbox = Inbox(decode_temperature)
    await client.start_notify(uuids.TEMPERATURE_MEASUREMENT, inbox)

    measured: list[TemperatureMeasurement] = []
    counters = thermometer.readings["temperature"]
    for n_indications in (1, 2, 3):
        await world.clock.advance(5.0)
        measured = await inbox.count(n_indications)
        await until(lambda: counters.sent == len(inbox.items))

    assert [m.temperature for m in measured] == [
        thermometer.temperature_celsius(START_NS + k * 5 * NS_PER_S) for k in (1, 2, 3)
    ]
    assert {m.site for m in measured} == {TemperatureSite.EAR}
    assert all(36.0 < float(m.temperature) < 38.0 for m in measured)


async def test_unconfirmed_indication_is_unsent(world: World) -> None:
    thermometer = await world.thermometer()
    agent = await world.agent()
    client = await agent.connect(thermometer)
    await client.start_notify(uuids.TEMPERATURE_MEASUREMENT, lambda *_: None)

    world.ether.silence(thermometer.identity.address)
    await world.clock.advance(20.0)
    await until(lambda: not thermometer.connected)
    await let_run()

    counters = thermometer.readings["temperature"]
    assert counters.sent == 0
    assert counters.produced == counters.unsent == 5


async def test_battery_can_run_low(world: World) -> None:
    strap = await world.strap()
    agent = await world.agent()
    client = await agent.connect(strap)
    inbox = Inbox(decode_battery_level)
    await client.start_notify(uuids.BATTERY_LEVEL, inbox)

    await strap.set_battery(9)

    assert await inbox.count(1) == [9]
    assert await client.read_gatt_char(uuids.BATTERY_LEVEL) == b"\x09"


def signal(**changes: object) -> Signal:
    fields: dict[str, object] = {
        "name": "x",
        "kind": "ecg",
        "unit": "uV",
        "sampling_rate": Fraction(250),
        "counts": np.array([-(1 << 24), 0, 5], dtype=np.int32),
        "scale": 1.0,
    }
    return Signal(**(fields | changes))  # type: ignore[arg-type]


def test_signals_that_no_frame_can_carry_are_refused() -> None:
    wide = np.array([-(1 << 30), 1 << 30], dtype=np.int32)

    with pytest.raises(RecordingError, match="beyond 24 bits"):
        microvolts(signal())
    with pytest.raises(RecordingError, match="not in a unit of voltage"):
        microvolts(signal(unit="1"))
    with pytest.raises(RecordingError, match="beyond 24 bits"):
        ppg_columns(signal(counts=wide))
    with pytest.raises(RecordingError, match=r"62\.5 samples per second"):
        whole_rate_hz(Fraction(125, 2), "x")


def test_photoplethysmogram_loses_its_baseline_only_if_it_must() -> None:
    high = np.array([1 << 25, (1 << 25) + 7, (1 << 25) - 9], dtype=np.int32)

    assert ppg_columns(signal(counts=high))[:, 0].tolist() == [0, 7, -9]
    assert ppg_columns(signal(counts=high >> 5))[:, 0].tolist() == (high >> 5).tolist()


async def test_channels_are_counted_by_their_names_in_the_catalogue(world: World) -> None:
    for sensor in (await world.strap(), await world.oximeter(ppg_recording(with_numerics=True))):
        row = find_model(
            local_name=sensor.identity.name, manufacturer=None, model_number=None, service_uuids=()
        )
        assert row is not None
        channels = [channel for stream in row.pmd_streams for channel in stream.channels]
        assert list(sensor.channels) == [channel.name for channel in channels if channel]


async def test_catalogue_knows_every_virtual_sensor(world: World) -> None:
    sensors = [
        await world.strap(),
        await world.oximeter(ppg_recording(with_numerics=True)),
        await world.thermometer(),
    ]
    for sensor in sensors:
        row = find_model(
            local_name=sensor.identity.name,
            manufacturer="Chevet",
            model_number=sensor.identity.model,
            service_uuids=sensor.advertised_services,
        )
        assert row is not None
        assert row.name == f"Chevet {sensor.identity.model}"
