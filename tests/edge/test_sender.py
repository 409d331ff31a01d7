"""From the spool to a real broker: in order, while new Frames are stored."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from deploy.local.embedded_broker import EmbeddedBroker
from deploy.local.kafka import KafkaBroker
from deploy.local.process import free_ports
from edge import sender as sender_module
from edge.sender import Sender
from ingest.codec import decode_frame
from ingest.kafka import create_topics
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES
from tests.edge.spool_ward import Ward
from tests.stored import stored_records


@pytest.fixture
async def kafka() -> AsyncIterator[KafkaSettings]:
    settings = KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")
    broker = EmbeddedBroker(port=int(settings.bootstrap_servers.rpartition(":")[2]))
    await asyncio.to_thread(broker.start)
    try:
        await create_topics(settings)
        yield settings
    finally:
        await asyncio.to_thread(broker.stop)


async def arrived(kafka: KafkaSettings) -> list[tuple[int, bytes]]:
    found = await stored_records(kafka, FRAMES)
    return [(decode_frame(one.payload).sequence, one.payload) for one in found]


async def test_a_backlog_leaves_in_order_while_new_frames_are_stored(
    kafka: KafkaSettings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sender_module, "BATCH_BYTES", 20_000)
    ward = Ward(tmp_path / "spool.sqlite", keys=(b"k" * 32,))
    for _ in range(1_000):
        ward.send("a", 30)
        ward.flush()
    sender = Sender(kafka, ward.spool, "p-1")
    stop = asyncio.Event()
    sending = asyncio.create_task(sender.run(stop, drain_s=60), name="sender")
    try:
        for _ in range(100):
            ward.send("a", 30)
            await asyncio.to_thread(ward.flush)
            sender.wake()
        stop.set()
        async with asyncio.timeout(100):
            await sending
    finally:
        sending.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await sending

    found = await arrived(kafka)

    assert [sequence for sequence, _ in found] == list(range(1_100))
    ward.broker = dict(found)
    ward.check_all_arrived()
    ward.spool.close()


@pytest.mark.kafka
async def test_a_broker_that_refuses_the_password_costs_no_frame_and_not_the_agent(
    tmp_path: Path,
) -> None:
    ward = Ward(tmp_path / "spool.sqlite")
    ward.send("a", 30)
    ward.flush()
    with KafkaBroker(secured=True) as broker:
        kafka = KafkaSettings.model_validate(
            {
                "bootstrap_servers": broker.bootstrap_servers,
                "security_protocol": "SASL_SSL",
                "sasl_mechanism": "PLAIN",
                "sasl_username": broker.sasl_username,
                "sasl_password": "guessed",
                "ssl_ca_file": broker.ca_file,
            }
        )
        sender = Sender(kafka, ward.spool, "p-1")
        stop = asyncio.Event()
        sending = asyncio.create_task(sender.run(stop, drain_s=0.1), name="sender")
        async with asyncio.timeout(60):
            while sender.status().n_failures < 2:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert not sending.done()
        assert "refused" in sender.status().error
        stop.set()
        async with asyncio.timeout(20):
            await sending

    assert ward.spool.size().n_frames == 1
    ward.spool.close()
