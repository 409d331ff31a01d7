"""Apache Kafka (KRaft, one node) on 127.0.0.1, from the jars that Maven fetches.

``python -m deploy.local.kafka --fetch`` fetches them once; nothing is fetched at start.
"""

import argparse
import base64
import datetime
import functools
import os
import re
import secrets
import shutil
import sys
import tempfile
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Final

from deploy.local.folders import home_folder
from deploy.local.kafka_probe import SaslPlainOverTls, count_live_brokers
from deploy.local.process import (
    LOCALHOST,
    ServerError,
    ServerFailedError,
    ServerMissingError,
    find_program,
    free_ports,
    run_tool,
)
from deploy.local.server import LocalServer

KAFKA_VERSION: Final = "4.1.0"
"""The version in ``kafka-pom.xml``; a test keeps the two together."""

JAVA_VERSION_MIN: Final = 17
POM_FILE: Final = Path(__file__).with_name("kafka-pom.xml")
HOW_TO_FETCH: Final = "python -m deploy.local.kafka --fetch"
HOW_TO_INSTALL: Final = "sh deploy/install_services.sh"
FETCH_S_MAX: Final = 900.0
START_S_MAX: Final = 90.0
USERNAME: Final = "chevet"

HEAP: Final = "-Xmx512m"
QUICK_START: Final = ("-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1")
"""Halves start-up (1.9 s against 3.8 s on two cores) and the CPU time of runs of a minute; Java's
own choice is for servers that run for long."""

LOG_SETTINGS: Final = """\
status = error
appender.out.type = Console
appender.out.name = out
appender.out.layout.type = PatternLayout
appender.out.layout.pattern = %d{ISO8601} %p %m (%c{1})%n
rootLogger.level = warn
rootLogger.appenderRef.out.ref = out
"""

ONE_NODE: Final = {
    "node.id": "1",
    "process.roles": "broker,controller",
    "controller.listener.names": "CONTROLLER",
    "auto.create.topics.enable": "false",
    # One node, so one copy of everything, and few partitions: each costs files and start-up time.
    "offsets.topic.replication.factor": "1",
    "offsets.topic.num.partitions": "4",
    "transaction.state.log.replication.factor": "1",
    "transaction.state.log.min.isr": "1",
    "transaction.state.log.num.partitions": "4",
    "share.coordinator.state.topic.replication.factor": "1",
    "share.coordinator.state.topic.min.isr": "1",
    "share.coordinator.state.topic.num.partitions": "4",
    # Tests of rebalance and take-over wait for these.
    "group.initial.rebalance.delay.ms": "0",
    "group.min.session.timeout.ms": "500",
    # After a crash the controller waits this long before it lets the same broker in again.
    "broker.session.timeout.ms": "3000",
    "broker.heartbeat.interval.ms": "500",
    "log.cleaner.dedupe.buffer.size": str(16 << 20),  # its default is a quarter of the heap
    "num.network.threads": "2",
    "num.io.threads": "4",
}


class KafkaBroker(LocalServer):
    """Apache Kafka, broker and controller in one process; its data outlive kill and restart.

    Topics are not made on first use. ``secured=True`` gives one listener only, with TLS (a
    self-signed authority) and SASL/PLAIN; what a client then needs is in `security`.

    Parameters
    ----------
    users
        More users of a secured broker, name to password. Then rights are asked for: what a user was
        not given is refused, but nothing is refused to `sasl_username`.
    properties
        More of, or instead of, the broker's ``server.properties``.
    java_options
        Beside the heap of 512 MB.
    """

    title = "kafka"

    def __init__(
        self,
        *,
        secured: bool = False,
        users: Mapping[str, str] | None = None,
        port: int | None = None,
        data_dir: Path | None = None,
        outlives_parent: bool = False,
        properties: Mapping[str, str] | None = None,
        java_options: Sequence[str] = QUICK_START,
    ) -> None:
        super().__init__(data_dir=data_dir, outlives_parent=outlives_parent)
        self.port: Final = port if port is not None else free_ports(1)[0]
        self._controller_port: Final = free_ports(1)[0]
        self._properties: Final = dict(properties or {})
        self._java_options: Final = tuple(java_options)
        self._users: Final = dict(users or {})
        self.security: Final = self._make_security() if secured or users else None

    @property
    def ports(self) -> tuple[int, ...]:
        """The broker's port and the controller's."""
        return (self.port, self._controller_port)

    @property
    def bootstrap_servers(self) -> str:
        """The address for Kafka clients."""
        return f"{LOCALHOST}:{self.port}"

    @property
    def ca_file(self) -> Path:
        """The authority that a client of a secured broker must trust, as a PEM file."""
        return self._secured().ca_file

    @property
    def sasl_username(self) -> str:
        """The one user of a secured broker."""
        return self._secured().username

    @property
    def sasl_password(self) -> str:
        """The password of that user, new with each object."""
        return self._secured().password

    def _make_security(self) -> SaslPlainOverTls:
        return SaslPlainOverTls(
            ca_file=self.data_dir / "ca.pem",
            username=USERNAME,
            password=secrets.token_urlsafe(18),
        )

    def _secured(self) -> SaslPlainOverTls:
        if self.security is None:
            raise LookupError("this broker is not secured: use KafkaBroker(secured=True)")
        return self.security

    def _start_programs(self) -> None:
        java, libs = find_java(), find_kafka_jars()
        settings_file = self._write_settings()
        command = [str(java), *self._jvm_arguments(), "-cp", f"{libs}/*"]
        if not (self._log_dir / "meta.properties").exists():
            storage = ["kafka.tools.StorageTool", "format", "-t", _cluster_id()]
            formatting = [*command, *storage, "-c", str(settings_file)]
            run_tool("kafka-storage", formatting, folder=self.data_dir, timeout_s=START_S_MAX)
        self._run(
            self.title,
            [*command, "kafka.Kafka", str(settings_file)],
            self._is_ready,
            start_s_max=START_S_MAX,
        )

    def _is_ready(self) -> bool:
        return count_live_brokers(LOCALHOST, self.port, security=self.security) > 0

    @property
    def _log_dir(self) -> Path:
        return self.data_dir / "log"

    def _jvm_arguments(self) -> list[str]:
        return [
            HEAP,
            *self._java_options,
            "-XX:-UsePerfData",  # it would write outside the data folder, as would the next
            f"-Djava.io.tmpdir={self.data_dir}",
            f"-Dlog4j2.configurationFile={self.data_dir / 'log4j2.properties'}",
        ]

    def _write_settings(self) -> Path:
        (self.data_dir / "log4j2.properties").write_text(LOG_SETTINGS, encoding="utf-8")
        listener = "PLAINTEXT" if self.security is None else "SASL_SSL"
        settings = ONE_NODE | {
            "controller.quorum.voters": f"1@{LOCALHOST}:{self._controller_port}",
            "listeners": f"{listener}://{self.bootstrap_servers},"
            f"CONTROLLER://{LOCALHOST}:{self._controller_port}",
            "advertised.listeners": f"{listener}://{self.bootstrap_servers}",
            "listener.security.protocol.map": f"{listener}:{listener},CONTROLLER:{listener}",
            "inter.broker.listener.name": listener,
            "log.dirs": str(self._log_dir),
        }
        if self.security is not None:
            settings |= self._write_security(self.security)
        settings_file = self.data_dir / "server.properties"
        settings_file.touch(mode=0o600)  # it holds the password of a secured broker
        lines = [f"{name}={value}\n" for name, value in (settings | self._properties).items()]
        settings_file.write_text("".join(lines), encoding="utf-8")
        return settings_file

    def _write_security(self, security: SaslPlainOverTls) -> dict[str, str]:
        from deploy.local.certificates import write_certificates

        server_file = self.data_dir / "server.pem"
        if not server_file.exists():
            now = datetime.datetime.now(datetime.UTC)
            write_certificates(security.ca_file, server_file, now)
        log_in = (
            "org.apache.kafka.common.security.plain.PlainLoginModule required "
            f'username="{security.username}" password="{security.password}" '
            f'user_{security.username}="{security.password}"'
            + "".join(f' user_{name}="{password}"' for name, password in self._users.items())
            + ";"
        )
        rights = {
            "authorizer.class.name": "org.apache.kafka.metadata.authorizer.StandardAuthorizer",
            "super.users": f"User:{security.username}",
        }
        return {
            **(rights if self._users else {}),
            "sasl.enabled.mechanisms": "PLAIN",
            "sasl.mechanism.inter.broker.protocol": "PLAIN",
            "sasl.mechanism.controller.protocol": "PLAIN",
            "listener.name.sasl_ssl.plain.sasl.jaas.config": log_in,
            "listener.name.controller.plain.sasl.jaas.config": log_in,
            "ssl.keystore.type": "PEM",
            "ssl.keystore.location": str(server_file),
            "ssl.truststore.type": "PEM",
            "ssl.truststore.location": str(security.ca_file),
        }


def _cluster_id() -> str:
    """Make a cluster id, 16 bytes in base64, that a command line does not take for an option."""
    text = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode("ascii").rstrip("=")
    return "c" + text[1:]


def find_java() -> Path:
    """Find a Java runtime that Kafka can use: ``$JAVA_HOME``, else PATH.

    Raises
    ------
    ServerMissingError
    """
    home = os.environ.get("JAVA_HOME")
    candidates = [f"{home}/bin/java"] if home else []
    java = find_program(*candidates, "java", how_to_get_it=HOW_TO_INSTALL)
    version = java_version(java)
    if version < JAVA_VERSION_MIN:
        what = f"Java {JAVA_VERSION_MIN} or newer ({java} is version {version})"
        raise ServerMissingError(what, HOW_TO_INSTALL)
    return java


@functools.cache
def java_version(java: Path) -> int:
    """Return the major version of a Java runtime, 0 if it does not say."""
    text = run_tool("java", [java, "-version"], folder=Path("/"), timeout_s=30.0)
    found = re.search(r'version "(?:1\.)?(\d+)', text)
    return int(found[1]) if found else 0


def kafka_jars_folder() -> Path:
    """Return the folder in which Kafka's jars are kept; it need not exist yet."""
    return home_folder() / "kafka" / KAFKA_VERSION / "libs"


def find_kafka_jars() -> Path:
    """Return the folder with Kafka's jars.

    Raises
    ------
    ServerMissingError
    """
    folder = kafka_jars_folder()
    if not _holds_kafka(folder):
        raise ServerMissingError(f"Apache Kafka {KAFKA_VERSION} (in {folder})", HOW_TO_FETCH)
    return folder


def _holds_kafka(folder: Path) -> bool:
    return (folder / f"kafka_2.13-{KAFKA_VERSION}.jar").is_file()


def fetch_kafka() -> Path:
    """Fetch Kafka's jars with Maven, unless they are there; return their folder.

    They appear all at once, so that a broken fetch leaves nothing that looks whole.

    Raises
    ------
    ServerMissingError, ServerFailedError
    """
    libs = kafka_jars_folder()
    if _holds_kafka(libs):
        return libs
    maven = find_program("mvn", how_to_get_it=HOW_TO_INSTALL)
    libs.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=libs.parent, prefix=".fetch-") as work:
        folder = Path(work)
        shutil.copyfile(POM_FILE, folder / "pom.xml")
        goal = ["dependency:copy-dependencies", "-DincludeScope=runtime"]
        command: list[str | Path] = [
            maven,
            "-q",
            "-B",
            *goal,
            f"-DoutputDirectory={folder / 'libs'}",
        ]
        output = run_tool("maven", command, folder=folder, timeout_s=FETCH_S_MAX)
        if not _holds_kafka(folder / "libs"):
            raise ServerFailedError("maven", "did not bring Kafka", output)
        shutil.rmtree(libs, ignore_errors=True)  # what a hand left there, if anything
        try:
            (folder / "libs").rename(libs)
        except OSError:
            if not _holds_kafka(libs):  # else another fetch was quicker, which is as good
                raise
    return libs


def main(arguments: Sequence[str] | None = None) -> int:
    """Fetch Kafka's jars: 0 when they are there, 1 when that failed."""
    parser = argparse.ArgumentParser(prog=HOW_TO_FETCH, description="Fetch Apache Kafka's jars.")
    parser.add_argument("--fetch", action="store_true", required=True, help="do it")
    parser.parse_args(arguments)
    try:
        sys.stdout.write(f"Apache Kafka {KAFKA_VERSION}: {fetch_kafka()}\n")
    except ServerError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
