"""Reading a topic's past: everything once, nothing twice, on both brokers."""

import asyncio
import contextlib

import pytest

from deploy.local.embedded_broker import EmbeddedBroker
from ingest.errors import BrokerError, BrokerRefusedError
from ingest.history import open_history
from ingest.kafka import ConsumedRecord, create_topics, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import DAY_MS, Topic

pytestmark = pytest.mark.usefixtures("no_task_left_behind")

PATIENCE_S = 60.0
KEYS = ("p-1", "p-2", "p-3", "p-4")


@pytest.fixture(
    params=["embedded_broker", pytest.param("kafka_broker", marks=pytest.mark.kafka)],
    ids=["embedded", "kafka"],
)
def settings(request: pytest.FixtureRequest) -> KafkaSettings:
    broker = request.getfixturevalue(request.param)
    return KafkaSettings(
        bootstrap_servers=broker.bootstrap_servers, n_partitions=6, request_timeout_s=10.0
    )


@pytest.fixture
async def topic(settings: KafkaSettings, unique_name: str) -> Topic:
    topic = Topic(name=unique_name, key="whatever", retention_ms=DAY_MS)
    await create_topics(settings, [topic])
    return topic


async def send(settings: KafkaSettings, topic: Topic, *numbers: int) -> None:
    """Send in one go: many records to a batch."""
    records = [(KEYS[n % len(KEYS)], str(n).encode()) for n in numbers]
    async with open_producer(settings) as producer:
        await producer.send(topic, records)


async def all_records(settings: KafkaSettings, topic: Topic) -> list[ConsumedRecord]:
    async with asyncio.timeout(PATIENCE_S), open_history(settings, topic) as history:
        return [record async for record in history.records()]


async def test_every_record_is_given_once_with_its_key_and_its_time(
    settings: KafkaSettings, topic: Topic
) -> None:
    await send(settings, topic, *range(100))
    await send(settings, topic, *range(100, 130))

    found = await all_records(settings, topic)

    assert sorted(int(record.payload) for record in found) == list(range(130))
    assert all(record.key == KEYS[int(record.payload) % 4].encode() for record in found)
    assert all(record.timestamp_ms for record in found)
    places = [(record.partition, record.offset) for record in found]
    assert places == sorted(set(places))


async def test_a_topic_without_records_is_soon_read(settings: KafkaSettings, topic: Topic) -> None:
    assert await all_records(settings, topic) == []


async def test_what_comes_while_it_is_read_belongs_to_no_reading(
    settings: KafkaSettings, topic: Topic
) -> None:
    await send(settings, topic, *range(40))
    first = []
    async with asyncio.timeout(PATIENCE_S), open_history(settings, topic) as history:
        async for record in history.records():
            first.append(int(record.payload))
            if len(first) == 40:
                await send(settings, topic, *range(40, 80))
        again = [int(record.payload) async for record in history.records()]

    assert sorted(first) == sorted(again) == list(range(40))


async def test_a_record_is_found_by_its_place_and_only_there(
    settings: KafkaSettings, topic: Topic
) -> None:
    await send(settings, topic, *range(40))
    one = (await all_records(settings, topic))[17]
    partition = one.partition

    async with asyncio.timeout(PATIENCE_S), open_history(settings, topic) as history:
        assert await history.record(partition, one.offset) == one
        n_there = len([each async for each in history.records() if each.partition == partition])
        assert await history.record(partition, n_there) is None
        assert await history.record(partition, n_there + 1_000_000) is None
        assert await history.record(6, 0) is None
        assert await history.record(partition, one.offset) == one


async def test_a_topic_that_is_not_there_is_named(
    settings: KafkaSettings, unique_name: str
) -> None:
    with pytest.raises(BrokerRefusedError, match=f"no topic {unique_name}.*chevet topics"):
        await all_records(settings, Topic(name=unique_name, key="none", retention_ms=DAY_MS))


async def test_a_broker_that_ends_in_between_is_an_error_and_no_end() -> None:
    topic = Topic(name="t", key="none", retention_ms=DAY_MS)
    with EmbeddedBroker() as broker:
        settings = KafkaSettings(
            bootstrap_servers=broker.bootstrap_servers, n_partitions=1, request_timeout_s=1.0
        )
        await create_topics(settings, [topic])
        await send(settings, topic, *range(40))

        async def read_while_it_ends() -> None:
            async with open_history(settings, topic) as history:
                async with contextlib.aclosing(history.records()) as records:
                    await anext(records)
                    broker.stop()
                async for _record in history.records():
                    pass

        async with asyncio.timeout(PATIENCE_S):
            with pytest.raises(BrokerError):
                await read_while_it_ends()
