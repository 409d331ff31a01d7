"""Reading from where the caller says, on a real broker."""

import asyncio

import pytest
from aiokafka import TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, RecordsToDelete

from deploy.local.kafka import KafkaBroker
from ingest.errors import BrokerRefusedError
from ingest.kafka import create_topics, open_producer
from ingest.placed_consumer import PlacedConsumer, open_placed_consumer
from ingest.settings import KafkaSettings
from ingest.topics import Topic
from tests.waiting import WAIT_S

pytestmark = pytest.mark.usefixtures("no_task_left_behind")

N = 5


@pytest.fixture
def kafka(kafka_broker: KafkaBroker) -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers, n_partitions=1)


@pytest.fixture
async def topic(kafka: KafkaSettings, unique_name: str) -> Topic:
    made = Topic(name=unique_name, key="any", retention_ms=-1)
    await create_topics(kafka, [made])
    async with open_producer(kafka) as producer:
        await producer.send(made, [("a", b"%d" % n) for n in range(N)])
    return made


async def read(consumer: PlacedConsumer, n: int) -> list[bytes]:
    found: list[bytes] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < n:
            polled = await consumer.poll(timeout_s=0.2, n_records_max=100)
            found += [record.payload for record in polled]
    return found


async def test_it_reads_from_the_place_that_it_is_told_and_from_the_beginning_else(
    kafka: KafkaSettings, topic: Topic
) -> None:
    place = (topic.name, 0)
    async with open_placed_consumer(kafka, [topic], group=topic.name, offsets={}) as consumer:
        assert await read(consumer, N) == [b"%d" % n for n in range(N)]
        # What the group is told is never where it goes on.
        await consumer.commit({place: N, ("gone", 3): 7})
    async with open_placed_consumer(
        kafka, [topic], group=topic.name, offsets={place: 3}
    ) as consumer:
        assert await read(consumer, 2) == [b"3", b"4"]
        assert (consumer.n_gone, consumer.n_restarted) == (0, 0)


async def test_a_topic_that_was_made_anew_is_read_from_its_beginning(
    kafka: KafkaSettings, topic: Topic
) -> None:
    async with open_placed_consumer(
        kafka, [topic], group=topic.name, offsets={(topic.name, 0): 99}
    ) as consumer:
        assert await read(consumer, N) == [b"%d" % n for n in range(N)]
        assert (consumer.n_gone, consumer.n_restarted) == (0, 1)


async def test_records_that_the_broker_no_longer_has_are_counted(
    kafka: KafkaSettings, topic: Topic
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka.bootstrap_servers)
    await admin.start()
    try:
        await admin.delete_records({TopicPartition(topic.name, 0): RecordsToDelete(4)})
    finally:
        await admin.close()
    async with open_placed_consumer(
        kafka, [topic], group=topic.name, offsets={(topic.name, 0): 1}
    ) as consumer:
        assert await read(consumer, 1) == [b"4"]
        assert (consumer.n_gone, consumer.n_restarted) == (3, 0)


async def test_a_topic_that_is_not_there_is_named(kafka: KafkaSettings, unique_name: str) -> None:
    missing = Topic(name=f"{unique_name}-none", key="any", retention_ms=-1)

    with pytest.raises(BrokerRefusedError, match="has no topic"):
        async with open_placed_consumer(kafka, [missing], group=unique_name, offsets={}):
            pass
