"""The Faust shell around the worker: it joins the group, reads, and tells what is assigned.

Nothing is decided here. Faust acknowledges nothing either: what it passes over around a rebalance
it would acknowledge, too, and it would hold every record until its state is stored. The worker
commits offsets itself, behind the states that it has stored.
"""

import asyncio
import os
import signal
import threading
import time
from collections.abc import AsyncIterable, Mapping
from typing import Any, Final

import faust
import structlog
from aiokafka.errors import KafkaError
from faust.types import TP

from ingest.errors import BrokerError, BrokerRefusedError
from ingest.kafka import METADATA_S, ssl_context
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES
from processors.broker_wait import wait_for_broker
from processors.faust_driver import use_driver
from processors.health import HealthServer
from processors.settings import WorkerSettings
from processors.warm_up import warm_up
from processors.watchdog import Watchdog
from processors.worker import Worker

log = structlog.get_logger()

N_BUFFERED_MAX: Final = 500
"""Records that are read and not processed yet; then nothing more is fetched of a partition."""

HEARTBEATS_PER_SESSION: Final = 4

EXIT_STOPPED: Final = 0
EXIT_NOT_STOPPED: Final = 1

REBALANCE_S_MAX: Final = 30.0
"""A member that has not stored its states by then loses its partitions to the others."""

STOP_S_MAX: Final = 25.0
"""From a signal to the end of the process: supervisors kill after 30 s. What is not stored by then
comes again."""

LEAVE_S_MAX: Final = 5.0
"""For Faust to leave the group when all is stored: while the broker is away it takes a minute."""


class FaustGroup:
    """The consumer group, as Faust has joined it."""

    def __init__(self, app: faust.App) -> None:
        self._app = app
        self.stream: Any = None
        """Where the records come from, when the agent has begun."""

    @property
    def _thread(self) -> Any:  # noqa: ANN401  # Faust's types do not know it
        consumer: Any = self._app.consumer
        return consumer._thread  # noqa: SLF001

    def generation(self) -> int:
        """Give the number of the assignment that is in force."""
        return int(self._app.consumer_generation_id)

    def highwater(self, number: int) -> int | None:
        """Give the offset behind the newest record of a partition, as far as it is known."""
        place = TP(FRAMES.name, number)
        consumer = self._app.consumer
        return consumer.highwater(place) if place in consumer.assignment() else None

    def position(self, number: int) -> int | None:
        """Give the offset of the next record that is read of a partition, if that is known."""
        client = self._thread._consumer  # noqa: SLF001  # Faust asks in its thread, and waits
        subscription = None if client is None else client._subscription.subscription  # noqa: SLF001
        assigned = None if subscription is None else subscription.assignment
        state = None if assigned is None else assigned.state_value(TP(FRAMES.name, number))
        return state.position if state is not None and state.has_valid_position else None

    async def begin(self, number: int) -> int:
        """Give the offset from which a partition is to be read: 0 where nothing is committed.

        Raises
        ------
        BrokerError
        """
        place = TP(FRAMES.name, number)
        thread: Any = self._thread
        try:
            return await thread.call_thread(thread._ensure_consumer().committed, place) or 0  # noqa: SLF001
        except (KafkaError, TimeoutError) as error:
            raise BrokerError(f"what is committed of {place}: {error!r}") from error

    async def go_back(self, number: int, offset: int) -> None:
        """Read a partition again from an offset on, or from the oldest record behind it."""
        thread: Any = self._thread
        try:
            await thread.seek_wait({TP(FRAMES.name, number): offset})
        except (KafkaError, TimeoutError) as error:
            # The partitions are changing hands: whoever has this one then reads what is committed.
            log.warning("not_gone_back", partition=number, to=offset, error=repr(error))

    def buffered(self) -> int:
        """Count the records that were read and not given to the worker yet."""
        return 0 if self.stream is None else int(self.stream.channel.queue.qsize())

    async def commit(self, offsets: Mapping[int, int]) -> None:
        """Commit an offset for each partition; those that are not ours any more are left out."""
        places = {TP(FRAMES.name, number): offset for number, offset in offsets.items()}
        consumer: Any = self._app.consumer
        await consumer._commit(places)  # noqa: SLF001  # what the driver does for acknowledgements


class WorkerApp:
    """The Faust application with its worker: one topic, one agent, no tables, no web server."""

    def __init__(self, settings: WorkerSettings) -> None:
        self.app: Final = _app(settings)
        use_driver(self.app)
        self.watchdog: Final = Watchdog(settings.stall_s, settings.kafka.bootstrap_servers)
        self._group: Final = FaustGroup(self.app)
        self.worker: Final = Worker(settings, self._group, self.watchdog)
        self._running: asyncio.Task[None] | None = None
        self._connect()

    def _connect(self) -> None:
        app, worker = self.app, self.worker
        frames = app.topic(
            FRAMES.name, key_type=bytes, value_type=bytes, value_serializer="raw", acks=False
        )

        @app.agent(frames, name="frames")
        async def process_frames(stream: Any) -> None:  # noqa: ANN401  # its type lacks noack()
            self._group.stream = stream
            self._start()  # agents start before the group is joined
            events: AsyncIterable[Any] = stream.noack().events()
            async for event in events:
                try:
                    await worker.process(event.message)
                except Exception as error:
                    # A bug. Faust would go on behind the record; we end, and it is not committed.
                    worker.failed()
                    log.exception("worker_crashed", at=event.message.offset)
                    await app.crash(error)
                    raise

        @app.on_partitions_revoked.connect  # type: ignore[arg-type]
        async def revoked(_app: Any, _revoked: Any, **_: Any) -> None:  # noqa: ANN401
            await worker.revoked()

        @app.on_partitions_assigned.connect  # type: ignore[arg-type]
        async def assigned(_app: Any, places: Any, **_: Any) -> None:  # noqa: ANN401
            numbers = sorted(place.partition for place in places if place.topic == FRAMES.name)
            worker.assigned(numbers, self._group.generation())

        @app.on_before_shutdown.connect  # type: ignore[arg-type]
        async def stop(_app: Any, **_: Any) -> None:  # noqa: ANN401
            await worker.stop()
            _end_after(LEAVE_S_MAX, EXIT_STOPPED)

    def _start(self) -> None:
        if self._running is None:
            self.watchdog.start()
            self._running = asyncio.create_task(self._run(), name="worker")

    async def _run(self) -> None:
        try:
            await self.worker.run()
        except* BrokerRefusedError as refused:
            error = refused.exceptions[0]
            log.error("broker_refused", error=str(error))
            await self.app.crash(error)
        except* Exception as errors:
            log.exception("worker_failed")
            await self.app.crash(errors.exceptions[0])


def _app(settings: WorkerSettings) -> faust.App:
    kafka = settings.kafka
    session_s = kafka.session_timeout_s
    return faust.App(
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
        broker_session_timeout=session_s,
        broker_heartbeat_interval=session_s / HEARTBEATS_PER_SESSION,
        consumer_metadata_max_age_ms=int(METADATA_S * 1000),
        broker_request_timeout=max(30.0, session_s),
        broker_rebalance_timeout=REBALANCE_S_MAX,
        stream_buffer_maxsize=N_BUFFERED_MAX,
        stream_wait_empty=False,
        processing_guarantee="at_least_once",
    )


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


class _PromptWorker(faust.Worker):
    """Ends in time, whatever hangs."""

    def _schedule_shutdown(self, signal: signal.Signals) -> None:
        _end_after(STOP_S_MAX, EXIT_NOT_STOPPED)
        super()._schedule_shutdown(signal)


def _end_after(seconds: float, code: int) -> None:
    """End the process so long from now, if it is still there."""

    def end() -> None:
        log.warning("not_waited_for", seconds=seconds, code=code)
        os._exit(code)

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()


def run_worker(settings: WorkerSettings) -> int:
    """Run the worker until SIGTERM or SIGINT; give the process's exit code.

    Raises
    ------
    OSError
        The port of the metrics cannot be had.
    """
    settings.data_dir.mkdir(parents=True, exist_ok=True)
    started_s = time.perf_counter()
    warm_up()
    log.info("kernels_compiled", seconds=round(time.perf_counter() - started_s, 1))
    one = WorkerApp(settings)
    with HealthServer(
        one.watchdog.is_turning,
        one.worker.is_ready,
        settings.metrics_port or None,
        host=settings.metrics_host,
    ):
        try:
            if not wait_for_broker(settings.kafka, lambda: one.watchdog.turned(has_input=False)):
                return 0
        except BrokerRefusedError as error:
            log.error("broker_refused", error=str(error))
            return 1
        process = _PromptWorker(one.app, loglevel=settings.log_level.upper(), logging_config=None)
        try:
            process.execute_from_commandline()
        except SystemExit as error:
            return error.code if isinstance(error.code, int) else 1
    return 0
