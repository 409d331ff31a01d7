"""What the worker has said and the broker has not stored yet.

Nobody waits for one record: what has gathered while the last batch was under way is the next batch.
The order holds, also when a batch has to be sent again.
"""

import asyncio
import time
from collections import deque
from collections.abc import Callable
from typing import Final, NamedTuple

import structlog

from ingest.errors import BrokerError
from ingest.frame import NS_PER_S
from ingest.kafka import Producer
from ingest.settings import KafkaSettings
from ingest.topics import Topic
from processors import metrics

log = structlog.get_logger()

RETRY_S: Final = 1.0
N_RECORDS_MAX: Final = 2_000
N_BYTES_MAX: Final = 32_000_000
"""What may wait. At either bound no Frame is taken until there is room again; Kafka keeps them."""

N_BATCH_MAX: Final = 1_000

GATHER_S: Final = 0.03
"""So long the first record of a batch waits for others: a request costs the broker and us more than
the records in it."""


class _Waiting(NamedTuple):
    topic: Topic
    key: str
    payload: bytes
    received_ns: int | None


class Outbox:
    """Records on their way to the broker, in order; ``run`` sends them.

    Parameters
    ----------
    on_trouble
        Called at every attempt that failed because the broker is unwell.
    """

    def __init__(self, kafka: KafkaSettings, on_trouble: Callable[[], None]) -> None:
        self._kafka = kafka
        self._on_trouble = on_trouble
        self._producer: Producer | None = None
        self._waiting: deque[_Waiting] = deque()
        self._n_bytes = 0
        self._n_stored = 0
        self._filled = asyncio.Event()
        self._emptied = asyncio.Event()

    @property
    def n_put(self) -> int:
        """Records put so far: what ``stored`` waits for."""
        return self._n_stored + len(self._waiting)

    @property
    def n_waiting(self) -> int:
        """Records that are not stored yet."""
        return len(self._waiting)

    def put(
        self, topic: Topic, key: str, payload: bytes, *, received_ns: int | None = None
    ) -> None:
        """Add a record. ``received_ns``: when the first of what it follows from was received."""
        self._waiting.append(_Waiting(topic, key, payload, received_ns))
        self._n_bytes += len(payload)
        self._filled.set()

    async def room(self) -> None:
        """Wait until there is room for what follows from one more Frame."""
        while len(self._waiting) >= N_RECORDS_MAX or self._n_bytes >= N_BYTES_MAX:
            await self._wait()

    async def stored(self, n_put: int) -> None:
        """Wait until the broker has stored the first ``n_put`` records."""
        while self._n_stored < n_put:
            await self._wait()

    async def run(self) -> None:
        """Send what is put, for ever.

        Raises
        ------
        BrokerRefusedError
        """
        while True:
            if not self._waiting:
                self._filled.clear()
                await self._filled.wait()
            if len(self._waiting) < N_BATCH_MAX:
                await asyncio.sleep(GATHER_S)
            n_batch = min(len(self._waiting), N_BATCH_MAX)
            batch = [self._waiting[n] for n in range(n_batch)]
            await self._store(batch)
            for record in batch:
                self._waiting.popleft()
                self._n_bytes -= len(record.payload)
                if record.received_ns is not None:
                    latency_s = (time.time_ns() - record.received_ns) / NS_PER_S
                    metrics.RADIO_TO_OBSERVATION.observe(latency_s)
            self._n_stored += n_batch
            self._emptied.set()

    async def stop(self) -> None:
        """Close the connection."""
        if self._producer is not None:
            await self._producer.stop()

    async def _store(self, batch: list[_Waiting]) -> None:
        """Send until the broker has stored all: repeats carry the same identities."""
        by_topic: dict[str, tuple[Topic, list[tuple[str, bytes]]]] = {}
        for record in batch:
            _, records = by_topic.setdefault(record.topic.name, (record.topic, []))
            records.append((record.key, record.payload))
        while by_topic:
            try:
                producer = await self._started()
                for name, (topic, records) in list(by_topic.items()):
                    await producer.send(topic, records)
                    del by_topic[name]
            except BrokerError as error:
                log.warning("broker_unavailable", error=str(error))
                self._on_trouble()
                await asyncio.sleep(RETRY_S)

    async def _started(self) -> Producer:
        if self._producer is None:
            producer = Producer(self._kafka)
            await producer.start()
            self._producer = producer
        return self._producer

    async def _wait(self) -> None:
        self._emptied.clear()
        await self._emptied.wait()
