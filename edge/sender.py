"""From the spool to Kafka: oldest first, forgotten when acknowledged. A shell.

All Frames of a subject go to one partition, and in order: what is live waits behind what is older.
So a backlog has to leave as fast as the broker takes it. Batches are cut by bytes, the next one is
read and decrypted while one is on its way, and storing new Frames waits for neither.
"""

import asyncio
import random
import time
from typing import Final

import structlog

from edge import metrics
from edge.links.back_off import BackOff
from edge.spool.spool import Spool, SpooledFrame, SpoolError
from edge.status import BrokerStatus
from edge.waiting import wait_any
from ingest.errors import BrokerError, BrokerRefusedError, RecordError
from ingest.kafka import Producer
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES

log = structlog.get_logger()

BATCH_BYTES: Final = 1_000_000
"""Of one delivery. Two such batches are held in memory at most, each at least one Frame."""

BATCH_FRAMES_MAX: Final = 4_096

PAUSES: Final = BackOff(first_s=0.25, max_s=15.0)


class Sender:
    """Delivers what the spool holds and waits for more."""

    def __init__(self, kafka: KafkaSettings, spool: Spool, subject_id: str) -> None:
        self._kafka = kafka
        self._spool = spool
        self._subject_id = subject_id
        self._producer: Producer | None = None
        self._more = asyncio.Event()
        self._n_failures = 0
        self._error = ""
        self._acknowledged_ns: int | None = None

    def status(self) -> BrokerStatus:
        """Say how delivery goes."""
        return BrokerStatus(
            connected=self._producer is not None and self._n_failures == 0,
            acknowledged_ns=self._acknowledged_ns,
            n_failures=self._n_failures,
            error=self._error,
        )

    def wake(self) -> None:
        """Tell that a Frame has been spooled."""
        self._more.set()

    async def run(self, stop: asyncio.Event, *, drain_s: float) -> None:
        """Deliver until ``stop`` is set and the spool is empty, or ``drain_s`` later.

        What cannot be delivered, for whatever reason, stays in the spool.
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
        batch: list[SpooledFrame] = []
        while True:
            if not batch:
                self._more.clear()
                batch = await self._read(after=-1)
            if batch:
                batch = await self._deliver(batch)
            elif self._spool.size().n_frames == 0:
                if stop.is_set():
                    return
                await wait_any(None, self._more, stop)

    async def _deliver(self, batch: list[SpooledFrame]) -> list[SpooledFrame]:
        """Send a batch, however long it takes; give the next one."""
        reading = asyncio.create_task(self._read_behind(batch), name="read")
        try:
            await self._send(batch)
            await asyncio.to_thread(self._spool.acknowledge_to, batch[-1].sequence)
        finally:
            # Whoever ends this must not leave a thread in the spool.
            await asyncio.wait([reading])
        self._acknowledged_ns = time.time_ns()
        metrics.FRAMES_ACKNOWLEDGED.inc(len(batch))
        self._gauge()
        return reading.result()

    async def _read_behind(self, batch: list[SpooledFrame]) -> list[SpooledFrame]:
        if self._spool.size().n_frames <= len(batch):
            return []
        return await self._read(after=batch[-1].sequence)

    async def _read(self, *, after: int) -> list[SpooledFrame]:
        """Read the next batch; a spool that cannot be read now may be later."""
        try:
            return await asyncio.to_thread(
                self._spool.oldest, BATCH_FRAMES_MAX, n_bytes_max=BATCH_BYTES, after=after
            )
        except SpoolError as error:
            log.error("spool_not_read", error=str(error))
            metrics.SPOOL_FAILURES.inc()
            await self._pause(1)
            return []

    async def _send(self, batch: list[SpooledFrame]) -> None:
        """Send until the broker has all of it: what it may have had twice, harms nobody."""
        while True:
            try:
                producer = await self._connected()
                await producer.send(FRAMES, [(self._subject_id, one.payload) for one in batch])
            except (BrokerError, BrokerRefusedError, RecordError) as error:
                # A broker that takes shorter records than we write must not cost the Frames either,
                # nor one whose password was changed: the spool holds for days, the links stay up.
                self._n_failures += 1
                self._error = str(error)
                metrics.BROKER_FAILURES.inc()
                if self._n_failures == 1:
                    refused = isinstance(error, BrokerRefusedError)
                    log.warning("broker_refused" if refused else "broker_away", error=str(error))
                await self._pause(self._n_failures)
            else:
                break
        if self._n_failures:
            log.info("broker_back", n_failures=self._n_failures)
            self._n_failures = 0
            self._error = ""

    async def _connected(self) -> Producer:
        if self._producer is None:
            producer = Producer(self._kafka)
            await producer.start()
            self._producer = producer
        return self._producer

    async def _pause(self, n_failures: int) -> None:
        pause_s = PAUSES.pause_s(n_failures, random.random())  # noqa: S311
        await asyncio.sleep(pause_s)

    def _gauge(self) -> None:
        size = self._spool.size()
        metrics.SPOOL_FRAMES.set(size.n_frames)
        metrics.SPOOL_SAMPLES.set(size.n_samples)
        metrics.SPOOL_BYTES.set(size.n_bytes)
        metrics.SPOOL_FRAMES_DROPPED.set(self._spool.n_frames_dropped)
        metrics.SPOOL_READINGS_DROPPED.set(self._spool.n_readings_dropped)
