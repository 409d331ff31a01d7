"""The sink: reads Frames, Observations and alarms, and commits them when the store has them."""

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from typing import Final

import structlog

from ingest.codec import (
    decode_alarm,
    decode_frame,
    decode_observation,
    encode_dead_letter,
)
from ingest.dead_letter import DeadLetter
from ingest.errors import BrokerError, RecordError
from ingest.frame import NS_PER_S, Frame
from ingest.kafka import ConsumedRecord, Consumer, Producer, open_consumer, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import ALARMS, DEAD_LETTERS, FRAMES, OBSERVATIONS
from processors import metrics
from processors.sinks.lines import LineEncoder
from processors.sinks.store import LineStore, RejectedLines, StoreUnavailableError

log = structlog.get_logger()

POLL_S: Final = 0.5
BACK_OFF_S_MAX: Final = 30.0


class Sink:
    """Turns batches of records into lines, and what cannot be used into dead letters."""

    def __init__(self, store: LineStore) -> None:
        self._store = store
        self._lines = LineEncoder()
        self._encoders: dict[str, Callable[[bytes], list[bytes]]] = {
            FRAMES.name: self._frame,
            OBSERVATIONS.name: lambda payload: self._lines.observation(decode_observation(payload)),
            ALARMS.name: lambda payload: self._lines.alarm(decode_alarm(payload)),
        }
        self._frames: list[Frame] = []

    async def store(self, records: Sequence[ConsumedRecord]) -> list[DeadLetter]:
        """Store a batch, however long the store is away; give what nobody could use.

        Raises
        ------
        StoreRefusedError
        """
        letters: list[DeadLetter] = []
        lines: list[bytes] = []
        self._frames.clear()
        for record in records:
            try:
                lines += self._encoders[record.topic](record.payload)
            except RecordError as error:
                letters.append(self._letter(record, str(error), record.payload))
        rejected = await self._write(lines) if lines else []
        letters += [self._letter(records[0], one.reason, one.lines) for one in rejected]
        self._count(records, len(lines), len(letters))
        return letters

    def _frame(self, payload: bytes) -> list[bytes]:
        frame = decode_frame(payload)
        self._frames.append(frame)
        return self._lines.frame(frame)

    async def _write(self, lines: list[bytes]) -> list[RejectedLines]:
        n_tries = 0
        while True:
            try:
                return await self._store.write(lines)
            except StoreUnavailableError as error:
                n_tries += 1
                metrics.STORE_RETRIES.labels(self._store.name).inc()
                delay_s = error.retry_after_s or back_off_s(n_tries)
                log.warning("store_unavailable", error=str(error), retry_in_s=round(delay_s, 1))
                await asyncio.sleep(min(delay_s, BACK_OFF_S_MAX))

    def _letter(self, record: ConsumedRecord, reason: str, payload: bytes) -> DeadLetter:
        return DeadLetter(
            reason=reason,
            source=f"sink-{self._store.name}",
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            payload=payload,
        )

    def _count(self, records: Sequence[ConsumedRecord], n_lines: int, n_letters: int) -> None:
        stored_ns = time.time_ns()
        role = f"sink-{self._store.name}"
        metrics.FRAMES_IN.labels(role).inc(len(self._frames))
        metrics.LINES_OUT.labels(self._store.name).inc(n_lines)
        metrics.DEAD_LETTERS.labels(role).inc(n_letters)
        n_observations = sum(record.topic != FRAMES.name for record in records)
        metrics.OBSERVATIONS_OUT.labels(role).inc(n_observations)
        for frame in self._frames:
            metrics.SAMPLES_IN.labels(role).inc(frame.n_samples)
            for block in frame.waveforms:
                if block.received_ns is not None:
                    metrics.RADIO_TO_STORED.observe((stored_ns - block.received_ns) / NS_PER_S)


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
    is away nothing is read, so memory stays bounded and the records wait in Kafka.

    Raises
    ------
    StoreRefusedError, BrokerRefusedError
    """
    sink = Sink(store)
    while not stop.is_set():
        try:
            async with (
                open_producer(kafka) as producer,
                open_consumer(kafka, (FRAMES, OBSERVATIONS, ALARMS), group=group) as consumer,
            ):
                metrics.READY.labels(f"sink-{store.name}").set(1)
                await _run(sink, consumer, producer, n_records_max, stop)
        except BrokerError as error:
            metrics.READY.labels(f"sink-{store.name}").set(0)
            log.warning("broker_unavailable", error=str(error))
            await asyncio.sleep(back_off_s(2))


async def _run(
    sink: Sink, consumer: Consumer, producer: Producer, n_records_max: int, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        records = await consumer.poll(timeout_s=POLL_S, n_records_max=n_records_max)
        if not records:
            continue
        letters = await sink.store(records)
        for letter in letters:
            log.error("dead_letter", reason=letter.reason, topic=letter.topic, at=letter.offset)
        await producer.send(
            DEAD_LETTERS, [(letter.source, encode_dead_letter(letter)) for letter in letters]
        )
        await consumer.commit()
