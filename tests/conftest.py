"""What every test may ask for: the real servers, started once and only when first asked for.

A test that needs what this machine lacks is skipped and says so; under
``CHEVET_REQUIRE_SERVICES=1`` (CI) it fails instead. Tests share the servers of a session: use names
of your own (`unique_name`) for topics, consumer groups and measurements.
"""

import contextlib
import logging
import os
import secrets
from collections.abc import Callable, Generator, Iterator
from pathlib import Path
from typing import NoReturn

import hypothesis
import pytest
import structlog

from deploy.local.embedded_broker import EmbeddedBroker
from deploy.local.influx import InfluxServer
from deploy.local.kafka import KafkaBroker
from deploy.local.process import ServerMissingError
from deploy.local.prometheus import PrometheusServer, Targets

# On a loaded machine the making of an example may take long: that says nothing about it.
hypothesis.settings.register_profile(
    "chevet", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow]
)
hypothesis.settings.load_profile("chevet")

MARKER_OF_FIXTURE = {
    "kafka_broker": "kafka",
    "influx_server": "influx",
    "prometheus_server": "prometheus",
    "chevet_data": "data",
}


@pytest.fixture(scope="session")
def kafka_broker() -> Iterator[KafkaBroker]:
    """A real Apache Kafka. Do not kill it: a test that does starts its own."""
    with KafkaBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def influx_server() -> Iterator[InfluxServer]:
    """A real InfluxDB behind the version 2 write endpoint."""
    with InfluxServer() as server:
        yield server


@pytest.fixture
def prometheus_server() -> Iterator[Callable[..., PrometheusServer]]:
    """Start a real Prometheus that scrapes these targets; of its own, for alerts have a memory."""
    with contextlib.ExitStack() as servers:

        def start(targets: Targets | None = None) -> PrometheusServer:
            return servers.enter_context(PrometheusServer(targets))

        yield start


@pytest.fixture(scope="session")
def embedded_broker() -> Iterator[EmbeddedBroker]:
    """The embedded broker (Tansu), memory only."""
    with EmbeddedBroker() as broker:
        yield broker


@pytest.fixture(scope="session")
def chevet_data() -> Path:
    """The folder of public recordings that CHEVET_DATA names."""
    named = os.environ.get("CHEVET_DATA")
    if not named:
        miss("CHEVET_DATA does not name the folder with the recordings")
    folder = Path(named)
    if not folder.is_dir():
        miss(f"CHEVET_DATA={named} is not a folder")
    return folder


@pytest.fixture(autouse=True)
def logs_as_they_were() -> Iterator[None]:
    """A command that a test runs in this process sets the logs up; the next one starts without."""
    level = logging.getLogger("aiokafka").level
    yield
    structlog.reset_defaults()
    logging.getLogger("aiokafka").setLevel(level)


@pytest.fixture
def unique_name() -> str:
    """A name that no other test uses, good for topics, groups and measurements."""
    return f"test-{secrets.token_hex(4)}"


def miss(reason: str) -> NoReturn:
    """Skip this test for what the machine lacks, or fail it where everything must be present."""
    if os.environ.get("CHEVET_REQUIRE_SERVICES") == "1":
        pytest.fail(f"{reason} (CHEVET_REQUIRE_SERVICES=1)", pytrace=False)
    pytest.skip(reason)


@contextlib.contextmanager
def missing_servers_skip() -> Iterator[None]:
    """Turn a server that is not installed, met in a fixture or a test, into the policy above."""
    try:
        yield
    except ServerMissingError as error:
        miss(str(error))


@pytest.hookimpl(wrapper=True)
def pytest_runtest_setup() -> Generator[None, object, object]:
    with missing_servers_skip():
        return (yield)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_call() -> Generator[None, object, object]:
    with missing_servers_skip():
        return (yield)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark each test by the servers and data that it asks for, so that -m can leave them out.

    Modules with slow tests go first: at the end one of them would leave the other cores idle.
    """
    for item in items:
        for fixture in getattr(item, "fixturenames", ()):
            if marker := MARKER_OF_FIXTURE.get(fixture):
                item.add_marker(marker)
    slow = {item.path for item in items if item.get_closest_marker("slow")}
    items.sort(key=lambda item: item.path not in slow)
