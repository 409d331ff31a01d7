"""From the spool to Kafka: oldest first, forgotten when acknowledged."""

import asyncio
import random

import structlog

from edge import metrics
from edge.spool import Spool
from ingest.errors import BrokerError, IngestError, RecordError
from ingest.kafka import Producer
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES

log = structlog.get_logger()

N_FRAMES_MAX = 64
"""Frames in one delivery: sixteen seconds at the default flush interval, drained in one go."""

BACK_OFF_S_MAX = 15.0


class Sender:
    """Delivers what the spool holds and waits for more."""

    def __init__(self, kafka: KafkaSettings, spool: Spool, subject_id: str) -> None:
        self._kafka = kafka
        self._spool = spool
        self._subject_id = subject_id
        self._producer: Producer | None = None
        self._more = asyncio.Event()
        self._n_failures = 0

    def wake(self) -> None:
        """Tell that a Frame has been spooled."""
        self._more.set()

    async def run(self, stop: asyncio.Event, *, drain_s: float) -> None:
        """Deliver until ``stop`` is set and the spool is empty, or ``drain_s`` later.

        Raises
        ------
        BrokerRefusedError
            Wrong credentials or rights; the Frames stay in the spool.
        """
        work = asyncio.create_task(self._deliver_until(stop), name="deliver")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            await asyncio.wait([work, stopping], return_when=asyncio.FIRST_COMPLETED)
            await asyncio.wait([work], timeout=drain_s)
            if work.done():
                work.result()
        finally:
            for task in (work, stopping):
                task.cancel()
            await asyncio.gather(work, stopping, return_exceptions=True)
            if self._producer is not None:
                await self._producer.stop()

    async def _deliver_until(self, stop: asyncio.Event) -> None:
        """Deliver for ever, or once ``stop`` is set until the spool is empty."""
        while await self._deliver() or not stop.is_set():
            if self._spool.size().n_frames == 0:
                await self._wait(stop)

    async def _deliver(self) -> bool:
        """Send the oldest Frames; False where there is nothing to send."""
        self._more.clear()
        frames = await asyncio.to_thread(self._spool.oldest, N_FRAMES_MAX)
        if not frames:
            return False
        try:
            producer = await self._connected()
            await producer.send(FRAMES, [(self._subject_id, frame.payload) for frame in frames])
        except (BrokerError, RecordError) as error:
            # A broker that takes shorter records than we write must not cost the Frames either.
            await self._back_off(error)
            return True
        if self._n_failures:
            log.info("broker_back", n_failures=self._n_failures)
            self._n_failures = 0
        await asyncio.to_thread(self._spool.remove_to, frames[-1].sequence)
        metrics.FRAMES_ACKNOWLEDGED.inc(len(frames))
        self._gauge()
        return True

    async def _connected(self) -> Producer:
        if self._producer is None:
            producer = Producer(self._kafka)
            await producer.start()
            self._producer = producer
        return self._producer

    async def _back_off(self, error: IngestError) -> None:
        self._n_failures += 1
        metrics.BROKER_FAILURES.inc()
        if self._n_failures == 1:
            log.warning("broker_away", error=str(error))
        # Jitter keeps agents apart that lost the same broker.
        jitter = random.uniform(0.5, 1.0)  # noqa: S311
        await asyncio.sleep(min(BACK_OFF_S_MAX, 0.25 * 2.0 ** min(self._n_failures, 10)) * jitter)

    async def _wait(self, stop: asyncio.Event) -> None:
        waiters = [
            asyncio.create_task(self._more.wait(), name="more"),
            asyncio.create_task(stop.wait(), name="stop"),
        ]
        await asyncio.wait(waiters, return_when=asyncio.FIRST_COMPLETED)
        for waiter in waiters:
            waiter.cancel()

    def _gauge(self) -> None:
        size = self._spool.size()
        metrics.SPOOL_FRAMES.set(size.n_frames)
        metrics.SPOOL_SAMPLES.set(size.n_samples)
        metrics.SPOOL_BYTES.set(size.n_bytes)
