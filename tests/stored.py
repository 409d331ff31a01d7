"""What has arrived in Kafka, all of it: read to the end that the broker states, however slow."""

import asyncio

from ingest.codec import decode_dead_letter, decode_frame
from ingest.dead_letter import DeadLetter
from ingest.errors import RecordError
from ingest.frame import Frame
from ingest.kafka import ConsumedRecord, open_consumer
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES, Topic
from tests.waiting import WAIT_S


async def stored_records(kafka: KafkaSettings, topic: Topic) -> list[ConsumedRecord]:
    """Read what is in a topic now, in order within each partition."""
    found: list[ConsumedRecord] = []
    async with asyncio.timeout(WAIT_S), open_consumer(kafka, (topic,), group=None) as consumer:
        client = consumer._started
        places = client.assignment()
        begins = await client.beginning_offsets(places)
        ends = await client.end_offsets(places)
        left = {place.partition for place in places if begins[place] < ends[place]}
        last = {place.partition: end - 1 for place, end in ends.items()}
        while left:
            records = await consumer.poll(timeout_s=1.0, n_records_max=5_000)
            left -= {one.partition for one in records if one.offset >= last[one.partition]}
            found += records
    return found


async def stored_frames(kafka: KafkaSettings, subject_id: str) -> list[Frame]:
    """Read a subject's Frames, each once, in order."""
    found: dict[int, Frame] = {}
    for one in await stored_records(kafka, FRAMES):
        if one.key == subject_id.encode():  # others put anything at all into the topic
            frame = decode_frame(one.payload)
            found[frame.sequence] = frame
    return [found[sequence] for sequence in sorted(found)]


def letter_of(record: ConsumedRecord) -> DeadLetter | None:
    """Read a dead letter; None where it is none: other tests put anything at all there."""
    try:
        return decode_dead_letter(record.payload)
    except RecordError:
        return None
