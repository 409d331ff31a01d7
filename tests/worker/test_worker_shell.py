"""The worker without Faust, on real Kafka: what it stores and commits, and when it must not."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from deploy.local.kafka import KafkaBroker
from ingest.checkpoint_topic import CheckpointTopic
from ingest.codec import encode_frame
from ingest.kafka import create_topics
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES
from processors.settings import WorkerSettings
from processors.watchdog import Watchdog
from processors.worker import Worker
from tests.worker.running import frames_of, in_process, outputs_of

pytestmark = [pytest.mark.slow]

NUMBER = 3


@dataclass
class FakeGroup:
    """A group of one, whose commits can be looked at."""

    number: int = 1
    committed: dict[int, int] = field(default_factory=dict)
    began_at: int = 0
    went_back_to: list[tuple[int, int]] = field(default_factory=list)

    def generation(self) -> int:
        return self.number

    def highwater(self, number: int) -> int | None:
        return None

    def position(self, number: int) -> int | None:
        return None

    def buffered(self) -> int:
        return 0

    async def begin(self, number: int) -> int:
        return self.began_at

    async def go_back(self, number: int, offset: int) -> None:
        self.went_back_to.append((number, offset))

    async def commit(self, offsets: Mapping[int, int]) -> None:
        self.committed |= offsets


@dataclass
class Record:
    """A record as the stream would give it."""

    offset: int
    value: bytes | None
    topic: str = FRAMES.name
    partition: int = NUMBER
    key: bytes | None = None
    timestamp: float = 1_790_000_000.0
    generation_id: int = 1


@contextlib.asynccontextmanager
async def worker_of(
    kafka: KafkaSettings, group: FakeGroup, name: str, folder: Path
) -> AsyncIterator[Worker]:
    settings = WorkerSettings(
        kafka=kafka, group=name, data_dir=folder, checkpoint_interval_s=3_600.0
    )
    watchdog = Watchdog(60.0, kafka.bootstrap_servers)
    worker = Worker(settings, group, watchdog)
    running = asyncio.create_task(worker.run(), name="worker")
    await asyncio.sleep(0)
    worker.assigned([NUMBER], 1)
    yield worker
    await worker.stop()
    running.cancel()
    await asyncio.wait([running])


async def kept(kafka: KafkaSettings, name: str) -> list[str]:
    topic = CheckpointTopic(kafka, name)
    await topic.start()
    found = await topic.read([NUMBER])
    await topic.stop()
    return [key.rpartition("/")[0] for key in found[NUMBER]]


@pytest.fixture
async def kafka(kafka_broker: KafkaBroker) -> KafkaSettings:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    return settings


async def test_what_is_revoked_is_stored_and_committed(
    kafka: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    group = FakeGroup()

    async with worker_of(kafka, group, unique_name, tmp_path) as worker:
        for n, frame in enumerate(frames_of([unique_name], 3)):
            await worker.process(Record(n, encode_frame(frame)))
        await worker.process(Record(3, None))
        await worker.revoked()

    assert group.committed == {NUMBER: 4}
    assert await kept(kafka, unique_name) == [unique_name]


async def test_what_a_bug_has_left_is_neither_stored_nor_committed(
    kafka: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    group = FakeGroup()

    async with worker_of(kafka, group, unique_name, tmp_path) as worker:
        for n, frame in enumerate(frames_of([unique_name], 3)):
            await worker.process(Record(n, encode_frame(frame)))
        worker.failed()
        await worker.revoked()

    assert group.committed.get(NUMBER, 0) == 0
    assert await kept(kafka, unique_name) == []


async def test_records_of_an_assignment_that_is_over_are_left_to_whoever_has_them_now(
    kafka: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    group = FakeGroup()
    frames = frames_of([unique_name], 3)

    async with worker_of(kafka, group, unique_name, tmp_path) as worker:
        await worker.process(Record(0, encode_frame(frames[0])))
        await worker.revoked()
        group.number = 2
        await worker.process(Record(1, encode_frame(frames[1])))
        worker.assigned([NUMBER], 2)
        await worker.process(Record(1, encode_frame(frames[1])))
        await worker.process(Record(1, encode_frame(frames[1]), generation_id=2))
        await worker.revoked()

    assert group.committed == {NUMBER: 2}


async def test_records_that_were_passed_over_are_read_again(
    kafka: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    """The client goes on at 4 where 2 is due, and later at 7 where 5 is."""
    group = FakeGroup(began_at=2)
    frames = frames_of([unique_name], 9)

    async with worker_of(kafka, group, unique_name, tmp_path) as worker:
        for n in (4, 5, 2, 3, 4, 7, 8, 5, 6, 7, 8):
            await worker.process(Record(n, encode_frame(frames[n])))
        await worker.revoked()

    assert group.went_back_to == [(NUMBER, 2), (NUMBER, 5)]
    assert group.committed == {NUMBER: 9}
    expected = in_process(frames[2:])
    async with outputs_of(kafka, [unique_name]) as outputs:
        await outputs.at_least(len(expected))
        assert outputs.found == expected


async def test_records_that_are_gone_are_not_waited_for(
    kafka: KafkaSettings, tmp_path: Path, unique_name: str
) -> None:
    group = FakeGroup(began_at=2)
    frames = frames_of([unique_name], 8)

    async with worker_of(kafka, group, unique_name, tmp_path) as worker:
        for n in (4, 5, 4, 5, 6, 7):
            await worker.process(Record(n, encode_frame(frames[n])))
        await worker.revoked()

    assert group.went_back_to == [(NUMBER, 2)]
    assert group.committed == {NUMBER: 8}
