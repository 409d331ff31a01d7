"""The ward in the virtual machine: sensors on a virtual air, BlueZ's adapter on it, one agent."""

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

from deploy.local.embedded_broker import EmbeddedBroker
from edge.agent import run_agent
from edge.identity import device_pseudonym, load_key
from edge.settings import DeviceSettings, EdgeSettings
from edge.virtual.ether import Ether
from edge.virtual.kernel_radio import KernelRadio
from edge.virtual.oximeter import MODEL as OXIMETER_MODEL
from edge.virtual.oximeter import Oximeter
from edge.virtual.peripheral import Peripheral
from edge.virtual.player import Body, SteadyClock
from edge.virtual.sensors import identity
from edge.virtual.strap import MODEL as STRAP_MODEL
from edge.virtual.strap import Strap
from edge.virtual.thermometer import MODEL as THERMOMETER_MODEL
from edge.virtual.thermometer import Thermometer
from ingest.codec import decode_frame
from ingest.frame import Frame
from ingest.kafka import create_topics, open_consumer
from ingest.settings import KafkaSettings
from ingest.topics import FRAMES
from tests.bluez.carried import load

SUBJECT = "p-bluez"
PATIENCE_S = 90.0
N_STRAPS = 3


@dataclass(frozen=True)
class Balance:
    """What became of one channel's samples, counted on both ends."""

    device: str
    channel: str
    produced: int
    stored: int
    missing: dict[str, int]

    @property
    def even(self) -> bool:
        return self.produced == self.stored + sum(self.missing.values())


class Ward:
    """Three straps, an oximeter and a thermometer, all worn by one person."""

    def __init__(self, folder: Path, ecg: Path, pleth: Path) -> None:
        self.folder = folder
        self.ether = Ether()
        self.radio = KernelRadio(self.ether)
        self.clock = SteadyClock()
        begun_ns = self.clock.now_ns()
        worn = Body(recording=load(ecg), start_ns=begun_ns)
        clipped = Body(recording=load(pleth), start_ns=begun_ns)
        self.straps = [
            Strap(self.ether, identity(STRAP_MODEL, n), self.clock, worn, seed=n)
            for n in range(1, 1 + N_STRAPS)
        ]
        self.oximeter = Oximeter(self.ether, identity(OXIMETER_MODEL, 1), self.clock, clipped)
        self.thermometer = Thermometer(
            self.ether, identity(THERMOMETER_MODEL, 1), self.clock, period_s=1.0
        )
        self.latecomer = Thermometer(self.ether, identity(THERMOMETER_MODEL, 2), self.clock)
        """Belongs to the person, too, but is switched on later."""
        self.broker = EmbeddedBroker()

    @property
    def sensors(self) -> list[Peripheral]:
        return [*self.straps, self.oximeter, self.thermometer]

    @property
    def kafka(self) -> KafkaSettings:
        return KafkaSettings(bootstrap_servers=self.broker.bootstrap_servers)

    def settings(self, scan_silence_s: float = 20.0) -> EdgeSettings:
        """The agent's settings: nothing is said of a radio, so it takes the system's."""
        return EdgeSettings(
            subject_id=SUBJECT,
            agent_id="a-1",
            devices=tuple(
                DeviceSettings(name=one.identity.name) for one in [*self.sensors, self.latecomer]
            ),
            kafka=self.kafka,
            spool_path=self.folder / "spool.sqlite",
            reconnect_s_max=2.0,
            scan_silence_s=scan_silence_s,
            connect_timeout_s=30.0,
        )

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[None]:
        """Start the broker and the sensors, each of which advertises when the block begins."""
        await asyncio.to_thread(self.broker.start)
        await create_topics(self.kafka)
        async with contextlib.AsyncExitStack() as stack:
            stack.callback(self.broker.stop)
            for sensor in self.sensors:
                await stack.enter_async_context(sensor.running())
            yield

    @contextlib.asynccontextmanager
    async def agent(self, **settings: float) -> AsyncIterator[None]:
        """Run the agent; stop it in good order at the end."""
        stop = asyncio.Event()
        running = asyncio.create_task(run_agent(self.settings(**settings), stop), name="agent")
        try:
            yield
        finally:
            stop.set()
            async with asyncio.timeout(PATIENCE_S):
                await running

    async def until_sent(self, n_samples: int) -> None:
        """Wait until each ECG and the pleth have brought so many more samples to a listener."""
        channels = [sensor.channels["ecg"] for sensor in self.straps]
        channels.append(self.oximeter.channels["pleth"])
        wanted = [one.sent + n_samples for one in channels]
        await until(
            lambda: all(one.sent >= n for one, n in zip(channels, wanted, strict=True)),
            lambda: f"sent {[one.sent for one in channels]}, wanted {wanted}",
        )

    async def until_connected(self, n_connections: int) -> None:
        """Wait until every sensor is connected, and has been so many times since its start."""
        await until(
            lambda: all(
                one.connected and one.n_connections >= n_connections for one in self.sensors
            ),
            lambda: str({s.identity.name: (s.connected, s.n_connections) for s in self.sensors}),
        )

    async def until_disconnected(self) -> None:
        """Wait until no sensor is connected."""
        await until(
            lambda: not any(one.connected for one in self.sensors),
            lambda: str({s.identity.name: s.connected for s in self.sensors}),
        )

    async def frames(self) -> list[Frame]:
        """Read what has arrived in Kafka, each Frame once, in order."""
        found: dict[int, Frame] = {}
        async with open_consumer(self.kafka, (FRAMES,), group=None) as consumer:
            while records := await consumer.poll(timeout_s=3.0, n_records_max=1000):
                for frame in (decode_frame(one.payload) for one in records):
                    found[frame.sequence] = frame
        return [found[sequence] for sequence in sorted(found)]

    def balances(self, frames: list[Frame]) -> list[Balance]:
        """Hold what has arrived against what the sensors took."""
        stored: Counter[tuple[str, str]] = Counter()
        missing: Counter[tuple[str, str, str]] = Counter()
        for frame in frames:
            for block in frame.waveforms:
                stored[block.device_id, block.channel] += block.n_samples
            for gap in frame.gaps:
                missing[gap.device_id, gap.channel, str(gap.cause)] += gap.n_samples
        return [
            Balance(
                device=sensor.identity.name,
                channel=channel,
                produced=counters.produced,
                stored=stored[device_id, channel],
                missing={
                    cause: n
                    for (device, name, cause), n in missing.items()
                    if (device, name) == (device_id, channel)
                },
            )
            for device_id, sensor in self._by_device_id().items()
            for channel, counters in sensor.channels.items()
        ]

    def events(self, frames: list[Frame]) -> dict[str, dict[str, int]]:
        """Count the events by the names of the sensors, and by their kinds."""
        events = [event for frame in frames for event in frame.events]
        return {
            sensor.identity.name: Counter(
                str(event.kind) for event in events if event.device_id == device_id
            )
            for device_id, sensor in self._by_device_id().items()
        }

    def _by_device_id(self) -> dict[str, Peripheral]:
        key = load_key(self.folder / "agent.key")
        return {
            device_pseudonym(f"Chevet {one.identity.model}", one.identity.serial, key): one
            for one in self.sensors
        }


async def came(fact: Callable[[], bool], limit_s: float) -> bool:
    """Wait for what has no event of its own; False where it has not come in time."""
    try:
        async with asyncio.timeout(limit_s):
            while not fact():  # noqa: ASYNC110
                await asyncio.sleep(0.02)
    except TimeoutError:
        return False
    return True


async def until(fact: Callable[[], bool], state: Callable[[], str]) -> None:
    """Wait for what must come; say how far it got where it does not."""
    if not await came(fact, PATIENCE_S):
        raise TimeoutError(f"not in {PATIENCE_S} s: {state()}")
