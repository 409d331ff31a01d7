"""Workers that are killed, joined, left and cut off: what comes out is what would have come out."""

import asyncio
import random
from pathlib import Path

import pytest

from deploy.local.embedded_broker import EmbeddedBroker
from deploy.local.kafka import KafkaBroker
from ingest.kafka import create_topics
from ingest.settings import KafkaSettings
from tests.worker.running import RunningWorker, frames_of, in_process, outputs_of, send

SECONDS = 60
N_KILLS = 3

pytestmark = [pytest.mark.slow, pytest.mark.timeout(170)]


@pytest.fixture(params=["kafka_broker", "embedded_broker"])
def settings(request: pytest.FixtureRequest) -> KafkaSettings:
    broker: KafkaBroker | EmbeddedBroker = request.getfixturevalue(request.param)
    return KafkaSettings(bootstrap_servers=broker.bootstrap_servers)


async def test_a_worker_killed_at_random_gives_what_an_undisturbed_one_gives(
    settings: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    await create_topics(settings)
    names = [f"{unique_name}-{n}" for n in range(3)]
    frames = frames_of(names, SECONDS)
    expected = in_process(frames)
    seed = random.randrange(2**32)
    print(f"seed {seed}")
    rng = random.Random(seed)
    kills = sorted(rng.uniform(0.05, 0.9) for _ in range(N_KILLS))

    async with outputs_of(settings, names) as outputs:
        n_sent = 0
        with RunningWorker(settings, tmp_path, unique_name) as worker:
            for part in kills:
                n_frames = int(len(frames) * part)
                await send(settings, frames[n_sent:n_frames])
                n_sent = n_frames
                # Somewhere in what was sent, and with some states stored but not all.
                await outputs.at_least(int(len(expected) * part * rng.uniform(0.5, 0.9)))
                await asyncio.sleep(rng.uniform(0.0, 1.0))
                worker.kill_and_start()
            await send(settings, frames[n_sent:])
            await outputs.at_least(len(expected))
            assert worker.stop() == 0

    assert outputs.found == expected


async def test_workers_that_come_and_go_leave_nothing_out_and_change_nothing(
    kafka_broker: KafkaBroker, tmp_path: Path, unique_name: str
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    names = [f"{unique_name}-{n}" for n in range(4)]
    frames = frames_of(names, SECONDS)
    expected = in_process(frames)
    quarter = len(frames) // 4

    async with outputs_of(settings, names) as outputs:
        with RunningWorker(settings, tmp_path, unique_name) as first:
            await send(settings, frames[:quarter])
            await outputs.at_least(len(expected) // 8)
            with RunningWorker(settings, tmp_path, unique_name) as second:
                await second.until_ready()
                await send(settings, frames[quarter : 2 * quarter])
                await outputs.at_least(len(expected) // 3)
                assert second.stop() == 0
            with RunningWorker(settings, tmp_path, unique_name) as third:
                await third.until_ready()
                await send(settings, frames[2 * quarter : 3 * quarter])
                first.kill()  # its partitions go to the third when its session has ended
                await send(settings, frames[3 * quarter :])
                await outputs.at_least(len(expected))
                assert third.stop() == 0

    assert outputs.found == expected
