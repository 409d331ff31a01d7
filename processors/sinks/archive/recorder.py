"""The recorder: what comes from Kafka is written to an archive.

Where it goes on after a restart is what the archive says, not the consumer group: a commit of the
archive holds the rows and how far Kafka is in them, so nothing is written twice or passed over
whenever this process dies. The group is told afterwards, for those who watch the lag.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import structlog

from ingest.codec import encode_dead_letter
from ingest.dead_letter import DeadLetter
from ingest.errors import BrokerError, RecordError
from ingest.kafka import ConsumedRecord, Producer, open_producer
from ingest.placed_consumer import PlacedConsumer, open_placed_consumer
from ingest.role_status import RoleState
from ingest.settings import KafkaSettings
from ingest.status_reporter import Said
from ingest.topics import ALARMS, ANNOTATIONS, DEAD_LETTERS, FRAMES, OBSERVATIONS
from processors import metrics
from processors.sinks.archive.buffer import Buffer
from processors.sinks.archive.compaction import compact
from processors.sinks.archive.errors import ArchiveError, ArchiveUnavailableError
from processors.sinks.archive.rows import Part
from processors.sinks.archive.writer import ArchiveWriter, Commit
from processors.sinks.lanes import back_off_s, stopped_within

log = structlog.get_logger()

ROLE: Final = "recorder"
TOPICS: Final = (FRAMES, OBSERVATIONS, ALARMS, ANNOTATIONS)

POLL_S: Final = 0.5
N_RECORDS_MAX: Final = 2_000
"""Records that are read at once."""

_MB: Final = 1_000_000


class Recorder:
    """Reads from one Kafka into one archive.

    Parameters
    ----------
    commit_s, buffer_mb
        What was read is written when the oldest of it has waited so long, or when it takes so much
        memory. While it is written, and while the disk is full, nothing is read.
    merge
        Whether small files of a day and subject are merged after a commit.
    """

    def __init__(
        self,
        writer: ArchiveWriter,
        *,
        commit_s: float,
        buffer_mb: float,
        merge: bool = True,
        now_s: Callable[[], float] = time.monotonic,
    ) -> None:
        self._writer = writer
        self._commit_s = commit_s
        self._bytes_max = buffer_mb * _MB
        self._merge = merge
        self._now_s = now_s
        self._buffer = Buffer()
        self._oldest_s: float | None = None
        self._committed_s: float | None = None
        self._is_connected = False
        self._is_away = False

    async def run(self, kafka: KafkaSettings, group: str, stop: asyncio.Event) -> None:
        """Record until ``stop`` is set; what was read by then is written.

        Raises
        ------
        BrokerRefusedError
        """
        while not stop.is_set():
            try:
                offsets = {**self._writer.offsets, **self._buffer.offsets}
                async with (
                    open_producer(kafka) as producer,
                    open_placed_consumer(kafka, TOPICS, group=group, offsets=offsets) as consumer,
                ):
                    self._connected(now=True)
                    await self._record(consumer, producer, stop)
            except BrokerError as error:
                log.warning("broker_unavailable", error=str(error))
                self._connected(now=False)
                await stopped_within(back_off_s(2), stop)
            finally:
                self._connected(now=False)

    def said(self) -> Said:
        """Say how it stands."""
        gauges = {
            "buffered_records": float(self._buffer.n_records),
            "buffered_mb": self._buffer.n_bytes / _MB,
            "commits": float(self._writer.number - 1),
        }
        if self._committed_s is not None:
            gauges["committed_age_s"] = self._now_s() - self._committed_s
        if self._is_away:
            return Said(state=RoleState.WAITING, reason="store", gauges=gauges)
        if not self._is_connected:
            return Said(state=RoleState.WAITING, reason="broker", gauges=gauges)
        return Said(state=RoleState.READY, gauges=gauges)

    def _connected(self, *, now: bool) -> None:
        self._is_connected = now
        metrics.READY.labels(ROLE).set(now)

    async def _record(
        self, consumer: PlacedConsumer, producer: Producer, stop: asyncio.Event
    ) -> None:
        while not stop.is_set():
            records = await consumer.poll(timeout_s=POLL_S, n_records_max=N_RECORDS_MAX)
            self._take(records)
            metrics.JUMPED.inc(consumer.n_gone)
            metrics.RESTARTED.inc(consumer.n_restarted)
            consumer.n_gone = consumer.n_restarted = 0
            if self._is_due():
                await self._write(consumer, producer, stop)
        if self._buffer.offsets:
            await self._write(consumer, producer, stop)

    def _take(self, records: list[ConsumedRecord]) -> None:
        for record in records:
            is_new = self._buffer.add(record)
            if not is_new:
                metrics.ARCHIVE_REPEATS.inc()
            elif record.topic == FRAMES.name:
                metrics.FRAMES_IN.labels(ROLE).inc()
        if self._oldest_s is None and self._buffer.offsets:
            self._oldest_s = self._now_s()

    def _is_due(self) -> bool:
        if self._oldest_s is None:
            return False
        return (
            self._buffer.n_bytes >= self._bytes_max
            or self._now_s() - self._oldest_s >= self._commit_s
        )

    async def _write(
        self, consumer: PlacedConsumer, producer: Producer, stop: asyncio.Event
    ) -> None:
        """Write what was read; until the disk takes it, or ``stop`` is set, nothing else is done.

        Raises
        ------
        BrokerError
            The dead letters cannot be sent, and nothing was written; or the group was not told.
        """
        n_tries = 0
        while True:
            try:
                made = await self._committed(producer)
                break
            except ArchiveUnavailableError as error:
                n_tries += 1
                self._is_away = True
                metrics.STORE_RETRIES.labels("archive").inc()
                log.warning("archive_unavailable", error=str(error), waits="nothing is read")
                if await stopped_within(back_off_s(n_tries), stop):
                    log.warning("stopped_without_the_archive", records=self._buffer.n_records)
                    return
        self._is_away = False
        self._committed_s, self._oldest_s = self._now_s(), None
        self._buffer.clear()
        metrics.SAMPLES_IN.labels(ROLE).inc(made.n_samples)
        metrics.ARCHIVE_BYTES.inc(sum(entry.n_bytes for entry in made.added))
        await consumer.commit(made.offsets)
        if self._merge:
            await self._compact(made)

    async def _committed(self, producer: Producer) -> Commit:
        """Write the buffer in a thread; its dead letters are sent before it counts as written."""
        loop = asyncio.get_running_loop()

        def send(letters: list[DeadLetter]) -> None:
            asyncio.run_coroutine_threadsafe(_send(producer, letters), loop).result()

        def commit() -> Commit:
            return self._writer.commit(self._parts(send), self._buffer.offsets)

        return await asyncio.to_thread(commit)

    def _parts(self, send: Callable[[list[DeadLetter]], None]) -> Iterator[Part]:
        letters: list[DeadLetter] = []

        def refuse(record: ConsumedRecord, error: RecordError) -> None:
            letters.append(
                DeadLetter(
                    reason=str(error),
                    source=ROLE,
                    topic=record.topic,
                    partition=record.partition,
                    offset=record.offset,
                    key=record.key,
                    timestamp_ms=record.timestamp_ms,
                    payload=record.payload,
                )
            )

        yield from self._buffer.parts(self._writer.number, refuse)
        if letters:
            send(letters)

    async def _compact(self, made: Commit) -> None:
        """Merge small files where this commit has added one; a failure waits for the next time."""
        folders = {Path(entry.path).parent for entry in made.added}
        try:
            merged = await asyncio.to_thread(compact, self._writer, folders)
        except ArchiveError as error:
            log.warning("archive_not_compacted", error=str(error))
        else:
            metrics.ARCHIVE_MERGED.inc(merged)


async def _send(producer: Producer, letters: list[DeadLetter]) -> None:
    for letter in letters:
        log.error("dead_letter", reason=letter.reason, topic=letter.topic, at=letter.offset)
        metrics.DEAD_LETTERS.labels(ROLE).inc()
    encoded = [(letter.source, encode_dead_letter(letter)) for letter in letters]
    await producer.send(DEAD_LETTERS, encoded)
