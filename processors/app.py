"""The Faust shell around the pipeline: Frames in, Observations and alarms out.

Nothing is decided here. A Frame is acknowledged, and so committed, only when everything that
follows from it has been stored by the broker; after a crash it comes again and gives the same
observations again, under the same identities.
"""

import asyncio
import time
from collections.abc import AsyncIterable, Iterable
from typing import Any, Protocol

import faust
import structlog

from ingest.codec import decode_frame, encode_alarm, encode_dead_letter, encode_observations
from ingest.dead_letter import DeadLetter
from ingest.errors import BrokerError, RecordError
from ingest.frame import NS_PER_S, Frame
from ingest.kafka import Producer, ssl_context
from ingest.observation import Observation
from ingest.settings import KafkaSettings
from ingest.topics import ALARMS, DEAD_LETTERS, FRAMES, OBSERVATIONS
from processors import metrics
from processors.pipeline import Output, SubjectPipeline
from processors.settings import WorkerSettings
from processors.warm_up import warm_up

log = structlog.get_logger()

ROLE = "worker"
RETRY_S = 1.0

SUBJECTS_MAX = 5_000
"""Subjects of one partition in memory, some hundred kilobytes each with everything on; more than a
worker can keep up with."""


class _Message(Protocol):
    topic: str
    partition: int
    offset: int
    key: bytes | None
    timestamp: float | None
    """Seconds."""
    value: bytes


class Worker:
    """The pipelines of the partitions that this process owns, and their way out."""

    def __init__(self, kafka: KafkaSettings) -> None:
        self._kafka = kafka
        self._producer: Producer | None = None
        self._pipelines: dict[int, dict[str, SubjectPipeline]] = {}

    async def process(self, message: _Message) -> None:
        """Process one record and send what follows; return when the broker has stored it."""
        try:
            frame = decode_frame(message.value)
        except RecordError as error:
            await self._refuse(message, str(error))
            return
        started_s = time.perf_counter()
        pipeline = self._pipeline(message.partition, frame.subject_id)
        n_repeated = pipeline.n_samples_repeated
        outputs = pipeline.process(frame)
        metrics.PROCESSING_SECONDS.observe(time.perf_counter() - started_s)
        metrics.DUPLICATES.inc(pipeline.n_samples_repeated - n_repeated)
        await self._send(outputs)
        self._count(frame, outputs)

    def forget(self, partitions: Iterable[int]) -> None:
        """Drop the pipelines of partitions that another worker owns now."""
        for partition in partitions:
            self._pipelines.pop(partition, None)
        self._count_subjects()

    async def close(self) -> None:
        """Close the way out."""
        if self._producer is not None:
            await self._producer.stop()

    def _pipeline(self, partition: int, subject_id: str) -> SubjectPipeline:
        subjects = self._pipelines.setdefault(partition, {})
        pipeline = subjects.pop(subject_id, None)
        if pipeline is None:
            pipeline = SubjectPipeline(subject_id)
            if len(subjects) >= SUBJECTS_MAX:
                # The one that was heard of least lately: it warms up again if it comes back.
                del subjects[next(iter(subjects))]
                metrics.EVICTED.inc()
            subjects[subject_id] = pipeline
            self._count_subjects()
        else:
            subjects[subject_id] = pipeline
        return pipeline

    async def _send(self, outputs: list[Output]) -> None:
        observations = [output for output in outputs if isinstance(output, Observation)]
        alarms = [
            (output.subject_id, encode_alarm(output))
            for output in outputs
            if not isinstance(output, Observation)
        ]
        if observations:
            record = (observations[0].subject_id, encode_observations(observations))
            await self._deliver(OBSERVATIONS, [record])
        await self._deliver(ALARMS, alarms)

    async def _deliver(self, topic: Any, records: list[tuple[str, bytes]]) -> None:  # noqa: ANN401
        """Send until the broker has stored the records: repeats carry the same identities."""
        while records:
            try:
                if self._producer is None:
                    producer = Producer(self._kafka)
                    await producer.start()
                    self._producer = producer
                await self._producer.send(topic, records)
            except BrokerError as error:
                log.warning("broker_unavailable", error=str(error), topic=topic.name)
                await asyncio.sleep(RETRY_S)
            else:
                return

    async def _refuse(self, message: _Message, reason: str) -> None:
        metrics.DEAD_LETTERS.labels(ROLE).inc()
        log.error("dead_letter", reason=reason, topic=message.topic, at=message.offset)
        letter = DeadLetter(
            reason=reason,
            source=ROLE,
            topic=message.topic,
            partition=message.partition,
            offset=message.offset,
            key=message.key,
            timestamp_ms=None if message.timestamp is None else round(message.timestamp * 1000),
            payload=message.value,
        )
        await self._deliver(DEAD_LETTERS, [(ROLE, encode_dead_letter(letter))])

    def _count(self, frame: Frame, outputs: list[Output]) -> None:
        metrics.FRAMES_IN.labels(ROLE).inc()
        metrics.SAMPLES_IN.labels(ROLE).inc(frame.n_samples)
        metrics.OBSERVATIONS_OUT.labels(ROLE).inc(len(outputs))
        received = [b.received_ns for b in frame.waveforms if b.received_ns is not None]
        if outputs and received:
            metrics.RADIO_TO_OBSERVATION.observe((time.time_ns() - min(received)) / NS_PER_S)

    def _count_subjects(self) -> None:
        n_subjects = sum(len(subjects) for subjects in self._pipelines.values())
        metrics.SUBJECTS.labels(ROLE).set(n_subjects)


def build_app(settings: WorkerSettings) -> faust.App:
    """Build the Faust application: one topic, one agent, no tables, no web server."""
    kafka = settings.kafka
    app = faust.App(
        settings.group,
        broker=[f"kafka://{server}" for server in kafka.bootstrap_servers.split(",")],
        broker_credentials=_credentials(kafka),
        store="memory://",
        datadir=str(settings.data_dir),
        autodiscover=False,
        web_enabled=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        consumer_auto_offset_reset="earliest",
        broker_session_timeout=10.0,
        broker_heartbeat_interval=3.0,
        broker_request_timeout=30.0,
        broker_commit_interval=1.0,
        stream_wait_empty=False,
        processing_guarantee="at_least_once",
    )
    worker = Worker(kafka)
    frames = app.topic(FRAMES.name, key_type=bytes, value_type=bytes, value_serializer="raw")

    @app.agent(frames, name="frames")
    async def process_frames(stream: Any) -> None:  # noqa: ANN401  # its type lacks noack()
        events: AsyncIterable[Any] = stream.noack().events()
        async for event in events:
            try:
                await worker.process(event.message)
            except Exception as error:
                # A bug. Faust would go on behind the record; we end, and nothing is committed.
                log.exception("worker_crashed", at=event.message.offset)
                await app.crash(error)
                raise
            event.ack()

    @app.on_partitions_revoked.connect  # type: ignore[arg-type]
    async def forget(_app: Any, revoked: Any, **_: Any) -> None:  # noqa: ANN401
        worker.forget(place.partition for place in revoked if place.topic == FRAMES.name)

    @app.on_partitions_assigned.connect  # type: ignore[arg-type]
    async def ready(_app: Any, assigned: Any, **_: Any) -> None:  # noqa: ANN401
        metrics.READY.labels(ROLE).set(bool(assigned))

    @app.on_before_shutdown.connect  # type: ignore[arg-type]
    async def close(_app: Any, **_: Any) -> None:  # noqa: ANN401
        await worker.close()

    return app


def _credentials(kafka: KafkaSettings) -> Any:  # noqa: ANN401
    """Translate the security settings into Faust's; None for a plain connection."""
    context = ssl_context(kafka)
    if kafka.security_protocol.startswith("SASL") and kafka.sasl_password is not None:
        return faust.SASLCredentials(
            username=kafka.sasl_username,
            password=kafka.sasl_password.get_secret_value(),
            mechanism=kafka.sasl_mechanism,
            ssl_context=context,
        )
    return faust.SSLCredentials(context=context) if context is not None else None


def run_worker(settings: WorkerSettings) -> int:
    """Run the worker until SIGTERM or SIGINT; give the process's exit code."""
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    started_s = time.perf_counter()
    warm_up()
    log.info("kernels_compiled", seconds=round(time.perf_counter() - started_s, 1))
    app = build_app(settings)
    worker = faust.Worker(app, loglevel=settings.log_level.upper(), logging_config=None)
    try:
        worker.execute_from_commandline()
    except SystemExit as error:
        return error.code if isinstance(error.code, int) else 1
    return 0
