"""Where a partition is read again after a rebalance."""

from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.types import TP

from deploy.local.kafka import KafkaBroker
from ingest.kafka import create_topics, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES
from processors.faust_driver import seek_to_committed, use_driver

N_RECORDS = 5


async def test_no_record_is_dropped_for_having_been_read_before() -> None:
    app = faust.App("driver", broker="kafka://127.0.0.1:1")
    use_driver(app)
    read: Any = app.consumer

    # What Faust notes when a record has found its place in the stream, and asks before the next.
    read._read_offset[TP(FRAMES.name, 0)] = 7
    read._read_offset.update({TP(FRAMES.name, 1): 7})

    assert [read._read_offset[TP(FRAMES.name, n)] for n in (0, 1)] == [None, None]


async def test_what_was_fetched_and_not_committed_is_read_again(
    kafka_broker: KafkaBroker, unique_name: str
) -> None:
    settings = KafkaSettings(bootstrap_servers=kafka_broker.bootstrap_servers)
    await create_topics(settings)
    async with open_producer(settings) as producer:
        await producer.send(FRAMES, [(unique_name, b"%d" % n) for n in range(N_RECORDS)])
    client = AIOKafkaConsumer(
        bootstrap_servers=settings.bootstrap_servers,
        group_id=unique_name,
        auto_offset_reset="earliest",
        enable_auto_commit=False,
    )
    await client.start()
    try:
        places = [TopicPartition(FRAMES.name, n) for n in range(settings.n_partitions)]
        client.assign(places)

        async def read_all() -> dict[TopicPartition, list[int]]:
            """Read until everything of ours was there."""
            found: dict[TopicPartition, list[int]] = {}
            ours = 0
            while ours < N_RECORDS:
                for place, records in (await client.getmany(timeout_ms=1_000)).items():
                    found.setdefault(place, []).extend(one.offset for one in records)
                    ours += sum(one.key == unique_name.encode() for one in records)
            return found

        first = await read_all()

        # Nothing was committed: all of it comes again, from each partition's oldest record.
        assert set((await seek_to_committed(client)).values()) == {None}
        assert await read_all() == first

        # Offset 0 was, of all: the same.
        await client.commit(dict.fromkeys(places, 0))
        assert set((await seek_to_committed(client)).values()) == {0}
        assert await read_all() == first

        # What is behind a committed offset does not come again.
        await client.commit({place: offsets[-1] + 1 for place, offsets in first.items()})
        await seek_to_committed(client)
        for place in first:
            assert await client.position(place) == first[place][-1] + 1
    finally:
        await client.stop()
