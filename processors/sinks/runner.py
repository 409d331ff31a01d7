"""The sink: reads Frames, Observations and alarms, and commits them when the store has them."""

import asyncio
import contextlib
import random
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import structlog

from ingest.codec import (
    decode_alarm,
    decode_frame,
    decode_observations,
    encode_dead_letter,
)
from ingest.dead_letter import DeadLetter, LetterContent
from ingest.errors import BrokerError, RecordError
from ingest.frame import NS_PER_S
from ingest.kafka import ConsumedRecord, Consumer, Producer, open_consumer, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import ALARMS, DEAD_LETTERS, FRAMES, OBSERVATIONS
from processors import metrics
from processors.sinks.lines import LineEncoder
from processors.sinks.store import LineStore, RejectedLines, StoreUnavailableError

log = structlog.get_logger()

POLL_S: Final = 0.5
BACK_OFF_S_MAX: Final = 30.0

STOP_S_MAX: Final = 3.0
"""What has not ended so long after ``stop`` waits for a server that is away: it is given up."""

N_LINES_MAX: Final = 50_000
LINES_BYTES_MAX: Final = 16_000_000
"""Lines held in memory before they are written; one line may go beyond."""


class Sink:
    """Turns batches of records into lines, and what cannot be used into dead letters."""

    def __init__(self, store: LineStore) -> None:
        self._store = store
        self._role = f"sink-{store.name}"
        self._lines = LineEncoder()
        self._encoders: dict[str, Callable[[bytes], Iterable[bytes]]] = {
            FRAMES.name: self._frame,
            OBSERVATIONS.name: self._observations,
            ALARMS.name: self._alarm,
        }
        self._received_ns: list[int] = []

    async def store(
        self, records: Sequence[ConsumedRecord], stop: asyncio.Event
    ) -> list[DeadLetter]:
        """Store a batch, however long the store is away; give what nobody could use.

        Raises
        ------
        StoreRefusedError
        StoreUnavailableError
            ``stop`` was set while the store was away: the batch is not stored, or only in part.
        """
        letters: list[DeadLetter] = []
        batch = _Batch()
        for record in records:
            try:
                lines = self._encoders[record.topic](record.payload)
            except RecordError as error:
                letters.append(
                    self._letter(record, str(error), LetterContent.RECORD, record.payload)
                )
                continue
            for line in lines:
                batch.add(record, line)
                if batch.is_full:
                    letters += await self._write(batch, stop)
                    batch = _Batch()
        letters += await self._write(batch, stop)
        metrics.DEAD_LETTERS.labels(self._role).inc(len(letters))
        return letters

    def _frame(self, payload: bytes) -> Iterable[bytes]:
        frame = decode_frame(payload)
        metrics.FRAMES_IN.labels(self._role).inc()
        metrics.SAMPLES_IN.labels(self._role).inc(frame.n_samples)
        self._received_ns += [
            block.received_ns for block in frame.waveforms if block.received_ns is not None
        ]
        return self._lines.frame(frame)

    def _observations(self, payload: bytes) -> Iterable[bytes]:
        observations = decode_observations(payload)
        metrics.OBSERVATIONS_OUT.labels(self._role).inc(len(observations))
        return [line for one in observations for line in self._lines.observation(one)]

    def _alarm(self, payload: bytes) -> Iterable[bytes]:
        alarm = decode_alarm(payload)
        metrics.OBSERVATIONS_OUT.labels(self._role).inc()
        return self._lines.alarm(alarm)

    async def _write(self, batch: "_Batch", stop: asyncio.Event) -> list[DeadLetter]:
        rejected = await self._write_lines(batch.lines, stop) if batch.lines else []
        n_rejected = sum(one.lines.count(b"\n") + 1 for one in rejected)
        metrics.LINES_OUT.labels(self._store.name).inc(len(batch.lines) - n_rejected)
        stored_ns = time.time_ns()
        for received_ns in self._received_ns:
            metrics.RADIO_TO_STORED.observe((stored_ns - received_ns) / NS_PER_S)
        self._received_ns.clear()
        return [
            self._letter(batch.origin(one), one.reason, LetterContent.LINES, one.lines)
            for one in rejected
        ]

    async def _write_lines(self, lines: list[bytes], stop: asyncio.Event) -> list[RejectedLines]:
        n_tries = 0
        while True:
            try:
                return await self._store.write(lines)
            except StoreUnavailableError as error:
                n_tries += 1
                metrics.STORE_RETRIES.labels(self._store.name).inc()
                delay_s = min(error.retry_after_s or back_off_s(n_tries), BACK_OFF_S_MAX)
                log.warning("store_unavailable", error=str(error), retry_in_s=round(delay_s, 1))
                if await _stopped_within(delay_s, stop):
                    raise

    def _letter(
        self, record: ConsumedRecord, reason: str, content: LetterContent, payload: bytes
    ) -> DeadLetter:
        return DeadLetter(
            reason=reason,
            source=self._role,
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            key=record.key,
            timestamp_ms=record.timestamp_ms,
            content=content,
            payload=payload,
        )


class _Batch:
    """Lines for one write, and the records that they came from."""

    def __init__(self) -> None:
        self.lines: list[bytes] = []
        self._origins: list[ConsumedRecord] = []
        self._n_bytes = 0

    @property
    def is_full(self) -> bool:
        """Whether it must be written before more is added."""
        return len(self.lines) >= N_LINES_MAX or self._n_bytes >= LINES_BYTES_MAX

    def add(self, record: ConsumedRecord, line: bytes) -> None:
        """Take one line."""
        self.lines.append(line)
        self._origins.append(record)
        self._n_bytes += len(line)

    def origin(self, rejected: RejectedLines) -> ConsumedRecord:
        """Find the record of the first of the rejected lines."""
        return self._origins[self.lines.index(rejected.lines.partition(b"\n")[0])]


async def _stopped_within(delay_s: float, stop: asyncio.Event) -> bool:
    """Wait, but no longer than until ``stop`` is set; tell whether it is."""
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(delay_s):
            await stop.wait()
    return stop.is_set()


def back_off_s(n_tries: int) -> float:
    """Give a jittered exponential delay: about 0.5 s after the first failure, bounded."""
    # Jitter spreads clients that failed together; it protects nothing.
    jitter = random.uniform(0.75, 1.25)  # noqa: S311
    return float(min(BACK_OFF_S_MAX, 0.5 * 2.0 ** min(n_tries - 1, 10)) * jitter)


async def run_sink(
    kafka: KafkaSettings,
    store: LineStore,
    *,
    group: str,
    n_records_max: int,
    stop: asyncio.Event,
) -> None:
    """Store everything from the topics until ``stop`` is set.

    Input is committed only after the store has it and its dead letters are sent. While the store
    is away nothing is read, so memory stays bounded and the records wait in Kafka; if ``stop`` is
    set then, the batch stays uncommitted and comes again.

    Raises
    ------
    StoreRefusedError, BrokerRefusedError
    """
    serving = asyncio.create_task(
        _serve(kafka, store, group=group, n_records_max=n_records_max, stop=stop), name="serve"
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
    *,
    group: str,
    n_records_max: int,
    stop: asyncio.Event,
) -> None:
    sink = Sink(store)
    ready = metrics.READY.labels(f"sink-{store.name}")
    while not stop.is_set():
        try:
            async with (
                open_producer(kafka) as producer,
                open_consumer(kafka, (FRAMES, OBSERVATIONS, ALARMS), group=group) as consumer,
            ):
                ready.set(1)
                await _run(sink, consumer, producer, n_records_max, stop)
        except StoreUnavailableError as error:
            log.warning("stopped_without_the_store", error=str(error))
        except BrokerError as error:
            log.warning("broker_unavailable", error=str(error))
            await _stopped_within(back_off_s(2), stop)
        finally:
            ready.set(0)


async def _run(
    sink: Sink, consumer: Consumer, producer: Producer, n_records_max: int, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        records = await consumer.poll(timeout_s=POLL_S, n_records_max=n_records_max)
        if not records:
            continue
        letters = await sink.store(records, stop)
        for letter in letters:
            log.error("dead_letter", reason=letter.reason, topic=letter.topic, at=letter.offset)
        await producer.send(
            DEAD_LETTERS, ((letter.source, encode_dead_letter(letter)) for letter in letters)
        )
        await consumer.commit()
