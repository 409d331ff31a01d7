"""A topic's past: what it holds now, from the oldest record to the newest, in bounded memory."""

import asyncio
import contextlib
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from ingest.errors import BrokerRefusedError, BrokerUnavailableError
from ingest.kafka import (
    ConsumedRecord,
    broker_errors,
    client_arguments,
    close_client,
    starting,
)
from ingest.settings import KafkaSettings
from ingest.topics import MESSAGE_BYTES_MAX, Topic

POLL_S: Final = 0.2

N_RECORDS_MAX: Final = 4
"""Records unpacked at a time: each may be as long as the topic takes."""


class TopicHistory:
    """Reads a topic without a group: one partition after the other, up to its end at the time.

    Where a partition ends is asked once. Records that come later belong to no reading, the second
    one included: whoever answers records with new ones on the same topic meets none of these.
    """

    def __init__(self, settings: KafkaSettings, topic: Topic, client: AIOKafkaConsumer) -> None:
        self._settings = settings
        self._topic = topic
        self._client = client
        self._begins: dict[int, int] = {}
        self._ends: dict[int, int] = {}

    async def start(self) -> None:
        """Ask for the partitions, where each begins, and which of them are empty.

        Raises
        ------
        BrokerError
        BrokerRefusedError
            There is no such topic, or this client may not see it.
        """
        with broker_errors(self._settings.bootstrap_servers):
            # A question for this topic alone might create it.
            cluster = await self._client._client.fetch_all_metadata()  # noqa: SLF001
            found = cluster.partitions_for_topic(self._topic.name)
            if not found:
                raise BrokerRefusedError(
                    f"{self._settings.bootstrap_servers} has no topic {self._topic.name}, or hides "
                    "it from this client; `chevet topics` creates it"
                )
            places = [TopicPartition(self._topic.name, partition) for partition in sorted(found)]
            begins = await self._client.beginning_offsets(places)
            ends = await self._client.end_offsets(places)
        for place in places:
            self._begins[place.partition] = begins[place]
            if ends[place] == begins[place]:
                # All that this answer is good for: the embedded broker's is too small where a batch
                # holds several records.
                self._ends[place.partition] = ends[place]

    async def extents(self) -> dict[int, tuple[int, int]]:
        """Give where each partition that is not empty begins, and where it ends.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        for partition in self._begins:
            if partition not in self._ends:
                async with contextlib.aclosing(self._partition(partition, None)) as records:
                    await anext(records, None)
        found = {one: (self._begins[one], self._ends[one]) for one in self._begins}
        return {one: extent for one, extent in found.items() if extent[0] < extent[1]}

    async def offsets_at(self, time_ms: int) -> dict[int, int]:
        """Give each partition's first record of this time or later, as the broker dates records.

        A partition that has none is left out.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        asked = {TopicPartition(self._topic.name, one): time_ms for one in self._begins}
        with broker_errors(self._settings.bootstrap_servers):
            found: Mapping[TopicPartition, Any] = await self._client.offsets_for_times(asked)
        return {place.partition: one.offset for place, one in found.items() if one is not None}

    async def between(
        self, partition: int, begin: int, end: int
    ) -> AsyncGenerator[ConsumedRecord, None]:
        """Give the records of one partition from an offset up to another, which is left out.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        self._ends[partition] = end
        async with contextlib.aclosing(self._partition(partition, begin)) as records:
            async for record in records:
                yield record

    async def records(self) -> AsyncGenerator[ConsumedRecord, None]:
        """Give every record, partition by partition, in order of offset.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        for partition in self._begins:
            async with contextlib.aclosing(self._partition(partition, None)) as records:
                async for record in records:
                    yield record

    async def record(self, partition: int, offset: int) -> ConsumedRecord | None:
        """Give one record; None where there is none, or none any more.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        if partition not in self._begins:
            return None
        async with contextlib.aclosing(self._partition(partition, offset)) as records:
            first = await anext(records, None)
        # Where an offset is out of range the broker's oldest record comes instead.
        return first if first is not None and first.offset == offset else None

    async def _partition(
        self, partition: int, begin: int | None
    ) -> AsyncGenerator[ConsumedRecord, None]:
        place = TopicPartition(self._topic.name, partition)
        if self._ends.get(partition) == self._begins[partition]:
            return
        self._client.assign([place])
        self._client.seek(place, self._begins[partition] if begin is None else begin)
        n_idle = 0
        while (end := self._ends.get(partition)) is None or await self._position(place) < end:
            with broker_errors(self._settings.bootstrap_servers):
                batches: dict[TopicPartition, list[Any]] = await self._client.getmany(
                    timeout_ms=int(POLL_S * 1000), max_records=N_RECORDS_MAX
                )
            end = self._note_end(place)
            n_idle = 0 if batches else n_idle + 1
            if n_idle * POLL_S > self._settings.request_timeout_s:
                raise BrokerUnavailableError(
                    f"{self._settings.bootstrap_servers} has stopped to answer for {place.topic}"
                    f"[{partition}]"
                )
            for record in batches.get(place, ()):
                if end is None or record.offset < end:
                    yield ConsumedRecord.of(record)

    def _note_end(self, place: TopicPartition) -> int | None:
        """Keep the end that came with the first answered fetch: this one every broker tells."""
        highwater = self._client.highwater(place)
        if highwater is not None:
            self._ends.setdefault(place.partition, int(highwater))
        return self._ends.get(place.partition)

    async def _position(self, place: TopicPartition) -> int:
        with broker_errors(self._settings.bootstrap_servers):
            async with asyncio.timeout(self._settings.request_timeout_s):
                return int(await self._client.position(place))


@contextlib.asynccontextmanager
async def open_history(settings: KafkaSettings, topic: Topic) -> AsyncIterator[TopicHistory]:
    """Give a connected reader of what a topic holds now, and close it afterwards.

    Raises
    ------
    BrokerError, BrokerRefusedError
    """
    client = AIOKafkaConsumer(
        **client_arguments(settings),
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        fetch_max_wait_ms=100,
        max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
    )
    try:
        async with starting(settings):
            await client.start()
        history = TopicHistory(settings, topic, client)
        await history.start()
        yield history
    finally:
        await close_client(client, client._client)  # noqa: SLF001
