"""Faults on purpose, at random, and every sample's fate counted on both ends.

on air = acknowledged + in gaps, by cause: for every channel, to the sample, whatever happened.
"""

import asyncio
import secrets
from collections import Counter
from collections.abc import Awaitable, Callable
from pathlib import Path
from random import Random
from resource import RLIM_INFINITY, RLIMIT_FSIZE, prlimit

import pytest

from deploy.local.kafka import KafkaBroker
from edge.clocks.clock_hull import LATE_NS
from edge.virtual.peripheral import ChannelCounters, Peripheral
from edge.virtual.pmd_offers import FRAME_S
from ingest.frame import NS_PER_S, Frame
from ingest.kafka import create_topics
from ingest.settings import KafkaSettings
from tests.faults.ward import Sums, Ward, jumps_of, sums_of
from tests.waiting import until

# Every wait has its own bound; together they may take longer on a busy machine.
pytestmark = [pytest.mark.slow, pytest.mark.timeout(480)]

Fault = Callable[[Ward, Random], Awaitable[None]]


# The faults


async def lost_on_the_air(ward: Ward, rng: Random) -> None:
    ward.strap.drop_next_notifications(rng.randint(1, 8))


async def sent_twice(ward: Ward, rng: Random) -> None:
    ward.strap.repeat_next_notifications(rng.randint(1, 8))


async def out_of_order(ward: Ward, rng: Random) -> None:
    ward.strap.swap_next_notifications(rng.randint(1, 4))


async def silent_for_a_moment(ward: Ward, rng: Random) -> None:
    """Shorter than the supervision timeout: everything is sent again."""
    address = ward.strap.identity.address
    ward.ether.silence(address)
    await asyncio.sleep(rng.uniform(0.05, 0.3))
    ward.ether.restore(address)


async def link_lost(ward: Ward, rng: Random) -> None:
    sensor = rng.choice(ward.sensors)
    ward.ether.silence(sensor.identity.address)
    await until(lambda: not sensor.connected, "the link is lost")
    await asyncio.sleep(rng.uniform(0, 0.5))
    ward.ether.restore(sensor.identity.address)


async def adapter_pulled_out(ward: Ward, rng: Random) -> None:
    await ward.radio.unplug()
    await asyncio.sleep(rng.uniform(0, 1.0))
    await ward.radio.plug_in()


async def power_lost(ward: Ward, _rng: Random) -> None:
    """The sensor begins anew, in 2019."""
    with ward.jump():
        await ward.strap.pmd.lose_power()


async def clock_set(ward: Ward, _rng: Random) -> None:
    """The sensor's clock falls back, and its streams go on."""
    with ward.jump():
        ward.strap.pmd.reset_clock()


async def killed(ward: Ward, rng: Random) -> None:
    await asyncio.sleep(rng.uniform(0, 0.5))
    await ward.kill()
    await asyncio.sleep(rng.uniform(0, 0.3))
    await ward.start()


async def disk_full(ward: Ward, rng: Random) -> None:
    """No file of the agent may grow beyond some kilobytes, which its log does not reach."""
    prlimit(ward.pid, RLIMIT_FSIZE, (rng.randint(50_000, 100_000), RLIM_INFINITY))
    await until(lambda: "frame_not_spooled" in ward.log(), "a Frame is not spooled", ward.state)
    await asyncio.sleep(rng.uniform(0.0, 1.0))
    prlimit(ward.pid, RLIMIT_FSIZE, (RLIM_INFINITY, RLIM_INFINITY))


N_KILLS = 50
N_WARDS = 5
OUTAGE_SPEED = 15.0
TOLD_S = 0.001
"""A jump is told in whole milliseconds; a channel's samples are, too."""

EVERY_FAULT: tuple[Fault, ...] = (
    lost_on_the_air,
    sent_twice,
    out_of_order,
    silent_for_a_moment,
    link_lost,
    adapter_pulled_out,
    power_lost,
    clock_set,
    killed,
    disk_full,
)


# The sums


def account(ward: Ward, frames: list[Frame]) -> dict[tuple[str, str], Sums]:
    """Print the sums of every channel, and hold them against what the sensors took."""
    sums = sums_of(frames)
    jumps = jumps_of(frames)
    for (device_id, channel), one in sorted(sums.items()):
        print(f"{ward.name}  {device_id}  {channel:>6}  {one.line()}")
        assert (one.twice, one.holes) == (0, 0), (device_id, channel)
    for sensor in ward.sensors:
        kind = sensor.identity.model.lower().replace(" ", "-")
        found = {channel: one for (device, channel), one in sums.items() if device.startswith(kind)}
        for channel, taken in sensor.channels.items():
            if taken.produced == 0:
                continue
            # While a sensor had no power it took nothing; to the agent that is a gap like others.
            on_air = taken.produced + taken.n_between
            print(
                f"{ward.name}  {sensor.identity.model}  {channel:>6}  took {taken.produced}, "
                f"and {taken.n_between} would have been taken without power"
            )
            most = tolerance(ward, sensor, taken, jumps)
            assert abs(found[channel].on_air - on_air) <= most, (channel, on_air, most)
    return sums


def tolerance(
    ward: Ward, sensor: Peripheral, taken: ChannelCounters, jumps_s: list[float]
) -> float:
    """Give the samples by which a count may be off: none, while the sensor's clock ran.

    Across a clock that was set nobody can count but by our own, which has the delays of radio and
    host in it: what the agent says of the jumps is wrong by them, and the count by as much. What is
    less than half a payload it takes for such a delay.
    """
    if sensor is not ward.strap or not ward.jumps_s:
        return 0
    wrong_s = abs(sum(jumps_s) - sum(ward.jumps_s))
    print(f"{ward.name}  set by {ward.jumps_s} s, as told {jumps_s} s")
    # A clock that is set back by less, while nobody listens, looks like a payload held up.
    assert wrong_s <= len(ward.jumps_s) * LATE_NS / NS_PER_S
    n_jumps = max(len(jumps_s), len(ward.jumps_s))
    rate_hz = taken.sampling_rate_hz or 0.0
    return rate_hz * (wrong_s + n_jumps * (FRAME_S / 2 + TOLD_S))


async def run_schedule(ward: Ward, faults: list[Fault], rng: Random) -> dict[str, int]:
    """Do one fault after the other, each after some samples; give the samples in gaps by cause."""
    async with ward.open():
        await ward.start()
        await ward.until_numbered()
        for fault in faults:
            ward.done.append(fault.__name__)
            await fault(ward, rng)
            await ward.until_sent(rng.randint(10, 200))
        await ward.until_begun()
        await ward.until_in_order()
        # Four payloads that are late show that a clock was set back.
        await ward.until_sent(600)
        await ward.stop()
        sums = account(ward, await ward.frames())
    causes: Counter[str] = Counter()
    for one in sums.values():
        causes += one.gaps
    return causes


@pytest.fixture
async def kafka(kafka_broker: KafkaBroker) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    return settings


def new_ward(kafka: KafkaSettings, folder: Path, name: str) -> Ward:
    place = folder / name
    place.mkdir()
    return Ward(f"p-{name}-{secrets.token_hex(4)}", kafka, place)


async def test_fifty_kills_and_every_other_fault_at_random(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    seed = secrets.randbits(32)
    print(f"seed {seed}")
    wards = [new_ward(kafka, tmp_path, str(i)) for i in range(N_WARDS)]
    async with asyncio.TaskGroup() as tasks:
        runs = [
            tasks.create_task(run_schedule(ward, schedule(seed + i), Random(seed + i)))
            for i, ward in enumerate(wards)
        ]
    causes = sum((Counter(run.result()) for run in runs), Counter[str]())
    n_kills = sum(ward.n_kills for ward in wards)

    print(f"{n_kills} kills; samples in gaps: {dict(causes)}")
    assert n_kills == N_KILLS
    assert set(causes) <= {"radio_loss", "link_lost", "agent_down"}
    assert causes["agent_down"] > 0


def schedule(seed: int) -> list[Fault]:
    """Give a ward's share of the kills, and every other fault once, in a random order."""
    others = [fault for fault in EVERY_FAULT if fault is not killed]
    faults = [*others, *[killed] * (N_KILLS // N_WARDS)]
    Random(seed).shuffle(faults)
    return faults


async def test_a_broker_that_is_away_for_ten_minutes_of_the_sensors_time(tmp_path: Path) -> None:
    with KafkaBroker() as broker:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
        await create_topics(kafka)
        # A machine that stands still for two seconds is no stream that does.
        ward = Ward("p-outage", kafka, tmp_path, speed=OUTAGE_SPEED)
        ward.more_settings = {"stream_silence_s": 60.0, "stream_silence_periods": 1000}
        async with ward.open():
            await ward.start()
            await ward.until_numbered()
            await ward.until_sent(1000)
            await asyncio.to_thread(broker.stop)
            begun_ns = ward.clock.now_ns()
            while ward.clock.now_ns() - begun_ns < 600 * NS_PER_S:  # noqa: ASYNC110
                await asyncio.sleep(0.5)
            await asyncio.to_thread(broker.start)
            await ward.until_sent(1000)
            await ward.stop()
            sums = account(ward, await ward.frames())
    assert {cause for one in sums.values() for cause in one.gaps} == set()
    assert max(one.stored for one in sums.values()) > 600 * 250
