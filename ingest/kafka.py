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
from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    KafkaConnectionError,
    KafkaError,
    KafkaTimeoutError,
    MessageSizeTooLargeError,
    NodeNotReadyError,
    ProducerClosed,
    RequestTimedOutError,
    SaslAuthenticationFailed,
    TopicAlreadyExistsError,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
    for_code,
)

from ingest.errors import (
    BrokerError,
    BrokerRefusedError,
    BrokerUnavailableError,
    OversizedRecordError,
    ProduceTimeoutError,
)
from ingest.settings import KafkaSettings
from ingest.topics import MESSAGE_BYTES_MAX, TOPICS, Topic

CLIENT_ID: Final = "chevet"

JOIN_S_MAX: Final = 60.0
"""A consumer that has no partitions by then gives up: the group's others hold up the rebalance."""

CLOSE_S_MAX: Final = 2.0
"""A client that is not closed in good order by then loses its connections."""

BATCH_BYTES_MAX: Final = 256 * 1024
"""Of one partition, in one request; what is longer goes alone."""

_REFUSALS: Final = (
    AuthenticationFailedError,
    ClusterAuthorizationFailedError,
    GroupAuthorizationFailedError,
    IllegalSaslStateError,
    SaslAuthenticationFailed,
    TopicAuthorizationFailedError,
    UnsupportedSaslMechanismError,
)
_TLS_MAY_PASS: Final = (ssl.SSLEOFError, ssl.SSLSyscallError, ssl.SSLZeroReturnError)
"""Connections that were cut; any other failure of TLS is one of certificates or settings."""


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
    except TimeoutError as error:
        raise BrokerUnavailableError(f"{servers} did not answer in time") from error
    except (KafkaConnectionError, NodeNotReadyError, OSError) as error:
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


METADATA_S: Final = 10.0
"""So often a member of a group looks at the topics anew. One that shares the partitions out when a
broker has just started, and does not know its topics yet, gives nobody any; until it looks again
nothing is read. By itself a client looks every five minutes."""


def client_arguments(settings: KafkaSettings) -> dict[str, Any]:
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


@contextlib.asynccontextmanager
async def starting(settings: KafkaSettings) -> AsyncIterator[None]:
    """Translate the errors of a client's start.

    aiokafka says of any failure that there is no broker, and keeps the reason to its log.
    """
    try:
        with broker_errors(settings.bootstrap_servers):
            yield
    except BrokerUnavailableError as error:
        if settings.security_protocol != "PLAINTEXT" and (refusal := await _refusal(settings)):
            raise refusal from error
        raise


async def _refusal(settings: KafkaSettings) -> BrokerRefusedError | None:
    """Ask each address why it does not take us; None where it only does not answer."""
    arguments = client_arguments(settings)
    for host, port, _family in collect_hosts(arguments.pop("bootstrap_servers")):
        try:
            reached = await create_conn(host, port, **arguments)
        except (*_REFUSALS, ssl.SSLError) as error:
            if not isinstance(error, _TLS_MAY_PASS):
                how = f"{settings.security_protocol}, {settings.sasl_mechanism}"
                return BrokerRefusedError(f"{host}:{port} refused this client ({how}): {error}")
        except (KafkaError, OSError):
            continue
        else:
            reached.close()
    return None


async def close_client(client: Any, connections: Any) -> None:  # noqa: ANN401  # aiokafka has no types
    """Close a client, whether or not its broker still answers.

    While a broker is away aiokafka 0.14 waits for it, or ends with the CancelledError or KeyError
    of one of its own tasks, and leaves the others running: a member whose heart beats on would
    keep its partitions. Nothing of that may reach the caller.
    """
    closing = asyncio.create_task(client.stop(), name="kafka-close")
    await asyncio.wait([closing], timeout=CLOSE_S_MAX)
    left = [closing, *_tasks_of(client)]
    for task in left:
        task.cancel()
    await connections.close()
    await asyncio.wait(left, timeout=CLOSE_S_MAX)
    if closing.done():
        with contextlib.suppress(asyncio.CancelledError, KafkaError, KeyError, OSError):
            closing.result()


def _tasks_of(client: Any) -> list[asyncio.Task[Any]]:  # noqa: ANN401
    """List what a client's parts run in the background."""
    parts = {id(part) for part in vars(client).values() if part is not None}
    frames = ((task, getattr(task.get_coro(), "cr_frame", None)) for task in asyncio.all_tasks())
    return [task for task, frame in frames if frame and id(frame.f_locals.get("self")) in parts]


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
            **client_arguments(self._settings),
            acks="all",
            compression_type=None if compression == "none" else compression,
            max_request_size=MESSAGE_BYTES_MAX,
            max_batch_size=BATCH_BYTES_MAX,
            linger_ms=0,
        )
        try:
            async with starting(self._settings):
                await client.start()
        except BaseException:
            await close_client(client, client.client)
            raise
        self._client = client

    async def send(
        self,
        topic: Topic,
        records: Iterable[tuple[str | bytes | None, bytes | None]],
        *,
        partition: int | None = None,
    ) -> None:
        """Send ``(key, payload)`` records in order; return when the broker has stored all.

        Parameters
        ----------
        records
            Without a payload: in a compacted topic, what the key stands for is deleted.
        partition
            None: the one of the key.

        Raises
        ------
        BrokerError, BrokerRefusedError, OversizedRecordError
            Some of the records may have been stored: sending all again is at-least-once.
        """
        if self._client is None:
            raise BrokerUnavailableError("the producer has not been started")
        pending: list[asyncio.Future[Any]] = []
        try:
            with broker_errors(self._settings.bootstrap_servers):
                for key, payload in records:
                    sent = await self._client.send(
                        topic.name,
                        key=key.encode() if isinstance(key, str) else key,
                        value=payload,
                        partition=partition,
                    )
                    pending.append(sent)
                await asyncio.gather(*pending)
        except BaseException:
            for sent in pending:
                # Nobody will ask what became of it.
                sent.cancel()
            raise

    async def stop(self) -> None:
        """Close the connection; records not yet acknowledged are given up."""
        if self._client is not None:
            client, self._client = self._client, None
            # Else it would wait until they are sent, or have become too old.
            client._message_accumulator.fail_all(ProducerClosed())  # noqa: SLF001
            await close_client(client, client.client)


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
    key: bytes | None = None
    timestamp_ms: int | None = None
    """When it was made, as its producer says, or appended, as the broker says."""

    @classmethod
    def of(cls, record: Any) -> "ConsumedRecord":  # noqa: ANN401  # aiokafka has no types
        """Take over aiokafka's record; one without a value has no bytes."""
        return cls(
            topic=record.topic,
            partition=record.partition,
            offset=record.offset,
            payload=record.value if record.value is not None else b"",
            key=record.key,
            timestamp_ms=record.timestamp,
        )


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
            **client_arguments(self._settings),
            group_id=self._group,
            enable_auto_commit=False,
            auto_offset_reset="latest" if self._from_latest else "earliest",
            fetch_max_wait_ms=100,
            max_partition_fetch_bytes=MESSAGE_BYTES_MAX,
            session_timeout_ms=int(self._settings.session_timeout_s * 1000),
            heartbeat_interval_ms=int(self._settings.session_timeout_s * 1000 / 4),
            metadata_max_age_ms=int(METADATA_S * 1000),
        )
        try:
            async with starting(self._settings), asyncio.timeout(JOIN_S_MAX):
                await client.start()
        except BaseException:
            await close_client(client, client._client)  # noqa: SLF001
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
        return [ConsumedRecord.of(record) for record in records]

    async def commit(self, offsets: Mapping[tuple[str, int], int] | None = None) -> None:
        """Commit all that ``poll`` has given so far and that is still assigned.

        Parameters
        ----------
        offsets
            By topic and partition, of the record to go on with: no more than this is committed, of
            what is still assigned. None: all.

        Raises
        ------
        BrokerError, BrokerRefusedError
        """
        assigned = self._started.assignment()
        read = (
            self._read if offsets is None else {TopicPartition(*p): o for p, o in offsets.items()}
        )
        reached = {place: offset for place, offset in read.items() if place in assigned}
        if reached and self._group is not None:
            with broker_errors(self._settings.bootstrap_servers):
                # aiokafka goes on asking for a coordinator that is away, for ever.
                async with asyncio.timeout(self._settings.request_timeout_s):
                    await self._started.commit(reached)
        self._read.clear()

    async def stop(self) -> None:
        """Leave the group and close the connection, without a commit."""
        if self._client is not None:
            client, self._client = self._client, None
            await close_client(client, client._client)  # noqa: SLF001

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
    async with _open_admin(settings) as admin:
        missing = await _missing(admin, topics)
        return [topic.name for topic in missing if await _create(admin, settings, topic)]


async def missing_topics(settings: KafkaSettings, topics: Iterable[Topic] = TOPICS) -> list[str]:
    """Name the topics that are not there, or that this client may not see; change nothing.

    Raises
    ------
    BrokerError, BrokerRefusedError
    """
    async with _open_admin(settings) as admin:
        return [topic.name for topic in await _missing(admin, topics)]


@contextlib.asynccontextmanager
async def _open_admin(settings: KafkaSettings) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(**client_arguments(settings))
    try:
        async with starting(settings):
            await admin.start()
        with broker_errors(settings.bootstrap_servers):
            yield admin
    finally:
        await admin.close()


async def _missing(admin: AIOKafkaAdminClient, topics: Iterable[Topic]) -> list[Topic]:
    there = set(await admin.list_topics())
    return [topic for topic in topics if topic.name not in there]


async def _create(admin: AIOKafkaAdminClient, settings: KafkaSettings, topic: Topic) -> bool:
    """Create one topic; False where another process was faster."""
    response: Any = await admin.create_topics(
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
            kind = BrokerError if error.retriable else BrokerRefusedError
            raise kind(f"topic {topic.name} was not created: {error.__name__} {message}")
    return True
