"""The virtual armband, seen from a central: samples bit for bit, SDK mode, clock, intervals."""

from fractions import Fraction

import numpy as np
import pytest
from bleak.exc import BleakError
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray

from devices import uuids
from devices.errors import EncodeError
from devices.heart_rate import decode_heart_rate
from devices.polar_frames import PMD_EPOCH_UNIX_NS, PmdFrame, encode_frame, pulse_intervals
from devices.polar_models import DEFAULT_TIME_NS, POLAR_MODELS
from devices.polar_pmd import (
    NO_MEASUREMENT,
    GetSdkModeQuery,
    GetSdkSettingsRequest,
    GetStatusQuery,
    PmdFeatures,
    PmdMeasurement,
    PmdSettings,
    PmdStatus,
    StartRequest,
    StopRequest,
    decode_indication,
    decode_settings,
    decode_start_factor,
    encode_request,
)
from devices.polar_queries import decode_measurement_status, decode_sdk_mode
from edge.virtual.armband import (
    MODEL,
    Armband,
    light_columns,
    light_counts,
    pulse_interval,
    rocking_arm_mdps,
)
from edge.virtual.ether import Ether
from edge.virtual.peripheral import Identity
from edge.virtual.pmd_offers import (
    FRAME_BYTES_MAX,
    DeviceClock,
    StreamOffer,
)
from edge.virtual.strap import Strap, still_person_mg
from ingest.errors import RecordingError
from ingest.recording import Recording, Signal
from tests.edge_virtual.conftest import (
    ADVERTISING_INTERVAL_MS,
    START_NS,
    HandClock,
    Inbox,
    Pmd,
    World,
    ecg_recording,
    ppg_recording,
)
from tests.waiting import until

ACC = PmdMeasurement.ACC
ECG = PmdMeasurement.ECG
GYRO = PmdMeasurement.GYRO
PPG = PmdMeasurement.PPG
PPI = PmdMeasurement.PPI
SDK_MODE = PmdMeasurement.SDK_MODE
NS_PER_S = 1_000_000_000
SDK_STREAMS = POLAR_MODELS["Polar Verity Sense"].sdk_streams
IDENTITY = Identity(model=MODEL, serial="0001", address="C4:E7:04:00:00:01")


async def worn(
    world: World, *, recording: Recording | None = None, drift_ppm: float = 0.0
) -> Armband:
    """Put a running armband on the recorded person."""
    armband = Armband(
        world.ether,
        IDENTITY,
        world.clock,
        world.body(recording or ppg_recording(with_numerics=False)),
        drift_ppm=drift_ppm,
        advertising_interval_ms=ADVERTISING_INTERVAL_MS,
    )
    await world._stack.enter_async_context(armband.running())
    return armband


async def heard(world: World, peripheral: Armband | Strap) -> Pmd:
    """Connect and subscribe."""
    agent = await world.agent()
    return await Pmd(await agent.connect(peripheral)).subscribe()


def samples_of(pmd: Pmd, measurement: PmdMeasurement) -> NDArray[np.int32]:
    frames = [frame.samples for frame in pmd.frames.items if frame.measurement is measurement]
    return np.concatenate(frames)


def frames_of(pmd: Pmd, measurement: PmdMeasurement) -> list[PmdFrame]:
    return [frame for frame in pmd.frames.items if frame.measurement is measurement]


# Streams


async def test_features_and_settings_are_those_of_a_verity_sense(world: World) -> None:
    armband = await worn(world)
    agent = await world.agent()
    client = await agent.connect(armband)
    pmd = await Pmd(client).subscribe()

    features = decode_indication(bytes(await client.read_gatt_char(uuids.PMD_CONTROL_POINT)))

    assert features == PmdFeatures(measurements=frozenset({PPG, ACC, GYRO, PPI, SDK_MODE}))
    ppg = await pmd.settings(PPG)
    # What a Verity Sense sends.
    assert ppg.parameters == bytes.fromhex("00 01 37 00 01 01 16 00 04 01 04")
    assert decode_settings((await pmd.settings(ACC)).parameters) == PmdSettings(
        sample_rates_hz=(52,), resolutions_bits=(16,), ranges=(8,), n_channels=(3,)
    )
    assert (await pmd.settings(PPI)).status == PmdStatus.SUCCESS
    assert (await pmd.settings(SDK_MODE)).status == PmdStatus.NOT_SUPPORTED


async def test_light_arrives_bit_for_bit_on_four_channels(world: World) -> None:
    armband = await worn(world)
    pmd = await heard(world, armband)
    await world.clock.advance(1.234)

    assert (await pmd.start(PPG, 55)).status == PmdStatus.SUCCESS
    await world.clock.advance(3.0)
    assert (await pmd.stop(PPG)).status == PmdStatus.SUCCESS

    counters = armband.channels["ppg/0"]
    i_first = counters.i_first
    assert i_first == 68
    assert counters.produced == counters.sent == pmd.n_samples == 233 - 68
    signal = ppg_recording(with_numerics=False).signals[0]
    expected = light_columns(light_counts(signal), 125.0, 55, seed=0)[68:233]
    np.testing.assert_array_equal(samples_of(pmd, PPG), expected)
    assert all(frame.compressed and frame.frame_type == 0 for frame in pmd.frames.items)
    i_last = i_first - 1
    for frame in pmd.frames.items:
        i_last += len(frame.samples)
        t_ns = frame.timestamp_ns + PMD_EPOCH_UNIX_NS - START_NS
        assert t_ns == round(i_last * NS_PER_S / 55)


async def test_acceleration_and_angular_velocity_come_with_their_factor(world: World) -> None:
    armband = await worn(world)
    pmd = await heard(world, armband)

    acc_factor = decode_start_factor((await pmd.start(ACC, 52)).parameters)
    gyro_factor = decode_start_factor((await pmd.start(GYRO, 52)).parameters)
    await world.clock.advance(2.0)
    await pmd.stop(ACC)
    await pmd.stop(GYRO)

    assert (acc_factor, gyro_factor) == (8000 / 32768, 2000 / 32768)
    acceleration_mg = still_person_mg(52, seed=0)[:105]
    np.testing.assert_array_equal(samples_of(pmd, ACC), np.rint(acceleration_mg / acc_factor))
    scaled = np.concatenate([frame.scaled(acc_factor) for frame in frames_of(pmd, ACC)])
    np.testing.assert_allclose(scaled, acceleration_mg, atol=acc_factor / 2)
    velocity_mdps = rocking_arm_mdps(52, seed=0)[:105]
    counts = np.rint(velocity_mdps / (1000 * gyro_factor))
    np.testing.assert_array_equal(samples_of(pmd, GYRO), counts)
    assert np.linalg.norm(scaled, axis=1).mean() == pytest.approx(1000, abs=20)
    assert armband.channels["gyro/z"].produced == 105


async def test_all_streams_share_the_link(world: World) -> None:
    armband = await worn(world)
    pmd = await heard(world, armband)

    for measurement in (PPG, ACC, GYRO, PPI):
        assert (await pmd.start(measurement)).status == PmdStatus.SUCCESS
    assert armband.pmd.running == {PPG, ACC, GYRO, PPI}
    await world.clock.advance(30.0)
    for measurement in (PPG, ACC, GYRO, PPI):
        assert (await pmd.stop(measurement)).status == PmdStatus.SUCCESS

    assert len(samples_of(pmd, PPG)) == 30 * 55 + 1
    assert len(samples_of(pmd, ACC)) == len(samples_of(pmd, GYRO)) == 30 * 52 + 1
    for counters in (*armband.channels.values(), *armband.readings.values()):
        assert counters.produced == counters.sent + counters.unsent
    assert all(counters.unsent == 0 for counters in armband.channels.values())


async def test_recording_that_begins_again_goes_on_in_the_light(world: World) -> None:
    armband = await worn(world)
    pmd = await heard(world, armband)

    await pmd.start(PPG)
    await world.clock.advance(45.0)
    await pmd.stop(PPG)

    signal = ppg_recording(with_numerics=False).signals[0]
    once = light_columns(light_counts(signal), 125.0, 55, seed=0)
    assert len(once) == 20 * 55
    np.testing.assert_array_equal(samples_of(pmd, PPG), np.tile(once, (3, 1))[: 45 * 55 + 1])


# SDK mode


async def test_sdk_mode_widens_the_settings(world: World) -> None:
    armband = await worn(world)
    pmd = await heard(world, armband)

    offered = await pmd.ask(GetSdkSettingsRequest(measurement=ACC))
    assert decode_settings(offered.parameters) == SDK_STREAMS[ACC]
    assert (await pmd.start(ACC, 416)).status == PmdStatus.INVALID_SAMPLE_RATE

    assert (await pmd.ask(StartRequest(measurement=SDK_MODE))).status == PmdStatus.SUCCESS
    assert decode_sdk_mode((await pmd.ask_raw(b"\x06")).parameters)
    assert decode_settings((await pmd.settings(PPG)).parameters) == SDK_STREAMS[PPG]
    assert decode_settings((await pmd.settings(GYRO)).parameters) == SDK_STREAMS[GYRO]
    settings = PmdSettings(sample_rates_hz=(416,), ranges=(2,))
    started = await pmd.ask(StartRequest(measurement=ACC, settings=settings))
    factor = decode_start_factor(started.parameters)
    await world.clock.advance(2.0)
    await pmd.stop(ACC)

    assert factor == 2000 / 32768
    expected = np.rint(still_person_mg(416, seed=0)[:833] / factor)
    np.testing.assert_array_equal(samples_of(pmd, ACC), expected)


async def test_sdk_mode_does_not_change_while_a_stream_runs(world: World) -> None:
    armband = await worn(world)
    pmd = await heard(world, armband)
    on, off = StartRequest(measurement=SDK_MODE), StopRequest(measurement=SDK_MODE)

    await pmd.start(ACC)
    assert (await pmd.ask(on)).status == PmdStatus.INVALID_STATE
    await pmd.stop(ACC)
    assert (await pmd.ask(off)).status == PmdStatus.ALREADY_IN_STATE
    assert (await pmd.ask(on)).status == PmdStatus.SUCCESS
    assert (await pmd.ask(on)).status == PmdStatus.ALREADY_IN_STATE
    await pmd.start(PPG, 176)
    assert (await pmd.ask(off)).status == PmdStatus.INVALID_STATE
    assert armband.pmd.sdk_mode
    await pmd.stop(PPG)
    assert (await pmd.ask(off)).status == PmdStatus.SUCCESS
    assert not armband.pmd.sdk_mode


async def test_no_algorithm_runs_in_sdk_mode(world: World) -> None:
    armband = await worn(world)
    agent = await world.agent()
    client = await agent.connect(armband)
    pmd = await Pmd(client).subscribe()
    rates = Inbox(decode_heart_rate)
    await client.start_notify(uuids.HEART_RATE_MEASUREMENT, rates)
    await world.clock.advance(12.0)
    await rates.count(12)
    assert rates.items[-1].heart_rate_bpm == 75  # pulses 0.8 s apart
    assert rates.items[-1].rr_intervals_s == ()

    await pmd.ask(StartRequest(measurement=SDK_MODE))
    assert (await pmd.start(PPI)).status == PmdStatus.NOT_SUPPORTED
    await world.clock.advance(5.0)

    assert len(rates.items) == 12
    assert armband.readings["heart_rate"].sent == 12


async def test_status_says_what_runs(world: World) -> None:
    armband = await worn(world)
    pmd = await heard(world, armband)
    await pmd.start(GYRO)

    answer = await pmd.ask_raw(encode_request(GetStatusQuery()))
    sdk_mode = await pmd.ask_raw(encode_request(GetSdkModeQuery()))

    assert answer.status == PmdStatus.SUCCESS
    running = {row.measurement: row.online for row in decode_measurement_status(answer.parameters)}
    assert running == {PPG: False, ACC: False, GYRO: True, PPI: False}
    assert not decode_sdk_mode(sdk_mode.parameters)


async def test_strap_knows_nothing_of_sdk_mode(world: World) -> None:
    strap = await world.strap()
    pmd = await heard(world, strap)

    answers = [
        await pmd.ask(GetSdkSettingsRequest(measurement=ACC)),
        await pmd.ask_raw(b"\x05"),
        await pmd.ask_raw(b"\x06"),
        await pmd.ask(StartRequest(measurement=SDK_MODE)),
    ]

    assert [answer.status for answer in answers] == [
        PmdStatus.INVALID_OP_CODE,
        PmdStatus.INVALID_OP_CODE,
        PmdStatus.INVALID_OP_CODE,
        PmdStatus.INVALID_MEASUREMENT_TYPE,
    ]


async def test_commands_that_are_too_short_or_too_early_are_refused(world: World) -> None:
    armband = await worn(world)
    agent = await world.agent()
    client = await agent.connect(armband)

    with pytest.raises(BleakError):  # its answer could not be heard
        await client.write_gatt_char(uuids.PMD_CONTROL_POINT, b"\x01\x02", response=True)
    pmd = await Pmd(client).subscribe()
    with pytest.raises(BleakError):
        await client.write_gatt_char(uuids.PMD_CONTROL_POINT, b"", response=True)
    answer = await pmd.ask_raw(b"\x01")

    assert answer.status == PmdStatus.INVALID_PARAMETER
    assert answer.measurement == NO_MEASUREMENT


# Intervals


async def test_intervals_come_after_a_warm_up_and_each_once(world: World) -> None:
    armband = await worn(world)
    pmd = await heard(world, armband)

    await pmd.start(PPI)
    await world.clock.advance(24.9)
    assert pmd.n_samples == 0
    await world.clock.advance(15.2)
    await pmd.stop(PPI)

    intervals = [row for frame in pmd.frames.items for row in pulse_intervals(frame)]
    # Pulses at 0.5, 1.3 … 19.7 s of 20 s of recording, over and over: those from 20 s to 40 s.
    assert [frame.timestamp_ns for frame in pmd.frames.items] == [0, 0, 0, 0]
    beats = armband._beats
    assert beats is not None
    expected_ms = [round(1000 * rr) for rr in beats.rr_intervals_s(20.0, 40.0)]
    assert [row.interval_ms for row in intervals] == expected_ms
    assert len(intervals) == 25
    assert sum(row.interval_ms for row in intervals) == pytest.approx(20_000, abs=25)
    counters = armband.readings["pp_interval"]
    assert counters.produced == counters.sent == 25
    assert all(row.contact and not row.blocked for row in intervals)
    assert {row.heart_rate_bpm for row in intervals} == {75}


async def test_person_without_known_beats_has_no_intervals(world: World) -> None:
    recording = ppg_recording(with_numerics=True)
    without = Recording(
        name="made", signals=recording.signals, numerics=recording.numerics, source="made"
    )
    armband = await worn(world, recording=without)
    pmd = await heard(world, armband)

    assert (await pmd.start(PPI)).status == PmdStatus.INVALID_MEASUREMENT_TYPE
    assert "pp_interval" not in armband.readings
    assert armband.heart_rate_at(START_NS + NS_PER_S).heart_rate_bpm == 61


@pytest.mark.parametrize(
    ("interval_s", "bpm", "interval_ms"), [(0.8, 75, 800), (0.1, 255, 100), (63.99, 1, 63990)]
)
def test_intervals_are_written_as_far_as_a_byte_reaches(
    interval_s: float, bpm: int, interval_ms: int
) -> None:
    row = pulse_interval(interval_s)

    assert (row.heart_rate_bpm, row.interval_ms) == (bpm, interval_ms)


# The device's clock


async def test_drift_shows_in_the_times_and_in_the_number_of_samples(world: World) -> None:
    armband = await worn(world, drift_ppm=400.0)
    pmd = await heard(world, armband)

    await pmd.start(PPG)
    await world.clock.advance(500.0)
    await pmd.stop(PPG)

    assert len(samples_of(pmd, PPG)) == 500 * 55 + 1 + 11  # 400 ppm of 27500
    last = pmd.frames.items[-1]
    elapsed_ns = last.timestamp_ns + PMD_EPOCH_UNIX_NS - START_NS
    assert elapsed_ns == pytest.approx(500 * NS_PER_S * 1.0004, abs=NS_PER_S / 55)
    # On the device's own clock the rate is the nominal one.
    times_ns = [frame.timestamp_ns for frame in pmd.frames.items]
    n_between = sum(len(frame.samples) for frame in pmd.frames.items[1:])
    assert times_ns[-1] - times_ns[0] == pytest.approx(n_between * NS_PER_S / 55, abs=2)


async def test_strap_drifts_too(world: World) -> None:
    strap = Strap(
        world.ether,
        Identity(model="Virtual Strap", serial="0009", address="C4:E7:01:00:00:09"),
        world.clock,
        world.body(ecg_recording()),
        drift_ppm=-80.0,
        advertising_interval_ms=ADVERTISING_INTERVAL_MS,
    )
    await world._stack.enter_async_context(strap.running())
    pmd = await heard(world, strap)

    await pmd.start(ECG)
    await world.clock.advance(100.0)
    await pmd.stop(ECG)

    counts = ecg_recording().signals[0].counts
    assert pmd.n_samples == 25_000 + 1 - 2  # 80 ppm of 25000
    assert pmd.samples() == np.take(counts, range(pmd.n_samples), mode="wrap").tolist()


async def test_clock_reset_moves_the_times_and_no_sample(world: World) -> None:
    armband = await worn(world)
    pmd = await heard(world, armband)
    await pmd.start(PPG)
    await world.clock.advance(10.0)

    armband.pmd.reset_clock()
    await world.clock.advance(10.0)
    await pmd.stop(PPG)

    times_ns = [frame.timestamp_ns for frame in pmd.frames.items]
    steps_ns = np.diff(times_ns)
    (i_jump,) = np.flatnonzero(steps_ns < 0)
    assert DEFAULT_TIME_NS < times_ns[i_jump + 1] < DEFAULT_TIME_NS + NS_PER_S
    assert (np.delete(steps_ns, i_jump) > 0).all()
    signal = ppg_recording(with_numerics=False).signals[0]
    once = light_columns(light_counts(signal), 125.0, 55, seed=0)
    np.testing.assert_array_equal(samples_of(pmd, PPG), np.tile(once, (2, 1))[: 20 * 55 + 1])


async def test_lost_power_ends_link_streams_and_sdk_mode(world: World) -> None:
    armband = await worn(world)
    pmd = await heard(world, armband)
    await pmd.ask(StartRequest(measurement=SDK_MODE))
    await pmd.start(ACC, 104)
    await world.clock.advance(5.0)
    await pmd.frames.until(lambda _: pmd.n_samples >= 500)

    await world.clock.advance(0.1)
    await armband.pmd.lose_power()
    await until(lambda: not armband.connected)
    await world.clock.advance(5.0)

    assert armband.pmd.running == frozenset()
    assert not armband.pmd.sdk_mode
    counters = armband.channels["acc/x"]
    assert counters.produced == int(5.1 * 104) + 1 == counters.sent + counters.unsent
    assert counters.sent == pmd.n_samples
    assert counters.unsent > 0
    again = await heard(world, armband)
    await again.start(ACC)
    await world.clock.advance(1.0)
    await again.stop(ACC)
    first = again.frames.items[0]
    assert DEFAULT_TIME_NS + 5 * NS_PER_S < first.timestamp_ns < DEFAULT_TIME_NS + 6 * NS_PER_S


@given(
    drift_ppm=st.floats(-200, 200),
    elapsed_ns=st.integers(0, 10**18),
    step_ns=st.integers(1, 10**12),
)
def test_a_drifting_clock_never_stands_still(
    drift_ppm: float, elapsed_ns: int, step_ns: int
) -> None:
    clock = DeviceClock(START_NS, drift_ppm)

    earlier = clock.device_ns(START_NS + elapsed_ns)
    later = clock.device_ns(START_NS + elapsed_ns + step_ns)

    assert later - earlier == pytest.approx(
        step_ns * (1 + drift_ppm * 1e-6), abs=2 + step_ns * 1e-9
    )
    assert DeviceClock(START_NS).device_ns(START_NS + elapsed_ns) == (
        START_NS + elapsed_ns - PMD_EPOCH_UNIX_NS
    )
    assert DeviceClock(START_NS).rate(55) == 55
    assert clock.rate(50) == 50 * (1 + Fraction(round(drift_ppm * 1000), 10**9))


# What cannot be


async def test_recordings_that_an_armband_cannot_play_are_refused() -> None:
    world_ether, clock = Ether(), HandClock()
    wide = Signal(
        name="PPG",
        kind="pleth",
        unit="1",
        sampling_rate=Fraction(125),
        counts=np.array([-(1 << 22), 0, 1 << 22], dtype=np.int32),
        scale=1.0,
    )
    body = World(over_tcp=False, stack=None).body  # type: ignore[arg-type]

    with pytest.raises(RecordingError, match="has no photoplethysmogram"):
        Armband(world_ether, IDENTITY, clock, body(ecg_recording()))
    with pytest.raises(RecordingError, match="beyond 22 bits"):
        light_counts(wide)


def test_light_loses_its_baseline_only_if_it_must() -> None:
    high = Signal(
        name="PPG",
        kind="pleth",
        unit="1",
        sampling_rate=Fraction(125),
        counts=np.array([1 << 22, (1 << 22) + 7, (1 << 22) - 9], dtype=np.int32),
        scale=1.0,
    )

    assert light_counts(high).tolist() == [0, 7, -9]


def offers(world_recording: Recording) -> list[StreamOffer]:
    world = World(over_tcp=False, stack=None)  # type: ignore[arg-type]
    armband = Armband(world.ether, IDENTITY, world.clock, world.body(world_recording))
    return [o for o in armband.pmd._offers.values() if isinstance(o, StreamOffer)]


async def test_longest_frames_fit_whatever_their_samples_are() -> None:
    rng = np.random.default_rng(1)
    for offer in offers(ppg_recording(with_numerics=False)):
        n_samples = offer.n_per_frame_max
        column = offer.layout.columns[0]
        shape = (n_samples + 1, len(offer.layout.columns))
        wild = rng.choice([column.count_min, column.count_max], shape).astype(np.int32)

        lengths = [
            len(
                encode_frame(
                    measurement=offer.measurement,
                    timestamp_ns=0,
                    samples=wild[:n],
                    frame_type=offer.frame_type,
                    compressed=True,
                )
            )
            for n in (n_samples, n_samples + 1)
        ]

        assert lengths[0] <= FRAME_BYTES_MAX < lengths[1]


async def test_samples_beyond_the_range_are_clipped() -> None:
    (_, acc, _) = offers(ppg_recording(with_numerics=False))
    settings = PmdSettings(sample_rates_hz=(52,), ranges=(8,))

    counts = acc.counts(np.array([[9000, -9000, 1000]], dtype=np.int32), settings)

    assert counts.tolist() == [[32767, -32768, 4096]]
    with pytest.raises(EncodeError):
        encode_frame(
            measurement=ACC,
            timestamp_ns=0,
            samples=np.array([[40000, 0, 0]], dtype=np.int32),
            frame_type=1,
            compressed=True,
        )
