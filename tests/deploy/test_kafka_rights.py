"""The rights of each role, given on a real Kafka that refuses everything else."""

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.helpers import create_ssl_context
from aiokafka.protocol.admin import CreateAclsRequest
from pydantic import SecretStr

from deploy import kafka_rights
from deploy.kafka_rights import ALL, ROLES, Right, Role, rights_of
from deploy.local.kafka import KafkaBroker
from ingest.codec import encode_frame
from ingest.errors import BrokerError, BrokerRefusedError
from ingest.kafka import create_topics, missing_topics, open_consumer, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES, OBSERVATIONS, TOPICS, Topic
from processors.settings import SinkSettings, WorkerSettings
from tests.worker.running import frames_of, until

PASSWORD: Final = "only here"  # noqa: S105
USERS: Final = {role.user: PASSWORD for role in ROLES} | {"agent-bed-12": PASSWORD}

# As org.apache.kafka.common.resource.ResourceType, acl.AclOperation, AclPermissionType and
# resource.PatternType number them.
KINDS: Final = {"topic": 2, "group": 3}
OPERATIONS: Final = {"Read": 3, "Write": 4, "Create": 5}
ALLOW: Final = 3
LITERAL: Final = 3


@pytest.fixture(scope="module")
def broker() -> Iterator[KafkaBroker]:
    with KafkaBroker(users=USERS) as one:
        asyncio.run(_prepare(one))
        yield one


async def _prepare(broker: KafkaBroker) -> None:
    operator = next(role for role in ROLES if role.name == "operator")
    async with super_user(broker) as admin:
        for role in ROLES:
            await give(admin, role, role.user)
        await give(admin, kafka_rights.AGENT, "agent-bed-12")
    made = settings(broker, operator.user)
    await create_topics(made)
    async with asyncio.timeout(60):
        while await missing_topics(made):  # noqa: ASYNC110  # they are seen a moment later
            await asyncio.sleep(0.1)


@asynccontextmanager
async def super_user(broker: KafkaBroker) -> AsyncIterator[AIOKafkaAdminClient]:
    admin = AIOKafkaAdminClient(
        bootstrap_servers=broker.bootstrap_servers,
        security_protocol="SASL_SSL",
        ssl_context=create_ssl_context(cafile=str(broker.ca_file)),
        sasl_mechanism="PLAIN",
        sasl_plain_username=broker.sasl_username,
        sasl_plain_password=broker.sasl_password,
    )
    await admin.start()
    try:
        yield admin
    finally:
        await admin.close()


async def give(admin: AIOKafkaAdminClient, role: Role, user: str) -> None:
    for right in rights_of(role):
        await _give(admin, right, user)


async def _give(admin: AIOKafkaAdminClient, right: Right, user: str) -> None:
    request = CreateAclsRequest(
        KINDS[right.kind],
        right.name,
        LITERAL,
        f"User:{user}",
        "*",
        OPERATIONS[right.operation],
        ALLOW,
    )
    answer = await admin._send_to_controller(request)
    assert [code for code, _ in answer.creation_responses] == [0], answer


def settings(broker: KafkaBroker, user: str) -> KafkaSettings:
    return KafkaSettings(
        bootstrap_servers=broker.bootstrap_servers,
        security_protocol="SASL_SSL",
        sasl_mechanism="PLAIN",
        sasl_username=user,
        sasl_password=SecretStr(PASSWORD),
        n_partitions=2,
        ssl_ca_file=broker.ca_file,
    )


def role_named(name: str) -> Role:
    (role,) = [role for role in ROLES if role.name == name]
    return role


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
async def test_a_role_sees_the_topics_that_it_may_use_and_no_others(
    broker: KafkaBroker, role: Role
) -> None:
    there = {topic.name for topic in TOPICS}

    missing = await missing_topics(settings(broker, role.user))

    assert there - set(missing) == there & {*role.reads, *role.writes, *role.creates}


async def may_write(kafka: KafkaSettings, topic: Topic) -> bool:
    try:
        async with open_producer(kafka) as producer:
            await producer.send(topic, [("nobody", b"x")])
    except (BrokerRefusedError, BrokerError):
        return False
    return True


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
async def test_a_role_may_write_what_it_writes_and_nothing_else(
    broker: KafkaBroker, role: Role
) -> None:
    kafka = settings(broker, role.user)

    written = {topic.name for topic in TOPICS if await may_write(kafka, topic)}

    assert written == set(role.writes) & {topic.name for topic in TOPICS}


@pytest.mark.parametrize("role", ROLES, ids=lambda role: role.name)
async def test_a_role_may_read_what_it_reads_and_nothing_else(
    broker: KafkaBroker, role: Role
) -> None:
    kafka = settings(broker, role.user)
    reads = [topic for topic in TOPICS if topic.name in role.reads]
    others = [topic for topic in TOPICS if topic.name not in role.reads]

    # A right to write lets see that a topic is there, and no more.
    for topic in others:
        with pytest.raises((BrokerRefusedError, BrokerError)):
            await read_once(kafka, (topic,))
    if reads:
        await read_once(kafka, reads)


async def read_once(kafka: KafkaSettings, topics: "tuple[Topic, ...] | list[Topic]") -> None:
    async with open_consumer(kafka, topics, group=None) as consumer:
        await consumer.poll(timeout_s=1.0, n_records_max=10)


async def test_an_agent_has_a_user_of_its_own(broker: KafkaBroker) -> None:
    kafka = settings(broker, "agent-bed-12")

    assert await may_write(kafka, FRAMES)
    assert not await may_write(kafka, OBSERVATIONS)


def start(command: list[str], log_file: Path, environ: dict[str, str]) -> subprocess.Popen[bytes]:
    with log_file.open("ab") as log:
        return subprocess.Popen(command, stdout=log, stderr=log, env=environ, cwd=log_file.parent)


@asynccontextmanager
async def running(broker: KafkaBroker, role: str, folder: Path, *words: str) -> AsyncIterator[Path]:
    """One of our roles as its own user, its password in a file; gives its log."""
    password = folder / "password"
    password.write_text(PASSWORD)
    environ = os.environ | {
        "CHEVET_KAFKA__BOOTSTRAP_SERVERS": broker.bootstrap_servers,
        "CHEVET_KAFKA__SECURITY_PROTOCOL": "SASL_SSL",
        "CHEVET_KAFKA__SASL_MECHANISM": "PLAIN",
        "CHEVET_KAFKA__SASL_USERNAME": f"chevet-{role}",
        "CHEVET_KAFKA__SASL_PASSWORD_FILE": str(password),
        "CHEVET_KAFKA__SSL_CA_FILE": str(broker.ca_file),
    }
    log_file = folder / f"{role}.log"
    process = start([sys.executable, "-m", "deploy.cli", role, *words], log_file, environ)
    try:
        yield log_file
    finally:
        process.terminate()
        await asyncio.to_thread(process.wait, 60)


async def test_agent_worker_and_sink_do_their_work_with_their_own_rights(
    broker: KafkaBroker, tmp_path: Path
) -> None:
    """Frames by the agent's user, observations by the worker's, both stored by the sink's."""
    frames = frames_of(["somebody"], 20)
    store = tmp_path / "store"
    async with (
        running(broker, "worker", tmp_path) as worker_log,
        running(broker, "sink", tmp_path, "--folder", str(store)) as sink_log,
    ):
        async with open_producer(settings(broker, "agent-bed-12")) as producer:
            await producer.send(FRAMES, [(one.subject_id, encode_frame(one)) for one in frames])

        def is_stored(measurement: str) -> bool:
            files = [one for one in store.rglob("*") if one.is_file()]
            line = re.compile(rf"^{measurement},\S*subject=somebody ", re.MULTILINE)
            return any(line.search(one.read_text()) for one in files)

        await until(lambda: is_stored("observation"))
        assert is_stored("waveform")
    for log in (worker_log, sink_log):
        assert "refused" not in log.read_text()


def test_the_table_has_every_topic_and_the_groups_that_the_roles_join() -> None:
    assert {topic.name for topic in TOPICS} <= set(ALL)
    assert role_named("worker").groups == (WorkerSettings().group,)
    assert role_named("sink").groups == (SinkSettings().group,)


def test_no_role_of_the_system_may_make_topics_and_no_agent_may_read() -> None:
    assert [role.name for role in ROLES if role.creates] == ["operator"]
    assert role_named("agent").reads == ()


def test_the_commands_give_each_user_its_rights(capsys: pytest.CaptureFixture[str]) -> None:
    kafka_rights.main(["--bootstrap-server", "k:9093"])
    lines = capsys.readouterr().out.splitlines()
    kafka_rights.main(["--agent", "agent-1", "--agent", "agent-2"])
    agents = capsys.readouterr().out.splitlines()

    assert (
        "kafka-acls.sh --bootstrap-server k:9093 --command-config admin.properties --add "
        "--allow-principal User:chevet-worker --operation Read --topic chevet.frames "
        "--topic chevet.checkpoints"
    ) in lines
    assert not any("User:chevet-agent" in line for line in lines)
    assert [line.split("User:")[1].split()[0] for line in agents] == ["agent-1", "agent-2"]
    n_rights = sum(line.count("--topic") + line.count("--group") for line in lines)
    assert n_rights == sum(len(list(rights_of(role))) for role in ROLES[1:])
