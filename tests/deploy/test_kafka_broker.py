import dataclasses
import re
import socket
import ssl
from collections.abc import Awaitable, Callable
from pathlib import Path
from xml.etree import ElementTree

import pytest
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.errors import KafkaConnectionError, UnknownTopicOrPartitionError, for_code
from aiokafka.helpers import create_ssl_context

from deploy.local import kafka as kafka_module
from deploy.local.kafka import KAFKA_VERSION, POM_FILE, KafkaBroker, fetch_kafka, find_java, main
from deploy.local.kafka_probe import SaslPlainOverTls, count_live_brokers
from deploy.local.process import LOCALHOST, ServerMissingError

Step = Callable[[KafkaBroker, str], Awaitable[None]]


async def test_records_come_back(
    kafka_broker: KafkaBroker, unique_name: str, produce_records: Step, expect_records: Step
) -> None:
    await produce_records(kafka_broker, unique_name)
    await expect_records(kafka_broker, unique_name)


async def test_topics_are_not_made_on_first_use(
    kafka_broker: KafkaBroker, unique_name: str
) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=kafka_broker.bootstrap_servers)
    await admin.start()
    try:
        (topic,) = await admin.describe_topics([unique_name])
        assert for_code(topic["error_code"]) is UnknownTopicOrPartitionError
        assert unique_name not in await admin.list_topics()
    finally:
        await admin.close()


@pytest.mark.kafka
async def test_records_outlive_a_kill_and_a_stop(
    unique_name: str, produce_records: Step, expect_records: Step
) -> None:
    with KafkaBroker() as broker:
        await produce_records(broker, unique_name)
        before = broker.bootstrap_servers

        broker.kill()
        broker.restart()
        await expect_records(broker, unique_name)
        broker.restart()
        await expect_records(broker, unique_name)

        assert broker.bootstrap_servers == before


def test_two_run_side_by_side_and_stopping_one_leaves_no_process_and_frees_its_ports(
    kafka_broker: KafkaBroker,
) -> None:
    with KafkaBroker() as other:
        assert kafka_broker.is_running()
        assert not set(other.ports) & set(kafka_broker.ports)
        (identity,) = (process.identity for process in other.processes)
        assert identity is not None

    assert not identity.is_running()
    assert kafka_broker.is_running()
    for port in other.ports:
        with pytest.raises(ConnectionRefusedError):
            socket.create_connection((LOCALHOST, port))


@pytest.mark.kafka
async def test_a_secured_broker_serves_the_right_password_and_refuses_the_wrong_one(
    unique_name: str,
) -> None:
    secured_broker = KafkaBroker(secured=True)

    def admin_with(password: str) -> AIOKafkaAdminClient:
        return AIOKafkaAdminClient(
            bootstrap_servers=secured_broker.bootstrap_servers,
            security_protocol="SASL_SSL",
            ssl_context=create_ssl_context(cafile=str(secured_broker.ca_file)),
            sasl_mechanism="PLAIN",
            sasl_plain_username=secured_broker.sasl_username,
            sasl_plain_password=password,
        )

    with secured_broker:
        admin = admin_with(secured_broker.sasl_password)
        await admin.start()
        await admin.create_topics([NewTopic(unique_name, 1, 1)])
        assert unique_name in await admin.list_topics()
        await admin.close()

        intruder = admin_with("guessed")
        with pytest.raises(KafkaConnectionError):
            await intruder.start()
        await intruder.close()
        refuses_wrong_credentials(secured_broker)


def refuses_wrong_credentials(broker: KafkaBroker) -> None:
    """The probe tells why: the log-in, the certificate, or the plain text."""
    right = SaslPlainOverTls(
        ca_file=broker.ca_file, username=broker.sasl_username, password=broker.sasl_password
    )
    assert count_live_brokers(LOCALHOST, broker.port, security=right) == 1
    wrong = dataclasses.replace(right, password=right.password[::-1])
    with pytest.raises(PermissionError, match="SASL log-in refused"):
        count_live_brokers(LOCALHOST, broker.port, security=wrong)
    with pytest.raises(OSError, match="it wants TLS"):
        count_live_brokers(LOCALHOST, broker.port)
    stranger = ssl.create_default_context()
    with (
        socket.create_connection((LOCALHOST, broker.port)) as connection,
        pytest.raises(ssl.SSLCertVerificationError),
    ):
        stranger.wrap_socket(connection, server_hostname=LOCALHOST)


def test_a_plain_broker_has_no_password() -> None:
    with pytest.raises(LookupError, match="secured=True"):
        _ = KafkaBroker().sasl_password


@pytest.mark.kafka
def test_without_the_jars_the_command_that_fetches_them_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    find_java()
    monkeypatch.setenv("CHEVET_HOME", str(tmp_path))

    with pytest.raises(ServerMissingError, match=r"deploy\.local\.kafka --fetch"):
        KafkaBroker().start()


def test_without_java_the_script_that_installs_it_is_named(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PATH", "/nonexistent")
    monkeypatch.delenv("JAVA_HOME", raising=False)

    with pytest.raises(ServerMissingError, match=r"java .*install_services\.sh"):
        KafkaBroker().start()


def test_an_old_java_is_as_good_as_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    java = tmp_path / "bin" / "java"
    java.parent.mkdir()
    java.write_text("#!/bin/sh\necho 'openjdk version \"1.8.0_402\"' >&2\n", encoding="utf-8")
    java.chmod(0o700)
    monkeypatch.setenv("JAVA_HOME", str(tmp_path))

    with pytest.raises(ServerMissingError, match=r"Java 17 or newer .* is version 8"):
        find_java()


def fake_maven(folder: Path, monkeypatch: pytest.MonkeyPatch, action: str) -> None:
    maven = folder / "mvn"
    find = 'for one; do case "$one" in -DoutputDirectory=*) libs=${one#*=} ;; esac; done'
    maven.write_text(f"#!/bin/sh\n{find}\n{action}\n", encoding="utf-8")
    maven.chmod(0o700)
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    monkeypatch.setenv("CHEVET_HOME", str(folder))


def test_the_jars_are_fetched_once_and_appear_all_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    jar = f"kafka_2.13-{KAFKA_VERSION}.jar"
    fake_maven(tmp_path, monkeypatch, f'test -f pom.xml && mkdir "$libs" && touch "$libs/{jar}"')

    assert main(["--fetch"]) == 0
    libs = tmp_path / "var" / "kafka" / KAFKA_VERSION / "libs"
    assert [path.name for path in libs.iterdir()] == [jar]
    assert [path.name for path in libs.parent.iterdir()] == ["libs"]
    assert str(libs) in capsys.readouterr().out

    fake_maven(tmp_path, monkeypatch, "exit 1")
    assert fetch_kafka() == libs


def test_a_fetch_that_fails_says_why_and_leaves_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    fake_maven(tmp_path, monkeypatch, "echo '[ERROR] no route'; exit 1")

    assert main(["--fetch"]) == 1

    assert "[ERROR] no route" in capsys.readouterr().err
    assert not list((tmp_path / "var" / "kafka" / KAFKA_VERSION).iterdir())


def test_the_version_is_the_one_in_the_pom() -> None:
    artifacts = {
        dependency.findtext("artifactId"): dependency.findtext("version")
        for dependency in ElementTree.parse(POM_FILE).iter("dependency")  # noqa: S314 - our own
    }

    assert artifacts["kafka_2.13"] == KAFKA_VERSION
    assert "://" not in POM_FILE.read_text(encoding="utf-8")


def test_a_cluster_id_is_22_characters_and_no_option() -> None:
    assert re.fullmatch(r"\w[\w-]{21}", kafka_module._cluster_id())
