"""The topic of the checkpoints: written beside the Frames' partitions, read as a whole.

It is read from its beginning up to a barrier, a record that the reader itself has just written: no
broker need be asked where the topic ends, and all that any other worker has written before is seen.
"""

import secrets
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, TopicPartition

from ingest.errors import BrokerRefusedError, BrokerUnavailableError
from ingest.kafka import Producer, broker_errors, client_arguments, close_client, starting
from ingest.settings import KafkaSettings
from ingest.topics import CHECKPOINTS, MESSAGE_BYTES_MAX

POLL_S: Final = 1.0
BARRIER: Final = "barrier"
SILENT_POLLS_MAX: Final = 60
"""Polls in a row that give nothing before a barrier that was acknowledged: the broker is unwell."""


class CheckpointTopic:
    """Writes and reads the checkpoints of partitions; usable after ``start``.

    Parameters
    ----------
    group
        The consumer group. Each has checkpoints of its own, as it has committed offsets of its own:
        under a new name everything is processed anew.
    """

    def __init__(self, settings: KafkaSettings, group: str) -> None:
        self._prefix = f"{group}/"
        # What is in it is compressed already.
        self._settings = settings.model_copy(update={"compression": "none"})
        self._producer = Producer(self._settings)

    async def start(self) -> None:
        """Connect.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        await self._producer.start()

    async def stop(self) -> None:
        """Close the connection."""
        await self._producer.stop()

    async def write(self, partition: int, records: Mapping[str, bytes | None]) -> None:
        """Store records by key, or with None delete them; return when the broker has done so.

        Raises
        ------
        BrokerError, BrokerRefusedError, OversizedRecordError
        """
        prefixed = [(self._prefix + key, payload) for key, payload in records.items()]
        await self._producer.send(CHECKPOINTS, prefixed, partition=partition)

    async def read(
        self, partitions: Iterable[int], on_progress: Callable[[], None] = lambda: None
    ) -> dict[int, dict[str, bytes]]:
        """Give the newest record of every key of each partition.

        Parameters
        ----------
        on_progress
            Called whenever something has come.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        found: dict[int, dict[str, bytes]] = {partition: {} for partition in partitions}
        client = AIOKafkaConsumer(
            **client_arguments(self._settings),
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
        )
        try:
            async with starting(self._settings):
                await client.start()
            await self._read(client, found, on_progress)
        finally:
            await close_client(client, client._client)  # noqa: SLF001
        return found

    async def _read(
        self,
        client: Any,  # noqa: ANN401  # aiokafka has no types
        found: dict[int, dict[str, bytes]],
        on_progress: Callable[[], None],
    ) -> None:
        barrier = f"{BARRIER}/{secrets.token_hex(8)}"
        with broker_errors(self._settings.bootstrap_servers):
            # Of all topics: asked for one that is not there, a broker may create it its own way.
            cluster = await client._client.fetch_all_metadata()  # noqa: SLF001
            there: set[int] = cluster.partitions_for_topic(CHECKPOINTS.name) or set()
        if not_there := found.keys() - there:
            raise BrokerRefusedError(
                f"{CHECKPOINTS.name} has {len(there)} partitions, and none for partition "
                f"{min(not_there)} of the input: create it with as many (chevet topics)"
            )
        for number in found:
            await self.write(number, {barrier: None})
        client.assign([TopicPartition(CHECKPOINTS.name, number) for number in found])
        waiting, n_silent = set(found), 0
        while waiting:
            with broker_errors(self._settings.bootstrap_servers):
                batches: Mapping[TopicPartition, list[Any]] = await client.getmany(
                    timeout_ms=int(POLL_S * 1000)
                )
            n_silent = 0 if batches else n_silent + 1
            if n_silent > SILENT_POLLS_MAX:
                raise BrokerUnavailableError(f"nothing more of {CHECKPOINTS.name} came")
            for place, records in batches.items():
                on_progress()
                if self._fold(found[place.partition], records, barrier):
                    waiting.discard(place.partition)

    def _fold(self, newest: dict[str, bytes], records: Iterable[Any], barrier: str) -> bool:
        """Take records in order, the newest of each key; tell whether the barrier was there."""
        is_read = False
        for record in records:
            group, _, key = (record.key or b"").decode(errors="replace").partition("/")
            if f"{group}/" != self._prefix:
                continue
            is_read |= key == barrier
            if record.value is None:
                newest.pop(key, None)
            else:
                newest[key] = record.value
        return is_read
