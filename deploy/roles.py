"""The roles as the command line starts them: settings in, a running service out."""

import asyncio
import functools
import time
from collections.abc import Callable, Iterable

import structlog

from ingest.codec import decode_alarm, decode_frame, decode_observations, decode_role_status
from ingest.errors import BrokerError, BrokerRefusedError, RecordError
from ingest.kafka import (
    ConsumedRecord,
    Consumer,
    open_consumer,
)
from ingest.recorded_annotations import produce_annotations
from ingest.role_status import LIVE, SINK, RoleState
from ingest.settings import KafkaSettings
from ingest.status_reporter import Said, StatusReporter, reporting, with_statuses
from ingest.topics import ALARMS, FRAMES, OBSERVATIONS, STATUS, Topic
from processors.settings import InfluxSettings, LiveSettings, SinkSettings
from processors.sinks.files import LineFileStore
from processors.sinks.influx import InfluxStore
from processors.sinks.live.access_log import AccessLogError
from processors.sinks.live.access_setup import build_entrance
from processors.sinks.live.annotating import AnnotationDesk
from processors.sinks.live.hub import LiveHub
from processors.sinks.live.server import serve
from processors.sinks.records import load_kernels
from processors.sinks.runner import run_sink
from processors.sinks.store import LineStore, StoreRefusedError
from processors.sinks.store_watch import WatchedStore
from processors.sinks.watched import WaveformChoice

log = structlog.get_logger()

RETRY_S = 1.0


def build_store(settings: SinkSettings, url: str | None, bucket: str | None) -> LineStore:
    """Build the store of the settings; a URL of the command line comes before them.

    Raises
    ------
    StoreError
    """
    influx = settings.influx
    if url is not None:
        influx = (influx or InfluxSettings(url=url)).model_copy(update={"url": url})
    if influx is None:
        return LineFileStore(settings.folder)
    try:
        token = influx.read_token()
    except (OSError, UnicodeDecodeError) as error:
        raise StoreRefusedError(f"InfluxDB's token_file {influx.token_file}: {error}") from error
    return InfluxStore(
        url=influx.url,
        bucket=bucket or influx.bucket,
        org=influx.org,
        token=token,
        timeout_s=influx.timeout_s,
        n_parallel=influx.n_parallel,
        gzip_level=influx.gzip_level,
    )


async def run_sink_role(
    settings: SinkSettings, url: str | None, bucket: str | None, stop: asyncio.Event
) -> None:
    """Run the sink until ``stop`` is set.

    Raises
    ------
    StoreError, BrokerRefusedError
    """
    store = WatchedStore(build_store(settings, url, bucket))
    reporter = StatusReporter(settings.kafka, SINK, settings.instance, store.said)
    try:
        await asyncio.to_thread(load_kernels)
        async with reporting(reporter):
            await run_sink(
                settings.kafka,
                store,
                group=settings.group,
                n_records_max=settings.n_records_max,
                stop=stop,
                has_waveforms=WaveformChoice(settings.waveforms, settings.watched),
            )
    finally:
        await store.close()


async def run_live_role(settings: LiveSettings, stop: asyncio.Event) -> None:
    """Serve the live page until ``stop`` is set, whatever the broker does.

    Raises
    ------
    BrokerRefusedError, UsersError, AccessLogError, OSError
    """
    hub = LiveHub()
    entrance = build_entrance(settings.access, settings.tls, url=settings.url)

    def said() -> Said:
        return Said(state=RoleState.READY, gauges={"pages": float(hub.n_pages)})

    reporter = StatusReporter(settings.kafka, LIVE, settings.instance, said)
    try:
        async with reporting(reporter), asyncio.TaskGroup() as tasks:
            tasks.create_task(_feed(settings.kafka, hub, reporter, stop), name="feed")
            tasks.create_task(
                serve(
                    hub,
                    host=settings.host,
                    port=settings.port,
                    names=settings.known_names,
                    entrance=entrance,
                    desk=AnnotationDesk(
                        lambda made: produce_annotations(settings.kafka, [made]),
                    ),
                    stop=stop,
                    on_ready=lambda url: print(url, flush=True),  # noqa: T201  # read by the starter
                ),
                name="serve",
            )
    except ExceptionGroup as group:
        # One of the two has ended the other; whoever started them is told why, not how.
        known = group.subgroup((BrokerRefusedError, AccessLogError, OSError))
        if known is None:
            raise
        raise known.exceptions[0] from group


async def _feed(
    kafka: KafkaSettings, hub: LiveHub, reporter: StatusReporter, stop: asyncio.Event
) -> None:
    while not stop.is_set():
        try:
            topics = await with_statuses(kafka, (FRAMES, OBSERVATIONS, ALARMS))
            # Without a group every page server sees everything; it begins with what comes next.
            async with open_consumer(kafka, topics, group=None, from_latest=True) as consumer:
                await _pump(consumer, hub, stop, functools.partial(_echoes, topics, reporter))
        except BrokerError as error:
            log.warning("broker_unavailable", error=str(error))
            hub.system.broker_lost(time.time_ns())
            await asyncio.sleep(RETRY_S)


def _echoes(topics: Iterable[Topic], reporter: StatusReporter) -> bool:
    return STATUS in topics and not reporter.refused


async def _pump(
    consumer: Consumer, hub: LiveHub, stop: asyncio.Event, echoes: Callable[[], bool]
) -> None:
    """Take what comes; ``echoes``: whether our own statuses come back."""
    while not stop.is_set():
        records = await consumer.poll(timeout_s=0.5, n_records_max=500)
        for record in records:
            try:
                _show(record, hub, time.time_ns())
            except RecordError as error:
                # The worker puts it into the dead letters; a page has nothing to say about it.
                log.warning("record_unreadable", error=str(error), at=record.offset)
        hub.system.echoes = echoes()
        hub.system.looked(time.time_ns(), heard=bool(records))


def _show(record: ConsumedRecord, hub: LiveHub, now_ns: int) -> None:
    if record.topic == FRAMES.name:
        frame = decode_frame(record.payload)
        hub.system.add_frame(frame, now_ns)
        hub.add_frame(frame, now_ns)
    elif record.topic == OBSERVATIONS.name:
        for observation in decode_observations(record.payload):
            hub.system.add_observation(observation, now_ns)
            hub.add_observation(observation, now_ns)
    elif record.topic == STATUS.name:
        hub.system.add_status(decode_role_status(record.payload), now_ns)
    else:
        hub.add_alarm(decode_alarm(record.payload))
