"""Kafka clients, built in one place from one settings class.

Third-party errors are translated here: no aiokafka exception leaves this module.
"""

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    RequestTimedOutError,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    for_code,
)

from ingest.codec import RECORD_BYTES_MAX
from ingest.errors import (
    BrokerError,
    BrokerRefusedError,
    BrokerUnavailableError,
    OversizedRecordError,
    ProduceTimeoutError,
)
from ingest.settings import KafkaSettings
from ingest.topics import TOPICS, Topic

CLIENT_ID: Final = "chevet"

_REFUSALS: Final = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    TopicAuthorizationFailedError,
)


@contextlib.contextmanager
def broker_errors(servers: str) -> Iterator[None]:
    """Translate aiokafka's errors into this package's.

    Raises
    ------
    BrokerUnavailableError, ProduceTimeoutError, BrokerError
        The same call may succeed later.
    BrokerRefusedError
        It will not.
    OversizedRecordError
    """
    try:
        yield
    except (KafkaTimeoutError, RequestTimedOutError) as error:
        raise ProduceTimeoutError(f"{servers} did not answer in time: {error}") from error
    except _REFUSALS as error:
        raise BrokerRefusedError(f"{servers} refused this client: {error!r}") from error
    except MessageSizeTooLargeError as error:
        raise OversizedRecordError(str(error)) from error
    except (KafkaConnectionError, OSError) as error:
        raise BrokerUnavailableError(f"no broker at {servers}: {error}") from error
    except KafkaError as error:
        # Without word that a retry helps, it still may: nothing is dropped for it.
        raise BrokerError(f"{servers}: {error!r}") from error


def ssl_context(settings: KafkaSettings) -> ssl.SSLContext | None:
    """Build the TLS context, or None for a plain connection.

    Raises
    ------
    BrokerRefusedError
        A certificate or key file cannot be used.
    """
    if "SSL" not in settings.security_protocol:
        return None
    try:
        context = ssl.create_default_context(
            cafile=str(settings.ssl_ca_file) if settings.ssl_ca_file else None
        )
        if settings.ssl_certificate_file and settings.ssl_key_file:
            context.load_cert_chain(settings.ssl_certificate_file, settings.ssl_key_file)
    except (OSError, ssl.SSLError) as error:
        raise BrokerRefusedError(
            f"TLS files of the Kafka settings cannot be used: {error}"
        ) from error
    return context


def _connection(settings: KafkaSettings) -> dict[str, Any]:
    """Give the arguments that every aiokafka client takes."""
    arguments: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers,
        "client_id": CLIENT_ID,
        "security_protocol": settings.security_protocol,
        "ssl_context": ssl_context(settings),
        "request_timeout_ms": int(settings.request_timeout_s * 1000),
    }
    if settings.security_protocol.startswith("SASL") and settings.sasl_password:
        arguments |= {
            "sasl_mechanism": settings.sasl_mechanism,
            "sasl_plain_username": settings.sasl_username,
            "sasl_plain_password": settings.sasl_password.get_secret_value(),
        }
    return arguments


class Producer:
    """Sends records and waits until all in-sync replicas have them."""

    def __init__(self, settings: KafkaSettings) -> None:
        self._settings = settings
        self._client: AIOKafkaProducer | None = None

    async def start(self) -> None:
        """Connect.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        compression = self._settings.compression
        client = AIOKafkaProducer(
            **_connection(self._settings),
            acks="all",
            compression_type=None if compression == "none" else compression,
            max_request_size=RECORD_BYTES_MAX,
            linger_ms=0,
        )
        try:
            with broker_errors(self._settings.bootstrap_servers):
                await client.start()
        except BaseException:
            await client.stop()
            raise
        self._client = client

    async def send(self, topic: Topic, records: Iterable[tuple[str, bytes]]) -> None:
        """Send ``(key, payload)`` records in order; return when the broker has stored all.

        Raises
        ------
        BrokerError, BrokerRefusedError, OversizedRecordError
            Some of the records may have been stored: sending all again is at-least-once.
        """
        if self._client is None:
            raise BrokerUnavailableError("the producer has not been started")
        with broker_errors(self._settings.bootstrap_servers):
            pending = [
                await self._client.send(topic.name, key=key.encode(), value=payload)
                for key, payload in records
            ]
            await asyncio.gather(*pending)

    async def stop(self) -> None:
        """Close the connection; records not yet acknowledged are given up."""
        if self._client is not None:
            client, self._client = self._client, None
            with contextlib.suppress(KafkaError, OSError):
                await client.stop()


@contextlib.asynccontextmanager
async def open_producer(settings: KafkaSettings) -> AsyncIterator[Producer]:
    """Give a connected producer and close it afterwards.

    Raises
    ------
    BrokerError, BrokerRefusedError
    """
    producer = Producer(settings)
    await producer.start()
    try:
        yield producer
    finally:
        await producer.stop()


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsumedRecord:
    """A record as it stands in Kafka."""

    topic: str
    partition: int
    offset: int
    payload: bytes


class Consumer:
    """Reads records in batches; what was read is committed only when the caller says so."""

    def __init__(
        self,
        settings: KafkaSettings,
        topics: Iterable[Topic],
        *,
        group: str | None,
        from_latest: bool = False,
    ) -> None:
        self._settings = settings
        self._topics = [topic.name for topic in topics]
        self._group = group
        self._from_latest = from_latest
        self._client: AIOKafkaConsumer | None = None
        self._read: dict[TopicPartition, int] = {}

    async def start(self) -> None:
        """Connect and join the group.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        client = AIOKafkaConsumer(
            *self._topics,
            **_connection(self._settings),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="latest" if self._from_latest else "earliest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=RECORD_BYTES_MAX,
            session_timeout_ms=10_000,
        )
        try:
            with broker_errors(self._settings.bootstrap_servers):
                await client.start()
        except BaseException:
            await client.stop()
            raise
        self._client = client

    async def poll(self, *, timeout_s: float, n_records_max: int) -> list[ConsumedRecord]:
        """Wait for the next records, at most ``timeout_s``; order holds within a partition.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        with broker_errors(self._settings.bootstrap_servers):
            batches: Mapping[TopicPartition, list[Any]] = await self._started.getmany(
                timeout_ms=int(timeout_s * 1000), max_records=n_records_max
            )
        records = [record for batch in batches.values() for record in batch]
        for record in records:
            self._read[TopicPartition(record.topic, record.partition)] = record.offset + 1
        return [
            ConsumedRecord(
                topic=record.topic,
                partition=record.partition,
                offset=record.offset,
                payload=record.value if record.value is not None else b"",
            )
            for record in records
        ]

    async def commit(self) -> None:
        """Commit all that ``poll`` has given so far and that is still assigned.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        assigned = self._started.assignment()
        offsets = {place: offset for place, offset in self._read.items() if place in assigned}
        self._read.clear()
        if offsets and self._group is not None:
            with broker_errors(self._settings.bootstrap_servers):
                await self._started.commit(offsets)

    async def stop(self) -> None:
        """Leave the group and close the connection, without a commit."""
        if self._client is not None:
            client, self._client = self._client, None
            with contextlib.suppress(KafkaError, OSError):
                await client.stop()

    @property
    def _started(self) -> AIOKafkaConsumer:
        if self._client is None:
            raise BrokerUnavailableError("the consumer has not been started")
        return self._client


@contextlib.asynccontextmanager
async def open_consumer(
    settings: KafkaSettings,
    topics: Iterable[Topic],
    *,
    group: str | None,
    from_latest: bool = False,
) -> AsyncIterator[Consumer]:
    """Give a connected consumer and close it afterwards.

    Parameters
    ----------
    group
        The consumer group; None reads everything and commits nothing.
    from_latest
        Without a committed offset: begin with what comes next, not with the oldest record.

    Raises
    ------
    BrokerError, BrokerRefusedError
    """
    consumer = Consumer(settings, topics, group=group, from_latest=from_latest)
    await consumer.start()
    try:
        yield consumer
    finally:
        await consumer.stop()


async def create_topics(settings: KafkaSettings, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Create the topics that are not there yet; give the names of those created.

    Raises
    ------
    BrokerError, BrokerRefusedError
    """
    admin = AIOKafkaAdminClient(**_connection(settings))
    try:
        with broker_errors(settings.bootstrap_servers):
            await admin.start()
            there = set(await admin.list_topics())
            missing = [topic for topic in topics if topic.name not in there]
            created = [topic.name for topic in missing if await _create(admin, settings, topic)]
    finally:
        await admin.close()
    return created


async def _create(admin: AIOKafkaAdminClient, settings: KafkaSettings, topic: Topic) -> bool:
    """Create one topic; False where another process was faster."""
    response = await admin.create_topics(
        [
            NewTopic(
                topic.name,
                num_partitions=settings.n_partitions,
                replication_factor=settings.replication_factor,
                topic_configs=topic.config(),
            )
        ]
    )
    for _name, code, *message in response.topic_errors:
        error = for_code(code)
        if error is TopicAlreadyExistsError:
            return False
        if code != 0:
            raise BrokerRefusedError(
                f"topic {topic.name} was not created: {error.__name__} {message}"
            )
    return True
