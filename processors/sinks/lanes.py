"""Several writes to a store at once, in order for each subject.

A subject's lines go through one lane, which writes one thing after the other and repeats what the
store was not well enough for: so of two lines for one point the later one holds, whatever the other
lanes do. What waits in all lanes together is bounded: who adds more waits.
"""

import asyncio
import contextlib
import random
import time
import zlib
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final

import structlog

from ingest.dead_letter import DeadLetter, LetterContent
from ingest.frame import NS_PER_S
from ingest.kafka import ConsumedRecord
from processors import metrics
from processors.sinks.store import LineStore, RejectedLines, StoreUnavailableError

log = structlog.get_logger()

BACK_OFF_S_MAX: Final = 30.0

N_LINES_MAX: Final = 50_000
LINES_BYTES_MAX: Final = 4_000_000
"""Lines in one write; one piece may go beyond."""

WAITING_BYTES_MAX: Final = 32_000_000
"""Lines that wait in all lanes, those that are being written included; one piece may go beyond.
When there are as many, nothing is read from Kafka."""


@dataclass(slots=True)
class Batch:
    """Records that were read together: done when the store has all of their lines."""

    role: str
    letters: list[DeadLetter] = field(default_factory=list)
    """What nobody could use."""
    received_ns: list[int] = field(default_factory=list)
    """When the first payload of each block reached the agent."""
    done: asyncio.Event = field(default_factory=asyncio.Event)
    _n_waiting: int = 1
    """Pieces that are not stored yet; one more until all have been added."""

    def refuse(
        self, record: ConsumedRecord, reason: str, payload: bytes, content: LetterContent
    ) -> None:
        """Make a dead letter of a record, or of lines of it."""
        self.letters.append(
            DeadLetter(
                reason=reason,
                source=self.role,
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                key=record.key,
                timestamp_ms=record.timestamp_ms,
                content=content,
                payload=payload,
            )
        )

    def add(self) -> None:
        """Wait for one piece more."""
        self._n_waiting += 1

    def finish(self) -> None:
        """Count a piece that is stored; at the end, that all have been added."""
        self._n_waiting -= 1
        if self._n_waiting == 0:
            self.done.set()
            stored_ns = time.time_ns()
            for received_ns in self.received_ns:
                metrics.RADIO_TO_STORED.observe((stored_ns - received_ns) / NS_PER_S)


@dataclass(frozen=True, slots=True)
class _Piece:
    lines: bytes
    n_lines: int
    record: ConsumedRecord
    batch: Batch


class Lanes:
    """As many lanes as the store likes writes at once; open while in its context.

    Parameters
    ----------
    stop
        When it is set, a lane whose store is away gives up.
    """

    def __init__(self, store: LineStore, stop: asyncio.Event) -> None:
        self._store = store
        self._stop = stop
        self._queues: list[deque[_Piece]] = [deque() for _ in range(store.n_parallel)]
        self._work = [asyncio.Event() for _ in self._queues]
        self._tasks: list[asyncio.Task[None]] = []
        self._n_bytes = 0
        self._changed = asyncio.Event()
        """Something was stored, or a lane has ended."""
        self._not_before_s = 0.0
        """Of the loop's time: the store does not want anything before."""

    @contextlib.asynccontextmanager
    async def opened(self) -> AsyncIterator[None]:
        """Run the lanes; what is not stored at the end is given up."""
        self._tasks = [
            asyncio.create_task(self._run(i), name=f"lane-{i}") for i in range(len(self._queues))
        ]
        for task in self._tasks:
            task.add_done_callback(lambda _: self._changed.set())
        try:
            yield
        finally:
            for task in self._tasks:
                task.cancel()
            await asyncio.wait(self._tasks)

    async def add(self, subject_id: str, lines: bytes, record: ConsumedRecord, batch: Batch) -> int:
        """Queue a piece of lines, and wait until there is room for more; give its lines' number.

        Raises
        ------
        StoreRefusedError, StoreUnavailableError
            As `until_done`.
        """
        piece = _Piece(lines, lines.count(b"\n") + 1, record, batch)
        batch.add()
        self._n_bytes += len(lines)
        i_lane = zlib.crc32(subject_id.encode(errors="replace")) % len(self._queues)
        self._queues[i_lane].append(piece)
        if self._n_bytes >= WAITING_BYTES_MAX:
            metrics.STORE_WAITS.labels(self._store.name).inc()
        while self._n_bytes >= WAITING_BYTES_MAX:
            self.wake()
            await self._wait()
        return piece.n_lines

    def wake(self) -> None:
        """Let every lane write what it has."""
        for queue, work in zip(self._queues, self._work, strict=True):
            if queue:
                work.set()

    async def until_done(self, batch: Batch) -> None:
        """Wait until a batch is stored.

        Raises
        ------
        StoreRefusedError
        StoreUnavailableError
            ``stop`` was set while the store was away: some lines may have been stored.
        """
        self.wake()
        while not batch.done.is_set():
            await self._wait()

    def check(self) -> None:
        """Raise what has ended a lane, if anything has."""
        for task in self._tasks:
            if task.done():
                task.result()

    async def _wait(self) -> None:
        """Wait until something changes."""
        self._changed.clear()
        self.check()
        await self._changed.wait()

    async def _run(self, i_lane: int) -> None:
        queue, work = self._queues[i_lane], self._work[i_lane]
        while True:
            await work.wait()
            while queue:
                await self._write(_taken(queue))
            work.clear()

    async def _write(self, pieces: list[_Piece]) -> None:
        rejected = await self._stored([piece.lines for piece in pieces])
        n_rejected = sum(one.lines.count(b"\n") + 1 for one in rejected)
        n_lines = sum(piece.n_lines for piece in pieces)
        metrics.LINES_OUT.labels(self._store.name).inc(n_lines - n_rejected)
        for one in rejected:
            origin = _origin(pieces, one)
            origin.batch.refuse(origin.record, one.reason, one.lines, LetterContent.LINES)
        for piece in pieces:
            piece.batch.finish()
            self._n_bytes -= len(piece.lines)
        self._changed.set()

    async def _stored(self, lines: list[bytes]) -> list[RejectedLines]:
        """Write lines, however long the store is away."""
        loop = asyncio.get_running_loop()
        n_tries = 0
        while True:
            if await stopped_within(self._not_before_s - loop.time(), self._stop, always=False):
                raise StoreUnavailableError("stopped while the store wants nothing")
            try:
                return await self._store.write(lines)
            except StoreUnavailableError as error:
                n_tries += 1
                metrics.STORE_RETRIES.labels(self._store.name).inc()
                delay_s = min(error.retry_after_s or back_off_s(n_tries), BACK_OFF_S_MAX)
                log.warning("store_unavailable", error=str(error), retry_in_s=round(delay_s, 1))
                if error.retry_after_s:
                    self._not_before_s = max(self._not_before_s, loop.time() + delay_s)
                if await stopped_within(delay_s, self._stop):
                    raise


def _taken(queue: deque[_Piece]) -> list[_Piece]:
    """Take the pieces of the next write."""
    taken = [queue.popleft()]
    n_lines, n_bytes = taken[0].n_lines, len(taken[0].lines)
    while queue:
        n_lines += queue[0].n_lines
        n_bytes += len(queue[0].lines)
        if n_lines > N_LINES_MAX or n_bytes > LINES_BYTES_MAX:
            break
        taken.append(queue.popleft())
    return taken


def _origin(pieces: list[_Piece], rejected: RejectedLines) -> _Piece:
    """Find where the first of the rejected lines is from."""
    line = rejected.lines.partition(b"\n")[0]
    found = (one for one in pieces if line in one.lines and line in one.lines.split(b"\n"))
    return next(found)


async def stopped_within(delay_s: float, stop: asyncio.Event, *, always: bool = True) -> bool:
    """Wait, but no longer than until ``stop`` is set; tell whether it is.

    Parameters
    ----------
    always
        False: a delay that is over tells nothing, whether or not ``stop`` is set.
    """
    if delay_s <= 0.0 and not always:
        return False
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(delay_s):
            await stop.wait()
    return stop.is_set()


def back_off_s(n_tries: int) -> float:
    """Give a jittered exponential delay: about 0.5 s after the first failure, bounded."""
    # Jitter spreads clients that failed together; it protects nothing.
    jitter = random.uniform(0.75, 1.25)  # noqa: S311
    return float(min(BACK_OFF_S_MAX, 0.5 * 2.0 ** min(n_tries - 1, 10)) * jitter)
