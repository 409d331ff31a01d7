"""A process says that it lives; whatever becomes of that, it lives on."""

import asyncio

import pytest

from deploy.local.embedded_broker import EmbeddedBroker
from deploy.local.process import free_ports
from ingest.codec import decode_role_status
from ingest.kafka import Consumer, create_topics, open_consumer
from ingest.role_status import RoleState, RoleStatus
from ingest.settings import KafkaSettings
from ingest.status_reporter import (
    STATUS_DROPPED,
    Said,
    StatusReporter,
    reporting,
    with_statuses,
)
from ingest.topics import FRAMES, STATUS
from tests.waiting import WAIT_S


async def read(consumer: Consumer, instance: str, n: int) -> list[RoleStatus]:
    """Poll until one process has said so much."""
    found: list[RoleStatus] = []
    async with asyncio.timeout(WAIT_S):
        while len(found) < n:
            records = await consumer.poll(timeout_s=0.5, n_records_max=500)
            said = [decode_role_status(record.payload) for record in records]
            assert [one.key.encode() for one in said] == [record.key for record in records]
            found += [one for one in said if one.instance == instance]
    return found


async def test_it_says_how_it_is_again_and_again_and_at_last_that_it_ends(
    embedded_broker: EmbeddedBroker, unique_name: str
) -> None:
    kafka = KafkaSettings(bootstrap_servers=embedded_broker.bootstrap_servers, n_partitions=3)
    await create_topics(kafka, [STATUS])
    told = [0.0]

    def now() -> Said:
        told[0] += 1
        return Said(state=RoleState.WAITING, reason="store", gauges={"told": told[0]})

    async with open_consumer(kafka, [STATUS], group=None) as consumer:
        reporter = StatusReporter(kafka, "sink", unique_name, now, period_s=0.05)
        async with reporting(reporter):
            found = await read(consumer, unique_name, 3)
        while found[-1].state is not RoleState.STOPPING:
            found += await read(consumer, unique_name, 1)

    assert [one.gauges for one in found[:3]] == [{"told": 1.0}, {"told": 2.0}, {"told": 3.0}]
    assert {(one.role, one.state, one.reason) for one in found[:-1]} == {
        ("sink", RoleState.WAITING, "store")
    }
    assert [one.t_ns for one in found] == sorted(one.t_ns for one in found)
    assert not reporter.refused


def dropped(cause: str) -> float:
    return float(STATUS_DROPPED.labels(cause)._value.get())


async def test_without_a_broker_it_tries_again_and_ends_when_it_is_told() -> None:
    kafka = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")
    reporter = StatusReporter(kafka, "sink", "s", lambda: Said(state=RoleState.READY))
    before = dropped("broker_away")

    async with reporting(reporter), asyncio.timeout(WAIT_S):
        while dropped("broker_away") < before + 2:  # noqa: ASYNC110  # a counter
            await asyncio.sleep(0.05)

    assert not reporter.refused


async def test_a_bug_in_what_it_is_told_is_counted_and_ends_nothing(
    embedded_broker: EmbeddedBroker,
) -> None:
    kafka = KafkaSettings(bootstrap_servers=embedded_broker.bootstrap_servers)
    reporter = StatusReporter(kafka, "sink", "s", Said)  # type: ignore[arg-type]
    before = dropped("failed")

    async with reporting(reporter), asyncio.timeout(WAIT_S):
        while dropped("failed") == before:  # noqa: ASYNC110  # a counter
            await asyncio.sleep(0.05)


@pytest.mark.parametrize("instance", ["", "named"])
def test_a_process_without_a_name_has_the_computers(instance: str) -> None:
    reporter = StatusReporter(KafkaSettings(), "sink", instance, lambda: Said(state="ready"))  # type: ignore[arg-type]

    assert reporter._instance
    assert (reporter._instance == "named") == (instance == "named")


async def test_a_system_from_before_there_were_statuses_is_read_without_them() -> None:
    with EmbeddedBroker() as broker:
        kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers, n_partitions=1)
        await create_topics(kafka, [FRAMES])
        assert await with_statuses(kafka, [FRAMES]) == (FRAMES,)

        await create_topics(kafka, [STATUS])

        assert await with_statuses(kafka, [FRAMES]) == (FRAMES, STATUS)
