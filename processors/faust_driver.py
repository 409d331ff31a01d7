"""Faust's Kafka driver, but for two things that lose records after a rebalance.

A partition without a commit is read from its beginning: after a rebalance Faust drops what it has
fetched meanwhile and goes back to what is committed. aiokafka's ``seek_to_committed`` leaves a
partition where it is if nothing, or offset 0, was committed for it. What had been fetched of it was
never read again then: nobody processed it, until the next restart.

What was read is not remembered: Faust drops records that it thinks it has read before. A record
that waits for its place in the stream while the partitions change hands is noted as read when that
is over, behind the going back, and then all before it that come again are dropped: also those that
were read for the assignment before, and that nobody processed. Whatever comes twice the pipeline
knows by itself.
"""

from collections import UserDict
from collections.abc import Mapping
from typing import Any

import faust
from aiokafka import AIOKafkaConsumer, TopicPartition
from faust.transport.drivers.aiokafka import AIOKafkaConsumerThread, Consumer


async def seek_to_committed(client: AIOKafkaConsumer) -> Mapping[TopicPartition, int | None]:
    """Go to the committed offset of every assigned partition, or to its beginning.

    Returns
    -------
    The committed offsets; None: nothing was committed.
    """
    offsets: Mapping[TopicPartition, int | None] = await client.seek_to_committed()
    for place, offset in offsets.items():
        if not offset:
            # Where the first records have expired, the client goes on with the oldest there is.
            client.seek(place, 0)
    return offsets


class _Thread(AIOKafkaConsumerThread):
    async def seek_to_committed(self) -> Any:  # noqa: ANN401  # Faust's types of the same
        return await self.call_thread(seek_to_committed, self._ensure_consumer())


class _NothingRead(UserDict[Any, None]):
    """Of no partition it is known how far it was read."""

    def __getitem__(self, _place: Any) -> None:  # noqa: ANN401
        return None

    def __setitem__(self, _place: Any, _offset: Any) -> None:  # noqa: ANN401
        pass


class _Consumer(Consumer):
    def __init__(self, *arguments: Any, **options: Any) -> None:  # noqa: ANN401
        super().__init__(*arguments, **options)
        nothing: Any = _NothingRead()
        self._read_offset = nothing

    def _new_consumer_thread(self) -> AIOKafkaConsumerThread:
        return _Thread(self, loop=self.loop, beacon=self.beacon)


def use_driver(app: faust.App) -> None:
    """Let an app, which has no consumer yet, read with this driver."""
    transport: Any = app.transport
    transport.Consumer = _Consumer
