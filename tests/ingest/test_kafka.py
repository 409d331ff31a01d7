import asyncio
import os
import random
import signal
import ssl
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from aiokafka import AIOKafkaProducer, errors
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType

from deploy.local.embedded_broker import EmbeddedBroker
from deploy.local.kafka import KafkaBroker
from deploy.local.process import LOCALHOST, free_ports
from ingest import kafka as kafka_module
from ingest.codec import RECORD_BYTES_MAX, encode_dead_letter
from ingest.errors import (
    BrokerError,
    BrokerRefusedError,
    BrokerUnavailableError,
    IngestError,
    OversizedRecordError,
    ProduceTimeoutError,
)
from ingest.kafka import (
    Consumer,
    Producer,
    broker_errors,
    create_topics,
    open_consumer,
    open_producer,
    ssl_context,
)
from ingest.role_status import RoleState
from ingest.settings import KafkaSettings
from ingest.status_reporter import Said, StatusReporter, reporting
from ingest.topics import DAY_MS, MESSAGE_BYTES_MAX, TOPICS, Topic
from tests.ingest import records
from tests.waiting import WAIT_S

pytestmark = pytest.mark.usefixtures("no_task_left_behind")


def settings_of(broker: EmbeddedBroker | KafkaBroker, **changes: object) -> KafkaSettings:
    fields: dict[str, Any] = {
        "bootstrap_servers": broker.bootstrap_servers,
        "n_partitions": 3,
        "request_timeout_s": 5.0,
        "session_timeout_s": 2.0,
        **changes,
    }
    return KafkaSettings(**fields)


@pytest.fixture(
    params=["embedded_broker", pytest.param("kafka_broker", marks=pytest.mark.kafka)],
    ids=["embedded", "kafka"],
)
def settings(request: pytest.FixtureRequest) -> KafkaSettings:
    """Settings for the embedded broker, then for Apache Kafka: one contract."""
    # The embedded broker lets a consumer into a group after half of its session timeout.
    session_timeout_s = 1.0 if request.param == "embedded_broker" else 5.0
    broker = request.getfixturevalue(request.param)
    return settings_of(broker, session_timeout_s=session_timeout_s)


@pytest.fixture
def topic(unique_name: str) -> Topic:
    return Topic(name=unique_name, key="whatever", retention_ms=DAY_MS)


@pytest.fixture
async def made_topic(settings: KafkaSettings, topic: Topic) -> Topic:
    await create_topics(settings, [topic])
    return topic


def numbered(n_records: int, *keys: str) -> list[tuple[str, bytes]]:
    return [(keys[i % len(keys)], str(i).encode()) for i in range(n_records)]


async def read(consumer: Consumer, n_records: int) -> list[kafka_module.ConsumedRecord]:
    """Poll until so many records are there."""
    found: list[kafka_module.ConsumedRecord] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < n_records:
            found += await consumer.poll(timeout_s=0.5, n_records_max=n_records - len(found))
    return found


async def read_all(settings: KafkaSettings, topic: Topic, n_records: int) -> list[bytes]:
    async with open_consumer(settings, [topic], group=None) as consumer:
        return [record.payload for record in await read(consumer, n_records)]


# Topics


async def test_topics_are_created_once(settings: KafkaSettings, topic: Topic) -> None:
    assert await create_topics(settings, [topic]) == [topic.name]
    assert await create_topics(settings, [topic]) == []


async def test_of_several_who_create_a_topic_at_once_one_does(
    settings: KafkaSettings, topic: Topic
) -> None:
    created = await asyncio.gather(*(create_topics(settings, [topic]) for _ in range(5)))

    assert sorted(created) == [[], [], [], [], [topic.name]]


async def described_topics(admin: AIOKafkaAdminClient, names: list[str]) -> list[dict[str, Any]]:
    """Describe topics when each has a leader: a busy broker makes them before it tells of them."""
    async with asyncio.timeout(WAIT_S):
        while True:
            described: list[dict[str, Any]] = await admin.describe_topics(names)
            if all(each["partitions"] for each in described):
                return described
            await asyncio.sleep(0.05)


async def test_topics_are_as_they_are_declared(kafka_broker: KafkaBroker, unique_name: str) -> None:
    # Names of their own: other tests have made the real ones, with other settings.
    topics = [replace(topic, name=f"{unique_name}.{topic.name}") for topic in TOPICS]
    names = [topic.name for topic in topics]
    await create_topics(settings_of(kafka_broker), topics)
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap_servers)
    await admin.start()
    try:
        described = await described_topics(admin, names)
        resources = [ConfigResource(ConfigResourceType.TOPIC, name) for name in names]
        (answer,) = await admin.describe_configs(resources)
    finally:
        await admin.close()

    assert {each["topic"]: len(each["partitions"]) for each in described} == dict.fromkeys(names, 3)
    kept = {name: {row[0]: row[1] for row in rows} for *_, name, rows in answer.resources}
    for topic in topics:
        assert topic.config().items() <= kept[topic.name].items()
    checkpoints, frames = kept[f"{unique_name}.chevet.checkpoints"], kept[names[0]]
    assert checkpoints["cleanup.policy"] == "compact"
    assert frames["cleanup.policy"] == "delete"
    assert frames["retention.ms"] == str(7 * DAY_MS)
    assert frames["max.message.bytes"] == str(MESSAGE_BYTES_MAX)


async def test_a_topic_that_the_broker_cannot_make_is_refused(
    kafka_broker: KafkaBroker, topic: Topic
) -> None:
    settings = settings_of(kafka_broker, replication_factor=9)

    with pytest.raises(BrokerRefusedError, match=f"{topic.name} .* InvalidReplicationFactor"):
        await create_topics(settings, [topic])


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (errors.NotControllerError.errno, BrokerError),
        (errors.RequestTimedOutError.errno, BrokerError),
        (errors.InvalidTopicError.errno, BrokerRefusedError),
    ],
)
async def test_a_topic_that_can_be_made_later_is_not_refused(
    code: int, kind: type[IngestError], topic: Topic
) -> None:
    class Admin:
        async def create_topics(self, topics: list[Any]) -> Any:  # noqa: ANN401
            del topics
            return type("Response", (), {"topic_errors": [(topic.name, code, None)]})

    with pytest.raises(kind, match=topic.name) as refused:
        await kafka_module._create(Admin(), KafkaSettings(), topic)

    assert type(refused.value) is kind


# Records


async def test_order_holds_within_a_key(settings: KafkaSettings, made_topic: Topic) -> None:
    sent = numbered(300, "a", "b", "c", "d", "e")
    async with open_producer(settings) as producer:
        await producer.send(made_topic, sent[:7])
        await producer.send(made_topic, [])
        await producer.send(made_topic, iter(sent[7:]))

    async with open_consumer(settings, [made_topic], group=None) as consumer:
        found = await read(consumer, 300)

    partition_of = {record.payload: record.partition for record in found}
    for key in "abcde":
        payloads = [payload for its_key, payload in sent if its_key == key]
        assert [one.payload for one in found if one.payload in payloads] == payloads
        assert len({partition_of[payload] for payload in payloads}) == 1
    for partition in set(partition_of.values()):
        offsets = [one.offset for one in found if one.partition == partition]
        assert offsets == list(range(len(offsets)))
    assert {one.topic for one in found} == {made_topic.name}


async def test_what_was_committed_is_not_read_again_and_the_rest_is(
    settings: KafkaSettings, topic: Topic, unique_name: str
) -> None:
    settings = settings.model_copy(update={"n_partitions": 1})
    await create_topics(settings, [topic])
    sent = numbered(100, "a")
    async with open_producer(settings) as producer:
        await producer.send(topic, sent)

    async with open_consumer(settings, [topic], group=unique_name) as consumer:
        await consumer.commit()
        first = await read(consumer, 40)
        await consumer.commit()
        await consumer.commit()
        await read(consumer, 20)
    async with open_consumer(settings, [topic], group=unique_name) as consumer:
        second = await read(consumer, 60)
        await consumer.commit()

    assert [one.payload for one in first + second] == [payload for _, payload in sent]


async def test_no_more_is_committed_than_what_is_named(
    settings: KafkaSettings, topic: Topic, unique_name: str
) -> None:
    settings = settings.model_copy(update={"n_partitions": 1})
    await create_topics(settings, [topic])
    sent = numbered(20, "a")
    async with open_producer(settings) as producer:
        await producer.send(topic, sent)

    async with open_consumer(settings, [topic], group=unique_name) as consumer:
        await read(consumer, 20)
        # Of a partition that is not assigned nothing is said.
        await consumer.commit({(topic.name, 0): 13, (topic.name, 1): 5, ("other", 0): 5})
    async with open_consumer(settings, [topic], group=unique_name) as consumer:
        again = await read(consumer, 7)

    assert [one.payload for one in again] == [payload for _, payload in sent[13:]]


async def test_two_consumers_of_a_group_share(
    settings: KafkaSettings, made_topic: Topic, unique_name: str
) -> None:
    sent = numbered(90, *"abcdefghi")
    found: dict[str, list[kafka_module.ConsumedRecord]] = {"first": [], "second": []}

    async def run(name: str, consumer: Consumer) -> None:
        while len({one.payload for each in found.values() for one in each}) < len(sent):
            found[name] += await consumer.poll(timeout_s=0.2, n_records_max=1_000)

    async with (
        asyncio.timeout(WAIT_S),
        open_consumer(settings, [made_topic], group=unique_name) as first,
        open_consumer(settings, [made_topic], group=unique_name) as second,
        open_producer(settings) as producer,
    ):
        await producer.send(made_topic, sent)
        await asyncio.gather(run("first", first), run("second", second))

    partitions = [{one.partition for one in each} for each in found.values()]
    assert all(partitions)
    assert not partitions[0] & partitions[1]


async def test_without_a_group_everything_is_read_and_nothing_committed(
    settings: KafkaSettings, made_topic: Topic
) -> None:
    async with open_producer(settings) as producer:
        await producer.send(made_topic, numbered(10, *"abc"))

    for _ in range(2):
        async with open_consumer(settings, [made_topic], group=None) as consumer:
            assert len(await read(consumer, 10)) == 10
            await consumer.commit()


async def test_from_latest_only_what_comes_next_is_read(
    kafka_broker: KafkaBroker, topic: Topic
) -> None:
    settings = settings_of(kafka_broker)
    await create_topics(settings, [topic])
    async with (
        open_producer(settings) as producer,
        open_consumer(settings, [topic], group=None, from_latest=True) as consumer,
    ):
        await producer.send(topic, [("a", b"before")])
        # The first poll finds out where the end is; until it has, it may be called again.
        seen = [one.payload for one in await consumer.poll(timeout_s=1.0, n_records_max=9)]
        await producer.send(topic, [("a", b"after")])

        seen += [one.payload for one in await read(consumer, 1)]

    assert seen[-1] == b"after"


async def test_a_record_without_a_value_has_no_bytes(
    settings: KafkaSettings, made_topic: Topic
) -> None:
    stranger = AIOKafkaProducer(bootstrap_servers=settings.bootstrap_servers)
    async with stranger:
        await stranger.send_and_wait(made_topic.name, value=None, key=b"a")

    assert await read_all(settings, made_topic, 1) == [b""]


@pytest.mark.parametrize("compression", ["none", "gzip", "lz4", "snappy", "zstd"])
async def test_records_pass_with_every_compression(
    settings: KafkaSettings, made_topic: Topic, compression: str
) -> None:
    settings = settings.model_copy(update={"compression": compression})
    payload = b"heart" * 10_000
    async with open_producer(settings) as producer:
        await producer.send(made_topic, [("a", payload)])

    assert await read_all(settings, made_topic, 1) == [payload]


# Limits


async def test_the_longest_record_and_its_dead_letter_pass(
    settings: KafkaSettings, made_topic: Topic
) -> None:
    longest = random.Random(1).randbytes(RECORD_BYTES_MAX)
    letter = encode_dead_letter(records.dead_letter(reason="ø" * 3_000, payload=longest))
    async with open_producer(settings) as producer:
        await producer.send(made_topic, [("a", longest), ("a", letter)])

    assert await read_all(settings, made_topic, 2) == [longest, letter]


async def test_a_record_that_is_too_long_is_refused_and_the_next_one_is_not(
    settings: KafkaSettings, made_topic: Topic
) -> None:
    async with open_producer(settings) as producer:
        with pytest.raises(OversizedRecordError):
            await producer.send(made_topic, [("a", b"1"), ("a", bytes(MESSAGE_BYTES_MAX))])
        await producer.send(made_topic, [("a", b"2")])

    payloads = await read_all(settings, made_topic, 1)
    assert payloads in ([b"1"], [b"2"])


async def test_a_record_that_is_too_long_for_its_topic_is_refused(
    kafka_broker: KafkaBroker, unique_name: str
) -> None:
    settings = settings_of(kafka_broker)
    small = Topic(
        name=unique_name, key="", retention_ms=DAY_MS, settings={"max.message.bytes": "1000"}
    )
    await create_topics(settings, [small])

    async with open_producer(settings) as producer:
        with pytest.raises(OversizedRecordError):
            await producer.send(small, [("a", random.Random(1).randbytes(2_000))])


async def test_a_topic_that_is_not_there_may_be_there_later(
    kafka_broker: KafkaBroker, topic: Topic
) -> None:
    settings = settings_of(kafka_broker, request_timeout_s=1.0)

    async with open_producer(settings) as producer:
        with pytest.raises(BrokerError, match="UnknownTopicOrPartition"):
            await producer.send(topic, [("a", b"1")])
        with pytest.raises(BrokerError, match="UnknownTopicOrPartition"):
            await Consumer(settings, [topic], group=topic.name).start()
        await create_topics(settings, [topic])
        await producer.send(topic, [("a", b"1")])

    assert await read_all(settings, topic, 1) == [b"1"]


# A broker that is away

Start = Callable[[KafkaSettings, Topic], Any]
STARTS: dict[str, Start] = {
    "producer": lambda settings, _topic: Producer(settings).start(),
    "consumer": lambda settings, topic: Consumer(settings, [topic], group=topic.name).start(),
    "create_topics": lambda settings, topic: create_topics(settings, [topic]),
}
each_start = pytest.mark.parametrize("start", STARTS.values(), ids=STARTS)


@pytest.fixture
async def silent_port() -> AsyncIterator[int]:
    """A port that takes connections and never says a word."""
    connections: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(
        lambda _reader, writer: connections.append(writer), LOCALHOST, 0
    )
    yield server.sockets[0].getsockname()[1]
    server.close()
    for connection in connections:
        connection.close()


@each_start
async def test_without_a_broker_a_client_does_not_start(start: Start, topic: Topic) -> None:
    (port,) = free_ports(1)

    with pytest.raises(BrokerUnavailableError, match=f"no broker at {LOCALHOST}:{port}"):
        await start(KafkaSettings(bootstrap_servers=f"{LOCALHOST}:{port}"), topic)


@each_start
async def test_with_a_broker_that_says_nothing_a_client_does_not_start(
    start: Start, topic: Topic, silent_port: int
) -> None:
    settings = KafkaSettings(bootstrap_servers=f"{LOCALHOST}:{silent_port}", request_timeout_s=1.0)

    async with asyncio.timeout(5.0):
        with pytest.raises(BrokerUnavailableError):
            await start(settings, topic)


async def test_a_group_that_never_gives_partitions_is_given_up(
    kafka_broker: KafkaBroker, topic: Topic, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = settings_of(kafka_broker)
    await create_topics(settings, [topic])
    monkeypatch.setattr(kafka_module, "JOIN_S_MAX", 0.0)

    with pytest.raises(BrokerUnavailableError, match="did not answer in time"):
        await Consumer(settings, [topic], group=topic.name).start()


async def test_a_client_that_was_not_started_says_so(topic: Topic) -> None:
    producer, consumer = Producer(KafkaSettings()), Consumer(KafkaSettings(), [topic], group=None)

    with pytest.raises(BrokerUnavailableError, match="has not been started"):
        await producer.send(topic, [("a", b"1")])
    with pytest.raises(BrokerUnavailableError, match="has not been started"):
        await consumer.poll(timeout_s=0.0, n_records_max=1)
    await producer.stop()
    await consumer.stop()


async def until_it_works(send: Callable[[], Any]) -> None:
    async with asyncio.timeout(WAIT_S):
        while True:
            try:
                await send()
            except BrokerError:
                await asyncio.sleep(0.1)
            else:
                return


async def test_a_producer_goes_on_with_a_broker_that_has_forgotten_everything(
    topic: Topic,
) -> None:
    with EmbeddedBroker() as broker:
        settings = settings_of(broker, request_timeout_s=1.0)
        await create_topics(settings, [topic])
        async with open_producer(settings) as producer:
            await producer.send(topic, [("a", b"1")])
            await asyncio.to_thread(broker.kill)
            with pytest.raises(BrokerUnavailableError):
                await producer.send(topic, [("a", b"2")])

            await asyncio.to_thread(broker.start)
            await create_topics(settings, [topic])
            await until_it_works(lambda: producer.send(topic, [("a", b"3")]))

        assert b"3" in await read_all(settings, topic, 1)


@pytest.mark.parametrize("accident", [signal.SIGSTOP, signal.SIGKILL])
async def test_clients_of_a_broker_that_is_away_stop_soon_and_leave_nothing(
    accident: signal.Signals, topic: Topic
) -> None:
    with EmbeddedBroker() as broker:
        settings = settings_of(broker, request_timeout_s=30.0)
        await create_topics(settings, [topic])
        producer, consumer = Producer(settings), Consumer(settings, [topic], group=topic.name)
        await producer.start()
        await consumer.start()
        await producer.send(topic, [("a", b"1")])
        await read(consumer, 1)
        (identity,) = (process.identity for process in broker.processes)
        assert identity is not None
        os.kill(identity.pid, accident)
        reached = os.WSTOPPED | os.WEXITED | os.WNOWAIT
        await asyncio.to_thread(os.waitid, os.P_PID, identity.pid, reached)
        try:
            under_way = asyncio.create_task(producer.send(topic, numbered(9, "a")))
            assert await consumer.poll(timeout_s=0.3, n_records_max=1) == []
            started_s = time.monotonic()

            await consumer.stop()
            await producer.stop()

            assert time.monotonic() - started_s < settings.request_timeout_s
            with pytest.raises(BrokerError):
                await under_way
        finally:
            if accident is signal.SIGSTOP:
                os.kill(identity.pid, signal.SIGCONT)


async def test_a_send_that_is_cancelled_leaves_the_producer_usable(
    embedded_broker: EmbeddedBroker, topic: Topic
) -> None:
    settings = settings_of(embedded_broker, n_partitions=1)
    await create_topics(settings, [topic])
    async with open_producer(settings) as producer:
        sending = asyncio.create_task(producer.send(topic, numbered(1_000, "a")))
        await asyncio.sleep(0)
        sending.cancel()
        with pytest.raises(asyncio.CancelledError):
            await sending

        await producer.send(topic, [("a", b"after")])

    async with open_consumer(settings, [topic], group=None) as consumer:
        async with asyncio.timeout(WAIT_S):
            while b"after" not in [one.payload for one in await read(consumer, 1)]:
                pass


# A broker that refuses


@pytest.fixture(scope="module")
def secured_broker() -> Iterator[KafkaBroker]:
    with KafkaBroker(secured=True) as broker:
        yield broker


def secured(broker: KafkaBroker, **changes: object) -> KafkaSettings:
    return settings_of(
        broker,
        **{
            "security_protocol": "SASL_SSL",
            "sasl_mechanism": "PLAIN",
            "sasl_username": broker.sasl_username,
            "sasl_password": broker.sasl_password,
            "ssl_ca_file": broker.ca_file,
            "n_partitions": 1,
            **changes,
        },
    )


@pytest.mark.kafka
async def test_a_secured_broker_serves_who_has_the_password(
    secured_broker: KafkaBroker, topic: Topic
) -> None:
    settings = secured(secured_broker)
    await create_topics(settings, [topic])
    async with open_producer(settings) as producer:
        await producer.send(topic, [("a", b"1")])

    async with open_consumer(settings, [topic], group=topic.name) as consumer:
        assert [one.payload for one in await read(consumer, 1)] == [b"1"]
        await consumer.commit()


@pytest.mark.kafka
@each_start
@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ({"sasl_password": "guessed"}, "Authentication failed"),
        ({"sasl_mechanism": "SCRAM-SHA-512"}, "SASL_SSL, SCRAM-SHA-512.*UnsupportedSaslMechanism"),
        ({"ssl_ca_file": None}, "CERTIFICATE_VERIFY_FAILED"),
    ],
    ids=["password", "mechanism", "authority"],
)
async def test_a_secured_broker_refuses_for_good_and_says_why(
    secured_broker: KafkaBroker,
    topic: Topic,
    start: Start,
    wrong: dict[str, Any],
    message: str,
) -> None:
    settings = secured(secured_broker, **wrong)

    with pytest.raises(BrokerRefusedError, match=message) as refused:
        await start(settings, topic)

    assert "guessed" not in str(refused.value)


@pytest.mark.kafka
async def test_a_process_whose_status_is_refused_knows_it_and_lives_on(
    secured_broker: KafkaBroker,
) -> None:
    settings = secured(secured_broker, sasl_password="guessed")  # noqa: S106  # a wrong one
    reporter = StatusReporter(settings, "sink", "s", lambda: Said(state=RoleState.READY))

    async with reporting(reporter), asyncio.timeout(WAIT_S):
        while not reporter.refused:  # noqa: ASYNC110  # the reporter's
            await asyncio.sleep(0.05)


@pytest.mark.kafka
async def test_a_client_that_speaks_in_the_clear_finds_no_broker(
    secured_broker: KafkaBroker,
) -> None:
    with pytest.raises(BrokerUnavailableError):
        await Producer(settings_of(secured_broker, request_timeout_s=1.0)).start()


async def test_an_address_that_only_does_not_answer_is_no_refusal() -> None:
    (port,) = free_ports(1)
    away = KafkaSettings(bootstrap_servers=f"{LOCALHOST}:{port}", security_protocol="SSL")

    with pytest.raises(BrokerUnavailableError):
        await Producer(away).start()


async def test_the_broker_may_have_come_back_before_it_was_asked_why(
    embedded_broker: EmbeddedBroker,
) -> None:
    assert await kafka_module._refusal(settings_of(embedded_broker)) is None


@pytest.mark.kafka
async def test_the_same_clients_go_on_when_the_broker_is_back(
    secured_broker: KafkaBroker, topic: Topic
) -> None:
    settings = secured(secured_broker, request_timeout_s=1.0)
    await create_topics(settings, [topic])
    async with (
        open_producer(settings) as producer,
        open_consumer(settings, [topic], group=topic.name) as consumer,
    ):
        await producer.send(topic, numbered(50, "a"))
        first = await read(consumer, 50)
        await asyncio.to_thread(secured_broker.stop)

        with pytest.raises(BrokerError):
            await producer.send(topic, [("a", b"while away")])
        assert await consumer.poll(timeout_s=0.1, n_records_max=9) == []
        with pytest.raises(BrokerUnavailableError):
            await consumer.commit()

        await asyncio.to_thread(secured_broker.start)
        await until_it_works(lambda: producer.send(topic, [("a", b"back")]))
        second = await read(consumer, 1)
        # The commit that failed has forgotten nothing.
        await until_it_works(consumer.commit)
    async with open_consumer(settings, [topic], group=topic.name) as consumer:
        third = await consumer.poll(timeout_s=0.5, n_records_max=99)

    assert [one.payload for one in first] == [payload for _, payload in numbered(50, "a")]
    assert {one.payload for one in second} <= {b"while away", b"back"}
    assert {one.payload for one in third} <= {b"back"}


# TLS files


def test_a_plain_connection_needs_no_tls() -> None:
    assert ssl_context(KafkaSettings()) is None


def test_files_that_are_no_certificates_are_refused(tmp_path: Path) -> None:
    junk = tmp_path / "junk.pem"
    junk.write_text("junk", "utf-8")
    absent = tmp_path / "absent.pem"
    each: list[dict[str, Any]] = [
        {"ssl_ca_file": junk},
        {"ssl_ca_file": absent},
        {"ssl_certificate_file": junk, "ssl_key_file": junk},
    ]
    for files in each:
        with pytest.raises(BrokerRefusedError, match="TLS files"):
            ssl_context(KafkaSettings(security_protocol="SSL", **files))


def test_a_certificate_of_our_own_is_shown(tmp_path: Path) -> None:
    import datetime

    from deploy.local.certificates import write_certificates

    ca_file, own_file = tmp_path / "ca.pem", tmp_path / "own.pem"
    write_certificates(ca_file, own_file, datetime.datetime.now(datetime.UTC))

    context = ssl_context(
        KafkaSettings(
            security_protocol="SSL",
            ssl_ca_file=ca_file,
            ssl_certificate_file=own_file,
            ssl_key_file=own_file,
        )
    )

    assert context is not None
    assert context.verify_mode is ssl.CERT_REQUIRED
    assert context.check_hostname


# Translation


def kinds(root: type[BaseException]) -> list[type[BaseException]]:
    return [root, *(kind for each in root.__subclasses__() for kind in kinds(each))]


@pytest.mark.parametrize("kind", kinds(errors.KafkaError), ids=lambda kind: str(kind.__name__))
def test_no_error_of_aiokafka_leaves(kind: type[BaseException]) -> None:
    error = kind.__new__(kind)

    with pytest.raises(IngestError) as ours, broker_errors("there:1"):
        raise error

    assert ours.value.__cause__ is error
    assert not isinstance(ours.value, errors.KafkaError)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (errors.KafkaConnectionError(), BrokerUnavailableError),
        (errors.NodeNotReadyError(), BrokerUnavailableError),
        (ConnectionResetError(), BrokerUnavailableError),
        (TimeoutError(), BrokerUnavailableError),
        (errors.KafkaTimeoutError(), ProduceTimeoutError),
        (errors.RequestTimedOutError(), ProduceTimeoutError),
        (errors.NotEnoughReplicasError(), BrokerError),
        (errors.CommitFailedError(), BrokerError),
        (errors.TopicAuthorizationFailedError(), BrokerRefusedError),
        (errors.SaslAuthenticationFailed(), BrokerRefusedError),
        (errors.MessageSizeTooLargeError(), OversizedRecordError),
    ],
    ids=lambda value: getattr(value, "__name__", type(value).__name__),
)
def test_an_errors_class_says_what_to_do(error: Exception, kind: type[IngestError]) -> None:
    with pytest.raises(kind) as ours, broker_errors("there:1"):
        raise error

    assert type(ours.value) is kind


def test_a_bug_is_not_translated() -> None:
    with pytest.raises(ZeroDivisionError), broker_errors("there:1"):
        raise ZeroDivisionError


async def test_a_topic_that_was_not_there_is_found_when_it_is(
    kafka_broker: KafkaBroker, unique_name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As when partitions are shared out and a broker that has just started does not know it yet."""
    monkeypatch.setattr(kafka_module, "METADATA_S", 0.3)
    settings = settings_of(kafka_broker)
    topic = Topic(name=unique_name, key="any", retention_ms=DAY_MS)
    await create_topics(settings, [topic])
    admin = AIOKafkaAdminClient(bootstrap_servers=settings.bootstrap_servers)
    await admin.start()
    try:
        async with open_consumer(settings, [topic], group=unique_name) as consumer:
            await admin.delete_topics([topic.name])
            assert consumer._client is not None
            async with asyncio.timeout(WAIT_S):
                while consumer._client.assignment():
                    await consumer.poll(timeout_s=0.1, n_records_max=1)
                await create_topics(settings, [topic])
                async with open_producer(settings) as producer:
                    await producer.send(topic, [("a", b"1")])
                while not await consumer.poll(timeout_s=0.5, n_records_max=1):
                    pass
    finally:
        await admin.close()
