"""Keeps the state of subjects in Kafka, and then lets go of the input that is in it.

The order makes it exact: what follows from a Frame is stored, then the state behind it, and only
then is the Frame committed.
"""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Final, NamedTuple

import structlog

from ingest.checkpoint import Checkpoint
from ingest.checkpoint_topic import CheckpointTopic
from ingest.codec import decode_checkpoint, encode_checkpoint
from ingest.errors import BrokerError, RecordError
from processors import metrics
from processors.checkpoint_schedule import CheckpointSchedule
from processors.outbox import RETRY_S, Outbox
from processors.partition import Partition, Snapshot

log = structlog.get_logger()

TICK_S: Final = 0.25
COMMIT_S: Final = 1.0

N_ROUND_MAX: Final = 50
"""States taken in one go: some megabytes on their way. The rest follows in the next round."""

Commit = Callable[[Mapping[int, int]], Awaitable[None]]


@dataclass(slots=True)
class Owned:
    """A partition that this worker has, and when its subjects are written."""

    number: int
    partition: Partition
    schedule: CheckpointSchedule
    generation: int
    """Of the group, when it was assigned last."""
    went_back_at: int | None = None
    """The record before which others were passed over, until it comes again."""
    committed: int | None = None
    told: dict[str, int] = field(default_factory=dict[str, int])
    """What was told of the partition's counts."""


class _Taken(NamedTuple):
    owned: Owned
    snapshot: Snapshot
    payload: bytes


class Keeper:
    """Writes states as they are due, and commits what is behind them.

    Parameters
    ----------
    commit
        Commits an offset for each partition.
    """

    def __init__(self, topic: CheckpointTopic, outbox: Outbox, commit: Commit) -> None:
        self._topic = topic
        self._outbox = outbox
        self._commit = commit
        self._owned: dict[int, Owned] = {}
        self._is_started = False
        self._lock = asyncio.Lock()
        self._committed_s = 0.0

    def hold(self, owned: Iterable[Owned]) -> None:
        """Keep these partitions, and no others."""
        self._owned = {one.number: one for one in owned}

    async def read(
        self, numbers: Iterable[int], on_progress: Callable[[], None]
    ) -> dict[int, dict[str, Checkpoint | None]]:
        """Give what is kept of partitions, by key; None where it cannot be read.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        await self._start()
        found = await self._topic.read(numbers, on_progress)
        return {number: dict(map(_decoded, kept.items())) for number, kept in found.items()}

    async def run(self) -> None:
        """Write and commit what is due, for ever.

        Raises
        ------
        BrokerRefusedError
        """
        while True:
            await asyncio.sleep(TICK_S)
            try:
                async with self._lock:
                    await self._write_due()
                    if time.monotonic() - self._committed_s >= COMMIT_S:
                        await self._let_go()
                        self._committed_s = time.monotonic()
            except BrokerError as error:
                log.warning("checkpoints_waiting", error=str(error))
                await asyncio.sleep(RETRY_S)

    async def drain(self) -> None:
        """Write and commit all that there is.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        async with self._lock:
            for owned in list(self._owned.values()):
                names = list(owned.partition.unsaved())
                for begin in range(0, len(names), N_ROUND_MAX):
                    await self._write(owned, names[begin : begin + N_ROUND_MAX])
            await self._let_go()

    def age_s(self) -> float:
        """Give how long the oldest record has waited for its subject's state to be kept."""
        now_s = time.monotonic()
        return max((one.schedule.age_s(now_s) for one in self._owned.values()), default=0.0)

    async def stop(self) -> None:
        """Close the connection."""
        if self._is_started:
            await self._topic.stop()

    async def _start(self) -> None:
        if not self._is_started:
            await self._topic.start()
            self._is_started = True

    async def _write_due(self) -> None:
        for owned in list(self._owned.values()):
            due = owned.schedule.due(time.monotonic())
            if due:
                await self._write(owned, due[:N_ROUND_MAX])

    async def _write(self, owned: Owned, names: list[str]) -> None:
        taken: list[_Taken] = []
        for name in names:
            snapshot = owned.partition.take(name)
            owned.schedule.written(name, time.monotonic())
            if snapshot is not None:
                payload = encode_checkpoint(snapshot.checkpoint)
                taken.append(_Taken(owned, snapshot, payload))
                metrics.CHECKPOINT_BYTES.observe(len(payload))
            await asyncio.sleep(0)  # a state takes some milliseconds: Frames in between
        try:
            await self._store(owned, taken)
        except BaseException:
            for name in names:  # they are due again
                owned.schedule.touched(name, time.monotonic())
            raise

    async def _store(self, owned: Owned, taken: list[_Taken]) -> None:
        """Store states behind what follows from what is in them."""
        await self._outbox.stored(self._outbox.n_put)
        records = {one.snapshot.key: one.payload for one in taken}
        if not records or not self._is_ours(owned):
            return
        await self._topic.write(owned.number, records)
        metrics.CHECKPOINTS.inc(len(records))
        older = [key for one in taken for key in owned.partition.saved(one.snapshot)]
        if older:
            await self._topic.write(owned.number, dict.fromkeys(older))

    async def _let_go(self) -> None:
        """Commit what the stored states are behind, and delete those of the long silent."""
        offsets: dict[int, int] = {}
        for owned in list(self._owned.values()):
            silent = owned.partition.forget_silent()
            if silent:
                await self._topic.write(owned.number, dict.fromkeys(silent))
            offset = owned.partition.committable()
            if offset is not None and offset != owned.committed:
                offsets[owned.number] = offset
        if not offsets:
            return
        # A record that was refused has no state: it is done with when its dead letter is stored.
        await self._outbox.stored(self._outbox.n_put)
        offsets = {number: offset for number, offset in offsets.items() if number in self._owned}
        await self._commit(offsets)
        for number, offset in offsets.items():
            if number in self._owned:
                self._owned[number].committed = offset

    def _is_ours(self, owned: Owned) -> bool:
        return self._owned.get(owned.number) is owned


def _decoded(record: tuple[str, bytes]) -> tuple[str, Checkpoint | None]:
    key, payload = record
    try:
        return key, decode_checkpoint(payload)
    except RecordError as error:
        log.error("checkpoint_unreadable", key=key, error=str(error))
        return key, None
