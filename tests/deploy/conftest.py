"""Kafka clients for the tests of the brokers."""

from collections.abc import Awaitable, Callable
from typing import Protocol

import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

N_RECORDS = 100
VALUES = [f"record {i_record}".encode() for i_record in range(N_RECORDS)]


class Broker(Protocol):
    @property
    def bootstrap_servers(self) -> str: ...


Step = Callable[[Broker, str], Awaitable[None]]


@pytest.fixture
def produce_records() -> Step:
    """Make a topic and put 100 records into it."""

    async def produce(broker: Broker, topic: str) -> None:
        admin = AIOKafkaAdminClient(bootstrap_servers=broker.bootstrap_servers)
        await admin.start()
        try:
            await admin.create_topics([NewTopic(topic, num_partitions=1, replication_factor=1)])
        finally:
            await admin.close()
        producer = AIOKafkaProducer(bootstrap_servers=broker.bootstrap_servers, acks="all")
        async with producer:
            for value in VALUES:
                await producer.send(topic, value)
            await producer.flush()

    return produce


@pytest.fixture
def expect_records() -> Step:
    """Read the topic from its beginning and find the same 100 records, in order."""

    async def expect(broker: Broker, topic: str) -> None:
        consumer = AIOKafkaConsumer(
            bootstrap_servers=broker.bootstrap_servers, auto_offset_reset="earliest"
        )
        async with consumer:
            consumer.assign([TopicPartition(topic, 0)])
            await consumer.seek_to_beginning()
            values = [(await consumer.getone()).value for _ in range(N_RECORDS)]
        assert values == VALUES

    return expect
