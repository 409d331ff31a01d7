"""The worker: the partitions that it has, what goes in and what comes out.

It knows neither Faust nor how a group is joined: it is told what is assigned and revoked.
"""

import asyncio
import secrets
import time
from collections.abc import Iterable, Mapping
from importlib.metadata import version
from typing import Final, Protocol

import structlog
from prometheus_client import Counter

from ingest.checkpoint import Checkpoint
from ingest.checkpoint_topic import CheckpointTopic
from ingest.codec import decode_frame, encode_alarm, encode_all_observations, encode_dead_letter
from ingest.dead_letter import DeadLetter
from ingest.errors import BrokerError, RecordError
from ingest.frame import NS_PER_S, Frame
from ingest.observation import AlarmEvent, Observation
from ingest.role_status import WORKER, RoleState
from ingest.status_reporter import Said, StatusReporter
from ingest.topics import ALARMS, DEAD_LETTERS, OBSERVATIONS
from processors import metrics
from processors.checkpoint_schedule import CheckpointSchedule
from processors.keeper import Keeper, Owned
from processors.lag import Lag
from processors.order_counts import COUNTED
from processors.outbox import RETRY_S, Outbox
from processors.partition import FrameFailedError, Partition, newest_time_ns
from processors.pipeline import Output
from processors.settings import WorkerSettings
from processors.watchdog import Watchdog

log = structlog.get_logger()

ROLE: Final = "worker"
BEAT_S: Final = 1.0

DRAIN_S_MAX: Final = 8.0
"""For what is under way, and all states, when partitions are revoked or the worker is stopped. What
is not stored by then comes again to whoever reads it next."""


class Message(Protocol):
    """A record as the stream gives it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    timestamp: float
    """Seconds since 1970."""
    value: bytes | None
    generation_id: int
    """Of the group, when the record was read."""


class Group(Protocol):
    """The consumer group as the worker sees it."""

    def generation(self) -> int:
        """Give the number of the assignment that is in force."""
        ...

    def highwater(self, number: int) -> int | None:
        """Give the offset behind the newest record of a partition, as far as it is known."""
        ...

    def position(self, number: int) -> int | None:
        """Give the offset of the next record that is read of a partition, if that is known."""
        ...

    def buffered(self) -> int:
        """Count the records that were read and not given to the worker yet."""
        ...

    async def begin(self, number: int) -> int:
        """Give the offset from which a partition is to be read: 0 where nothing is committed.

        Raises
        ------
        BrokerError
        """
        ...

    async def go_back(self, number: int, offset: int) -> None:
        """Read a partition again from an offset on, or from the oldest record behind it."""
        ...

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit an offset for each partition; those that are not ours any more are left out."""
        ...


class Worker:
    """The pipelines of the partitions that this process has, and their way out."""

    def __init__(self, settings: WorkerSettings, group: Group, watchdog: Watchdog) -> None:
        self._interval_s = settings.checkpoint_interval_s
        self._group = group
        self._watchdog = watchdog
        self._writer = secrets.token_hex(8)
        self._program = version("chevet")
        self._outbox = Outbox(settings.kafka, on_trouble=watchdog.excused)
        topic = CheckpointTopic(settings.kafka, settings.group)
        self._keeper = Keeper(topic, self._outbox, group.commit)
        self._owned: dict[int, Owned] = {}
        self._generation: int | None = None  # of which all partitions are loaded
        self._turned = asyncio.Event()
        self._tasks: asyncio.TaskGroup | None = None
        self._loading: asyncio.Task[None] | None = None
        self._newest_ns: dict[int, int] = {}
        self._lags: dict[int, Lag] = {}
        self._reporter = StatusReporter(settings.kafka, WORKER, settings.instance, self.said)
        self._reporting: asyncio.Task[None] | None = None
        self._told: set[int] = set()  # partitions of which there are gauges

    def is_ready(self) -> bool:
        """Tell whether partitions are read."""
        return self._generation is not None and bool(self._owned)

    def said(self) -> Said:
        """Say how it stands: ready where partitions are read."""
        lags = [lag for number, lag in self._lags.items() if number in self._owned]
        gauges = {
            "partitions": float(len(self._owned)),
            "subjects": float(sum(len(one.partition) for one in self._owned.values())),
            "lag_records": float(sum(lag.n_records for lag in lags)),
            "lag_s": max((lag.seconds(time.time()) for lag in lags), default=0.0),
            "outbox_records": float(self._outbox.n_waiting),
            "checkpoint_age_s": self._keeper.age_s(),
        }
        if self.is_ready():
            return Said(state=RoleState.READY, gauges=gauges)
        return Said(state=RoleState.WAITING, reason="assignment", gauges=gauges)

    async def run(self) -> None:
        """Send, keep and tell, for ever.

        Raises
        ------
        BrokerRefusedError
        """
        async with asyncio.TaskGroup() as tasks:
            self._tasks = tasks
            tasks.create_task(self._outbox.run(), name="outbox")
            tasks.create_task(self._keeper.run(), name="keeper")
            tasks.create_task(self._beat(), name="beat")
            self._reporting = tasks.create_task(self._reporter.run(), name="status")

    def assigned(self, numbers: Iterable[int], generation: int) -> None:
        """Take partitions over; their records are waited with until what was kept of them is read.

        Those that we had in the generation before nobody else can have had: they are as they were.
        """
        kept = {
            number: owned
            for number, owned in self._owned.items()
            if owned.generation == generation - 1
        }
        self._owned = {number: kept[number] for number in numbers if number in kept}
        for owned in self._owned.values():
            owned.generation = generation
            owned.committed = owned.went_back_at = None
        missing = [number for number in numbers if number not in kept]
        if self._tasks is None:
            raise RuntimeError("partitions were assigned to a worker that does not run")
        self._loading = self._tasks.create_task(self._load(missing, generation), name="load")

    def failed(self) -> None:
        """Store and commit nothing more: of the last record something may not be in the outbox."""
        self._owned = {}
        self._generation = None
        self._keeper.hold(())

    async def revoked(self) -> None:
        """Store what is under way and all states; then the partitions may go to others."""
        await self._stop_loading()
        self._generation = None
        await self._drain()
        self._keeper.hold(())
        self._tell()
        metrics.READY.labels(ROLE).set(0)

    async def stop(self) -> None:
        """Store what is under way and all states, and close the connections."""
        await self.revoked()
        if self._reporting is not None:
            self._reporting.cancel()
            await asyncio.wait([self._reporting])
        await self._keeper.stop()
        await self._outbox.stop()

    async def process(self, message: Message) -> None:
        """Process one record; what follows from it is on its way when this returns."""
        while self._generation != message.generation_id:
            if message.generation_id != self._group.generation():
                return  # whoever has the partition now reads it again
            self._turned.clear()
            await self._turned.wait()
        await self._outbox.room()
        owned = self._owned.get(message.partition)
        if self._generation != message.generation_id or owned is None:
            return
        if await self._is_passing_over(owned, message.offset):
            return
        # From here on nothing is waited for: state and outbox are never seen with half a record.
        self._watchdog.moved()
        payload = message.value or b""
        metrics.FRAMES_IN.labels(ROLE).inc()
        metrics.BYTES_IN.labels(ROLE).inc(len(payload))
        try:
            frame = decode_frame(payload)
        except RecordError as error:
            owned.partition.passed(message.offset)
            self._refuse(message, payload, str(error))
            return
        started_s = time.perf_counter()
        try:
            record_ms = round(message.timestamp * 1000) if message.timestamp else -1
            outputs = owned.partition.process(message.offset, record_ms, frame)
            self._say(frame, outputs)
        except (FrameFailedError, RecordError) as error:
            log.exception("frame_failed", topic=message.topic, at=message.offset)
            self._refuse(message, payload, f"the pipeline could not take it: {error}")
            outputs = []
        metrics.PROCESSING_SECONDS.observe(time.perf_counter() - started_s)
        metrics.SAMPLES_IN.labels(ROLE).inc(frame.n_samples)
        metrics.OBSERVATIONS_OUT.labels(ROLE).inc(len(outputs))
        owned.schedule.touched(frame.subject_id, time.monotonic())
        self._newest_ns[message.partition] = newest_time_ns(frame)
        self._lags.setdefault(message.partition, Lag()).processed(message.timestamp)

    async def _is_passing_over(self, owned: Owned, offset: int) -> bool:
        """Tell whether records before this one were passed over; then they are read again.

        Whatever the client has fetched by then comes again, too. Where the same record is again the
        first to come, what was before it is not in the topic any more.
        """
        if owned.went_back_at is not None:
            if offset > owned.went_back_at:
                return True
            owned.went_back_at = None
            return False
        expected = owned.partition.position or 0
        if offset <= expected:
            return False
        owned.went_back_at = offset
        metrics.PASSED_OVER.inc()
        log.warning("records_passed_over", partition=owned.number, expected=expected, came=offset)
        await self._group.go_back(owned.number, expected)
        return True

    def _say(self, frame: Frame, outputs: list[Output]) -> None:
        received = [one.received_ns for one in frame.waveforms if one.received_ns is not None]
        received_ns = min(received, default=None)
        observations = [output for output in outputs if isinstance(output, Observation)]
        for payload in encode_all_observations(observations):
            self._outbox.put(OBSERVATIONS, frame.subject_id, payload, received_ns=received_ns)
        for output in outputs:
            if isinstance(output, AlarmEvent):
                self._outbox.put(ALARMS, frame.subject_id, encode_alarm(output))

    def _refuse(self, message: Message, payload: bytes, reason: str) -> None:
        metrics.DEAD_LETTERS.labels(ROLE).inc()
        log.error("dead_letter", reason=reason, topic=message.topic, at=message.offset)
        letter = DeadLetter(
            reason=reason,
            source=ROLE,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            timestamp_ms=round(message.timestamp * 1000),
            payload=payload,
        )
        self._outbox.put(DEAD_LETTERS, ROLE, encode_dead_letter(letter))

    async def _load(self, numbers: list[int], generation: int) -> None:
        started_s = time.monotonic()
        kept, begins = await self._read(numbers) if numbers else ({}, {})
        for number in numbers:
            partition = Partition(self._writer, self._program)
            partition.load(kept[number])
            partition.position = begins[number] or None
            schedule = CheckpointSchedule(self._interval_s)
            self._owned[number] = Owned(number, partition, schedule, generation)
        self._keeper.hold(self._owned.values())
        metrics.LOADING_SECONDS.observe(time.monotonic() - started_s)
        log.info(
            "partitions_taken_over",
            partitions=sorted(self._owned),
            read=len(numbers),
            subjects=sum(len(one.partition) for one in self._owned.values()),
        )
        self._generation = generation
        self._turned.set()
        metrics.READY.labels(ROLE).set(bool(self._owned))

    async def _read(
        self, numbers: list[int]
    ) -> tuple[dict[int, dict[str, Checkpoint | None]], dict[int, int]]:
        """Read what is kept of partitions, and what is committed, for as long as it takes."""
        while True:
            try:
                begins = {number: await self._group.begin(number) for number in numbers}
                return await self._keeper.read(numbers, self._watchdog.excused), begins
            except BrokerError as error:
                log.warning("checkpoints_not_read", error=str(error))
                self._watchdog.excused()
                await asyncio.sleep(RETRY_S)

    async def _stop_loading(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait([self._loading])
            self._loading = None

    async def _drain(self) -> None:
        try:
            async with asyncio.timeout(DRAIN_S_MAX):
                await self._keeper.drain()
        except (TimeoutError, BrokerError) as error:
            log.warning("not_drained", error=str(error) or f"not within {DRAIN_S_MAX:g} s")

    async def _beat(self) -> None:
        """Tell each second how it goes."""
        while True:
            has_input = self._tell()
            self._watchdog.turned(has_input=has_input, places=self._waiting())
            await asyncio.sleep(BEAT_S)

    def _tell(self) -> bool:
        """Set the gauges; tell whether there is something to do."""
        # Partitions that are to be assigned or read are, too: neither may take for ever.
        has_input = self._generation is None or self._group.buffered() > 0
        for number in self._told - self._owned.keys():
            metrics.LAG_RECORDS.remove(str(number))
            metrics.LAG_SECONDS.remove(str(number))
        self._told = set(self._owned)
        for number, owned in self._owned.items():
            lag = self._lag(owned)
            has_input |= lag > 0
            behind_s = (time.time_ns() - self._newest_ns.get(number, 0)) / NS_PER_S
            metrics.LAG_RECORDS.labels(str(number)).set(lag)
            self._lags.setdefault(number, Lag()).waits(lag, time.time())
            metrics.LAG_SECONDS.labels(str(number)).set(max(0.0, behind_s) if lag else 0.0)
            _tell_counts(owned)
        metrics.SUBJECTS.labels(ROLE).set(sum(len(one.partition) for one in self._owned.values()))
        metrics.CHECKPOINT_AGE.set(self._keeper.age_s())
        metrics.OUTBOX.set(self._outbox.n_waiting)
        return has_input

    def _waiting(self) -> dict[int, int]:
        """Give the partitions that have input, or may have, and how far each is; -1: not begun.

        Of one that the client has never fetched from nobody knows.
        """
        found: dict[int, int] = {}
        if self._generation is None:
            return found
        for number, owned in self._owned.items():
            highwater = self._group.highwater(number)
            reached = owned.partition.position or self._group.position(number)
            if highwater is None or reached is None or reached < highwater:
                found[number] = -1 if reached is None else reached
        return found

    def _lag(self, owned: Owned) -> int:
        """Count the records behind the last one processed; 0 while that is not known."""
        if self._generation is None:
            return 0
        highwater, position = self._group.highwater(owned.number), owned.partition.position
        return max(0, highwater - position) if highwater and position else 0


_COUNTERS: Final[dict[str, Counter]] = {
    "n_skipped": metrics.SKIPPED,
    "n_rearmed": metrics.REARMED.labels("state"),
    "n_failed": metrics.REARMED.labels("failure"),
    "n_evicted": metrics.EVICTED,
    "n_restarted": metrics.RESTARTED,
    "n_jumped": metrics.JUMPED,
    "n_samples_repeated": metrics.DUPLICATES,
}


def _tell_counts(owned: Owned) -> None:
    """Add to the counters what a partition has counted since the last time."""
    for name, counter in _COUNTERS.items():
        n = getattr(owned.partition.counts, name)
        more = n - owned.told.get(name, 0)
        if not more:
            continue
        counter.inc(more)
        owned.told[name] = n
        if name in _LOUD:
            log.warning(_LOUD[name], partition=owned.number, n=more)
    for what, n in zip(COUNTED, owned.partition.counts.out_of_order, strict=True):
        metrics.OUT_OF_ORDER.labels(what).inc(n - owned.told.get(what, 0))
        owned.told[what] = n


_LOUD: Final = {
    "n_rearmed": "subjects_rearmed",
    "n_evicted": "subjects_evicted",
    "n_restarted": "input_restarted",
    "n_jumped": "records_gone",
}
