"""The sink: reads Frames, Observations and alarms, and commits them when the store has them.

What was read is written while the next is read. An offset is committed when the store has
everything before it, and no second of an envelope before it is unfinished.
"""

import asyncio
import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from typing import Final

import structlog

from ingest.codec import encode_dead_letter
from ingest.dead_letter import LetterContent
from ingest.errors import BrokerError, RecordError
from ingest.kafka import ConsumedRecord, Consumer, Producer, open_consumer, open_producer
from ingest.settings import KafkaSettings
from ingest.status_reporter import with_statuses
from ingest.topics import ALARMS, DEAD_LETTERS, FRAMES, OBSERVATIONS
from processors import metrics
from processors.sinks.lanes import Batch, Lanes, back_off_s, stopped_within
from processors.sinks.records import Place, RecordEncoder
from processors.sinks.store import LineStore, StoreUnavailableError

log = structlog.get_logger()

POLL_S: Final = 0.5

GATHER_S: Final = 0.2
"""Between two reads, unless one was full: every write has a price, whatever it holds."""

STOP_S_MAX: Final = 3.0
"""What has not ended so long after ``stop`` waits for a server that is away: it is given up."""

BATCHES_MAX: Final = 64
"""Batches that are not stored yet; with as many, or with as many bytes of dead letters as below,
nothing is read."""

LETTERS_BYTES_MAX: Final = 32_000_000

_RECORDS_AT_ONCE: Final = 64
"""Records that are encoded before others of the loop have their turn."""


class Sink:
    """Turns batches of records into lines in a store, and what cannot be used into dead letters.

    Parameters
    ----------
    has_waveforms
        Tells of a subject whether its raw waveforms are stored; None: those of all.
    """

    def __init__(
        self,
        store: LineStore,
        stop: asyncio.Event,
        has_waveforms: Callable[[str], bool] | None = None,
    ) -> None:
        self._role = f"sink-{store.name}"
        self._encoder = RecordEncoder(has_waveforms)
        self._lanes = Lanes(store, stop)
        self._pending: deque[tuple[Batch, dict[Place, int]]] = deque()

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Run what writes; what is not stored at the end is given up."""
        async with self._lanes.opened():
            yield

    async def take(self, records: Sequence[ConsumedRecord]) -> None:
        """Encode a batch and queue its lines; wait where too much is waiting.

        Raises
        ------
        StoreRefusedError
        StoreUnavailableError
            The stop was set while the store was away: not everything is stored.
        """
        batch = Batch(self._role)
        for i, record in enumerate(records):
            await self._take(record, batch)
            if i % _RECORDS_AT_ONCE == _RECORDS_AT_ONCE - 1:
                await asyncio.sleep(0)
        batch.finish()
        self._lanes.wake()
        for name, n in self._encoder.counts.items():
            metrics.WITHOUT_ENVELOPE.labels(name).inc(n)
        self._encoder.counts.clear()
        self._pending.append((batch, self._encoder.first_needed()))

    async def settle(self, *, everything: bool = False) -> tuple[list[Batch], dict[Place, int]]:
        """Give the oldest batches that are stored, and how far their records may be committed.

        Parameters
        ----------
        everything
            Wait until all are stored; else only where too many are waiting.

        Raises
        ------
        StoreRefusedError, StoreUnavailableError
            As `take`.
        """
        self._lanes.check()
        settled: list[Batch] = []
        offsets: dict[Place, int] = {}
        while self._pending:
            batch, needed = self._pending[0]
            if everything or self._is_full():
                await self._lanes.until_done(batch)
            if not batch.done.is_set():
                break
            self._pending.popleft()
            settled.append(batch)
            offsets |= needed
        return settled, offsets

    @property
    def is_idle(self) -> bool:
        """Whether everything is stored and settled."""
        return not self._pending

    async def _take(self, record: ConsumedRecord, batch: Batch) -> None:
        try:
            lines = self._encoder.encode(record)
        except RecordError as error:
            batch.refuse(record, str(error), record.payload, LetterContent.RECORD)
            return
        if record.topic == FRAMES.name:
            metrics.FRAMES_IN.labels(self._role).inc()
            metrics.SAMPLES_IN.labels(self._role).inc(lines.n_samples)
        metrics.OBSERVATIONS_OUT.labels(self._role).inc(lines.n_derived)
        batch.received_ns += lines.received_ns
        for piece in lines.pieces:
            await self._lanes.add(lines.subject_id, piece, record, batch)

    def _is_full(self) -> bool:
        letters = (letter for batch, _ in self._pending for letter in batch.letters)
        return (
            len(self._pending) >= BATCHES_MAX
            or sum(len(letter.payload) for letter in letters) >= LETTERS_BYTES_MAX
        )


async def run_sink(
    kafka: KafkaSettings,
    store: LineStore,
    *,
    group: str,
    n_records_max: int,
    stop: asyncio.Event,
    has_waveforms: Callable[[str], bool] | None = None,
) -> None:
    """Store everything from the topics until ``stop`` is set.

    Input is committed only after the store has it and its dead letters are sent. While the store
    is away no more is read than there is room for, and the records wait in Kafka; if ``stop`` is
    set then, what is not stored stays uncommitted and comes again.

    Parameters
    ----------
    has_waveforms
        Tells of a subject whether its raw waveforms are stored; None: those of all.

    Raises
    ------
    StoreRefusedError, BrokerRefusedError
    """
    serving = asyncio.create_task(
        _serve(kafka, store, group, n_records_max, stop, has_waveforms), name="serve"
    )
    waiting = asyncio.create_task(stop.wait(), name="wait-for-stop")
    try:
        await asyncio.wait((serving, waiting), return_when=asyncio.FIRST_COMPLETED)
        await asyncio.wait((serving,), timeout=STOP_S_MAX)
    finally:
        serving.cancel()
        waiting.cancel()
        await asyncio.wait((serving, waiting))
    if serving.cancelled():
        log.warning("stopped_in_the_middle", after_s=STOP_S_MAX)
    else:
        serving.result()


async def _serve(
    kafka: KafkaSettings,
    store: LineStore,
    group: str,
    n_records_max: int,
    stop: asyncio.Event,
    has_waveforms: Callable[[str], bool] | None,
) -> None:
    ready = metrics.READY.labels(f"sink-{store.name}")
    while not stop.is_set():
        try:
            topics = await with_statuses(kafka, (FRAMES, OBSERVATIONS, ALARMS))
            async with (
                open_producer(kafka) as producer,
                open_consumer(kafka, topics, group=group) as consumer,
            ):
                ready.set(1)
                # What was read and not committed comes again: nothing of it is remembered.
                sink = Sink(store, stop, has_waveforms)
                async with sink.opened():
                    await _run(sink, consumer, producer, n_records_max, stop)
        except StoreUnavailableError as error:
            log.warning("stopped_without_the_store", error=str(error))
        except BrokerError as error:
            log.warning("broker_unavailable", error=str(error))
            await stopped_within(back_off_s(2), stop)
        finally:
            ready.set(0)


async def _run(
    sink: Sink, consumer: Consumer, producer: Producer, n_records_max: int, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        records = await consumer.poll(
            timeout_s=POLL_S if sink.is_idle else GATHER_S, n_records_max=n_records_max
        )
        if records:
            await sink.take(records)
        await _commit(consumer, producer, *await sink.settle())
        if len(records) < n_records_max:
            await stopped_within(GATHER_S, stop)
    await _commit(consumer, producer, *await sink.settle(everything=True))


async def _commit(
    consumer: Consumer, producer: Producer, batches: Sequence[Batch], offsets: Mapping[Place, int]
) -> None:
    """Send the dead letters of stored batches, then commit."""
    letters = [letter for batch in batches for letter in batch.letters]
    for letter in letters:
        log.error("dead_letter", reason=letter.reason, topic=letter.topic, at=letter.offset)
        metrics.DEAD_LETTERS.labels(letter.source).inc()
    await producer.send(
        DEAD_LETTERS, ((letter.source, encode_dead_letter(letter)) for letter in letters)
    )
    if offsets:
        await consumer.commit(offsets)
