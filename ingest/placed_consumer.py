"""Reads topics from where the caller says, not from where a group has been.

Who keeps with its results how far it has read needs no group: the group's offsets are committed
for those who watch the lag, and never read. All partitions are read by one process.
"""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Iterable, Mapping
from typing import Any, Final

import structlog
from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import OffsetOutOfRangeError

from ingest.errors import BrokerRefusedError
from ingest.kafka import (
    ConsumedRecord,
    broker_errors,
    client_arguments,
    close_client,
    starting,
)
from ingest.settings import KafkaSettings
from ingest.topics import MESSAGE_BYTES_MAX, Topic

log = structlog.get_logger()

Place = tuple[str, int]
"""Topic and partition."""

_FETCH_WAIT_MS: Final = 100


class PlacedConsumer:
    """Reads every partition of some topics.

    Attributes
    ----------
    n_gone
        Records that the broker no longer had when they were due.
    n_restarted
        Partitions that were made anew: they are read from their beginning.
    """

    def __init__(self, settings: KafkaSettings, topics: Iterable[Topic], *, group: str) -> None:
        self._settings = settings
        self._topics = tuple(topic.name for topic in topics)
        self._client = AIOKafkaConsumer(
            **client_arguments(settings),
            group_id=group,
            enable_auto_commit=False,
            # Where an offset is not there any more it is said, and not passed over.
            auto_offset_reset="none",
            fetch_max_wait_ms=_FETCH_WAIT_MS,
            max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
        )
        self.n_gone = 0
        self.n_restarted = 0

    async def start(self, offsets: Mapping[Place, int]) -> None:
        """Connect, and go to these places; other partitions are read from their beginning.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        async with starting(self._settings):
            await self._client.start()
        places = await self._partitions()
        with broker_errors(self._settings.bootstrap_servers):
            begins: Mapping[TopicPartition, int] = await self._client.beginning_offsets(places)
        self._client.assign(places)
        for place in places:
            self._client.seek(place, offsets.get((place.topic, place.partition), begins[place]))

    async def _partitions(self) -> list[TopicPartition]:
        with broker_errors(self._settings.bootstrap_servers):
            # Of all topics: asked for one that is not there, a broker may create it its own way.
            cluster = await self._client._client.fetch_all_metadata()  # noqa: SLF001
        places: list[TopicPartition] = []
        for topic in self._topics:
            found = cluster.partitions_for_topic(topic)
            if not found:
                raise BrokerRefusedError(
                    f"{self._settings.bootstrap_servers} has no topic {topic}, or hides it from "
                    "this client; `chevet topics` creates it"
                )
            places += [TopicPartition(topic, partition) for partition in sorted(found)]
        return places

    async def poll(self, *, timeout_s: float, n_records_max: int) -> list[ConsumedRecord]:
        """Wait for the next records, at most ``timeout_s``; order holds within a partition.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        with broker_errors(self._settings.bootstrap_servers):
            try:
                batches: Mapping[TopicPartition, list[Any]] = await self._client.getmany(
                    timeout_ms=int(timeout_s * 1000), max_records=n_records_max
                )
            except OffsetOutOfRangeError as error:
                await self._go_back(error.args[0])
                return []
        return [ConsumedRecord.of(record) for batch in batches.values() for record in batch]

    async def _go_back(self, lost: Mapping[TopicPartition, int]) -> None:
        """Go to the oldest record of partitions whose due one is not there."""
        begins: Mapping[TopicPartition, int] = await self._client.beginning_offsets(list(lost))
        for place, due in lost.items():
            begin = begins[place]
            if due < begin:
                self.n_gone += begin - due
                event, n = "records_gone", begin - due
            else:
                self.n_restarted += 1
                event, n = "input_restarted", due
            log.warning(event, topic=place.topic, partition=place.partition, n=n)
            self._client.seek(place, begin)

    async def commit(self, offsets: Mapping[Place, int]) -> None:
        """Tell the group how far it is; of partitions that are gone nothing is told.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        assigned = self._client.assignment()
        places = {TopicPartition(*place): offset for place, offset in offsets.items()}
        reached = {place: offset for place, offset in places.items() if place in assigned}
        if not reached:
            return
        with broker_errors(self._settings.bootstrap_servers):
            # aiokafka goes on asking for a coordinator that is away, for ever.
            async with asyncio.timeout(self._settings.request_timeout_s):
                await self._client.commit(reached)

    async def stop(self) -> None:
        """Close the connection, without a commit."""
        await close_client(self._client, self._client._client)  # noqa: SLF001


@contextlib.asynccontextmanager
async def open_placed_consumer(
    settings: KafkaSettings,
    topics: Iterable[Topic],
    *,
    group: str,
    offsets: Mapping[Place, int],
) -> AsyncIterator[PlacedConsumer]:
    """Give a connected consumer and close it afterwards.

    Parameters
    ----------
    group
        To which it is told how far it is.
    offsets
        Where to begin, by topic and partition; others begin with their oldest record.

    Raises
    ------
    BrokerError, BrokerRefusedError
    """
    consumer = PlacedConsumer(settings, topics, group=group)
    try:
        await consumer.start(offsets)
        yield consumer
    finally:
        await consumer.stop()
