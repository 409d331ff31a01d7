"""Kafka with the settings that docs/operations.md gives a hospital: TLS, SCRAM, rights.

One broker of the three, on this machine: other names, ports and files, and one copy of each topic.
"""

import asyncio
import datetime
import shlex
import socket
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import pytest
from pydantic import SecretStr

from deploy.local.certificates import write_certificates
from deploy.local.kafka import KAFKA_VERSION, find_java, find_kafka_jars
from deploy.local.process import LOCALHOST, free_ports, run_tool
from deploy.local.server import LocalServer
from ingest.errors import BrokerRefusedError
from ingest.kafka import create_topics, missing_topics, open_consumer, open_producer
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES
from tests.deploy.test_operations_page import TEXT, block_of

PASSWORD: Final = "of-the-brokers"  # noqa: S105
CLUSTER: Final = "4Lp7yQZ0TfS5mTtXqf8rUw"
ONE_COPY: Final = (
    "default.replication.factor",
    "offsets.topic.replication.factor",
    "transaction.state.log.replication.factor",
    "share.coordinator.state.topic.replication.factor",
    "min.insync.replicas",
    "transaction.state.log.min.isr",
    "share.coordinator.state.topic.min.isr",
)


class HospitalBroker(LocalServer):
    """The page's settings and its command, with the addresses and files of this machine."""

    title = "kafka"

    def __init__(self, folder: Path) -> None:
        super().__init__(data_dir=folder)
        self.port, self._controller_port = free_ports(2)
        self.ca_file = folder / "ca.pem"

    @property
    def ports(self) -> tuple[int, ...]:
        return (self.port, self._controller_port)

    def settings(self, user: str, password: str) -> KafkaSettings:
        return KafkaSettings(
            bootstrap_servers=f"{LOCALHOST}:{self.port}",
            security_protocol="SASL_SSL",
            sasl_username=user,
            sasl_password=SecretStr(password),
            ssl_ca_file=self.ca_file,
            n_partitions=1,
        )

    def _start_programs(self) -> None:
        certificate = self.data_dir / "broker.pem"
        write_certificates(self.ca_file, certificate, datetime.datetime.now(datetime.UTC))
        file = self.data_dir / "server.properties"
        file.write_text("".join(f"{name}={value}\n" for name, value in self._here().items()))
        (command,) = block_of("kafka format")
        program, *words = shlex.split(command)
        assert program == "kafka-storage.sh"
        here = {"/etc/kafka/server.properties": str(file), "ID": CLUSTER}
        words = [here.get(word, word.replace("PASSWORD", PASSWORD)) for word in words]
        java = [str(find_java()), "-Xmx512m", "-cp", f"{find_kafka_jars()}/*"]
        tool = [*java, "kafka.tools.StorageTool", *words]
        run_tool("kafka-storage", tool, folder=self.data_dir, timeout_s=90)
        self._run("kafka", [*java, "kafka.Kafka", str(file)], self._listens, start_s_max=90)

    def _here(self) -> dict[str, str]:
        lines = [line for line in block_of("kafka settings") if line]
        page = dict(line.split("=", 1) for line in lines)
        client, controller = f"{LOCALHOST}:{self.port}", f"{LOCALHOST}:{self._controller_port}"
        users = page["super.users"]
        changed = {
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"CLIENTS://{client},CONTROLLER://{controller}",
            "advertised.listeners": f"CLIENTS://{client}",
            "log.dirs": str(self.data_dir / "log"),
            "ssl.keystore.location": str(self.data_dir / "broker.pem"),
            "ssl.truststore.location": str(self.ca_file),
            "super.users": users.replace("kafka-1.example", "localhost"),
            **dict.fromkeys(ONE_COPY, "1"),
        }
        assert changed.keys() <= page.keys()
        jaas = "listener.name.clients.scram-sha-512.sasl.jaas.config"
        return page | changed | {jaas: page[jaas].replace("PASSWORD", PASSWORD)}

    def _listens(self) -> bool:
        with socket.create_connection((LOCALHOST, self.port), timeout=1):
            return True


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[HospitalBroker]:
    with HospitalBroker(tmp_path_factory.mktemp("broker")) as one:
        yield one


async def test_the_brokers_user_makes_topics_writes_and_reads(broker: HospitalBroker) -> None:
    settings = broker.settings("kafka", PASSWORD)
    async with asyncio.timeout(90):
        await create_topics(settings)
        while await missing_topics(settings):  # noqa: ASYNC110  # they are seen a moment later
            await asyncio.sleep(0.1)
        async with open_producer(settings) as producer:
            await producer.send(FRAMES, [("somebody", b"x")])
        async with open_consumer(settings, (FRAMES,), group="test") as consumer:
            records = await consumer.poll(timeout_s=60, n_records_max=1)

    assert [record.payload for record in records] == [b"x"]


async def test_nobody_else_gets_in(broker: HospitalBroker) -> None:
    for user, password in (("kafka", "another"), ("nobody", PASSWORD)):
        with pytest.raises(BrokerRefusedError):
            await missing_topics(broker.settings(user, password))


def test_the_page_is_for_the_version_that_is_tested() -> None:
    version = ".".join(KAFKA_VERSION.split(".")[:2])

    assert f"**Kafka {version}**" in TEXT
